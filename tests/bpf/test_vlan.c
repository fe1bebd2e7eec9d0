// SPDX-License-Identifier: GPL-2.0-or-later
/* Port VLANs and spoofchk: what the VF enforces in hardware the standby leg enforces
 * too. Frames in, verdict and bytes out. (What the guest sends gets its tag outside of
 * the data, where BPF_PROG_TEST_RUN does not show it: tests/netns/test_vlan.c.) */
#include "tests/bpf/run.h"

#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

TestSuite(vlan, .init = bench_init, .fini = bench_fini, .timeout = 60);
TestSuite(vlan_xdp, .init = bench_init, .fini = bench_fini, .timeout = 60);
TestSuite(spoof, .init = bench_init, .fini = bench_fini, .timeout = 60);

#define BOTH(name)                                                                                 \
	static void name(enum hook hook);                                                          \
	Test(vlan, name)                                                                           \
	{                                                                                          \
		name(HOOK_TC);                                                                     \
	}                                                                                          \
	Test(vlan_xdp, name)                                                                       \
	{                                                                                          \
		name(HOOK_XDP);                                                                    \
	}                                                                                          \
	static void name(enum hook hook)

static struct sfh_guest_key in_vlan(uint16_t vlan)
{
	return mk_key(T.pf, MAC_GUEST, vlan);
}

static void stage_as(const struct sfh_guest_key *key, struct sfh_standby_policy policy)
{
	struct sfh_error err = {};
	int r = sfh_steer_stage_as(T.s, key, T.tap, SFH_STANDBY_TAP, false, &policy, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(sfh_steer_arm(T.s, key, NULL), 0);
}

/* The frame without its outer tag. */
static struct frame untagged(struct frame f)
{
	memmove(f.b + 12, f.b + 16, f.len - 16);
	f.len -= 4;
	return f;
}

/* Steered: XDP takes the tag off itself, tc leaves that to the standby's program. */
static void steered(enum hook hook, struct frame f)
{
	struct frame out = hook == HOOK_XDP ? untagged(f) : f;

	cr_assert_eq(run_pf_to(hook, T.pf, &f, &out), REDIRECT);
}

/* --- the PF ------------------------------------------------------------------------------- */

BOTH(a_pair_takes_its_vlan_only)
{
	struct sfh_guest_key key = in_vlan(7);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, TAG(0xe000 | 7), 0)); /* priority 7 */
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(8), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, STAG(7), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(0xe000), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	/* As on the wire: with the tag. What XDP hands to the tap has none. */
	expect_counters(&key, (struct sfh_counters){
				      .from_wire_frames = 2,
				      .from_wire_bytes = 120,
				      .to_standby_frames = hook == HOOK_XDP ? 2 : 0,
				      .to_standby_bytes = hook == HOOK_XDP ? 112 : 0,
			      });
}

BOTH(the_inner_tag_stays)
{
	struct sfh_guest_key key = in_vlan(7);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), TAG(9)));
}

BOTH(a_provider_vlan)
{
	struct sfh_guest_key key = in_vlan(7);

	stage_as(&key, (struct sfh_standby_policy){ .vlan_proto = ETH_P_8021AD });
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, STAG(7), TAG(9)));
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, STAG(7), 0));
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	expect(hook, DROP, mk_frame(MAC_PEER, MAC_GUEST, STAG(7), TAG(9)));
	expect(hook, PASS, mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0));
}

BOTH(one_mac_in_two_vlans)
{
	struct sfh_guest_key a = in_vlan(7), b = in_vlan(8);

	stage_armed(&a, T.tap, SFH_STANDBY_TAP);
	stage_armed(&b, T.tap2, SFH_STANDBY_TAP);
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	steered(hook, mk_frame(MAC_GUEST, MAC_PEER, TAG(8), 0));
	cr_assert_eq(view_of(T.s, &a).counters.from_wire_frames, 1);
	cr_assert_eq(view_of(T.s, &b).counters.from_wire_frames, 1);
}

BOTH(the_shortest_tagged_frame)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	f.len = 18;
	steered(hook, f);
	f.len = 17;
	expect(hook, PASS, f);
}

BOTH(a_jumbo_frame)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	f.len = 3000; /* what one buffer holds */
	steered(hook, f);
}

/* Several buffers: left to tc as it came. */
Test(vlan_xdp, a_frame_of_several_buffers)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	f.len = 9000;
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), PASS);
	expect_counters(&key, (struct sfh_counters){});
}

/* What runs in a dispatcher that takes no better one: a tag is left to tc, nothing else. */
Test(vlan_xdp, the_form_that_moves_no_beginning)
{
	struct sfh_guest_key tagged = in_vlan(7), plain = in_vlan(0);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0);

	stage_armed(&tagged, T.tap, SFH_STANDBY_TAP);
	stage_armed(&plain, T.tap2, SFH_STANDBY_TAP);
	T.s->prog_pf_xdp = T.s->prog_pf_xdp_tag;
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), PASS);
	expect_counters(&tagged, (struct sfh_counters){});
	f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), REDIRECT);
	f = mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0);
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), DROP);
}

/* --- towards the guest ------------------------------------------------------------------------ */

static int to_guest(struct frame f, struct frame out)
{
	return run_skb_to(T.s->prog_to_guest, T.tap, 0, &f, &out);
}

Test(vlan, the_guest_gets_its_vlan_without_the_tag)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(0x6000 | 7), 0);
	struct frame bcast = mk_frame(MAC_BCAST, MAC_PEER, TAG(7), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(to_guest(f, untagged(f)), TC_ACT_UNSPEC);
	cr_assert_eq(to_guest(bcast, untagged(bcast)), TC_ACT_UNSPEC);
	expect_counters(&key, (struct sfh_counters){ .to_standby_frames = 2,
						     .to_standby_bytes = 112 });
}

Test(vlan, the_guest_gets_nothing_of_other_vlans)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame bad[] = {
		mk_frame(MAC_BCAST, MAC_PEER, TAG(8), 0), mk_frame(MAC_BCAST, MAC_PEER, 0, 0),
		mk_frame(MAC_GUEST, MAC_PEER, 0, 0),	  mk_frame(MAC_GUEST, MAC_PEER, STAG(7), 0),
		mk_frame(MAC_GUEST, MAC_PEER, TAG(0), 0), mk_frame(MAC_MCAST, MAC_PEER, TAG(8), TAG(7)),
	};

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_assert_eq(to_guest(bad[i], bad[i]), TC_ACT_SHOT, "frame %zu", i);
	expect_counters(&key, (struct sfh_counters){ .vlan_drops = SFH_ARRAY_SIZE(bad) });
	cr_assert_eq(drops(SFH_DROP_VLAN), SFH_ARRAY_SIZE(bad));
}

Test(vlan, without_a_port_vlan_everything_is_the_guests)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(8), 0);
	struct frame q = mk_frame(MAC_BCAST, MAC_PEER, STAG(8), TAG(9));

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(to_guest(f, f), TC_ACT_UNSPEC);
	cr_assert_eq(to_guest(q, q), TC_ACT_UNSPEC);
}

/* --- from the guest ---------------------------------------------------------------------------- */

static int from_guest(struct frame f, struct frame out)
{
	return run_skb_to(T.s->prog_from_guest, T.tap, 0, &f, &out);
}

Test(vlan, a_guest_with_a_port_vlan_sends_no_tags_of_its_own)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame bad[] = {
		mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0), mk_frame(MAC_PEER, MAC_GUEST, TAG(8), 0),
		mk_frame(MAC_PEER, MAC_GUEST, STAG(7), 0),
		mk_frame(MAC_PEER, MAC_GUEST, TAG(0), TAG(8)),
	};
	struct frame good = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame prio = mk_frame(MAC_PEER, MAC_GUEST, TAG(0xe000), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_assert_eq(from_guest(bad[i], bad[i]), TC_ACT_SHOT, "frame %zu", i);
	cr_assert_eq(drops(SFH_DROP_VLAN), SFH_ARRAY_SIZE(bad));
	cr_assert_eq(from_guest(good, good), TC_ACT_UNSPEC);
	cr_assert_eq(from_guest(prio, untagged(prio)), TC_ACT_UNSPEC, "its priority gives way");
}

Test(vlan, customer_tags_pass_below_a_provider_vlan)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame ctag = mk_frame(MAC_PEER, MAC_GUEST, TAG(9), 0);
	struct frame stag = mk_frame(MAC_PEER, MAC_GUEST, STAG(9), 0);

	stage_as(&key, (struct sfh_standby_policy){ .vlan_proto = ETH_P_8021AD });
	cr_assert_eq(from_guest(ctag, ctag), TC_ACT_UNSPEC);
	cr_assert_eq(from_guest(stag, stag), TC_ACT_SHOT);
}

Test(vlan, a_guest_on_its_vf_is_reached_in_the_same_vlan_only)
{
	struct sfh_guest_key here = in_vlan(7), on_vf = mk_key(T.pf, MAC_OTHER, 7);
	struct sfh_guest_key elsewhere = mk_key(T.pf, MAC_PEER, 8);
	struct frame to_vf = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0);
	struct frame to_8 = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage_armed(&here, T.tap, SFH_STANDBY_TAP);
	stage(&on_vf, T.tap2, SFH_STANDBY_TAP, false);
	stage(&elsewhere, ifindex_of("wire0"), SFH_STANDBY_TAP, false);
	cr_assert_eq(from_guest(to_vf, to_vf), TC_ACT_REDIRECT);
	cr_assert_eq(from_guest(to_8, to_8), TC_ACT_UNSPEC);
}

/* One without a port VLAN hears every VLAN, and tags for itself. */
Test(vlan, a_trunk_guest_on_its_vf_is_reached_in_every_vlan)
{
	struct sfh_guest_key on_vf = mk_key(T.pf, MAC_OTHER, 0), in_8 = mk_key(T.pf, MAC_PEER, 8);
	struct frame to_vf = mk_frame(MAC_OTHER, MAC_GUEST, TAG(5), 0);
	struct frame qinq = mk_frame(MAC_OTHER, MAC_GUEST, STAG(5), TAG(6));
	struct frame to_8 = mk_frame(MAC_PEER, MAC_GUEST, TAG(5), 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	stage(&on_vf, T.tap2, SFH_STANDBY_TAP, false);
	stage(&in_8, ifindex_of("wire0"), SFH_STANDBY_TAP, false);
	cr_assert_eq(from_guest(to_vf, to_vf), TC_ACT_REDIRECT);
	cr_assert_eq(from_guest(qinq, qinq), TC_ACT_REDIRECT);
	cr_assert_eq(from_guest(to_8, to_8), TC_ACT_UNSPEC);
	cr_assert_eq(sfh_steer_arm(T.s, &on_vf, NULL), 0);
	cr_assert_eq(from_guest(to_vf, to_vf), TC_ACT_UNSPEC, "it is on its standby leg");
}

Test(vlan, a_trunk_guest_on_its_vf_is_reached_from_a_port_vlan)
{
	struct sfh_guest_key here = in_vlan(7), on_vf = mk_key(T.pf, MAC_OTHER, 0);
	struct frame f = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0);

	stage_armed(&here, T.tap, SFH_STANDBY_TAP);
	stage(&on_vf, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert_eq(from_guest(f, f), TC_ACT_REDIRECT);
}

Test(vlan, a_cut_tag_is_not_sent)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0);

	stage_armed(&key, T.tap, SFH_STANDBY_TAP);
	for (f.len = 14; f.len < 18; f.len++)
		cr_assert_eq(from_guest(f, f), TC_ACT_SHOT, "%zu bytes", f.len);
}

/* --- spoofchk ----------------------------------------------------------------------------------- */

Test(spoof, another_source_is_dropped_and_counted)
{
	struct frame f = mk_frame(MAC_PEER, MAC_OTHER, 0, 0);
	struct frame own = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame bcast = mk_frame(MAC_BCAST, MAC_OTHER, TAG(5), 0);

	stage_as(&T.key, (struct sfh_standby_policy){ .spoofchk = true });
	cr_assert_eq(from_guest(f, f), TC_ACT_SHOT);
	cr_assert_eq(from_guest(bcast, bcast), TC_ACT_SHOT);
	cr_assert_eq(from_guest(own, own), TC_ACT_UNSPEC);
	expect_counters(&T.key,
			(struct sfh_counters){ .foreign_source_frames = 2, .spoofed_drops = 2,
					       .from_standby_frames = 1, .from_standby_bytes = 60 });
	cr_assert_eq(drops(SFH_DROP_SPOOFED), 2);
}

Test(spoof, it_neither_arms_nor_teaches_an_address)
{
	struct sfh_standby_policy policy = { .spoofchk = true };
	struct frame arp = mk_arp(MAC_OTHER, MAC_OTHER, "192.0.2.9");

	cr_assert_eq(sfh_steer_stage_as(T.s, &T.key, T.tap, SFH_STANDBY_TAP, true, &policy, NULL), 0);
	cr_assert_eq(from_guest(arp, arp), TC_ACT_SHOT);
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_eq(view_of(T.s, &T.key).ip4, 0);
}

Test(spoof, off_lets_it_pass_and_tags_it)
{
	struct sfh_guest_key key = in_vlan(7);
	struct frame f = mk_frame(MAC_PEER, MAC_OTHER, 0, 0);
	struct frame tagged = mk_frame(MAC_PEER, MAC_OTHER, TAG(9), 0);

	stage_as(&key, (struct sfh_standby_policy){ .spoofchk = false });
	cr_assert_eq(from_guest(f, f), TC_ACT_UNSPEC);
	cr_assert_eq(from_guest(tagged, tagged), TC_ACT_SHOT, "its VLAN holds for every address");
}

Test(spoof, the_policy_stays_until_it_is_changed)
{
	struct sfh_standby_policy policy = { .spoofchk = true };
	struct frame f = mk_frame(MAC_PEER, MAC_OTHER, 0, 0);

	stage_as(&T.key, policy);
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert(view_of(T.s, &T.key).policy.spoofchk);
	cr_assert_eq(from_guest(f, f), TC_ACT_SHOT);
	policy.spoofchk = false;
	stage_as(&T.key, policy);
	cr_assert_eq(from_guest(f, f), TC_ACT_UNSPEC);
}

Test(spoof, what_is_no_policy_is_refused)
{
	struct sfh_standby_policy bad[] = { { .vlan_proto = 0x9100 }, { .vlan_prio = 8 } };
	struct sfh_guest_key key = in_vlan(7);

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_assert_eq(sfh_steer_stage_as(T.s, &key, T.tap, SFH_STANDBY_TAP, true, &bad[i],
						NULL),
			     -EINVAL);
	cr_assert_eq(sfh_steer_get(T.s, &key, &(struct sfh_pair_view){}), -ENOENT);
}
