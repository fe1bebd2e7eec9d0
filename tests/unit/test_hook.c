// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook binary as libvirt runs it, against an agent that is this test. */
#include "libvirt-glue/domxml.h"
#include "tests/unit/glue_helpers.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#ifndef SFH_TEST_BUILD
#define SFH_TEST_BUILD "build"
#endif

#define PLAIN "<domain><name>vm1</name></domain>"
#define WITH_VF                                                                        \
	"<domain><name>vm1</name><devices><graphics passwd='s3cret'/><hostdev><alias " \
	"name='ua-sfv-525400a1b2c3'/></hostdev></devices></domain>"

struct hook {
	char dir[32], path[64];
	int listener, in, out, err;
	pid_t pid;
	uint64_t started_ns, took_ms;
	int status; /* exit status, or -signal */
	char stdout_text[1 << 16], stderr_text[4096];
	size_t stdout_len;
};

static int input_file(const char *xml, size_t len)
{
	int fd = memfd_create("in", 0);

	cr_assert(fd >= 0);
	while (len) {
		ssize_t n = write(fd, xml, len);

		cr_assert(n > 0);
		xml += n;
		len -= (size_t)n;
	}
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void setup(struct hook *h, bool agent)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	*h = (struct hook){.dir = "/tmp/sfh-hook-XXXXXX", .listener = -1};
	cr_assert(mkdtemp(h->dir));
	(void)snprintf(h->path, sizeof(h->path), "%s/agent.sock", h->dir);
	if (!agent)
		return;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", h->path);
	h->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(h->listener >= 0);
	cr_assert_eq(bind(h->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cr_assert_eq(listen(h->listener, 4), 0);
}

/* `in` is handed over. */
static void start(struct hook *h, const char *domain, const char *op, int in)
{
	h->in = in;
	h->out = memfd_create("out", MFD_CLOEXEC);
	h->err = memfd_create("err", MFD_CLOEXEC);
	h->started_ns = sfh_now_ns();
	h->pid = fork();
	cr_assert(h->pid >= 0);
	if (h->pid == 0) {
		char program[256];

		(void)snprintf(program, sizeof(program), "%s/50-sfhybrid", SFH_TEST_BUILD);
		(void)setenv("SFHYBRID_SOCKET", h->path, 1);
		(void)dup2(h->in, 0);
		(void)dup2(h->out, 1);
		(void)dup2(h->err, 2);
		(void)execl(program, "50-sfhybrid", domain, op, "begin", "-", (char *)NULL);
		_exit(99);
	}
	(void)close(h->in);
}

static void finish(struct hook *h)
{
	int status;
	ssize_t n;

	cr_assert_eq(waitpid(h->pid, &status, 0), h->pid);
	h->took_ms = (sfh_now_ns() - h->started_ns) / 1000000;
	h->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	cr_assert_neq(h->status, 99, "build/50-sfhybrid is missing");
	n = pread(h->out, h->stdout_text, sizeof(h->stdout_text) - 1, 0);
	cr_assert(n >= 0);
	h->stdout_len = (size_t)n;
	n = pread(h->err, h->stderr_text, sizeof(h->stderr_text) - 1, 0);
	cr_assert(n >= 0);
	if (h->listener >= 0)
		(void)close(h->listener);
	(void)unlink(h->path);
	(void)rmdir(h->dir);
	cr_assert_null(strstr(h->stderr_text, "s3cret"), "a password was printed");
	cr_assert_null(strstr(h->stderr_text, "<"), "XML was printed: %s", h->stderr_text);
}

static int accept_hook(struct hook *h)
{
	struct pollfd p = {.fd = h->listener, .events = POLLIN};

	cr_assert_eq(poll(&p, 1, 5000), 1, "the hook did not connect");
	return accept(h->listener, NULL, NULL);
}

/* The request: header as JSON, and the XML behind it. */
static json_t *read_request(int fd, char **ret_xml)
{
	char line[4096];
	size_t n = 0, length, got = 0;
	json_t *header;

	do {
		cr_assert(n < sizeof(line) - 1 && read(fd, line + n, 1) == 1);
	} while (line[n++] != '\n');
	line[n] = '\0';
	header = json_loads(line, 0, NULL);
	cr_assert(header, "not JSON: %s", line);
	length = (size_t)json_integer_value(json_object_get(header, "length"));
	*ret_xml = calloc(1, length + 1);
	while (got < length) {
		ssize_t r = read(fd, *ret_xml + got, length - got);

		cr_assert(r > 0, "the XML ends after %zu of %zu bytes", got, length);
		got += (size_t)r;
	}
	return header;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);

	cr_assert_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One whole exchange: the agent reads everything and says `answer` (NULL: hangs
 * up without a word). */
static void exchange(struct hook *h, const char *op, const char *xml, const char *answer)
{
	char *got = NULL;
	json_t *header;
	int fd;

	setup(h, true);
	start(h, "vm1", op, input_file(xml, strlen(xml)));
	fd = accept_hook(h);
	header = read_request(fd, &got);
	cr_assert_str_eq(json_string_value(json_object_get(header, "verb")), "hook");
	cr_assert_str_eq(json_string_value(json_object_get(header, "op")), op);
	cr_assert_str_eq(json_string_value(json_object_get(header, "domain")), "vm1");
	cr_assert_eq(json_object_size(header), 4);
	cr_assert_str_eq(got, xml);
	if (answer)
		say(fd, answer);
	(void)close(fd);
	json_decref(header);
	free(got);
	finish(h);
}

/* --- with an agent -----------------------------------------------------------------*/

Test(hook, passes_through, .timeout = 20)
{
	struct hook h;

	exchange(&h, "migrate", WITH_VF, "{\"ok\":true,\"length\":0}\n");
	cr_assert_eq(h.status, 0);
	cr_assert_eq(h.stdout_len, 0, "empty output is libvirt's pass-through");
	cr_assert_str_eq(h.stderr_text, "");
}

Test(hook, rewrites, .timeout = 20)
{
	struct hook h;

	exchange(&h, "migrate", WITH_VF, "{\"ok\":true,\"length\":13}\n<domain>\n</d>");
	cr_assert_eq(h.status, 0);
	cr_assert_str_eq(h.stdout_text, "<domain>\n</d>");
	exchange(&h, "restore", PLAIN, "{\"length\": 4, \"ok\": true}\n<d/>");
	cr_assert_eq(h.status, 0);
	cr_assert_str_eq(h.stdout_text, "<d/>", "the order of keys and blanks do not matter");
}

Test(hook, refuses, .timeout = 20)
{
	struct hook h;

	exchange(
		&h, "migrate", PLAIN,
		"{\"ok\":false,\"error\":\"network \\\"n\\\" has no VF \\u2014 wait\\n\\u001b[2J\"}"
		"\n");
	cr_assert_eq(h.status, 1);
	cr_assert_eq(h.stdout_len, 0);
	cr_assert_str_eq(h.stderr_text,
			 "sfhybrid: network \"n\" has no VF \xe2\x80\x94 wait  [2J\n");
}

Test(hook, refusal_before_the_xml_was_read, .timeout = 20)
{
	size_t len = 1 << 20;
	_cleanup_free_ char *xml = malloc(len);
	struct hook h;
	int fd;

	cr_assert(xml);
	memset(xml, 'x', len);
	setup(&h, true);
	start(&h, "vm1", "migrate", input_file(xml, len));
	fd = accept_hook(&h);
	say(fd, "{\"ok\":false,\"error\":\"too busy\"}\n");
	finish(&h);
	(void)close(fd);
	cr_assert(h.took_ms < 2000);
	cr_assert_eq(h.status, 1);
	cr_assert_str_eq(h.stderr_text, "sfhybrid: too busy\n");
}

Test(hook, agent_that_dies_while_reading, .timeout = 20)
{
	size_t len = 1 << 20;
	_cleanup_free_ char *xml = malloc(len);
	char some[1000];
	struct hook h;
	int fd;

	cr_assert(xml);
	memset(xml, 'x', len);
	setup(&h, true);
	start(&h, "vm1", "migrate", input_file(xml, len));
	fd = accept_hook(&h);
	cr_assert(read(fd, some, sizeof(some)) > 0);
	(void)close(fd);
	finish(&h);
	cr_assert(h.took_ms < 2000);
	cr_assert_eq(h.status, 0);
	cr_assert(strstr(h.stderr_text, "hung up"), "%s", h.stderr_text);
}

Test(hook, large_answer_in_small_pieces, .timeout = 20)
{
	enum { LEN = 50000 };
	char *got = NULL, header[64];
	struct hook h;
	int fd;

	setup(&h, true);
	start(&h, "vm1", "migrate", input_file(PLAIN, strlen(PLAIN)));
	fd = accept_hook(&h);
	json_decref(read_request(fd, &got));
	(void)snprintf(header, sizeof(header), "{\"ok\":true,\"length\":%d}\n", LEN);
	for (char *p = header; *p; p++)
		cr_assert_eq(send(fd, p, 1, MSG_NOSIGNAL), 1);
	for (int i = 0; i < LEN; i += 500) {
		char piece[500];

		memset(piece, 'a' + i / 500 % 26, sizeof(piece));
		cr_assert_eq(send(fd, piece, sizeof(piece), MSG_NOSIGNAL), 500);
	}
	(void)close(fd);
	finish(&h);
	free(got);
	cr_assert_eq(h.status, 0);
	cr_assert_eq(h.stdout_len, LEN);
	cr_assert_eq(h.stdout_text[499], 'a');
	cr_assert_eq(h.stdout_text[500], 'b');
	cr_assert_eq(h.stdout_text[LEN - 1], 'a' + (LEN / 500 - 1) % 26);
}

Test(hook, xml_of_just_the_bound_goes_to_the_agent, .timeout = 20)
{
	size_t len = 1 << 20;
	_cleanup_free_ char *xml = malloc(len), *got = NULL;
	struct hook h;
	json_t *header;
	int fd;

	memset(xml, 'y', len);
	setup(&h, true);
	start(&h, "vm1", "migrate", input_file(xml, len));
	fd = accept_hook(&h);
	header = read_request(fd, &got);
	cr_assert_eq(json_integer_value(json_object_get(header, "length")), (json_int_t)len);
	cr_assert_eq(memcmp(got, xml, len), 0);
	json_decref(header);
	say(fd, "{\"ok\":true,\"length\":0}\n");
	(void)close(fd);
	finish(&h);
	cr_assert_eq(h.status, 0);
}

Test(hook, domain_names_are_escaped, .timeout = 20)
{
	static const char name[] = "a\"b\\c\xc3\xbc\t";
	char *got = NULL;
	struct hook h;
	json_t *header;
	int fd;

	setup(&h, true);
	start(&h, name, "migrate", input_file(PLAIN, strlen(PLAIN)));
	fd = accept_hook(&h);
	header = read_request(fd, &got);
	cr_assert_str_eq(json_string_value(json_object_get(header, "domain")), name);
	json_decref(header);
	say(fd, "{\"ok\":true,\"length\":0}\n");
	(void)close(fd);
	finish(&h);
	free(got);
	cr_assert_eq(h.status, 0);
}

/* --- without an answer ---------------------------------------------------------------*/

static void no_agent(struct hook *h, const char *op, const char *xml)
{
	setup(h, false);
	start(h, "vm1", op, input_file(xml, strlen(xml)));
	finish(h);
	cr_assert_eq(h->stdout_len, 0);
}

Test(hook, dead_agent_lets_a_guest_without_vf_pass, .timeout = 20)
{
	struct hook h;

	no_agent(&h, "migrate", PLAIN);
	cr_assert_eq(h.status, 0);
	cr_assert(strstr(h.stderr_text, "sfhybrid: warning: the agent ("));
	cr_assert(strstr(h.stderr_text, "is not running; 'vm1' brings no VF"));
	no_agent(&h, "restore", PLAIN);
	cr_assert_eq(h.status, 0);
}

Test(hook, dead_agent_refuses_an_arrival_with_vf, .timeout = 20)
{
	struct hook h;

	no_agent(&h, "migrate", WITH_VF);
	cr_assert_eq(h.status, 1);
	cr_assert(strstr(h.stderr_text, "sfhybrid: 'vm1' arrives with a VF"), "%s", h.stderr_text);
	cr_assert(strstr(h.stderr_text, "`systemctl start sfhybridd`"));
	cr_assert(strstr(h.stderr_text, "`sfhybrid-ctl migrate` on the source"));
}

Test(hook, dead_agent_refuses_to_restore_with_vf, .timeout = 20)
{
	struct hook h;

	no_agent(&h, "restore", WITH_VF);
	cr_assert_eq(h.status, 1);
	cr_assert(strstr(h.stderr_text, "'vm1' was saved with a VF"), "%s", h.stderr_text);
	cr_assert(strstr(h.stderr_text, "`systemctl start sfhybridd`"));
}

Test(hook, the_prefix_is_domxmls)
{
	cr_assert_str_eq(SFH_ALIAS_VF_PREFIX, "ua-sfv-", "hook.c has a copy of it");
}

Test(hook, stale_socket_is_a_dead_agent, .timeout = 20)
{
	struct hook h;

	setup(&h, true);
	(void)close(h.listener);
	h.listener = -1;
	start(&h, "vm1", "migrate", input_file(WITH_VF, strlen(WITH_VF)));
	finish(&h);
	cr_assert_eq(h.status, 1);
	cr_assert(strstr(h.stderr_text, "is not running"));
}

static void silent_agent(struct hook *h, const char *xml, const char *beginning)
{
	char *got = NULL;
	int fd;

	setup(h, true);
	start(h, "vm1", "migrate", input_file(xml, strlen(xml)));
	fd = accept_hook(h);
	json_decref(read_request(fd, &got));
	free(got);
	say(fd, beginning);
	finish(h);
	(void)close(fd);
	cr_assert_eq(h->stdout_len, 0);
	cr_assert(h->took_ms >= 3900 && h->took_ms < 5000, "%llu ms",
		  (unsigned long long)h->took_ms);
	cr_assert(strstr(h->stderr_text, "gave no answer in time"), "%s", h->stderr_text);
}

Test(hook, slow_agent_deadline_with_vf, .timeout = 20)
{
	struct hook h;

	silent_agent(&h, WITH_VF, "");
	cr_assert_eq(h.status, 1);
}

Test(hook, slow_agent_deadline_in_mid_xml, .timeout = 20)
{
	struct hook h;

	silent_agent(&h, PLAIN, "{\"ok\":true,\"length\":9}\n<dom");
	cr_assert_eq(h.status, 0, "nothing half-done: unchanged");
}

Test(hook, agent_that_never_accepts_or_reads, .timeout = 20)
{
	size_t len = 1 << 20;
	_cleanup_free_ char *xml = malloc(len);
	struct hook h;

	memset(xml, 'z', len);
	setup(&h, true);
	start(&h, "vm1", "migrate", input_file(xml, len));
	finish(&h);
	cr_assert_eq(h.status, 0);
	cr_assert(h.took_ms >= 3900 && h.took_ms < 5000);
}

Test(hook, garbage_is_no_answer, .timeout = 20)
{
	static const char *const garbage[] = {
		NULL, /* hangs up */
		"",
		"\n",
		"ok\n",
		"{\"ok\":true}\n",
		"{\"ok\":true,\"length\":5}\n<d/>", /* too short */
		"{\"ok\":true,\"length\":3}\n<d/>", /* too long */
		"{\"ok\":true,\"length\":0}",	    /* no newline */
		"{\"ok\":true,\"length\":99999999}\n",
		"{\"ok\":true,\"length\":-1}\n",
		"{\"ok\":false}\n",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(garbage); i++) {
		struct hook h;

		exchange(&h, "migrate", WITH_VF, garbage[i]);
		cr_assert_eq(h.status, 1, "answer %zu", i);
		cr_assert_eq(h.stdout_len, 0, "answer %zu", i);
		cr_assert(strstr(h.stderr_text, "an answer that makes no sense"), "answer %zu: %s",
			  i, h.stderr_text);
		exchange(&h, "migrate", PLAIN, garbage[i]);
		cr_assert_eq(h.status, 0, "answer %zu", i);
		cr_assert_eq(h.stdout_len, 0, "answer %zu", i);
	}
}

Test(hook, endless_answer_line, .timeout = 20)
{
	_cleanup_free_ char *line = calloc(1, 10000);
	struct hook h;

	memset(line, ' ', 9999);
	exchange(&h, "migrate", WITH_VF, line);
	cr_assert_eq(h.status, 1);
	cr_assert(strstr(h.stderr_text, "makes no sense"));
}

/* --- the XML ------------------------------------------------------------------------*/

static void oversized(struct hook *h, size_t at, const char *what)
{
	size_t len = (2 << 20) + 1;
	_cleanup_free_ char *xml = malloc(len);
	struct pollfd p;

	memset(xml, 'x', len);
	memcpy(xml + at, what, strlen(what));
	setup(h, true);
	start(h, "vm1", "migrate", input_file(xml, len));
	p = (struct pollfd){.fd = h->listener, .events = POLLIN};
	cr_assert_eq(poll(&p, 1, 300), 0, "the agent is not bothered with it");
	finish(h);
	cr_assert_eq(h->stdout_len, 0);
	cr_assert(strstr(h->stderr_text, "larger than 1048576 bytes"), "%s", h->stderr_text);
}

Test(hook, oversized_without_vf_passes, .timeout = 20)
{
	struct hook h;

	oversized(&h, 0, "ua-sfh-525400a1b2c3");
	cr_assert_eq(h.status, 0);
}

Test(hook, oversized_with_vf_is_refused, .timeout = 20)
{
	/* beyond the bound, and across the edges of the hook's reads */
	static const size_t places[] = {0,	   65536 - 1,	  65536 - 6,
					65536 - 7, (1 << 20) - 3, (2 << 20) + 1 - 7};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(places); i++) {
		struct hook h;

		oversized(&h, places[i], "ua-sfv-");
		cr_assert_eq(h.status, 1, "at %zu", places[i]);
	}
}

Test(hook, prefix_in_single_bytes, .timeout = 20)
{
	int fds[2];
	struct hook h;

	cr_assert_eq(pipe(fds), 0);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	setup(&h, false);
	start(&h, "vm1", "migrate", fds[0]);
	for (const char *p = "<d>uaua-sfv-5</d>"; *p; p++) {
		cr_assert_eq(write(fds[1], p, 1), 1);
		(void)usleep(2000);
	}
	(void)close(fds[1]);
	finish(&h);
	cr_assert_eq(h.status, 1);
}

Test(hook, stdin_that_never_ends_is_refused, .timeout = 20)
{
	int fds[2];
	struct hook h;

	cr_assert_eq(pipe(fds), 0);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	setup(&h, true);
	start(&h, "vm1", "migrate", fds[0]);
	cr_assert_eq(write(fds[1], "<d>", 3), 3);
	finish(&h);
	(void)close(fds[1]);
	cr_assert_eq(h.status, 1, "what was not read may hold anything");
	cr_assert(h.took_ms < 5000);
	cr_assert(strstr(h.stderr_text, "could not be read"));
}

Test(hook, other_operations_pass_without_the_agent, .timeout = 20)
{
	static const char *const ops[] = {"prepare", "start",	  "started", "stopped",
					  "release", "reconnect", "attach",  ""};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(ops); i++) {
		struct pollfd p;
		struct hook h;

		setup(&h, true);
		start(&h, "vm1", ops[i], input_file(WITH_VF, strlen(WITH_VF)));
		p = (struct pollfd){.fd = h.listener, .events = POLLIN};
		cr_assert_eq(poll(&p, 1, 50), 0, "%s", ops[i]);
		finish(&h);
		cr_assert_eq(h.status, 0, "%s", ops[i]);
		cr_assert_eq(h.stdout_len, 0);
		cr_assert_str_eq(h.stderr_text, "");
	}
}

Test(hook, other_operations_do_not_break_libvirts_pipe, .timeout = 20)
{
	_cleanup_free_ char *xml = calloc(1, 500000);
	int fds[2];
	struct hook h;
	size_t sent = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(fds), 0);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	setup(&h, false);
	start(&h, "vm1", "reconnect", fds[0]);
	while (sent < 500000) {
		ssize_t n = write(fds[1], xml + sent, 500000 - sent);

		cr_assert(n > 0, "%s after %zu bytes", strerror(errno), sent);
		sent += (size_t)n;
	}
	(void)close(fds[1]);
	finish(&h);
	cr_assert_eq(h.status, 0);
	cr_assert(h.took_ms < 900);
}

/* --- policy `require` --------------------------------------------------------------- */

#define ON_BLUE                                                                                    \
	"<domain><name>vm1</name><devices><interface type='network'><source network='blue'/>"      \
	"</interface></devices></domain>"

/* A directory of marks with one for `words`; the hook is told of it. */
static void mark(char dir[32], const char *words)
{
	char path[64];
	FILE *file;

	(void)strcpy(dir, "/tmp/sfh-req-XXXXXX");
	cr_assert(mkdtemp(dir));
	(void)setenv("SFHYBRID_REQUIRE_DIR", dir, 1);
	if (!words)
		return;
	(void)snprintf(path, sizeof(path), "%s/net", dir);
	file = fopen(path, "w");
	cr_assert(file);
	(void)fputs(words, file);
	(void)fclose(file);
}

static void unmark(const char *dir)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/net", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	(void)unsetenv("SFHYBRID_REQUIRE_DIR");
}

Test(hook, a_required_network_asks_before_the_start, .timeout = 20)
{
	struct hook h;
	char dir[32];

	mark(dir, "network='blue'");
	exchange(&h, "prepare", ON_BLUE, "{\"ok\":true,\"length\":0}\n");
	cr_assert_eq(h.status, 0);
	exchange(&h, "prepare", ON_BLUE, "{\"ok\":false,\"error\":\"none is free\"}\n");
	cr_assert_eq(h.status, 1);
	cr_assert_str_eq(h.stderr_text, "sfhybrid: none is free\n");
	unmark(dir);
}

Test(hook, a_required_network_without_the_agent_refuses, .timeout = 20)
{
	struct hook h;
	char dir[32];

	mark(dir, "network='blue'");
	setup(&h, false);
	start(&h, "vm1", "prepare", input_file(ON_BLUE, strlen(ON_BLUE)));
	finish(&h);
	cr_assert_eq(h.status, 1);
	cr_assert(strstr(h.stderr_text, "policy is 'require'"), "%s", h.stderr_text);
	cr_assert(strstr(h.stderr_text, "systemctl start sfhybridd"), "%s", h.stderr_text);
	unmark(dir);
}

Test(hook, a_guest_on_another_network_needs_nobody, .timeout = 20)
{
	struct hook h;
	char dir[32];

	mark(dir, "network='bluer'");
	setup(&h, false);
	start(&h, "vm1", "prepare", input_file(ON_BLUE, strlen(ON_BLUE)));
	finish(&h);
	cr_assert_eq(h.status, 0);
	cr_assert_str_eq(h.stderr_text, "");
	unmark(dir);
}

Test(hook, reconnect_is_let_pass_whatever_is_required, .timeout = 20)
{
	struct hook h;
	char dir[32];

	mark(dir, "network='blue'");
	setup(&h, false);
	start(&h, "vm1", "reconnect", input_file(ON_BLUE, strlen(ON_BLUE)));
	finish(&h);
	cr_assert_eq(h.status, 0);
	unmark(dir);
}
