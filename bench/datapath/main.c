// SPDX-License-Identifier: GPL-2.0-or-later
/* bench-datapath [--rounds N] [--seconds S] [--only RIVAL,…] [--json FILE]
 * Exit status 1 if a bound is missed or a measurement failed. */
#include "bench/datapath/datapath.h"
#include "bench/datapath/stats.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_SECONDS 0.2

static int usage(int status)
{
	(void)fprintf(status ? stderr : stdout,
		      "usage: bench-datapath [--rounds N] [--seconds S] [--only RIVAL,…] "
		      "[--json FILE] [--list]\n"
		      "  RIVAL also stands for all that begin with \"RIVAL-\"\n");
	return status;
}

static int fail(const struct sfh_error *err)
{
	(void)fprintf(stderr, "bench-datapath: %s\n", err->text);
	return 1;
}

/* Each round, and each turn in it, begins with another rival. */
static int one_round(struct dp_rival *const *rivals, size_t n, size_t round, double seconds,
		     struct sfh_error *err)
{
	for (size_t turn = 0; turn < DP_MACVTAP_TURNS; turn++)
		for (size_t i = 0; i < n; i++) {
			struct dp_rival *r = rivals[(round + turn + i) % n];

			if (turn && r->plan->sink != DP_SINK_MACVTAP)
				continue;
			if (dp_measure(r, seconds, true, err) < 0)
				return err->code;
		}
	return 0;
}

static bool br_netfilter_is_on(void)
{
	FILE *f = fopen("/proc/sys/net/bridge/bridge-nf-call-iptables", "re");
	int on = 0;

	if (!f)
		return false;
	if (fscanf(f, "%d", &on) != 1)
		on = 0;
	(void)fclose(f);
	return on != 0;
}

static const char *ovs_why(void)
{
	return access("/sys/module/openvswitch", F_OK) == 0 ?
		       "the kernel has the module, this bench has no rival for it yet" :
		       "this kernel has no openvswitch module";
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
						 { "seconds", required_argument, NULL, 's' },
						 { "only", required_argument, NULL, 'o' },
						 { "json", required_argument, NULL, 'j' },
						 { "list", no_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	const char *only = NULL, *json_path = NULL;
	FILE *out = NULL;
	struct dp_report rep = { .seconds = 1.0 };
	struct dp_cost costs[DP_COSTS];
	struct dp_rival **rivals;
	struct sfh_error err = {};
	unsigned int missed = 0;
	long rounds = 5;
	size_t n = 0;
	json_t *json;
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			rounds = strtol(optarg, NULL, 10);
			break;
		case 's':
			rep.seconds = strtod(optarg, NULL);
			break;
		case 'o':
			only = optarg;
			break;
		case 'j':
			json_path = optarg;
			break;
		case 'l':
			for (size_t i = 0; i < dp_plan_count; i++)
				(void)printf("%-16s %s\n", dp_plans[i].name, dp_plans[i].text);
			return 0;
		case 'h':
			return usage(0);
		default:
			return usage(2);
		}
	}
	if (optind != argc || rounds < 1 || rounds > DP_MAX_ROUNDS || !(rep.seconds > 0))
		return usage(2);
	/* Before dp_enter() hides directories. */
	if (json_path && !(out = fopen(json_path, "we"))) {
		(void)fprintf(stderr, "bench-datapath: cannot write %s\n", json_path);
		return 1;
	}
	rivals = calloc(dp_plan_count, sizeof(struct dp_rival *));
	if (!rivals)
		return 1;
	if (dp_enter(&err) < 0)
		return fail(&err);
	for (size_t i = 0; i < dp_plan_count; i++) {
		if (!dp_selected(only, dp_plans[i].name))
			continue;
		(void)fprintf(stderr, "setting up %s\n", dp_plans[i].name);
		if (dp_rival_new(&dp_plans[i], &rivals[n], &err) < 0)
			return fail(&err);
		n++;
	}
	if (n == 0) {
		(void)fprintf(stderr, "bench-datapath: no such rival: %s (see --list)\n", only);
		return 2;
	}
	rep.br_netfilter = br_netfilter_is_on();
	rep.ovs_why = ovs_why();
	for (size_t i = 0; i < n; i++)
		if (dp_measure(rivals[i], WARM_UP_SECONDS, false, &err) < 0)
			return fail(&err);
	for (size_t round = 0; round < (size_t)rounds; round++) {
		(void)fprintf(stderr, "round %zu of %ld\n", round + 1, rounds);
		if (one_round(rivals, n, round, rep.seconds, &err) < 0)
			return fail(&err);
	}
	for (size_t i = 0; i < n && rep.n_costs == 0; i++) {
		if (rivals[i]->plan->way != DP_OURS || rivals[i]->plan->sink != DP_SINK_VETH)
			continue;
		r = dp_costs(rivals[i], costs, &err);
		if (r < 0)
			return fail(&err);
		rep.costs = costs;
		rep.n_costs = (size_t)r;
	}
	rep.rivals = rivals;
	rep.n = n;
	json = dp_report(&rep, &missed);
	if (!json || (out && (json_dumpf(json, out, JSON_INDENT(2)) < 0 || fclose(out) != 0))) {
		(void)fprintf(stderr, "bench-datapath: cannot write %s\n",
			      json_path ? json_path : "the report");
		return 1;
	}
	json_decref(json);
	free(rivals);
	return missed ? 1 : 0;
}
