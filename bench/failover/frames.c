// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/failover/frames.h"
#include "bench/failover/guestclock.h"
#include "bench/failover/legs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- reading ---------------------------------------------------------------------- */

static int add(struct sfh_frame_list *l, struct sfh_frame_event e)
{
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 4096;
		struct sfh_frame_event *v = reallocarray(l->v, size, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->size = size;
	}
	l->v[l->n++] = e;
	return 0;
}

static int read_event(struct sfh_frame_log *log, const char *line)
{
	uint64_t a, b, c;
	int end = 0;

	if (sscanf(line, "s %" SCNu64 " %" SCNu64 "%n", &a, &b, &end) == 2 && line[end] == '\n')
		return add(&log->sent, (struct sfh_frame_event){a, b, 0});
	if (sscanf(line, "r %" SCNu64 " %" SCNu64 "%n", &a, &b, &end) == 2 && line[end] == '\n')
		return add(&log->at_guest, (struct sfh_frame_event){a, 0, b});
	if (sscanf(line, "g %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &a, &b, &c, &end) == 3 &&
	    line[end] == '\n')
		return add(&log->at_client, (struct sfh_frame_event){a, b, c});
	if (sscanf(line, "t %" SCNu64 " %" SCNu64 "%n", &a, &b, &end) == 2 && line[end] == '\n')
		return add(&log->tcp, (struct sfh_frame_event){b, a, 0});
	if (sscanf(line, "l %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &a, &b, &c, &end) == 3 &&
	    line[end] == '\n') {
		int r = add(&log->leg_sent, (struct sfh_frame_event){b, 0, a});

		return r < 0 ? r : add(&log->leg_received, (struct sfh_frame_event){c, 0, a});
	}
	return -EINVAL;
}

int sfh_frames_read(struct sfh_frame_log *log, FILE *f, unsigned *ret_line)
{
	char line[256];
	unsigned number = 0;
	int r;

	while (fgets(line, sizeof(line), f)) {
		number++;
		if (!strchr(line, '\n') && feof(f))
			break;
		if (line[0] == '#') {
			(void)sscanf(line, "# sfh-duplex 1 interval_ns=%" SCNu64 " tcp_interval_ns=%" SCNu64,
				     &log->interval_ns, &log->tcp_interval_ns);
			(void)sscanf(line, "# end %" SCNu64, &log->end_ns);
			continue;
		}
		r = read_event(log, line);
		if (r == -EINVAL && ret_line)
			*ret_line = number;
		if (r < 0)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}

void sfh_frames_free(struct sfh_frame_log *log)
{
	free(log->sent.v);
	free(log->at_guest.v);
	free(log->at_client.v);
	free(log->tcp.v);
	free(log->leg_sent.v);
	free(log->leg_received.v);
	*log = (struct sfh_frame_log){0};
}

/* --- one way ------------------------------------------------------------------------ */

struct gap {
	uint64_t from, to;
};

/* A way's frames by number, and their first arrivals by time. */
struct way {
	uint64_t *sent_ns;  /* by seq - first; the client's clock */
	uint8_t *arrived;   /* how often, by seq - first */
	uint64_t first, n;
	uint64_t *arrival;  /* times of first arrivals, ascending */
	uint64_t *late_seq; /* numbers that came after a later one */
	size_t narrival, nlate;
	struct gap *gaps;   /* longer than two intervals, less one */
	size_t ngaps;
};

static void way_free(struct way *w)
{
	free(w->sent_ns);
	free(w->arrived);
	free(w->arrival);
	free(w->late_seq);
	free(w->gaps);
	*w = (struct way){0};
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int way_alloc(struct way *w, uint64_t first, uint64_t n, size_t narrival)
{
	w->first = first;
	w->n = n;
	w->sent_ns = calloc(n + 1, sizeof(*w->sent_ns));
	w->arrived = calloc(n + 1, 1);
	w->arrival = calloc(narrival + 1, sizeof(*w->arrival));
	w->late_seq = calloc(narrival + 1, sizeof(*w->late_seq));
	w->gaps = calloc(narrival + 2, sizeof(*w->gaps));
	return w->sent_ns && w->arrived && w->arrival && w->late_seq && w->gaps ? 0 : -ENOMEM;
}

/* In the order of the receiver. */
static void way_arrive(struct way *w, uint64_t seq, uint64_t t, uint64_t *newest)
{
	if (seq < w->first || seq - w->first >= w->n)
		return;
	if (w->arrived[seq - w->first] < UINT8_MAX)
		w->arrived[seq - w->first]++;
	if (w->arrived[seq - w->first] > 1)
		return;
	if (w->narrival && seq < *newest)
		w->late_seq[w->nlate++] = seq;
	else
		*newest = seq;
	w->arrival[w->narrival++] = t;
}

/* The silences between arrivals, and those before the first and after the last. */
static void way_gaps(struct way *w, uint64_t interval, uint64_t from, uint64_t to)
{
	uint64_t last = from;

	qsort(w->arrival, w->narrival, sizeof(*w->arrival), by_value);
	for (size_t i = 0; i <= w->narrival; i++) {
		uint64_t t = i < w->narrival ? w->arrival[i] : to;

		if (t > last && t - last > 2 * interval)
			w->gaps[w->ngaps++] = (struct gap){last + interval, t};
		if (t > last)
			last = t;
	}
}

static int way_of_client(struct way *w, struct sfh_frame_log *log)
{
	uint64_t first = log->sent.v[0].seq, newest = 0;
	int r = way_alloc(w, first, log->sent.v[log->sent.n - 1].seq - first + 1, log->at_guest.n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < log->sent.n; i++)
		if (log->sent.v[i].seq >= first && log->sent.v[i].seq - first < w->n)
			w->sent_ns[log->sent.v[i].seq - first] = log->sent.v[i].t_ns;
	for (size_t i = 0; i < log->at_guest.n; i++)
		way_arrive(w, log->at_guest.v[i].seq, log->at_guest.v[i].t_ns, &newest);
	return 0;
}

/* Frames of the guest that never came were sent between those that did. */
static int way_of_guest(struct way *w, struct sfh_frame_log *log, const struct sfh_guest_clock *clock)
{
	const struct sfh_frame_list *l = &log->at_client;
	uint64_t first = l->v[0].seq, last = first, newest = 0, before, *guest;
	int r;

	for (size_t i = 0; i < l->n; i++) {
		first = l->v[i].seq < first ? l->v[i].seq : first;
		last = l->v[i].seq > last ? l->v[i].seq : last;
	}
	r = way_alloc(w, first, last - first + 1, l->n);
	guest = calloc(w->n + 1, sizeof(*guest));
	if (r < 0 || !guest) {
		free(guest);
		return -ENOMEM;
	}
	for (size_t i = 0; i < l->n; i++) {
		guest[l->v[i].seq - first] = l->v[i].guest_ns;
		way_arrive(w, l->v[i].seq, l->v[i].t_ns, &newest);
	}
	before = 0;
	for (uint64_t i = 1; i < w->n; i++) {
		if (!guest[i])
			continue;
		for (uint64_t k = before + 1; k < i; k++)
			guest[k] = guest[before] + (guest[i] - guest[before]) * (k - before) / (i - before);
		before = i;
	}
	for (uint64_t i = 0; i < w->n; i++)
		w->sent_ns[i] = sfh_guest_clock_map(clock, guest[i]);
	free(guest);
	return 0;
}

static uint64_t overlap(uint64_t a, uint64_t b, uint64_t from, uint64_t to)
{
	uint64_t lo = a > from ? a : from, hi = b < to ? b : to;

	return hi > lo ? hi - lo : 0;
}

/* Frames sent in [from,to), and gaps as far as they lie in it. */
static struct sfh_way_figures way_figures(const struct way *w, uint64_t from, uint64_t to,
					  const struct sfh_marks *m)
{
	struct sfh_way_figures f = {0};

	for (uint64_t i = 0; i < w->n; i++) {
		if (!w->sent_ns[i] || w->sent_ns[i] < from || w->sent_ns[i] >= to)
			continue;
		f.sent++;
		f.lost += w->arrived[i] == 0;
		f.dup += w->arrived[i] > 1 ? w->arrived[i] - 1u : 0;
	}
	for (size_t i = 0; i < w->nlate; i++) {
		uint64_t t = w->sent_ns[w->late_seq[i] - w->first];

		f.reordered += t >= from && t < to;
	}
	for (size_t i = 0; i < w->ngaps; i++) {
		const struct gap *g = &w->gaps[i];
		uint64_t lo = g->from > from ? g->from : from, hi = g->to < to ? g->to : to;
		uint64_t pause = hi > lo ? overlap(lo, hi, m->stop_ns, m->resume_ns) : 0;

		if (hi <= lo)
			continue;
		if (hi - lo > f.gap_ns) {
			f.gap_ns = hi - lo;
			f.gap_from_ns = lo;
			f.gap_to_ns = hi;
		}
		if (hi - lo - pause > f.beyond_ns)
			f.beyond_ns = hi - lo - pause;
	}
	return f;
}

/* --- both ways ---------------------------------------------------------------------- */

static int by_from(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* Of the gaps of at least `least`. */
static uint64_t total_gap(const struct way *ways, uint64_t from, uint64_t to, uint64_t least,
			  int *ret)
{
	size_t n = 0;
	struct gap *all = calloc(ways[0].ngaps + ways[1].ngaps + 1, sizeof(*all));
	uint64_t sum = 0, done = from;

	*ret = all ? 0 : -ENOMEM;
	if (!all)
		return 0;
	for (int way = 0; way < SFH_WAYS; way++)
		for (size_t i = 0; i < ways[way].ngaps; i++)
			if (ways[way].gaps[i].to - ways[way].gaps[i].from >= least)
				all[n++] = ways[way].gaps[i];
	qsort(all, n, sizeof(*all), by_from);
	for (size_t i = 0; i < n; i++) {
		uint64_t lo = all[i].from > done ? all[i].from : done;
		uint64_t hi = all[i].to < to ? all[i].to : to;

		if (hi <= lo)
			continue;
		sum += hi - lo;
		done = hi;
	}
	free(all);
	return sum;
}

static uint64_t longest_silence(const struct sfh_frame_list *l, uint64_t interval, uint64_t from,
				uint64_t to)
{
	uint64_t last = from, longest = 0;

	for (size_t i = 0; i <= l->n; i++) {
		uint64_t t = i < l->n ? l->v[i].t_ns : to;

		if (t < from)
			continue;
		t = t < to ? t : to;
		if (t > last && t - last > longest)
			longest = t - last;
		last = t;
	}
	return longest > interval ? longest - interval : 0;
}

static double rate_before(const struct way *w, uint64_t from, uint64_t to)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < w->n; i++)
		n += w->sent_ns[i] >= from && w->sent_ns[i] < to;
	return to > from ? (double)n * 1e9 / (double)(to - from) : 0;
}

int sfh_frames_figures(struct sfh_frame_log *log, const struct sfh_marks *m,
		       struct sfh_figures *ret)
{
	struct sfh_figures f = {.interval_ns = log->interval_ns};
	struct sfh_guest_clock clock = {0};
	struct way ways[SFH_WAYS] = {0};
	uint64_t first, last;
	int r = 0;

	if (m->begin_ns >= m->end_ns || m->stop_ns > m->resume_ns || !log->interval_ns ||
	    !log->sent.n || !log->at_guest.n || !log->at_client.n)
		return -EINVAL;
	first = log->sent.v[0].t_ns;
	last = log->sent.v[log->sent.n - 1].t_ns;
	r = sfh_guest_clock_fit(&clock, log, m);
	if (r == 0)
		r = way_of_client(&ways[SFH_TX], log);
	if (r == 0)
		r = way_of_guest(&ways[SFH_RX], log, &clock);
	if (r < 0)
		goto out;
	f.clock_error_ns = clock.error_ns;
	for (int way = 0; way < SFH_WAYS; way++) {
		way_gaps(&ways[way], log->interval_ns, first, last);
		f.whole[way] = way_figures(&ways[way], m->begin_ns, m->end_ns, m);
		for (unsigned i = 0; i < m->nphases; i++)
			f.phase[i][way] = way_figures(&ways[way], m->phases[i].from_ns,
						      m->phases[i].to_ns, m);
	}
	f.total_gap_ns = total_gap(ways, m->begin_ns, m->end_ns, 0, &r);
	if (r == 0)
		f.long_gap_ns = total_gap(ways, m->begin_ns, m->end_ns, SFH_LONG_GAP_NS, &r);
	if (r < 0)
		goto out;
	/* the first half second belongs to ARP and the stream's handshake */
	f.quiet_from_ns = first + 500000000;
	if (m->begin_ns > f.quiet_from_ns) {
		f.quiet_gap_ns = total_gap(ways, f.quiet_from_ns, m->begin_ns, 0, &r);
		for (int way = 0; way < SFH_WAYS; way++)
			f.rate_hz[way] = rate_before(&ways[way], f.quiet_from_ns, m->begin_ns);
	}
	f.tcp_stall_ns = longest_silence(&log->tcp, log->tcp_interval_ns, m->begin_ns, m->end_ns);
	sfh_legs_figures(log, &clock, m, &f);
	f.client_held_up_ns = longest_silence(&log->sent, log->interval_ns, m->begin_ns, m->end_ns);
	*ret = f;
out:
	sfh_guest_clock_free(&clock);
	for (int way = 0; way < SFH_WAYS; way++)
		way_free(&ways[way]);
	return r;
}
