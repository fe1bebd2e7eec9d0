/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading sfh_fast: one cache line instead of lookups in hashes, for frames with nothing
 * special about them. Whoever finds no entry, or one that does not hold, goes the full way. */
#ifndef SFH_BPF_FAST_H
#define SFH_BPF_FAST_H

#include "lib/frame.h"
#include "lib/maps.h"

/* A copy of what is needed of an entry, good once sfh_fast_holds(). */
struct sfh_fast_hit {
	const struct sfh_fast *entry;
	__u32 seq;
	__u32 standby_ifindex;
	__u32 slot;
	__u32 meter_until;
	__u16 vlan_proto;
	__u8 standby_kind;
};

static __always_inline __u32 sfh_fast_seq(const struct sfh_fast *entry)
{
	__u32 seq;

	barrier();
	seq = *(const volatile __u32 *)&entry->seq;
	barrier();
	return seq;
}

/* Nobody has written to the entry since the copy was begun. */
static __always_inline bool sfh_fast_holds(const struct sfh_fast_hit *hit)
{
	return sfh_fast_seq(hit->entry) == hit->seq;
}

static __always_inline bool sfh_fast_copy(const struct sfh_fast *entry, __u32 seq,
					  struct sfh_fast_hit *hit)
{
	if (seq & 1)
		return false;
	hit->entry = entry;
	hit->seq = seq;
	hit->standby_ifindex = entry->standby_ifindex;
	hit->slot = entry->slot;
	hit->meter_until = entry->meter_until;
	hit->vlan_proto = entry->vlan_proto;
	hit->standby_kind = entry->standby_kind;
	return true;
}

/* If this is the entry of the pair with this MAC and VLAN (in one number) on this PF. */
static __always_inline bool sfh_fast_of_pair(const struct sfh_fast *entry, __u32 pf_ifindex,
					     __u64 address, struct sfh_fast_hit *hit)
{
	__u32 seq = sfh_fast_seq(entry);

	return *(const __u64 *)entry->key.mac == address && entry->key.pf_ifindex == pf_ifindex &&
	       sfh_fast_copy(entry, seq, hit);
}

/* If this is the entry of the pair with this standby device, and this is its MAC. */
static __always_inline bool sfh_fast_of_device(const struct sfh_fast *entry, __u32 ifindex,
					       __u64 mac, struct sfh_fast_hit *hit)
{
	__u32 seq = sfh_fast_seq(entry);

	return *(const __u64 *)entry->key.mac << 16 == mac << 16 &&
	       entry->standby_ifindex == ifindex && sfh_fast_copy(entry, seq, hit);
}

static __always_inline const struct sfh_fast_bucket *sfh_fast_bucket_of(__u64 mac)
{
	__u32 index = sfh_fast_index(mac) % SFH_FAST_BUCKETS;

	return bpf_map_lookup_elem(&sfh_fast, &index);
}

/* The meter runs, or may. */
static __always_inline bool sfh_fast_metered(const struct sfh_fast_hit *hit)
{
	return hit->meter_until &&
	       (__u32)(bpf_ktime_get_coarse_ns() >> SFH_FAST_METER_SHIFT) < hit->meter_until;
}

#endif
