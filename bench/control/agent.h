/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent itself, all of it but main() and libvirt, over a host in memory: a
 * process of its own that answers on a real socket. */
#ifndef SFH_BENCH_AGENT_H
#define SFH_BENCH_AGENT_H

#include <sys/types.h>

#include "bench/control/host.h"

struct bench_agent {
	pid_t pid;
	char dir[64];
	struct bench_host *host; /* only ->seen is the child's too */
};

struct bench_agent_options {
	unsigned npfs, nvfs;
	unsigned guests;     /* that run, with their standby on PF i % npfs */
	bool held;	     /* on their standby leg until asked; else accelerated at once */
	bool libvirt_hangs;  /* every worker sits in a call that takes 30 s */
};

int bench_agent_start(const struct bench_agent_options *options, struct bench_agent *ret);
void bench_agent_stop(struct bench_agent *agent);

/* Connects to an agent's socket; -errno. */
int bench_connect(const char *dir);
/* Sends and reads the final line of the answer (progress lines are skipped). 0, or -errno. */
int bench_ask(int fd, const void *data, size_t n, char *answer, size_t size);

#endif
