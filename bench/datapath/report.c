// SPDX-License-Identifier: GPL-2.0-or-later
/* The table, the bounds, the JSON. */
#include "bench/datapath/datapath.h"
#include "bench/datapath/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum figure { RATE, CPU };

static const struct {
	const char *key, *text;
	const char *of, *over; /* rivals */
	enum figure figure;
	double bound;
	bool at_least;
} bounds[] = {
	{ "bridge", "against the Linux bridge, frames a second", "ours-1", "bridge", RATE, 2.5, true },
	{ "ceiling", "against XDP redirect without lookup, frames a second", "ours-1", "ceiling", RATE,
	  0.9, true },
	{ "many", "10,000 pairs against 1, frames a second", "ours-10000", "ours-1", RATE, 0.85, true },
	{ "macvtap_rate", "macvtap with our policy against bare, frames a second", "macvtap-ours",
	  "macvtap-bare", RATE, 0.95, true },
	{ "macvtap_cpu", "macvtap with our policy against bare, CPU a frame", "macvtap-ours",
	  "macvtap-bare", CPU, 1.1, false },
};

static const char *const sink_names[] = {
	[DP_SINK_PF] = "none", [DP_SINK_VETH] = "veth", [DP_SINK_TAP] = "tap",
	[DP_SINK_MACVTAP] = "macvtap"
};

static size_t figures(const struct dp_rival *r, enum figure what, double out[DP_MAX_SAMPLES])
{
	for (size_t i = 0; i < r->n_samples; i++) {
		const struct dp_sample *s = &r->samples[i];

		out[i] = what == RATE ? (double)s->delivered / s->seconds :
			 s->delivered ? s->cpu_ns / (double)s->delivered :
					0;
	}
	return r->n_samples;
}

static struct dp_spread spread_of(const struct dp_rival *r, enum figure what)
{
	double v[DP_MAX_SAMPLES];

	return dp_spread(v, figures(r, what, v));
}

static const struct dp_rival *find(const struct dp_report *rep, const char *name)
{
	for (size_t i = 0; i < rep->n; i++)
		if (strcmp(rep->rivals[i]->plan->name, name) == 0)
			return rep->rivals[i];
	return NULL;
}

static json_t *spread_json(struct dp_spread s)
{
	return json_pack("{s:f, s:f, s:f}", "median", s.median, "min", s.min, "max", s.max);
}

/* What a person has today in its place: the bridge or bare macvtap to the same sink. */
static const struct dp_rival *base_of(const struct dp_report *rep, const struct dp_rival *r)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct dp_plan *p = rep->rivals[i]->plan;

		if ((p->way == DP_BRIDGE || p->way == DP_MACVTAP) && p->sink == r->plan->sink &&
		    p->devices == r->plan->devices)
			return rep->rivals[i] == r ? NULL : rep->rivals[i];
	}
	return NULL;
}

static struct dp_spread ratio_of(const struct dp_rival *of, const struct dp_rival *over,
				 enum figure what)
{
	double a[DP_MAX_SAMPLES], b[DP_MAX_SAMPLES];

	(void)figures(over, what, b);
	return dp_ratio(a, b, figures(of, what, a));
}

static json_t *rival_json(const struct dp_report *rep, const struct dp_rival *r)
{
	struct dp_spread rate = spread_of(r, RATE), cpu = spread_of(r, CPU);
	const struct dp_rival *base = base_of(rep, r);
	json_t *samples = json_array(), *against = NULL;
	uint64_t sent = 0, got = 0;

	for (size_t i = 0; i < r->n_samples; i++) {
		const struct dp_sample *s = &r->samples[i];

		sent += s->sent;
		got += s->delivered;
		(void)json_array_append_new(
			samples, json_pack("{s:f, s:I, s:I, s:f}", "seconds", s->seconds, "sent",
					   (json_int_t)s->sent, "delivered",
					   (json_int_t)s->delivered, "cpu_ns", s->cpu_ns));
	}
	(void)printf("  %-8s %-38s %6.3f [%5.3f-%5.3f] %8.0f  %7.4f %%", sink_names[r->plan->sink],
		     r->plan->text, rate.median / 1e6, rate.min / 1e6, rate.max / 1e6, cpu.median,
		     sent ? 100.0 * (double)(sent - got) / (double)sent : 0);
	if (base) {
		struct dp_spread ratio = ratio_of(r, base, RATE), cost = ratio_of(r, base, CPU);

		(void)printf("   %5.2fx %s", ratio.median, base->plan->text);
		if (r->has_reader) /* it is what limits the frames */
			(void)printf(", %.3fx its CPU", cost.median);
		against = json_pack("{s:s, s:o, s:o}", "rival", base->plan->name,
				    "frames_per_second", spread_json(ratio), "cpu_ns_per_frame",
				    spread_json(cost));
	}
	(void)printf("\n");
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:I, s:I, s:o*, s:o}", "name",
			 r->plan->name, "text", r->plan->text, "sink", sink_names[r->plan->sink],
			 "pairs", (int)r->plan->pairs, "devices", (int)r->plan->devices,
			 "frames_per_second", spread_json(rate), "cpu_ns_per_frame",
			 spread_json(cpu), "sent", (json_int_t)sent, "lost",
			 (json_int_t)(sent - got), "against", against, "samples", samples);
}

static json_t *ratios_json(const struct dp_report *rep, unsigned int *missed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bounds); i++) {
		const struct dp_rival *of = find(rep, bounds[i].of), *over = find(rep, bounds[i].over);
		struct dp_spread s;
		bool ok;

		if (!of || !over)
			continue;
		s = ratio_of(of, over, bounds[i].figure);
		ok = dp_within(s.median, bounds[i].bound, bounds[i].at_least);
		*missed += !ok;
		(void)printf("  %-4s %-56s %6.3f [%5.3f-%5.3f]  %s %g\n", ok ? "ok" : "MISS",
			     bounds[i].text, s.median, s.min, s.max,
			     bounds[i].at_least ? ">=" : "<=", bounds[i].bound);
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:f, s:b}", "key",
					bounds[i].key, "text", bounds[i].text, "of", bounds[i].of,
					"over", bounds[i].over, "figure",
					bounds[i].figure == RATE ? "frames_per_second" :
								   "cpu_ns_per_frame",
					"ratio", spread_json(s), "must_be",
					bounds[i].at_least ? "at-least" : "at-most", "bound",
					bounds[i].bound, "ok", (int)ok));
	}
	return list;
}

static json_t *costs_json(const struct dp_report *rep)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rep->n_costs; i++) {
		const struct dp_cost *c = &rep->costs[i];

		(void)printf("  %-44s %6.0f ns (an empty %s program: %.0f ns)\n", c->text, c->ns,
			     c->hook, c->empty_ns);
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:f}", "name",
							    c->name, "text", c->text, "hook",
							    c->hook, "ns", c->ns, "empty_ns",
							    c->empty_ns));
	}
	return list;
}

/* How ours is attached; the ceiling always is by itself. */
static const char *attached(const struct dp_report *rep)
{
	for (size_t i = 0; i < rep->n; i++)
		if (rep->rivals[i]->plan->way == DP_OURS)
			return sfh_xdp_name(rep->rivals[i]->xdp);
	return "none of ours was run";
}

json_t *dp_report(const struct dp_report *rep, unsigned int *missed)
{
	json_t *rivals = json_array(), *ratios, *costs;
	struct utsname un = {};

	(void)uname(&un);
	(void)printf("\n  %-8s %-38s %6s %13s %8s %10s   %s\n", "SINK", "RIVAL", "Mpps", "[spread]",
		     "CPU ns", "LOST", "FRAMES");
	for (size_t i = 0; i < rep->n; i++)
		(void)json_array_append_new(rivals, rival_json(rep, rep->rivals[i]));
	for (size_t i = 0; i < rep->n; i++)
		for (size_t k = 0; k < rep->rivals[i]->n_samples; k++)
			if (!rep->rivals[i]->samples[k].delivered) {
				(void)printf("  MISS %s delivered nothing in round %zu\n",
					     rep->rivals[i]->plan->name, k + 1);
				++*missed;
			}
	(void)printf("  Open vSwitch: not available: %s\n", rep->ovs_why);
	(void)printf("  XDP attached: ours: %s, the ceiling: link\n", attached(rep));
	(void)printf("  bridge-nf-call-iptables is %s for the bridges\n\n",
		     rep->br_netfilter ? "on" : "off");
	ratios = ratios_json(rep, missed);
	costs = costs_json(rep);
	if (*missed)
		(void)printf("%u bound(s) missed\n", *missed);
	return json_pack("{s:i, s:s, s:b, s:s, s:{s:b, s:s}, s:f, s:i, s:o, s:o, s:o, s:n}", "schema", 1,
			 "kernel", un.release, "br_netfilter", (int)rep->br_netfilter, "xdp",
			 attached(rep),
			 "open_vswitch", "available", 0, "why", rep->ovs_why, "seconds",
			 rep->seconds, "missed", (int)*missed, "rivals", rivals, "ratios", ratios,
			 "program_runs", costs, "first_frame_after_idle");
}
