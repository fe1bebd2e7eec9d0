/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What to do with a frame that the PF received from the wire. The same decision
 * for tc and XDP; each entry file carries it out.
 *
 * When both are attached a frame that XDP passes is seen by tc as well. So XDP
 * accounts only for frames that end there (drop, redirect), tc for all others. */
#ifndef SFH_BPF_STEER_H
#define SFH_BPF_STEER_H

#include "lib/account.h"
#include "lib/fast.h"
#include "lib/frame.h"
#include "lib/guest.h"
#include "lib/prove.h"

const volatile __u32 sfh_park_vlan = SFH_PARK_VLAN;

enum sfh_verdict {
	SFH_PASS = 0,	  /* untouched, not counted */
	SFH_DROP = 1,	  /* .drop says why */
	SFH_REDIRECT = 2, /* out of .ifindex */
	SFH_MACVLAN = 3,  /* for an armed pair on a macvtap: count, then pass */
	SFH_SPREAD = 4,	  /* of a guest on its VF for everybody: a copy for each macvtap, then pass */
	SFH_BACKLOG = 5,  /* out of .ifindex, the agent's: the pair's guest does not listen yet */
};

struct sfh_decision {
	enum sfh_verdict verdict;
	enum sfh_drop drop;
	__u32 ifindex;
	struct sfh_guest *guest; /* of the pair, unless PASS */
};

static __always_inline bool sfh_guest_armed(const struct sfh_guest *guest,
					    const struct sfh_guest_key *key)
{
	struct sfh_guest_state *state;

	if (guest->armed) /* the hot path: user space has settled it */
		return true;
	if (!guest->arm_on_first_frame)
		return false;
	state = bpf_map_lookup_elem(&sfh_state, key);
	return state && *(volatile __u32 *)&state->seen_generation == guest->generation;
}

/* Whether the frame's outer tag is what the pair's port VLAN wants; the VLAN itself is
 * in the key. */
static __always_inline bool sfh_tag_fits(const struct sfh_guest *guest, const struct sfh_frame *f)
{
	return guest->vlan_proto ? f->tpid == guest->vlan_proto : f->tpid != SFH_ETH_P_8021AD;
}

/* Whether the guest, which sends on this leg, may not receive on it yet. The agent says
 * when it does; should it have died, the time does. */
static __always_inline bool sfh_is_deaf(const struct sfh_guest *guest,
					const struct sfh_guest_key *key)
{
	const struct sfh_guest_state *state = bpf_map_lookup_elem(&sfh_state, key);

	return state && state->seen_generation == guest->generation &&
	       bpf_ktime_get_ns() - state->first_frame_ns < SFH_BACKLOG_NS;
}

static __always_inline void sfh_decide(const struct sfh_frame *f, __u32 pf_ifindex,
				       struct sfh_decision *d)
{
	struct sfh_guest_key key = { .pf_ifindex = pf_ifindex };
	struct sfh_guest_key *parked;
	struct sfh_guest *guest;
	struct sfh_macs *macs;
	__u32 zero = 0;

	d->verdict = SFH_PASS;
	macs = bpf_map_lookup_elem(&sfh_macs, &zero);
	if (!macs)
		return;

	sfh_mac_store(key.mac, f->src);
	if (f->vlan && f->vlan == sfh_park_vlan && f->tpid == SFH_ETH_P_8021Q) {
		/* Somebody else may really use this VLAN: only our guests' frames
		 * stop here. */
		parked = bpf_map_lookup_elem(&sfh_parked, &key);
		if (!parked)
			return;
		key = *parked;
		guest = bpf_map_lookup_elem(&sfh_guests, &key);
		if (!guest) /* on its way out */
			return;
		d->guest = guest;
		d->drop = SFH_DROP_PARKED;
		d->verdict = SFH_DROP;
		sfh_prove(guest, &key, pf_ifindex);
		return;
	}

	key.vlan = f->vlan;
	guest = sfh_maybe_ours(macs, f->src) ? sfh_guest_in_vlan(&key) : NULL;
	if (guest && guest->vlan_proto && guest->vlan_proto != f->tpid)
		guest = NULL;
	/* Behind a VEPA the wire is how guests here reach each other; macvlan keeps the
	 * sender's own broadcasts from it. */
	if (guest && guest->standby_kind != SFH_STANDBY_MACVTAP_VEPA &&
	    sfh_guest_armed(guest, &key)) {
		d->guest = guest;
		d->drop = SFH_DROP_REFLECTED;
		d->verdict = SFH_DROP;
		return;
	}

	/* Bridge and macvlan replicate what is for everybody, but for macvlan with the frames
	 * of a guest here that is on its VF: it takes the source for that of its macvtap, and
	 * holds that the others in bridge mode saw the frame when it left. */
	if (sfh_is_multicast(f->dst)) {
		if (guest && guest->standby_kind == SFH_STANDBY_MACVTAP) {
			d->guest = guest;
			d->verdict = SFH_SPREAD;
		}
		return;
	}
	if (!sfh_maybe_ours(macs, f->dst))
		return;
	sfh_mac_store(key.mac, f->dst);
	key.vlan = f->vlan;
	guest = bpf_map_lookup_elem(&sfh_guests, &key);
	if (!guest || !sfh_tag_fits(guest, f) || !sfh_guest_armed(guest, &key))
		return;
	d->guest = guest;
	if (guest->backlog_ifindex && sfh_is_deaf(guest, &key)) {
		d->ifindex = guest->backlog_ifindex;
		d->verdict = SFH_BACKLOG;
		return;
	}
	d->ifindex = guest->standby_ifindex;
	if (guest->standby_kind == SFH_STANDBY_TAP && d->ifindex)
		d->verdict = SFH_REDIRECT;
	else if (guest->standby_kind == SFH_STANDBY_MACVTAP ||
		 guest->standby_kind == SFH_STANDBY_MACVTAP_VEPA)
		d->verdict = SFH_MACVLAN;
}

/* The short way of most frames: those for an armed pair, and those for nobody here. What
 * it says is what sfh_decide() would; whatever is not plain is left to that. */
enum sfh_fast_found {
	SFH_FAST_UNSURE = 0, /* go the full way */
	SFH_FAST_NOBODYS,    /* pass it */
	SFH_FAST_HIT,
};

static __always_inline enum sfh_fast_found sfh_fast_look(const struct sfh_frame *f,
							 __u32 pf_ifindex, struct sfh_fast_hit *hit)
{
	__u64 address = f->dst | (__u64)f->vlan << 48;
	const struct sfh_fast_bucket *bucket = sfh_fast_bucket_of(f->dst);
	__u32 zero = 0;
	const struct sfh_macs *macs;

	macs = bpf_map_lookup_elem(&sfh_macs, &zero);
	/* A guest's frame that came back, one in the parking VLAN, a probe. */
	if (!macs || !bucket || sfh_maybe_ours(macs, f->src) ||
	    (f->vlan && f->vlan == sfh_park_vlan) || f->proto == SFH_PROBE_PROTO)
		return SFH_FAST_UNSURE;
	if (sfh_fast_of_pair(&bucket->way[0], pf_ifindex, address, hit) ||
	    sfh_fast_of_pair(&bucket->way[1], pf_ifindex, address, hit))
		/* A priority tag alone, or another kind of tag: see sfh_tag_fits(). */
		return hit->vlan_proto == f->tpid ? SFH_FAST_HIT : SFH_FAST_UNSURE;
	return sfh_maybe_ours(macs, f->dst) ? SFH_FAST_UNSURE : SFH_FAST_NOBODYS;
}

static __always_inline void sfh_account_drop(const struct sfh_decision *d)
{
	struct sfh_counters *c = sfh_counters_of(d->guest);

	sfh_count_drop(d->drop);
	if (!c)
		return;
	if (d->drop == SFH_DROP_REFLECTED)
		c->reflected_drops++;
	else
		c->parked_drops++;
}

#endif
