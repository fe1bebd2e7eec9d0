// SPDX-License-Identifier: GPL-2.0-or-later
/* clsact of a standby device. Which hook is which depends on the device: what
 * the guest sends enters the host through a tap (ingress) but leaves through a
 * macvtap (egress, on its way to the PF), and the other way round. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "lib/account.h"
#include "lib/fast.h"
#include "lib/guest.h"
#include "lib/meter.h"
#include "lib/probe.h"
#include "lib/prove.h"
#include "lib/skb.h"

static __always_inline int sfh_drop(__u32 reason, __u64 *of_pair, struct __sk_buff *skb)
{
	sfh_count_drop(reason);
	if (of_pair)
		*of_pair += sfh_skb_frames(skb);
	return SFH_TC_DROP;
}

struct sfh_arp_ip4 {
	__u8 htype[2], ptype[2], hlen, plen, oper[2];
	__u8 sender_mac[6];
	__u8 sender_ip[4];
};

static __always_inline void sfh_learn_ip4(struct __sk_buff *skb, const struct sfh_frame *f,
					  struct sfh_guest_state *state, __u64 now)
{
	struct sfh_arp_ip4 arp;
	__u32 ip4;

	if (f->vlan)
		return;
	if (f->proto == SFH_ETH_P_ARP) {
		if (bpf_skb_load_bytes(skb, f->l3, &arp, sizeof(arp)))
			return;
		if (sfh_be16(arp.htype) != 1 || sfh_be16(arp.ptype) != SFH_ETH_P_IP ||
		    arp.hlen != 6 || arp.plen != 4 ||
		    sfh_mac_word(arp.sender_mac) != f->src)
			return;
		__builtin_memcpy(&ip4, arp.sender_ip, 4);
		if (!ip4)
			return; /* address probe, RARP-like announcement */
		state->ip4_ns = now;
		if (ip4 == state->ip4 && state->ip4_source == SFH_IP4_ARP)
			return;
		state->ip4 = ip4;
		state->ip4_source = SFH_IP4_ARP;
	} else if (f->proto == SFH_ETH_P_IP &&
		   (state->ip4_source != SFH_IP4_ARP ||
		    now - state->ip4_ns >= SFH_IP4_FRESH_NS)) { /* not for every frame */
		__u8 first;

		if (bpf_skb_load_bytes(skb, f->l3 + 12, &ip4, sizeof(ip4)))
			return;
		__builtin_memcpy(&first, &ip4, 1);
		if (ip4 == state->ip4)
			state->ip4_ns = now;
		else if (first != 0 && first != 127 && first < 224 &&
			 state->ip4_source != SFH_IP4_ARP) {
			state->ip4 = ip4;
			state->ip4_source = SFH_IP4_PACKET;
			state->ip4_ns = now;
		}
	}
}

/* First frame of this generation? Then note it, tell user space, and by that
 * arm a pair that waited for it: sfh_guest_armed() compares generations. */
static __always_inline void sfh_first_frame(struct sfh_guest *guest, struct sfh_guest_state *state,
					    const struct sfh_guest_key *pair, __u32 ifindex,
					    __u64 now)
{
	__u32 generation = guest->generation;
	__u32 old = *(volatile __u32 *)&state->seen_generation;
	struct sfh_event *ev;
	__u32 type;

	if (old == generation ||
	    __sync_val_compare_and_swap(&state->seen_generation, old, generation) != old)
		return;
	state->first_frame_ns = now;
	if (guest->armed)
		type = SFH_EVENT_FIRST_FRAME;
	else if (guest->arm_on_first_frame)
		type = SFH_EVENT_ARMED;
	else
		return;
	/* Arming must not wait for room in the ring, so unlike a proof the event can be lost. */
	ev = sfh_event_reserve(type, pair, ifindex, now);
	if (!ev)
		return;
	ev->generation = generation;
	bpf_ringbuf_submit(ev, 0);
}

static __always_inline bool sfh_is_to(__u64 dst, const __u8 *mac)
{
	return dst == sfh_mac_word(mac);
}

/* An ARP reply or a neighbour advertisement. A guest that has heard a neighbour
 * solicitation also asks, seconds later, whether who sent it is still there. */
static __noinline bool sfh_answers(struct __sk_buff *skb, __u16 proto, __u32 l3)
{
	__u8 b[2];

	if (proto == SFH_ETH_P_ARP)
		return !bpf_skb_load_bytes(skb, l3 + 6, b, 2) && sfh_be16(b) == 2;
	return proto == SFH_ETH_P_IPV6 && !bpf_skb_load_bytes(skb, l3 + 6, b, 1) &&
	       b[0] == 58 /* ICMPv6 */ && !bpf_skb_load_bytes(skb, l3 + 40, b, 1) && b[0] == 136;
}

/* The guest answered what came on this leg: it listens here. */
static __always_inline void sfh_listens(const struct sfh_guest *guest, struct sfh_guest_state *state,
					const struct sfh_guest_key *pair, __u32 ifindex, __u64 now)
{
	__u32 generation = guest->generation;
	__u32 old = *(volatile __u32 *)&state->listens_generation;
	struct sfh_event *ev;

	if (old == generation)
		return;
	ev = sfh_event_reserve(SFH_EVENT_LISTENS, pair, ifindex, now);
	if (!ev) /* the next answer tries again */
		return;
	if (__sync_val_compare_and_swap(&state->listens_generation, old, generation) != old) {
		bpf_ringbuf_discard(ev, 0);
		return;
	}
	ev->generation = generation;
	bpf_ringbuf_submit(ev, 0);
}

/* Whether `dst` is a guest of this PF that hears this VLAN and is on its VF leg: staged,
 * neither armed nor waiting to be. macvlan and a bridge would hand it the frame on its
 * standby device, where it discards it; only the NIC's switch reaches the VF. */
static __always_inline bool sfh_is_on_vf(__u64 dst, __u32 pf_ifindex, __u16 vlan)
{
	struct sfh_guest_key key = { .pf_ifindex = pf_ifindex, .vlan = vlan };
	const struct sfh_macs *macs;
	struct sfh_guest *guest;
	__u32 zero = 0;

	macs = bpf_map_lookup_elem(&sfh_macs, &zero);
	if (!macs || !sfh_maybe_ours(macs, dst) || sfh_is_multicast(dst))
		return false;
	sfh_mac_store(key.mac, dst);
	guest = sfh_guest_in_vlan(&key);
	return guest && guest->standby_ifindex && !guest->armed && !guest->arm_on_first_frame;
}

/* Gives the frame its port VLAN. What has a tag of its own is the guest's mistake: a VF
 * with a port VLAN sends no such frame either. A tag that has only a priority gives way;
 * below an 802.1ad port VLAN the guest's own 802.1Q tags are its customer tags. */
static __always_inline int sfh_tag(struct __sk_buff *skb, const struct sfh_guest *guest,
				   const struct sfh_frame *f)
{
	if (f->tpid && !(guest->vlan_proto == SFH_ETH_P_8021AD && f->tpid == SFH_ETH_P_8021Q)) {
		if (f->vlan || f->tpid != SFH_ETH_P_8021Q || sfh_is_vlan(f->proto))
			return -1;
		if (bpf_skb_vlan_pop(skb))
			return -1;
	}
	return bpf_skb_vlan_push(skb, bpf_htons(guest->vlan_proto), guest->vlan_tci) ? -1 : 0;
}

/* On a macvtap the host's own stack sends, too, with the guest's address: IPv6 looks for
 * neighbours and routers whenever the device comes up. What the guest sends belongs to no
 * socket (vhost) or to the macvtap's, which is of no family. */
static __always_inline bool sfh_is_the_hosts(struct __sk_buff *skb)
{
	const struct bpf_sock *sk = skb->sk;

	return sk && sk->family;
}

SEC("tc")
int sfh_from_guest(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sfh_guest_state *state;
	struct sfh_guest_key *known, pair;
	struct sfh_guest *guest;
	struct sfh_counters *c;
	enum sfh_parsed parsed;
	struct sfh_frame f;
	__u64 now;
	bool own;

	known = bpf_map_lookup_elem(&sfh_standby, &ifindex);
	if (!known)
		return SFH_TC_PASS;
	pair = *known;
	guest = bpf_map_lookup_elem(&sfh_guests, &pair);
	state = bpf_map_lookup_elem(&sfh_state, &pair);
	if (!guest || !state)
		return SFH_TC_PASS;
	if (guest->standby_kind != SFH_STANDBY_TAP && sfh_is_the_hosts(skb))
		return sfh_drop(SFH_DROP_HOSTS, NULL, skb);
	c = sfh_counters_of(guest);
	parsed = sfh_skb_parse(skb, &f);
	/* Its header may be in a page of the guest's. */
	if (parsed != SFH_PARSED &&
	    !bpf_skb_pull_data(skb, SFH_ETH_HLEN + SFH_VLAN_HLEN))
		parsed = sfh_skb_parse(skb, &f);
	own = parsed != SFH_PARSED_SHORT && f.src == sfh_mac_word(pair.mac);
	if (!own) {
		if (c)
			c->foreign_source_frames += sfh_skb_frames(skb);
		if (guest->flags & SFH_GUEST_SPOOFCHK)
			return sfh_drop(SFH_DROP_SPOOFED, c ? &c->spoofed_drops : NULL, skb);
	}
	/* Not on a tap: there the host's netfilter would see the mark. */
	if (guest->standby_kind != SFH_STANDBY_TAP && !skb->mark)
		skb->mark = SFH_MARK_LOCAL;
	if (own) {
		if (c) {
			c->from_standby_frames += sfh_skb_frames(skb);
			c->from_standby_bytes += sfh_skb_bytes(skb);
		}
		now = bpf_ktime_get_ns();
		state->last_frame_ns = now;
		sfh_first_frame(guest, state, &pair, ifindex, now);
		sfh_meter_from_guest(guest, now);
		if (parsed == SFH_PARSED)
			sfh_learn_ip4(skb, &f, state, now);
		if (sfh_is_to(f.dst, (const __u8[])SFH_PROBE_MAC)) {
			if (parsed == SFH_PARSED && sfh_answers(skb, f.proto, f.l3))
				sfh_prove(guest, &pair, ifindex);
			return sfh_drop(SFH_DROP_PROBE_ANSWER, NULL, skb);
		}
		if (sfh_is_to(f.dst, (const __u8[])SFH_ASK_MAC)) {
			if (parsed == SFH_PARSED && sfh_answers(skb, f.proto, f.l3))
				sfh_listens(guest, state, &pair, ifindex, now);
			return sfh_drop(SFH_DROP_PROBE_ANSWER, NULL, skb);
		}
	}
	if (guest->vlan_proto &&
	    (parsed != SFH_PARSED || sfh_tag(skb, guest, &f) < 0))
		return sfh_drop(SFH_DROP_VLAN, c ? &c->vlan_drops : NULL, skb);
	if (parsed == SFH_PARSED &&
	    sfh_is_on_vf(f.dst, pair.pf_ifindex, guest->vlan_proto ? pair.vlan : f.vlan))
		return (int)bpf_redirect(pair.pf_ifindex, 0);
	return SFH_TC_PASS;
}

#define SFH_NO_PROBE (-2) /* no tc verdict */

/* The pair's own probe goes on to the guest, made harmless; anybody else's (it was
 * flooded: the PF's program is not there) ends here. */
static __noinline int sfh_standby_probe(struct __sk_buff *skb, const struct sfh_guest_key *pair,
					__u16 vlan_proto)
{
	const __u8 dst[6] = SFH_PROBE_DST;
	struct sfh_probe_body body, blank = {};
	struct sfh_probe_seen *seen;
	struct sfh_frame f;

	if (!pair || sfh_skb_parse(skb, &f) != SFH_PARSED || f.proto != SFH_PROBE_PROTO ||
	    bpf_skb_load_bytes(skb, f.l3, &body, sizeof(body)) || !sfh_is_probe(&body))
		return SFH_NO_PROBE;
	if (f.dst != sfh_mac_word(pair->mac))
		return SFH_TC_DROP;
	if (bpf_skb_store_bytes(skb, f.l3, &blank, sizeof(blank), 0) ||
	    bpf_skb_store_bytes(skb, 0, dst, sizeof(dst), 0))
		return SFH_TC_DROP;
	if (vlan_proto && (f.tpid != vlan_proto || f.vlan != pair->vlan || bpf_skb_vlan_pop(skb)))
		return SFH_TC_DROP;
	seen = sfh_probe_note(pair, body.seq, SFH_PROBE_STANDBY);
	if (seen)
		seen->standby_ns = bpf_ktime_get_ns();
	return SFH_TC_PASS;
}

static __always_inline void sfh_count_to_guest(const struct __sk_buff *skb, struct sfh_counters *c)
{
	if (c) {
		c->to_standby_frames += sfh_skb_frames(skb);
		c->to_standby_bytes += sfh_skb_bytes(skb);
	}
}

static __noinline int sfh_to_guest_full(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sfh_guest_key *known = bpf_map_lookup_elem(&sfh_standby, &ifindex);
	struct sfh_counters *c;
	struct sfh_guest_key pair;
	struct sfh_guest *guest;
	struct sfh_frame f;

	if (!known)
		return SFH_TC_PASS;
	pair = *known;
	guest = bpf_map_lookup_elem(&sfh_guests, &pair);
	if (skb->protocol == bpf_htons(SFH_PROBE_PROTO)) {
		int verdict = sfh_standby_probe(skb, &pair, guest ? guest->vlan_proto : 0);

		if (verdict != SFH_NO_PROBE)
			return verdict;
	}
	if (!guest)
		return SFH_TC_PASS;
	/* The guest would discard it, but not yet while its bond is about to take the VF, whose
	 * driver receives already: it would see the frame twice. */
	if (guest->flags & SFH_GUEST_ON_VF)
		return sfh_drop(SFH_DROP_ON_VF, NULL, skb);
	c = sfh_counters_of(guest);
	if (guest->vlan_proto &&
	    (sfh_skb_parse(skb, &f) != SFH_PARSED || f.tpid != guest->vlan_proto ||
	     f.vlan != pair.vlan || bpf_skb_vlan_pop(skb)))
		return sfh_drop(SFH_DROP_VLAN, c ? &c->vlan_drops : NULL, skb);
	sfh_count_to_guest(skb, c);
	sfh_meter_to_guest(guest);
	return SFH_TC_PASS;
}

/* A frame to the address of the pair whose device this is, which has no port VLAN. */
static __always_inline bool sfh_to_guest_fast(const struct __sk_buff *skb, struct sfh_fast_hit *hit)
{
	const struct sfh_eth *eth = (void *)(long)skb->data;
	const struct sfh_fast_bucket *bucket;
	__u64 dst;

	if ((void *)(long)skb->data + SFH_ETH_HLEN > (void *)(long)skb->data_end ||
	    skb->protocol == bpf_htons(SFH_PROBE_PROTO))
		return false;
	dst = eth->dst_lo | (__u64)eth->dst_hi << 32;
	bucket = sfh_fast_bucket_of(dst);
	return bucket &&
	       (sfh_fast_of_device(&bucket->way[0], skb->ifindex, dst, hit) ||
		sfh_fast_of_device(&bucket->way[1], skb->ifindex, dst, hit)) &&
	       !hit->vlan_proto && !sfh_fast_metered(hit) && sfh_fast_holds(hit);
}

static __always_inline int sfh_relayed_to_guest(const struct __sk_buff *skb)
{
	__u32 slot = SFH_TC_INDEX_PLAIN - skb->tc_index;
	struct sfh_relayed *relayed = bpf_map_lookup_elem(&sfh_relayed, &slot);

	if (relayed) {
		relayed->frames += sfh_skb_frames(skb);
		relayed->bytes += sfh_skb_bytes(skb);
	}
	return SFH_TC_PASS;
}

/* The last hook before the guest: whatever brought the frame here (the wire, a bridge
 * that floods, macvlan's broadcast, another guest), a guest with a port VLAN gets what is
 * of that VLAN, without the tag. */
SEC("tc")
int sfh_to_guest(struct __sk_buff *skb)
{
	struct sfh_fast_hit hit = {};

	if (skb->tc_index >= SFH_TC_INDEX_LEAST)
		return sfh_relayed_to_guest(skb);
	if (!sfh_to_guest_fast(skb, &hit))
		return sfh_to_guest_full(skb);
	sfh_count_to_guest(skb, sfh_counters_at(hit.slot));
	return SFH_TC_PASS;
}

char _license[] SEC("license") = "GPL";
