// SPDX-License-Identifier: GPL-2.0-or-later
/* A lease, its programming and its release, where 7 VFs exist and where 1016 do:
 * in turn, in the same run, and in both cases the last VF that is free. */
#include "bench/control/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "bench/control/host.h"

#define ROUNDS 3000

struct side {
	char dir[64];
	struct bench_host *host;
	struct sfh_ledger *ledger;
	struct sfh_engine engine;
	struct sfh_pair *last;
	double us[ROUNDS];
	struct bench_seen up, plain, wishing; /* messages of `up`, and of one lease */
};

static void settled(void *ctx, const char *uuid)
{
	(void)ctx;
	(void)uuid;
}

static void progress(void *ctx, const char *uuid, const char *text)
{
	(void)text;
	settled(ctx, uuid);
}

static void migrated(void *ctx, const char *uuid, int result, const char *error)
{
	(void)result;
	(void)error;
	settled(ctx, uuid);
}

static void switched(void *ctx, const struct sfh_switch *sw)
{
	(void)ctx;
	(void)sw;
}

static void log_line(void *ctx, int priority, const char *text)
{
	(void)ctx;
	if (priority > LOG_WARNING)
		return;
	(void)fprintf(stderr, "bench-control: %s\n", text);
}

static const struct sfh_engine_listener listener = { settled, progress, migrated, switched, log_line };

/* The guest that is plugged gets its proof at once. */
static int plug(void *ctx, const struct sfh_pair *p)
{
	(void)ctx;
	(void)p;
	return 0;
}

static int migrate(void *ctx, const char *uuid, const char *uri)
{
	(void)uri;
	(void)uuid;
	(void)ctx;
	return -ENOTSUP;
}

static const struct sfh_hypervisor_ops hv = {
	.plug = plug, .unplug = plug, .migrate = migrate };

static void die(const char *what, const struct sfh_error *err)
{
	(void)fprintf(stderr, "bench-control: %s: %s\n", what, err->text);
	exit(1);
}

static struct bench_seen since(const struct side *s, const struct bench_seen *before)
{
	const struct bench_seen *now = s->host->seen;

	return (struct bench_seen){ .dumps = now->dumps - before->dumps,
				    .gets = now->gets - before->gets,
				    .sets = now->sets - before->sets };
}

static void cycle(struct side *s)
{
	struct sfh_error err = { 0 };

	if (sfh_pool_lease(&s->engine, s->last, &err) < 0)
		die("no lease", &err);
	if (sfh_pool_unpark(&s->engine, s->last, &err) < 0)
		die("not unparked", &err);
	sfh_pool_release(&s->engine, s->last);
}

/* All VFs but the last are leased by guests. */
static void fill(struct side *s)
{
	unsigned n = s->host->npfs * s->host->nvfs;

	for (unsigned i = 0; i < n; i++) {
		struct sfh_guest_nic nic;
		struct sfh_guest_desc guest;
		struct sfh_pair *p;
		struct sfh_error err = { 0 };

		bench_guest(s->host, i, -1, &nic, &guest);
		sfh_engine_guest_running(&s->engine, &guest, false);
		p = sfh_engine_pair(&s->engine, guest.uuid, &nic.mac);
		if (i + 1 == n)
			s->last = p;
		else if (sfh_pool_lease(&s->engine, p, &err) < 0)
			die("the host cannot be filled", &err);
	}
}

static struct side *side_new(unsigned npfs, unsigned nvfs)
{
	struct side *s = calloc(1, sizeof(*s));
	struct sfh_engine_network net;
	struct sfh_error err = { 0 };
	struct bench_seen before;
	char path[96];

	if (!s || bench_host_new(npfs, nvfs, &s->host) < 0 || bench_dir_new(s->dir) < 0)
		die("out of memory", &err);
	(void)snprintf(path, sizeof(path), "%s/ledger.db", s->dir);
	if (sfh_ledger_open(path, true, &s->ledger, &err) < 0)
		die("no ledger", &err);
	sfh_engine_init(&s->engine, &bench_kernel_ops, s->host, &hv, NULL, &listener, NULL, s->ledger);
	net = bench_network(s->host);
	before = *s->host->seen;
	(void)sfh_engine_network_add(&s->engine, &net);
	if (sfh_pool_refresh(&s->engine, BENCH_NETWORK, &err) < 0)
		die("the VFs cannot be read", &err);
	s->up = since(s, &before);
	fill(s);
	before = *s->host->seen;
	cycle(s);
	s->plain = since(s, &before);
	s->last->wish = (struct sfh_vf_wish){
		.cfg = { .vlan = 42, .qos = 3, .proto = 0x88a8, .trust = true, .max_tx = 1000 },
		.what = SFH_VF_VLAN_PARTS | SFH_VF_EXTRAS,
		.optional = SFH_VF_LINK_STATE | SFH_VF_RATE,
	};
	before = *s->host->seen;
	cycle(s);
	s->wishing = since(s, &before);
	s->last->wish.what = 0;
	return s;
}

static void side_free(struct side *s)
{
	sfh_engine_done(&s->engine);
	sfh_ledger_close(&s->ledger);
	bench_dir_free(s->dir);
	bench_host_free(&s->host);
	free(s);
}

static double timed(struct side *s)
{
	uint64_t begin = sfh_now_ns();

	cycle(s);
	return (double)(sfh_now_ns() - begin) / 1e3;
}

static double messages(const struct bench_seen *m)
{
	return (double)(m->dumps + m->gets + m->sets);
}

void bench_lease(void)
{
	struct side *small = side_new(1, 7), *large = side_new(BENCH_PFS, BENCH_VFS);
	double a, b;

	for (int i = 0; i < ROUNDS; i++) {
		/* each is first in every other round */
		if (i % 2)
			small->us[i] = timed(small);
		large->us[i] = timed(large);
		if (!(i % 2))
			small->us[i] = timed(small);
	}
	a = bench_percentile(small->us, ROUNDS, 0.5);
	b = bench_percentile(large->us, ROUNDS, 0.5);
	bench_note("lease_us_7", "lease + program + release, 7 VFs (median)", "us", a);
	bench_note("lease_us_1016", "lease + program + release, 1016 VFs (median)", "us", b);
	bench_note("lease_us_1016_p99", "the same, 99th percentile", "us",
		   bench_percentile(large->us, ROUNDS, 0.99));
	bench_result("lease_ratio", "1016 VFs over 7", "x", b / a, 1.2);
	bench_result("messages_up_dumps", "netlink dumps of `up` per PF, 8 PFs with 127 VFs", "",
		     (double)large->up.dumps / BENCH_PFS, 1);
	bench_result("messages_up_sets", "netlink sets of `up` per VF", "",
		     (double)large->up.sets / (BENCH_PFS * BENCH_VFS), 1);
	bench_note("messages_lease", "netlink messages of lease to release, MAC only", "",
		   messages(&large->plain));
	bench_result("messages_lease_more", "more of them at 1016 VFs than at 7", "",
		     messages(&large->plain) - messages(&small->plain), 0);
	bench_note("messages_lease_all", "the same with every setting asked for", "",
		   messages(&large->wishing));
	bench_result("messages_lease_all_more", "more of them at 1016 VFs than at 7", "",
		     messages(&large->wishing) - messages(&small->wishing), 0);
	side_free(small);
	side_free(large);
}
