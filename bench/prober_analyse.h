/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a log of probes says about a stretch of time. Pure functions on a list of
 * events; bench/prober.c sends and receives.
 *
 * The log is text, one event a line, in the order of happening:
 *   # sfh-prober 1 interval_ns=20000000 target=192.0.2.7
 *   tx SEQ T_NS      an echo request went out (or was refused by the kernel)
 *   rx SEQ T_NS      an echo reply came in
 * SEQ counts from 0 without wrapping. T_NS is CLOCK_REALTIME of the prober's
 * machine in nanoseconds; for rx it is the kernel's time stamp of the frame where
 * there is one. Lines that begin with # are comments, but for the first. */
#ifndef SFHYBRID_BENCH_PROBER_ANALYSE_H
#define SFHYBRID_BENCH_PROBER_ANALYSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SFH_PROBE_LATE_NS 3000000000ull /* a reply that takes longer is a loss */

struct sfh_probe_event {
	uint64_t seq;
	uint64_t t_ns;
	bool rx;
};

struct sfh_probe_log {
	struct sfh_probe_event *events;
	size_t n, size;
	uint64_t interval_ns; /* 0: not said; then the median distance of the sends counts */
};

struct sfh_probe_result {
	uint64_t from_ns, to_ns; /* as asked for */
	uint64_t interval_ns;
	/* requests sent in [from,to): */
	uint64_t sent;
	uint64_t received;  /* answered in time */
	uint64_t lost;	    /* sent - received */
	uint64_t late;	    /* of the lost: answered, but too late */
	uint64_t dup;	    /* replies beyond the first */
	uint64_t reordered; /* first replies that came after one to a later request */
	uint64_t rtt_median_ns, rtt_max_ns; /* of those received; 0 if there is none */
	/* The longest silence that overlaps [from,to): between two replies in a
	 * row (to whatever request), less one interval, not cut at the window's
	 * edges. Where no reply precedes, it begins at the log's first request,
	 * where none follows it ends at the last one. */
	uint64_t gap_ns, gap_from_ns, gap_to_ns;
	/* The same of the sends: large when the prober itself was held up, and
	 * the gap then means nothing. */
	uint64_t tx_gap_ns;
};

/* 0 or -ENOMEM. */
int sfh_probe_log_add(struct sfh_probe_log *log, bool rx, uint64_t seq, uint64_t t_ns);
/* Appends what `f` holds. A last line that was cut short is dropped; anything
 * else that is no event is -EINVAL, with its number in *ret_line (may be NULL). */
int sfh_probe_log_read(struct sfh_probe_log *log, FILE *f, unsigned *ret_line);
void sfh_probe_log_free(struct sfh_probe_log *log);

/* from < to, else -EINVAL; -ENOMEM. The log is not changed. */
int sfh_probe_analyse(const struct sfh_probe_log *log, uint64_t from_ns, uint64_t to_ns,
		      struct sfh_probe_result *ret);

/* One line for a person, or one JSON object (times in ms and us with their unit
 * in the key, instants in ns as integers). */
void sfh_probe_print(FILE *f, const struct sfh_probe_result *result, bool json);

#endif
