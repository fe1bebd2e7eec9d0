// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/control/agent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include "ctl/agent/agent.h"

/* --- what ctl/agent/main.c has for the other files --------------------------------------- */

void sfh_agent_log(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority > LOG_WARNING)
		return;
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

void sfh_agent_rearm(struct sfh_agent *a)
{
	uint64_t next = sfh_engine_next(&a->engine);

	if (next == UINT64_MAX) {
		(void)sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(a->timer, next / 1000);
	(void)sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
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

/* --- a hypervisor that says yes, from a worker, a little later ----------------------------- */

struct bench_process {
	struct sfh_agent agent;
	struct bench_host *host;
};

struct plug_job {
	struct sfh_job job;
	struct bench_process *b;
	char uuid[SFH_UUID_STRLEN];
	struct sfh_mac mac;
	struct sfh_bdf bdf;
	bool plug;
	long ms;
};

static void run_plug(struct sfh_job *job)
{
	const struct plug_job *j = (struct plug_job *)job;
	const struct timespec pause = { .tv_sec = j->ms / 1000,
					.tv_nsec = j->ms % 1000 * 1000000 };

	(void)nanosleep(&pause, NULL);
}

static void done_plug(struct sfh_job *job)
{
	struct plug_job *j = (struct plug_job *)job;
	struct sfh_engine *e = &j->b->agent.engine;

	if (j->plug) {
		bench_plugged(j->b->host, &j->bdf, j->uuid, &j->mac);
		sfh_engine_pair_event(e, j->uuid, &j->mac, SFH_EV_PLUGGED, NULL);
		sfh_engine_pair_event(e, j->uuid, &j->mac, SFH_EV_PROOF, NULL);
	} else {
		bench_unplugged(j->b->host, &j->bdf);
		sfh_engine_pair_event(e, j->uuid, &j->mac, SFH_EV_UNPLUGGED, NULL);
	}
	sfh_agent_rearm(&j->b->agent);
	free(j);
}

static void done_sleep(struct sfh_job *job)
{
	free(job);
}

static int submit(struct bench_process *b, const struct sfh_pair *p, bool plug)
{
	struct plug_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->b = b;
	(void)sfh_strcpy(j->uuid, sizeof(j->uuid), p->domain);
	j->mac = p->mac;
	j->bdf = p->lease.bdf;
	j->plug = plug;
	j->ms = 1;
	j->job.run = run_plug;
	j->job.done = done_plug;
	sfh_worker_submit(b->agent.worker, &j->job);
	return 0;
}

static int hv_plug(void *ctx, const struct sfh_pair *p)
{
	return submit(ctx, p, true);
}

static int hv_unplug(void *ctx, const struct sfh_pair *p)
{
	return submit(ctx, p, false);
}

static int hv_migrate(void *ctx, const char *uuid, const char *uri)
{
	(void)ctx;
	(void)uuid;
	(void)uri;
	return -ENOTSUP;
}

static const struct sfh_hypervisor_ops hv = {
	.plug = hv_plug, .unplug = hv_unplug, .migrate = hv_migrate };

/* --- the process ------------------------------------------------------------------------------ */

#define WORKERS 8 /* as ctl/agent/main.c */

static void add_network(struct bench_process *b)
{
	struct sfh_engine_network net = bench_network(b->host);
	struct sfh_agent_network *n = calloc(1, sizeof(*n));
	char xml[2048];
	int len = snprintf(xml, sizeof(xml),
			   "<network><name>" BENCH_NETWORK "</name>"
			   "<forward mode='pci-passthrough-hybrid'>");

	for (unsigned i = 0; i < b->host->npfs; i++)
		len += snprintf(xml + len, sizeof(xml) - (size_t)len, "<pf dev='pf%u'/>", i);
	len += snprintf(xml + len, sizeof(xml) - (size_t)len, "</forward></network>");
	if (!n || sfh_netdef_parse(xml, (size_t)len, &n->def, NULL) < 0)
		_exit(1);
	b->agent.networks = n;
	if (sfh_engine_network_add(&b->agent.engine, &net) < 0 ||
	    sfh_pool_refresh(&b->agent.engine, BENCH_NETWORK, NULL) < 0)
		_exit(1);
}

static void add_guests(struct bench_process *b, const struct bench_agent_options *o)
{
	for (unsigned i = 0; i < o->guests; i++) {
		struct sfh_guest_nic nic;
		struct sfh_guest_desc guest;

		bench_guest(b->host, i, -1, &nic, &guest);
		sfh_engine_guest_running(&b->agent.engine, &guest, false);
		if (o->held)
			sfh_engine_guest_event(&b->agent.engine, guest.uuid, SFH_EV_HOLD, "bench");
		sfh_engine_guest_event(&b->agent.engine, guest.uuid, SFH_EV_NEGOTIATED, NULL);
	}
}

static void hang_workers(struct bench_process *b)
{
	for (int i = 0; i < WORKERS; i++) {
		struct plug_job *j = calloc(1, sizeof(*j));

		if (!j)
			_exit(1);
		j->ms = 30000;
		j->job.run = run_plug;
		j->job.done = done_sleep;
		sfh_worker_submit(b->agent.worker, &j->job);
	}
}

static void serve(const struct bench_agent_options *o, const char *dir, struct bench_host *host)
{
	static struct bench_process b = {
		.agent = { .env = SFH_ENV_DEFAULT,
			   .steer_lock = PTHREAD_MUTEX_INITIALIZER,
			   .network_lock = PTHREAD_MUTEX_INITIALIZER,
			   .event_lock = PTHREAD_MUTEX_INITIALIZER,
			   .virt_lock = PTHREAD_RWLOCK_INITIALIZER },
	};
	struct sfh_agent *a = &b.agent;
	struct sfh_error err = { 0 };
	char path[96];
	int r;

	b.host = host;
	a->env.run_dir = dir;
	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, dir);
	r = sfh_ledger_open(path, true, &a->ledger, &err);
	sfh_engine_init(&a->engine, &bench_kernel_ops, host, &hv, &b, &sfh_agent_listener, a,
			a->ledger);
	if (r >= 0)
		r = sd_event_default(&a->loop);
	if (r >= 0)
		r = sd_event_add_time(a->loop, &a->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, a);
	if (r >= 0)
		r = sfh_worker_start(a->loop, WORKERS, &a->worker);
	if (r >= 0) {
		add_network(&b);
		add_guests(&b, o);
		if (o->libvirt_hangs)
			hang_workers(&b);
		sfh_agent_rearm(a);
		r = sfh_server_start(a, &err);
	}
	if (r < 0) {
		(void)fprintf(stderr, "bench-control: agent: %s (%d)\n", err.text, r);
		_exit(1);
	}
	(void)sd_event_loop(a->loop);
	_exit(0);
}

int bench_agent_start(const struct bench_agent_options *o, struct bench_agent *ret)
{
	struct bench_agent a = { .pid = -1 };
	int r = bench_dir_new(a.dir), fd = -1;

	if (r == 0)
		r = bench_host_new(o->npfs, o->nvfs, &a.host);
	if (r < 0)
		return r;
	(void)fflush(NULL);
	a.pid = fork();
	if (a.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGPIPE, SIG_IGN);
		serve(o, a.dir, a.host);
	}
	for (int i = 0; i < 1000 && fd < 0; i++) {
		const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

		(void)nanosleep(&pause, NULL);
		fd = bench_connect(a.dir);
	}
	*ret = a;
	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

void bench_agent_stop(struct bench_agent *a)
{
	if (a->pid > 0) {
		(void)kill(a->pid, SIGKILL);
		(void)waitpid(a->pid, NULL, 0);
	}
	bench_dir_free(a->dir);
	bench_host_free(&a->host);
}

/* --- a client ------------------------------------------------------------------------------------- */

int bench_connect(const char *dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" SFH_SOCKET_NAME, dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int bench_ask(int fd, const void *data, size_t n, char *answer, size_t size)
{
	size_t len = 0;

	if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
		return -EIO;
	for (;;) {
		char *end;
		ssize_t got = recv(fd, answer + len, size - 1 - len, 0);

		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		len += (size_t)got;
		answer[len] = '\0';
		while ((end = strchr(answer, '\n'))) {
			*end = '\0';
			if (!strstr(answer, "\"progress\""))
				return 0;
			len -= (size_t)(end + 1 - answer);
			memmove(answer, end + 1, len + 1);
		}
		if (len == size - 1)
			return -E2BIG;
	}
}
