// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's qemu hook (/etc/libvirt/hooks/qemu.d/50-sfhybrid):
 *   50-sfhybrid DOMAIN OPERATION SUBOP EXTRA <domain.xml
 *
 * Only `migrate` and `restore` can change anything, the XML that they print;
 * they ask the agent, over its socket, and have DEADLINE_MS for all of it:
 * libvirt itself waits for ever. Every other operation is let pass at once. In
 * particular `reconnect`, where libvirt kills the guest if a hook fails.
 *
 * `prepare` asks too when a network that is up has the policy `require`: the agent
 * keeps a file for each in REQUIRE_DIR, with the words by which the domain's XML
 * names that network. Such a guest does not start without the agent.
 *
 * Without an answer a guest that brings no VF passes unchanged, and one that
 * brings one is refused: the host address in its XML is the source's, on this
 * host some other device may have it.
 *
 * Nothing of the XML is ever printed but as the answer: it holds passwords. */
#include "libvirt-glue/hook/answer.h"
#include "sfhybrid/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define SOCKET_PATH "/run/sfhybrid/agent.sock"
#define REQUIRE_DIR "/run/sfhybrid/require"
#define DEADLINE_MS 4000
#define DRAIN_MS 1000 /* for operations that are let pass unread */
#define XML_MAX (1024 * 1024)
#define DRAIN_MAX (16 * XML_MAX)
#define ANSWER_MAX (2 * XML_MAX)
#define LINE_MAX_BYTES 8192

/* libvirt-glue/domxml.h: SFH_ALIAS_VF_PREFIX; that header is not for this
 * program, tests/unit/test_hook.c compares the two */
#define VF_ALIAS_PREFIX "ua-sfv-"
#define VF_ALIAS_PREFIX_LEN (sizeof(VF_ALIAS_PREFIX) - 1)

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What fd is ready for (> 0), or -ETIMEDOUT when the deadline has passed. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline - now_ms();
		int r;

		if (left <= 0)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)left);
		if (r > 0)
			return p.revents;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* --- the XML on stdin ---------------------------------------------------------*/

struct input {
	char *xml; /* up to XML_MAX bytes */
	size_t len;
	bool too_large;
	bool has_vf; /* an alias of ours for a VF stands anywhere in it, kept or not */
	bool requires_vf; /* names a network whose policy is `require` */
	int error;   /* negative errno: stdin ended early or too late */
};

static void scan(struct input *in, char *tail, size_t *ntail, const char *chunk, size_t n)
{
	char seam[2 * VF_ALIAS_PREFIX_LEN];
	size_t keep, head = n < VF_ALIAS_PREFIX_LEN ? n : VF_ALIAS_PREFIX_LEN;

	/* the prefix may lie across two reads */
	memcpy(seam, tail, *ntail);
	memcpy(seam + *ntail, chunk, head);
	if (memmem(seam, *ntail + head, VF_ALIAS_PREFIX, VF_ALIAS_PREFIX_LEN) ||
	    memmem(chunk, n, VF_ALIAS_PREFIX, VF_ALIAS_PREFIX_LEN))
		in->has_vf = true;
	if (n >= VF_ALIAS_PREFIX_LEN - 1) {
		*ntail = VF_ALIAS_PREFIX_LEN - 1;
		memcpy(tail, chunk + n - *ntail, *ntail);
		return;
	}
	memcpy(seam + *ntail, chunk, n);
	keep = *ntail + n < VF_ALIAS_PREFIX_LEN - 1 ? *ntail + n : VF_ALIAS_PREFIX_LEN - 1;
	memcpy(tail, seam + *ntail + n - keep, keep);
	*ntail = keep;
}

/* Reads to the end, also what is too large to keep: whoever writes must not see
 * its pipe break. */
static void read_input(struct input *in, int64_t deadline)
{
	static char chunk[65536];
	char tail[VF_ALIAS_PREFIX_LEN];
	size_t ntail = 0, total = 0;

	for (;;) {
		ssize_t n;

		in->error = wait_for(STDIN_FILENO, POLLIN, deadline);
		if (in->error < 0)
			return;
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			in->error = n < 0 ? -errno : 0;
			return;
		}
		total += (size_t)n;
		scan(in, tail, &ntail, chunk, (size_t)n);
		if (total > DRAIN_MAX) {
			in->too_large = true;
			in->error = -E2BIG;
			return;
		}
		if (total > XML_MAX) {
			in->too_large = true;
			continue;
		}
		memcpy(in->xml + in->len, chunk, (size_t)n);
		in->len += (size_t)n;
	}
}

/* For operations that need no answer. */
static void drain_input(void)
{
	static char chunk[65536];
	int64_t deadline = now_ms() + DRAIN_MS;
	size_t total = 0;
	ssize_t n;

	do {
		if (wait_for(STDIN_FILENO, POLLIN, deadline) < 0)
			return;
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n > 0)
			total += (size_t)n;
	} while ((n > 0 && total <= DRAIN_MAX) || (n < 0 && errno == EINTR));
}

/* --- the agent -------------------------------------------------------------------*/

static int connect_agent(const char *path, int64_t deadline)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	(void)strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: the agent lives, and its queue is full */
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 20);
	}
	return TAKE_FD(fd);
}

/* -EPIPE also when an answer comes while there is still something to send: an
 * agent that refuses may do so without reading everything. */
static int send_all(int fd, const char *p, size_t n, int64_t deadline)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w >= 0) {
			p += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN) {
			int r = wait_for(fd, POLLOUT | POLLIN, deadline);

			if (r < 0)
				return r;
			if (!(r & POLLOUT))
				return -EPIPE;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* One read; 0 at the end of the stream. */
static ssize_t recv_some(int fd, char *p, size_t n, int64_t deadline)
{
	for (;;) {
		int r = wait_for(fd, POLLIN, deadline);
		ssize_t got;

		if (r < 0)
			return r;
		got = recv(fd, p, n, 0);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

/* The answer line, and into *ret_xml the bytes behind it. -EBADMSG: not what the
 * protocol says. */
static int receive_answer(int fd, int64_t deadline, struct hook_answer *answer, char **ret_xml)
{
	_cleanup_free_ char *xml = NULL;
	static char line[LINE_MAX_BYTES];
	size_t n = 0, have;
	char *end;

	do {
		ssize_t got;

		if (n == sizeof(line))
			return -EBADMSG;
		got = recv_some(fd, line + n, sizeof(line) - n, deadline);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return -EBADMSG;
		n += (size_t)got;
		end = memchr(line, '\n', n);
	} while (!end);
	if (sfh_hook_parse_answer(line, (size_t)(end - line), answer) < 0)
		return -EBADMSG;
	have = n - (size_t)(end + 1 - line);
	if (answer->length > ANSWER_MAX || have > answer->length)
		return -EBADMSG;
	if (!answer->length)
		return 0;
	xml = malloc(answer->length);
	if (!xml)
		return -ENOMEM;
	memcpy(xml, end + 1, have);
	while (have < answer->length) {
		ssize_t got = recv_some(fd, xml + have, answer->length - have, deadline);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return -EBADMSG;
		have += (size_t)got;
	}
	*ret_xml = TAKE_PTR(xml);
	return 0;
}

static int ask_agent(const char *path, const char *op, const char *domain, const struct input *in,
		     int64_t deadline, struct hook_answer *answer, char **ret_xml)
{
	_cleanup_close_ int fd = -1;
	char header[2048];
	int n, r, sent;

	n = sfh_hook_format_request(op, domain, in->len, header, sizeof(header));
	if (n < 0)
		return n;
	fd = connect_agent(path, deadline);
	if (fd < 0)
		return fd;
	sent = send_all(fd, header, (size_t)n, deadline);
	if (sent == 0)
		sent = send_all(fd, in->xml, in->len, deadline);
	if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET)
		return sent;
	r = receive_answer(fd, deadline, answer, ret_xml);
	return sent < 0 && (r < 0 || answer->ok) ? sent : r;
}

/* --- what it means for libvirt ------------------------------------------------- */

static int print_xml(const char *p, size_t n, int64_t deadline)
{
	while (n) {
		/* what fits into a pipe that poll() calls writable does not block */
		size_t chunk = n < 4096 ? n : 4096;
		int r = wait_for(STDOUT_FILENO, POLLOUT, deadline);
		ssize_t w;

		if (r < 0)
			return r;
		w = write(STDOUT_FILENO, p, chunk);
		if (w < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

static const char *cause_text(int cause)
{
	switch (-cause) {
	case ETIMEDOUT:
		return "gave no answer in time";
	case EBADMSG:
		return "gave an answer that makes no sense (is it of another version?)";
	case EPIPE:
	case ECONNRESET:
		return "hung up";
	case ENOENT:
	case ECONNREFUSED:
		return "is not running";
	default:
		return strerror(-cause);
	}
}

/* --- policy `require` ------------------------------------------------------------ */

static const char *require_dir(void)
{
	const char *dir = getenv("SFHYBRID_REQUIRE_DIR");

	return dir && *dir ? dir : REQUIRE_DIR;
}

/* Whether a file of `dir` holds words that stand in the XML; with in NULL, whether
 * there is any file at all. */
static bool is_required(const char *dir, const struct input *in)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	bool found = false;

	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		_cleanup_close_ int fd = -1;
		char words[2048];
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		if (!in) {
			found = true;
			continue;
		}
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, words, sizeof(words));
		found = n > 0 && memmem(in->xml, in->len, words, (size_t)n);
	}
	(void)closedir(d);
	return found;
}

/* No answer: exit status and the sentence. */
static int without_agent(const char *op, const char *domain, const struct input *in,
			 const char *what)
{
	bool restore = !strcmp(op, "restore");

	if (!strcmp(op, "prepare")) {
		if (!in->requires_vf && !in->error && !in->too_large)
			return 0;
		(void)fprintf(stderr,
			      "sfhybrid: '%s' is on a network whose policy is 'require', but %s: "
			      "`systemctl start sfhybridd`, then start it again\n",
			      domain, what);
		return 1;
	}
	/* an input that was not read to its end may hold anything */
	if (!in->has_vf && !in->error) {
		(void)fprintf(stderr,
			      "sfhybrid: warning: %s; '%s' brings no VF and goes on unchanged\n",
			      what, domain);
		return 0;
	}
	if (restore)
		(void)fprintf(stderr,
			      "sfhybrid: '%s' was saved with a VF, which needs the agent, but %s: "
			      "`systemctl start sfhybridd` here, then restore it again\n",
			      domain, what);
	else
		(void)fprintf(
			stderr,
			"sfhybrid: '%s' arrives with a VF, which needs the agent, but %s: "
			"`systemctl start sfhybridd` here and migrate it again, or use "
			"`sfhybrid-ctl migrate` on the source, which takes the VF off first\n",
			domain, what);
	return 1;
}

static int answer_libvirt(const char *op, const char *domain)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	const char *path = getenv("SFHYBRID_SOCKET");
	_cleanup_free_ char *buffer = malloc(XML_MAX), *xml = NULL;
	struct input in = {.xml = buffer};
	struct hook_answer answer = {0};
	char what[512], shown[128];
	size_t i;
	int r;

	for (i = 0; domain[i] && i < sizeof(shown) - 1; i++)
		shown[i] = (unsigned char)domain[i] < ' ' || domain[i] == 0x7f ? '?' : domain[i];
	shown[i] = '\0';
	if (!path || !*path)
		path = SOCKET_PATH;
	if (!buffer) {
		(void)fprintf(stderr, "sfhybrid: '%s' refused: out of memory\n", shown);
		return 1;
	}

	read_input(&in, deadline);
	if (in.too_large) {
		(void)snprintf(what, sizeof(what), "its XML is larger than %d bytes", XML_MAX);
		return without_agent(op, shown, &in, what);
	}
	if (in.error < 0) {
		(void)snprintf(what, sizeof(what), "its XML could not be read (%s)",
			       strerror(-in.error));
		return without_agent(op, shown, &in, what);
	}
	if (!strcmp(op, "prepare")) {
		in.requires_vf = is_required(require_dir(), &in);
		if (!in.requires_vf)
			return 0;
	}
	r = ask_agent(path, op, domain, &in, deadline, &answer, &xml);
	if (r < 0) {
		(void)snprintf(what, sizeof(what), "the agent (%s) %s", path, cause_text(r));
		return without_agent(op, shown, &in, what);
	}
	if (!answer.ok) {
		(void)fprintf(stderr, "sfhybrid: %s\n", answer.error);
		return 1;
	}
	r = print_xml(xml, answer.length, deadline);
	if (r < 0) {
		(void)fprintf(stderr, "sfhybrid: '%s': cannot hand the XML to libvirt: %s\n", shown,
			      strerror(-r));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc >= 3 && (!strcmp(argv[2], "migrate") || !strcmp(argv[2], "restore")))
		return answer_libvirt(argv[2], argv[1]);
	if (argc >= 3 && !strcmp(argv[2], "prepare") && is_required(require_dir(), NULL))
		return answer_libvirt(argv[2], argv[1]);
	drain_input();
	return 0;
}
