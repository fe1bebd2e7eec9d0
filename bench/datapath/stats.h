/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures out of samples. */
#ifndef SFH_BENCH_DATAPATH_STATS_H
#define SFH_BENCH_DATAPATH_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct dp_spread {
	double median, min, max;
};

/* NaN in all three for n == 0. Leaves `values` as it is. */
struct dp_spread dp_spread(const double *values, size_t n);
/* Rounds are pairs: a[i] / b[i] is the ratio of round i, what disturbs a round
 * disturbs both. Rounds with b[i] <= 0 do not count. */
struct dp_spread dp_ratio(const double *a, const double *b, size_t n);

/* Whether a figure keeps its bound; NaN never does. */
bool dp_within(double value, double bound, bool at_least);

/* "a,b" names "a" and "b", and everything that begins with "a-" or "b-"; NULL: everything. */
bool dp_selected(const char *list, const char *name);

#endif
