// SPDX-License-Identifier: GPL-2.0-or-later
/* The verb up, and the networks that come up with the agent. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"
#include "ctl/core/sysfs.h"

static int pfs_check(struct sfh_netjob *j)
{
	for (size_t i = 0; i < j->def->npfs; i++) {
		struct sfh_pf *pf = NULL;
		int r = sfh_pf_read(&j->a->env, j->def->pfs[i].dev, &pf, &j->err);

		if (r == 0)
			j->pf_ifindex[i] = pf->ifindex;
		sfh_pf_free(&pf);
		if (r < 0)
			return r;
	}
	return sfh_iommu_check(&j->a->env, &j->err);
}

/* What must hold before anything is changed. */
static int look_first(struct sfh_netjob *j, struct sfh_virt *v)
{
	struct sfh_nl *nl = NULL;
	int r = sfh_netjob_load(j, v);

	if (r == 0)
		r = pfs_check(j);
	if (r == 0 && !j->yes) {
		r = sfh_nl_open(&nl, &j->err);
		if (r == 0)
			r = sfh_netjob_check_traffic(j->def, nl, &j->err);
		sfh_nl_close(&nl);
		j->confirm = r == -EBUSY;
	}
	return r;
}

static int bring_up(struct sfh_netjob *j, struct sfh_virt *v)
{
	struct sfh_net_pf pfs[SFH_NET_PFS_MAX];
	struct sfh_ledger_network row = { .phase = SFH_NETWORK_COMING };
	bool known = sfh_ledger_network_get(j->a->ledger, j->name, &row) == 0;
	struct sfh_error why = { 0 };
	struct sfh_netsetup s;
	int r;

	j->ended = known && !j->req && row.phase >= SFH_NETWORK_GOING;
	j->keep_path = row.phase == SFH_NETWORK_GOING_KEEP;
	r = j->ended ? 0 : look_first(j, v);
	if (r < 0 && known && row.phase == SFH_NETWORK_UP && !j->confirm)
		(void)sfh_ledger_network_trouble(j->a->ledger, j->name, j->err.text, NULL);
	if (r < 0 && !known && !j->req) { /* one that starts with libvirt: meant to be up */
		(void)sfh_strcpy(row.name, sizeof(row.name), j->name);
		(void)sfh_strcpy(row.trouble, sizeof(row.trouble), j->err.text);
		row.phase = SFH_NETWORK_UP;
		(void)sfh_ledger_network_put(j->a->ledger, &row, NULL);
	}
	if (r < 0 && (!known || row.phase == SFH_NETWORK_UP || j->confirm))
		return r;
	/* What was cut short is taken back even if it cannot be begun anew. */
	why = j->err;
	j->err = (struct sfh_error){ 0 };
	if (sfh_netjob_setup(j, v, pfs, &s) < 0)
		return j->err.code;
	if (r < 0 || j->ended) {
		int r2 = sfh_net_down(&s, &j->err);

		if (r < 0)
			j->err = why;
		r = r < 0 ? r : r2;
	} else {
		r = sfh_net_up(&s, &j->err);
	}
	sfh_netjob_setup_done(&s);
	return r;
}

static void run_up(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&j->a->network_lock);
	j->result = bring_up(j, v);
	(void)pthread_mutex_unlock(&j->a->network_lock);
	j->changed = j->result == 0;
	sfh_agent_virt_put(j->a);
}

/* Pairs of a PF that went and came back: their standby device and VF went with it.
 * What still runs on it is found anew. */
static void forget_lost(struct sfh_agent *a, const struct sfh_netjob *j)
{
	for (struct sfh_pair *p = a->engine.pairs, *next; p; p = next) {
		int pf = strcmp(p->network, j->name) == 0 ? sfh_netdef_find_pf(j->def, p->pf) : -1;

		next = p->next;
		if (pf >= 0 && j->pf_ifindex[pf] != p->pf_ifindex)
			sfh_pair_dispatch(&a->engine, p, SFH_EV_STOPPED, "pf-gone");
	}
}

static void take_in(struct sfh_netjob *j)
{
	struct sfh_agent *a = j->a;
	/* Where a portgroup says otherwise it is each NIC's own matter (describe.c). */
	struct sfh_engine_network net = { .never = sfh_netdef_always_never(j->def),
					  .probe_interval_ms = j->def->probe_interval_ms,
					  .landing = sfh_netdef_landing(j->def),
					  .npfs = j->def->npfs };
	struct sfh_agent_network *n = calloc(1, sizeof(*n));
	struct sfh_error err = { 0 };

	if (!n)
		return;
	(void)sfh_strcpy(net.name, sizeof(net.name), j->name);
	for (size_t i = 0; i < j->def->npfs; i++) {
		(void)sfh_strcpy(net.pfs[i], sizeof(net.pfs[i]), j->def->pfs[i].dev);
		net.pf_ifindex[i] = j->pf_ifindex[i];
	}
	forget_lost(a, j);
	sfh_network_drop(a, j->name);
	n->def = TAKE_PTR(j->def);
	n->next = a->networks;
	a->networks = n;
	(void)sfh_engine_network_add(&a->engine, &net);
	for (size_t i = 0; i < j->nguests; i++)
		sfh_hostdevs_note(a, j->guests[i], strlen(j->guests[i]));
	if (sfh_pool_refresh(&a->engine, j->name, &err) < 0)
		sfh_agent_log(LOG_WARNING, "%s", err.text);
	for (size_t i = 0; i < j->nguests; i++) {
		struct sfh_described d = { .nics = NULL };

		if (sfh_describe(a, j->guests[i], strlen(j->guests[i]), &d, NULL) == 0)
			sfh_engine_guest_running(&a->engine, &d.guest, true);
		sfh_described_done(&d);
	}
	sfh_pfwatch_learn(a, j->name);
	sfh_agent_ask_negotiated(a);
	sfh_yield_look(a);
}

static void done_up(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_agent *a = j->a;

	if (j->result == 0 && j->ended) {
		sfh_agent_log(LOG_INFO, "network '%s' is down: what was begun is ended", j->name);
	} else if (j->result == 0) {
		if (sfh_agent_steer_watch(a) < 0)
			sfh_agent_log(LOG_ERR, "the datapath's events cannot be watched");
		if (sfh_netdef_has_policy(j->def, SFH_NET_POLICY_REQUIRE))
			sfh_require_mark(a, j->name);
		take_in(j);
		sfh_agent_log(LOG_INFO, "network '%s' is up", j->name);
	} else {
		sfh_agent_log(LOG_ERR, "network '%s' is not up: %s", j->name, j->err.text);
	}
	/* Steering of a network that could not be brought back stays for its guests. */
	if (!a->networks && a->network_jobs == 1 && !sfh_networks_any(a))
		sfh_agent_steer_drop(a);
	a->network_jobs--;
	if (!j->req && --a->resuming == 0) {
		sfh_agent_log(LOG_INFO, "networks resumed; %u stale lease(s) given back",
			      sfh_agent_sweep(a));
		sfh_repair_goes_on(a);
	}
	sfh_agent_rearm(a);
	sfh_netjob_finish(j, "up");
	if (a->retry_wanted)
		(void)sfh_networks_retry(a);
}

void sfh_verb_up(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	struct sfh_netjob *j;

	if (!name)
		return;
	if (sfh_agent_network(a, name)) {
		sfh_reply_ok(req, json_pack("{s:s, s:b}", "network", name, "up", 0));
		return;
	}
	j = sfh_netjob_new(a, req, name, run_up, done_up);
	if (!j)
		return;
	j->yes = json_is_true(json_object_get(req->args, "yes"));
	a->network_jobs++;
	sfh_worker_submit(a->worker, &j->job);
}

/* --- at start --------------------------------------------------------------------------------------------- */

struct resume {
	struct sfh_ledger_network rows[64];
	size_t n;
};

static int note_network(void *ctx, const struct sfh_ledger_network *row)
{
	struct resume *r = ctx;

	if (r->n < SFH_ARRAY_SIZE(r->rows))
		r->rows[r->n++] = *row;
	return 0;
}

static void resume_one(struct sfh_agent *a, const char *name)
{
	struct sfh_netjob *j = sfh_netjob_new(a, NULL, name, run_up, done_up);

	if (!j)
		return;
	j->yes = true; /* it was up before, or is meant to be: nobody is there to ask */
	a->network_jobs++;
	a->resuming++;
	sfh_worker_submit(a->worker, &j->job);
}

static bool in_ledger(const struct resume *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->rows[i].name, name) == 0)
			return true;
	return false;
}

/* `up` is idempotent and finishes what the last agent had begun. */
void sfh_networks_resume(struct sfh_agent *a, const json_t *autostart)
{
	_cleanup_free_ struct resume *r = calloc(1, sizeof(*r));
	size_t i;
	json_t *name;

	if (!r || sfh_ledger_networks(a->ledger, note_network, r) < 0)
		return;
	for (i = 0; i < r->n; i++)
		if (!sfh_agent_network(a, r->rows[i].name))
			resume_one(a, r->rows[i].name);
	json_array_foreach((json_t *)autostart, i, name)
		if (!in_ledger(r, json_string_value(name)))
			resume_one(a, json_string_value(name));
}

struct lost {
	const struct sfh_agent *a;
	const char *network;
};

/* Is it the device that was set up, with the VFs that it had then? */
static int look_for_loss(void *ctx, const struct sfh_ledger_pf *row)
{
	const struct lost *l = ctx;
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = NULL;

	if (strcmp(row->network, l->network) != 0)
		return 0;
	if (sfh_pf_read(&l->a->env, row->dev, &pf, NULL) < 0)
		return 0; /* gone or renamed: nothing to try until it is back */
	return pf->ifindex != row->ifindex ||
	       (row->generation && pf->generation != row->generation);
}

static bool has_lost_a_pf(const struct sfh_agent *a, const char *network)
{
	return sfh_ledger_pfs(a->ledger, look_for_loss, &(struct lost){ a, network }) == 1;
}

unsigned sfh_networks_retry(struct sfh_agent *a)
{
	_cleanup_free_ struct resume *r = calloc(1, sizeof(*r));
	unsigned begun = 0;

	a->retry_wanted = a->network_jobs > 0; /* what is under way ends by itself */
	if (!r || a->network_jobs || !a->resumed ||
	    sfh_ledger_networks(a->ledger, note_network, r) < 0)
		return 0;
	for (size_t i = 0; i < r->n; i++) {
		const char *name = r->rows[i].name;

		if (sfh_engine_network(&a->engine, name) && !has_lost_a_pf(a, name))
			continue;
		sfh_agent_log(LOG_NOTICE, "network '%s' is tried again", name);
		resume_one(a, name);
		begun++;
	}
	return begun;
}

void sfh_network_again(struct sfh_agent *a, const char *name)
{
	resume_one(a, name);
}
