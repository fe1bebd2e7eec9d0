/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The switch meter: when frames of a pair passed its standby leg, for a while after
 * it was armed. Outside of that window it costs a frame one comparison with the
 * coarse clock (a precise one would cost more than everything else together). */
#ifndef SFH_BPF_METER_H
#define SFH_BPF_METER_H

#include "lib/maps.h"

static __always_inline __u32 sfh_log2(__u64 v)
{
	__u32 n = 0;

#define STEP(bits)                                                                                 \
	if (v >> (bits)) {                                                                         \
		v >>= (bits);                                                                      \
		n += (bits);                                                                       \
	}
	STEP(32)
	STEP(16)
	STEP(8)
	STEP(4)
	STEP(2)
	STEP(1)
#undef STEP
	return n;
}

static __always_inline void sfh_meter_frame(struct sfh_meter_leg *leg, __u64 now)
{
	__u64 last = leg->last_ns, gap;
	__u32 bucket;

	leg->frames++;
	leg->last_ns = now;
	if (!last) {
		leg->first_ns = now;
		return;
	}
	/* Another CPU was faster. */
	if (now < last)
		return;
	gap = now - last;
	bucket = sfh_log2(gap >> SFH_METER_GAP_SHIFT);
	if (bucket < SFH_METER_GAPS)
		leg->gaps[bucket]++;
	if (gap > leg->longest_ns) {
		leg->longest_ns = gap;
		leg->longest_end_ns = now;
	}
}

static __always_inline bool sfh_is_metered(const struct sfh_guest *guest)
{
	return guest->meter_until_ns && bpf_ktime_get_coarse_ns() < guest->meter_until_ns;
}

static __always_inline struct sfh_meter *sfh_meter_of(const struct sfh_guest *guest)
{
	__u32 slot = guest->slot;

	return bpf_map_lookup_elem(&sfh_meter, &slot);
}

static __always_inline void sfh_meter_to_guest(const struct sfh_guest *guest)
{
	struct sfh_meter *m;

	if (!sfh_is_metered(guest))
		return;
	m = sfh_meter_of(guest);
	if (m)
		sfh_meter_frame(&m->to_guest, bpf_ktime_get_ns());
}

static __always_inline void sfh_meter_from_guest(const struct sfh_guest *guest, __u64 now)
{
	struct sfh_meter *m;

	if (now >= guest->meter_until_ns)
		return;
	m = sfh_meter_of(guest);
	if (m)
		sfh_meter_frame(&m->from_guest, now);
}

#endif
