// SPDX-License-Identifier: GPL-2.0-or-later
/* sfhybridd: options, start, loop, end. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "ctl/agent/agent.h"
#include "ctl/core/probe.h"
#include "ctl/engine/warm.h"
#include "sfhybrid/version.h"

#define WORKERS 8
/* So many calls of one client libvirtd works on (max_client_requests): two are for others. */
#define MIGRATIONS 3
#define MIGRATIONS_MOST 64

static bool verbose;

void sfh_agent_log(int priority, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	if (priority == LOG_DEBUG && !verbose)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* systemd and a person both read stderr; the prefix is sd-daemon(3)'s. */
	if (getenv("JOURNAL_STREAM"))
		(void)fprintf(stderr, "<%d>%s\n", priority, text);
	else
		(void)fprintf(stderr, "%11.3f %s\n", (double)sfh_now_ns() / 1e9, text);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct sfh_agent *a = userdata;

	(void)source;
	(void)usec;
	sfh_engine_tick(&a->engine);
	sfh_agent_rearm(a);
	return 0;
}

void sfh_agent_rearm(struct sfh_agent *a)
{
	uint64_t next;

	sfh_engine_warm_look(&a->engine);
	sfh_engine_rx_look(&a->engine);
	next = sfh_engine_next(&a->engine);
	if (next == UINT64_MAX) {
		(void)sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(a->timer, next / 1000);
	(void)sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	(void)source;
	(void)si;
	return sd_event_exit(((struct sfh_agent *)userdata)->loop, 0);
}

/* Makes dir (0700) and takes a lock in it: one agent a host. */
static int claim(const char *dir, struct sfh_error *err)
{
	char path[256];
	int fd;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return sfh_err(err, -errno, "cannot make %s: %s", dir, strerrordesc_np(errno));
	(void)snprintf(path, sizeof(path), "%s/agent.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return sfh_err(err, -errno, "cannot open %s: %s", path, strerrordesc_np(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return sfh_err(err, -EBUSY, "another sfhybridd runs on this host");
	}
	return fd; /* held until the process ends */
}

/* --reconcile: nothing is under way any more, and whoever asked has his answer. */
static int on_idle(sd_event_source *source, void *userdata)
{
	struct sfh_agent *a = userdata;

	(void)source;
	if (!a->repaired || a->requests || a->network_jobs)
		return 0;
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (!sfh_pair_at_rest(p))
			return 0;
	return sd_event_exit(a->loop, 0);
}

static int start(struct sfh_agent *a, struct sfh_error *err)
{
	char path[256];
	sigset_t mask;
	int r;

	if (geteuid() != 0)
		return sfh_err(err, -EPERM, "sfhybridd must run as root");
	r = claim(a->env.run_dir, err);
	if (r < 0)
		return r;
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL); /* before any thread is made */
	(void)signal(SIGPIPE, SIG_IGN);

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, a->env.run_dir);
	r = sfh_ledger_open(path, true, &a->ledger, err);
	if (r < 0)
		return r;
	(void)mkdir(a->env.lib_dir, 0755);
	(void)snprintf(path, sizeof(path), "%s/" SFH_HISTORY_NAME, a->env.lib_dir);
	r = sfh_history_open(path, true, &a->history, err);
	if (r > 0)
		sfh_agent_log(LOG_WARNING, "the history was damaged: it is %s.damaged now, and a new "
					   "one is begun", path);
	if (r < 0) {
		/* A full disk must not take the guests' NICs away. */
		sfh_agent_log(LOG_WARNING, "no history is kept: %s", err->text);
		err->code = 0;
	}
	r = sfh_nl_open(&a->nl, err);
	if (r == 0)
		r = sfh_fdb_new(a->ledger, &sfh_fdb_netlink, a->nl, &a->fdb, err);
	if (r < 0)
		return r;
	a->probe_fd = sfh_probe_socket();
	if (a->probe_fd < 0)
		return sfh_err(err, a->probe_fd, "cannot open a packet socket: %s",
			       strerrordesc_np(-a->probe_fd));
	sfh_engine_init(&a->engine, &sfh_agent_kernel_ops, a, &sfh_agent_hypervisor_ops, a,
			&sfh_agent_listener, a, a->ledger);
	r = sd_event_default(&a->loop);
	if (r >= 0)
		r = sd_event_add_signal(a->loop, NULL, SIGTERM, on_signal, a);
	if (r >= 0)
		r = sd_event_add_signal(a->loop, NULL, SIGINT, on_signal, a);
	if (r >= 0) /* tells systemd that the loop turns; nothing if no WatchdogSec= */
		r = sd_event_set_watchdog(a->loop, true);
	if (r >= 0) /* accuracy 1 us: the default of 250 ms would dwarf what is measured */
		r = sd_event_add_time(a->loop, &a->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer,
				      a);
	if (r >= 0)
		r = sfh_worker_start(a->loop, WORKERS, &a->worker);
	if (r >= 0)
		r = sfh_agent_events_init(a);
	if (r < 0)
		return sfh_err(err, r, "cannot set up the event loop: %s", strerrordesc_np(-r));
	if (a->once && (r = sd_event_add_post(a->loop, NULL, on_idle, a)) < 0)
		return sfh_err(err, r, "cannot set up the event loop: %s", strerrordesc_np(-r));
	r = sfh_pfwatch_start(a, err);
	return r < 0 ? r : sfh_server_start(a, err);
}

static void usage(FILE *to)
{
	(void)fprintf(to, "usage: sfhybridd [-v] [--connect URI] [--migrations N]\n"
			  "       sfhybridd --reconcile [-v] [--connect URI]\n"
			  "       sfhybridd --state-table | --version | --help\n\n"
			  "The agent of sfhybrid: runs in the foreground, logs to stderr, ends on SIGTERM;\n"
			  "guests and their datapath go on without it.\n\n"
			  "  -v, --verbose      log every event of every pair\n"
			  "  --connect URI      libvirt to work with (qemu:///system)\n"
			  "  --migrations N     migrations under way at a time, 1 to 64; others wait (3)\n"
			  "  --reconcile        take over, answer one 'fsck --repair', and end when no switch is\n"
			  "                     under way (what 'sfhybrid-ctl fsck --repair' starts without an agent)\n"
			  "  --state-table      print what each event does to a pair in each state\n");
}

/* 1 to `most`, or 0: it is not. */
static unsigned number(const char *text, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && v <= most ? (unsigned)v : 0;
}

static void print_state_table(void)
{
	size_t n;
	const struct sfh_transition *t = sfh_pair_table(&n);

	(void)printf("%-11s %-15s %s\n", "STATE", "EVENT", "ACTION");
	for (size_t i = 0; i < n; i++)
		(void)printf("%-11s %-15s %s\n", sfh_pair_state_name(t[i].state),
			     sfh_pair_event_name(t[i].event), t[i].doc);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },	   { "connect", required_argument, NULL, 'c' },
		{ "migrations", required_argument, NULL, 'm' },
		{ "reconcile", no_argument, NULL, 'r' },
		{ "state-table", no_argument, NULL, 't' }, { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	   { NULL, 0, NULL, 0 },
	};
	static struct sfh_agent agent = {
		.env = SFH_ENV_DEFAULT,
		.libvirt_uri = "qemu:///system",
		.migrations_most = MIGRATIONS,
		.steer_lock = PTHREAD_MUTEX_INITIALIZER,
		.network_lock = PTHREAD_MUTEX_INITIALIZER,
		.event_lock = PTHREAD_MUTEX_INITIALIZER,
		.virt_lock = PTHREAD_RWLOCK_INITIALIZER,
	};
	struct sfh_error err = { 0 };
	int c, r;

	while ((c = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
		switch (c) {
		case 'v':
			verbose = true;
			break;
		case 'c':
			agent.libvirt_uri = optarg;
			break;
		case 'm':
			agent.migrations_most = number(optarg, MIGRATIONS_MOST);
			if (!agent.migrations_most) {
				(void)fprintf(stderr, "sfhybridd: --migrations takes 1 to %d, not '%s'\n",
					      MIGRATIONS_MOST, optarg);
				return 2;
			}
			break;
		case 'r':
			agent.once = true;
			break;
		case 't':
			print_state_table();
			return 0;
		case 'V':
			(void)printf("sfhybridd %s\n", SFHYBRID_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	r = start(&agent, &err);
	if (r < 0) {
		(void)fprintf(stderr, "sfhybridd: %s\n", err.text);
		return 1;
	}
	sfh_agent_log(LOG_INFO, "sfhybridd %s is ready", SFHYBRID_VERSION);
	(void)sd_notify(0, "READY=1");
	sfh_agent_connect(&agent);
	r = sd_event_loop(agent.loop);
	(void)sd_notify(0, "STOPPING=1");
	sfh_server_stop(&agent);
	sfh_agent_log(LOG_INFO, "sfhybridd ends; guests go on");
	/* Workers may sit in libvirt calls; the kernel frees what they hold. */
	sfh_history_close(&agent.history);
	(void)fflush(stderr);
	_exit(r < 0 ? 1 : 0);
}
