// SPDX-License-Identifier: GPL-2.0-or-later
/* clsact of a standby device. Which hook is which depends on the device: what
 * the guest sends enters the host through a tap (ingress) but leaves through a
 * macvtap (egress, on its way to the PF), and the other way round. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib/account.h"
#include "lib/skb.h"

struct sfh_arp_ip4 {
	__u8 htype[2], ptype[2], hlen, plen, oper[2];
	__u8 sender_mac[6];
	__u8 sender_ip[4];
};

static __always_inline void sfh_learn_ip4(struct __sk_buff *skb, const struct sfh_frame *f,
					  struct sfh_guest_state *state)
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
		    !sfh_same_mac(arp.sender_mac, f->src))
			return;
		__builtin_memcpy(&ip4, arp.sender_ip, 4);
		if (!ip4 || (ip4 == state->ip4 && state->ip4_source == SFH_IP4_ARP))
			return; /* 0: address probe, RARP-like announcement */
		state->ip4 = ip4;
		state->ip4_source = SFH_IP4_ARP;
	} else if (f->proto == SFH_ETH_P_IP && state->ip4_source != SFH_IP4_ARP) {
		__u8 first;

		if (bpf_skb_load_bytes(skb, f->l3 + 12, &ip4, sizeof(ip4)))
			return;
		__builtin_memcpy(&first, &ip4, 1);
		if (first == 0 || first == 127 || first >= 224 || ip4 == state->ip4)
			return;
		state->ip4 = ip4;
		state->ip4_source = SFH_IP4_PACKET;
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

/* Whether `dst` is a guest of this PF that is on its VF leg: staged, neither armed
 * nor waiting to be. macvlan and a bridge would hand it the frame on its standby
 * device, where it discards it; only the NIC's switch reaches the VF. */
static __always_inline bool sfh_is_on_vf(const struct sfh_frame *f, __u32 pf_ifindex)
{
	struct sfh_guest_key key = { .pf_ifindex = pf_ifindex, .vlan = f->vlan };
	struct sfh_guest *guest;

	if (sfh_is_multicast(f->dst))
		return false;
	__builtin_memcpy(key.mac, f->dst, 6);
	guest = bpf_map_lookup_elem(&sfh_guests, &key);
	return guest && guest->standby_ifindex && !guest->armed && !guest->arm_on_first_frame;
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

	known = bpf_map_lookup_elem(&sfh_standby, &ifindex);
	if (!known)
		return SFH_TC_PASS;
	pair = *known;
	parsed = sfh_skb_parse(skb, &f);
	if (parsed == SFH_PARSED_SHORT)
		return SFH_TC_PASS;
	c = sfh_counters_of(&pair);
	if (!sfh_same_mac(f.src, pair.mac)) {
		if (c)
			c->foreign_source_frames += sfh_skb_frames(skb);
		return SFH_TC_PASS;
	}
	if (c) {
		c->from_standby_frames += sfh_skb_frames(skb);
		c->from_standby_bytes += sfh_skb_bytes(skb);
	}
	guest = bpf_map_lookup_elem(&sfh_guests, &pair);
	state = bpf_map_lookup_elem(&sfh_state, &pair);
	if (!guest || !state)
		return SFH_TC_PASS;
	/* Not on a tap: there the host's netfilter would see the mark. */
	if (guest->standby_kind != SFH_STANDBY_TAP && !skb->mark)
		skb->mark = SFH_MARK_LOCAL;
	now = bpf_ktime_get_ns();
	state->last_frame_ns = now;
	sfh_first_frame(guest, state, &pair, ifindex, now);
	if (parsed != SFH_PARSED)
		return SFH_TC_PASS;
	sfh_learn_ip4(skb, &f, state);
	if (sfh_is_on_vf(&f, pair.pf_ifindex))
		return bpf_redirect(pair.pf_ifindex, 0);
	return SFH_TC_PASS;
}

SEC("tc")
int sfh_to_guest(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sfh_guest_key *known = bpf_map_lookup_elem(&sfh_standby, &ifindex);
	struct sfh_counters *c;
	struct sfh_guest_key pair;

	if (!known)
		return SFH_TC_PASS;
	pair = *known;
	c = sfh_counters_of(&pair);
	if (c) {
		c->to_standby_frames += sfh_skb_frames(skb);
		c->to_standby_bytes += sfh_skb_bytes(skb);
	}
	return SFH_TC_PASS;
}

char _license[] SEC("license") = "GPL";
