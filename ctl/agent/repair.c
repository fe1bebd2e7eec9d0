// SPDX-License-Identifier: GPL-2.0-or-later
/* fsck --repair: a survey in a worker, the mending on the loop, where it cannot
 * get in the way of a switch. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"
#include "libvirt-glue/survey.h"

struct repair_job {
	struct sfh_job job;
	struct repair_job *next; /* while it waits for networks */
	struct sfh_agent *a;
	struct sfh_request *req;
	struct sfh_survey survey;
	uint64_t begun_ns; /* the survey; the loop went on meanwhile */
	json_t *findings;
	json_t *before; /* what the retry may mend: kind, of what, text */
	bool tried_again; /* what could not be brought back */
	int result;
	struct sfh_error err;
};

static void run_survey(struct sfh_job *job)
{
	struct repair_job *j = (struct repair_job *)job;
	struct sfh_agent *a = j->a;
	struct sfh_virt *v = sfh_agent_virt_get(a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	/* A network that could not be brought back has programs and pins all the same. */
	if (sfh_networks_any(a))
		(void)sfh_agent_steer_open(a, NULL);
	j->begun_ns = sfh_now_ns();
	j->result = sfh_survey_host(&a->env, a->ledger, &j->survey, &j->err);
	/* The loop waits for whoever has it: not across a call to libvirt. */
	(void)pthread_mutex_lock(&a->steer_lock);
	if (j->result == 0 && a->steer)
		j->result = sfh_survey_steering(a->steer, &j->survey, &j->err);
	(void)pthread_mutex_unlock(&a->steer_lock);
	if (j->result == 0)
		j->result = sfh_survey_guests(v, &j->survey, &j->err);
	sfh_agent_virt_put(a);
}

static int set_vf(struct sfh_agent *a, const struct sfh_finding *f, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	return sfh_nl_vf_set(a->nl, f->pf_ifindex, f->vf, what, cfg, err);
}

static int quiet_vf(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	static const struct sfh_vf_config zero;

	int r = set_vf(a, f, SFH_VF_MAC | SFH_VF_VLAN, &zero, err);

	if (r == 0) /* the pool left it out while it had that MAC */
		sfh_pool_freed(&a->engine, f->pf);
	return r;
}

/* The kernel's defaults for what the driver knows. */
static int reset_settings(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	static const struct sfh_vf_config fresh = { .spoofchk = true };
	unsigned what = f->settings & (SFH_VF_TRUST | SFH_VF_SPOOFCHK | SFH_VF_RATE);

	return set_vf(a, f, what, &fresh, err);
}

/* The guest has the VF: the row comes back as it would have been. */
static int give_lease(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	struct sfh_pair *p = sfh_engine_pair(&a->engine, f->domain, &f->mac);
	int r;

	if (!p)
		return sfh_ledger_lease_add(a->ledger, &f->lease, err);
	r = sfh_pool_adopt(&a->engine, p, &f->lease.bdf, err);
	if (r == 0)
		sfh_pair_save(&a->engine, p);
	return r;
}

static int end_lease(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	int ifindex = 0;

	if (sfh_engine_pair(&a->engine, f->domain, &f->mac))
		return sfh_err(err, -EBUSY, "the guest is back");
	for (const struct sfh_engine_network *n = a->engine.networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (strcmp(n->pfs[i], f->pf) == 0)
				ifindex = n->pf_ifindex[i];
	if (!ifindex) /* the PF is no network's any more */
		return sfh_ledger_lease_del(a->ledger, f->pf, f->vf, err);
	return sfh_pool_end(&a->engine, ifindex, &f->lease, err);
}

static int mend_program(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	struct sfh_steer_pf_info info = { .xdp = SFH_XDP_NONE };
	uint32_t ifindex = (uint32_t)f->pf_ifindex;
	bool xdp = false;
	int r;

	(void)pthread_mutex_lock(&a->steer_lock);
	if (a->steer) {
		xdp = sfh_steer_xdp_wanted(a->steer, ifindex);
		r = sfh_steer_pf_attach(a->steer, ifindex, xdp, &info, err);
	} else {
		r = sfh_err(err, -ENOTCONN, "the datapath is not loaded");
	}
	(void)pthread_mutex_unlock(&a->steer_lock);
	if (r == 0 && xdp && info.xdp == SFH_XDP_NONE)
		r = sfh_err(err, info.xdp_error, "%s", info.xdp_why);
	return r;
}

static int mend_entry(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	struct sfh_pair *p = sfh_engine_pair(&a->engine, f->domain, &f->mac);
	const struct sfh_kernel_ops *k = a->engine.kernel;
	int r;

	if (!p || !sfh_pair_at_rest(p))
		return sfh_err(err, -EAGAIN, "the pair is in the middle of a switch");
	r = k->stage(a, p, err);
	if (r == 0)
		r = p->state == SFH_PAIR_VF ? sfh_pair_off_standby(&a->engine, p, err) : k->arm(a, p, err);
	return r;
}

static int drop_entry(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	int r;

	if (sfh_engine_pair_by_key(&a->engine, &f->key))
		return sfh_err(err, -EAGAIN, "it has a pair by now");
	(void)pthread_mutex_lock(&a->steer_lock);
	r = a->steer ? sfh_steer_unstage(a->steer, &f->key, err) : 0;
	(void)pthread_mutex_unlock(&a->steer_lock);
	return r;
}

static int mend_copies(struct sfh_agent *a, struct sfh_error *err)
{
	int r;

	(void)pthread_mutex_lock(&a->steer_lock);
	r = a->steer ? sfh_steer_fast_mend(a->steer, err) : 0;
	(void)pthread_mutex_unlock(&a->steer_lock);
	return r;
}

static int mend_filter(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	struct sfh_pair *p = sfh_engine_pair(&a->engine, f->domain, &f->mac);

	if (p && p->state != SFH_PAIR_STANDBY)
		return sfh_err(err, -EAGAIN, "the pair is in the middle of a switch");
	if (p) /* else it is a further address of a guest */
		sfh_pair_filter(&a->engine, p, true); /* if it never got that far */
	return sfh_fdb_mend(a->fdb, f->pf, f->pf_ifindex, &f->mac, err);
}

static int empty_filter(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	int r;

	for (struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (p->state == SFH_PAIR_VF && p->filtered && sfh_mac_equal(&p->mac, &f->mac) &&
		    strcmp(p->pf, f->pf) == 0)
			sfh_pair_filter(&a->engine, p, false);
	r = sfh_fdb_sweep(a->fdb, f->pf, &f->mac, err);
	return r < 0 ? r : 0;
}

static int mend(struct sfh_agent *a, const struct sfh_finding *f, struct sfh_error *err)
{
	struct sfh_vf_config cfg = { .mac = f->mac, .vlan = f->vlan };
	struct sfh_pair *p;

	switch (f->kind) {
	case SFH_FINDING_PF_DOWN:
		return sfh_nl_link_set_up(a->nl, f->pf_ifindex, true, err);
	case SFH_FINDING_PROGRAM_MISSING:
		return mend_program(a, f, err);
	case SFH_FINDING_LEAKED_VF:
	case SFH_FINDING_DUPLICATE_MAC:
		return quiet_vf(a, f, err);
	case SFH_FINDING_STALE_VLAN:
		return set_vf(a, f, SFH_VF_VLAN, &cfg, err);
	case SFH_FINDING_STALE_SETTING:
		return reset_settings(a, f, err);
	case SFH_FINDING_WRONG_MAC:
		return set_vf(a, f, SFH_VF_MAC, &cfg, err);
	case SFH_FINDING_LEASE_MISSING:
		return give_lease(a, f, err);
	case SFH_FINDING_LEASE_OF_NOBODY:
		return end_lease(a, f, err);
	case SFH_FINDING_PAIR_OF_NOBODY:
		p = sfh_engine_pair(&a->engine, f->domain, &f->mac);
		if (p)
			sfh_pair_dispatch(&a->engine, p, SFH_EV_STOPPED, "fsck");
		return sfh_ledger_pair_del(a->ledger, f->domain, &f->mac, err);
	case SFH_FINDING_ENTRY_MISSING:
	case SFH_FINDING_ENTRY_WRONG:
		return mend_entry(a, f, err);
	case SFH_FINDING_ENTRY_OF_NOBODY:
		return drop_entry(a, f, err);
	case SFH_FINDING_ENTRY_COPY_WRONG:
		return mend_copies(a, err);
	case SFH_FINDING_NETWORK_FAILED:
	case SFH_FINDING_VFS_CHANGED:
		return sfh_err(err, -EAGAIN, "it was tried again, in vain");
	case SFH_FINDING_FDB_MISSING:
		return mend_filter(a, f, err);
	case SFH_FINDING_FDB_OF_NOBODY:
		return empty_filter(a, f, err);
	default:
		return sfh_err(err, -EOPNOTSUPP, "that is yours to mend");
	}
}

static int on_finding(void *ctx, const struct sfh_finding *f)
{
	struct repair_job *j = ctx;
	struct sfh_error err = { 0 };
	int r = sfh_finding_holds(&j->a->engine, f, j->begun_ns, &err);

	if (r == 0)
		r = mend(j->a, f, &err);
	sfh_agent_log(LOG_NOTICE, "fsck: %s: %s", f->text, r < 0 ? err.text : "mended");
	(void)json_array_append_new(
		j->findings, json_pack("{s:s, s:s, s:b, s:s}", "kind", sfh_finding_name(f->kind),
				       "text", f->text, "repaired", r == 0, "note",
				       r < 0 ? err.text : ""));
	return 0;
}

/* Whether bringing a network up again is what mends it. */
static int needs_retry(void *ctx, const struct sfh_finding *f)
{
	*(bool *)ctx |= f->kind == SFH_FINDING_NETWORK_FAILED ||
			f->kind == SFH_FINDING_VFS_CHANGED;
	return 0;
}

static int note_before(void *ctx, const struct sfh_finding *f)
{
	if (f->kind == SFH_FINDING_NETWORK_FAILED || f->kind == SFH_FINDING_VFS_CHANGED)
		(void)json_array_append_new(
			ctx, json_pack("{s:s, s:s, s:s}", "kind", sfh_finding_name(f->kind), "of",
				       f->network[0] ? f->network : f->pf, "text", f->text));
	return 0;
}

static int strike_out(void *ctx, const struct sfh_finding *f)
{
	const char *of = f->network[0] ? f->network : f->pf;
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)ctx, i, o)
		if (strcmp(json_string_value(json_object_get(o, "kind")),
			   sfh_finding_name(f->kind)) == 0 &&
		    strcmp(json_string_value(json_object_get(o, "of")), of) == 0)
			(void)json_array_remove(ctx, i--);
	return 0;
}

static void tell_mended(struct repair_job *j)
{
	size_t i;
	json_t *o;

	(void)sfh_check(&j->survey, strike_out, j->before);
	json_array_foreach(j->before, i, o)
		(void)json_array_append_new(
			j->findings, json_pack("{s:O, s:O, s:b, s:s}", "kind",
					       json_object_get(o, "kind"), "text",
					       json_object_get(o, "text"), "repaired", 1, "note", ""));
}

static struct repair_job *waiting;

static void wait_for_networks(struct repair_job *j)
{
	j->next = waiting;
	waiting = j;
}

void sfh_repair_goes_on(struct sfh_agent *a)
{
	struct repair_job *j = waiting;

	waiting = NULL;
	while (j) {
		struct repair_job *next = j->next;

		sfh_worker_submit(a->worker, &j->job);
		j = next;
	}
}

static void done_survey(struct sfh_job *job)
{
	struct repair_job *j = (struct repair_job *)job;
	bool retry = false;

	if (j->result == 0 && !j->tried_again) {
		(void)sfh_check(&j->survey, needs_retry, &retry);
		(void)sfh_check(&j->survey, note_before, j->before);
		j->tried_again = true;
		if (retry && sfh_networks_retry(j->a) > 0) {
			sfh_survey_done(&j->survey);
			wait_for_networks(j);
			return;
		}
	}
	if (j->result < 0) {
		sfh_reply_error(j->req, "%s", j->err.text);
	} else {
		j->findings = json_array();
		tell_mended(j);
		(void)sfh_check(&j->survey, on_finding, j);
		j->a->repaired = true;
		sfh_reply_ok(j->req, json_pack("{s:o}", "findings", j->findings));
	}
	sfh_agent_rearm(j->a);
	sfh_survey_done(&j->survey);
	json_decref(j->before);
	free(j);
}

void sfh_verb_repair(struct sfh_agent *a, struct sfh_request *req)
{
	struct repair_job *j = calloc(1, sizeof(*j));

	if (!j) {
		sfh_reply_error(req, "out of memory");
		return;
	}
	j->a = a;
	j->req = req;
	j->job.run = run_survey;
	j->job.done = done_survey;
	j->before = json_array();
	if (!a->resumed || a->resuming) /* the agent has just begun to take over */
		wait_for_networks(j);
	else
		sfh_worker_submit(a->worker, &j->job);
}
