// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that migrates away, by `sfhybrid-ctl migrate` or by libvirt's own doing. */
#include <syslog.h>

#include "ctl/engine/pair_priv.h"

/* --- sfhybrid migrates it ---------------------------------------------------------------- */

void sfh_act_leave_vf(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->leaving = true;
	sfh_pair_unplug(e, p, why ? why : "migration");
}

void sfh_act_leave_standby(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = sfh_pair_was_called(p);

	(void)why;
	p->leaving = true;
	p->reason = SFH_REASON_MIGRATING;
	if (called)
		sfh_pool_freed(e, p->pf);
	sfh_pair_enter(e, p, SFH_PAIR_LEAVING, 0);
	sfh_migration_advance(e, p->domain);
}

void sfh_act_migrate_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->leaving = false;
	if (p->nic_removed) {
		sfh_pair_gone_with_nic(e, p);
		return;
	}
	sfh_pair_arm(e, p);
	sfh_pair_filter(e, p, true);
	sfh_pair_rest_on_standby(e, p, SFH_REASON_NONE, NULL);
	sfh_act_consider(e, p, "migration-failed");
	if (p->state == SFH_PAIR_STANDBY) /* not now, then: the VF is for others */
		sfh_pool_release(e, p);
}

/* --- libvirt does: virsh migrate, save, snapshot ----------------------------------------- */

/* QEMU asks the guest to let go of the VF, and keeps it open until it has moved or
 * is told to stay. No libvirt call says so before, and nothing of it ends in
 * DEVICE_DELETED. */
void sfh_act_yield(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	sfh_pair_switch_end(e, p, "given up: libvirt migrates or saves the guest");
	p->next_probe_ns = 0;
	p->let_go = false;
	p->yielded = true;
	sfh_pair_switch_begin(e, p, false, why ? why : "libvirt");
	sfh_pair_stage(e, p);
	sfh_pair_enter(e, p, SFH_PAIR_YIELDING, SFH_UNPLUG_DEADLINE_MS);
	sfh_pair_backlog(e, p);
}

void sfh_act_yielded(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_pair_switch_step(e, p, "released");
	sfh_pair_arm(e, p);
	sfh_pair_quiet_vf(e, p);
	sfh_pair_filter(e, p, true);
	sfh_pair_switch_step(e, p, "quiet");
	sfh_pair_switch_end(e, p, NULL);
	p->reason = SFH_REASON_MIGRATING;
	sfh_pair_enter(e, p, SFH_PAIR_LEAVING, 0);
}

/* QEMU itself waits for ever. */
void sfh_act_yield_late(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_engine_log(e, LOG_WARNING,
		       "%s: the guest did not let go of the VF in time; what libvirt does with it is "
		       "ended", p->domain_name);
	if (e->hv->abort)
		(void)e->hv->abort(e->hv_ctx, p->domain);
	p->deadline_ns = e->now() + SFH_UNPLUG_DEADLINE_MS * MS; /* in vain, perhaps */
}

/* A reservation that was not used yet is none. */
static bool has_vf(const struct sfh_pair *p)
{
	return p->has_lease && !p->lease.reserved;
}

/* QEMU plugs the VF in again by itself; to the guest's driver it is a new one. */
void sfh_act_stays(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	bool left = p->state == SFH_PAIR_LEAVING || p->let_go;

	if (!p->yielded)
		return; /* sfhybrid's own migration: Confirm says so */
	p->yielded = false;
	p->let_go = false;
	sfh_pair_switch_end(e, p, why ? why : "libvirt did not migrate it after all");
	if (p->nic_removed) {
		if (has_vf(p))
			sfh_pair_unplug(e, p, "nic-removed");
		else
			sfh_pair_gone_with_nic(e, p);
		return;
	}
	if (!has_vf(p)) {
		sfh_pair_arm(e, p);
		sfh_pair_rest_on_standby(e, p, SFH_REASON_NONE, NULL);
		sfh_act_consider(e, p, "migration-failed");
		return;
	}
	p->asked_late |= !left; /* it may do so yet */
	if (!left && !p->parked) { /* it never let go */
		sfh_pair_warn_if(e, e->kernel->disarm(e->kernel_ctx, p, &err), &err);
		sfh_pair_stays_on_vf(e, p);
		return;
	}
	sfh_pair_switch_begin(e, p, true, "migration-failed");
	if (!left) { /* nor had it proven the VF: that goes on where it was */
		sfh_pair_prove(e, p);
		return;
	}
	if (sfh_pool_lease(e, p, &err) < 0) {
		sfh_pair_switch_end(e, p, err.text);
		(void)sfh_strcpy(p->detail, sizeof(p->detail), err.text);
		sfh_pair_unplug(e, p, "vf-refused");
		return;
	}
	sfh_pair_switch_step(e, p, "leased");
	sfh_pair_arm(e, p);
	if (p->parked)
		sfh_pair_prove(e, p);
	else
		sfh_pair_on_vf(e, p);
}

/* It was copied, as for a snapshot, and goes on here. */
void sfh_act_goes_on(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (!p->yielded)
		return;
	if (has_vf(p) && e->hv->replug && e->hv->replug(e->hv_ctx, p->domain) == 0)
		return; /* STAYS follows */
	sfh_act_stays(e, p, NULL);
}

/* On its standby leg already: it must not be given a VF now. */
void sfh_act_depart(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = sfh_pair_was_called(p);

	(void)why;
	p->yielded = true;
	p->reason = SFH_REASON_MIGRATING;
	if (called)
		sfh_pool_freed(e, p->pf);
	sfh_pair_enter(e, p, SFH_PAIR_LEAVING, 0);
}
