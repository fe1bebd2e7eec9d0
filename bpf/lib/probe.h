/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes of the standby leg (abi.h, "warm"): what each hook does with one. Kept out
 * of the way of ordinary frames, which cost one comparison of the type. */
#ifndef SFH_BPF_PROBE_H
#define SFH_BPF_PROBE_H

#include "lib/frame.h"
#include "lib/maps.h"

static __always_inline bool sfh_is_probe(const struct sfh_probe_body *body)
{
	__u32 zero = 0;
	const struct sfh_probe_want *want = bpf_map_lookup_elem(&sfh_probe_want, &zero);

	return want && want->token && want->token == body->token && body->seq;
}

/* Notes that a hook saw the pair's probe `seq`; a new one starts from nothing. */
static __always_inline struct sfh_probe_seen *sfh_probe_note(const struct sfh_guest_key *pair,
							     __u32 seq, __u32 flags)
{
	struct sfh_probe_seen *seen = bpf_map_lookup_elem(&sfh_probe, pair);

	if (!seen)
		return NULL;
	if (seen->seq != seq) {
		seen->flags = 0;
		seen->pf_ns = 0;
		seen->standby_ns = 0;
		seen->seq = seq;
	}
	seen->flags |= flags;
	return seen;
}

/* The entry of the pair that a frame on the PF is for, with its device. */
static __always_inline const struct sfh_guest *sfh_probe_entry(const struct sfh_frame *f,
							       __u32 pf_ifindex,
							       struct sfh_guest_key *pair)
{
	const struct sfh_guest *guest;

	__builtin_memset(pair, 0, sizeof(*pair));
	pair->pf_ifindex = pf_ifindex;
	pair->vlan = f->vlan;
	sfh_mac_store(pair->mac, f->dst);
	guest = bpf_map_lookup_elem(&sfh_guests, pair);
	return guest && guest->standby_ifindex ? guest : NULL;
}

#endif
