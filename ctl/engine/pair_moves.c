// SPDX-License-Identifier: GPL-2.0-or-later
/* What the actions on a pair are made of: the record of a switch, small moves, and
 * the end, to which every state may come. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/pair_priv.h"

/* --- the record of a switch -------------------------------------------------------------- */

void sfh_pair_switch_begin(struct sfh_engine *e, struct sfh_pair *p, bool to_vf, const char *cause)
{
	p->sw = (struct sfh_switch){ .wall_ms = sfh_wall_ms(), .to_vf = to_vf, .mac = p->mac,
				     .begin_ns = e->now() };
	(void)sfh_strcpy(p->sw.domain, sizeof(p->sw.domain), p->domain);
	(void)sfh_strcpy(p->sw.domain_name, sizeof(p->sw.domain_name), p->domain_name);
	(void)sfh_strcpy(p->sw.network, sizeof(p->sw.network), p->network);
	(void)sfh_strcpy(p->sw.cause, sizeof(p->sw.cause), cause && *cause ? cause : "request");
	if (p->has_lease)
		sfh_bdf_format(&p->lease.bdf, p->sw.vf_bdf);
}

void sfh_pair_switch_step(struct sfh_engine *e, struct sfh_pair *p, const char *name)
{
	if (p->sw.begin_ns && p->sw.nsteps < SFH_SWITCH_STEPS)
		p->sw.steps[p->sw.nsteps++] = (struct sfh_switch_step){ name, e->now() };
}

void sfh_pair_switch_end(struct sfh_engine *e, struct sfh_pair *p, const char *error)
{
	if (!p->sw.begin_ns)
		return;
	p->sw.end_ns = e->now();
	p->sw.ok = error == NULL;
	(void)sfh_strcpy(p->sw.error, sizeof(p->sw.error), error ? error : "");
	e->listener->switched(e->listener_ctx, &p->sw);
	p->sw.begin_ns = 0;
}

/* --- small moves ------------------------------------------------------------------------- */

void sfh_pair_enter(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_state state,
		    uint64_t deadline_ms)
{
	if (state != SFH_PAIR_UNPLUGGING && state != SFH_PAIR_YIELDING)
		sfh_pair_backlog_end(e, p);
	p->state = state;
	p->deadline_ns = deadline_ms ? e->now() + deadline_ms * MS : 0;
	sfh_pair_save(e, p);
	if (sfh_pair_at_rest(p))
		e->listener->settled(e->listener_ctx, p->domain);
}

void sfh_pair_rest_on_standby(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			      const char *detail)
{
	p->reason = reason;
	(void)sfh_strcpy(p->detail, sizeof(p->detail), detail ? detail : "");
	p->next_probe_ns = 0;
	sfh_pair_enter(e, p, SFH_PAIR_STANDBY, 0);
	if (p->leaving) /* a migration waited for this switch to end */
		sfh_pair_dispatch(e, p, SFH_EV_LEAVE, NULL);
}

void sfh_pair_warn_if(struct sfh_engine *e, int r, const struct sfh_error *err)
{
	if (r < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err->text);
}

void sfh_pair_stage(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	sfh_pair_warn_if(e, e->kernel->stage(e->kernel_ctx, p, &err), &err);
}

void sfh_pair_arm(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	sfh_pair_warn_if(e, e->kernel->arm(e->kernel_ctx, p, &err), &err);
}

/* Where VFs are parked, who has one that is not was seen to use it. */
int sfh_pair_off_standby(struct sfh_engine *e, const struct sfh_pair *p, struct sfh_error *err)
{
	bool proven = !p->bond && !p->parked && e->kernel->can_park(e->kernel_ctx, p->pf);

	return proven ? e->kernel->on_vf(e->kernel_ctx, p, err)
		      : e->kernel->disarm(e->kernel_ctx, p, err);
}

void sfh_pair_backlog(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_pair_seen seen = { 0 };
	struct sfh_error err = { 0 };
	int r = e->kernel->seen(e->kernel_ctx, p, &seen);

	p->uses_both = r == 0 && seen.lately;
	/* Who cannot be asked would get late what it could have had in time; who still hears
	 * on its VF would get it twice. */
	if (!e->kernel->backlog || r < 0 || !seen.ip4 || seen.lately)
		return;
	r = e->kernel->backlog(e->kernel_ctx, p, true, &err);
	sfh_pair_warn_if(e, r, &err);
	p->backlog = r == 0;
}

void sfh_pair_ask(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_pair_seen seen = { 0 };

	if (!p->backlog && !p->uses_both) /* nothing depends on the answer */
		return;
	if (e->kernel->ask_standby && e->kernel->seen(e->kernel_ctx, p, &seen) == 0 && seen.ip4)
		p->next_ask_ns = e->now();
	if (p->backlog)
		p->backlog_until_ns = e->now() + SFH_BACKLOG_MS * MS;
}

void sfh_pair_backlog_end(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	p->backlog_until_ns = p->next_ask_ns = 0;
	if (!p->backlog)
		return;
	p->backlog = false;
	sfh_pair_warn_if(e, e->kernel->backlog(e->kernel_ctx, p, false, &err), &err);
}

bool sfh_pair_was_called(const struct sfh_pair *p)
{
	return p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_NO_FREE_VF && p->retry_ns;
}

/* --- the end ----------------------------------------------------------------------------- */

void sfh_act_gone(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = sfh_pair_was_called(p);
	struct sfh_error err = { 0 };
	char pf[sizeof(p->pf)];

	sfh_pair_switch_end(e, p, why ? why : "the guest stopped");
	sfh_pair_filter(e, p, false);
	sfh_pair_warn_if(e, e->kernel->unstage(e->kernel_ctx, p, &err), &err);
	sfh_pair_let_loose(e, p);
	sfh_pool_release(e, p);
	memcpy(pf, p->pf, sizeof(pf));
	sfh_pair_forget(e, p);
	if (called)
		sfh_pool_freed(e, pf);
}

void sfh_pair_gone_with_nic(struct sfh_engine *e, struct sfh_pair *p)
{
	char uuid[SFH_UUID_STRLEN];

	memcpy(uuid, p->domain, sizeof(uuid));
	sfh_act_gone(e, p, "its NIC was unplugged");
	sfh_migration_advance(e, uuid);
}

void sfh_act_gone_with_nic(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_pair_gone_with_nic(e, p);
}
