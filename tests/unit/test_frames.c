// SPDX-License-Identifier: GPL-2.0-or-later
/* The two-way prober's figures, on logs made up so that the truth is known. */
#include "bench/failover/frames.h"
#include "bench/failover/guestclock.h"
#include "sfhybrid/util.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define US 1000ull
#define MS (1000 * US)
#define T0 1700000000000000000ull
#define BEHIND (437 * MS) /* the guest's clock is behind the client's */
#define DELAY (300 * US)  /* each way */
#define FRAMES 4000u	  /* one a millisecond each way */

/* What happens to a run of FRAMES ms, in ms from its begin. */
struct plan {
	unsigned tx_lost_from, tx_lost_to; /* client to guest */
	unsigned rx_lost_from, rx_lost_to;
	unsigned stop, resume;	 /* the guest stands still; what is sent to it is lost */
	unsigned dup_at_client;	 /* this frame of the guest comes twice */
	unsigned late_at_guest;	 /* this frame of the client comes 5 ms late */
	unsigned queued_from, queued_to; /* frames to the guest wait until queued_to */
	unsigned standby_from, standby_to; /* it sends on its standby leg, and looks every 10 ms */
};

static void append(char **p, size_t *left, const char *format, uint64_t a, uint64_t b, uint64_t c)
{
	int n;

	switch (format[0]) {
	case 's':
		n = snprintf(*p, *left, "s %lu %lu\n", a, b);
		break;
	case 'l':
		n = snprintf(*p, *left, "l %lu %lu %lu\n", a, b, c);
		break;
	case 'r':
		n = snprintf(*p, *left, "r %lu %lu\n", a, b);
		break;
	default:
		n = snprintf(*p, *left, "g %lu %lu %lu\n", a, b, c);
		break;
	}
	*p += n;
	*left -= (size_t)n;
}

/* The guest's clock when the client's shows t (not within the pause). */
static uint64_t guest_time(const struct plan *p, unsigned t_ms)
{
	uint64_t paused = t_ms >= p->resume ? (p->resume - p->stop) * MS : 0;

	return T0 + t_ms * MS - BEHIND - paused;
}

static struct sfh_frame_log make(const struct plan *p)
{
	static char text[FRAMES * 160];
	struct sfh_frame_log log = {0};
	size_t left = sizeof(text);
	char *out = text;
	uint64_t seq = 0, on_standby = 0;
	FILE *f;
	int n;

	n = snprintf(out, left, "# sfh-duplex 1 interval_ns=1000000 tcp_interval_ns=5000000\n");
	out += n;
	left -= (size_t)n;
	for (unsigned t = 0; t < FRAMES; t++) {
		bool paused = t >= p->stop && t < p->resume;
		bool tx_lost = paused || (t >= p->tx_lost_from && t < p->tx_lost_to);
		bool rx_lost = t >= p->rx_lost_from && t < p->rx_lost_to;
		unsigned at = t >= p->queued_from && t < p->queued_to ? p->queued_to : t;

		append(&out, &left, "s", t, T0 + t * MS, 0);
		if (p->late_at_guest && t == p->late_at_guest + 5)
			append(&out, &left, "r", p->late_at_guest, guest_time(p, t) + DELAY, 0);
		if (!tx_lost && !(p->late_at_guest && t == p->late_at_guest))
			append(&out, &left, "r", t, guest_time(p, at) + DELAY, 0);
		if (paused)
			continue;
		if (p->standby_to && t % 10 == 0) /* before it sends; some is received there all the time */
			append(&out, &left, "l", guest_time(p, t), on_standby, t);
		on_standby += t >= p->standby_from && t < p->standby_to;
		if (!rx_lost)
			append(&out, &left, "g", seq, T0 + t * MS + DELAY, guest_time(p, t));
		if (!rx_lost && p->dup_at_client && seq == p->dup_at_client)
			append(&out, &left, "g", seq, T0 + t * MS + 2 * DELAY, guest_time(p, t));
		seq++;
	}
	f = fmemopen(text, (size_t)(out - text), "r");
	cr_assert_eq(sfh_frames_read(&log, f, NULL), 0);
	(void)fclose(f);
	return log;
}

static struct sfh_marks marks(const struct plan *p)
{
	struct sfh_marks m = {.begin_ns = T0 + 1000 * MS, .end_ns = T0 + (FRAMES - 10) * MS};

	if (p->resume) {
		m.stop_ns = T0 + p->stop * MS;
		m.resume_ns = T0 + p->resume * MS;
	}
	return m;
}

static struct sfh_figures figures(const struct plan *p, const struct sfh_marks *m)
{
	_cleanup_(sfh_frames_free) struct sfh_frame_log log = make(p);
	struct sfh_figures f;

	cr_assert_eq(sfh_frames_figures(&log, m, &f), 0);
	return f;
}

static void about(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	cr_assert(off <= 2 * MS, "%lu us, not %lu us", got / 1000, want / 1000);
}

Test(frames, nothing_lost)
{
	struct plan p = {0};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	for (int way = 0; way < SFH_WAYS; way++) {
		cr_assert_eq(f.whole[way].sent, FRAMES - 10 - 1000);
		cr_assert_eq(f.whole[way].lost + f.whole[way].dup + f.whole[way].reordered, 0);
		cr_assert_eq(f.whole[way].gap_ns, 0);
		cr_assert_float_eq(f.rate_hz[way], 1000, 5);
	}
	cr_assert_eq(f.total_gap_ns, 0);
	cr_assert_leq(f.clock_error_ns, DELAY);
}

Test(frames, lost_to_the_guest_counts_there)
{
	struct plan p = {.tx_lost_from = 2000, .tx_lost_to = 2050};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_TX].lost, 50);
	cr_assert_eq(f.whole[SFH_RX].lost, 0);
	about(f.whole[SFH_TX].gap_ns, 50 * MS);
	about(f.whole[SFH_TX].gap_from_ns, T0 + 2000 * MS);
	cr_assert_eq(f.whole[SFH_RX].gap_ns, 0);
	about(f.total_gap_ns, 50 * MS);
}

Test(frames, lost_from_the_guest_counts_there)
{
	struct plan p = {.rx_lost_from = 2000, .rx_lost_to = 2050};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_RX].lost, 50);
	cr_assert_eq(f.whole[SFH_TX].lost, 0);
	about(f.whole[SFH_RX].gap_ns, 50 * MS);
	about(f.total_gap_ns, 50 * MS);
}

Test(frames, a_single_loss_is_no_gap_but_counts)
{
	struct plan p = {.tx_lost_from = 2000, .tx_lost_to = 2001};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_TX].lost, 1);
	cr_assert_eq(f.whole[SFH_TX].gap_ns, 0);
}

Test(frames, both_ways_at_once_count_once)
{
	struct plan p = {.tx_lost_from = 2000, .tx_lost_to = 2060,
			 .rx_lost_from = 2040, .rx_lost_to = 2100};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	about(f.total_gap_ns, 100 * MS);
	about(f.whole[SFH_TX].gap_ns, 60 * MS);
	about(f.whole[SFH_RX].gap_ns, 60 * MS);
}

Test(frames, twice_and_out_of_order)
{
	struct plan p = {.dup_at_client = 2000, .late_at_guest = 2500};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_RX].dup, 1);
	cr_assert_eq(f.whole[SFH_TX].dup, 0);
	cr_assert_eq(f.whole[SFH_TX].reordered, 1);
	cr_assert_eq(f.whole[SFH_TX].lost, 0);
	cr_assert_eq(f.whole[SFH_RX].reordered, 0);
}

Test(frames, queued_is_a_gap_without_loss)
{
	struct plan p = {.queued_from = 2000, .queued_to = 2200};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_TX].lost, 0);
	about(f.whole[SFH_TX].gap_ns, 200 * MS);
	cr_assert_eq(f.whole[SFH_RX].gap_ns, 0);
}

/* The guest's clock stands still in the pause: without the marks its frames after it
 * would seem to have come before. */
Test(frames, the_pause_is_seen_and_told_from_what_is_beyond)
{
	struct plan p = {.stop = 2000, .resume = 2100, .tx_lost_from = 2100, .tx_lost_to = 2130};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f = figures(&p, &m);

	cr_assert_eq(f.whole[SFH_TX].lost, 130);
	cr_assert_eq(f.whole[SFH_RX].lost, 0); /* it sent none */
	about(f.whole[SFH_TX].gap_ns, 130 * MS);
	about(f.whole[SFH_RX].gap_ns, 100 * MS);
	about(f.whole[SFH_TX].beyond_ns, 30 * MS);
	about(f.whole[SFH_RX].beyond_ns, 0);
	about(f.total_gap_ns, 130 * MS);
	cr_assert_leq(f.clock_error_ns, DELAY);
}

Test(frames, a_gap_is_cut_to_the_phases_it_lies_in)
{
	struct plan p = {.tx_lost_from = 2000, .tx_lost_to = 2100};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f;

	m.nphases = 2;
	m.phases[0] = (struct sfh_phase){"to-standby", T0 + 1500 * MS, T0 + 2030 * MS};
	m.phases[1] = (struct sfh_phase){"to-vf", T0 + 2030 * MS, T0 + 3000 * MS};
	f = figures(&p, &m);
	about(f.phase[0][SFH_TX].gap_ns, 30 * MS);
	about(f.phase[1][SFH_TX].gap_ns, 70 * MS);
	cr_assert_eq(f.phase[0][SFH_TX].lost, 30);
	cr_assert_eq(f.phase[1][SFH_TX].lost, 70);
}

static void within(const struct sfh_leg_seen *seen, unsigned from, unsigned to)
{
	about(seen->from_ns, T0 + from * MS);
	about(seen->to_ns, T0 + to * MS);
}

Test(frames, the_guest_saw_when_it_changed_its_leg)
{
	struct plan p = {.standby_from = 2004, .standby_to = 3006};
	struct sfh_marks m = marks(&p);
	struct sfh_figures f;

	m.nswitches = 2;
	m.switches[0] = (struct sfh_switch_mark){false, T0 + 1900 * MS, T0 + 2500 * MS};
	m.switches[1] = (struct sfh_switch_mark){true, T0 + 2500 * MS, m.end_ns};
	f = figures(&p, &m);
	within(&f.sent[0], 2000, 2010);
	within(&f.sent[1], 3000, 3010);
	within(&f.received[0], 1890, 1900);
	within(&f.received[1], 3980, 3990);
}

Test(frames, a_leg_that_did_not_change_or_was_not_looked_at)
{
	struct plan on_vf = {.standby_from = 1, .standby_to = 1}, blind = {0};
	struct sfh_marks m = marks(&on_vf);

	m.nswitches = 1;
	m.switches[0] = (struct sfh_switch_mark){false, T0 + 1900 * MS, T0 + 2500 * MS};
	cr_assert_eq(figures(&on_vf, &m).sent[0].from_ns, 0);
	cr_assert_eq(figures(&blind, &m).sent[0].from_ns, 0);
	cr_assert_eq(figures(&blind, &m).received[0].from_ns, 0);
}

Test(frames, marks_that_cannot_be)
{
	struct plan p = {0};
	_cleanup_(sfh_frames_free) struct sfh_frame_log log = make(&p);
	struct sfh_marks m = marks(&p);
	struct sfh_figures f;

	m.end_ns = m.begin_ns;
	cr_assert_eq(sfh_frames_figures(&log, &m, &f), -EINVAL);
	m = marks(&p);
	m.stop_ns = T0 + 20 * MS;
	m.resume_ns = T0 + 10 * MS;
	cr_assert_eq(sfh_frames_figures(&log, &m, &f), -EINVAL);
}

Test(frames, a_line_that_is_none)
{
	_cleanup_(sfh_frames_free) struct sfh_frame_log log = {0};
	char text[] = "# sfh-duplex 1 interval_ns=1000000 tcp_interval_ns=5000000\n"
		      "s 1 5\nq 1 2\n";
	FILE *f = fmemopen(text, sizeof(text) - 1, "r");
	unsigned line = 0;

	cr_assert_eq(sfh_frames_read(&log, f, &line), -EINVAL);
	cr_assert_eq(line, 3);
	(void)fclose(f);
}
