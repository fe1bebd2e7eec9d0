// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VF a pair gets, and what it is told: a table of steps with undo. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/core/steps.h"
#include "ctl/engine/engine.h"

#define MAX_VFS 256

static const struct sfh_mac zero_mac;

struct taken {
	const char *pf;
	bool vf[MAX_VFS];
};

/* A row without a pair counts too: that VF could not be given back. */
static int note_taken(void *ctx, const struct sfh_lease *lease)
{
	struct taken *t = ctx;

	if (lease->vf < MAX_VFS && strcmp(lease->pf, t->pf) == 0)
		t->vf[lease->vf] = true;
	return 0;
}

/* The first VF of the PF that may be leased and is not. */
static int pick(struct sfh_engine *e, const char *pf, struct sfh_vf_slot *ret,
		struct sfh_error *err)
{
	_cleanup_free_ struct sfh_vf_slot *slots = calloc(MAX_VFS, sizeof(*slots));
	struct taken taken = { .pf = pf };
	int n;

	if (!slots)
		return sfh_err(err, -ENOMEM, "out of memory");
	if (sfh_ledger_leases(e->ledger, note_taken, &taken) < 0)
		return sfh_err(err, -EIO, "cannot read the ledger");
	n = e->kernel->vf_list(e->kernel_ctx, pf, slots, MAX_VFS, err);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (slots[i].why_not[0] || slots[i].vf >= MAX_VFS || taken.vf[slots[i].vf])
			continue;
		*ret = slots[i];
		return 0;
	}
	return sfh_err(err, -ENOSPC, "no VF of '%s' is free", pf);
}

struct lease_change {
	struct sfh_engine *e;
	struct sfh_pair *p;
	struct sfh_lease lease;
	struct sfh_vf_config want;
};

static int step_save(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;

	return c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf,
				    &c->lease.orig, err);
}

static int step_row(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;

	return sfh_ledger_lease_add(c->e->ledger, &c->lease, err);
}

static int undo_row(void *ctx)
{
	struct lease_change *c = ctx;

	return sfh_ledger_lease_del(c->e->ledger, c->lease.pf, c->lease.vf, NULL);
}

static int undo_program(void *ctx)
{
	struct lease_change *c = ctx;
	struct sfh_vf_config back = { .mac = zero_mac, .vlan = c->lease.orig.vlan };

	return c->e->kernel->vf_set(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf,
				    SFH_VF_MAC | SFH_VF_VLAN, &back, NULL);
}

static int step_program(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	int r = c->e->kernel->vf_set(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf,
				     SFH_VF_MAC | SFH_VF_VLAN, &c->want, err);

	struct sfh_vf_config now;

	/* The kernel applies one setting after the other: a refusal may be half a set. */
	if (r < 0 && (c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf, &now,
					   NULL) < 0 ||
		      sfh_mac_equal(&now.mac, &c->want.mac)))
		(void)undo_program(c);
	return r;
}

static int step_read_back(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	struct sfh_vf_config got;
	char mac[SFH_MAC_STRLEN];
	int r = c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf, &got, err);

	if (r < 0)
		return r;
	if (!sfh_mac_equal(&got.mac, &c->want.mac) || got.vlan != c->want.vlan)
		return sfh_err(err, -EIO, "VF %u says MAC %s, VLAN %u after it was told otherwise",
			       c->lease.vf, sfh_mac_format(&got.mac, mac), got.vlan);
	return 0;
}

static const struct sfh_step lease_steps[] = {
	{ "read the VF's settings", step_save, NULL },
	{ "write the lease", step_row, undo_row },
	{ "program the VF", step_program, undo_program },
	{ "read the VF back", step_read_back, NULL },
};

/* A reservation is a row only: a VF that was active before takes the MAC's
 * frames away from the PF the moment it is programmed (research/lab.md). */
#define RESERVE_STEPS 2

static struct sfh_vf_config parked(const struct sfh_engine *e, const struct sfh_pair *p)
{
	bool park = e->kernel->can_park(e->kernel_ctx, p->pf);

	return (struct sfh_vf_config){ .mac = p->mac, .vlan = park ? SFH_PARK_VLAN : p->vlan };
}

static int begin_lease(struct sfh_engine *e, struct sfh_pair *p, bool reserved,
		       struct sfh_error *err)
{
	struct lease_change c = { .e = e, .p = p, .want = parked(e, p) };
	struct sfh_vf_slot slot = { 0 };
	int r = pick(e, p->pf, &slot, err);

	if (r < 0)
		return r;
	c.lease = (struct sfh_lease){ .vf = slot.vf, .bdf = slot.bdf, .mac = p->mac,
				      .vlan = p->vlan, .reserved = reserved };
	(void)sfh_strcpy(c.lease.pf, sizeof(c.lease.pf), p->pf);
	(void)sfh_strcpy(c.lease.domain, sizeof(c.lease.domain), p->domain);
	r = sfh_steps_run(lease_steps,
			  reserved ? RESERVE_STEPS : SFH_ARRAY_SIZE(lease_steps), &c, err);
	if (r < 0)
		return r;
	p->lease = c.lease;
	p->has_lease = true;
	p->parked = !reserved && c.want.vlan != p->vlan;
	return 0;
}

int sfh_pool_peek(struct sfh_engine *e, const char *pf, struct sfh_error *err)
{
	struct sfh_vf_slot slot;

	return pick(e, pf, &slot, err);
}

int sfh_pool_reserve(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	return begin_lease(e, p, true, err);
}

int sfh_pool_lease(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct lease_change c = { .e = e, .p = p, .want = parked(e, p) };
	int r;

	if (!p->has_lease)
		return begin_lease(e, p, false, err);
	/* It was reserved, or held through a migration that failed. */
	c.lease = p->lease;
	c.lease.reserved = false;
	r = sfh_steps_run(lease_steps + RESERVE_STEPS, SFH_ARRAY_SIZE(lease_steps) - RESERVE_STEPS,
			  &c, err);
	if (r == 0)
		r = sfh_ledger_lease_update(e->ledger, &c.lease, err);
	if (r == 0) {
		p->lease = c.lease;
		p->parked = c.want.vlan != p->vlan;
	}
	return r;
}

int sfh_pool_unpark(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_vf_config cfg = { .vlan = p->vlan };
	int r = e->kernel->vf_set(e->kernel_ctx, p->pf_ifindex, p->lease.vf, SFH_VF_VLAN, &cfg,
				  err);

	if (r == 0)
		p->parked = false;
	return r;
}

int sfh_pool_quiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_vf_config cfg = { .mac = zero_mac, .vlan = p->lease.orig.vlan };
	int r;

	if (!p->has_lease)
		return 0;
	r = e->kernel->vf_set(e->kernel_ctx, p->pf_ifindex, p->lease.vf, SFH_VF_MAC | SFH_VF_VLAN,
			      &cfg, err);
	if (r == 0)
		p->parked = false;
	return r;
}

int sfh_pool_adopt(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
		   struct sfh_error *err)
{
	_cleanup_free_ struct sfh_vf_slot *slots = calloc(MAX_VFS, sizeof(*slots));
	struct sfh_lease lease = { .bdf = *vf, .mac = p->mac, .vlan = p->vlan };
	int n, r;

	if (!slots)
		return sfh_err(err, -ENOMEM, "out of memory");
	n = e->kernel->vf_list(e->kernel_ctx, p->pf, slots, MAX_VFS, err);
	for (int i = 0; i < n; i++) {
		if (memcmp(&slots[i].bdf, vf, sizeof(*vf)) != 0)
			continue;
		lease.vf = slots[i].vf;
		(void)sfh_strcpy(lease.pf, sizeof(lease.pf), p->pf);
		(void)sfh_strcpy(lease.domain, sizeof(lease.domain), p->domain);
		r = sfh_ledger_lease_add(e->ledger, &lease, err);
		if (r == 0) {
			p->lease = lease;
			p->has_lease = true;
		}
		return r;
	}
	return n < 0 ? n : sfh_err(err, -ENODEV, "its VF is not one of '%s'", p->pf);
}

void sfh_pool_freed(struct sfh_engine *e, const char *pf)
{
	struct sfh_pair *best = NULL;

	/* The list has the newest first: of equals the one that waits longest. */
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_NO_FREE_VF &&
		    strcmp(p->pf, pf) == 0 && (!best || p->priority >= best->priority))
			best = p;
	if (!best)
		return;
	best->retry_ns = e->now();
	(void)sfh_strcpy(best->next_cause, sizeof(best->next_cause), "vf-freed");
}

void sfh_pool_release(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	if (!p->has_lease)
		return;
	if (sfh_pool_quiet(e, p, &err) < 0) {
		/* The row stays: a VF with a MAC and no lease is what must not be. */
		sfh_engine_log(e, LOG_ERR, "VF %u of '%s' keeps its lease: %s", p->lease.vf,
			       p->lease.pf, err.text);
		p->has_lease = false;
		return;
	}
	(void)sfh_ledger_lease_del(e->ledger, p->lease.pf, p->lease.vf, NULL);
	p->has_lease = false;
	sfh_pool_freed(e, p->lease.pf);
}
