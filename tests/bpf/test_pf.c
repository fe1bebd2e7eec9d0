// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules on the PF, each through tc and through XDP. */
#include "tests/bpf/run.h"

#include <criterion/criterion.h>

TestSuite(tc, .init = bench_init, .fini = bench_fini, .timeout = 60);
TestSuite(xdp, .init = bench_init, .fini = bench_fini, .timeout = 60);

#define BOTH(name)                                                                                 \
	static void name(enum hook hook);                                                          \
	Test(tc, name)                                                                             \
	{                                                                                          \
		name(HOOK_TC);                                                                     \
	}                                                                                          \
	Test(xdp, name)                                                                            \
	{                                                                                          \
		name(HOOK_XDP);                                                                    \
	}                                                                                          \
	static void name(enum hook hook)

#define NOTHING ((struct sfh_counters){})

/* --- destination ------------------------------------------------------------------------ */

BOTH(unknown_destination_passes)
{
	expect(hook, PASS, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	expect_counters(&T.key, NOTHING);
}

BOTH(staged_but_not_armed_passes)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect_counters(&T.key, NOTHING);
}

BOTH(armed_tap_is_redirected_and_counted)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect(hook, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	/* Behind a tc redirect the tap's own hook counts what goes to the standby. */
	expect_counters(&T.key, (struct sfh_counters){
					.from_wire_frames = 2,
					.from_wire_bytes = 120,
					.to_standby_frames = hook == HOOK_XDP ? 2 : 0,
					.to_standby_bytes = hook == HOOK_XDP ? 120 : 0,
				});
}

/* XDP must not count what it leaves to tc. */
BOTH(armed_macvtap_passes_and_is_counted_once)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_MACVTAP);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){
					.from_wire_frames = hook == HOOK_TC,
					.from_wire_bytes = hook == HOOK_TC ? 60 : 0,
				});
}

BOTH(armed_without_a_known_standby_passes)
{
	stage_armed(&T.key, 0, SFH_STANDBY_NONE);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	stage(&T.key, 0, SFH_STANDBY_TAP, false);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
}

BOTH(disarmed_passes_again)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
}

BOTH(unstaged_passes_again)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
}

BOTH(broadcast_and_multicast_pass)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	expect(hook, PASS, mk_frame(MAC_MCAST, MAC_PEER, 0, 0));
	expect_counters(&T.key, NOTHING);
}

BOTH(another_pf_is_another_pair)
{
	struct frame to = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct frame from = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(run_pf(hook, T.other_pf, &to), PASS);
	cr_assert_eq(run_pf(hook, T.other_pf, &from), PASS);
	expect_counters(&T.key, NOTHING);
}

BOTH(same_mac_on_two_pfs)
{
	struct sfh_guest_key other = mk_key(T.other_pf, MAC_GUEST, 0);
	struct frame to = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	stage_armed(&other, T.tap2, SFH_STANDBY_TAP);
	cr_assert_eq(run_pf(hook, T.pf, &to), PASS);
	cr_assert_eq(run_pf(hook, T.other_pf, &to), REDIRECT);
	cr_assert_eq(view_of(T.s, &other).counters.from_wire_frames, 1);
}

/* --- tags ---------------------------------------------------------------------------------- */

BOTH(untagged_pair_ignores_tagged_frames)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	expect_counters(&T.key, NOTHING);
}

BOTH(priority_tag_counts_as_untagged)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, TAG(0xa000), 0));
}

BOTH(untagged_pair_ignores_provider_tags)
{
	stage_armed(&T.key, T.tap2, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), TAG(9)));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, STAG(7), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, STAG(0), 0));
	expect_counters(&T.key, NOTHING);
}

/* test_run takes no less than 14 bytes; test_frame.c has the rest. */
BOTH(truncated_frames_pass)
{
	struct sfh_guest_key key = mk_key(T.pf, MAC_GUEST, 7);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0);

	stage_armed(&T.key, T.tap2, SFH_STANDBY_TAP);
	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	for (f.len = 14; f.len < 18; f.len++)
		cr_assert_eq(run_pf(hook, T.pf, &f), PASS, "%zu bytes", f.len);
	expect_counters(&key, NOTHING);
	expect_counters(&T.key, NOTHING);
}

BOTH(shortest_untagged_frame_is_steered)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	f.len = 14;
	cr_assert_eq(run_pf(hook, T.pf, &f), REDIRECT);
}

/* --- reflection ------------------------------------------------------------------------------ */

BOTH(reflection_is_dropped_and_counted)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){ .reflected_drops = 2 });
	cr_assert_eq(drops(SFH_DROP_REFLECTED), 2);
	cr_assert_eq(drops(SFH_DROP_PARKED), 0);
}

BOTH(reflection_passes_unless_armed)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	expect(hook, PASS, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	cr_assert_eq(drops(SFH_DROP_REFLECTED), 0);
}

BOTH(reflection_on_a_macvtap)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_MACVTAP);
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){ .reflected_drops = 1 });
}

BOTH(reflection_is_meant_behind_a_vepa)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_MACVTAP_VEPA);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){
					.from_wire_frames = hook == HOOK_TC,
					.from_wire_bytes = hook == HOOK_TC ? 60 : 0,
				});
}

BOTH(reflection_is_per_vlan)
{
	struct sfh_guest_key key = mk_key(T.pf, MAC_GUEST, 7);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, TAG(8), 0));
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0));
}

/* Without a port VLAN the tags are the guest's own, and the frame no less. */
BOTH(reflection_with_the_guests_own_tags)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(7), 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, STAG(7), TAG(9)));
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, STAG(0), 0));
	expect_counters(&T.key, (struct sfh_counters){ .reflected_drops = 4 });
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0));
}

BOTH(reflection_with_tags_armed_by_the_first_frame)
{
	struct frame first = mk_frame(MAC_BCAST, MAC_GUEST, TAG(7), 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	expect(hook, PASS, first);
	run_from_guest(T.tap, &first);
	expect(hook, DROP, first);
}

/* From one guest here to another, back from the wire: it was delivered locally. */
BOTH(reflection_goes_before_delivery)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	stage_armed(&other, T.tap2, SFH_STANDBY_TAP);
	expect(hook, DROP, mk_frame(MAC_OTHER, MAC_GUEST, 0, 0));
	expect_counters(&other, NOTHING);
}

/* --- parking VLAN ----------------------------------------------------------------------------- */

BOTH(parked_guest_is_dropped_without_event)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	expect_counters(&T.key, (struct sfh_counters){ .parked_drops = 1 });
	cr_assert_eq(drops(SFH_DROP_PARKED), 1);
	cr_assert_eq(take_events(T.s, NULL), 0);
}

BOTH(parking_vlan_of_others_passes)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_OTHER, TAG(4094), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_OTHER, TAG(4094), 0));
	expect_counters(&T.key, NOTHING);
}

BOTH(proof_comes_once_for_each_request)
{
	struct sfh_event ev = {};

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	cr_assert(view_of(T.s, &T.key).proof_wanted);
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_PROOF);
	cr_assert_eq(memcmp(&ev.key, &T.key, sizeof(T.key)), 0);
	cr_assert_eq(ev.ifindex, T.pf);
	cr_assert_eq(ev.ktime_ns, view_of(T.s, &T.key).proof_ns);
	cr_assert_not(view_of(T.s, &T.key).proof_wanted);
	expect_counters(&T.key, (struct sfh_counters){ .parked_drops = 2 });

	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
}

BOTH(proof_called_off)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, false, NULL), 0);
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, NULL), 0);
}

/* The pair's own VLAN does not show while its VF is parked. */
BOTH(proof_of_a_vlan_pair)
{
	struct sfh_guest_key vlan7 = mk_key(T.pf, MAC_GUEST, 7), vlan8 = mk_key(T.pf, MAC_GUEST, 8);
	struct sfh_event ev = {};

	stage(&vlan7, T.tap, SFH_STANDBY_TAP, false);
	stage(&vlan8, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &vlan8, true, NULL), 0);
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.key.vlan, 8);
	/* The other inherits the parking VLAN. */
	cr_assert_eq(sfh_steer_unstage(T.s, &vlan8, NULL), 0);
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	expect_counters(&vlan7, (struct sfh_counters){ .parked_drops = 1 });
	cr_assert_eq(sfh_steer_unstage(T.s, &vlan7, NULL), 0);
	expect(hook, PASS, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
}

BOTH(parking_vlan_is_configurable)
{
	struct sfh_steer_config cfg = { .park_vlan = 100 };

	sfh_steer_close(&T.s);
	cr_assert_eq(sfh_steer_open(&cfg, &T.s, NULL), 0);
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(100), 0));
}

/* A proof that found the ring full must not be lost. */
BOTH(proof_waits_for_room_in_the_ring)
{
	int sent = 0;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	while (drops(SFH_DROP_EVENT_LOST) == 0 && sent++ < 10000) {
		cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
		expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	}
	cr_assert_eq(drops(SFH_DROP_EVENT_LOST), 1);
	cr_assert(view_of(T.s, &T.key).proof_wanted);
	cr_assert_eq(take_events(T.s, NULL), sent - 1);
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, NULL), 1);
}

/* --- arming on the first frame -------------------------------------------------------------- */

BOTH(first_frame_arms_the_pf)
{
	struct frame announce = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect(hook, PASS, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0)); /* from the wire: no arming */
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	run_from_guest(T.tap, &announce);
	expect(hook, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect(hook, DROP, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
}

/* --- what only one of them has --------------------------------------------------------------- */

Test(xdp, tap_missing_in_the_devmap_is_left_to_tc)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	sh("ip link del tap0"); /* the kernel takes it out of the devmap */
	expect(HOOK_XDP, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect_counters(&T.key, NOTHING);
}

Test(xdp, frame_in_several_buffers_is_left_to_tc)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	f.len = 8000;
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), PASS);
	expect_counters(&T.key, NOTHING);
	f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	f.len = 8000;
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), DROP);
}

Test(tc, gro_counts_the_frames_of_the_wire)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	f.len = 2000;
	(void)run_skb(T.s->prog_pf_tc, T.pf, 3, &f);
	expect_counters(&T.key, (struct sfh_counters){ .from_wire_frames = 3,
						       .from_wire_bytes = 2000 });
}
