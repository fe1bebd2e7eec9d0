/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often a guest on its VF makes the host give its neighbours' macvtaps a copy of what
 * it sends to everybody. Each such frame costs a walk over all pairs, so there is a bound;
 * each guest has its own, so that none is at another's expense. */
#ifndef SFH_BPF_SPREAD_H
#define SFH_BPF_SPREAD_H

#include "lib/maps.h"

/* A bucket as one number: when it is full again. A token is SFH_SPREAD_NS of time. Several
 * CPUs at once may take one token too many each, no more. */
static __always_inline bool sfh_spread_may(__u32 slot)
{
	struct sfh_spread *s = bpf_map_lookup_elem(&sfh_spread, &slot);
	__u64 now, full;

	if (!s)
		return true;
	now = bpf_ktime_get_ns();
	full = *(volatile __u64 *)&s->full_ns;
	if (full > now + SFH_SPREAD_BURST * SFH_SPREAD_NS)
		return false;
	if (full < now) /* another CPU may be faster, with the same */
		__sync_val_compare_and_swap(&s->full_ns, full, now);
	__sync_fetch_and_add(&s->full_ns, SFH_SPREAD_NS);
	return true;
}

#endif
