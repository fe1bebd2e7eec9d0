// SPDX-License-Identifier: GPL-2.0-or-later
/* bench-control [--json FILE] [--build DIR]: the control plane against a host that
 * exists in memory only. Exit status 1 if a bound is missed. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/control/bench.h"

static json_t *results;
static unsigned missed, skipped;

static void add(const char *key, const char *what, const char *unit, double value, const double *bound)
{
	bool ok = !bound || value <= *bound;
	json_t *o = json_pack("{s:s, s:s, s:s, s:f}", "key", key, "what", what, "unit", unit, "value",
			      value);

	if (bound) {
		(void)json_object_set_new(o, "bound", json_real(*bound));
		(void)json_object_set_new(o, "ok", json_boolean(ok));
		(void)printf("  %-4s %-64s %10.3f %-9s <= %g\n", ok ? "ok" : "MISS", what, value, unit,
			     *bound);
	} else {
		(void)printf("       %-64s %10.3f %s\n", what, value, unit);
	}
	(void)fflush(stdout);
	(void)json_array_append_new(results, o);
	missed += !ok;
}

void bench_result(const char *key, const char *what, const char *unit, double value, double bound)
{
	add(key, what, unit, value, &bound);
}

void bench_note(const char *key, const char *what, const char *unit, double value)
{
	add(key, what, unit, value, NULL);
}

void bench_skip(const char *key, const char *what, const char *why)
{
	(void)printf("  skip %-64s %s\n", what, why);
	(void)json_array_append_new(results, json_pack("{s:s, s:s, s:s}", "key", key, "what", what,
						       "skipped", why));
	skipped++;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t n, double p)
{
	if (n == 0)
		return 0;
	qsort(values, n, sizeof(*values), compare);
	return values[(size_t)((double)(n - 1) * p + 0.5)];
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", required_argument, NULL, 'j' },
						 { "build", required_argument, NULL, 'b' },
						 { NULL, 0, NULL, 0 } };
	const char *json = NULL, *build = "build";
	json_t *report;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j') {
			json = optarg;
		} else if (c == 'b') {
			build = optarg;
		} else {
			(void)fprintf(stderr, "usage: bench-control [--json FILE] [--build DIR]\n");
			return 2;
		}
	}
	results = json_array();
	bench_lease();
	bench_clients();
	bench_hook(build);
	report = json_pack("{s:i, s:i, s:i, s:o}", "schema", 1, "missed", (int)missed, "skipped",
			   (int)skipped, "results", results);
	if (json && json_dump_file(report, json, JSON_INDENT(2)) < 0) {
		(void)fprintf(stderr, "bench-control: cannot write %s\n", json);
		missed++;
	}
	json_decref(report);
	(void)printf("%u bound(s) missed, %u skipped\n", missed, skipped);
	return missed ? 1 : 0;
}
