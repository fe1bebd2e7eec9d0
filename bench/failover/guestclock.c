// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/failover/guestclock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STRETCH_NS 1000000000ull
/* Around the stop a guest's receiving can be on either side of it. */
#define DOUBT_NS 50000000ull

struct bounds {
	int64_t lower, upper;
	uint64_t from, to; /* guest's times that were seen */
	bool has_lower, has_upper;
};

static void widen(struct bounds *b, uint64_t guest)
{
	if (!b->has_lower && !b->has_upper)
		b->from = b->to = guest;
	b->from = guest < b->from ? guest : b->from;
	b->to = guest > b->to ? guest : b->to;
}

static void above(struct bounds *b, uint64_t guest, int64_t offset)
{
	widen(b, guest);
	if (!b->has_upper || offset < b->upper)
		b->upper = offset;
	b->has_upper = true;
}

static void below(struct bounds *b, uint64_t guest, int64_t offset)
{
	widen(b, guest);
	if (!b->has_lower || offset > b->lower)
		b->lower = offset;
	b->has_lower = true;
}

static bool in_doubt(uint64_t guest, uint64_t stop)
{
	return stop && guest + DOUBT_NS > stop && guest < stop + DOUBT_NS;
}

/* When the guest's clock stopped: the pause's begin, by the last upper bound before it.
 * A frame that arrived before the guest went on was sent before it stopped. */
static uint64_t find_stop(const struct sfh_frame_log *log, const struct sfh_marks *m)
{
	int64_t offset = INT64_MAX;

	for (size_t i = 0; i < log->at_client.n; i++) {
		const struct sfh_frame_event *e = &log->at_client.v[i];
		int64_t o = (int64_t)(e->t_ns - e->guest_ns);

		if (e->t_ns < m->stop_ns && e->t_ns + 2 * STRETCH_NS > m->stop_ns && o < offset)
			offset = o;
	}
	return offset == INT64_MAX ? 0 : m->stop_ns - (uint64_t)offset;
}

static void take_points(struct sfh_guest_clock *c, const struct bounds *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t spread;

		if (!b[i].has_lower || !b[i].has_upper)
			continue;
		spread = (uint64_t)llabs(b[i].upper - b[i].lower) / 2;
		if (spread > c->error_ns)
			c->error_ns = spread;
		c->points[c->n++] = (struct sfh_clock_point){
			b[i].from + (b[i].to - b[i].from) / 2,
			b[i].lower + (b[i].upper - b[i].lower) / 2};
	}
}

int sfh_guest_clock_fit(struct sfh_guest_clock *c, struct sfh_frame_log *log,
			const struct sfh_marks *m)
{
	uint64_t first = UINT64_MAX, last = 0, *sent = NULL, nsent;
	uint64_t stop = m->stop_ns ? find_stop(log, m) : 0;
	struct bounds *b = NULL;
	size_t half, n;
	int r = 0;

	*c = (struct sfh_guest_clock){.stop_guest_ns = stop};
	for (size_t i = 0; i < log->at_client.n; i++) {
		uint64_t g = log->at_client.v[i].guest_ns;

		first = g < first ? g : first;
		last = g > last ? g : last;
	}
	for (size_t i = 0; i < log->at_guest.n; i++) {
		uint64_t g = log->at_guest.v[i].guest_ns;

		first = g < first ? g : first;
		last = g > last ? g : last;
	}
	/* One row of stretches before the stop, one after. */
	half = (size_t)((last - first) / STRETCH_NS) + 1;
	n = stop ? 2 * half : half;
	nsent = log->sent.v[log->sent.n - 1].seq + 1;
	b = calloc(n, sizeof(*b));
	sent = calloc(nsent, sizeof(*sent));
	c->points = calloc(n, sizeof(*c->points));
	if (!b || !sent || !c->points) {
		r = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < log->sent.n; i++)
		if (log->sent.v[i].seq < nsent)
			sent[log->sent.v[i].seq] = log->sent.v[i].t_ns;
	for (size_t i = 0; i < log->at_client.n; i++) {
		const struct sfh_frame_event *e = &log->at_client.v[i];

		if (!in_doubt(e->guest_ns, stop))
			above(&b[(e->guest_ns - first) / STRETCH_NS + (stop && e->guest_ns > stop ? half : 0)],
			      e->guest_ns, (int64_t)(e->t_ns - e->guest_ns));
	}
	for (size_t i = 0; i < log->at_guest.n; i++) {
		const struct sfh_frame_event *e = &log->at_guest.v[i];
		uint64_t t = e->seq < nsent ? sent[e->seq] : 0;

		if (t && !in_doubt(e->guest_ns, stop))
			below(&b[(e->guest_ns - first) / STRETCH_NS + (stop && e->guest_ns > stop ? half : 0)],
			      e->guest_ns, (int64_t)(t - e->guest_ns));
	}
	take_points(c, b, stop ? half : n);
	c->resumed = c->n;
	if (stop)
		take_points(c, b + half, half);
	if (!c->n || (stop && (c->resumed == 0 || c->resumed == c->n))) {
		r = -EINVAL;
		goto out;
	}
	for (size_t i = 0; i < log->at_guest.n; i++)
		log->at_guest.v[i].t_ns = sfh_guest_clock_map(c, log->at_guest.v[i].guest_ns);
out:
	free(b);
	free(sent);
	if (r < 0)
		sfh_guest_clock_free(c);
	return r;
}

uint64_t sfh_guest_clock_map(const struct sfh_guest_clock *c, uint64_t guest_ns)
{
	bool resumed = c->stop_guest_ns && guest_ns > c->stop_guest_ns;
	size_t from = resumed ? c->resumed : 0, to = resumed || !c->stop_guest_ns ? c->n : c->resumed;
	const struct sfh_clock_point *p = c->points;
	size_t i = from;
	double part;

	while (i + 1 < to && p[i + 1].guest_ns <= guest_ns)
		i++;
	if (guest_ns <= p[i].guest_ns || i + 1 == to)
		return guest_ns + (uint64_t)p[i].offset_ns;
	part = (double)(guest_ns - p[i].guest_ns) / (double)(p[i + 1].guest_ns - p[i].guest_ns);
	return guest_ns +
	       (uint64_t)(p[i].offset_ns + (int64_t)(part * (double)(p[i + 1].offset_ns - p[i].offset_ns)));
}

void sfh_guest_clock_free(struct sfh_guest_clock *c)
{
	free(c->points);
	*c = (struct sfh_guest_clock){0};
}
