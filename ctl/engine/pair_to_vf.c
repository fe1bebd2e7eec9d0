// SPDX-License-Identifier: GPL-2.0-or-later
/* To the VF: whether a pair may have one, then lease, plug, proof and unpark, and
 * what follows when one of them fails. */
#include <string.h>

#include "ctl/engine/pair_priv.h"

/* --- why not ----------------------------------------------------------------------------- */

/* A VF carries no more than its PF: a guest whose NIC is larger would not take it
 * into its bond (net_failover gives the primary the bond's MTU, or refuses it). */
static bool mtu_fits(struct sfh_engine *e, const struct sfh_pair *p)
{
	int mtu = p->mtu && e->kernel->pf_mtu ? e->kernel->pf_mtu(e->kernel_ctx, p->pf) : 0;

	return mtu <= 0 || p->mtu <= (unsigned)mtu;
}

enum sfh_reason sfh_pair_why_not(struct sfh_engine *e, struct sfh_pair *p)
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

/* Of the system that negotiated, not of firmware or the system before it. */
static bool shows_address(const struct sfh_pair *p, const struct sfh_pair_seen *seen)
{
	return seen->ip4 && seen->ip4_ns >= p->negotiated_ns;
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
	if (p->wants_address && !shows_address(p, &seen)) { /* tried so, in vain */
		p->retry_ns = now + SFH_ADDRESS_RETRY_MS * MS;
		return false;
	}
	if (seen.ip4)
		return true;
	if (!p->quiet_since_ns)
		p->quiet_since_ns = now;
	if (now - p->quiet_since_ns >= SFH_ADDRESS_WAIT_MS * MS)
		return true;
	p->retry_ns = now + 50 * MS;
	return false;
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

/* --- lease and plug ---------------------------------------------------------------------- */

static void plug(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };
	int r;

	sfh_pair_switch_step(e, p, "leased");
	p->proven = p->plug_lost = false;
	if (p->parked) {
		sfh_pair_warn_if(e, e->kernel->want_proof(e->kernel_ctx, p, true, &err), &err);
		p->next_probe_ns = e->now();
	}
	r = e->hv->plug(e->hv_ctx, p);
	if (r < 0)
		sfh_pair_dispatch(e, p, SFH_EV_PLUG_FAILED, strerrordesc_np(-r));
}

void sfh_act_leased(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_bdf_format(&p->lease.bdf, p->sw.vf_bdf);
	sfh_pair_enter(e, p, SFH_PAIR_PLUGGING, 0); /* the worker always answers */
	plug(e, p);
}

static void lease_refused(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			  const char *why)
{
	sfh_pool_release(e, p);
	sfh_pair_switch_end(e, p, why);
	sfh_pair_rest_on_standby(e, p, reason, why);
	sfh_pool_freed(e, p->pf); /* another guest may have what this one was refused */
}

void sfh_act_try_lease(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };
	int r = sfh_pool_lease(e, p, &err);

	(void)why;
	if (r == 0 && p->port_look_ns)
		return; /* the switch has the word: PORT_TAKEN, PORT_REFUSED */
	if (r == 0) {
		sfh_act_leased(e, p, NULL);
		return;
	}
	if ((r == -EAGAIN || (r == -EBUSY && p->has_lease)) && ++p->lease_tries < SFH_LEASE_TRIES) {
		p->retry_ns = e->now() + SFH_LEASE_RETRY_MS * MS;
		return;
	}
	if (r == -ENOSPC) {
		p->sw.begin_ns = 0; /* nothing was switched */
		sfh_pair_rest_on_standby(e, p, SFH_REASON_NO_FREE_VF, NULL);
		return;
	}
	lease_refused(e, p, p->port_refused ? SFH_REASON_PORT_PROFILE : SFH_REASON_VF_REFUSED,
		      err.text);
}

void sfh_act_port_refused(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->port_refused = true;
	lease_refused(e, p, SFH_REASON_PORT_PROFILE, why);
}

void sfh_act_consider(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool waited = p->reason == SFH_REASON_NO_FREE_VF;
	enum sfh_reason reason = sfh_pair_why_not(e, p);
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
			sfh_pair_rest_on_standby(e, p, reason, err.text);
		if (waited) /* the VF that it was called for is another's */
			sfh_pool_freed(e, p->pf);
		return;
	}
	p->quiet_since_ns = 0;
	p->lease_tries = 0;
	p->begun_ns[p->nbegun++ % SFH_DAMP_SWITCHES] = e->now();
	p->reason = SFH_REASON_NONE;
	p->detail[0] = '\0';
	sfh_pair_switch_begin(e, p, true, p->next_cause[0] ? p->next_cause : "start");
	p->next_cause[0] = '\0';
	sfh_pair_enter(e, p, SFH_PAIR_LEASING, 0);
	sfh_act_try_lease(e, p, NULL);
}

void sfh_act_negotiated(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = true;
	p->no_driver = false;
	p->vf_refused = p->port_refused = false;
	p->wants_address = false;
	sfh_pair_save(e, p); /* it is said once: the next agent must know */
	sfh_act_consider(e, p, NULL);
}

/* A driver acknowledges its features before it sends anything. So a guest that
 * talks has said yes or no, and QEMU's event, which comes once, may have been lost:
 * on a restart of libvirtd, or before anybody knew of the pair. */
void sfh_pair_ask_negotiated(struct sfh_engine *e, struct sfh_pair *p)
{
	if (!p->negotiated && p->adopted && !p->bond && e->hv->ask_negotiated)
		e->hv->ask_negotiated(e->hv_ctx, p, false);
}

/* A driver acknowledges features in two halves, and QEMU (10.0.13) looks at what the device
 * has after each: a new lower half beside the upper one of the system before makes it tell
 * of a STANDBY that iPXE after Linux never meant. So after a reset it is asked what came of
 * it in the end. */
void sfh_engine_negotiated(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac)
{
	struct sfh_pair *p = sfh_engine_pair(e, uuid, mac);

	if (!p)
		return;
	/* Until now firmware spoke, or the system before. */
	p->negotiated_ns = e->now();
	if (p->was_reset && !p->bond && e->hv->ask_negotiated)
		e->hv->ask_negotiated(e->hv_ctx, p, true);
	else
		sfh_pair_dispatch(e, p, SFH_EV_NEGOTIATED, NULL);
}

void sfh_act_first_frame(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	sfh_pair_ask_negotiated(e, p);
	sfh_act_consider(e, p, why);
}

void sfh_act_resumed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->running = true;
	sfh_act_consider(e, p, why);
}

void sfh_act_accelerate(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->held = false;
	p->no_driver = false;
	p->vf_refused = p->port_refused = false;
	p->wants_address = false;
	sfh_pair_ask_negotiated(e, p);
	sfh_act_consider(e, p, why ? why : "request");
	if (p->state == SFH_PAIR_STANDBY) /* the answer is its reason */
		e->listener->settled(e->listener_ctx, p->domain);
}

/* --- a guest that boots anew ------------------------------------------------------------- */

/* Firmware talks, too (PXE), and knows of no second leg. */
void sfh_act_reset(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = false;
	p->was_reset = true;
	sfh_pair_save(e, p);
	sfh_act_consider(e, p, NULL);
}

void sfh_act_reset_proving(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (p->bond) /* it says nothing when it is there again: asked all the time */
		return;
	p->negotiated = false;
	p->was_reset = true;
	sfh_pair_prove(e, p);
}

void sfh_act_booted(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = true;
	p->no_driver = p->vf_refused = p->wants_address = false;
	if (!p->sw.begin_ns)
		sfh_pair_switch_begin(e, p, true, "reset");
	sfh_pair_prove(e, p);
}

/* --- proof ------------------------------------------------------------------------------- */

void sfh_pair_on_vf(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	p->next_probe_ns = 0;
	if (!p->proven || p->bond) /* a bond may take its standby leg again by itself */
		sfh_pair_warn_if(e, e->kernel->disarm(e->kernel_ctx, p, &err), &err);
	sfh_pair_filter(e, p, false);
	p->reason = SFH_REASON_NONE;
	sfh_pair_switch_end(e, p, NULL);
	if (p->leaving || p->held || p->nic_removed) { /* asked to give way meanwhile */
		p->state = SFH_PAIR_VF;
		sfh_pair_dispatch(e, p, p->nic_removed ? SFH_EV_NIC_REMOVED
					: p->leaving   ? SFH_EV_LEAVE
						       : SFH_EV_HOLD, NULL);
		return;
	}
	sfh_pair_enter(e, p, SFH_PAIR_VF, 0);
}

void sfh_pair_stays_on_vf(struct sfh_engine *e, struct sfh_pair *p)
{
	bool was_reset = !p->negotiated;

	sfh_pair_on_vf(e, p);
	if (was_reset && p->state == SFH_PAIR_VF)
		sfh_act_reset_on_vf(e, p, NULL);
}

void sfh_pair_prove(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	/* Nobody answers yet in a guest that boots. What it sends over the VF proves it all
	 * the same: not every guest's drivers come in the same order. */
	bool boots = !p->negotiated && !p->bond;

	sfh_pair_warn_if(e, e->kernel->want_proof(e->kernel_ctx, p, true, &err), &err);
	p->next_probe_ns = boots ? 0 : e->now();
	p->reason = boots ? SFH_REASON_STANDBY_NOT_NEGOTIATED : SFH_REASON_NONE;
	sfh_pair_enter(e, p, SFH_PAIR_PROVING, boots ? SFH_BOOT_DEADLINE_MS : SFH_PROOF_DEADLINE_MS);
}

void sfh_act_proof(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 }, silent = { 0 };

	(void)why;
	p->next_probe_ns = 0;
	if (sfh_pair_boots(p) && !p->sw.begin_ns)
		sfh_pair_switch_begin(e, p, true, "reset");
	sfh_pair_switch_step(e, p, "proved");
	/* Until its bond has taken the VF the guest receives on both legs. What comes between
	 * these two calls is lost; the other way round it would get that twice. */
	if (!p->bond)
		sfh_pair_warn_if(e, e->kernel->on_vf(e->kernel_ctx, p, &silent), &silent);
	if (sfh_pool_unpark(e, p, &err) < 0) {
		/* Parked it is of no use to the guest: off it, and not again by ourselves. */
		if (!p->bond)
			sfh_pair_arm(e, p);
		p->vf_refused = true;
		sfh_pair_switch_end(e, p, err.text);
		(void)sfh_strcpy(p->detail, sizeof(p->detail), err.text);
		if (p->state == SFH_PAIR_PROVING)
			sfh_pair_unplug(e, p, "vf-refused");
		return; /* in PLUGGING: libvirt's answer comes first */
	}
	p->proven = true;
	p->no_driver = p->wants_address = false; /* late, after a deadline */
	sfh_pair_switch_step(e, p, "unparked");
	if (p->state == SFH_PAIR_PROVING)
		sfh_pair_on_vf(e, p);
}

void sfh_act_plugged(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_pair_switch_step(e, p, "plugged");
	p->doubted = false; /* libvirt's list may be older */
	if (p->vf_refused || p->nic_removed)
		sfh_pair_unplug(e, p, p->vf_refused ? "vf-refused" : "nic-removed");
	else if (!p->parked)
		sfh_pair_stays_on_vf(e, p);
	else if (!p->negotiated && !p->bond) /* reset meanwhile */
		sfh_pair_prove(e, p);
	else
		sfh_pair_enter(e, p, SFH_PAIR_PROVING, SFH_PROOF_DEADLINE_MS);
}

void sfh_act_no_proof(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_pair_seen seen = { 0 };

	(void)why;
	/* Nobody could be asked who shows no address: that says nothing of its driver. */
	if (e->kernel->seen(e->kernel_ctx, p, &seen) == 0 && !shows_address(p, &seen))
		p->wants_address = true;
	else if (!sfh_pair_boots(p)) /* that one was not asked */
		p->no_driver = true;
	sfh_pair_switch_end(e, p, "the VF carried no frame of the guest within the deadline");
	sfh_pair_unplug(e, p, p->no_driver ? "no-vf-driver" : "silent");
}

/* --- a plug that nobody answered ---------------------------------------------------------- */

/* libvirt may have done it all the same, or be at it still: until that is known the VF is the
 * guest's. A VF that is there is plugged to whoever asks again (virt.h). */
void sfh_act_plug_lost(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->plug_lost = true;
	p->retry_ns = e->now() + SFH_PLUG_RETRY_MS * MS;
}

void sfh_act_plug_again(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	if (p->plug_lost && e->hv->plug(e->hv_ctx, p) < 0)
		sfh_act_plug_lost(e, p, NULL);
}

/* --- a plug that failed ------------------------------------------------------------------ */

static void plug_failed(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			const char *why)
{
	struct sfh_error err = { 0 };

	(void)e->kernel->want_proof(e->kernel_ctx, p, false, &err);
	if (p->proven) /* its frames came, libvirt's answer did not */
		sfh_pair_arm(e, p);
	sfh_pool_release(e, p);
	sfh_pair_switch_end(e, p, why ? why : "libvirt refused the VF");
	if (p->nic_removed) {
		sfh_pair_gone_with_nic(e, p);
		return;
	}
	sfh_pair_rest_on_standby(e, p, reason, why);
}

void sfh_act_plug_failed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	plug_failed(e, p, SFH_REASON_PLUG_FAILED, why);
}

void sfh_act_no_port(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	plug_failed(e, p, SFH_REASON_NO_SPARE_PORT, why);
}
