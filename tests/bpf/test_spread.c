// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest on its VF sends to everybody, copied to its neighbours' macvtaps: how
 * often it makes the host do that. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>

TestSuite(spread, .init = bench_init, .fini = bench_fini, .timeout = 60);

#define FLOOD 3000

static struct sfh_guest_key sender(const char *mac, uint32_t standby)
{
	struct sfh_guest_key key = mk_key(T.pf, mac, 0);

	stage(&key, standby, SFH_STANDBY_MACVTAP, false);
	cr_assert_eq(sfh_steer_on_vf(T.s, &key, NULL), 0);
	return key;
}

/* The neighbour, on its standby leg. */
static void neighbour(void)
{
	sh("ip link set tap1 up");
	stage_armed(&T.key, T.tap2, SFH_STANDBY_MACVTAP);
	cr_assert_eq(sfh_steer_standby_attach(T.s, T.tap2, SFH_STANDBY_MACVTAP, NULL), 0);
}

static uint64_t copies(void)
{
	return view_of(T.s, &T.key).counters.to_standby_frames;
}

static void says(const char *dst, const char *mac)
{
	expect(HOOK_TC, PASS, mk_frame(dst, mac, 0, 0));
}

/* Returns how long it took, in tokens, rounded up. */
static uint64_t flood(const char *mac)
{
	struct frame f = mk_frame(MAC_BCAST, mac, 0, 0);
	struct __sk_buff ctx = { .ifindex = T.pf };
	uint64_t begun = sfh_now_ns();
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f.b, .data_size_in = (uint32_t)f.len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = FLOOD);

	cr_assert_eq(bpf_prog_test_run_opts(T.s->prog_pf_tc, &o), 0);
	cr_assert_eq((int)o.retval, -1, "it passes, copied or not");
	return (sfh_now_ns() - begun) / SFH_SPREAD_NS + 1;
}

Test(spread, a_copy_for_the_neighbour_none_for_the_sender)
{
	struct sfh_guest_key key;

	neighbour();
	key = sender(MAC_OTHER, T.tap);
	says(MAC_BCAST, MAC_OTHER);
	says(MAC_MCAST, MAC_OTHER);
	says(MAC_PEER, MAC_OTHER);
	cr_assert_eq(copies(), 2);
	cr_assert_eq(view_of(T.s, &key).counters.to_standby_frames, 0);
	cr_assert_eq(drops(SFH_DROP_SPREAD), 0);
}

/* A guest without a port VLAN tags for itself; its neighbour without one hears all. */
Test(spread, what_has_a_tag_is_copied_too)
{
	struct sfh_guest_key in_7 = mk_key(T.pf, MAC_PEER, 7);

	neighbour();
	(void)sender(MAC_OTHER, T.tap);
	expect(HOOK_TC, PASS, mk_frame(MAC_BCAST, MAC_OTHER, TAG(5), 0));
	cr_assert_eq(copies(), 1);
	stage(&in_7, T.other_pf, SFH_STANDBY_MACVTAP, false);
	cr_assert_eq(sfh_steer_on_vf(T.s, &in_7, NULL), 0);
	expect(HOOK_TC, PASS, mk_frame(MAC_BCAST, MAC_PEER, TAG(7), 0));
	cr_assert_eq(copies(), 2, "of a guest in a VLAN");
	expect(HOOK_TC, PASS, mk_frame(MAC_BCAST, MAC_PEER, TAG(8), 0));
	expect(HOOK_TC, PASS, mk_frame(MAC_BCAST, MAC_PEER, STAG(7), 0));
	cr_assert_eq(copies(), 2, "that VLAN is not its");
}

/* A flood is copied so far and no further; what is not is counted. Seconds later the
 * guest is heard again, and its neighbour is at any time. */
Test(spread, a_flood_is_bounded_and_costs_nobody_else_anything)
{
	uint64_t tokens, over, before;

	neighbour();
	(void)sender(MAC_OTHER, T.tap);
	(void)sender(MAC_PEER, T.other_pf);
	tokens = flood(MAC_OTHER);
	over = drops(SFH_DROP_SPREAD);
	cr_assert_leq(over, FLOOD - SFH_SPREAD_BURST);
	cr_assert_geq(over, FLOOD - SFH_SPREAD_BURST - tokens - 1, "%llu in %llu tokens' time",
		      (unsigned long long)over, (unsigned long long)tokens);
	before = copies();
	says(MAC_BCAST, MAC_PEER);
	cr_assert_eq(copies(), before + 1, "another guest's ARP");
	cr_assert_eq(drops(SFH_DROP_SPREAD), over);
	(void)usleep(20 * SFH_SPREAD_NS / 1000);
	for (int i = 0; i < 5; i++)
		says(MAC_BCAST, MAC_OTHER);
	cr_assert_eq(copies(), before + 6, "its own, a moment later");
	cr_assert_eq(drops(SFH_DROP_SPREAD), over);
}

/* As many as a guest sends that asks for every address of a /24, three times over. */
Test(spread, a_guest_that_scans_its_subnet_is_copied)
{
	neighbour();
	(void)sender(MAC_OTHER, T.tap);
	for (int i = 0; i < 254 * 3; i++)
		says(MAC_BCAST, MAC_OTHER);
	cr_assert_eq(copies(), 254 * 3);
	cr_assert_eq(drops(SFH_DROP_SPREAD), 0);
}

/* The slot's next pair has a bucket of its own. */
Test(spread, a_new_pair_begins_with_a_full_bucket)
{
	struct sfh_spread left = { .full_ns = UINT64_MAX / 2 };
	struct sfh_guest_key key;
	uint32_t slots = sfh_steer_max_pairs(T.s);

	for (uint32_t slot = 0; slot < slots; slot++)
		cr_assert_eq(bpf_map_update_elem(T.s->map[SFH_MAP_SPREAD], &slot, &left, 0), 0);
	neighbour();
	key = sender(MAC_OTHER, T.tap);
	says(MAC_BCAST, MAC_OTHER);
	cr_assert_eq(copies(), 1);
	cr_assert_eq(sfh_steer_unstage(T.s, &key, NULL), 0);
	cr_assert_eq(drops(SFH_DROP_SPREAD), 0);
}
