/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters, drop reasons and events. */
#ifndef SFH_BPF_ACCOUNT_H
#define SFH_BPF_ACCOUNT_H

#include "lib/maps.h"

static __always_inline void sfh_count_drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&sfh_drops, &reason);

	if (n)
		(*n)++;
}

static __always_inline struct sfh_counters *sfh_counters_at(__u32 slot)
{
	return bpf_map_lookup_elem(&sfh_counters, &slot);
}

static __always_inline struct sfh_counters *sfh_counters_of(const struct sfh_guest *guest)
{
	return sfh_counters_at(guest->slot);
}

/* Room for an event, filled but for what the caller adds; NULL (counted) when
 * the ring is full. Reserve, then decide: an event that only one CPU may send is
 * claimed after there is room for it. */
static __always_inline struct sfh_event *sfh_event_reserve(__u32 type,
							   const struct sfh_guest_key *pair,
							   __u32 ifindex, __u64 now)
{
	struct sfh_event *ev = bpf_ringbuf_reserve(&sfh_events, sizeof(*ev), 0);

	if (!ev) {
		sfh_count_drop(SFH_DROP_EVENT_LOST);
		return NULL;
	}
	ev->type = type;
	ev->generation = 0;
	ev->key = *pair;
	ev->ifindex = ifindex;
	ev->ktime_ns = now;
	return ev;
}

#endif
