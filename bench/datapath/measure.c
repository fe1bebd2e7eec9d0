// SPDX-License-Identifier: GPL-2.0-or-later
/* One sample: the generator runs for a while on its CPU, and with it everything that
 * the frames pass, for a veth's softirq runs where the frame was sent. */
#include "bench/datapath/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "datapath.skel.h"

/* Frames in one system call: its own cost is spread over so many. */
#define FRAMES_A_CALL	     100000
#define FRAMES_A_CALL_READER 20000
#define DRAIN_NS	     200000000ull

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ns that a kernel thread named `comm` has run. */
static uint64_t kthread_ns(const char *comm)
{
	static char paths[2][64];
	char buf[64], path[64];
	unsigned int cpu = (unsigned int)(comm[strlen(comm) - 1] - '0') & 1;
	unsigned long long ns = 0;
	FILE *f;

	if (!paths[cpu][0]) {
		DIR *proc = opendir("/proc");
		struct dirent *de;

		while (proc && (de = readdir(proc)) && !paths[cpu][0]) {
			(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", de->d_name);
			f = fopen(path, "re");
			if (!f)
				continue;
			if (fgets(buf, sizeof(buf), f) &&
			    strncmp(buf, comm, strlen(comm)) == 0 && buf[strlen(comm)] == '\n')
				(void)snprintf(paths[cpu], sizeof(paths[cpu]), "/proc/%.20s/schedstat",
					       de->d_name);
			(void)fclose(f);
		}
		if (proc)
			(void)closedir(proc);
	}
	f = fopen(paths[cpu], "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	(void)fclose(f);
	return ns;
}

/* Everything that spent CPU on frames: generator (with the softirqs that run in
 * it), reader, and the threads that softirqs are put off to. */
static double cpu_ns(const struct dp_rival *r)
{
	uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + kthread_ns("ksoftirqd/0");
	clockid_t clock;

	if (r->has_reader) {
		ns += kthread_ns("ksoftirqd/1");
		if (pthread_getcpuclockid(r->reader, &clock) == 0)
			ns += clock_ns(clock);
	}
	return (double)(ns - r->bpf->bss->dp_wait_ns);
}

static uint64_t delivered(const struct dp_rival *r)
{
	return r->has_reader ? r->bpf->bss->dp_read : r->bpf->bss->dp_sunk;
}

/* What is on its way when the generator stops still counts. */
static void drain(const struct dp_rival *r, uint64_t sent_before, uint64_t delivered_before)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + DRAIN_NS;

	while (delivered(r) - delivered_before < r->bpf->bss->dp_sent - sent_before &&
	       clock_ns(CLOCK_MONOTONIC) < end)
		(void)sched_yield();
}

int dp_measure(struct dp_rival *r, double seconds, bool keep, struct sfh_error *err)
{
	uint32_t frames = r->has_reader ? FRAMES_A_CALL_READER : FRAMES_A_CALL;
	int prog = bpf_program__fd(r->bpf->progs.dp_generate), rc;
	uint64_t from, until, sent, got, now;
	struct dp_sample s;
	cpu_set_t cpus;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = r->frame, .data_size_in = DP_FRAME_LEN,
		    .repeat = (int)frames, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	CPU_ZERO(&cpus);
	CPU_SET(DP_GENERATOR_CPU, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return sfh_err(err, -errno, "cannot pin the generator: %s", strerror(errno));
	rc = dp_rival_enter(r, err);
	if (rc < 0)
		return rc;
	sent = r->bpf->bss->dp_sent;
	got = delivered(r);
	s.cpu_ns = cpu_ns(r);
	from = clock_ns(CLOCK_MONOTONIC);
	until = from + (uint64_t)(seconds * 1e9);
	do {
		rc = bpf_prog_test_run_opts(prog, &o);
		now = clock_ns(CLOCK_MONOTONIC);
		if (rc < 0 && rc != -EINTR)
			return sfh_err(err, rc, "%s: cannot generate frames: %s", r->plan->name,
				       strerror(-rc));
	} while (now < until);
	drain(r, sent, got);
	s.seconds = (double)(clock_ns(CLOCK_MONOTONIC) - from) / 1e9;
	s.cpu_ns = cpu_ns(r) - s.cpu_ns;
	s.sent = r->bpf->bss->dp_sent - sent;
	s.delivered = delivered(r) - got;
	if (keep && r->n_samples < DP_MAX_SAMPLES)
		r->samples[r->n_samples++] = s;
	return 0;
}
