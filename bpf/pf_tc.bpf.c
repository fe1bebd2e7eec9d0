// SPDX-License-Identifier: GPL-2.0-or-later
/* clsact ingress of a PF: the base, works beside SR-IOV on every NIC. Sees what
 * the NIC gives to the PF, never what its switch gives to a VF. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib/steer.h"
#include "lib/probe.h"
#include "lib/skb.h"
#include "lib/spread.h"

#define SFH_NO_PROBE (-2) /* no tc verdict */

/* A probe goes the way of a frame for an armed pair; one that has no way ends here
 * instead of being flooded. */
static __noinline int sfh_tc_probe(struct __sk_buff *skb, const struct sfh_frame *f)
{
	struct sfh_probe_body body;
	struct sfh_probe_seen *seen;
	const struct sfh_guest *guest;
	struct sfh_guest_key pair;

	if (!f || bpf_skb_load_bytes(skb, f->l3, &body, sizeof(body)) || !sfh_is_probe(&body))
		return SFH_NO_PROBE;
	guest = sfh_probe_entry(f, skb->ifindex, &pair);
	seen = sfh_probe_note(&pair, body.seq, SFH_PROBE_TC | (guest ? SFH_PROBE_ENTRY : 0));
	if (!seen || !guest)
		return SFH_TC_DROP;
	seen->pf_ns = bpf_ktime_get_ns();
	if (guest->standby_kind == SFH_STANDBY_TAP)
		return (int)bpf_redirect(guest->standby_ifindex, 0);
	return SFH_TC_PASS;
}

/* Counts a frame for the pair at `slot`. */
static __always_inline void sfh_tc_count(const struct __sk_buff *skb, __u32 slot)
{
	struct sfh_counters *c = sfh_counters_at(slot);

	if (c) {
		c->from_wire_frames += sfh_skb_frames(skb);
		c->from_wire_bytes += sfh_skb_bytes(skb);
	}
}

struct sfh_spread_to {
	struct __sk_buff *skb;
	__u32 pf_ifindex;
	__u16 vlan;
};

static long sfh_spread_to(struct bpf_map *map, const struct sfh_guest_key *key,
			  const struct sfh_guest *guest, struct sfh_spread_to *to)
{
	/* One that is on its own VF has its copy there; the sender is one of them. Without a
	 * port VLAN a guest hears all of them. */
	if (key->pf_ifindex == to->pf_ifindex && (key->vlan == to->vlan || !key->vlan) &&
	    guest->standby_kind == SFH_STANDBY_MACVTAP && guest->standby_ifindex &&
	    (guest->armed || guest->arm_on_first_frame))
		(void)bpf_clone_redirect(to->skb, guest->standby_ifindex, BPF_F_INGRESS);
	return 0;
}

static __noinline int sfh_tc_full(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sfh_spread_to to = { .skb = skb, .pf_ifindex = ifindex };
	bool released = skb->mark == SFH_MARK_RELEASED;
	struct sfh_decision d = {};
	struct sfh_frame f;

	if (released)
		skb->mark = 0;
	if (sfh_skb_parse(skb, &f) != SFH_PARSED)
		return SFH_TC_PASS;
	if (f.proto == SFH_PROBE_PROTO) {
		int verdict = sfh_tc_probe(skb, &f);

		if (verdict != SFH_NO_PROBE)
			return verdict;
	}
	sfh_decide(&f, ifindex, &d);
	if (d.verdict == SFH_PASS)
		return SFH_TC_PASS;
	if (d.verdict == SFH_SPREAD) {
		to.vlan = f.vlan;
		if (!sfh_spread_may(d.guest->slot))
			sfh_count_drop(SFH_DROP_SPREAD);
		else
			(void)bpf_for_each_map_elem(&sfh_guests, sfh_spread_to, &to, 0);
		return SFH_TC_PASS;
	}
	if (d.verdict == SFH_DROP) {
		sfh_account_drop(&d);
		return SFH_TC_DROP;
	}
	if (d.verdict == SFH_BACKLOG && !released) {
		skb->mark = SFH_MARK_BACKLOG;
		return (int)bpf_redirect(d.ifindex, 0);
	}
	sfh_tc_count(skb, d.guest->slot);
	if (d.guest->standby_kind == SFH_STANDBY_TAP)
		return (int)bpf_redirect(d.guest->standby_ifindex, 0);
	return SFH_TC_PASS;
}

/* A frame that the macvtap's program has nothing to ask about: that one counts it, for both. */
static __always_inline bool sfh_tc_is_plain(const struct sfh_fast_hit *hit)
{
	return hit->standby_kind != SFH_STANDBY_TAP && !hit->vlan_proto &&
	       hit->slot <= SFH_TC_INDEX_PLAIN - SFH_TC_INDEX_LEAST && !sfh_fast_metered(hit);
}

SEC("tc")
int sfh_pf_tc(struct __sk_buff *skb)
{
	struct sfh_fast_hit hit = {};
	enum sfh_fast_found found;
	struct sfh_frame f;

	/* From macvtap to macvtap: never was on the wire. */
	if (skb->mark == SFH_MARK_LOCAL)
		return SFH_TC_PASS;
	if (skb->mark == SFH_MARK_RELEASED)
		return sfh_tc_full(skb);
	if (sfh_skb_parse(skb, &f) != SFH_PARSED)
		return SFH_TC_PASS;
	found = sfh_fast_look(&f, skb->ifindex, &hit);
	if (found == SFH_FAST_NOBODYS)
		return SFH_TC_PASS;
	if (found == SFH_FAST_UNSURE || !sfh_fast_holds(&hit))
		return sfh_tc_full(skb);
	if (sfh_tc_is_plain(&hit)) {
		skb->tc_index = (__u16)(SFH_TC_INDEX_PLAIN - hit.slot);
		return SFH_TC_PASS;
	}
	sfh_tc_count(skb, hit.slot);
	if (hit.standby_kind == SFH_STANDBY_TAP)
		return (int)bpf_redirect(hit.standby_ifindex, 0);
	return SFH_TC_PASS;
}

char _license[] SEC("license") = "GPL";
