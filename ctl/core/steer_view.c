// SPDX-License-Identifier: GPL-2.0-or-later
/* What is to be seen of the pairs: what they are, what they and the host counted, and
 * how warm their standby legs are. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>

#define VLAN_HLEN 4

static void sum(struct sfh_counters *to, const struct sfh_counters *c)
{
	to->from_wire_frames += c->from_wire_frames;
	to->from_wire_bytes += c->from_wire_bytes;
	to->to_standby_frames += c->to_standby_frames;
	to->to_standby_bytes += c->to_standby_bytes;
	to->from_standby_frames += c->from_standby_frames;
	to->from_standby_bytes += c->from_standby_bytes;
	to->foreign_source_frames += c->foreign_source_frames;
	to->reflected_drops += c->reflected_drops;
	to->parked_drops += c->parked_drops;
	to->spoofed_drops += c->spoofed_drops;
	to->vlan_drops += c->vlan_drops;
}

static void sum_relayed(struct sfh_counters *to, const struct sfh_relayed *relayed, bool untagged)
{
	to->from_wire_frames += relayed->frames;
	to->from_wire_bytes += relayed->bytes;
	to->to_standby_frames += relayed->frames;
	to->to_standby_bytes += relayed->bytes - (untagged ? VLAN_HLEN * relayed->frames : 0);
}

int sfh_steer_standby_key(struct sfh_steer *s, uint32_t ifindex, struct sfh_guest_key *ret)
{
	struct sfh_guest g;
	int r = sfh_map_get(s, SFH_MAP_STANDBY, &ifindex, ret);

	return r < 0 ? r : sfh_map_get(s, SFH_MAP_GUESTS, ret, &g);
}

int sfh_steer_get(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_pair_view *ret)
{
	_cleanup_free_ struct sfh_counters *c = calloc((size_t)s->cpus, sizeof(*c));
	_cleanup_free_ struct sfh_relayed *relayed = calloc((size_t)s->cpus, sizeof(*relayed));
	struct sfh_guest_state st;
	struct sfh_pair_view v;
	struct sfh_meter meter;
	struct sfh_guest g;
	int r;

	if (!c || !relayed)
		return -ENOMEM;
	r = sfh_steer_read_pair(s, key, &g, &st);
	if (r == 0)
		r = sfh_map_get(s, SFH_MAP_COUNTERS, &g.slot, c);
	if (r == 0)
		r = sfh_map_get(s, SFH_MAP_RELAYED, &g.slot, relayed);
	if (r == 0)
		r = sfh_map_get(s, SFH_MAP_METER, &g.slot, &meter);
	if (r < 0)
		return r;
	v = (struct sfh_pair_view){
		.key = *key,
		.standby_ifindex = g.standby_ifindex,
		.standby_kind = g.standby_kind,
		.armed = sfh_steer_armed(&g, &st),
		.proof_wanted = g.proof_generation && g.proof_generation != st.proof_generation,
		.ip4 = st.ip4,
		.ip4_source = st.ip4_source,
		.ip4_ns = st.ip4_ns,
		.generation = g.generation,
		.first_frame_ns = st.seen_generation == g.generation ? st.first_frame_ns : 0,
		.last_frame_ns = st.last_frame_ns,
		.proof_ns = st.proof_ns,
		.policy = { .spoofchk = g.flags & SFH_GUEST_SPOOFCHK, .vlan_proto = g.vlan_proto,
			    .vlan_prio = (uint8_t)(g.vlan_tci >> 13) },
		.meter_until_ns = g.meter_until_ns,
		.meter = meter,
	};
	v.armed_by_frame = v.armed && g.armed != SFH_ARMED_BY_USER;
	v.arm_on_first_frame = g.arm_on_first_frame && !v.armed;
	for (int i = 0; i < s->cpus; i++) {
		sum(&v.counters, &c[i]);
		sum_relayed(&v.counters, &relayed[i], g.vlan_proto);
	}
	*ret = v;
	return 0;
}

int sfh_steer_foreach(struct sfh_steer *s, int (*cb)(const struct sfh_pair_view *view, void *ctx),
		      void *ctx)
{
	struct sfh_guest_key key, next;
	/* A reader beside a writer that deletes may be sent back to the start. */
	uint64_t limit = 2ull * s->max_pairs;
	int more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], NULL, &next);

	while (more == 0 && limit--) {
		struct sfh_pair_view view;
		int r;

		key = next;
		/* Before cb, which may delete `key`. */
		more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], &key, &next);
		r = sfh_steer_get(s, &key, &view);
		if (r == -ENOENT)
			continue;
		if (r == 0)
			r = cb(&view, ctx);
		if (r != 0)
			return r;
	}
	return 0;
}

int sfh_steer_drops(struct sfh_steer *s, enum sfh_drop reason, uint64_t *ret)
{
	_cleanup_free_ uint64_t *n = calloc((size_t)s->cpus, sizeof(*n));
	uint32_t key = (uint32_t)reason;
	int r;

	if (!n)
		return -ENOMEM;
	r = sfh_map_get(s, SFH_MAP_DROPS, &key, n);
	if (r < 0)
		return r;
	*ret = 0;
	for (int i = 0; i < s->cpus; i++)
		*ret += n[i];
	return 0;
}

/* --- warm ------------------------------------------------------------------------------- */

int sfh_steer_warm_get(const struct sfh_steer *s, const struct sfh_guest_key *key,
		       struct sfh_warm_view *ret)
{
	return sfh_map_get(s, SFH_MAP_WARM, key, ret);
}

int sfh_steer_warm_set(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_warm_view *view)
{
	int r = sfh_steer_writable(s, NULL);

	if (r < 0)
		return r;
	/* Not of a pair that has been forgotten. */
	return bpf_map_update_elem(s->map[SFH_MAP_WARM], key, view, BPF_EXIST) < 0 ? -errno : 0;
}
