// SPDX-License-Identifier: GPL-2.0-or-later
/* Real devices: a veth is the PF and its wire, the guest is whoever reads and
 * writes the tap's or macvtap's file descriptor. */
#include "ctl/core/steer_priv.h"
#include "tests/netns/sandbox.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON  1000 /* ms in which a frame that should come has come */
#define NEVER 100  /* ms after which one that should not is not coming */

/* Somebody else's tc filter: this kernel may have neither matchall nor gact. */
#define CBPF_OK "1,6 0 0 4294967295,"

static struct {
	struct sfh_steer *s;
	uint32_t pf, standby;
	int wire;  /* the far end of the PF's cable */
	int host;  /* what the host's stack gets from the PF */
	int guest; /* the tap's or macvtap's fd */
	struct sfh_guest_key key;
	struct sfh_steer_pf_info info;
} T;

static void init(void)
{
	sandbox_enter();
	T.pf = pf_make();
	T.wire = packet_open(ifindex_of("wire0"));
	T.s = steer_open();
	T.key = mk_key(T.pf, MAC_GUEST, 0);
}

static void fini(void)
{
	sfh_steer_close(&T.s);
}

TestSuite(tap, .init = init, .fini = fini, .timeout = 30);
TestSuite(macvtap, .init = init, .fini = fini, .timeout = 30);

static void attach_pf(bool xdp)
{
	pf_attach(T.s, T.pf, xdp, &T.info);
}

static void attach_standby(const char *name, enum sfh_standby_kind kind, bool on_first_frame)
{
	struct sfh_error err = {};

	T.standby = ifindex_of(name);
	cr_assert_eq(sfh_steer_standby_attach(T.s, T.standby, kind, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_steer_stage(T.s, &T.key, T.standby, kind, on_first_frame, &err), 0, "%s",
		     err.text);
}

/* A tap on a bridge over the PF, as libvirt makes it. */
static void with_tap(bool xdp, bool on_first_frame)
{
	sh("ip link add br0 type bridge mcast_snooping 0 && ip link set pf0 master br0 && "
	   "ip link set br0 up");
	T.guest = tap_make("tap0");
	sh("ip link set tap0 master br0");
	attach_pf(xdp);
	attach_standby("tap0", SFH_STANDBY_TAP, on_first_frame);
}

static void with_macvtap(bool xdp, bool on_first_frame)
{
	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	attach_pf(xdp);
	attach_standby("mv0", SFH_STANDBY_MACVTAP, on_first_frame);
}

static void arm(void)
{
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
}

static void arrives(int from, int to, struct frame f)
{
	struct frame got;

	frame_send(from, &f);
	got = frame_read(to, SOON);
	cr_assert_frame(got, f);
}

static void is_lost(int from, int to, struct frame f)
{
	struct frame got;

	frame_send(from, &f);
	got = frame_read(to, NEVER);
	cr_assert_eq(got.len, 0, "%zu bytes came", got.len);
}

static struct sfh_counters counters(void)
{
	return view_of(T.s, &T.key).counters;
}

/* --- tap on a bridge ------------------------------------------------------------------------ */

/* Without a bridge nothing but our redirect brings a frame to the tap. */
static void lone_tap(bool xdp)
{
	T.guest = tap_make("tap0");
	attach_pf(xdp);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arm();
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, TAG(5), 0));
	cr_assert_eq(counters().from_wire_frames, 1);
	cr_assert_eq(counters().from_wire_bytes, 60);
	cr_assert_eq(counters().to_standby_frames, 1, "once, whichever hook saw it");
	cr_assert_eq(counters().to_standby_bytes, 60);
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
}

Test(tap, delivers_only_while_armed_tc)
{
	lone_tap(false);
}

Test(tap, delivers_only_while_armed_xdp)
{
	lone_tap(true);
}

/* The lab's 4.4 s of deafness: the bridge has learnt the guest's own address on
 * the PF, because the NIC's switch sent its announcement back. */
static void learn_on_pf(void)
{
	struct frame f = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0);

	arrives(T.wire, T.guest, f);
	sh("bridge fdb show br br0 | grep -qi '^" MAC_GUEST " dev pf0 master br0'");
}

Test(tap, stale_fdb_keeps_frames_away_unless_armed)
{
	with_tap(false, false);
	learn_on_pf();
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arm();
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
}

Test(tap, stale_fdb_xdp)
{
	with_tap(true, false);
	learn_on_pf();
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arm();
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
}

/* While armed the reflection does not even get into the FDB. */
static void reflection(bool xdp)
{
	uint64_t n;

	with_tap(xdp, false);
	arm();
	arrives(T.guest, T.wire, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	sh("bridge fdb show br br0 | grep -qi '^" MAC_GUEST " dev tap0 master br0'");
	cr_assert_eq(counters().reflected_drops, 1);
	cr_assert_eq(sfh_steer_drops(T.s, SFH_DROP_REFLECTED, &n), 0);
	cr_assert_eq(n, 1);
}

Test(tap, reflection_is_dropped_tc)
{
	reflection(false);
}

Test(tap, reflection_is_dropped_xdp)
{
	reflection(true);
}

static void first_frame(bool xdp)
{
	struct sfh_event ev = {};

	with_tap(xdp, true);
	learn_on_pf();
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arrives(T.guest, T.wire, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_ARMED);
	cr_assert_eq(ev.ifindex, T.standby);
	cr_assert_eq(ev.ktime_ns, view_of(T.s, &T.key).first_frame_ns);
}

Test(tap, first_frame_arms_tc)
{
	first_frame(false);
}

Test(tap, first_frame_arms_xdp)
{
	first_frame(true);
}

static void others_pass(bool xdp)
{
	with_tap(xdp, false);
	arm();
	T.host = packet_open(ifindex_of("br0"));
	/* To the bridge itself, to everybody, and tagged frames, as without us. */
	sh("ip link set br0 address 52:54:00:00:00:0b");
	arrives(T.wire, T.host, mk_frame("52:54:00:00:00:0b", MAC_PEER, 0, 0));
	arrives(T.wire, T.host, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	cr_assert_neq(frame_read(T.guest, SOON).len, 0, "the broadcast reaches the guest, too");
	arrives(T.wire, T.host, mk_frame(MAC_MCAST, MAC_PEER, 0, 0));
	cr_assert_neq(frame_read(T.guest, SOON).len, 0);
}

Test(tap, other_traffic_passes_tc)
{
	others_pass(false);
}

Test(tap, other_traffic_passes_xdp)
{
	others_pass(true);
}

/* What is sent to the guest comes without its outer tag. */
static void arrives_untagged(struct frame f)
{
	struct frame got;

	frame_send(T.wire, &f);
	got = frame_read(T.guest, SOON);
	f.len -= 4;
	memmove(f.b + 12, f.b + 16, f.len - 12);
	cr_assert_frame(got, f);
}

/* tc sees the tag beside the data, XDP in it; the guest sees none but an inner one. */
static void vlan_pair(bool xdp)
{
	T.key = mk_key(T.pf, MAC_GUEST, 7);
	T.guest = tap_make("tap0");
	attach_pf(xdp);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	arm();
	arrives_untagged(mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	arrives_untagged(mk_frame(MAC_GUEST, MAC_PEER, TAG(7), TAG(9)));
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, TAG(8), 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, STAG(7), 0));
	cr_assert_eq(counters().from_wire_frames, 2);
	cr_assert_eq(counters().from_wire_bytes, 120, "with their tags");
}

Test(tap, vlan_pair_tc)
{
	vlan_pair(false);
}

Test(tap, vlan_pair_xdp)
{
	vlan_pair(true);
}

static void proof(bool xdp)
{
	struct sfh_event ev = {};

	with_tap(xdp, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	is_lost(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_PROOF);
	cr_assert_eq(ev.ifindex, T.pf);
	cr_assert_eq(counters().parked_drops, 2, "each frame counted by one hook only");
	arrives(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_OTHER, TAG(4094), 0));
}

Test(tap, parked_frame_proves_tc)
{
	proof(false);
}

Test(tap, parked_frame_proves_xdp)
{
	proof(true);
}

Test(tap, learns_the_guests_address)
{
	struct sfh_pair_view v;
	struct frame shorty = mk_ipv4(MAC_GUEST, "192.0.2.77");

	with_tap(false, false);
	shorty.len = 28;
	cr_assert_eq(write(T.guest, shorty.b, shorty.len), 28); /* a bridge may drop it */
	(void)frame_read(T.wire, NEVER);
	cr_assert_eq(view_of(T.s, &T.key).ip4, 0);
	arrives(T.guest, T.wire, mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
	v = view_of(T.s, &T.key);
	cr_assert_eq(v.ip4, htonl(0xc0000201));
	cr_assert_eq(v.ip4_source, SFH_IP4_ARP);
	cr_assert_eq(v.counters.from_standby_frames, 2);
}

/* Both attached: tc must not count again what XDP has counted. */
Test(tap, nothing_counts_twice)
{
	with_tap(true, false);
	arm();
	for (int i = 0; i < 10; i++) {
		arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
		is_lost(T.wire, T.guest, mk_frame(MAC_PEER, MAC_GUEST, 0, 0));
	}
	arrives(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 10);
	cr_assert_eq(counters().to_standby_frames, 11);
	cr_assert_eq(counters().reflected_drops, 10);
}

/* --- macvtap ---------------------------------------------------------------------------------- */

static void macvtap_delivers(bool xdp)
{
	with_macvtap(xdp, false);
	/* macvlan delivers by MAC, armed or not; armed it is counted at the PF. */
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 0);
	cr_assert_eq(counters().to_standby_frames, 1);
	arm();
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arrives(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 1);
	cr_assert_eq(counters().to_standby_frames, 3);
	cr_assert_eq(counters().to_standby_bytes, 180);
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_GUEST, 0, 0));
	cr_assert_eq(counters().reflected_drops, 1);
}

Test(macvtap, delivers_and_counts_tc)
{
	macvtap_delivers(false);
}

Test(macvtap, delivers_and_counts_xdp)
{
	macvtap_delivers(true);
}

static struct sfh_relayed relayed(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct sfh_relayed *each = calloc((size_t)cpus, sizeof(*each)), sum = {};
	struct sfh_guest guest;

	cr_assert_eq(sfh_map_get(T.s, SFH_MAP_GUESTS, &T.key, &guest), 0);
	cr_assert_eq(sfh_map_get(T.s, SFH_MAP_RELAYED, &guest.slot, each), 0);
	for (int i = 0; i < cpus; i++) {
		sum.frames += each[i].frames;
		sum.bytes += each[i].bytes;
	}
	free(each);
	return sum;
}

/* The PF's program looks it up, the macvtap's counts it, for both. */
Test(macvtap, a_plain_frame_is_looked_up_once)
{
	with_macvtap(false, false);
	arm();
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(relayed().frames, 0, "the meter runs");
	meter_is_over(T.s, &T.key);
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(relayed().frames, 2);
	cr_assert_eq(relayed().bytes, 120);
	arrives(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	cr_assert_eq(relayed().frames, 2);
	cr_assert_eq(counters().from_wire_frames, 3);
	cr_assert_eq(counters().from_wire_bytes, 180);
	cr_assert_eq(counters().to_standby_frames, 4);
	cr_assert_eq(counters().to_standby_bytes, 240);
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_GUEST, 0, 0));
	cr_assert_eq(sfh_steer_on_vf(T.s, &T.key, NULL), 0);
	is_lost(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(relayed().frames, 2);
}

/* A classifier of the host's sets tc_index, too. */
Test(macvtap, a_class_of_the_hosts_is_no_slot)
{
	with_macvtap(false, false);
	arm();
	meter_is_over(T.s, &T.key);
	sh("tc qdisc add dev pf0 clsact 2>/dev/null; "
	   "tc filter add dev pf0 ingress prio 5 protocol all bpf classid 1:1 bytecode '" CBPF_OK "'");
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(relayed().frames, 0);
	cr_assert_eq(counters().to_standby_frames, 1);
}

/* What the guest sends leaves through the macvtap's egress hook. */
static void macvtap_first_frame(bool xdp)
{
	struct sfh_event ev = {};

	with_macvtap(xdp, true);
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_not(view_of(T.s, &T.key).armed, "a frame to the guest does not arm");
	arrives(T.guest, T.wire, mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
	cr_assert(view_of(T.s, &T.key).armed_by_frame);
	cr_assert_eq(view_of(T.s, &T.key).ip4, htonl(0xc0000201));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_ARMED);
	cr_assert_eq(ev.ifindex, T.standby);
	cr_assert_eq(counters().from_standby_frames, 1);
	cr_assert_eq(counters().from_standby_bytes, 60);
	cr_assert_eq(counters().to_standby_frames, 1);
	is_lost(T.wire, T.guest, mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
}

Test(macvtap, first_frame_arms_tc)
{
	macvtap_first_frame(false);
}

Test(macvtap, first_frame_arms_xdp)
{
	macvtap_first_frame(true);
}

/* IPv6 of the host speaks on every device that comes up, on a macvtap with the guest's address:
 * that is no frame of the guest, and neither arms it nor tells the network where it is. */
Test(macvtap, what_the_host_sends_there_is_not_the_guests)
{
	struct frame f = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0);

	with_macvtap(false, true);
	cr_assert_lt(send(packet_open(T.standby), f.b, f.len, 0), 0, "dropped");
	cr_assert_eq(frame_read(T.wire, NEVER).len, 0);
	cr_assert_not(view_of(T.s, &T.key).armed_by_frame);
	cr_assert_eq(view_of(T.s, &T.key).last_frame_ns, 0);
	cr_assert_eq(counters().from_standby_frames, 0);
	sh("echo 0 >/proc/sys/net/ipv6/conf/mv0/disable_ipv6; ip link set mv0 down; ip link set mv0 up");
	cr_assert_eq(frame_read(T.wire, SOON).len, 0, "the host's IPv6 came out");
	cr_assert_not(view_of(T.s, &T.key).armed_by_frame);
	arrives(T.guest, T.wire, mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"));
	cr_assert(view_of(T.s, &T.key).armed_by_frame);
}

/* Two guests of one PF meet inside macvlan, not at the PF. */
Test(macvtap, guest_to_guest_is_counted_at_the_standby)
{
	int other;

	with_macvtap(false, false);
	arm();
	other = macvtap_make("mv1", "pf0", MAC_OTHER);
	arrives(T.guest, other, mk_frame(MAC_OTHER, MAC_GUEST, 0, 0));
	arrives(other, T.guest, mk_frame(MAC_GUEST, MAC_OTHER, 0, 0));
	cr_assert_eq(counters().from_standby_frames, 1);
	cr_assert_eq(counters().to_standby_frames, 1);
	/* `mv1` is not ours, so nothing tells its frames from the wire's. */
	cr_assert_eq(counters().from_wire_frames, 1);
	cr_assert_eq(counters().reflected_drops, 0);
}

/* A unicast frame to another macvtap of the PF goes through the PF's receive path.
 * The sender is armed, so it would be taken for a reflection. */
Test(macvtap, armed_guests_of_one_pf_reach_each_other)
{
	struct sfh_guest_key key2 = mk_key(T.pf, MAC_OTHER, 0);
	int other;

	with_macvtap(true, false);
	arm();
	other = macvtap_make("mv1", "pf0", MAC_OTHER);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv1"), SFH_STANDBY_MACVTAP, NULL),
		     0);
	cr_assert_eq(sfh_steer_stage(T.s, &key2, ifindex_of("mv1"), SFH_STANDBY_MACVTAP, false,
				     NULL), 0);
	cr_assert_eq(sfh_steer_arm(T.s, &key2, NULL), 0);
	arrives(T.guest, other, mk_frame(MAC_OTHER, MAC_GUEST, 0, 0));
	arrives(other, T.guest, mk_frame(MAC_GUEST, MAC_OTHER, 0, 0));
	arrives(other, T.guest, mk_frame(MAC_BCAST, MAC_OTHER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 0);
	cr_assert_eq(counters().reflected_drops, 0);
}

/* Behind a VEPA the adjacent switch sends it back, that is how it works. */
static void vepa(bool xdp)
{
	int other;

	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	other = macvtap_make("mv1", "pf0", MAC_OTHER);
	sh("ip link set mv0 type macvtap mode vepa && ip link set mv1 type macvtap mode vepa");
	attach_pf(xdp);
	attach_standby("mv0", SFH_STANDBY_MACVTAP_VEPA, false);
	arm();
	arrives(T.guest, T.wire, mk_frame(MAC_OTHER, MAC_GUEST, 0, 0));
	cr_assert_eq(frame_read(other, NEVER).len, 0);
	arrives(T.wire, other, mk_frame(MAC_OTHER, MAC_GUEST, 0, 0));
	is_lost(T.wire, T.guest, mk_frame(MAC_BCAST, MAC_GUEST, 0, 0));
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_OTHER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 1);
	cr_assert_eq(counters().reflected_drops, 0);
}

Test(macvtap, vepa_tc)
{
	vepa(false);
}

Test(macvtap, vepa_xdp)
{
	vepa(true);
}
