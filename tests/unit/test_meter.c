// SPDX-License-Identifier: GPL-2.0-or-later
/* What the datapath counted, as JSON. */
#include <criterion/criterion.h>

#include "ctl/core/meter.h"

static double real(const json_t *o, const char *leg, const char *key)
{
	return json_number_value(json_object_get(json_object_get(o, leg), key));
}

Test(meter_json, times_are_offsets_in_milliseconds)
{
	struct sfh_meter m = {
		.from_guest = { .first_ns = 1500000, .last_ns = 90000000, .frames = 7,
				.longest_ns = 20000000, .longest_end_ns = 50000000,
				.gaps = { [0] = 4, [14] = 2 } },
	};
	json_t *o = sfh_meter_json(&m, 1000000), *gap;

	cr_assert_float_eq(real(o, "from_guest", "first_ms"), 0.5, 1e-9);
	cr_assert_float_eq(real(o, "from_guest", "last_ms"), 89, 1e-9);
	cr_assert_float_eq(real(o, "from_guest", "longest_gap_ms"), 20, 1e-9);
	cr_assert_float_eq(real(o, "from_guest", "longest_gap_end_ms"), 49, 1e-9);
	cr_assert_eq(real(o, "from_guest", "frames"), 7);
	cr_assert_eq(real(o, "to_guest", "frames"), 0);
	cr_assert_null(json_object_get(json_object_get(o, "to_guest"), "first_ms"));
	gap = json_object_get(json_object_get(o, "from_guest"), "gaps");
	cr_assert_eq(json_array_size(gap), 2, "what is empty is left out");
	gap = json_array_get(gap, 1);
	cr_assert_float_eq(json_number_value(json_object_get(gap, "from_ms")), 16.777216, 1e-9);
	cr_assert_eq(json_integer_value(json_object_get(gap, "count")), 2);
	json_decref(o);
}

/* A frame may be older than the switch that it is told with. */
Test(meter_json, before_the_origin_is_negative)
{
	struct sfh_meter m = { .to_guest = { .first_ns = 1000000, .last_ns = 1000000, .frames = 1 } };
	json_t *o = sfh_meter_json(&m, 3000000);

	cr_assert_float_eq(real(o, "to_guest", "first_ms"), -2, 1e-9);
	json_decref(o);
}

Test(meter_json, no_frame_is_no_meter)
{
	cr_assert_null(sfh_meter_json(&(struct sfh_meter){ .to_guest = { .frames = 0 } }, 5));
}

Test(meter_json, every_counter_by_its_name)
{
	struct sfh_counters c = { .from_wire_frames = 1, .spoofed_drops = 2, .vlan_drops = 3 };
	json_t *o = sfh_counters_json(&c);

	cr_assert_eq(json_object_size(o), sizeof(c) / sizeof(__u64));
	cr_assert_eq(json_integer_value(json_object_get(o, "spoofed_drops")), 2);
	cr_assert_eq(json_integer_value(json_object_get(o, "vlan_drops")), 3);
	json_decref(o);
}
