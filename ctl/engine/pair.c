// SPDX-License-Identifier: GPL-2.0-or-later
/* The state machine of a pair. Actions move the pair; everything slow that they
 * start comes back as another event. */
#include "ctl/engine/pair.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine.h"

#define MS 1000000ull

const char *sfh_pair_state_name(enum sfh_pair_state state)
{
	static const char *const names[] = {
#define X(id, name, text) [SFH_PAIR_##id] = name,
		SFH_PAIR_STATES(X)
#undef X
	};

	return (unsigned)state < _SFH_PAIR_MAX ? names[state] : "unknown";
}

const char *sfh_pair_event_name(enum sfh_pair_event event)
{
	static const char *const names[] = {
#define X(id, name, text) [SFH_EV_##id] = name,
		SFH_PAIR_EVENTS(X)
#undef X
	};

	return (unsigned)event < _SFH_EV_MAX ? names[event] : "unknown";
}

bool sfh_pair_at_rest(const struct sfh_pair *p)
{
	return p->state != SFH_PAIR_LEASING && p->state != SFH_PAIR_PLUGGING &&
	       p->state != SFH_PAIR_PROVING && p->state != SFH_PAIR_UNPLUGGING &&
	       p->state != SFH_PAIR_YIELDING && p->state != SFH_PAIR_LANDING;
}

/* --- the record of a switch ------------------------------------------------------------ */

static void switch_begin(struct sfh_engine *e, struct sfh_pair *p, bool to_vf, const char *cause)
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

static void switch_step(struct sfh_engine *e, struct sfh_pair *p, const char *name)
{
	if (p->sw.begin_ns && p->sw.nsteps < SFH_SWITCH_STEPS)
		p->sw.steps[p->sw.nsteps++] = (struct sfh_switch_step){ name, e->now() };
}

static void switch_end(struct sfh_engine *e, struct sfh_pair *p, const char *error)
{
	if (!p->sw.begin_ns)
		return;
	p->sw.end_ns = e->now();
	p->sw.ok = error == NULL;
	(void)sfh_strcpy(p->sw.error, sizeof(p->sw.error), error ? error : "");
	e->listener->switched(e->listener_ctx, &p->sw);
	p->sw.begin_ns = 0;
}

/* --- small moves --------------------------------------------------------------------------- */

static void enter(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_state state,
		  uint64_t deadline_ms)
{
	p->state = state;
	p->deadline_ns = deadline_ms ? e->now() + deadline_ms * MS : 0;
	sfh_pair_save(e, p);
	if (sfh_pair_at_rest(p))
		e->listener->settled(e->listener_ctx, p->domain);
}

static void rest_on_standby(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			    const char *detail)
{
	p->reason = reason;
	(void)sfh_strcpy(p->detail, sizeof(p->detail), detail ? detail : "");
	p->next_probe_ns = 0;
	enter(e, p, SFH_PAIR_STANDBY, 0);
	if (p->leaving) /* a migration waited for this switch to end */
		sfh_pair_dispatch(e, p, SFH_EV_LEAVE, NULL);
}

/* Non-fatal datapath failures are logged and seen again by fsck. */
static void warn_if(struct sfh_engine *e, int r, const struct sfh_error *err)
{
	if (r < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err->text);
}

static void stage(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	warn_if(e, e->kernel->stage(e->kernel_ctx, p, &err), &err);
}

static void arm(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	warn_if(e, e->kernel->arm(e->kernel_ctx, p, &err), &err);
}

void sfh_pair_filter(struct sfh_engine *e, struct sfh_pair *p, bool there)
{
	struct sfh_error err = { 0 };

	if (!e->kernel->filter || p->filtered == there)
		return;
	p->filtered = there;
	warn_if(e, e->kernel->filter(e->kernel_ctx, p, there, &err), &err);
}

/* --- to-vf ------------------------------------------------------------------------------------ */

static void unplug(struct sfh_engine *e, struct sfh_pair *p, const char *cause);
static void act_gone(struct sfh_engine *e, struct sfh_pair *p, const char *why);

/* A VF carries no more than its PF: a guest whose NIC is larger would not take it
 * into its bond (net_failover gives the primary the bond's MTU, or refuses it). */
static bool mtu_fits(struct sfh_engine *e, const struct sfh_pair *p)
{
	int mtu = p->mtu && e->kernel->pf_mtu ? e->kernel->pf_mtu(e->kernel_ctx, p->pf) : 0;

	return mtu <= 0 || p->mtu <= (unsigned)mtu;
}

static enum sfh_reason why_not(struct sfh_engine *e, struct sfh_pair *p)
{
	const struct sfh_engine_network *net = sfh_engine_network(e, p->network);

	if (!net)
		return SFH_REASON_NETWORK_DOWN;
	if (p->leaving)
		return SFH_REASON_MIGRATING;
	if (sfh_engine_pf_trouble_of(e, p->pf_ifindex))
		return sfh_engine_pf_trouble_of(e, p->pf_ifindex);
	if (p->held)
		return SFH_REASON_BY_REQUEST;
	if (net->never || p->never)
		return SFH_REASON_POLICY_NEVER;
	if (p->barred)
		return p->barred;
	if (p->port_refused)
		return SFH_REASON_PORT_PROFILE;
	if (!mtu_fits(e, p))
		return SFH_REASON_MTU_MISMATCH;
	if (!p->adopted)
		return SFH_REASON_NOT_ADOPTED;
	if (!p->running)
		return SFH_REASON_PAUSED;
	if (!p->negotiated && !p->bond)
		return SFH_REASON_STANDBY_NOT_NEGOTIATED;
	if (p->no_driver)
		return SFH_REASON_NO_VF_DRIVER;
	if (p->vf_refused)
		return SFH_REASON_VF_REFUSED;
	return SFH_REASON_NONE;
}

/* A VF is plugged only under a guest that talks: one that has sent a frame on
 * its standby leg has a running network stack, and its address, once seen, is
 * what the VF leg is probed with. A guest that shows no IPv4 address in time is
 * plugged all the same and proven by whatever it sends first. */
static bool guest_talks(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_pair_seen seen = { 0 };
	uint64_t now = e->now();

	if (e->kernel->seen(e->kernel_ctx, p, &seen) < 0 || !seen.first_frame)
		return false;
	if (seen.address)
		return true;
	if (p->wants_address) { /* it was tried without one, in vain */
		p->retry_ns = now + SFH_ADDRESS_RETRY_MS * MS;
		return false;
	}
	if (!p->quiet_since_ns)
		p->quiet_since_ns = now;
	if (now - p->quiet_since_ns >= SFH_ADDRESS_WAIT_MS * MS)
		return true;
	p->retry_ns = now + 50 * MS;
	return false;
}

static void plug(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };
	int r;

	switch_step(e, p, "leased");
	p->proven = false;
	if (p->parked) {
		warn_if(e, e->kernel->want_proof(e->kernel_ctx, p, true, &err), &err);
		p->next_probe_ns = e->now();
	}
	r = e->hv->plug(e->hv_ctx, p);
	if (r < 0)
		sfh_pair_dispatch(e, p, SFH_EV_PLUG_FAILED, strerrordesc_np(-r));
}

static void act_leased(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_bdf_format(&p->lease.bdf, p->sw.vf_bdf);
	enter(e, p, SFH_PAIR_PLUGGING, 0); /* the worker always answers */
	plug(e, p);
}

static void lease_refused(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			  const char *why)
{
	sfh_pool_release(e, p);
	switch_end(e, p, why);
	rest_on_standby(e, p, reason, why);
	sfh_pool_freed(e, p->pf); /* another guest may have what this one was refused */
}

static void try_lease(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	int r = sfh_pool_lease(e, p, &err);

	(void)why;
	if (r == 0 && p->port_look_ns)
		return; /* the switch has the word: PORT_TAKEN, PORT_REFUSED */
	if (r == 0) {
		act_leased(e, p, NULL);
		return;
	}
	if ((r == -EAGAIN || (r == -EBUSY && p->has_lease)) && ++p->lease_tries < SFH_LEASE_TRIES) {
		p->retry_ns = e->now() + SFH_LEASE_RETRY_MS * MS;
		return;
	}
	if (r == -ENOSPC) {
		p->sw.begin_ns = 0; /* nothing was switched */
		rest_on_standby(e, p, SFH_REASON_NO_FREE_VF, NULL);
		return;
	}
	lease_refused(e, p, p->port_refused ? SFH_REASON_PORT_PROFILE : SFH_REASON_VF_REFUSED,
		      err.text);
}

static void act_port_refused(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->port_refused = true;
	lease_refused(e, p, SFH_REASON_PORT_PROFILE, why);
}

/* A pair that flaps is left in peace for a while. What a person asks for is not
 * damped. */
static bool damped(struct sfh_engine *e, struct sfh_pair *p)
{
	uint64_t oldest = p->begun_ns[p->nbegun % SFH_DAMP_SWITCHES];
	uint64_t again = oldest + SFH_DAMP_WINDOW_MS * MS;

	if (strcmp(p->next_cause, "request") == 0 || p->nbegun < SFH_DAMP_SWITCHES ||
	    again <= e->now())
		return false;
	p->retry_ns = again;
	return true;
}

static bool can_pin(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	if (!e->kernel->can_pin || e->kernel->can_pin(e->kernel_ctx, p, err) == 0)
		return true;
	p->retry_ns = e->now() + SFH_MEMORY_RETRY_MS * MS;
	return false;
}

static void consider(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool waited = p->reason == SFH_REASON_NO_FREE_VF;
	enum sfh_reason reason = why_not(e, p);
	struct sfh_error err = { 0 };

	p->retry_ns = 0;
	if (why && *why)
		(void)sfh_strcpy(p->next_cause, sizeof(p->next_cause), why);
	if (reason == SFH_REASON_NONE && !guest_talks(e, p))
		reason = SFH_REASON_SILENT;
	else if (reason == SFH_REASON_NONE && damped(e, p))
		reason = SFH_REASON_DAMPED;
	else if (reason == SFH_REASON_NONE && !can_pin(e, p, &err))
		reason = SFH_REASON_MEMORY;
	if (reason != SFH_REASON_NONE) {
		if (p->reason != reason)
			rest_on_standby(e, p, reason, err.text);
		if (waited) /* the VF that it was called for is another's */
			sfh_pool_freed(e, p->pf);
		return;
	}
	p->quiet_since_ns = 0;
	p->lease_tries = 0;
	p->begun_ns[p->nbegun++ % SFH_DAMP_SWITCHES] = e->now();
	p->reason = SFH_REASON_NONE;
	p->detail[0] = '\0';
	switch_begin(e, p, true, p->next_cause[0] ? p->next_cause : "start");
	p->next_cause[0] = '\0';
	enter(e, p, SFH_PAIR_LEASING, 0);
	try_lease(e, p, NULL);
}

static void act_negotiated(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = true;
	p->no_driver = false;
	p->vf_refused = p->port_refused = false;
	p->wants_address = false;
	sfh_pair_save(e, p); /* it is said once: the next agent must know */
	consider(e, p, NULL);
}

/* A driver acknowledges its features before it sends anything. So a guest that
 * talks has said yes or no, and QEMU's event, which comes once, may have been lost:
 * on a restart of libvirtd, or before anybody knew of the pair. */
static void ask_negotiated(struct sfh_engine *e, struct sfh_pair *p)
{
	if (!p->negotiated && p->adopted && !p->bond && e->hv->ask_negotiated)
		e->hv->ask_negotiated(e->hv_ctx, p);
}

static void act_first_frame(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	ask_negotiated(e, p);
	consider(e, p, why);
}

static void act_resumed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->running = true;
	consider(e, p, why);
}

static void act_accelerate(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->held = false;
	p->no_driver = false;
	p->vf_refused = p->port_refused = false;
	p->wants_address = false;
	ask_negotiated(e, p);
	consider(e, p, why ? why : "request");
	if (p->state == SFH_PAIR_STANDBY) /* the answer is its reason */
		e->listener->settled(e->listener_ctx, p->domain);
}

/* The VF leg carries frames: from here the guest's frames belong to the VF. */
static void on_vf(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	p->next_probe_ns = 0;
	if (!p->proven || p->bond) /* a bond may take its standby leg again by itself */
		warn_if(e, e->kernel->disarm(e->kernel_ctx, p, &err), &err);
	sfh_pair_filter(e, p, false);
	p->reason = SFH_REASON_NONE;
	switch_end(e, p, NULL);
	if (p->leaving || p->held || p->nic_removed) { /* asked to give way meanwhile */
		p->state = SFH_PAIR_VF;
		sfh_pair_dispatch(e, p, p->nic_removed ? SFH_EV_NIC_REMOVED
					: p->leaving   ? SFH_EV_LEAVE
						       : SFH_EV_HOLD, NULL);
		return;
	}
	enter(e, p, SFH_PAIR_VF, 0);
}

void sfh_pair_prove(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	warn_if(e, e->kernel->want_proof(e->kernel_ctx, p, true, &err), &err);
	p->next_probe_ns = e->now();
	enter(e, p, SFH_PAIR_PROVING, SFH_PROOF_DEADLINE_MS);
}

static void act_proof(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)why;
	p->next_probe_ns = 0;
	switch_step(e, p, "proved");
	if (sfh_pool_unpark(e, p, &err) < 0) {
		/* Parked it is of no use to the guest: off it, and not again by ourselves. */
		p->vf_refused = true;
		switch_end(e, p, err.text);
		(void)sfh_strcpy(p->detail, sizeof(p->detail), err.text);
		if (p->state == SFH_PAIR_PROVING)
			unplug(e, p, "vf-refused");
		return; /* in PLUGGING: libvirt's answer comes first */
	}
	/* At once: until its bond has taken the VF the guest receives on both legs. */
	p->proven = true;
	if (!p->bond)
		warn_if(e, e->kernel->on_vf(e->kernel_ctx, p, &err), &err);
	switch_step(e, p, "unparked");
	if (p->state == SFH_PAIR_PROVING)
		on_vf(e, p);
}

static void act_plugged(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	switch_step(e, p, "plugged");
	if (p->vf_refused || p->nic_removed)
		unplug(e, p, p->vf_refused ? "vf-refused" : "nic-removed");
	else if (!p->parked)
		on_vf(e, p);
	else
		enter(e, p, SFH_PAIR_PROVING, SFH_PROOF_DEADLINE_MS);
}

static void plug_failed(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	if (p->proven) /* its frames came, libvirt's answer did not */
		arm(e, p);
	sfh_pool_release(e, p);
	switch_end(e, p, why ? why : "libvirt refused the VF");
	if (p->nic_removed) {
		act_gone(e, p, NULL);
		return;
	}
	rest_on_standby(e, p, reason, why);
}

static void act_plug_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	plug_failed(e, p, SFH_REASON_PLUG_FAILED, why);
}

static void act_no_port(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	plug_failed(e, p, SFH_REASON_NO_SPARE_PORT, why);
}

/* --- to-standby --------------------------------------------------------------------------------- */

static void unplug(struct sfh_engine *e, struct sfh_pair *p, const char *cause)
{
	int r;

	switch_end(e, p, "given up: the guest had to leave the VF first");
	p->next_probe_ns = 0;
	p->let_go = false;
	switch_begin(e, p, false, cause);
	/* The guest's first frame on its standby leg arms the entry, before libvirt
	 * has told us anything. */
	stage(e, p);
	enter(e, p, SFH_PAIR_UNPLUGGING, SFH_UNPLUG_DEADLINE_MS);
	r = e->hv->unplug(e->hv_ctx, p);
	if (r < 0)
		sfh_pair_dispatch(e, p, SFH_EV_UNPLUG_FAILED, strerrordesc_np(-r));
}

/* The guest kept its VF or got it back, and the switch does not take it again. */
static void act_port_lost(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	sfh_engine_log(e, LOG_WARNING, "%s: off its VF: %s", p->domain_name, why ? why : "");
	p->port_refused = true;
	unplug(e, p, sfh_reason_name(SFH_REASON_PORT_PROFILE));
}

static void act_hold(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->held = true;
	unplug(e, p, why ? why : "request");
}

/* It was called for a VF that freed and has not come yet: if it does not come, the
 * next one must be called. */
static bool was_called(const struct sfh_pair *p)
{
	return p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_NO_FREE_VF && p->retry_ns;
}

static void act_hold_standby(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = was_called(p);

	(void)why;
	p->held = true;
	rest_on_standby(e, p, SFH_REASON_BY_REQUEST, NULL);
	if (called)
		sfh_pool_freed(e, p->pf);
}

/* A guest that was asked to let go of the VF and speaks on its standby leg has let
 * go: its driver closed the VF before the bond took the other leg. QEMU's word
 * comes tens of milliseconds later; until the MAC is zero the NIC keeps what is
 * sent to the guest for a VF that nobody serves. */
static void act_let_go(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)why;
	if (p->let_go)
		return;
	p->let_go = true;
	warn_if(e, sfh_pool_quiet(e, p, &err), &err);
	sfh_pair_filter(e, p, true);
	switch_step(e, p, "let-go");
}

static void act_unplugged(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	enum sfh_reason reason;

	(void)why;
	switch_step(e, p, "released");
	arm(e, p);
	if (sfh_pool_quiet(e, p, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "VF %u of '%s' keeps the guest's MAC: %s", p->lease.vf,
			       p->lease.pf, err.text);
	sfh_pair_filter(e, p, true);
	switch_step(e, p, "quiet");
	switch_end(e, p, NULL);
	if (p->nic_removed) {
		char uuid[SFH_UUID_STRLEN];

		memcpy(uuid, p->domain, sizeof(uuid));
		act_gone(e, p, NULL);
		sfh_migration_advance(e, uuid); /* it may have waited for this pair alone */
		return;
	}
	if (p->leaving) {
		p->reason = SFH_REASON_MIGRATING;
		enter(e, p, SFH_PAIR_LEAVING, 0);
		sfh_migration_advance(e, p->domain);
		return;
	}
	sfh_pool_release(e, p);
	reason = why_not(e, p);
	rest_on_standby(e, p, reason, NULL);
	if (reason == SFH_REASON_NONE) /* asked back while it was unplugging */
		consider(e, p, NULL);
}

/* Nobody here asked for it: the guest's own admin ejected the VF. It would get it
 * back at once, for ever; it stays off until it negotiates anew or is asked. */
static void act_ejected(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	switch_end(e, p, "the guest ejected the VF");
	switch_begin(e, p, false, "ejected");
	p->no_driver = true;
	act_unplugged(e, p, why);
}

static void act_unplug_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	bool leaving = p->leaving;

	p->held = false;
	p->leaving = false;
	(void)sfh_strcpy(p->detail, sizeof(p->detail),
			 why ? why : "the guest did not let go of the VF in time");
	switch_end(e, p, p->detail);
	if (p->let_go)
		warn_if(e, sfh_pool_unquiet(e, p, &err), &err);
	err.code = 0;
	sfh_pair_filter(e, p, false);
	if (p->parked) { /* it may still come to life */
		sfh_pair_prove(e, p);
	} else {
		warn_if(e, e->kernel->disarm(e->kernel_ctx, p, &err), &err);
		enter(e, p, SFH_PAIR_VF, 0);
	}
	if (leaving)
		sfh_engine_migrated(e, p->domain, -ETIMEDOUT, p->detail);
}

static void act_no_proof(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_pair_seen seen = { 0 };
	struct sfh_error err = { 0 };

	(void)why;
	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	p->next_probe_ns = 0;
	/* Nobody could be asked who shows no address: that says nothing of its driver. */
	if (e->kernel->seen(e->kernel_ctx, p, &seen) == 0 && !seen.address)
		p->wants_address = true;
	else
		p->no_driver = true;
	switch_end(e, p, "the VF carried no frame of the guest within the deadline");
	unplug(e, p, p->no_driver ? "no-vf-driver" : "silent");
}

/* Told to give way while a plug is under way: let it finish first, then unplug. */
static void act_hold_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->held = true;
	sfh_engine_log(e, LOG_INFO, "%s: the switch under way ends first", p->domain_name);
}

/* The guest's own NIC is gone: a VF without it is of no use, and the pair goes
 * when the guest has let go of the VF. */
static void act_nic_removed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->nic_removed = true;
	unplug(e, p, "nic-removed");
}

static void act_nic_removed_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)e;
	(void)why;
	p->nic_removed = true;
}

static void act_accelerate_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)e;
	(void)why;
	p->held = false;
}

static void act_leave_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->leaving = true;
	sfh_engine_log(e, LOG_INFO, "%s: the switch under way ends first", p->domain_name);
}

/* --- migration: source --------------------------------------------------------------------------- */

static void act_leave_vf(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->leaving = true;
	unplug(e, p, why ? why : "migration");
}

static void act_leave_standby(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = was_called(p);

	(void)why;
	p->leaving = true;
	p->reason = SFH_REASON_MIGRATING;
	if (called)
		sfh_pool_freed(e, p->pf);
	enter(e, p, SFH_PAIR_LEAVING, 0);
	sfh_migration_advance(e, p->domain);
}

static void act_migrate_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->leaving = false;
	arm(e, p);
	sfh_pair_filter(e, p, true);
	rest_on_standby(e, p, SFH_REASON_NONE, NULL);
	consider(e, p, "migration-failed");
	if (p->state == SFH_PAIR_STANDBY) /* not now, then: the VF is for others */
		sfh_pool_release(e, p);
}

/* --- by libvirt's own doing: virsh migrate, save, snapshot ------------------------------------------ */

/* QEMU asks the guest to let go of the VF, and keeps it open until it has moved or
 * is told to stay. No libvirt call says so before, and nothing of it ends in
 * DEVICE_DELETED. */
static void act_yield(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	switch_end(e, p, "given up: libvirt migrates or saves the guest");
	p->next_probe_ns = 0;
	p->let_go = false;
	p->yielded = true;
	switch_begin(e, p, false, why ? why : "libvirt");
	stage(e, p);
	enter(e, p, SFH_PAIR_YIELDING, SFH_UNPLUG_DEADLINE_MS);
}

static void act_yielded(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)why;
	switch_step(e, p, "released");
	arm(e, p);
	if (sfh_pool_quiet(e, p, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "VF %u of '%s' keeps the guest's MAC: %s", p->lease.vf,
			       p->lease.pf, err.text);
	sfh_pair_filter(e, p, true);
	switch_step(e, p, "quiet");
	switch_end(e, p, NULL);
	p->reason = SFH_REASON_MIGRATING;
	enter(e, p, SFH_PAIR_LEAVING, 0);
}

/* QEMU itself waits for ever. */
static void act_yield_late(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_engine_log(e, LOG_WARNING,
		       "%s: the guest did not let go of the VF in time; what libvirt does with it is "
		       "ended", p->domain_name);
	if (!e->hv->abort || e->hv->abort(e->hv_ctx, p->domain) < 0)
		p->deadline_ns = e->now() + SFH_UNPLUG_DEADLINE_MS * MS;
}

/* A reservation that was not used yet is none. */
static bool has_vf(const struct sfh_pair *p)
{
	return p->has_lease && !p->lease.reserved;
}

/* QEMU plugs the VF in again by itself; to the guest's driver it is a new one. */
static void act_stays(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	bool left = p->state == SFH_PAIR_LEAVING || p->let_go;

	if (!p->yielded)
		return; /* sfhybrid's own migration: Confirm says so */
	p->yielded = false;
	p->let_go = false;
	switch_end(e, p, why ? why : "libvirt did not migrate it after all");
	if (!has_vf(p)) {
		arm(e, p);
		rest_on_standby(e, p, SFH_REASON_NONE, NULL);
		consider(e, p, "migration-failed");
		return;
	}
	if (!left) { /* it never let go */
		sfh_pair_filter(e, p, false);
		if (p->parked)
			sfh_pair_prove(e, p);
		else
			on_vf(e, p);
		return;
	}
	switch_begin(e, p, true, "migration-failed");
	if (sfh_pool_lease(e, p, &err) < 0) {
		switch_end(e, p, err.text);
		(void)sfh_strcpy(p->detail, sizeof(p->detail), err.text);
		unplug(e, p, "vf-refused");
		return;
	}
	switch_step(e, p, "leased");
	arm(e, p);
	if (p->parked)
		sfh_pair_prove(e, p);
	else
		on_vf(e, p);
}

/* It was copied, as for a snapshot, and goes on here. */
static void act_goes_on(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (!p->yielded)
		return;
	if (has_vf(p) && e->hv->replug && e->hv->replug(e->hv_ctx, p->domain) == 0)
		return; /* STAYS follows */
	act_stays(e, p, NULL);
}

/* On its standby leg already: it must not be given a VF now. */
static void act_depart(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = was_called(p);

	(void)why;
	p->yielded = true;
	p->reason = SFH_REASON_MIGRATING;
	if (called)
		sfh_pool_freed(e, p->pf);
	enter(e, p, SFH_PAIR_LEAVING, 0);
}

/* --- migration: destination ---------------------------------------------------------------------- */

static void act_devices(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)why;
	warn_if(e, e->kernel->standby_attach(e->kernel_ctx, p, &err), &err);
	stage(e, p);
	/* It is here: from now on only its end ends the reservation. */
	enter(e, p, SFH_PAIR_ARRIVING, 0);
}

/* Now anybody may open it. */
static void let_loose(struct sfh_engine *e, struct sfh_pair *p)
{
	if (p->carried && e->kernel->vf_loose)
		e->kernel->vf_loose(e->kernel_ctx, &p->landing);
	p->carried = false;
}

/* Its XML has a VF that QEMU could not open. Until libvirt has dropped it from
 * there, nothing can be plugged. */
static void drop_carried(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	int r;

	(void)why;
	p->retry_ns = 0;
	r = e->hv->unplug(e->hv_ctx, p);
	if (r < 0)
		p->retry_ns = e->now() + SFH_LAND_RETRY_MS * MS;
}

static void act_land_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	sfh_engine_log(e, LOG_INFO, "%s: its VF stays in the XML for now: %s", p->domain_name,
		       why ? why : "libvirt is busy");
	p->retry_ns = e->now() + SFH_LAND_RETRY_MS * MS;
}

static void act_arrived(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->running = true;
	sfh_pair_filter(e, p, true);
	if (p->carried) {
		enter(e, p, SFH_PAIR_LANDING, 0);
		drop_carried(e, p, NULL);
		return;
	}
	(void)sfh_strcpy(p->next_cause, sizeof(p->next_cause), "migration");
	rest_on_standby(e, p, SFH_REASON_SILENT, NULL);
	ask_negotiated(e, p); /* its first frame may be behind us */
	consider(e, p, NULL);
}

/* QEMU announces it: it runs here, even before libvirt has said so. */
static void act_announced(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_pair_filter(e, p, true);
}

/* What stood for a VF is gone from the XML; one that was kept back for arrivals is
 * so again. */
static void act_landed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->retry_ns = 0;
	let_loose(e, p);
	sfh_pool_landed(e, p);
	act_arrived(e, p, why);
}

static void act_note_negotiated(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = true;
	sfh_pair_save(e, p);
}

/* --- the end --------------------------------------------------------------------------------------- */

static void act_gone(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool called = was_called(p);
	struct sfh_error err = { 0 };
	char pf[sizeof(p->pf)];

	switch_end(e, p, why ? why : "the guest stopped");
	sfh_pair_filter(e, p, false);
	warn_if(e, e->kernel->unstage(e->kernel_ctx, p, &err), &err);
	let_loose(e, p);
	sfh_pool_release(e, p);
	memcpy(pf, p->pf, sizeof(pf));
	sfh_pair_forget(e, p);
	if (called)
		sfh_pool_freed(e, pf);
}

#define ROW(s, ev, act, text)                                                                      \
	{ SFH_PAIR_##s, SFH_EV_##ev, act, text }

static const struct sfh_transition table[] = {
	ROW(ARRIVING, DEVICES, act_devices, "attach to the standby device, stage; stays arriving"),
	ROW(ARRIVING, FIRST_FRAME, act_announced, "its address goes into the PF's filter"),
	ROW(ARRIVING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(ARRIVING, RESUMED, act_arrived, "-> standby, then towards the reserved VF; or landing"),
	ROW(ARRIVING, DEADLINE, act_gone, "no guest came: reservation and steering removed"),
	ROW(ARRIVING, STOPPED, act_gone, "the migration failed: reservation and steering removed"),

	ROW(STANDBY, RESUMED, act_resumed, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, NEGOTIATED, act_negotiated, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, FIRST_FRAME, act_first_frame,
	    "asks what was negotiated if nobody heard; -> leasing if nothing speaks against it"),
	ROW(STANDBY, CONSIDER, consider, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, ACCELERATE, act_accelerate, "no longer held; -> leasing or the reason why not"),
	ROW(STANDBY, HOLD, act_hold_standby, "held on the standby leg"),
	ROW(STANDBY, LEAVE, act_leave_standby, "-> leaving"),
	ROW(STANDBY, DEPART, act_depart, "-> leaving"),
	ROW(STANDBY, NIC_REMOVED, act_gone, "steering removed"),
	ROW(STANDBY, STOPPED, act_gone, "steering removed"),

	ROW(LEASING, CONSIDER, try_lease, "again: -> plugging, or standby with a reason"),
	ROW(LEASING, PORT_TAKEN, act_leased, "-> plugging"),
	ROW(LEASING, PORT_REFUSED, act_port_refused, "VF freed; -> standby, port-profile"),
	ROW(LEASING, HOLD, act_hold_later, "after this switch"),
	ROW(LEASING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(LEASING, LEAVE, act_leave_later, "after this switch"),
	ROW(LEASING, NIC_REMOVED, act_gone, "VF freed, steering removed"),
	ROW(LEASING, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(PLUGGING, PLUGGED, act_plugged, "-> proving; or vf if proof came first"),
	ROW(PLUGGING, PROOF, act_proof, "unpark at once"),
	ROW(PLUGGING, PLUG_FAILED, act_plug_failed, "VF freed; -> standby, plug-failed"),
	ROW(PLUGGING, NO_PORT, act_no_port, "VF freed; -> standby, no-spare-port"),
	ROW(PLUGGING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(PLUGGING, HOLD, act_hold_later, "after this switch"),
	ROW(PLUGGING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(PLUGGING, LEAVE, act_leave_later, "after this switch"),
	ROW(PLUGGING, NIC_REMOVED, act_nic_removed_later, "after libvirt's answer"),
	ROW(PLUGGING, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(PROVING, PROOF, act_proof, "unpark, disarm; -> vf"),
	ROW(PROVING, DEADLINE, act_no_proof, "-> unplugging, no-vf-driver"),
	ROW(PROVING, PORT_REFUSED, act_port_lost, "-> unplugging, port-profile"),
	ROW(PROVING, HOLD, act_hold, "-> unplugging"),
	ROW(PROVING, LEAVE, act_leave_vf, "-> unplugging, then leaving"),
	ROW(PROVING, YIELD, act_yield, "-> yielding"),
	ROW(PROVING, UNPLUGGED, act_ejected, "the guest ejected it itself: -> standby, no-vf-driver"),
	ROW(PROVING, NIC_REMOVED, act_nic_removed, "-> unplugging, then gone"),
	ROW(PROVING, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(VF, PORT_REFUSED, act_port_lost, "-> unplugging, port-profile"),
	ROW(VF, HOLD, act_hold, "-> unplugging"),
	ROW(VF, LEAVE, act_leave_vf, "-> unplugging, then leaving"),
	ROW(VF, YIELD, act_yield, "-> yielding"),
	ROW(VF, UNPLUGGED, act_ejected, "the guest ejected it itself: -> standby, no-vf-driver"),
	ROW(VF, NIC_REMOVED, act_nic_removed, "-> unplugging, then gone"),
	ROW(VF, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(UNPLUGGING, FIRST_FRAME, act_let_go, "it speaks on its standby leg: MAC zeroed at once"),
	ROW(UNPLUGGING, UNPLUGGED, act_unplugged,
	    "MAC zeroed, armed; -> standby, or leaving in a migration"),
	ROW(UNPLUGGING, ACCELERATE, act_accelerate_later, "back to the VF after this switch"),
	ROW(UNPLUGGING, LEAVE, act_leave_later, "after this switch"),
	ROW(UNPLUGGING, UNPLUG_FAILED, act_unplug_failed, "-> vf; a migration is refused"),
	ROW(UNPLUGGING, DEADLINE, act_unplug_failed, "-> vf; a migration is refused"),
	ROW(UNPLUGGING, NIC_REMOVED, act_nic_removed_later, "gone with the VF"),
	ROW(UNPLUGGING, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(LEAVING, CONFIRMED, act_gone, "Confirm: VF freed, steering removed"),
	ROW(LEAVING, MIGRATE_FAILED, act_migrate_failed, "Confirm: -> standby, then the VF again"),
	ROW(LEAVING, RESUMED, act_goes_on, "a snapshot is over: QEMU plugs the VF in, or -> standby"),
	ROW(LEAVING, STAYS, act_stays, "if by libvirt's doing: -> proving, or standby without a VF"),
	ROW(LEAVING, STOPPED, act_gone, "it runs elsewhere: VF freed, steering removed"),

	ROW(YIELDING, FIRST_FRAME, act_let_go, "it speaks on its standby leg: MAC zeroed at once"),
	ROW(YIELDING, YIELDED, act_yielded, "MAC zeroed, armed; -> leaving"),
	ROW(YIELDING, STAYS, act_stays, "-> vf, or proving if it had let go"),
	ROW(YIELDING, DEADLINE, act_yield_late, "libvirt's job is aborted; stays until QEMU says so"),
	ROW(YIELDING, HOLD, act_hold_later, "after this switch"),
	ROW(YIELDING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(YIELDING, STOPPED, act_gone, "VF freed, steering removed"),

	ROW(LANDING, UNPLUGGED, act_landed, "landing VF given back; -> standby, then a VF"),
	ROW(LANDING, UNPLUG_FAILED, act_land_later, "asked again in a moment"),
	ROW(LANDING, CONSIDER, drop_carried, "asked again"),
	ROW(LANDING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(LANDING, HOLD, act_hold_later, "after this"),
	ROW(LANDING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(LANDING, LEAVE, act_leave_later, "after this"),
	ROW(LANDING, STOPPED, act_gone, "VF freed, steering removed"),
};

const struct sfh_transition *sfh_pair_table(size_t *ret_n)
{
	*ret_n = SFH_ARRAY_SIZE(table);
	return table;
}

void sfh_pair_dispatch(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_event event,
		       const char *why)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(table); i++) {
		if (table[i].state != p->state || table[i].event != event)
			continue;
		sfh_engine_log(e, LOG_DEBUG, "%s: %s in %s", p->domain_name,
			       sfh_pair_event_name(event), sfh_pair_state_name(p->state));
		table[i].action(e, p, why);
		return;
	}
}
