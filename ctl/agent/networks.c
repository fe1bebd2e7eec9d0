// SPDX-License-Identifier: GPL-2.0-or-later
/* The verb up, and the networks that come up with the agent. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"
#include "ctl/core/sysfs.h"

static int collect_guest(void *ctx, const char *xml)
{
	struct sfh_netjob *j = ctx;
	char **more = realloc(j->guests, (j->nguests + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->guests = more;
	more[j->nguests] = strdup(xml);
	return more[j->nguests] ? (j->nguests++, 0) : -ENOMEM;
}

static int network_row(struct sfh_netjob *j, bool complete)
{
	struct sfh_ledger_network row = { .complete = complete };

	(void)sfh_strcpy(row.name, sizeof(row.name), j->name);
	(void)sfh_strcpy(row.mode, sizeof(row.mode), sfh_standby_mode_name(j->def->mode));
	(void)sfh_strcpy(row.policy, sizeof(row.policy), sfh_net_policy_name(j->def->policy));
	(void)sfh_strcpy(row.bridge, sizeof(row.bridge), j->def->bridge);
	return sfh_ledger_network_put(j->a->ledger, &row, &j->err);
}

static void pfs_down(struct sfh_netjob *j, struct sfh_nl *nl, size_t n)
{
	while (n-- > 0) {
		struct sfh_pfsetup s = sfh_netjob_pfsetup(j, nl, n);

		(void)sfh_pf_down(&s, j->def->pfs[n].dev, NULL);
	}
}

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

static int bring_up(struct sfh_netjob *j, struct sfh_virt *v)
{
	struct sfh_nl *nl = NULL;
	size_t done = 0;
	int r = sfh_netjob_load(j, v);

	if (r == 0)
		r = pfs_check(j);
	if (r == 0)
		r = sfh_agent_steer_open(j->a, &j->err);
	if (r == 0)
		r = sfh_nl_open(&nl, &j->err);
	if (r == 0 && !j->yes) {
		r = sfh_netjob_check_traffic(j->def, nl, &j->err);
		j->confirm = r == -EBUSY;
	}
	if (r == 0 && j->half)
		pfs_down(j, nl, j->def->npfs);
	if (r == 0)
		r = network_row(j, false);
	for (; r == 0 && done < j->def->npfs; done++) {
		struct sfh_pfsetup s = sfh_netjob_pfsetup(j, nl, done);

		r = sfh_pf_up(&s, j->def->pfs[done].dev, &j->err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = sfh_virt_network_start(v, j->name, &j->err);
	if (r == 0)
		r = network_row(j, true);
	if (r == 0)
		r = sfh_virt_running(v, collect_guest, j, &j->err);
	if (r < 0 && nl) {
		pfs_down(j, nl, done);
		(void)sfh_ledger_network_del(j->a->ledger, j->name, NULL);
	}
	sfh_nl_close(&nl);
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

static void take_in(struct sfh_netjob *j)
{
	struct sfh_agent *a = j->a;
	/* Where a portgroup says otherwise it is each NIC's own matter (describe.c). */
	struct sfh_engine_network net = { .never = j->def->policy == SFH_NET_POLICY_NEVER &&
						   !sfh_netdef_has_policy(j->def,
									  SFH_NET_POLICY_PREFER) &&
						   !sfh_netdef_has_policy(j->def,
									  SFH_NET_POLICY_REQUIRE),
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
	sfh_agent_ask_negotiated(a);
}

static void done_up(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_agent *a = j->a;

	if (j->result == 0) {
		if (sfh_agent_steer_watch(a) < 0)
			sfh_agent_log(LOG_ERR, "the datapath's events cannot be watched");
		if (sfh_netdef_has_policy(j->def, SFH_NET_POLICY_REQUIRE))
			sfh_require_mark(a, j->name);
		take_in(j);
		sfh_agent_log(LOG_INFO, "network '%s' is up", j->name);
	} else {
		sfh_agent_log(LOG_ERR, "network '%s' is not up: %s", j->name, j->err.text);
		if (!a->networks && a->network_jobs == 1)
			sfh_agent_steer_drop(a);
	}
	a->network_jobs--;
	if (!j->req && --a->resuming == 0)
		sfh_agent_log(LOG_INFO, "networks resumed; %u stale lease(s) given back",
			      sfh_engine_sweep(&a->engine));
	sfh_agent_rearm(a);
	sfh_netjob_finish(j, "up");
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

static void resume_one(struct sfh_agent *a, const char *name, bool half)
{
	struct sfh_netjob *j;

	if (sfh_agent_network(a, name))
		return;
	j = sfh_netjob_new(a, NULL, name, run_up, done_up);
	if (!j)
		return;
	j->half = half;
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
		resume_one(a, r->rows[i].name, !r->rows[i].complete);
	json_array_foreach((json_t *)autostart, i, name)
		if (!in_ledger(r, json_string_value(name)))
			resume_one(a, json_string_value(name), false);
}
