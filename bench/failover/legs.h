/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which leg the guest was on, by the counters of its standby leg that its frames carry: a
 * witness of the switches that no host takes part in. */
#ifndef SFH_BENCH_LEGS_H
#define SFH_BENCH_LEGS_H

#include "bench/failover/frames.h"
#include "bench/failover/guestclock.h"

/* Fills in `sent` and `received` of each of the marks' switches. */
void sfh_legs_figures(struct sfh_frame_log *log, const struct sfh_guest_clock *clock,
		      const struct sfh_marks *marks, struct sfh_figures *f);

#endif
