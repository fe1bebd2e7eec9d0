// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures of bench-datapath: medians, ratios, which rivals are meant. */
#include "bench/datapath/stats.h"

#include <criterion/criterion.h>
#include <math.h>

Test(datapath_stats, median_of_odd_and_even_counts)
{
	const double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 2 };
	struct dp_spread s = dp_spread(odd, 3);

	cr_assert_eq(s.median, 5);
	cr_assert_eq(s.min, 1);
	cr_assert_eq(s.max, 9);
	cr_assert_eq(odd[0], 9, "the samples stay in the order of the rounds");
	cr_assert_eq(dp_spread(even, 4).median, 2.5);
	cr_assert_eq(dp_spread(even, 1).median, 4);
}

Test(datapath_stats, nothing_is_no_number)
{
	cr_assert(isnan(dp_spread(NULL, 0).median));
	cr_assert(isnan(dp_ratio(NULL, NULL, 0).median));
}

/* A round that somebody disturbed moves both rivals, not their ratio. */
Test(datapath_stats, ratios_are_taken_round_by_round)
{
	const double ours[] = { 30, 3, 30 }, bridge[] = { 10, 1, 10 };
	struct dp_spread s = dp_ratio(ours, bridge, 3);

	cr_assert_eq(s.median, 3);
	cr_assert_eq(s.min, 3);
	cr_assert_eq(s.max, 3);
}

Test(datapath_stats, a_round_without_frames_is_left_out)
{
	const double a[] = { 8, 5, 2 }, b[] = { 4, 0, 1 };
	const double none[] = { 0, 0, 0 };

	cr_assert_eq(dp_ratio(a, b, 3).median, 2);
	cr_assert(isnan(dp_ratio(a, none, 3).median));
}

Test(datapath_stats, a_missed_bound_is_missed_either_way)
{
	cr_assert(dp_within(2.5, 2.5, true));
	cr_assert_not(dp_within(2.49, 2.5, true));
	cr_assert(dp_within(1.1, 1.1, false));
	cr_assert_not(dp_within(1.11, 1.1, false));
	cr_assert_not(dp_within(NAN, 1, true), "no figure is no success");
	cr_assert_not(dp_within(NAN, 1, false), "no figure is no success");
}

Test(datapath_stats, names_stand_for_families)
{
	cr_assert(dp_selected(NULL, "bridge"));
	cr_assert(dp_selected("ours,bridge", "ours-10000"));
	cr_assert(dp_selected("ours,bridge", "bridge"));
	cr_assert_not(dp_selected("ours-1", "ours-10000"));
	cr_assert_not(dp_selected("ours", "fan-ours"));
	cr_assert_not(dp_selected("", "ours"));
	cr_assert_not(dp_selected("bridge,", "ours"));
}
