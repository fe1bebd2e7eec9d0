// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VF a pair gets. */
#include <stdio.h>
#include <string.h>

#include "ctl/engine/inventory.h"
#include "ctl/engine/pool_priv.h"

/* A PF without a free VF is looked at again, but not more often than that. */
#define REREAD_NS 1000000000ull

/* The number of a VF to try, or -ENOSPC. */
static int pick(struct sfh_engine *e, const char *pf, bool landing, struct sfh_inventory **ret,
		struct sfh_error *err)
{
	struct sfh_inventory *inv = NULL;
	int r = sfh_inventory_get(e, pf, &inv, err);

	if (r < 0)
		return r;
	*ret = inv;
	r = sfh_inventory_pick(inv, landing);
	if (r < 0 && inv->nstuck && sfh_pool_unstick(e, inv))
		r = sfh_inventory_pick(inv, landing);
	if (r < 0 && e->now() - inv->read_ns >= REREAD_NS) {
		r = sfh_inventory_refresh(e, pf, err);
		if (r < 0)
			return r;
		r = sfh_inventory_pick(inv, landing);
	}
	if (r >= 0)
		return r;
	if (inv->count[SFH_SLOT_LANDING])
		return sfh_err(err, -ENOSPC, "no VF of '%s' is free but those kept back for arrivals",
			       pf);
	return sfh_err(err, -ENOSPC, "no VF of '%s' is free", pf);
}

/* Somebody else took what was free at the last look? Then it is left out. */
static bool still_ours(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf)
{
	char why[48] = "";

	if (!e->kernel->vf_check ||
	    e->kernel->vf_check(e->kernel_ctx, inv->pf, &inv->slots[vf].bdf, why) == 0)
		return true;
	sfh_inventory_exclude(e, inv, vf, why);
	return false;
}

/* Whether the failure was about this VF alone, and another one may do. */
static bool another_may_do(struct sfh_lease_change *c, struct sfh_inventory *inv, int r)
{
	unsigned vf = c->lease.vf;
	char why[48], mac[SFH_MAC_STRLEN];

	if (c->foreign) {
		(void)snprintf(why, sizeof(why), "carries MAC %s that is not ours",
			       sfh_mac_format(&c->lease.orig.mac, mac));
		sfh_inventory_exclude(c->e, inv, vf, why);
		return true;
	}
	if (r != -EBUSY) /* the ledger's word: this VF, or this MAC */
		return false;
	if (inv->nstuck && sfh_pool_unstick(c->e, inv))
		return true;
	return sfh_inventory_refresh(c->e, inv->pf, NULL) == 0 &&
	       (vf >= inv->n || inv->slots[vf].state != SFH_SLOT_FREE);
}

static int lease_vf(struct sfh_lease_change *c, struct sfh_inventory *inv, unsigned vf,
		    bool reserved, struct sfh_error *err)
{
	const struct sfh_pair *p = c->p;
	int r;

	c->lease = (struct sfh_lease){ .vf = vf,
				       .bdf = inv->slots[vf].bdf,
				       .mac = p->mac,
				       .vlan = sfh_pool_vlan_of(p),
				       .reserved = reserved,
				       .changed = p->wish.what };
	(void)sfh_strcpy(c->lease.pf, sizeof(c->lease.pf), p->pf);
	(void)sfh_strcpy(c->lease.domain, sizeof(c->lease.domain), p->domain);
	(void)sfh_strcpy(c->lease.profile, sizeof(c->lease.profile), p->profile);
	r = sfh_lease_run(c, err);
	if (r == 0)
		sfh_inventory_take(inv, vf, reserved);
	return r;
}

static int begin_lease(struct sfh_engine *e, struct sfh_pair *p, bool reserved,
		       struct sfh_error *err)
{
	struct sfh_inventory *inv = NULL;

	for (int i = 0; i < SFH_POOL_CANDIDATES; i++) {
		struct sfh_lease_change c = sfh_lease_change_of(e, p);
		struct sfh_error why = { 0 };
		int r, vf = pick(e, p->pf, reserved, &inv, &why);

		if (vf == -ENOSPC && (inv = sfh_inventory_find(e, p->pf)))
			inv->waiting = true; /* even if it could not be read now */
		if (vf < 0)
			return sfh_err(err, vf, "%s", why.text);
		if (!still_ours(e, inv, (unsigned)vf))
			continue;
		r = lease_vf(&c, inv, (unsigned)vf, reserved, &why);
		if (r == 0)
			return 0;
		if (c.dirty)
			sfh_pool_stick(e, inv, &c.lease);
		if (!another_may_do(&c, inv, r))
			return sfh_err(err, r, "%s", why.text);
	}
	return sfh_err(err, -EAGAIN, "others take the VFs of '%s' as fast as they are found", p->pf);
}

int sfh_pool_peek(struct sfh_engine *e, const char *pf, struct sfh_error *err)
{
	struct sfh_inventory *inv;

	/* As a lease would look: what others did since the last look counts. */
	for (int i = 0; i < SFH_POOL_CANDIDATES; i++) {
		struct sfh_vf_config now;
		int vf = pick(e, pf, false, &inv, err);

		if (vf < 0)
			return vf;
		if (!still_ours(e, inv, (unsigned)vf))
			continue;
		if (e->kernel->vf_get(e->kernel_ctx, inv->pf_ifindex, (unsigned)vf, &now, NULL) ==
			    0 &&
		    sfh_mac_is_zero(&now.mac))
			return 0;
		sfh_inventory_exclude(e, inv, (unsigned)vf, "carries a MAC that is not ours");
	}
	return sfh_err(err, -ENOSPC, "no VF of '%s' is free", pf);
}

int sfh_pool_reserve(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	return begin_lease(e, p, true, err);
}

int sfh_pool_reserve_vf(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
			struct sfh_error *err)
{
	struct sfh_inventory *inv = NULL;
	int r = sfh_inventory_get(e, p->pf, &inv, err);

	for (unsigned v = 0; r == 0 && v < inv->n; v++) {
		struct sfh_lease_change c = sfh_lease_change_of(e, p);
		enum sfh_slot_state state = inv->slots[v].state;

		if (!sfh_bdf_equal(&inv->slots[v].bdf, vf))
			continue;
		if ((state != SFH_SLOT_FREE && state != SFH_SLOT_LANDING) || !still_ours(e, inv, v))
			return sfh_err(err, -EBUSY, "VF %u of '%s' is %s", v, p->pf,
				       sfh_slot_state_name(inv->slots[v].state));
		return lease_vf(&c, inv, v, true, err);
	}
	return r < 0 ? r : sfh_err(err, -ENODEV, "its VF is not one of '%s'", p->pf);
}

/* The VF that an arriving guest was promised is one of those kept back for the
 * next arrival: it gets one of its own, or waits for one. */
static bool is_landing(const struct sfh_engine *e, const struct sfh_pair *p)
{
	const struct sfh_inventory *inv = sfh_inventory_find(e, p->lease.pf);

	return p->lease.reserved && inv && p->lease.vf < inv->n &&
	       inv->slots[p->lease.vf].landing;
}

/* It was kept for what its XML brought, and libvirt put its standby leg on another PF. */
static bool is_elsewhere(const struct sfh_pair *p)
{
	return p->lease.reserved && strcmp(p->lease.pf, p->pf) != 0;
}

void sfh_pool_landed(struct sfh_engine *e, struct sfh_pair *p)
{
	if (p->has_lease && (is_landing(e, p) || is_elsewhere(p)))
		sfh_pool_release(e, p);
}

int sfh_pool_lease(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_lease_change c;
	int r;

	sfh_pool_landed(e, p);
	if (!p->has_lease && p->has_next_wish) {
		p->wish = p->next_wish;
		p->has_next_wish = false;
	}
	if (!p->has_lease)
		return begin_lease(e, p, false, err);
	c = sfh_lease_change_of(e, p);
	c.lease = c.before = p->lease;
	c.kept = p->lease.reserved ? 0 : p->lease.changed & ~p->lease.refused;
	c.lease.reserved = false;
	c.lease.changed = p->wish.what | c.kept;
	c.lease.refused = 0;
	(void)sfh_strcpy(c.lease.profile, sizeof(c.lease.profile), p->profile);
	r = sfh_lease_run_again(&c, err);
	if (r == 0) {
		struct sfh_inventory *inv = sfh_inventory_find(e, p->pf);

		if (inv)
			sfh_inventory_take(inv, p->lease.vf, false);
	} else if (c.dirty) { /* it has to be cleaned when it is released */
		p->lease.reserved = false;
		p->lease.changed = c.lease.changed;
		(void)sfh_strcpy(p->lease.profile, sizeof(p->lease.profile), c.lease.profile);
	}
	return r;
}

int sfh_pool_adopt(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
		   struct sfh_error *err)
{
	struct sfh_lease lease = { .bdf = *vf, .mac = p->mac, .vlan = sfh_pool_vlan_of(p),
				   .changed = p->wish.what };
	struct sfh_inventory *inv = NULL;
	int r = sfh_inventory_get(e, p->pf, &inv, err);

	for (unsigned v = 0; r == 0 && v < inv->n; v++) {
		if (!sfh_bdf_equal(&inv->slots[v].bdf, vf))
			continue;
		lease.vf = v;
		(void)sfh_strcpy(lease.pf, sizeof(lease.pf), p->pf);
		(void)sfh_strcpy(lease.domain, sizeof(lease.domain), p->domain);
		(void)sfh_strcpy(lease.profile, sizeof(lease.profile), p->profile);
		r = sfh_ledger_lease_add(e->ledger, &lease, err);
		if (r == 0) {
			inv->slots[v].why[0] = '\0';
			sfh_inventory_take(inv, v, false);
			p->lease = lease;
			p->has_lease = true;
		}
		return r;
	}
	return r < 0 ? r : sfh_err(err, -ENODEV, "its VF is not one of '%s'", p->pf);
}
