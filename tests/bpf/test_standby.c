// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs on the standby device. */
#include "tests/bpf/run.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

TestSuite(standby, .init = bench_init, .fini = bench_fini, .timeout = 60);

static void from_guest(struct frame f)
{
	run_from_guest(T.tap, &f);
}

static void guest_sends(void)
{
	from_guest(mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
}

Test(standby, unknown_device_passes)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	run_from_guest(T.tap2, &f);
	run_to_guest(T.tap2, &f);
	expect_counters(&T.key, (struct sfh_counters){});
	cr_assert_not(view_of(T.s, &T.key).armed);
}

Test(standby, both_directions_are_counted)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends();
	from_guest(mk_frame(MAC_PEER, MAC_GUEST, TAG(5), 0));
	run_to_guest(T.tap, &f);
	expect_counters(&T.key, (struct sfh_counters){ .from_standby_frames = 2,
						       .from_standby_bytes = 120,
						       .to_standby_frames = 1,
						       .to_standby_bytes = 60 });
}

Test(standby, foreign_source_passes_and_does_not_arm)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	from_guest(mk_frame(MAC_PEER, MAC_OTHER, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){ .foreign_source_frames = 1 });
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_eq(view_of(T.s, &T.key).last_frame_ns, 0);
	cr_assert_eq(take_events(T.s, NULL), 0);
}

Test(standby, first_frame_arms_exactly_once)
{
	struct sfh_pair_view v;
	struct sfh_event ev = {};
	uint64_t before = sfh_now_ns();

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert(view_of(T.s, &T.key).arm_on_first_frame);
	guest_sends();
	guest_sends();
	guest_sends();
	cr_assert_eq(take_events(T.s, &ev), 1);
	v = view_of(T.s, &T.key);
	cr_assert_eq(ev.type, SFH_EVENT_ARMED);
	cr_assert_eq(memcmp(&ev.key, &T.key, sizeof(T.key)), 0);
	cr_assert_eq(ev.ifindex, T.tap);
	cr_assert_eq(ev.generation, v.generation);
	cr_assert_eq(ev.ktime_ns, v.first_frame_ns);
	cr_assert(before < ev.ktime_ns && ev.ktime_ns < sfh_now_ns());
	cr_assert(v.armed && v.armed_by_frame && !v.arm_on_first_frame);
	cr_assert_gt(v.last_frame_ns, v.first_frame_ns);
	cr_assert_eq(v.counters.from_standby_frames, 3);
}

Test(standby, any_frame_of_the_guest_arms)
{
	struct frame rarp = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0);

	rarp.b[12] = 0x80;
	rarp.b[13] = 0x35;
	rarp.len = 42;
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	from_guest(rarp);
	cr_assert(view_of(T.s, &T.key).armed);
}

Test(standby, double_tagged_frame_of_the_guest_arms)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	from_guest(mk_frame(MAC_BCAST, MAC_GUEST, STAG(7), TAG(9)));
	cr_assert(view_of(T.s, &T.key).armed);
}

Test(standby, merely_staged_is_not_armed_by_frames)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	guest_sends();
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_neq(view_of(T.s, &T.key).first_frame_ns, 0);
	cr_assert_eq(take_events(T.s, NULL), 0);
}

Test(standby, arming_by_hand_reports_the_first_frame)
{
	struct sfh_event ev = {};
	uint64_t first;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	guest_sends();
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
	cr_assert_eq(view_of(T.s, &T.key).first_frame_ns, 0, "of an earlier generation");
	guest_sends();
	guest_sends();
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_FIRST_FRAME);
	first = view_of(T.s, &T.key).first_frame_ns;
	cr_assert_eq(ev.ktime_ns, first);
	/* Arming what is armed starts nothing anew. */
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
	guest_sends();
	cr_assert_eq(take_events(T.s, NULL), 0);
	cr_assert_eq(view_of(T.s, &T.key).first_frame_ns, first);
}

/* The source of a failed migration: disarmed when the guest stopped, then again. */
Test(standby, every_arming_has_its_first_frame)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends();
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	guest_sends();
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
	guest_sends();
	cr_assert_eq(take_events(T.s, NULL), 2);
}

Test(standby, disarm_ends_waiting_for_the_first_frame)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	guest_sends();
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_eq(take_events(T.s, NULL), 0);
}

/* A frame that came before it was asked for must not arm. */
Test(standby, asking_late_waits_for_the_next_frame)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	guest_sends();
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert_not(view_of(T.s, &T.key).armed);
	guest_sends();
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_eq(take_events(T.s, NULL), 1);
}

Test(standby, staging_again_keeps_what_a_frame_armed)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert(view_of(T.s, &T.key).armed_by_frame);
	stage(&T.key, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert(view_of(T.s, &T.key).armed);
	stage(&T.key, T.tap, SFH_STANDBY_MACVTAP, false);
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_eq(take_events(T.s, NULL), 1);
}

Test(standby, staging_again_keeps_what_was_armed_by_hand)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	stage(&T.key, T.tap2, SFH_STANDBY_TAP, true);
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_not(view_of(T.s, &T.key).armed_by_frame);
}

Test(standby, staging_again_moves_the_standby)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage(&T.key, 0, SFH_STANDBY_NONE, true);
	guest_sends();
	expect_counters(&T.key, (struct sfh_counters){});
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	stage(&T.key, T.tap2, SFH_STANDBY_TAP, true);
	guest_sends();
	cr_assert_not(view_of(T.s, &T.key).armed, "the old device is nobody's");
	run_from_guest(T.tap2, &f);
	cr_assert(view_of(T.s, &T.key).armed);
}

/* Arming is not to wait for the agent to read its events. */
Test(standby, full_ring_does_not_keep_it_from_arming)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);
	int sent = 0;

	stage(&other, 0, SFH_STANDBY_NONE, false);
	while (drops(SFH_DROP_EVENT_LOST) == 0 && sent++ < 10000) {
		cr_assert_eq(sfh_steer_want_proof(T.s, &other, true, NULL), 0);
		expect(HOOK_TC, DROP, mk_frame(MAC_PEER, MAC_OTHER, TAG(4094), 0));
	}
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	guest_sends();
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_eq(drops(SFH_DROP_EVENT_LOST), 2);
}

Test(standby, gso_counts_the_frames_of_the_wire)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	f.len = 3000;
	(void)run_skb(T.s->prog_from_guest, T.tap, 4, &f);
	(void)run_skb(T.s->prog_to_guest, T.tap, 5, &f);
	expect_counters(&T.key, (struct sfh_counters){ .from_standby_frames = 4,
						       .from_standby_bytes = 3000,
						       .to_standby_frames = 5,
						       .to_standby_bytes = 3000 });
}

/* --- the guest's address --------------------------------------------------------------------- */

static void expect_ip(const char *ip, enum sfh_ip4_source source)
{
	struct sfh_pair_view v = view_of(T.s, &T.key);
	char buf[INET_ADDRSTRLEN];

	cr_assert_str_eq(inet_ntop(AF_INET, &v.ip4, buf, sizeof(buf)), ip);
	cr_assert_eq(v.ip4_source, source);
}

Test(standby, address_from_arp)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect_ip("0.0.0.0", SFH_IP4_NONE);
	from_guest(mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
	expect_ip("192.0.2.1", SFH_IP4_ARP);
	from_guest(mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.2"));
	expect_ip("192.0.2.2", SFH_IP4_ARP);
}

Test(standby, address_from_packets_until_arp_knows_better)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	from_guest(mk_ipv4(MAC_GUEST, "192.0.2.3"));
	expect_ip("192.0.2.3", SFH_IP4_PACKET);
	from_guest(mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
	from_guest(mk_ipv4(MAC_GUEST, "198.51.100.9")); /* it routes for others */
	expect_ip("192.0.2.1", SFH_IP4_ARP);
}

Test(standby, no_address_from_what_has_none)
{
	struct frame f;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	from_guest(mk_arp(MAC_GUEST, MAC_GUEST, "0.0.0.0")); /* duplicate address detection */
	from_guest(mk_arp(MAC_GUEST, MAC_OTHER, "192.0.2.1"));
	from_guest(mk_arp(MAC_OTHER, MAC_GUEST, "192.0.2.1"));
	from_guest(mk_ipv4(MAC_GUEST, "0.0.0.0")); /* DHCP */
	from_guest(mk_ipv4(MAC_GUEST, "127.0.0.1"));
	from_guest(mk_ipv4(MAC_GUEST, "224.0.0.1"));
	f = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1");
	f.len = 30;
	from_guest(f);
	f = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1");
	f.b[18] = 8; /* a hardware address of another length */
	from_guest(f);
	expect_ip("0.0.0.0", SFH_IP4_NONE);
}

Test(standby, no_address_from_a_tagged_frame)
{
	struct frame arp = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"), f = arp;
	static const uint8_t tag[] = { 0x81, 0x00, 0x00, 0x05 };

	memcpy(f.b + 12, tag, 4);
	memcpy(f.b + 16, arp.b + 12, arp.len - 12);
	f.len += 4;
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	from_guest(f);
	expect_ip("0.0.0.0", SFH_IP4_NONE);
}

Test(standby, truncated_frames_pass)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, TAG(7), 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	for (f.len = 14; f.len < 18; f.len++)
		run_from_guest(T.tap, &f);
	cr_assert_eq(view_of(T.s, &T.key).counters.from_standby_frames, 4);
}

/* --- another guest of the PF, on its VF leg --------------------------------------------- */

static int verdict_to(const char *dst)
{
	struct frame f = mk_frame(dst, MAC_GUEST, 0, 0);

	return run_skb(T.s->prog_from_guest, T.tap, 0, &f);
}

Test(standby, a_guest_on_its_vf_leg_is_reached_through_the_nic)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_MACVTAP);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_UNSPEC, "nobody's: untouched");
	stage(&other, T.tap2, SFH_STANDBY_MACVTAP, true);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_UNSPEC, "it may be on its standby leg");
	cr_assert_eq(sfh_steer_arm(T.s, &other, NULL), 0);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_UNSPEC, "it is on its standby leg");
	cr_assert_eq(sfh_steer_disarm(T.s, &other, NULL), 0);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_REDIRECT, "it is on its VF leg");
	cr_assert_eq(verdict_to(MAC_BCAST), TC_ACT_UNSPEC, "what is for all goes everywhere");
	/* the same MAC on another PF is somebody else */
	cr_assert_eq(sfh_steer_unstage(T.s, &other, NULL), 0);
	other.pf_ifindex = T.other_pf;
	stage(&other, T.tap2, SFH_STANDBY_MACVTAP, false);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_UNSPEC);
}

Test(standby, a_guest_that_is_not_here_yet_is_not_on_its_vf_leg)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_MACVTAP);
	stage(&other, 0, SFH_STANDBY_NONE, false);
	cr_assert_eq(verdict_to(MAC_OTHER), TC_ACT_UNSPEC);
}

/* Not for every packet, but never a second late. */
Test(standby, when_an_address_was_shown_is_known)
{
	struct frame arp = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1");
	struct frame packet = mk_ipv4(MAC_GUEST, "192.0.2.1");
	struct frame other = mk_ipv4(MAC_GUEST, "192.0.2.7"); /* routed */
	uint64_t shown;

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	run_from_guest(T.tap, &arp);
	shown = view_of(T.s, &T.key).ip4_ns;
	cr_assert_neq(shown, 0);
	run_from_guest(T.tap, &packet);
	cr_assert_eq(view_of(T.s, &T.key).ip4_ns, shown);
	(void)usleep(SFH_IP4_FRESH_NS / 1000);
	run_from_guest(T.tap, &other);
	cr_assert_eq(view_of(T.s, &T.key).ip4_ns, shown, "that is not the guest's own");
	run_from_guest(T.tap, &packet);
	cr_assert_gt(view_of(T.s, &T.key).ip4_ns, shown);
}

static struct frame arp_to(const __u8 *mac, __u8 op)
{
	struct frame f = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1");

	memcpy(f.b, mac, 6);
	f.b[21] = op;
	return f;
}

static struct frame icmp6_to(const __u8 *mac, __u8 type)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	memcpy(f.b, mac, 6);
	memset(f.b + 12, 0, 74);
	f.b[12] = 0x86;
	f.b[13] = 0xdd;
	f.b[14] = 0x60;
	f.b[20] = 58;
	f.b[54] = type;
	f.len = 86;
	return f;
}

/* A guest that was probed by a neighbour solicitation has whoever sent it in its table,
 * and asks it five seconds later whether it is still there: as the guest's next VF is
 * being plugged, perhaps. */
Test(standby, a_question_is_no_answer)
{
	static const __u8 macs[][6] = { SFH_PROBE_MAC, SFH_ASK_MAC };

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends();
	(void)take_events(T.s, NULL);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		struct frame questions[] = { icmp6_to(macs[i], 135), arp_to(macs[i], 1),
					     mk_frame(MAC_PEER, MAC_GUEST, 0, 0) };

		memcpy(questions[2].b, macs[i], 6);
		for (size_t k = 0; k < SFH_ARRAY_SIZE(questions); k++)
			cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &questions[k]),
				     TC_ACT_SHOT);
	}
	cr_assert_eq(take_events(T.s, NULL), 0);
	cr_assert(view_of(T.s, &T.key).proof_wanted);
}

Test(standby, an_advertisement_proves_too)
{
	static const __u8 mac[6] = SFH_PROBE_MAC;
	struct frame f = icmp6_to(mac, 136);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends();
	(void)take_events(T.s, NULL);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &f), TC_ACT_SHOT);
	cr_assert_eq(take_events(T.s, NULL), 1);
}

/* Asked on this leg it says that it listens here: once in a generation, and nothing of
 * its VF. */
Test(standby, an_answer_to_who_asks_here_is_another_event)
{
	static const __u8 mac[6] = SFH_ASK_MAC;
	struct frame f = arp_to(mac, 2);
	struct sfh_event ev = {};

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends();
	(void)take_events(T.s, NULL);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	for (int generation = 0; generation < 2; generation++) {
		cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &f), TC_ACT_SHOT);
		cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &f), TC_ACT_SHOT);
		cr_assert_eq(take_events(T.s, &ev), 1);
		cr_assert_eq(ev.type, SFH_EVENT_LISTENS);
		cr_assert(view_of(T.s, &T.key).proof_wanted);
		cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
		cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
		guest_sends();
		(void)take_events(T.s, NULL);
	}
}

/* The guest got a probe over its parked VF and answers on this leg: its VF's link is not
 * up yet. Nobody else is to see the answer. */
Test(standby, answer_to_a_probe_proves_and_goes_no_further)
{
	static const __u8 probe_mac[6] = SFH_PROBE_MAC;
	struct frame f = arp_to(probe_mac, 2);
	struct sfh_event ev = {};

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends(); /* the first one is an event of its own */
	(void)take_events(T.s, NULL);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &f), TC_ACT_SHOT);
	cr_assert_eq(run_skb(T.s->prog_from_guest, T.tap, 0, &f), TC_ACT_SHOT);
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_PROOF);
	cr_assert_eq(ev.ifindex, T.tap);
	cr_assert_not(view_of(T.s, &T.key).proof_wanted);
	cr_assert_eq(drops(SFH_DROP_PROBE_ANSWER), 2);
}

/* What the guest sends to others on its standby leg says nothing of its VF. */
Test(standby, other_frames_do_not_prove)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	guest_sends(); /* the first one is an event of its own */
	(void)take_events(T.s, NULL);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	guest_sends();
	cr_assert_eq(take_events(T.s, NULL), 0);
	cr_assert(view_of(T.s, &T.key).proof_wanted);
}

/* A guest whose VF carries its frames gets no second copy of them on its standby leg, nor
 * of what is for everybody, until the leg is needed again. */
Test(standby, on_its_vf_it_gets_no_copy)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0), bcast = f;

	memset(bcast.b, 0xff, 6);
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_on_vf(T.s, &T.key, NULL), 0);
	cr_assert_not(view_of(T.s, &T.key).armed);
	cr_assert_eq(run_skb(T.s->prog_to_guest, T.tap, 0, &f), TC_ACT_SHOT);
	cr_assert_eq(run_skb(T.s->prog_to_guest, T.tap, 0, &bcast), TC_ACT_SHOT);
	cr_assert_eq(drops(SFH_DROP_ON_VF), 2);
	cr_assert_eq(sfh_steer_on_vf(T.s, &T.key, NULL), 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	run_to_guest(T.tap, &f);
	cr_assert_eq(sfh_steer_on_vf(T.s, &T.key, NULL), 0);
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
	run_to_guest(T.tap, &f);
	cr_assert_eq(drops(SFH_DROP_ON_VF), 2);
}
