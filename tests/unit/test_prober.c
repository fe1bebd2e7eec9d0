// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/prober_analyse.h"
#include "sfhybrid/util.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS 1000000ull
#define T0 1700000000000000000ull /* realistic: a sum of doubles would lose digits here */
#define INTERVAL (20 * MS)
#define RTT (1 * MS)

static void add(struct sfh_probe_log *log, bool rx, uint64_t seq, uint64_t t)
{
	cr_assert_eq(sfh_probe_log_add(log, rx, seq, t), 0);
}

/* Requests 0..n-1 every 20 ms from T0 on; those in [lost_from,lost_to) have no reply. */
static struct sfh_probe_log run(uint64_t n, uint64_t lost_from, uint64_t lost_to)
{
	struct sfh_probe_log log = {.interval_ns = INTERVAL};

	for (uint64_t i = 0; i < n; i++) {
		add(&log, false, i, T0 + i * INTERVAL);
		if (i < lost_from || i >= lost_to)
			add(&log, true, i, T0 + i * INTERVAL + RTT);
	}
	return log;
}

static struct sfh_probe_result analyse(const struct sfh_probe_log *log, uint64_t from, uint64_t to)
{
	struct sfh_probe_result r;

	memset(&r, 0xff, sizeof(r));
	cr_assert_eq(sfh_probe_analyse(log, from, to, &r), 0);
	cr_assert_eq(r.sent, r.received + r.lost);
	return r;
}

#define _cleanup_log_ _cleanup_(sfh_probe_log_free)

Test(prober, no_loss)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 0, 0);
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.sent, 100);
	cr_assert_eq(r.received, 100);
	cr_assert_eq(r.lost, 0);
	cr_assert_eq(r.dup, 0);
	cr_assert_eq(r.reordered, 0);
	cr_assert_eq(r.late, 0);
	cr_assert_eq(r.gap_ns, 0);
	cr_assert_eq(r.tx_gap_ns, 0);
	cr_assert_eq(r.rtt_median_ns, RTT);
	cr_assert_eq(r.rtt_max_ns, RTT);
}

Test(prober, one_gap_in_the_middle)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 40, 45);
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.lost, 5);
	/* replies to 39 and 45 are six intervals apart */
	cr_assert_eq(r.gap_ns, 5 * INTERVAL);
	cr_assert_eq(r.gap_from_ns, T0 + 39 * INTERVAL + RTT);
	cr_assert_eq(r.gap_to_ns, T0 + 45 * INTERVAL + RTT);
}

Test(prober, the_longest_of_two_gaps)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};

	for (uint64_t i = 0; i < 100; i++) {
		add(&log, false, i, T0 + i * INTERVAL);
		if (i / 10 != 7 && i != 20 && i != 21)
			add(&log, true, i, T0 + i * INTERVAL + RTT);
	}
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).gap_ns, 10 * INTERVAL);
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).lost, 12);
	cr_assert_eq(analyse(&log, T0, T0 + 40 * INTERVAL).gap_ns, 2 * INTERVAL);
	cr_assert_eq(analyse(&log, T0, T0 + 40 * INTERVAL).lost, 2);
}

Test(prober, loss_at_the_start)
{
	_cleanup_log_ struct sfh_probe_log log = run(50, 0, 10);
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.lost, 10);
	cr_assert_eq(r.gap_from_ns, T0, "from the first request on");
	cr_assert_eq(r.gap_to_ns, T0 + 10 * INTERVAL + RTT);
	cr_assert_eq(r.gap_ns, 9 * INTERVAL + RTT);
}

Test(prober, loss_at_the_end)
{
	_cleanup_log_ struct sfh_probe_log log = run(50, 40, 50);
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.lost, 10);
	cr_assert_eq(r.gap_from_ns, T0 + 39 * INTERVAL + RTT);
	cr_assert_eq(r.gap_to_ns, T0 + 49 * INTERVAL, "to the last request");
}

Test(prober, nothing_ever_answered)
{
	_cleanup_log_ struct sfh_probe_log log = run(50, 0, 50);
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.received, 0);
	cr_assert_eq(r.lost, 50);
	cr_assert_eq(r.gap_ns, 48 * INTERVAL);
	cr_assert_eq(r.rtt_median_ns, 0);
	cr_assert_eq(r.rtt_max_ns, 0);
}

Test(prober, empty_log)
{
	struct sfh_probe_log log = {0};
	struct sfh_probe_result r = analyse(&log, 0, UINT64_MAX);

	cr_assert_eq(r.sent, 0);
	cr_assert_eq(r.gap_ns, 0);
	cr_assert_eq(r.interval_ns, 0);
}

Test(prober, window_is_half_open_and_by_send_time)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 40, 45);
	struct sfh_probe_result r;

	r = analyse(&log, T0 + 41 * INTERVAL, T0 + 44 * INTERVAL);
	cr_assert_eq(r.sent, 3);
	cr_assert_eq(r.lost, 3);
	cr_assert_eq(r.gap_ns, 5 * INTERVAL, "the whole silence, not what the window cuts out");
	r = analyse(&log, T0 + 39 * INTERVAL, T0 + 41 * INTERVAL);
	cr_assert_eq(r.sent, 2);
	cr_assert_eq(r.lost, 1);
}

Test(prober, out_of_the_window_is_out)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 40, 45);
	struct sfh_probe_result r;

	add(&log, true, 5, T0 + 6 * INTERVAL); /* a duplicate */
	r = analyse(&log, T0 + 50 * INTERVAL, T0 + 60 * INTERVAL);
	cr_assert_eq(r.sent, 10);
	cr_assert_eq(r.lost, 0);
	cr_assert_eq(r.dup, 0);
	cr_assert_eq(r.gap_ns, 0);
	r = analyse(&log, T0 + 1000 * INTERVAL, T0 + 1001 * INTERVAL);
	cr_assert_eq(r.sent, 0);
	cr_assert_eq(r.gap_ns, 0);
}

Test(prober, duplicates)
{
	_cleanup_log_ struct sfh_probe_log log = run(10, 0, 0);
	struct sfh_probe_result r;

	add(&log, true, 3, T0 + 3 * INTERVAL + RTT + 1);
	add(&log, true, 3, T0 + 3 * INTERVAL + RTT + 2);
	add(&log, true, 9, T0 + 9 * INTERVAL + RTT + 1);
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.dup, 3);
	cr_assert_eq(r.received, 10);
	cr_assert_eq(r.reordered, 0, "a duplicate is not out of order");
	cr_assert_eq(analyse(&log, T0 + 9 * INTERVAL, UINT64_MAX).dup, 1);
}

Test(prober, reordering)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};
	struct sfh_probe_result r;

	for (uint64_t i = 0; i < 6; i++)
		add(&log, false, i, T0 + i * INTERVAL);
	add(&log, true, 0, T0 + 121 * MS);
	add(&log, true, 3, T0 + 122 * MS);
	add(&log, true, 1, T0 + 123 * MS);
	add(&log, true, 2, T0 + 124 * MS);
	add(&log, true, 4, T0 + 125 * MS);
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.reordered, 2, "1 and 2 came after 3");
	cr_assert_eq(r.lost, 1);
	cr_assert_eq(r.dup, 0);
}

Test(prober, the_log_need_not_be_in_order)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};
	struct sfh_probe_result r;

	for (uint64_t i = 20; i-- > 0;) {
		add(&log, true, i, T0 + i * INTERVAL + RTT);
		add(&log, false, i, T0 + i * INTERVAL);
	}
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.received, 20);
	cr_assert_eq(r.reordered, 0, "by time, not by line");
	cr_assert_eq(r.gap_ns, 0);
}

Test(prober, too_late_is_lost_but_ends_the_silence)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = 1000 * MS};
	struct sfh_probe_result r;

	for (uint64_t i = 0; i < 5; i++)
		add(&log, false, i, T0 + i * 1000 * MS);
	add(&log, true, 0, T0 + RTT);
	add(&log, true, 1, T0 + 1000 * MS + SFH_PROBE_LATE_NS + 1);
	add(&log, true, 2, T0 + 2000 * MS + SFH_PROBE_LATE_NS);
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.received, 2);
	cr_assert_eq(r.lost, 3);
	cr_assert_eq(r.late, 1);
	cr_assert_eq(r.gap_ns, 3000 * MS - RTT + 1);
	cr_assert_eq(r.rtt_max_ns, SFH_PROBE_LATE_NS);
}

Test(prober, rtt_median)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};
	static const uint64_t rtts[] = {900, 5, 1, 7, 3};
	struct sfh_probe_result r;

	for (uint64_t i = 0; i < 5; i++) {
		add(&log, false, i, T0 + i * INTERVAL);
		add(&log, true, i, T0 + i * INTERVAL + rtts[i] * 1000);
	}
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.rtt_median_ns, 5000);
	cr_assert_eq(r.rtt_max_ns, 900000);
}

Test(prober, held_up_prober_is_seen)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};
	struct sfh_probe_result r;

	for (uint64_t i = 0; i < 10; i++) {
		uint64_t t = T0 + i * INTERVAL + (i >= 5 ? 300 * MS : 0);

		add(&log, false, i, t);
		add(&log, true, i, t + RTT);
	}
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.lost, 0);
	cr_assert_eq(r.gap_ns, 300 * MS);
	cr_assert_eq(r.tx_gap_ns, 300 * MS);
}

Test(prober, interval_from_the_sends_when_not_said)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 40, 45);

	log.interval_ns = 0;
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).interval_ns, INTERVAL);
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).gap_ns, 5 * INTERVAL);
}

Test(prober, replies_to_requests_before_the_log)
{
	_cleanup_log_ struct sfh_probe_log log = run(10, 0, 0);

	add(&log, true, 4711, T0);
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).received, 10);
	cr_assert_eq(analyse(&log, 0, UINT64_MAX).dup, 0);
}

Test(prober, stamp_a_hair_before_the_send)
{
	_cleanup_log_ struct sfh_probe_log log = {.interval_ns = INTERVAL};
	struct sfh_probe_result r;

	add(&log, false, 0, T0);
	add(&log, true, 0, T0 - 50);
	r = analyse(&log, 0, UINT64_MAX);
	cr_assert_eq(r.received, 1);
	cr_assert_eq(r.rtt_max_ns, 0);
}

Test(prober, empty_window_is_refused)
{
	_cleanup_log_ struct sfh_probe_log log = run(3, 0, 0);
	struct sfh_probe_result r;

	cr_assert_eq(sfh_probe_analyse(&log, 5, 5, &r), -EINVAL);
	cr_assert_eq(sfh_probe_analyse(&log, 6, 5, &r), -EINVAL);
}

static int read_text(const char *text, struct sfh_probe_log *log, unsigned *line)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	int r;

	cr_assert(f);
	r = sfh_probe_log_read(log, f, line);
	(void)fclose(f);
	return r;
}

Test(prober, log_file)
{
	_cleanup_log_ struct sfh_probe_log log = {0};

	cr_assert_eq(read_text("# sfh-prober 1 interval_ns=20000000 target=192.0.2.7\n"
			       "tx 0 1700000000000000000\n# a comment\n"
			       "rx 0 1700000000001000001\ntx 18446744073709551615 5\nrx 0 17000",
			       &log, NULL),
		     0);
	cr_assert_eq(log.interval_ns, INTERVAL);
	cr_assert_eq(log.n, 3, "the line that was cut short is dropped");
	cr_assert_not(log.events[0].rx);
	cr_assert(log.events[1].rx);
	cr_assert_eq(log.events[1].t_ns, 1700000000001000001ull);
	cr_assert_eq(log.events[2].seq, UINT64_MAX);
}

Test(prober, log_file_that_is_none)
{
	static const char *const bad[] = {"tx 0\n",	"tx a 1\n",  "zx 0 1\n",
					  "tx 0 1 2\n", "tx -1 1\n", "tx 0 99999999999999999999\n"};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		_cleanup_log_ struct sfh_probe_log log = {0};
		char text[128];
		unsigned line = 0;

		(void)snprintf(text, sizeof(text), "tx 1 1\n%s", bad[i]);
		cr_assert_eq(read_text(text, &log, &line), -EINVAL, "%s", bad[i]);
		cr_assert_eq(line, 2);
	}
}

Test(prober, json)
{
	_cleanup_log_ struct sfh_probe_log log = run(100, 40, 45);
	struct sfh_probe_result r = analyse(&log, T0, T0 + 100 * INTERVAL);
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	sfh_probe_print(f, &r, true);
	(void)fclose(f);
	cr_assert_str_eq(text,
			 "{\"schema\":1,\"sent\":100,\"received\":95,\"lost\":5,\"late\":0,"
			 "\"dup\":0,\"reordered\":0,\"gap_ms\":100.000,\"tx_gap_ms\":0.000,"
			 "\"rtt_median_ms\":1.000,\"rtt_max_ms\":1.000,"
			 "\"gap_from_ns\":1700000000781000000,"
			 "\"gap_to_ns\":1700000000901000000,"
			 "\"from_ns\":1700000000000000000,\"to_ns\":1700000002000000000,"
			 "\"interval_ns\":20000000}\n");
}
