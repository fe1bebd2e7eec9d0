/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench-datapath's parts: rivals (rival.c), one measurement (measure.c), what the
 * programs cost by themselves (cost.c), figures and bounds (report.c). */
#ifndef SFH_BENCH_DATAPATH_H
#define SFH_BENCH_DATAPATH_H

#include "bench/datapath/frames.h"
#include "ctl/core/steer.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define DP_GENERATOR_CPU 0
#define DP_READER_CPU	 1
#define DP_MAX_ROUNDS	 100
/* A macvtap's figures lie closer to each other, and their samples further apart, than any
 * others: so many in each round. */
#define DP_MACVTAP_TURNS 5
#define DP_MAX_SAMPLES	 (DP_MAX_ROUNDS * DP_MACVTAP_TURNS)

enum dp_sink { DP_SINK_PF, DP_SINK_VETH, DP_SINK_TAP, DP_SINK_MACVTAP };
/* DP_HOOKS: macvtap with programs at our hooks that do nothing. With `filters` these, and
 * DP_OURS, are filters on a clsact, as on a kernel without tcx. */
enum dp_way { DP_DROP, DP_BRIDGE, DP_MACVTAP, DP_HOOKS, DP_CEILING, DP_OURS };

struct dp_plan {
	const char *name;
	const char *text; /* for a person */
	enum dp_sink sink;
	enum dp_way way;
	uint32_t pairs;	  /* destinations, and steering entries for ours */
	uint32_t devices; /* that they share */
	bool metered;	  /* as in the half minute after arming */
	bool filters;
};
extern const struct dp_plan dp_plans[];
extern const size_t dp_plan_count;

struct dp_sample {
	double seconds;
	uint64_t sent, delivered;
	double cpu_ns; /* of all threads that worked on it, waiting for the reader excluded */
};

struct datapath; /* skeleton */

struct dp_rival {
	const struct dp_plan *plan;
	int netns;
	struct datapath *bpf;
	struct sfh_steer *steer;
	enum sfh_xdp xdp; /* how ours is attached */
	char bpffs[64];
	uint32_t pf, wire;
	int reader_fd;
	pthread_t reader;
	bool has_reader;
	uint8_t frame[DP_FRAME_LEN];
	struct dp_sample samples[DP_MAX_SAMPLES];
	size_t n_samples;
};

/* New mount and network namespaces, which take everything with them when the
 * process ends, however it ends. */
int dp_enter(struct sfh_error *err);

/* Builds devices and programs in a network namespace of the rival's own. */
int dp_rival_new(const struct dp_plan *plan, struct dp_rival **ret, struct sfh_error *err);
int dp_rival_enter(const struct dp_rival *r, struct sfh_error *err);

/* Runs the generator for that long and appends a sample. */
int dp_measure(struct dp_rival *r, double seconds, bool keep, struct sfh_error *err);

/* ns a run, measured with BPF_PROG_TEST_RUN. */
struct dp_cost {
	const char *name;
	const char *text;
	const char *hook; /* "xdp", "tc" */
	double empty_ns, ns;
};
#define DP_COSTS 6
/* `r` must be one of ours with a veth sink. Returns how many. */
int dp_costs(struct dp_rival *r, struct dp_cost costs[DP_COSTS], struct sfh_error *err);

struct dp_report {
	struct dp_rival *const *rivals;
	size_t n;
	const struct dp_cost *costs;
	size_t n_costs;
	double seconds;
	const char *ovs_why; /* why Open vSwitch is not among the rivals */
	bool br_netfilter;
};
/* Prints the table; *missed: how many bounds were. NULL for lack of memory. */
json_t *dp_report(const struct dp_report *rep, unsigned int *missed);

#endif
