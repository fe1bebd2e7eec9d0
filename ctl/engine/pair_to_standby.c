// SPDX-License-Identifier: GPL-2.0-or-later
/* Off the VF, back to the standby leg: because somebody asked, because the VF is of
 * no use, or by the guest's own doing. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/pair_priv.h"

void sfh_pair_unplug(struct sfh_engine *e, struct sfh_pair *p, const char *cause)
{
	struct sfh_error err = { 0 };
	int r;

	if (p->state != SFH_PAIR_VF) /* whatever it proves now, nobody asks any more */
		(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	sfh_pair_switch_end(e, p, "given up: the guest had to leave the VF first");
	p->next_probe_ns = 0;
	p->let_go = false;
	sfh_pair_backlog_end(e, p);
	sfh_pair_switch_begin(e, p, false, cause);
	/* The guest's first frame on its standby leg arms the entry, before libvirt
	 * has told us anything. */
	sfh_pair_stage(e, p);
	sfh_pair_enter(e, p, SFH_PAIR_UNPLUGGING, SFH_UNPLUG_DEADLINE_MS);
	sfh_pair_backlog(e, p);
	r = e->hv->unplug(e->hv_ctx, p);
	if (r < 0)
		sfh_pair_dispatch(e, p, SFH_EV_UNPLUG_FAILED, strerrordesc_np(-r));
}

/* The guest kept its VF or got it back, and the switch does not take it again. */
void sfh_act_port_lost(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	sfh_engine_log(e, LOG_WARNING, "%s: off its VF: %s", p->domain_name, why ? why : "");
	p->port_refused = true;
	sfh_pair_unplug(e, p, sfh_reason_name(SFH_REASON_PORT_PROFILE));
}

void sfh_act_hold(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->held = true;
	sfh_pair_unplug(e, p, why ? why : "request");
}

void sfh_act_hold_standby(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = sfh_pair_was_called(p);

	(void)why;
	p->held = true;
	sfh_pair_rest_on_standby(e, p, SFH_REASON_BY_REQUEST, NULL);
	if (called)
		sfh_pool_freed(e, p->pf);
}

/* The guest's own NIC is gone: a VF without it is of no use, and the pair goes
 * when the guest has let go of the VF. */
void sfh_act_nic_removed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->nic_removed = true;
	sfh_pair_unplug(e, p, "nic-removed");
}

void sfh_act_vf_again(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (p->nic_removed) /* and not plugged again meanwhile */
		sfh_pair_unplug(e, p, "nic-removed");
}

/* Its firmware, or whatever boots next, may know its standby leg alone, and QEMU has reset
 * the VF. Neither would let go of it: it stays plugged, parked, out of the way of the
 * standby leg, until the guest proves it anew. A guest that bonds its legs itself does not
 * say when it is there again, and receives on both legs; and where nothing can be parked,
 * nothing can be proven. */
void sfh_act_reset_on_vf(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->was_reset = true;
	if (p->bond || p->nic_removed || !p->has_lease || !e->kernel->can_park(e->kernel_ctx, p->pf))
		return;
	p->negotiated = false;
	p->lease_tries = 0;
	sfh_pair_switch_begin(e, p, false, "reset");
	sfh_pair_arm(e, p);
	sfh_pair_prove(e, p);
	sfh_act_park(e, p, NULL);
	sfh_pair_filter(e, p, true);
	sfh_pair_switch_step(e, p, "quiet");
	sfh_pair_switch_end(e, p, NULL);
}

void sfh_act_park(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	int r;

	(void)why;
	if (!sfh_pair_boots(p) && !p->park_pending)
		return;
	r = sfh_pool_unquiet(e, p, &err);
	/* The driver is at its reset still; the guest may negotiate meanwhile. */
	p->park_pending = r == -EAGAIN && ++p->lease_tries < SFH_LEASE_TRIES;
	if (p->park_pending)
		p->retry_ns = e->now() + SFH_LEASE_RETRY_MS * MS;
	else
		sfh_pair_warn_if(e, r, &err);
}

/* Until the MAC is zero the NIC keeps what is sent to the guest for a VF that nobody
 * serves. A driver in the middle of a reset asks to come again. */
void sfh_pair_quiet_vf(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };
	int r = sfh_pool_quiet(e, p, &err);

	p->retry_ns = r == -EAGAIN ? e->now() + SFH_LEASE_RETRY_MS * MS : 0;
	if (r < 0)
		sfh_engine_log(e, r == -EAGAIN ? LOG_NOTICE : LOG_ERR,
			       "VF %u of '%s' keeps the guest's MAC: %s", p->lease.vf, p->lease.pf,
			       err.text);
}

void sfh_act_quiet_again(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (p->let_go || p->state == SFH_PAIR_LEAVING)
		sfh_pair_quiet_vf(e, p);
}

/* QEMU's word comes tens of milliseconds later. */
static void let_go(struct sfh_engine *e, struct sfh_pair *p)
{
	p->let_go = true;
	sfh_pair_quiet_vf(e, p);
	sfh_pair_filter(e, p, true);
	sfh_pair_switch_step(e, p, "let-go");
}

/* A guest that was asked to let go of the VF and speaks on its standby leg has let
 * go: its driver closed the VF before the bond took the other leg. But for one that spoke
 * there all the time, because its VF has no link yet: it hears what comes by the VF. */
void sfh_act_let_go(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (p->let_go)
		return;
	sfh_pair_ask(e, p); /* its time runs */
	if (!p->uses_both)
		let_go(e, p);
}

/* Its network stack takes frames from its standby leg: what came since it let go is not
 * too late. */
void sfh_act_listens(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (!p->let_go)
		let_go(e, p);
	sfh_pair_backlog_end(e, p);
	sfh_pair_switch_step(e, p, "listens");
}

void sfh_act_unplugged(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	enum sfh_reason reason;

	(void)why;
	p->asked_late = false;
	sfh_pair_switch_step(e, p, "released");
	sfh_pair_arm(e, p);
	sfh_pair_quiet_vf(e, p);
	sfh_pair_filter(e, p, true);
	sfh_pair_switch_step(e, p, "quiet");
	sfh_pair_switch_end(e, p, NULL);
	if (p->nic_removed) {
		sfh_pair_gone_with_nic(e, p);
		return;
	}
	if (p->leaving) {
		p->reason = SFH_REASON_MIGRATING;
		sfh_pair_enter(e, p, SFH_PAIR_LEAVING, 0);
		sfh_migration_advance(e, p->domain);
		return;
	}
	sfh_pool_release(e, p);
	reason = sfh_pair_why_not(e, p);
	sfh_pair_rest_on_standby(e, p, reason, NULL);
	if (reason == SFH_REASON_NONE) /* asked back while it was unplugging */
		sfh_act_consider(e, p, NULL);
}

/* Nobody here asked for it: the guest's own admin ejected the VF. It would get it
 * back at once, for ever; it stays off until it negotiates anew or is asked. Unless it
 * was asked once and answers now, as a guest does that was paused meanwhile. */
void sfh_act_ejected(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	sfh_pair_switch_end(e, p, "the guest ejected the VF");
	sfh_pair_switch_begin(e, p, false, p->asked_late ? "late" : "ejected");
	p->no_driver |= !p->asked_late;
	sfh_act_unplugged(e, p, why);
}

/* Whether that is for a migration that may reset the guest: QEMU carries out a pending
 * unplug when the machine is reset. */
static bool reset_instead(struct sfh_engine *e, struct sfh_pair *p)
{
	uint64_t until = p->leaving ? sfh_migration_reset(e, p->domain) : 0;

	if (until)
		p->deadline_ns = until;
	return until;
}

void sfh_act_unplug_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	bool leaving = p->leaving;

	if ((!why || p->asked_late) && reset_instead(e, p))
		return;
	sfh_pair_backlog_end(e, p); /* while the pair is still armed */
	p->asked_late |= !why;
	p->held = false;
	p->leaving = false;
	(void)sfh_strcpy(p->detail, sizeof(p->detail),
			 why ? why : "the guest did not let go of the VF in time");
	sfh_pair_switch_end(e, p, p->detail);
	if (p->let_go)
		sfh_pair_warn_if(e, sfh_pool_unquiet(e, p, &err), &err);
	err.code = 0;
	if (p->parked) { /* it may still come to life; until then it is on its standby leg */
		sfh_pair_arm(e, p);
		sfh_pair_filter(e, p, true);
		sfh_pair_switch_begin(e, p, true, "kept");
		sfh_pair_prove(e, p);
	} else {
		sfh_pair_filter(e, p, false);
		sfh_pair_warn_if(e, e->kernel->disarm(e->kernel_ctx, p, &err), &err);
		/* A VF without its NIC is of no use: it is asked for again. */
		sfh_pair_enter(e, p, SFH_PAIR_VF, p->nic_removed ? SFH_UNPLUG_DEADLINE_MS : 0);
		if (!p->negotiated) /* it was reset meanwhile */
			sfh_act_reset_on_vf(e, p, NULL);
	}
	if (leaving)
		sfh_engine_migrated(e, p->domain, p->asked_late ? -ETIMEDOUT : -EBUSY, p->detail);
}
