// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/failover/legs.h"

#include <stdlib.h>

/* Probes of the standby leg come in by it on whichever leg the guest is, one a second: that
 * is not growing. Nobody but the guest sends there. */
#define LEAST_SENT     1
#define LEAST_RECEIVED 2

static int by_guest_time(const void *a, const void *b)
{
	const struct sfh_frame_event *x = a, *y = b;

	return x->guest_ns < y->guest_ns ? -1 : x->guest_ns > y->guest_ns;
}

/* In the order of the looks, on the client's clock. */
static void arrange(struct sfh_frame_list *counter, const struct sfh_guest_clock *clock)
{
	if (!counter->n)
		return;
	qsort(counter->v, counter->n, sizeof(*counter->v), by_guest_time);
	for (size_t i = 0; i < counter->n; i++)
		counter->v[i].t_ns = sfh_guest_clock_map(clock, counter->v[i].guest_ns);
}

/* Between two looks: the first in which the counter grew, or the last. */
static struct sfh_leg_seen grew(const struct sfh_frame_list *counter, uint32_t least,
				const struct sfh_switch_mark *s)
{
	const struct sfh_frame_event *v = counter->v;
	struct sfh_leg_seen seen = {0};

	for (size_t i = 1; i < counter->n; i++) {
		/* It has 32 bits in the guest's frames. */
		if ((uint32_t)(v[i].seq - v[i - 1].seq) < least || v[i].t_ns < s->from_ns ||
		    v[i].t_ns > s->to_ns)
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
	arrange(&log->leg_sent, clock);
	arrange(&log->leg_received, clock);
	for (unsigned i = 0; i < m->nswitches; i++) {
		f->sent[i] = grew(&log->leg_sent, LEAST_SENT, &m->switches[i]);
		f->received[i] = grew(&log->leg_received, LEAST_RECEIVED, &m->switches[i]);
	}
}
