/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's times on the client's clock. A guest's clock drifts, and stands still
 * while the guest is paused. No frame arrives before it was sent: each frame of the
 * guest bounds the offset between the clocks from above, each of the client from
 * below; in each stretch of time the tightest pair is taken. Half of what lies
 * between them is the error. */
#ifndef SFH_BENCH_GUESTCLOCK_H
#define SFH_BENCH_GUESTCLOCK_H

#include "bench/failover/frames.h"

struct sfh_guest_clock {
	struct sfh_clock_point {
		uint64_t guest_ns; /* the middle of the stretch */
		int64_t offset_ns; /* client - guest */
	} *points;
	size_t n;
	size_t resumed; /* the first point after the pause; n: there was none */
	uint64_t stop_guest_ns;
	uint64_t error_ns; /* the largest */
};

/* Also fills in log->at_guest's times. -EINVAL if no stretch has both bounds. */
int sfh_guest_clock_fit(struct sfh_guest_clock *clock, struct sfh_frame_log *log,
			const struct sfh_marks *marks);
uint64_t sfh_guest_clock_map(const struct sfh_guest_clock *clock, uint64_t guest_ns);
void sfh_guest_clock_free(struct sfh_guest_clock *clock);

#endif
