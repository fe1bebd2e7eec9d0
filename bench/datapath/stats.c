// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/datapath/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct dp_spread dp_spread(const double *values, size_t n)
{
	struct dp_spread s = { NAN, NAN, NAN };
	double *sorted = n ? malloc(n * sizeof(*sorted)) : NULL;

	if (!sorted)
		return s;
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	s.min = sorted[0];
	s.max = sorted[n - 1];
	s.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	free(sorted);
	return s;
}

struct dp_spread dp_ratio(const double *a, const double *b, size_t n)
{
	struct dp_spread s = { NAN, NAN, NAN };
	double *ratios = n ? malloc(n * sizeof(*ratios)) : NULL;
	size_t m = 0;

	if (!ratios)
		return s;
	for (size_t i = 0; i < n; i++)
		if (b[i] > 0)
			ratios[m++] = a[i] / b[i];
	s = dp_spread(ratios, m);
	free(ratios);
	return s;
}

bool dp_within(double value, double bound, bool at_least)
{
	return at_least ? value >= bound : value <= bound;
}

bool dp_selected(const char *list, const char *name)
{
	while (list) {
		size_t len = strcspn(list, ",");

		if (len && strncmp(list, name, len) == 0 && (name[len] == '\0' || name[len] == '-'))
			return true;
		if (!list[len])
			return false;
		list += len + 1;
	}
	return true;
}
