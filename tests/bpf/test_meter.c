// SPDX-License-Identifier: GPL-2.0-or-later
/* The switch meter, and how arming by a frame is settled. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <time.h>

TestSuite(meter, .init = bench_init, .fini = bench_fini, .timeout = 60);

static void guest_sends(void)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	run_from_guest(T.tap, &f);
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static unsigned in_buckets(const struct sfh_meter_leg *leg, uint64_t from_ns)
{
	unsigned n = 0;

	for (size_t i = 0; i < SFH_METER_GAPS; i++)
		if (1ull << (i + SFH_METER_GAP_SHIFT) >= from_ns)
			n += leg->gaps[i];
	return n;
}

Test(meter, frames_and_gaps_of_both_directions)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct sfh_meter m;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	pause_ms(20);
	guest_sends();
	guest_sends();
	run_to_guest(T.tap, &f);
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), REDIRECT);
	m = view_of(T.s, &T.key).meter;
	cr_assert_eq(m.from_guest.frames, 3);
	cr_assert_eq(m.to_guest.frames, 2);
	cr_assert_geq(m.from_guest.longest_ns, 20000000);
	cr_assert_gt(m.from_guest.longest_end_ns, m.from_guest.first_ns);
	cr_assert_leq(m.from_guest.longest_end_ns, m.from_guest.last_ns);
	cr_assert_eq(in_buckets(&m.from_guest, 0), 2, "two gaps");
	cr_assert_eq(in_buckets(&m.from_guest, 16777216), 1, "one of 2^24 ns or more");
	cr_assert_eq(m.from_guest.first_ns, view_of(T.s, &T.key).first_frame_ns);
}

Test(meter, every_arming_begins_anew)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	cr_assert_eq(view_of(T.s, &T.key).meter.from_guest.frames, 1, "what was seen stays");
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
	cr_assert_eq(view_of(T.s, &T.key).meter.from_guest.frames, 0);
	guest_sends();
	cr_assert_eq(view_of(T.s, &T.key).meter.from_guest.frames, 1);
}

/* The window is over: counted, not metered. */
Test(meter, it_ends_by_itself)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct sfh_guest g;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert_eq(bpf_map_lookup_elem(T.s->map[SFH_MAP_GUESTS], &T.key, &g), 0);
	cr_assert_gt(g.meter_until_ns, sfh_now_ns());
	cr_assert_leq(g.meter_until_ns, sfh_now_ns() + SFH_METER_WINDOW_NS);
	g.meter_until_ns = sfh_now_ns() - 1;
	g.armed = SFH_ARMED_BY_USER;
	cr_assert_eq(bpf_map_update_elem(T.s->map[SFH_MAP_GUESTS], &T.key, &g, BPF_EXIST), 0);
	pause_ms(20); /* the coarse clock's tick */
	guest_sends();
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), REDIRECT);
	cr_assert_eq(view_of(T.s, &T.key).meter.from_guest.frames, 0);
	cr_assert_eq(view_of(T.s, &T.key).meter.to_guest.frames, 0);
	cr_assert_eq(view_of(T.s, &T.key).counters.from_standby_frames, 1);
}

Test(meter, what_a_frame_armed_is_settled_by_its_event)
{
	struct sfh_guest g;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	cr_assert_eq(bpf_map_lookup_elem(T.s->map[SFH_MAP_GUESTS], &T.key, &g), 0);
	cr_assert_eq(g.armed, SFH_ARMED_NOT);
	cr_assert_eq(take_events(T.s, NULL), 1);
	cr_assert_eq(bpf_map_lookup_elem(T.s->map[SFH_MAP_GUESTS], &T.key, &g), 0);
	cr_assert_eq(g.armed, SFH_ARMED_BY_FRAME);
	cr_assert(view_of(T.s, &T.key).armed_by_frame);
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	cr_assert_not(view_of(T.s, &T.key).armed);
}

Test(meter, an_event_of_yesterday_settles_nothing)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert_eq(take_events(T.s, NULL), 1);
	cr_assert_not(view_of(T.s, &T.key).armed);
}

/* --- the bitmap of addresses ---------------------------------------------------------------------- */

static bool marked(void)
{
	uint32_t bit = sfh_mac_bit(sfh_mac_word(T.key.mac)) % SFH_MACS_BITS;

	return T.s->macs->bits[bit / 64] & 1ull << bit % 64;
}

Test(meter, an_address_is_marked_while_some_pair_has_it)
{
	struct sfh_guest_key other = mk_key(T.other_pf, MAC_GUEST, 0);

	cr_assert_not(marked());
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	stage(&other, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert(marked());
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	cr_assert(marked(), "the other pair's");
	sfh_steer_close(&T.s);
	T.s = steer_open();
	cr_assert(marked(), "after a restart too");
	cr_assert_eq(sfh_steer_unstage(T.s, &other, NULL), 0);
	cr_assert_not(marked());
	cr_assert_eq(sfh_steer_unstage(T.s, &other, NULL), 0);
}
