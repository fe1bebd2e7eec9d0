// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/meter.h"

static double ms(uint64_t ns, uint64_t origin_ns)
{
	return (double)(int64_t)(ns - origin_ns) / 1e6;
}

/* Buckets that are empty are left out: most are. */
static json_t *gaps_json(const struct sfh_meter_leg *leg)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SFH_METER_GAPS; i++)
		if (leg->gaps[i])
			(void)json_array_append_new(
				list, json_pack("{s:f, s:I}", "from_ms",
						i ? (double)(1ull << (i + SFH_METER_GAP_SHIFT)) / 1e6
						  : 0.0,
						"count", (json_int_t)leg->gaps[i]));
	return list;
}

static json_t *leg_json(const struct sfh_meter_leg *leg, uint64_t origin_ns)
{
	json_t *o = json_pack("{s:I}", "frames", (json_int_t)leg->frames);

	if (!leg->first_ns)
		return o;
	(void)json_object_set_new(o, "first_ms", json_real(ms(leg->first_ns, origin_ns)));
	(void)json_object_set_new(o, "last_ms", json_real(ms(leg->last_ns, origin_ns)));
	(void)json_object_set_new(o, "longest_gap_ms", json_real((double)leg->longest_ns / 1e6));
	if (leg->longest_end_ns)
		(void)json_object_set_new(o, "longest_gap_end_ms",
					  json_real(ms(leg->longest_end_ns, origin_ns)));
	(void)json_object_set_new(o, "gaps", gaps_json(leg));
	return o;
}

json_t *sfh_meter_json(const struct sfh_meter *m, uint64_t origin_ns)
{
	if (!m->to_guest.first_ns && !m->from_guest.first_ns)
		return NULL;
	return json_pack("{s:o, s:o}", "to_guest", leg_json(&m->to_guest, origin_ns), "from_guest",
			 leg_json(&m->from_guest, origin_ns));
}

json_t *sfh_counters_json(const struct sfh_counters *c)
{
	json_t *o = json_object();

#define PUT(field) (void)json_object_set_new(o, #field, json_integer((json_int_t)c->field))
	PUT(from_wire_frames);
	PUT(from_wire_bytes);
	PUT(to_standby_frames);
	PUT(to_standby_bytes);
	PUT(from_standby_frames);
	PUT(from_standby_bytes);
	PUT(foreign_source_frames);
	PUT(reflected_drops);
	PUT(parked_drops);
	PUT(spoofed_drops);
	PUT(vlan_drops);
#undef PUT
	return o;
}

json_t *sfh_drops_json(struct sfh_steer *s)
{
	json_t *o = json_object();
	uint64_t n;

	for (enum sfh_drop d = SFH_DROP_NONE + 1; d < _SFH_DROP_MAX; d++)
		if (sfh_steer_drops(s, d, &n) == 0 && n)
			(void)json_object_set_new(o, sfh_drop_name(d), json_integer((json_int_t)n));
	return o;
}
