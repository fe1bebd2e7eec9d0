// SPDX-License-Identifier: GPL-2.0-or-later
/* Eight clients that lease and release through the agent's socket, fewer VFs than
 * guests; and what an agent with 1016 pairs costs. */
#include "bench/control/bench.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/control/agent.h"
#include "ctl/core/env.h"

#define CLIENTS 8
#define LEASES 1000
#define GUESTS 16

struct client {
	pthread_t thread;
	const char *dir;
	unsigned number;
	unsigned leases, refused;
	int result;
};

static int verb(int fd, const char *name, unsigned guest, bool *ret_ok)
{
	char request[128], answer[4096];
	int n = snprintf(request, sizeof(request), "{\"verb\":\"%s\",\"domain\":\"guest%u\"}\n", name,
			 guest);
	int r = bench_ask(fd, request, (size_t)n, answer, sizeof(answer));

	*ret_ok = r == 0 && strstr(answer, "\"ok\":true");
	return r;
}

static void *client(void *arg)
{
	struct client *c = arg;
	_cleanup_close_ int fd = bench_connect(c->dir);
	bool ok = false;

	c->result = fd < 0 ? fd : 0;
	for (unsigned i = 0; c->result == 0 && c->leases < LEASES / CLIENTS; i++) {
		unsigned guest = c->number + i % (GUESTS / CLIENTS) * CLIENTS;

		c->result = verb(fd, "accelerate", guest, &ok);
		c->leases += c->result == 0 && ok;
		c->refused += c->result == 0 && !ok;
		if (c->result == 0)
			c->result = verb(fd, "standby", guest, &ok);
		if (c->result == 0 && !ok)
			c->result = -EPROTO;
	}
	return NULL;
}

static int count_lease(void *ctx, const struct sfh_lease *lease)
{
	(void)lease;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned leases_left(const char *dir)
{
	struct sfh_ledger *l = NULL;
	unsigned n = 1000000; /* unless it can be read */
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, dir);
	if (sfh_ledger_open(path, false, &l, NULL) == 0) {
		n = 0;
		(void)sfh_ledger_leases(l, count_lease, &n);
	}
	sfh_ledger_close(&l);
	return n;
}

static void crowd(void)
{
	static const struct bench_agent_options options = { .npfs = 1, .nvfs = 6, .guests = GUESTS,
							    .held = true };
	struct client clients[CLIENTS] = { { 0 } };
	struct bench_agent agent;
	unsigned leases = 0, refused = 0;
	uint64_t begin;
	int failed = bench_agent_start(&options, &agent);

	if (failed < 0) {
		bench_result("clients_failed", "the agent does not start", "", 1, 0);
		return;
	}
	begin = sfh_now_ns();
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i].dir = agent.dir;
		clients[i].number = i;
		if (pthread_create(&clients[i].thread, NULL, client, &clients[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		(void)pthread_join(clients[i].thread, NULL);
		leases += clients[i].leases;
		refused += clients[i].refused;
		failed |= clients[i].result;
	}
	bench_note("clients_leases", "leases and releases by 8 clients at once, 16 guests, 6 VFs", "",
		   leases);
	bench_note("clients_seconds", "time for all of them (a plug takes 1 ms)", "s",
		   (double)(sfh_now_ns() - begin) / 1e9);
	bench_note("clients_refused", "answers 'no-free-vf' among them", "", refused);
	bench_result("clients_failed", "clients that got no answer, or a wrong one", "", failed != 0, 0);
	bench_result("clients_missing", "leases that are missing of 1000", "", LEASES - (double)leases,
		     0);
	bench_result("double_booked", "VFs or MACs given out twice", "",
		     (double)agent.host->seen->double_booked, 0);
	bench_result("leases_left", "leases left in the ledger afterwards", "", leases_left(agent.dir),
		     0);
	bench_agent_stop(&agent);
}

/* --- an agent with 1016 pairs ------------------------------------------------------------- */

static double rss_mib(pid_t pid)
{
	char path[64], line[256];
	double kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kib) == 1)
			break;
	if (f)
		(void)fclose(f);
	return kib / 1024;
}

static double cpu_ms(pid_t pid)
{
	char path[64];
	unsigned long utime = 0, stime = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime,
			   &stime) != 2)
			utime = 0;
		(void)fclose(f);
	}
	return (double)(utime + stime) * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static void size(void)
{
	static const struct bench_agent_options options = { .npfs = BENCH_PFS, .nvfs = BENCH_VFS,
							    .guests = BENCH_PFS * BENCH_VFS };
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 }, rest = { .tv_sec = 3 };
	struct bench_agent agent;
	double before;

	if (bench_agent_start(&options, &agent) < 0) {
		bench_result("rss_mib", "the agent does not start", "", 1, 0);
		return;
	}
	for (int i = 0; i < 400 && agent.host->seen->plugs < options.guests; i++)
		(void)nanosleep(&pause, NULL);
	(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	bench_result("pairs_missing", "pairs on their VF that are missing of 1016", "",
		     (double)(options.guests - agent.host->seen->plugs), 0);
	bench_result("size_double_booked", "VFs or MACs given out twice", "",
		     (double)agent.host->seen->double_booked, 0);
	bench_result("rss_mib", "resident memory of an agent with 1016 pairs", "MiB",
		     rss_mib(agent.pid), 20);
	before = cpu_ms(agent.pid);
	(void)nanosleep(&rest, NULL);
	bench_result("idle_cpu_ms", "CPU that it takes in 3 s when nothing happens", "ms",
		     cpu_ms(agent.pid) - before, 10);
	bench_agent_stop(&agent);
}

void bench_clients(void)
{
	if (geteuid() != 0) { /* the agent's socket is root's */
		bench_skip("clients", "8 clients at once", "needs root");
		bench_skip("rss_mib", "an agent with 1016 pairs", "needs root");
		return;
	}
	crowd();
	size();
}
