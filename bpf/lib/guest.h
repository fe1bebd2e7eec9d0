/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose a frame is. */
#ifndef SFH_BPF_GUEST_H
#define SFH_BPF_GUEST_H

#include "lib/frame.h"
#include "lib/maps.h"

/* What may be a pair's address. A yes may be wrong. */
static __always_inline bool sfh_maybe_ours(const struct sfh_macs *macs, __u64 mac)
{
	__u32 bit = sfh_mac_bit(mac) % SFH_MACS_BITS;

	return macs->bits[bit / 64] & 1ull << bit % 64;
}

/* The pair that a frame of this VLAN is of or for: with that port VLAN or, as a guest
 * without one tags its frames itself, with none; then it is the key's VLAN, too. */
static __always_inline struct sfh_guest *sfh_guest_in_vlan(struct sfh_guest_key *key)
{
	struct sfh_guest *guest = bpf_map_lookup_elem(&sfh_guests, key);

	if (guest || !key->vlan)
		return guest;
	key->vlan = 0;
	return bpf_map_lookup_elem(&sfh_guests, key);
}

#endif
