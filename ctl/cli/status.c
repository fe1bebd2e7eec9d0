// SPDX-License-Identifier: GPL-2.0-or-later
/* status: reads the ledger, sysfs and the pinned maps; needs no agent. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/cli/cli.h"
#include "ctl/core/ledger.h"
#include "ctl/core/meter.h"
#include "ctl/core/steer.h"
#include "ctl/core/sysfs.h"
#include "ctl/core/vfwish.h"
#include "sfhybrid/cold.h"
#include "sfhybrid/reasons.h"

struct gather {
	const struct sfh_cli *cli;
	struct sfh_ledger *ledger;
	struct sfh_steer *steer;
	const char *network; /* NULL: all */
	json_t *networks, *pairs;
	json_t *filter; /* "PF MAC" -> how that address is in the PF's filter */
	json_t *addresses; /* while one pair is looked at */
	/* while one PF is looked at */
	const char *pf;
	json_t *vfs;
};

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int num(const json_t *o, const char *key)
{
	return (int)json_integer_value(json_object_get(o, key));
}

static bool wanted(const struct gather *g, const char *network)
{
	return !g->network || strcmp(g->network, network) == 0;
}

/* What the agent's pool made of a VF that nobody has; without a row of it, what
 * the driver says is all there is. */
static int mark_slot(void *ctx, const struct sfh_ledger_slot *slot)
{
	struct gather *g = ctx;
	json_t *vf = strcmp(slot->pf, g->pf) == 0 ? json_array_get(g->vfs, slot->vf) : NULL;
	char bdf[SFH_BDF_STRLEN];

	if (!vf || strcmp(str(vf, "bdf"), sfh_bdf_format(&slot->bdf, bdf)) != 0)
		return 0;
	if (strcmp(slot->class, "excluded") == 0) {
		(void)json_object_set_new(vf, "state", json_string("excluded"));
		(void)json_object_set_new(vf, "reason", json_string(slot->why));
	} else if (strcmp(str(vf, "state"), "excluded") != 0) {
		(void)json_object_set_new(vf, "state", json_string(slot->class));
	}
	return 0;
}

static json_t *names_of(unsigned what)
{
	json_t *names = json_array();

	for (unsigned bit = 1; bit <= SFH_VF_RATE; bit <<= 1)
		if (what & bit)
			(void)json_array_append_new(names,
						    json_string(sfh_vf_setting_name(bit)));
	return names;
}

static int mark_lease(void *ctx, const struct sfh_lease *lease)
{
	struct gather *g = ctx;
	json_t *vf = strcmp(lease->pf, g->pf) == 0 ? json_array_get(g->vfs, lease->vf) : NULL;
	char mac[SFH_MAC_STRLEN];

	if (vf) {
		bool landing = strcmp(str(vf, "state"), "landing") == 0;

		(void)json_object_del(vf, "reason");
		(void)json_object_set_new(vf, "landing", json_boolean(landing));
		(void)json_object_set_new(vf, "state",
					  json_string(lease->reserved ? "reserved" : "leased"));
		(void)json_object_set_new(vf, "domain", json_string(lease->domain));
		(void)json_object_set_new(vf, "mac",
					  json_string(sfh_mac_format(&lease->mac, mac)));
		(void)json_object_set_new(vf, "vlan", json_integer(lease->vlan));
		(void)json_object_set_new(vf, "refused", names_of(lease->refused));
	}
	return 0;
}

static int count_state(const json_t *vfs, const char *state)
{
	size_t i;
	json_t *vf;
	int n = 0;

	json_array_foreach((json_t *)vfs, i, vf)
		n += strcmp(json_string_value(json_object_get(vf, "state")), state) == 0;
	return n;
}

static int add_pf(void *ctx, const struct sfh_ledger_pf *row)
{
	struct gather *g = ctx;
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = NULL;
	struct sfh_error err = { 0 };
	int how = (int)strcspn(row->xdp, ":"); /* "link: why not the dispatcher" */
	const char *why = row->xdp[how] ? row->xdp + how + 2 : "";
	char bdf[SFH_BDF_STRLEN];
	size_t i;
	json_t *n, *o;

	if (!wanted(g, row->network))
		return 0;
	o = json_pack("{s:s, s:s, s:s, s:s%, s:s}", "dev", row->dev, "driver", row->driver, "bdf",
		      sfh_bdf_format(&row->bdf, bdf), "xdp", row->xdp, (size_t)how, "xdp_why",
		      why);
	g->vfs = json_array();
	if (sfh_pf_read(&g->cli->env, row->dev, &pf, &err) < 0)
		(void)json_object_set_new(o, "problem", json_string(err.text));
	for (unsigned v = 0; pf && v < pf->num_vfs; v++) {
		const char *driver = pf->vfs[v].driver;
		bool ours = strcmp(driver, "vfio-pci") == 0;
		json_t *vf = json_pack("{s:i, s:s, s:s, s:s}", "vf", (int)v, "bdf",
				       sfh_bdf_format(&pf->vfs[v].bdf, bdf), "driver", driver,
				       "state", ours ? "free" : "excluded");

		if (!ours)
			(void)json_object_set_new(vf, "reason",
						  json_sprintf("bound to %s",
							       driver[0] ? driver : "no driver"));
		(void)json_array_append_new(g->vfs, vf);
	}
	g->pf = row->dev;
	(void)sfh_ledger_slots(g->ledger, mark_slot, g);
	(void)sfh_ledger_leases(g->ledger, mark_lease, g);
	(void)json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(g->vfs)));
	(void)json_object_set_new(o, "free", json_integer(count_state(g->vfs, "free")));
	(void)json_object_set_new(o, "leased", json_integer(count_state(g->vfs, "leased")));
	(void)json_object_set_new(o, "reserved", json_integer(count_state(g->vfs, "reserved")));
	(void)json_object_set_new(o, "landing", json_integer(count_state(g->vfs, "landing")));
	(void)json_object_set_new(o, "excluded", json_integer(count_state(g->vfs, "excluded")));
	(void)json_object_set_new(o, "vfs", g->vfs);
	json_array_foreach(g->networks, i, n)
		if (strcmp(json_string_value(json_object_get(n, "name")), row->network) == 0)
			(void)json_array_append(json_object_get(n, "pfs"), o);
	json_decref(o);
	return 0;
}

static const char *state_of(const struct sfh_ledger_network *row)
{
	if (row->trouble[0])
		return "failed";
	return row->phase == SFH_NETWORK_UP ? "up" : "incomplete";
}

static int add_network(void *ctx, const struct sfh_ledger_network *row)
{
	struct gather *g = ctx;

	json_t *o;

	if (!wanted(g, row->name))
		return 0;
	o = json_pack("{s:s, s:s, s:s, s:s, s:[]}", "name", row->name, "state", state_of(row),
		      "mode", row->mode, "policy", row->policy, "pfs");
	if (row->trouble[0])
		(void)json_object_set_new(o, "problem", json_string(row->trouble));
	(void)json_array_append_new(g->networks, o);
	return 0;
}

static int add_filter(void *ctx, const struct sfh_ledger_fdb *row)
{
	struct gather *g = ctx;
	char mac[SFH_MAC_STRLEN], key[sizeof(row->pf) + SFH_MAC_STRLEN];

	(void)snprintf(key, sizeof(key), "%s %s", row->pf, sfh_mac_format(&row->mac, mac));
	(void)json_object_set_new(g->filter, key,
				  json_pack("{s:s, s:s}", "filter", row->state, "filter_why",
					    row->why));
	return 0;
}

/* A pair's further addresses, each with how it is in the filter. */
static int add_address(void *ctx, const struct sfh_ledger_rx *row)
{
	struct gather *g = ctx;
	char mac[SFH_MAC_STRLEN], key[sizeof(row->pf) + SFH_MAC_STRLEN];
	json_t *o = json_pack("{s:s}", "mac", sfh_mac_format(&row->mac, mac));

	(void)snprintf(key, sizeof(key), "%s %s", row->pf, mac);
	(void)json_object_update(o, json_object_get(g->filter, key));
	return json_array_append_new(g->addresses, o);
}

/* A verdict that nobody has renewed for so many intervals says nothing any more: the
 * agent is not running, or too busy. */
#define STALE_INTERVALS 3

static const char *warm_state(const struct sfh_warm_view *w, uint64_t now)
{
	if (w->state == SFH_WARM_UNKNOWN)
		return "unknown";
	if (now - w->told_ns > STALE_INTERVALS * (uint64_t)w->interval_ms * 1000000)
		return "stale";
	return w->state == SFH_WARM_WARM ? "warm" : "cold";
}

static void add_warm(struct gather *g, const struct sfh_guest_key *key, json_t *pair)
{
	struct sfh_warm_view w = { .state = SFH_WARM_UNKNOWN };
	uint64_t now = sfh_now_ns();
	json_t *o;

	(void)sfh_steer_warm_get(g->steer, key, &w); /* not there: never probed */
	o = json_pack("{s:s, s:s, s:i}", "state", warm_state(&w, now), "reason",
		      sfh_cold_name(w.cold), "interval_ms", (int)w.interval_ms);
	if (w.proven_ns) {
		(void)json_object_set_new(o, "age_ms",
					  json_integer((json_int_t)((now - w.proven_ns) / 1000000)));
		(void)json_object_set_new(o, "latency_us", json_real(w.latency_ns / 1000.0));
		(void)json_object_set_new(o, "ring_within_ms", json_real(w.ring_us / 1000.0));
	}
	(void)json_object_set_new(pair, "warm", o);
}

static void add_datapath(struct gather *g, const struct sfh_ledger_pair *row, json_t *pair)
{
	struct sfh_guest_key key = { .pf_ifindex = (__u32)row->pf_ifindex, .vlan = row->vlan };
	struct sfh_pair_view v;
	uint64_t window;
	json_t *meter;

	memcpy(key.mac, row->mac.b, 6);
	if (!g->steer)
		return;
	add_warm(g, &key, pair); /* also without its entry: that is why it is cold, then */
	if (sfh_steer_get(g->steer, &key, &v) < 0)
		return;
	(void)json_object_set_new(pair, "armed", json_boolean(v.armed));
	(void)json_object_set_new(pair, "counters", sfh_counters_json(&v.counters));
	window = v.meter_until_ns - SFH_METER_WINDOW_NS;
	meter = v.meter_until_ns ? sfh_meter_json(&v.meter, window) : NULL;
	if (!meter)
		return;
	(void)json_object_set_new(meter, "began_ms_ago",
				  json_real((double)(sfh_now_ns() - window) / 1e6));
	(void)json_object_set_new(pair, "meter", meter);
}

static int add_pair(void *ctx, const struct sfh_ledger_pair *row)
{
	struct gather *g = ctx;
	bool on_vf = strcmp(row->state, "vf") == 0;
	char mac[SFH_MAC_STRLEN], key[sizeof(row->pf) + SFH_MAC_STRLEN];
	json_t *o, *filter;

	if (!wanted(g, row->network))
		return 0;
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "domain",
		      row->domain_name, "uuid", row->domain, "mac", sfh_mac_format(&row->mac, mac),
		      "network", row->network, "pf", row->pf, "standby", row->standby, "state",
		      row->state, "leg", on_vf ? "vf" : "standby", "reason", row->reason, "vf",
		      row->vf_bdf, "adopted", row->adopted, "profile", row->profile);
	(void)snprintf(key, sizeof(key), "%s %s", row->pf, mac);
	filter = json_object_get(g->filter, key);
	if (filter)
		(void)json_object_update(o, filter);
	g->addresses = json_array();
	(void)sfh_ledger_rxs_of(g->ledger, row->domain, &row->mac, add_address, g);
	if (json_array_size(g->addresses))
		(void)json_object_set(o, "addresses", g->addresses);
	json_decref(g->addresses);
	add_datapath(g, row, o);
	(void)json_array_append_new(g->pairs, o);
	return 0;
}

/* "2 bound to igbvf, 1 excluded by address": why VFs of a PF are left out. */
static void print_excluded(const json_t *pf)
{
	json_t *counts = json_object(), *vf, *count;
	const char *why;
	size_t i;

	json_array_foreach(json_object_get(pf, "vfs"), i, vf)
		if (strcmp(str(vf, "state"), "excluded") == 0)
			(void)json_object_set_new(counts, str(vf, "reason"),
						  json_integer(num(counts, str(vf, "reason")) + 1));
	if (json_object_size(counts))
		(void)printf("%-20s %s:", "", str(pf, "dev"));
	i = 0;
	json_object_foreach(counts, why, count)
		(void)printf("%s %d %s", i++ ? "," : "", (int)json_integer_value(count), why);
	if (json_object_size(counts))
		(void)printf("\n");
	json_decref(counts);
}

/* Settings that a driver did not take, of VFs that are in use without them. */
static void print_refused(const json_t *pf)
{
	json_t *vf, *name;
	size_t i, k;

	json_array_foreach(json_object_get(pf, "vfs"), i, vf)
		json_array_foreach(json_object_get(vf, "refused"), k, name)
			(void)printf("%-20s %s: VF %d goes without '%s': the driver refused it\n",
				     "", str(pf, "dev"), num(vf, "vf"), json_string_value(name));
}

/* "warm 0.4 s", "cold: ring-stuck", "unknown": whether the standby leg would carry
 * frames now, and how old that knowledge is. */
static const char *warm_text(const json_t *pair, char buf[48])
{
	const json_t *w = json_object_get(pair, "warm");
	const char *state = str(w, "state");

	if (strcmp(state, "warm") == 0)
		(void)snprintf(buf, 48, "warm %.1f s", num(w, "age_ms") / 1000.0);
	else if (strcmp(state, "cold") == 0)
		(void)snprintf(buf, 48, "cold: %s", str(w, "reason"));
	else
		(void)snprintf(buf, 48, "%s", w ? state : "-");
	return buf;
}

static double real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* What was dropped of a pair's frames and, for a while after a switch to it, how its
 * standby leg was used. */
static void print_datapath(const json_t *pair)
{
	static const struct {
		const char *counter, *name;
	} drops[] = { { "reflected_drops", "reflected" },
		      { "parked_drops", "parked" },
		      { "spoofed_drops", "spoofed-source" },
		      { "vlan_drops", "vlan" } };
	const json_t *counters = json_object_get(pair, "counters");
	const json_t *meter = json_object_get(pair, "meter");
	const json_t *to = json_object_get(meter, "to_guest");
	const json_t *from = json_object_get(meter, "from_guest");
	unsigned shown = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(drops); i++) {
		json_int_t n = json_integer_value(json_object_get(counters, drops[i].counter));

		if (!n)
			continue;
		if (!shown)
			(void)printf("%-20s %s dropped:", "", str(pair, "mac"));
		(void)printf("%s %" JSON_INTEGER_FORMAT " %s", shown++ ? "," : "", n, drops[i].name);
	}
	if (shown)
		(void)printf("\n");
	if (meter && real(meter, "began_ms_ago") < (double)SFH_METER_WINDOW_NS / 1e6)
		(void)printf("%-20s %s standby leg armed %.1f s ago; to the guest %d frames, longest gap "
			     "%.1f ms; from it %d, %.1f ms\n",
			     "", str(pair, "mac"), real(meter, "began_ms_ago") / 1e3,
			     num(to, "frames"), real(to, "longest_gap_ms"), num(from, "frames"),
			     real(from, "longest_gap_ms"));
}

/* On its VF alone: the standby leg is the PF's own port. */
static void print_profile(const json_t *pair)
{
	const char *profile = str(pair, "profile");

	if (*profile)
		(void)printf("%-20s %s port profile '%s' %s\n", "", str(pair, "mac"), profile,
			     strcmp(str(pair, "leg"), "vf") == 0 ? "on its VF" :
								     "not in force on the standby leg");
}

/* "52:54:… further addresses in the filter of pf0: 3; refused: 1 (the NIC has no room …)" */
static void print_addresses(const json_t *pair)
{
	const json_t *all = json_object_get(pair, "addresses");
	const char *why = "";
	int refused = 0;
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)all, i, o)
		if (strcmp(str(o, "filter"), SFH_FDB_REFUSED) == 0) {
			refused++;
			why = str(o, "filter_why");
		}
	if (!json_array_size(all))
		return;
	(void)printf("%-20s %s further addresses in the filter of %s: %d", "", str(pair, "mac"),
		     str(pair, "pf"), (int)json_array_size(all) - refused);
	if (refused)
		(void)printf("; refused: %d (%s)", refused, why);
	(void)printf("\n");
}

static void print_table(const json_t *networks, const json_t *pairs, bool agent)
{
	size_t i, k;
	json_t *n, *pf, *p;

	if (!agent)
		(void)printf("The agent is not running: this is how it left things.\n\n");
	(void)printf("%-20s %-10s %-16s %-10s %5s %5s %7s %6s %8s %8s  %s\n", "NETWORK", "STATE",
		     "STANDBY", "PF", "VFS", "FREE", "LANDING", "LEASED", "RESERVED", "EXCLUDED",
		     "XDP");
	json_array_foreach((json_t *)networks, i, n)
		json_array_foreach(json_object_get(n, "pfs"), k, pf)
			(void)printf("%-20s %-10s %-16s %-10s %5d %5d %7d %6d %8d %8d  %s%s%s\n",
				     str(n, "name"), str(n, "state"), str(n, "mode"),
				     str(pf, "dev"), num(pf, "total"), num(pf, "free"),
				     num(pf, "landing"), num(pf, "leased"), num(pf, "reserved"),
				     num(pf, "excluded"),
				     str(pf, "xdp"), str(pf, "problem")[0] ? "; " : "",
				     str(pf, "problem"));
	json_array_foreach((json_t *)networks, i, n)
		if (str(n, "problem")[0])
			(void)printf("%-20s %-10s %s; 'sfhybrid-ctl fsck --repair' tries again\n",
				     str(n, "name"), str(n, "state"), str(n, "problem"));
	json_array_foreach((json_t *)networks, i, n)
		json_array_foreach(json_object_get(n, "pfs"), k, pf) {
			print_excluded(pf);
			print_refused(pf);
		}
	json_array_foreach((json_t *)networks, i, n)
		json_array_foreach(json_object_get(n, "pfs"), k, pf)
			if (str(pf, "xdp_why")[0])
				(void)printf("%s: %s\n", str(pf, "dev"), str(pf, "xdp_why"));
	(void)printf("\n%-20s %-17s %-16s %-10s %-8s %-13s %-12s %-24s %s\n", "DOMAIN", "MAC",
		     "NETWORK", "STATE", "LEG", "VF", "STANDBY", "WARM", "WHY NOT ACCELERATED");
	json_array_foreach((json_t *)pairs, i, p) {
		const char *why = str(p, "reason");
		char warm[48];

		(void)printf("%-20s %-17s %-16s %-10s %-8s %-13s %-12s %-24s %s\n", str(p, "domain"),
			     str(p, "mac"), str(p, "network"), str(p, "state"), str(p, "leg"),
			     str(p, "vf")[0] ? str(p, "vf") : "-", str(p, "standby"), warm_text(p, warm),
			     strcmp(why, "none") == 0 ? "-" : why);
		print_profile(p);
		print_addresses(p);
		print_datapath(p);
	}
	json_array_foreach((json_t *)pairs, i, p)
		if (strcmp(str(p, "filter"), SFH_FDB_REFUSED) == 0)
			(void)printf("%s: not in the filter of %s, guests on its VFs may not reach "
				     "it: %s\n",
				     str(p, "mac"), str(p, "pf"), str(p, "filter_why"));
	(void)fflush(stdout);
}

static int once(struct sfh_cli *cli)
{
	struct gather g = { .cli = cli, .network = cli->nargs ? cli->args[0] : NULL };
	struct sfh_steer_config cfg = { .bpffs = cli->env.bpffs, .read_only = true };
	struct sfh_error err = { 0 };
	bool agent = sfh_cli_agent_alive(cli);
	json_t *drops = NULL;
	char path[256];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, cli->env.run_dir);
	r = sfh_ledger_open(path, false, &g.ledger, &err);
	if (r < 0 && r != -ENOENT)
		return sfh_cli_fail(cli, "%s", err.text);
	g.networks = json_array();
	g.pairs = json_array();
	g.filter = json_object();
	if (r == 0) {
		(void)sfh_steer_open(&cfg, &g.steer, NULL); /* none: no counters */
		drops = g.steer ? sfh_drops_json(g.steer) : json_object();
		(void)sfh_ledger_networks(g.ledger, add_network, &g);
		(void)sfh_ledger_pfs(g.ledger, add_pf, &g);
		(void)sfh_ledger_fdbs(g.ledger, add_filter, &g);
		(void)sfh_ledger_pairs(g.ledger, add_pair, &g);
	}
	json_decref(g.filter);
	sfh_steer_close(&g.steer);
	sfh_ledger_close(&g.ledger);
	if (g.network && json_array_size(g.networks) == 0) {
		json_decref(g.networks);
		json_decref(g.pairs);
		json_decref(drops);
		return sfh_cli_fail(cli, "no hybrid network '%s' is up; 'sfhybrid-ctl list' shows what is",
				    g.network);
	}
	if (cli->json)
		return sfh_cli_print_json(json_pack("{s:b, s:o, s:o, s:o}", "agent", agent,
						    "networks", g.networks, "pairs", g.pairs, "drops",
						    drops ? drops : json_object()));
	print_table(g.networks, g.pairs, agent);
	json_decref(g.networks);
	json_decref(g.pairs);
	json_decref(drops);
	return SFH_EXIT_OK;
}

int sfh_cli_status(struct sfh_cli *cli)
{
	int status = once(cli);

	while (status == SFH_EXIT_OK && (cli->given & SFH_OPT_WATCH)) {
		const struct timespec second = { .tv_sec = 1 };

		(void)nanosleep(&second, NULL);
		if (!cli->json)
			(void)printf("\n");
		status = once(cli);
	}
	return status;
}
