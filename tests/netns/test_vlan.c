// SPDX-License-Identifier: GPL-2.0-or-later
/* Port VLANs and spoofchk on real devices: what is on the wire, and what comes out of
 * the tap's or macvtap's descriptor, which is the guest. */
#include "ctl/core/netlink.h"
#include "ctl/core/steer.h"
#include "tests/netns/sandbox.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <string.h>

#define SOON  1000 /* ms in which a frame that should come has come */
#define NEVER 100  /* ms after which one that should not is not coming */

static struct {
	struct sfh_steer *s;
	uint32_t pf;
	int wire;
} T;

/* A guest's NIC on its standby leg. */
struct nic {
	int fd;
	struct sfh_guest_key key;
	uint32_t ifindex;
	enum sfh_standby_kind kind;
};

static void init(void)
{
	sandbox_enter();
	T.pf = pf_make();
	T.wire = packet_open(ifindex_of("wire0"));
	T.s = steer_open();
}

static void fini(void)
{
	sfh_steer_close(&T.s);
}

TestSuite(vlan_tap, .init = init, .fini = fini, .timeout = 60);
TestSuite(vlan_macvtap, .init = init, .fini = fini, .timeout = 60);

static void bridge(bool xdp)
{
	sh("ip link add br0 type bridge mcast_snooping 0 && ip link set pf0 master br0 && "
	   "ip link set br0 up");
	pf_attach(T.s, T.pf, xdp, NULL);
}

/* Standby device, programs, entry; armed unless the guest is to be on its VF leg. */
static struct nic plug(const char *name, enum sfh_standby_kind kind, const char *mac, uint16_t vlan,
		       struct sfh_standby_policy policy, bool armed)
{
	struct nic n = { .key = mk_key(T.pf, mac, vlan), .kind = kind };
	struct sfh_error err = {};
	int r;

	if (kind == SFH_STANDBY_TAP) {
		n.fd = tap_make(name);
		if (sh_status("ip link show br0") == 0)
			sh("ip link set %s master br0", name);
	} else {
		n.fd = macvtap_make(name, "pf0", mac);
	}
	n.ifindex = ifindex_of(name);
	r = sfh_steer_standby_attach(T.s, n.ifindex, kind, &err);
	if (r == 0)
		r = sfh_steer_stage_as(T.s, &n.key, n.ifindex, kind, false, &policy, &err);
	if (r == 0 && armed)
		r = sfh_steer_arm(T.s, &n.key, &err);
	cr_assert_eq(r, 0, "%s", err.text);
	return n;
}

static struct nic plain(const char *name, enum sfh_standby_kind kind, const char *mac, uint16_t vlan)
{
	return plug(name, kind, mac, vlan, (struct sfh_standby_policy){}, true);
}

/* What is sent comes out as `want`. */
static void becomes(int from, int to, struct frame f, struct frame want)
{
	struct frame got;

	frame_send(from, &f);
	got = frame_read(to, SOON);
	cr_assert_frame(got, want);
}

static void is_lost(int from, int to, struct frame f)
{
	struct frame got;

	frame_send(from, &f);
	got = frame_read(to, NEVER);
	cr_assert_eq(got.len, 0, "%zu bytes came", got.len);
}

static void nothing_more(int fd)
{
	struct frame got = frame_read(fd, NEVER);

	cr_assert_eq(got.len, 0, "%zu bytes came", got.len);
}

/* The frame with another tag outermost. */
static struct frame tagged(struct frame f, uint32_t tag)
{
	memmove(f.b + 16, f.b + 12, f.len - 12);
	f.b[12] = (uint8_t)(tag >> 24);
	f.b[13] = (uint8_t)(tag >> 16);
	f.b[14] = (uint8_t)(tag >> 8);
	f.b[15] = (uint8_t)tag;
	f.len += 4;
	return f;
}

static struct frame untagged(struct frame f)
{
	memmove(f.b + 12, f.b + 16, f.len - 16);
	f.len -= 4;
	return f;
}

static uint64_t vlan_drops(const struct nic *n)
{
	return view_of(T.s, &n->key).counters.vlan_drops;
}

#define TAP	SFH_STANDBY_TAP
#define MACVTAP SFH_STANDBY_MACVTAP

/* --- one guest and the wire -------------------------------------------------------------- */

/* The guest knows of no VLAN, the wire of nothing else. */
static void both_ways(enum sfh_standby_kind kind)
{
	struct nic n = plain("nic0", kind, MAC_GUEST, 42);
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame in = mk_frame(MAC_GUEST, MAC_PEER, TAG(42), 0);
	struct frame bcast = mk_frame(MAC_BCAST, MAC_PEER, TAG(0x6000 | 42), 0);
	struct frame mcast = mk_frame(MAC_MCAST, MAC_PEER, TAG(42), 0);
	struct frame announce = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1");
	struct sfh_pair_view v;

	if (kind == MACVTAP) /* macvlan filters what the guest has not asked for */
		sh("ip link set nic0 allmulticast on");
	becomes(n.fd, T.wire, out, tagged(out, TAG(42)));
	becomes(n.fd, T.wire, announce, tagged(announce, TAG(42)));
	becomes(T.wire, n.fd, in, untagged(in));
	becomes(T.wire, n.fd, bcast, untagged(bcast));
	becomes(T.wire, n.fd, mcast, untagged(mcast));
	v = view_of(T.s, &n.key);
	cr_assert_eq(v.ip4, htonl(0xc0000201), "its address is learnt without the tag");
	cr_assert_eq(v.counters.from_standby_frames, 2);
	cr_assert_eq(v.counters.from_wire_frames, 1);
	cr_assert_eq(v.counters.from_wire_bytes, in.len, "with the tag");
	cr_assert_eq(v.counters.to_standby_frames, 3);
	cr_assert_eq(v.counters.to_standby_bytes, in.len + bcast.len + mcast.len - 12, "without it");
	/* Its own frame, sent back by the NIC or the network. */
	is_lost(T.wire, n.fd, tagged(announce, TAG(42)));
	cr_assert_eq(view_of(T.s, &n.key).counters.reflected_drops, 1);
}

/* Whatever else is on the wire does not reach it. */
static void isolated(enum sfh_standby_kind kind)
{
	struct nic n = plain("nic0", kind, MAC_GUEST, 42);

	is_lost(T.wire, n.fd, mk_frame(MAC_GUEST, MAC_PEER, TAG(43), 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_GUEST, MAC_PEER, STAG(42), 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_BCAST, MAC_PEER, TAG(43), 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_BCAST, MAC_PEER, 0, 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_MCAST, MAC_PEER, TAG(0xe000), 0));
	cr_assert_geq(vlan_drops(&n), 3, "what is flooded stops before the guest");
	cr_assert_eq(view_of(T.s, &n.key).counters.to_standby_frames, 0);
}

/* What it may not send. */
static void own_tags(enum sfh_standby_kind kind)
{
	struct sfh_standby_policy prio = { .vlan_prio = 5 };
	struct nic n = plug("nic0", kind, MAC_GUEST, 42, prio, true);
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame high = mk_frame(MAC_PEER, MAC_GUEST, TAG(0xe000), 0);

	becomes(n.fd, T.wire, out, tagged(out, TAG(0xa000 | 42)));
	becomes(n.fd, T.wire, high, tagged(untagged(high), TAG(0xa000 | 42)));
	is_lost(n.fd, T.wire, mk_frame(MAC_PEER, MAC_GUEST, TAG(42), 0));
	is_lost(n.fd, T.wire, mk_frame(MAC_PEER, MAC_GUEST, TAG(43), 0));
	is_lost(n.fd, T.wire, mk_frame(MAC_PEER, MAC_GUEST, STAG(42), 0));
	is_lost(n.fd, T.wire, mk_frame(MAC_BCAST, MAC_GUEST, TAG(0), TAG(43)));
	cr_assert_eq(vlan_drops(&n), 4);
}

/* A provider's VLAN: the guest's own 802.1Q tags are its affair. */
static void provider(enum sfh_standby_kind kind)
{
	struct sfh_standby_policy ad = { .vlan_proto = ETH_P_8021AD, .vlan_prio = 2 };
	struct nic n = plug("nic0", kind, MAC_GUEST, 42, ad, true);
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame cout = mk_frame(MAC_PEER, MAC_GUEST, TAG(9), 0);
	struct frame in = mk_frame(MAC_GUEST, MAC_PEER, STAG(42), 0);
	struct frame cin = mk_frame(MAC_GUEST, MAC_PEER, STAG(42), TAG(9));

	becomes(n.fd, T.wire, out, tagged(out, STAG(0x4000 | 42)));
	becomes(n.fd, T.wire, cout, tagged(cout, STAG(0x4000 | 42)));
	becomes(T.wire, n.fd, in, untagged(in));
	becomes(T.wire, n.fd, cin, untagged(cin));
	is_lost(n.fd, T.wire, mk_frame(MAC_PEER, MAC_GUEST, STAG(42), 0));
	is_lost(T.wire, n.fd, mk_frame(MAC_GUEST, MAC_PEER, TAG(42), 0));
}

static void spoofed(enum sfh_standby_kind kind, uint16_t vlan)
{
	struct sfh_standby_policy on = { .spoofchk = true }, off = {};
	struct nic n = plug("nic0", kind, MAC_GUEST, vlan, on, true);
	struct frame own = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct frame other = mk_frame(MAC_PEER, MAC_OTHER, 0, 0);

	becomes(n.fd, T.wire, own, vlan ? tagged(own, TAG(vlan)) : own);
	is_lost(n.fd, T.wire, other);
	is_lost(n.fd, T.wire, mk_frame(MAC_BCAST, MAC_OTHER, 0, 0));
	is_lost(n.fd, T.wire, mk_arp(MAC_OTHER, MAC_GUEST, "192.0.2.1"));
	cr_assert_eq(view_of(T.s, &n.key).counters.spoofed_drops, 3);
	cr_assert_eq(sfh_steer_stage_as(T.s, &n.key, n.ifindex, kind, false, &off, NULL), 0);
	becomes(n.fd, T.wire, other, vlan ? tagged(other, TAG(vlan)) : other);
	cr_assert_eq(view_of(T.s, &n.key).counters.spoofed_drops, 3);
}

Test(vlan_macvtap, what_needs_its_tag_taken_out_is_not_plain)
{
	struct frame in = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct nic n;

	pf_attach(T.s, T.pf, false, NULL);
	n = plain("mv0", MACVTAP, MAC_GUEST, 42);
	meter_is_over(T.s, &n.key);
	becomes(T.wire, n.fd, tagged(in, TAG(42)), in);
	is_lost(T.wire, n.fd, in);
	nothing_more(n.fd);
}

Test(vlan_tap, both_ways_tc) { bridge(false); both_ways(TAP); }
Test(vlan_tap, both_ways_xdp) { bridge(true); both_ways(TAP); }
Test(vlan_tap, isolated_tc) { bridge(false); isolated(TAP); }
Test(vlan_tap, isolated_xdp) { bridge(true); isolated(TAP); }
Test(vlan_tap, own_tags) { bridge(false); own_tags(TAP); }
Test(vlan_tap, provider_tc) { bridge(false); provider(TAP); }
Test(vlan_tap, provider_xdp) { bridge(true); provider(TAP); }
Test(vlan_tap, spoofed) { bridge(false); spoofed(TAP, 0); }
Test(vlan_tap, spoofed_in_a_vlan) { bridge(false); spoofed(TAP, 42); }
Test(vlan_macvtap, both_ways_tc) { pf_attach(T.s, T.pf, false, NULL); both_ways(MACVTAP); }
Test(vlan_macvtap, both_ways_xdp) { pf_attach(T.s, T.pf, true, NULL); both_ways(MACVTAP); }
Test(vlan_macvtap, isolated_tc) { pf_attach(T.s, T.pf, false, NULL); isolated(MACVTAP); }
Test(vlan_macvtap, isolated_xdp) { pf_attach(T.s, T.pf, true, NULL); isolated(MACVTAP); }
Test(vlan_macvtap, own_tags) { pf_attach(T.s, T.pf, false, NULL); own_tags(MACVTAP); }
Test(vlan_macvtap, provider) { pf_attach(T.s, T.pf, false, NULL); provider(MACVTAP); }
Test(vlan_macvtap, spoofed) { pf_attach(T.s, T.pf, false, NULL); spoofed(MACVTAP, 0); }
Test(vlan_macvtap, spoofed_in_a_vlan) { pf_attach(T.s, T.pf, false, NULL); spoofed(MACVTAP, 42); }

/* --- guests of one host -------------------------------------------------------------------- */

/* In one VLAN they meet without a tag; in two they do not meet. */
static void neighbours(enum sfh_standby_kind kind)
{
	struct nic a = plain("nic0", kind, MAC_GUEST, 42);
	struct nic b = plain("nic1", kind, MAC_OTHER, 42);
	struct nic c = plain("nic2", kind, "52:54:00:00:00:03", 43);
	struct nic d = plain("nic3", kind, "52:54:00:00:00:04", 0);
	struct frame f = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0);
	struct frame back = mk_frame(MAC_GUEST, MAC_OTHER, 0, 0);
	struct frame all = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0), got;

	if (kind == TAP) { /* the bridge has to learn where they are */
		becomes(b.fd, a.fd, back, back);
		becomes(b.fd, a.fd, back, back);
	}
	becomes(a.fd, b.fd, f, f);
	becomes(b.fd, a.fd, back, back);
	is_lost(a.fd, c.fd, mk_frame("52:54:00:00:00:03", MAC_GUEST, 0, 0));
	is_lost(c.fd, a.fd, mk_frame(MAC_GUEST, "52:54:00:00:00:03", 0, 0));
	is_lost(d.fd, a.fd, mk_frame(MAC_GUEST, "52:54:00:00:00:04", 0, 0));
	/* What a bridge floods while it learns. */
	while (frame_read(T.wire, NEVER).len || frame_read(b.fd, NEVER).len ||
	       frame_read(d.fd, NEVER).len)
		;
	frame_send(a.fd, &all);
	got = frame_read(b.fd, SOON);
	cr_assert_frame(got, all);
	got = frame_read(T.wire, SOON);
	all = tagged(all, TAG(42));
	cr_assert_frame(got, all);
	nothing_more(b.fd);
	nothing_more(c.fd);
	nothing_more(T.wire);
	/* A NIC without a VLAN is a trunk, as a VF without one is. */
	got = frame_read(d.fd, SOON);
	cr_assert_frame(got, all);
	cr_assert_eq(view_of(T.s, &a.key).counters.reflected_drops, 0);
	cr_assert_eq(view_of(T.s, &b.key).counters.reflected_drops, 0);
}

Test(vlan_tap, neighbours_tc) { bridge(false); neighbours(TAP); }
Test(vlan_tap, neighbours_xdp) { bridge(true); neighbours(TAP); }
Test(vlan_macvtap, neighbours_tc) { pf_attach(T.s, T.pf, false, NULL); neighbours(MACVTAP); }
Test(vlan_macvtap, neighbours_xdp) { pf_attach(T.s, T.pf, true, NULL); neighbours(MACVTAP); }

/* A neighbour on its VF leg is reached through the NIC, in their VLAN, and answers
 * the same way. Its standby device, where it would not listen, gets nothing. */
static void neighbour_on_its_vf(enum sfh_standby_kind kind)
{
	struct nic a = plain("nic0", kind, MAC_GUEST, 42);
	struct nic b = plug("nic1", kind, MAC_OTHER, 42, (struct sfh_standby_policy){}, false);
	struct frame to = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0);
	struct frame from = mk_frame(MAC_GUEST, MAC_OTHER, TAG(42), 0);

	becomes(a.fd, T.wire, to, tagged(to, TAG(42)));
	nothing_more(b.fd);
	becomes(T.wire, a.fd, from, untagged(from));
}

Test(vlan_tap, neighbour_on_its_vf_tc) { bridge(false); neighbour_on_its_vf(TAP); }
Test(vlan_tap, neighbour_on_its_vf_xdp) { bridge(true); neighbour_on_its_vf(TAP); }
Test(vlan_macvtap, neighbour_on_its_vf) { pf_attach(T.s, T.pf, true, NULL); neighbour_on_its_vf(MACVTAP); }

/* A guest without a port VLAN tags for itself. On its VF it is reached, and heard by its
 * neighbours, no less than one that does not tag. */
static void trunk_on_its_vf(enum sfh_standby_kind kind)
{
	struct nic a = plain("nic0", kind, MAC_GUEST, 0);
	struct nic b = plug("nic1", kind, MAC_OTHER, 0, (struct sfh_standby_policy){}, false);
	struct nic c = plain("nic2", kind, "52:54:00:00:00:03", 5);
	struct nic d = plain("nic3", kind, "52:54:00:00:00:04", 6);
	struct frame to = mk_frame(MAC_OTHER, MAC_GUEST, TAG(5), 0);
	struct frame from = mk_frame(MAC_GUEST, MAC_OTHER, TAG(5), 0);
	struct frame of_c = mk_frame(MAC_OTHER, "52:54:00:00:00:03", 0, 0);
	struct frame all = mk_frame(MAC_BCAST, MAC_OTHER, TAG(5), 0), got;

	becomes(a.fd, T.wire, to, to);
	becomes(T.wire, a.fd, from, from);
	becomes(c.fd, T.wire, of_c, tagged(of_c, TAG(5)));
	/* What a bridge floods of its answers while it learns. */
	while (frame_read(c.fd, NEVER).len || frame_read(d.fd, NEVER).len ||
	       frame_read(b.fd, NEVER).len)
		;
	cr_assert_eq(sfh_steer_on_vf(T.s, &b.key, NULL), 0);
	becomes(a.fd, T.wire, to, to);
	nothing_more(b.fd);
	becomes(T.wire, a.fd, all, all);
	got = frame_read(c.fd, SOON);
	all = untagged(all);
	cr_assert_frame(got, all);
	nothing_more(a.fd);
	nothing_more(b.fd);
	nothing_more(c.fd);
	nothing_more(d.fd);
}

Test(vlan_tap, trunk_on_its_vf_tc) { bridge(false); trunk_on_its_vf(TAP); }
Test(vlan_tap, trunk_on_its_vf_xdp) { bridge(true); trunk_on_its_vf(TAP); }
Test(vlan_macvtap, trunk_on_its_vf_tc) { pf_attach(T.s, T.pf, false, NULL); trunk_on_its_vf(MACVTAP); }
Test(vlan_macvtap, trunk_on_its_vf_xdp) { pf_attach(T.s, T.pf, true, NULL); trunk_on_its_vf(MACVTAP); }

/* The NIC sends its frame back, tag and all: the bridge must not learn it is out there. */
static void trunk_reflection(bool xdp)
{
	struct nic n;
	struct frame f = mk_frame(MAC_BCAST, MAC_GUEST, TAG(5), 0);

	bridge(xdp);
	n = plain("nic0", TAP, MAC_GUEST, 0);
	becomes(n.fd, T.wire, f, f);
	is_lost(T.wire, n.fd, f);
	sh("bridge fdb show br br0 | grep -qi '^" MAC_GUEST " dev nic0 master br0'");
	cr_assert_eq(view_of(T.s, &n.key).counters.reflected_drops, 1);
}

Test(vlan_tap, trunk_reflection_tc) { trunk_reflection(false); }
Test(vlan_tap, trunk_reflection_xdp) { trunk_reflection(true); }

/* --- the PF as a member of the VLAN -------------------------------------------------------- */

/* What makes the NIC's filter let the VLAN through must not swallow it. */
static void member(enum sfh_standby_kind kind)
{
	struct nic n = plain("nic0", kind, MAC_GUEST, 42);
	struct frame in = mk_frame(MAC_GUEST, MAC_PEER, TAG(42), 0);
	struct frame bcast = mk_frame(MAC_BCAST, MAC_PEER, TAG(42), 0);
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct sfh_nl *nl = NULL;
	struct sfh_error err = {};
	int r;

	cr_assert_eq(sfh_nl_open(&nl, &err), 0, "%s", err.text);
	r = kind == TAP ? sfh_nl_bridge_vlan_add(nl, (int)T.pf, 42, &err) :
			  sfh_nl_vlan_add_proto(nl, "sfhv.42", (int)n.ifindex, 42, 0, &err);
	if (r == -EOPNOTSUPP)
		cr_skip_test("needs a kernel with %s", kind == TAP ? "BRIDGE_VLAN_FILTERING" : "8021q");
	cr_assert_eq(r, 0, "%s", err.text);
	sh(kind == TAP ? "bridge vlan show dev pf0 | grep -qw 42" :
			 "ip -d link show sfhv.42 | grep -q 'vlan protocol 802.1Q id 42'");
	becomes(T.wire, n.fd, in, untagged(in));
	becomes(T.wire, n.fd, bcast, untagged(bcast));
	becomes(n.fd, T.wire, out, tagged(out, TAG(42)));
	if (kind == TAP)
		cr_assert_eq(sfh_nl_bridge_vlan_add(nl, (int)T.pf, 42, &err), 0, "twice");
	else
		cr_assert_eq(sfh_nl_vlan_add_proto(nl, "sfhv.43", (int)n.ifindex, 43, ETH_P_8021AD,
						   &err), 0, "%s", err.text);
	sfh_nl_close(&nl);
}

Test(vlan_tap, member_tc) { bridge(false); member(TAP); }
Test(vlan_tap, member_xdp) { bridge(true); member(TAP); }
Test(vlan_macvtap, member) { pf_attach(T.s, T.pf, true, NULL); member(MACVTAP); }

/* --- proofs, jumbo frames ------------------------------------------------------------------- */

/* While its VF is parked the guest's frames come in the parking VLAN, whatever its own. */
static void proof(bool xdp)
{
	struct nic n;
	struct sfh_event ev = {};

	bridge(xdp);
	n = plug("nic0", TAP, MAC_GUEST, 42, (struct sfh_standby_policy){}, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &n.key, true, NULL), 0);
	is_lost(T.wire, n.fd, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(take_events(T.s, &ev), 1);
	cr_assert_eq(ev.type, SFH_EVENT_PROOF);
	cr_assert_eq(ev.key.vlan, 42);
}

Test(vlan_tap, proof_tc) { proof(false); }
Test(vlan_tap, proof_xdp) { proof(true); }

static void jumbo(enum sfh_standby_kind kind, size_t len)
{
	struct nic n = plain("nic0", kind, MAC_GUEST, 42);
	struct frame in = mk_frame(MAC_GUEST, MAC_PEER, TAG(42), 0);
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	sh("ip link set wire0 mtu 9000; ip link set pf0 mtu 9000; ip link set nic0 mtu 9000");
	in.len = out.len = len;
	becomes(T.wire, n.fd, in, untagged(in));
	becomes(n.fd, T.wire, out, tagged(out, TAG(42)));
}

Test(vlan_tap, jumbo_tc) { bridge(false); jumbo(TAP, 8900); }
Test(vlan_tap, jumbo_xdp) { bridge(true); jumbo(TAP, 3000); }
Test(vlan_tap, jumbo_xdp_in_several_buffers) { bridge(true); jumbo(TAP, 8900); }
Test(vlan_macvtap, jumbo) { pf_attach(T.s, T.pf, true, NULL); jumbo(MACVTAP, 8900); }
