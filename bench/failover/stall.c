// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-stall SECONDS: the longest time for which this CPU did not run a program that
 * wanted to, every millisecond, for that long; JSON. Runs in a guest: what stops its
 * vCPU shows as a stall. */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define INTERVAL_NS 1000000ull
#define LONG_NS (10 * INTERVAL_NS)

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	struct itimerspec when = {.it_interval = {0, INTERVAL_NS}, .it_value = {0, INTERVAL_NS}};
	double seconds = argc == 2 ? strtod(argv[1], NULL) : 0;
	struct sigaction sa = {.sa_handler = end}; /* no SA_RESTART: the read ends */
	struct sched_param fifo = {.sched_priority = 50};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t last, first, ticks, longest = 0, at = 0, sum = 0;
	unsigned n = 0;

	if (seconds <= 0 || timer < 0) {
		(void)fprintf(stderr, "usage: sfh-stall SECONDS\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sched_setscheduler(0, SCHED_FIFO, &fifo);
	(void)mlockall(MCL_CURRENT);
	(void)timerfd_settime(timer, 0, &when, NULL);
	first = last = now_ns();
	while (!ended && last - first < (uint64_t)(seconds * 1e9)) {
		uint64_t now, late;

		if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		now = now_ns();
		late = now - last > INTERVAL_NS ? now - last - INTERVAL_NS : 0;
		if (late > longest) {
			longest = late;
			at = last - first;
		}
		if (late > LONG_NS) {
			n++;
			sum += late;
		}
		last = now;
	}
	(void)printf("{\"longest_ms\":%.3f,\"at_ms\":%.3f,\"over_10ms\":%u,\"over_10ms_sum_ms\":%.3f}\n",
		     (double)longest / 1e6, (double)at / 1e6, n, (double)sum / 1e6);
	return 0;
}
