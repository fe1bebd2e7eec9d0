// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/datapath/reader.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "datapath.skel.h"

static void *run(void *arg)
{
	struct dp_rival *r = arg;
	volatile __u64 *count = &r->bpf->bss->dp_read;
	char buf[2048];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(DP_READER_CPU, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	while (read(r->reader_fd, buf, sizeof(buf)) >= 0)
		(*count)++;
	return NULL;
}

int dp_reader_start(struct dp_rival *r, struct sfh_error *err)
{
	int rc = pthread_create(&r->reader, NULL, run, r);

	if (rc)
		return sfh_err(err, -rc, "cannot start a reader: %s", strerror(rc));
	r->has_reader = true;
	return 0;
}
