// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/failover/legs.h"

#include <errno.h>
#include <stdlib.h>

int sfh_legs_add(struct sfh_frame_log *log, uint64_t guest_ns, uint32_t sent, uint32_t received)
{
	if (log->nlegs == log->legs_size) {
		size_t size = log->legs_size ? 2 * log->legs_size : 1024;
		struct sfh_leg_sample *v = reallocarray(log->legs, size, sizeof(*v));

		if (!v)
			return -ENOMEM;
		log->legs = v;
		log->legs_size = size;
	}
	log->legs[log->nlegs++] =
		(struct sfh_leg_sample){.guest_ns = guest_ns, .sent = sent, .received = received};
	return 0;
}

static int by_guest_time(const void *a, const void *b)
{
	const struct sfh_leg_sample *x = a, *y = b;

	return x->guest_ns < y->guest_ns ? -1 : x->guest_ns > y->guest_ns;
}

/* Between two looks: the first in which the counter grew, or the last. Probes of the standby
 * leg come in by it on whichever leg the guest is, one a second: that is not growing. */
static struct sfh_leg_seen grew(const struct sfh_leg_sample *v, size_t n,
				const struct sfh_switch_mark *s, bool sent)
{
	struct sfh_leg_seen seen = {0};

	for (size_t i = 1; i < n; i++) {
		uint32_t more = sent ? v[i].sent - v[i - 1].sent : v[i].received - v[i - 1].received;

		if (more <= (sent ? 0 : 1) || v[i].t_ns < s->from_ns || v[i].t_ns > s->to_ns)
			continue;
		seen = (struct sfh_leg_seen){v[i - 1].t_ns, v[i].t_ns};
		if (!s->to_vf)
			break;
	}
	return seen;
}

void sfh_legs_figures(struct sfh_frame_log *log, const struct sfh_guest_clock *clock,
		      const struct sfh_marks *m, struct sfh_figures *f)
{
	qsort(log->legs, log->nlegs, sizeof(*log->legs), by_guest_time);
	for (size_t i = 0; i < log->nlegs; i++)
		log->legs[i].t_ns = sfh_guest_clock_map(clock, log->legs[i].guest_ns);
	for (unsigned i = 0; i < m->nswitches; i++) {
		f->sent[i] = grew(log->legs, log->nlegs, &m->switches[i], true);
		f->received[i] = grew(log->legs, log->nlegs, &m->switches[i], false);
	}
}
