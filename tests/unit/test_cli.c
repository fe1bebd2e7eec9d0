// SPDX-License-Identifier: GPL-2.0-or-later
/* sfhybrid-ctl as a process: exit status, where its words go, and what it says to
 * the agent. Each test has /run and /var/lib to itself. Needs root. */
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ctl/core/env.h"
#include "sfhybrid/version.h"
#include "tests/unit/fakes.h"
#include "tests/unit/tree.h"

#ifndef SFH_TEST_BUILD
#define SFH_TEST_BUILD "build"
#endif

static int binary = -1;

static void init(void)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	binary = open(SFH_TEST_BUILD "/sfhybrid-ctl", O_RDONLY);
	cr_assert_geq(binary, 0, SFH_TEST_BUILD "/sfhybrid-ctl is not built: run 'make'");
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), 0);
	cr_assert_eq(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=755"), 0);
	cr_assert_eq(mkdir("/run/sfhybrid", 0700), 0);
	cr_assert_eq(mkdir("/var/lib/sfhybrid", 0700), 0);
}

TestSuite(cli, .init = init, .timeout = 30);

/* --- running it ---------------------------------------------------------------------- */

struct result {
	int status; /* exit status; -1: killed */
	char out[8192], err[4096];
};

static uid_t as = 0;

static void slurp(FILE *f, char *buf, size_t n)
{
	rewind(f);
	buf[fread(buf, 1, n - 1, f)] = '\0';
	(void)fclose(f);
}

static struct result *run_argv(const char *const argv[])
{
	static struct result r;
	FILE *out = tmpfile(), *err = tmpfile();
	int status;
	pid_t pid;

	cr_assert(out && err);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		(void)dup2(null, 0);
		(void)dup2(fileno(out), 1);
		(void)dup2(fileno(err), 2);
		if (as && (setgroups(0, NULL) < 0 || setgid(as) < 0 || setuid(as) < 0))
			_exit(98);
		(void)fexecve(binary, (char *const *)argv, environ);
		_exit(99);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	cr_assert(r.status != 98 && r.status != 99, "it could not be run");
	slurp(out, r.out, sizeof(r.out));
	slurp(err, r.err, sizeof(r.err));
	return &r;
}

#define run(...) run_argv((const char *const[]){ "sfhybrid-ctl", ##__VA_ARGS__, NULL })

/* One line that begins with the program's name and ends. */
static void one_sentence(const struct result *r)
{
	size_t n = strlen(r->err);

	cr_expect_eq(strncmp(r->err, "sfhybrid-ctl: ", 14), 0, "%s", r->err);
	cr_expect(n > 20 && strchr(r->err, '\n') == r->err + n - 1, "one sentence: \"%s\"", r->err);
	cr_expect_str_eq(r->out, "");
}

/* What DESIGN.md lists, with arguments that are enough of them. */
static const struct {
	const char *name, *arg[2];
	int nargs;
} verbs[] = {
	{ "define", { "/dev/null" }, 1 },	{ "undefine", { "blue" }, 1 },
	{ "up", { "blue" }, 1 },		{ "down", { "blue" }, 1 },
	{ "list", { 0 }, 0 },			{ "dumpxml", { "blue" }, 1 },
	{ "set", { "blue", "policy=never" }, 2 }, { "status", { 0 }, 0 },
	{ "accelerate", { "web" }, 1 },		{ "standby", { "web" }, 1 },
	{ "migrate", { "web", "test:///there" }, 2 }, { "history", { 0 }, 0 },
	{ "doctor", { 0 }, 0 },			{ "fsck", { 0 }, 0 },
	{ "version", { 0 }, 0 },
};

/* --- help and usage -------------------------------------------------------------------- */

Test(cli, help_lists_every_verb)
{
	static const char *const ways[] = { "--help", "-h", "help" };

	for (size_t w = 0; w < SFH_ARRAY_SIZE(ways); w++) {
		const struct result *r = run(ways[w]);

		cr_assert_eq(r->status, 0, "%s", ways[w]);
		cr_assert_str_eq(r->err, "");
		for (size_t i = 0; i < SFH_ARRAY_SIZE(verbs); i++) {
			char line[32];

			(void)snprintf(line, sizeof(line), "\n  %s ", verbs[i].name);
			cr_expect(strstr(r->out, line), "%s: no '%s'", ways[w], verbs[i].name);
		}
	}
}

Test(cli, help_of_every_verb)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(verbs); i++) {
		const struct result *r = run(verbs[i].name, "--help");
		char line[64];

		(void)snprintf(line, sizeof(line), "usage: sfhybrid-ctl %s", verbs[i].name);
		cr_expect_eq(r->status, 0, "%s", verbs[i].name);
		cr_expect(strstr(r->out, line) == r->out, "%s: %s", verbs[i].name, r->out);
		cr_expect_str_eq(r->err, "", "%s", verbs[i].name);
	}
}

Test(cli, no_verb)
{
	const struct result *r = run();

	cr_assert_eq(r->status, 2);
	cr_assert_str_eq(r->out, "");
	cr_assert(strstr(r->err, "usage: sfhybrid-ctl"));
}

Test(cli, unknown_verb)
{
	static const char *const bad[] = { "frobnicate", "stat", "UP", "", "up " };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		const struct result *r = run(bad[i]);
		char quoted[32];

		(void)snprintf(quoted, sizeof(quoted), "unknown verb '%s'", bad[i]);
		cr_expect_eq(r->status, 2, "'%s'", bad[i]);
		cr_expect(strstr(r->err, quoted), "%s", r->err);
		cr_expect_str_eq(r->out, "");
	}
}

Test(cli, missing_arguments)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(verbs); i++) {
		const struct result *r;

		if (verbs[i].nargs == 0)
			continue;
		r = verbs[i].nargs == 1 ? run(verbs[i].name) : run(verbs[i].name, verbs[i].arg[0]);
		cr_expect_eq(r->status, 2, "%s", verbs[i].name);
		cr_expect(strstr(r->err, "missing"), "%s: %s", verbs[i].name, r->err);
		cr_expect_str_eq(r->out, "");
	}
}

Test(cli, too_many_arguments)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(verbs); i++) {
		const struct result *r;

		/* these take any number: PFs, settings */
		if (strcmp(verbs[i].name, "doctor") == 0 || strcmp(verbs[i].name, "set") == 0)
			continue;
		r = run(verbs[i].name, "one", "two", "three");
		cr_expect_eq(r->status, 2, "%s", verbs[i].name);
		cr_expect(strstr(r->err, "unexpected argument '"), "%s: %s", verbs[i].name, r->err);
	}
}

Test(cli, unknown_options)
{
	static const char *const bad[] = { "--forced", "-f", "--watch", "--force=yes" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		const struct result *r = run("up", bad[i], "blue");
		char quoted[40];

		(void)snprintf(quoted, sizeof(quoted), "unknown option '%s'", bad[i]);
		cr_expect_eq(r->status, 2, "%s", bad[i]);
		cr_expect(strstr(r->err, quoted), "%s", r->err);
	}
	cr_assert_eq(run("--bogus", "up", "blue")->status, 2, "before the verb too");
	cr_assert_eq(run("list", "--connect")->status, 2, "its URI is missing");
}

Test(cli, numbers)
{
	static const char *const bad[] = { "0", "-1", "x", "3x", "", "99999999999999999999" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_expect_eq(run("history", "--limit", bad[i])->status, 2, "'%s'", bad[i]);
	cr_expect_eq(run("history", "--limit")->status, 2);
	cr_expect_eq(run("history", "--limit", "3")->status, 0);
}

Test(cli, two_dashes_end_the_options)
{
	const struct result *r = run("up", "--", "--help");

	cr_assert_eq(r->status, 1, "a network of that name is asked for: %s", r->err);
	cr_assert(strstr(r->err, "agent is not running"), "%s", r->err);
}

Test(cli, version)
{
	json_t *o;

	cr_assert_eq(run("version")->status, 0);
	cr_assert_str_eq(run("version")->out, "sfhybrid-ctl " SFHYBRID_VERSION "\n");
	cr_assert_str_eq(run("--version")->out, "sfhybrid-ctl " SFHYBRID_VERSION "\n");
	o = json_loads(run("--json", "version")->out, 0, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(o, "version")), SFHYBRID_VERSION);
	cr_assert_eq(json_integer_value(json_object_get(o, "schema")), SFHYBRID_JSON_SCHEMA);
	json_decref(o);
}

/* --- who may ------------------------------------------------------------------------------ */

Test(cli, anyone_may_read_help_and_version)
{
	as = 65534;
	cr_assert_eq(run("--help")->status, 0);
	cr_assert_eq(run("up", "--help")->status, 0);
	cr_assert_eq(run("version")->status, 0);
	cr_assert_eq(run("--version")->status, 0);
}

Test(cli, nothing_else_without_root)
{
	as = 65534;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(verbs); i++) {
		const struct result *r;

		if (strcmp(verbs[i].name, "version") == 0)
			continue;
		r = verbs[i].nargs == 0	  ? run(verbs[i].name)
		    : verbs[i].nargs == 1 ? run(verbs[i].name, verbs[i].arg[0])
					  : run(verbs[i].name, verbs[i].arg[0], verbs[i].arg[1]);
		cr_expect_eq(r->status, 1, "%s", verbs[i].name);
		one_sentence(r);
		cr_expect(strstr(r->err, "must run as root"), "%s: %s", verbs[i].name, r->err);
	}
}

/* --- without an agent ------------------------------------------------------------------------ */

Test(cli, what_writes_needs_the_agent)
{
	static const char *const writes[] = { "undefine", "up", "down", "accelerate", "standby" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(writes); i++) {
		const struct result *r = run(writes[i], "blue");

		cr_expect_eq(r->status, 1, "%s", writes[i]);
		one_sentence(r);
		cr_expect(strstr(r->err, "the agent is not running"), "%s", r->err);
		cr_expect(strstr(r->err, "sfhybridd"), "says what to start: %s", r->err);
	}
	cr_expect_eq(run("migrate", "web", "qemu+ssh://there/system")->status, 1);
}

Test(cli, errors_are_json_with_json)
{
	static const char *const where[][3] = { { "--json", "up", "blue" }, { "up", "--json", "blue" },
						{ "up", "blue", "--json" } };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(where); i++) {
		const struct result *r = run(where[i][0], where[i][1], where[i][2]);
		json_t *o = json_loads(r->out, 0, NULL);

		cr_expect_eq(r->status, 1);
		cr_expect_str_eq(r->err, "", "stdout has the one object, stderr nothing");
		cr_assert(o, "not JSON: %s", r->out);
		cr_expect(strstr(json_string_value(json_object_get(o, "error")), "not running"));
		cr_expect_eq(json_integer_value(json_object_get(o, "schema")), SFHYBRID_JSON_SCHEMA);
		json_decref(o);
	}
}

#define NO_UTF8 "bl\xfc" "e" /* Latin-1 */

/* As JSON and in words alike: one error, and why. */
static void refuses_no_utf8(const char *verb, const char *arg, const char *more, const char *why)
{
	const struct result *r = run("--json", verb, arg, more);
	json_t *o = json_loads(r->out, 0, NULL);

	cr_expect_eq(r->status, 1, "%s", verb);
	cr_assert(o, "%s: not JSON: %s", verb, r->out);
	cr_expect(strstr(json_string_value(json_object_get(o, "error")) ?: "", why), "%s: %s", verb,
		  r->out);
	json_decref(o);
	r = run(verb, arg, more);
	cr_expect_eq(r->status, 1, "%s", verb);
	one_sentence(r);
	cr_expect(strstr(r->err, why), "%s: %s", verb, r->err);
}

Test(cli, arguments_that_are_not_utf8)
{
	static const char *const writes[] = { "undefine", "up", "down", "accelerate", "standby" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(writes); i++)
		refuses_no_utf8(writes[i], NO_UTF8, NULL, "not UTF-8");
	refuses_no_utf8("migrate", NO_UTF8, "qemu+ssh://there/system", "not UTF-8");
	refuses_no_utf8("set", "blue", "policy=" NO_UTF8, "not UTF-8");
	refuses_no_utf8("set", NO_UTF8, "policy=never", "not UTF-8");
	refuses_no_utf8("define", "/nonexistent" NO_UTF8, NULL, "cannot read '/nonexistentbl?e'");
	refuses_no_utf8("status", NO_UTF8, NULL, "no hybrid network 'bl?e' is up");
}

Test(cli, files_that_are_no_network)
{
	const struct result *r = run("define", "/nonexistent.xml");
	char big[64] = "/run/big.xml";
	FILE *file;

	cr_expect_eq(r->status, 1);
	one_sentence(r);
	cr_expect(strstr(r->err, "cannot read '/nonexistent.xml': No such file"), "%s", r->err);
	file = fopen("/run/nul.xml", "we");
	cr_assert(file && fwrite("<a/>\0<b/>", 1, 9, file) == 9 && fclose(file) == 0);
	r = run("define", "/run/nul.xml");
	cr_expect_eq(r->status, 1);
	one_sentence(r);
	cr_expect(strstr(r->err, "NUL"), "%s", r->err);
	file = fopen(big, "we");
	cr_assert(file && fclose(file) == 0 && truncate(big, 2 << 20) == 0);
	r = run("define", big);
	cr_expect_eq(r->status, 1);
	one_sentence(r);
	cr_expect(strstr(r->err, "larger than 1 MiB"), "%s", r->err);
}

Test(cli, no_libvirt)
{
	const struct result *r = run("list"); /* /run is empty: no socket of libvirtd's */

	cr_expect_eq(r->status, 1);
	one_sentence(r);
	cr_expect(strstr(r->err, "libvirtd"), "%s", r->err);
	r = run("--connect", "test:///default", "dumpxml", "no-such-network");
	cr_expect_eq(r->status, 1);
	one_sentence(r);
	cr_expect(strstr(r->err, "no-such-network"), "%s", r->err);
}

Test(cli, networks_that_are_not_ours_are_not_listed)
{
	const struct result *r = run("--json", "--connect", "test:///default", "list");
	json_t *o = json_loads(r->out, 0, NULL);

	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(json_is_array(json_object_get(o, "networks")));
	cr_assert_eq(json_array_size(json_object_get(o, "networks")), 0);
	json_decref(o);
}

Test(cli, every_verb_is_in_this_version)
{
	const struct result *r = run("--help");

	cr_expect_eq(strstr(r->out, "not in this version"), NULL, "%s", r->out);
}

Test(cli, status_before_anything_was_up)
{
	const struct result *r = run("status");
	json_t *o;

	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert(strstr(r->out, "The agent is not running"), "%s", r->out);
	o = json_loads(run("--json", "status")->out, 0, NULL);
	cr_assert(json_is_false(json_object_get(o, "agent")));
	cr_assert_eq(json_array_size(json_object_get(o, "networks")), 0);
	cr_assert_eq(json_array_size(json_object_get(o, "pairs")), 0);
	json_decref(o);
	r = run("status", "blue");
	cr_assert_eq(r->status, 1);
	one_sentence(r);
	cr_assert(strstr(r->err, "no hybrid network 'blue' is up"), "%s", r->err);
	cr_assert_neq(access("/run/sfhybrid/" SFH_LEDGER_NAME, F_OK), 0, "a reader writes nothing");
}

Test(cli, status_shows_what_a_dead_agent_left)
{
	struct sfh_ledger_network net = { "blue", "macvtap-bridge", "prefer", "", SFH_NETWORK_UP, "" };
	struct sfh_ledger_pair row = { .domain = GUEST, .domain_name = "web", .mac = mac_a,
				       .network = "blue", .pf = "eth9", .standby = "macvtap0",
				       .state = "standby", .reason = "no-free-vf",
				       .profile = "tenants" };
	struct sfh_ledger *l = NULL;
	const struct result *r;
	json_t *o, *p;

	cr_assert_eq(sfh_ledger_open("/run/sfhybrid/" SFH_LEDGER_NAME, true, &l, NULL), 0);
	cr_assert_eq(sfh_ledger_network_put(l, &net, NULL), 0);
	cr_assert_eq(sfh_ledger_pair_put(l, &row, NULL), 0);
	r = run("status");
	cr_assert_eq(r->status, 0);
	cr_assert(strstr(r->out, "52:54:00:00:00:0a") && strstr(r->out, "no-free-vf"), "%s", r->out);
	cr_assert(strstr(r->out, "port profile 'tenants' not in force on the standby leg"), "%s",
		  r->out);
	r = run("--json", "status", "blue");
	o = json_loads(r->out, 0, NULL);
	cr_assert(o, "%s", r->out);
	p = json_array_get(json_object_get(o, "pairs"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(p, "domain")), "web");
	cr_assert_str_eq(json_string_value(json_object_get(p, "leg")), "standby");
	cr_assert_str_eq(json_string_value(json_object_get(p, "reason")), "no-free-vf");
	cr_assert_str_eq(json_string_value(json_object_get(p, "profile")), "tenants");
	p = json_array_get(json_object_get(o, "networks"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(p, "state")), "up");
	json_decref(o);
	sfh_ledger_close(&l);
}

static void filter_row(struct sfh_ledger *l, const struct sfh_mac *mac, const char *state,
		       const char *why, bool further)
{
	struct sfh_ledger_fdb fdb = { .pf = "eth9", .mac = *mac, .ifindex = 9 };
	struct sfh_ledger_rx rx = { .domain = GUEST, .nic = mac_a, .mac = *mac, .pf = "eth9" };

	(void)strcpy(fdb.state, state);
	(void)strcpy(fdb.why, why);
	cr_assert_eq(sfh_ledger_fdb_put(l, &fdb, NULL), 0);
	if (further)
		cr_assert_eq(sfh_ledger_rx_put(l, &rx, NULL), 0);
}

Test(cli, status_shows_which_addresses_are_in_the_filter)
{
	static const struct sfh_mac group = { { 0x01, 0, 0x5e, 0, 0, 0xfb } };
	struct sfh_ledger_pair row = { .domain = GUEST, .domain_name = "web", .mac = mac_a,
				       .network = "blue", .pf = "eth9", .standby = "vnet0",
				       .state = "standby", .reason = "no-free-vf" };
	struct sfh_ledger *l = NULL;
	json_t *o, *p, *a;

	cr_assert_eq(sfh_ledger_open("/run/sfhybrid/" SFH_LEDGER_NAME, true, &l, NULL), 0);
	cr_assert_eq(sfh_ledger_pair_put(l, &row, NULL), 0);
	filter_row(l, &mac_a, "ours", "", false);
	o = json_loads(run("--json", "status")->out, 0, NULL);
	p = json_array_get(json_object_get(o, "pairs"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(p, "filter")), "ours");
	cr_assert_null(json_object_get(p, "addresses"));
	json_decref(o);
	filter_row(l, &group, "theirs", "it was in the filter already", true);
	filter_row(l, &mac_b, "refused", "the NIC has no room for one more address", true);
	o = json_loads(run("--json", "status")->out, 0, NULL);
	a = json_object_get(json_array_get(json_object_get(o, "pairs"), 0), "addresses");
	cr_assert_eq(json_array_size(a), 2);
	p = json_array_get(a, 0);
	cr_assert_str_eq(json_string_value(json_object_get(p, "mac")), "01:00:5e:00:00:fb");
	cr_assert_str_eq(json_string_value(json_object_get(p, "filter")), "theirs");
	p = json_array_get(a, 1);
	cr_assert_str_eq(json_string_value(json_object_get(p, "mac")), "52:54:00:00:00:0b");
	cr_assert_str_eq(json_string_value(json_object_get(p, "filter")), "refused");
	cr_assert_str_eq(json_string_value(json_object_get(p, "filter_why")),
			 "the NIC has no room for one more address");
	json_decref(o);
	cr_assert(strstr(run("status")->out,
			 "52:54:00:00:00:0a further addresses in the filter of eth9: 1; refused: 1 (the "
			 "NIC has no room for one more address)"),
		  "%s", run("status")->out);
	sfh_ledger_close(&l);
}

Test(cli, history_of_none_and_of_one)
{
	struct sfh_switch sw = { .domain = GUEST, .domain_name = "web", .network = "blue",
				 .mac = mac_a, .cause = "start", .to_vf = true, .ok = true,
				 .begin_ns = 1, .end_ns = 2500001 };
	struct sfh_history *h = NULL;
	json_t *o, *row;

	o = json_loads(run("--json", "history")->out, 0, NULL);
	cr_assert(json_is_array(json_object_get(o, "switches")));
	cr_assert_eq(json_array_size(json_object_get(o, "switches")), 0);
	json_decref(o);
	cr_assert_eq(sfh_history_open("/var/lib/sfhybrid/" SFH_HISTORY_NAME, true, &h, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	o = json_loads(run("history", "--json", "--limit", "1", "web")->out, 0, NULL);
	cr_assert_eq(json_array_size(json_object_get(o, "switches")), 1);
	row = json_array_get(json_object_get(o, "switches"), 0);
	cr_assert_eq(json_integer_value(json_object_get(row, "id")), 2);
	cr_assert_str_eq(json_string_value(json_object_get(row, "direction")), "to-vf");
	cr_assert_float_eq(json_real_value(json_object_get(row, "total_ms")), 2.5, 0.001);
	json_decref(o);
	cr_assert(strstr(run("history", "web")->out, "to-vf"));
	cr_assert_null(strstr(run("history", "other")->out, "to-vf"));
	sfh_history_close(&h);
}

/* An agent that cut a text within a character must not take the row with it. */
Test(cli, history_of_what_is_not_utf8)
{
	struct sfh_switch sw = { .domain = GUEST, .domain_name = "web", .network = "blue",
				 .mac = mac_a, .cause = "start", .error = "no m\xfc" "re \xc3" };
	struct sfh_history *h = NULL;
	json_t *o, *row;

	cr_assert_eq(sfh_history_open("/var/lib/sfhybrid/" SFH_HISTORY_NAME, true, &h, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	o = json_loads(run("--json", "history")->out, 0, NULL);
	cr_assert_eq(json_array_size(json_object_get(o, "switches")), 1);
	row = json_array_get(json_object_get(o, "switches"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(row, "error")), "no m?re ");
	json_decref(o);
	cr_assert(strstr(run("history")->out, "no m?re"));
	sfh_history_close(&h);
}

/* --- with an agent, here a thread with a prepared answer ----------------------------------------- */

struct agent {
	int fd;
	const char *answer;
	char request[4096];
	pthread_t thread;
};

static void *agent_thread(void *arg)
{
	struct agent *a = arg;
	int fd = accept(a->fd, NULL, NULL);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	while (used < sizeof(a->request) - 1 && !strchr(a->request, '\n') &&
	       (n = read(fd, a->request + used, sizeof(a->request) - 1 - used)) > 0)
		used += (size_t)n;
	(void)!write(fd, a->answer, strlen(a->answer));
	(void)close(fd);
	return NULL;
}

static void agent_start(struct agent *a, const char *answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX,
				    .sun_path = "/run/sfhybrid/" SFH_SOCKET_NAME };

	*a = (struct agent){ .answer = answer };
	(void)unlink(addr.sun_path);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(a->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(a->fd, 4), 0);
	cr_assert_eq(pthread_create(&a->thread, NULL, agent_thread, a), 0);
}

/* The request it got, as JSON; the caller's. */
static json_t *agent_end(struct agent *a)
{
	json_t *o;

	cr_assert_eq(pthread_join(a->thread, NULL), 0);
	(void)close(a->fd);
	o = json_loads(a->request, 0, NULL);
	cr_assert(o, "the request is not one JSON object: %s", a->request);
	return o;
}

static void asks(const struct result *r, struct agent *a, const char *expect)
{
	json_t *got = agent_end(a), *want = json_loads(expect, 0, NULL);

	cr_expect_eq(r->status, 0, "%s", r->err);
	cr_assert(want);
	cr_expect(json_equal(got, want), "%s", a->request);
	json_decref(got);
	json_decref(want);
}

Test(cli, what_each_verb_asks_of_the_agent)
{
	static const char ok[] = "{\"ok\":true,\"network\":\"blue\",\"pairs\":[]}\n";
	struct agent a;

	agent_start(&a, ok);
	asks(run("up", "blue"), &a, "{\"verb\":\"up\",\"network\":\"blue\",\"yes\":false}");
	agent_start(&a, ok);
	asks(run("down", "blue"), &a, "{\"verb\":\"down\",\"network\":\"blue\",\"force\":false,\"yes\":false}");
	agent_start(&a, ok);
	asks(run("down", "--force", "blue"), &a,
	     "{\"verb\":\"down\",\"network\":\"blue\",\"force\":true,\"yes\":false}");
	agent_start(&a, ok);
	asks(run("undefine", "blue"), &a, "{\"verb\":\"undefine\",\"network\":\"blue\"}");
	agent_start(&a, ok);
	asks(run("accelerate", "we\"b"), &a, "{\"verb\":\"accelerate\",\"domain\":\"we\\\"b\"}");
	agent_start(&a, ok);
	asks(run("standby", "web"), &a, "{\"verb\":\"standby\",\"domain\":\"web\"}");
	agent_start(&a, ok);
	asks(run("migrate", "web", "qemu+ssh://there/system", "--persistent"), &a,
	     "{\"verb\":\"migrate\",\"domain\":\"web\",\"uri\":\"qemu+ssh://there/system\","
	     "\"persistent\":true,\"undefinesource\":false,\"force\":false}");
}

Test(cli, define_hands_the_file_over)
{
	struct agent a;

	tree_write("/run", "blue.xml", "<network><name>blue</name></network>\n");
	agent_start(&a, "{\"ok\":true,\"network\":\"blue\",\"defined\":true}\n");
	asks(run("define", "/run/blue.xml"), &a,
	     "{\"verb\":\"define\",\"xml\":\"<network><name>blue</name></network>\\n\"}");
}

Test(cli, done_or_done_already)
{
	struct agent a;
	const struct result *r;

	agent_start(&a, "{\"ok\":true,\"network\":\"blue\",\"up\":true}\n");
	r = run("up", "blue");
	cr_assert_str_eq(r->out, "network 'blue' is up\n");
	json_decref(agent_end(&a));
	agent_start(&a, "{\"ok\":true,\"network\":\"blue\",\"up\":false}\n");
	r = run("up", "blue");
	cr_assert_eq(r->status, 0, "twice is harmless");
	cr_assert_str_eq(r->out, "network 'blue' was up already\n");
	json_decref(agent_end(&a));
}

Test(cli, the_agents_refusal)
{
	struct agent a;
	const struct result *r;
	json_t *o;

	agent_start(&a, "{\"ok\":false,\"error\":\"PF 'eth9' does not exist\"}\n");
	r = run("up", "blue");
	cr_assert_eq(r->status, 1);
	cr_assert_str_eq(r->err, "sfhybrid-ctl: PF 'eth9' does not exist\n");
	cr_assert_str_eq(r->out, "");
	json_decref(agent_end(&a));
	agent_start(&a, "{\"ok\":false,\"error\":\"PF 'eth9' does not exist\"}\n");
	r = run("--json", "up", "blue");
	cr_assert_eq(r->status, 1);
	cr_assert_str_eq(r->err, "");
	o = json_loads(r->out, 0, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(o, "error")), "PF 'eth9' does not exist");
	json_decref(o);
	json_decref(agent_end(&a));
}

Test(cli, what_would_interrupt_traffic_is_not_done_unasked)
{
	static const char answer[] =
		"{\"ok\":false,\"confirm\":true,\"error\":\"PF 'eth2' carries 1 address(es)\"}\n";
	struct agent a;
	const struct result *r;

	/* no terminal here: the answer is no */
	agent_start(&a, answer);
	r = run("up", "blue");
	cr_assert_eq(r->status, 1);
	one_sentence(r);
	cr_assert(strstr(r->err, "PF 'eth2' carries 1 address(es); nothing was done (--yes"), "%s",
		  r->err);
	json_decref(agent_end(&a));
	agent_start(&a, "{\"ok\":true,\"network\":\"blue\",\"up\":true}\n");
	asks(run("up", "--yes", "blue"), &a,
	     "{\"verb\":\"up\",\"network\":\"blue\",\"yes\":true}");
}

Test(cli, an_agent_that_dies)
{
	static const char *const ends[] = { "", "{\"progress\":\"begun\"}\n" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(ends); i++) {
		struct agent a;
		const struct result *r;

		agent_start(&a, ends[i]);
		r = run("up", "blue");
		cr_expect_eq(r->status, 1);
		cr_expect(strstr(r->err, "the agent ended before it answered"), "%s", r->err);
		json_decref(agent_end(&a));
	}
}

Test(cli, an_agent_that_talks_nonsense)
{
	static const char *const ends[] = { "what?\n", "[]\n", "{}\n", "{\"ok\":1}\n", "\n" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(ends); i++) {
		struct agent a;
		const struct result *r;

		agent_start(&a, ends[i]);
		r = run("up", "blue");
		cr_expect_eq(r->status, 1, "%s", ends[i]);
		one_sentence(r);
		json_decref(agent_end(&a));
	}
}

Test(cli, progress_is_no_part_of_the_json)
{
	static const char talk[] = "{\"progress\":\"Begin\"}\n{\"progress\":\"Perform\"}\n"
				   "{\"ok\":true,\"network\":\"blue\",\"up\":true}\n";
	struct agent a;
	const struct result *r;
	json_t *o;

	agent_start(&a, talk);
	r = run("up", "blue");
	cr_assert_str_eq(r->out, "Begin\nPerform\nnetwork 'blue' is up\n");
	json_decref(agent_end(&a));
	agent_start(&a, talk);
	r = run("--json", "up", "blue");
	cr_assert_str_eq(r->err, "Begin\nPerform\n");
	o = json_loads(r->out, 0, NULL);
	cr_assert(json_is_true(json_object_get(o, "up")), "%s", r->out);
	json_decref(o);
	json_decref(agent_end(&a));
}

/* --- Ctrl-C -------------------------------------------------------------------------------------- */

/* The next client of the agent's socket, and its request. */
static int next_client(int listener, char request[1024])
{
	int fd = accept(listener, NULL, NULL);
	size_t used = 0;
	ssize_t n;

	cr_assert_geq(fd, 0);
	request[0] = '\0';
	while (!strchr(request, '\n') && (n = read(fd, request + used, 1023 - used)) > 0) {
		used += (size_t)n;
		request[used] = '\0';
	}
	return fd;
}

static void answer(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* At a terminal what is printed is out at once, also that of a process that ends without
 * flushing anything. */
Test(cli, a_cancel_that_fails_is_no_part_of_the_json)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX,
				    .sun_path = "/run/sfhybrid/" SFH_SOCKET_NAME };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), migrate, cancel, status;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	static char request[1024], out[8192], err[4096];
	FILE *errors = tmpfile();
	size_t used = 0;
	ssize_t n;
	json_t *o;
	pid_t pid;

	cr_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(listener, 4), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		static const char *const argv[] = { "sfhybrid-ctl", "--json", "migrate", "web",
						    "qemu+ssh://there/system", NULL };

		(void)dup2(open(ptsname(terminal), O_RDWR | O_NOCTTY), 1);
		(void)dup2(fileno(errors), 2);
		(void)fexecve(binary, (char *const *)argv, environ);
		_exit(99);
	}
	migrate = next_client(listener, request);
	cr_assert(strstr(request, "\"migrate\""), "%s", request);
	cr_assert_eq(kill(pid, SIGINT), 0);
	cancel = next_client(listener, request);
	cr_assert(strstr(request, "\"migrate-cancel\""), "%s", request);
	answer(cancel, "{\"ok\":false,\"error\":\"it is over already\"}\n");
	cr_assert_eq(read(cancel, request, 1), 0, "it has said so");
	answer(migrate, "{\"ok\":true,\"migrated\":true}\n");
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	while (used < sizeof(out) - 1 && (n = read(terminal, out + used, sizeof(out) - 1 - used)) > 0)
		used += (size_t)n;
	slurp(errors, err, sizeof(err));
	o = json_loads(out, 0, NULL);
	cr_assert(o, "not one object: %s", out);
	cr_assert(json_is_true(json_object_get(o, "migrated")));
	cr_assert(strstr(err, "sfhybrid-ctl: it is over already"), "%s", err);
	json_decref(o);
	(void)close(migrate);
	(void)close(cancel);
	(void)close(listener);
	(void)close(terminal);
}
