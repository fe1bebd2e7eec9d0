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
/* Somebody else's tc filters: this kernel may have neither matchall nor gact. */
#define CBPF_OK	  "1,6 0 0 4294967295,"
#define CBPF_DROP "1,6 0 0 2,"
#define NEVER 100  /* ms after which one that should not is not coming */

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
	sh("ip link add pf0 type veth peer name wire0 && ip link set wire0 up && ip link set pf0 up");
	T.pf = ifindex_of("pf0");
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
TestSuite(attach, .init = init, .fini = fini, .timeout = 30);

static void attach_pf(bool xdp)
{
	struct sfh_error err = {};
	int r = sfh_steer_pf_attach(T.s, T.pf, xdp, &T.info, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(T.info.xdp != SFH_XDP_NONE, xdp, "%s", T.info.xdp_why);
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

/* --- attaching and detaching --------------------------------------------------------------------- */

#define has_clsact(dev) (sh_status("tc qdisc show dev %s | grep clsact", dev) == 0)
#define has_filter(dev, side) (sh_status("tc filter show dev %s %s | grep sfh_", dev, side) == 0)
#define has_xdp(dev) (sh_status("ip -d link show %s | grep prog/xdp", dev) == 0)

static void expect_clean(const char *dev)
{
	cr_assert_not(has_clsact(dev), "%s", dev);
	cr_assert_not(has_filter(dev, "ingress"), "%s", dev);
	cr_assert_not(has_filter(dev, "egress"), "%s", dev);
	cr_assert_not(has_xdp(dev), "%s", dev);
}

Test(attach, pf_twice_and_detach_twice)
{
	attach_pf(true);
	cr_assert(T.info.clsact_ours);
	attach_pf(true);
	cr_assert(T.info.clsact_ours);
	cr_assert(has_clsact("pf0") && has_filter("pf0", "ingress") && has_xdp("pf0"));
	sh("test $(tc filter show dev pf0 ingress | grep -c sfh_) = 1");
	cr_assert(file_exists("/sys/fs/bpf/sfhybrid/links"));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
		expect_clean("pf0");
		cr_assert_not(file_exists("/sys/fs/bpf/sfhybrid/links"));
	}
}

Test(attach, standby_twice_and_detach_twice)
{
	T.guest = tap_make("tap0");
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("tap0"), SFH_STANDBY_TAP,
						      NULL), 0);
		cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP,
						      NULL), 0);
	}
	sh("tc filter show dev tap0 ingress | grep -q sfh_from_guest");
	sh("tc filter show dev tap0 egress | grep -q sfh_to_guest");
	sh("tc filter show dev mv0 egress | grep -q sfh_from_guest");
	sh("tc filter show dev mv0 ingress | grep -q sfh_to_guest");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("tap0"), NULL), 0);
		cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("mv0"), NULL), 0);
		expect_clean("tap0");
		expect_clean("mv0");
	}
}

Test(attach, restart_of_the_agent_keeps_the_datapath)
{
	T.guest = tap_make("tap0");
	attach_pf(true);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	arm();
	sfh_steer_close(&T.s);
	cr_assert(has_filter("pf0", "ingress") && has_xdp("pf0"));
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	T.s = steer_open();
	attach_pf(true);
	cr_assert(T.info.clsact_ours, "remembered");
	arrives(T.wire, T.guest, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(counters().from_wire_frames, 2);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	expect_clean("pf0");
}

/* The new agent's program replaces the old one while frames flow. */
Test(attach, replacing_programs_loses_no_frame)
{
	T.guest = tap_make("tap0");
	attach_pf(true);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	arm();
	for (int i = 0; i < 20; i++) {
		struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0), got;

		frame_send(T.wire, &f);
		attach_pf(true);
		got = frame_read(T.guest, SOON);
		cr_assert_frame(got, f);
	}
}

Test(attach, foreign_filter_and_its_clsact_survive)
{
	sh("tc qdisc add dev pf0 clsact && "
	   "tc filter add dev pf0 ingress prio 5 protocol all bpf da bytecode '" CBPF_OK "'");
	attach_pf(false);
	cr_assert_not(T.info.clsact_ours);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_not(has_filter("pf0", "ingress"));
	sh("tc filter show dev pf0 ingress | grep -q bytecode");
}

Test(attach, clsact_stays_while_somebody_else_uses_it)
{
	attach_pf(false);
	sh("tc filter add dev pf0 egress prio 5 protocol all bpf da bytecode '" CBPF_OK "'");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	sh("tc filter show dev pf0 egress | grep -q bytecode");
}

Test(attach, filter_behind_ours_still_sees_what_we_pass)
{
	attach_pf(false);
	sh("tc filter add dev pf0 ingress prio 2000 protocol all bpf da bytecode '" CBPF_DROP "'");
	T.host = packet_open(T.pf);
	frame_send(T.wire, &(struct frame){ .len = 60, .b = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } });
	/* The packet socket is in front of tc. */
	cr_assert_neq(frame_read(T.host, SOON).len, 0);
	usleep(50000);
	sh("tc -s qdisc show dev pf0 | grep -A1 clsact | grep -q 'dropped 1'");
}

Test(attach, our_place_taken_by_somebody_else)
{
	struct sfh_error err = {};

	sh("tc qdisc add dev pf0 clsact && "
	   "tc filter add dev pf0 ingress prio 1000 handle 0x5f48 protocol all bpf "
	   "da bytecode '" CBPF_OK "'");
	cr_assert_eq(sfh_steer_pf_attach(T.s, T.pf, false, NULL, &err), -EEXIST);
	cr_assert(strstr(err.text, "pf0"), "%s", err.text);
	sh("tc filter show dev pf0 ingress | grep -q bytecode");
	sh("test $(tc filter show dev pf0 ingress | grep -c handle) = 1");
}

/* libvirt's <bandwidth> puts an ingress qdisc on the standby device. */
Test(attach, ingress_qdisc_of_libvirt)
{
	struct sfh_error err = {};

	T.guest = tap_make("tap0");
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	sh("tc qdisc add dev tap0 ingress && tc qdisc add dev mv0 ingress && "
	   "tc qdisc add dev pf0 ingress");
	attach_pf(false);
	attach_standby("tap0", SFH_STANDBY_TAP, true);
	sh("test $(tc filter show dev tap0 ingress | grep -c sfh_) = 1");
	frame_send(T.guest, &(struct frame){ .len = 60, .b = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
							      0x52, 0x54, 0, 0, 0, 1 } });
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, &err),
		     -EBUSY);
	cr_assert(strstr(err.text, "mv0"), "%s", err.text);
	cr_assert_eq(sfh_steer_standby_detach(T.s, T.standby, NULL), 0);
	sh("tc qdisc show dev tap0 | grep -q ingress && tc qdisc show dev mv0 | grep -q ingress");
	cr_assert_not(has_filter("tap0", "ingress"));
	cr_assert_not(has_filter("mv0", "ingress"));
}

Test(attach, xdp_of_somebody_else_is_reported_not_replaced)
{
	struct sfh_error err = {};

	attach_pf(true);
	/* Another bpffs is another installation to this one. */
	{
		struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf" };
		struct sfh_steer_pf_info info = {};
		struct sfh_steer *other = NULL;

		cr_assert_eq(sfh_steer_open(&cfg, &other, NULL), 0);
		cr_assert_eq(sfh_steer_pf_attach(other, T.pf, true, &info, &err), 0, "%s", err.text);
		cr_assert_eq(info.xdp, SFH_XDP_NONE);
		cr_assert_eq(info.xdp_error, -EBUSY);
		cr_assert(strstr(info.xdp_why, "another XDP program is attached"), "%s",
			  info.xdp_why);
		sfh_steer_close(&other);
	}
	cr_assert(has_xdp("pf0"));
}

Test(attach, driver_without_native_xdp_is_no_error)
{
	struct sfh_steer_pf_info info = {};

	sh("ip link add br0 type bridge");
	cr_assert_eq(sfh_steer_pf_attach(T.s, ifindex_of("br0"), true, &info, NULL), 0);
	cr_assert_eq(info.xdp, SFH_XDP_NONE);
	cr_assert_eq(info.xdp_error, -EOPNOTSUPP);
	cr_assert(strstr(info.xdp_why, "driver refused native XDP"), "%s", info.xdp_why);
	cr_assert_eq(sfh_steer_pf_detach(T.s, ifindex_of("br0"), NULL), 0);
	expect_clean("br0");
}

Test(attach, vlan_stripping_is_off_under_xdp_and_restored)
{
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
	attach_pf(true);
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: off'");
	sfh_steer_close(&T.s);
	T.s = steer_open();
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
}

Test(attach, vanished_device)
{
	T.guest = tap_make("tap0");
	attach_pf(true);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	arm();
	cr_assert_eq(close(T.guest), 0); /* the tap goes with it */
	sh("ip link del pf0");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(sfh_steer_standby_detach(T.s, T.standby, NULL), 0);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	cr_assert_eq(sfh_steer_pf_attach(T.s, T.pf, false, NULL, NULL), -ENODEV);
	cr_assert_eq(sfh_steer_standby_attach(T.s, T.standby, SFH_STANDBY_TAP, NULL), -ENODEV);
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
}

Test(attach, remove_pins_leaves_nothing)
{
	T.guest = tap_make("tap0");
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	attach_pf(true);
	attach_standby("tap0", SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, NULL), 0);
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
	cr_assert_not(file_exists("/sys/fs/bpf/sfhybrid"));
	expect_clean("pf0");
	expect_clean("tap0");
	expect_clean("mv0");
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
}

Test(attach, lost_pins_do_not_leave_a_qdisc_behind)
{
	attach_pf(false);
	sfh_steer_close(&T.s);
	sh("rm -r /sys/fs/bpf/sfhybrid");
	T.s = steer_open();
	attach_pf(false);
	cr_assert(T.info.clsact_ours);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	expect_clean("pf0");
}
