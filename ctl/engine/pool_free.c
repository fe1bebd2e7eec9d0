// SPDX-License-Identifier: GPL-2.0-or-later
/* VFs that become free: given back, tried again if that failed, and who is called
 * for them. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/inventory.h"
#include "ctl/engine/pool_priv.h"

#define MS 1000000ull

/* --- giving back ------------------------------------------------------------------------- */

static int give_back(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		     struct sfh_error *err)
{
	int r = lease->reserved ? 0 : sfh_pool_quiet_lease(e, ifindex, lease, err);

	if (r == 0 && !lease->reserved)
		r = sfh_pool_put_back(e, ifindex, lease, lease->changed & ~lease->refused, err);
	return r < 0 ? r : sfh_ledger_lease_del(e->ledger, lease->pf, lease->vf, err);
}

void sfh_pool_stick(struct sfh_engine *e, struct sfh_inventory *inv, const struct sfh_lease *lease)
{
	struct sfh_slot *s = inv && lease->vf < inv->n ? &inv->slots[lease->vf] : NULL;

	if (!s)
		return;
	sfh_inventory_take(inv, lease->vf, false);
	if (!s->stuck && (s->stuck = malloc(sizeof(*s->stuck))))
		inv->nstuck++;
	if (!s->stuck)
		return;
	*s->stuck = *lease;
	if (e->unstick_ns)
		return;
	e->unstick_wait_ns = SFH_LEASE_RETRY_MS * MS;
	e->unstick_ns = e->now() + e->unstick_wait_ns;
}

bool sfh_pool_unstick(struct sfh_engine *e, struct sfh_inventory *inv)
{
	unsigned tries = SFH_POOL_CANDIDATES;
	bool any = false;

	for (unsigned v = 0; v < inv->n && inv->nstuck && tries; v++) {
		struct sfh_slot *s = &inv->slots[v];

		if (!s->stuck)
			continue;
		tries--;
		if (give_back(e, inv->pf_ifindex, s->stuck, NULL) < 0)
			continue;
		sfh_inventory_give(e, inv, v);
		any = true;
	}
	return any;
}

/* Who was refused a VF, perhaps because its own last one was stuck. */
static void wake_refused(struct sfh_engine *e, const char *pf)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_VF_REFUSED &&
		    strcmp(p->pf, pf) == 0)
			p->retry_ns = e->now();
}

uint64_t sfh_pool_next(const struct sfh_engine *e)
{
	for (const struct sfh_inventory *inv = e->inventory; inv; inv = inv->next)
		if (inv->nstuck)
			return e->unstick_ns;
	return 0;
}

void sfh_pool_tick(struct sfh_engine *e, uint64_t now)
{
	unsigned left = 0;

	if (!e->unstick_ns || e->unstick_ns > now)
		return;
	for (struct sfh_inventory *inv = e->inventory; inv; inv = inv->next) {
		if (inv->nstuck && sfh_pool_unstick(e, inv)) {
			wake_refused(e, inv->pf);
			sfh_pool_freed(e, inv->pf);
		}
		left += inv->nstuck;
	}
	e->unstick_wait_ns *= 2;
	if (e->unstick_wait_ns > SFH_UNSTICK_MOST_MS * MS)
		e->unstick_wait_ns = SFH_UNSTICK_MOST_MS * MS;
	e->unstick_ns = left ? now + e->unstick_wait_ns : 0;
}

/* --- who gets it ------------------------------------------------------------------------- */

/* Calls the first of those that wait; of equals the one that waits longest, since
 * the list has the newest first. One that is called already has its own VF coming. */
static void wake(struct sfh_engine *e, const char *pf)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);
	struct sfh_pair *best = NULL;
	uint64_t now = e->now();
	unsigned waiting = 0;

	if (inv && !inv->waiting)
		return;
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_NO_FREE_VF &&
		    strcmp(p->pf, pf) == 0 && (!p->retry_ns || p->retry_ns > now)) {
			waiting++;
			if (!best || p->priority >= best->priority)
				best = p;
		}
	if (inv)
		inv->waiting = waiting > 1;
	if (!best)
		return;
	best->retry_ns = now;
	(void)sfh_strcpy(best->next_cause, sizeof(best->next_cause), "vf-freed");
}

void sfh_pool_freed(struct sfh_engine *e, const char *pf)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);

	if (inv)
		inv->stale = inv->waiting = true;
	wake(e, pf);
}

int sfh_pool_end(struct sfh_engine *e, int pf_ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, lease->pf);
	int r = give_back(e, pf_ifindex, lease, err);

	if (r < 0) {
		sfh_pool_stick(e, inv, lease);
		return r;
	}
	if (inv)
		sfh_inventory_give(e, inv, lease->vf);
	if (!inv || inv->count[SFH_SLOT_FREE])
		wake(e, lease->pf);
	return 0;
}

void sfh_pool_release(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	if (!p->has_lease)
		return;
	p->has_lease = p->parked = false;
	sfh_port_forget(p);
	/* The row stays: a VF with a MAC and no lease is what must not be. */
	if (sfh_pool_end(e, sfh_pool_ifindex(e, p), &p->lease, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "VF %u of '%s' keeps its lease: %s", p->lease.vf,
			       p->lease.pf, err.text);
}

int sfh_pool_refresh(struct sfh_engine *e, const char *network, struct sfh_error *err)
{
	const struct sfh_engine_network *net = sfh_engine_network(e, network);
	int ret = 0;

	for (size_t i = 0; net && i < net->npfs; i++) {
		struct sfh_inventory *inv = sfh_inventory_find(e, net->pfs[i]);

		if (inv)
			inv->stale = true;
	}
	for (size_t i = 0; net && i < net->npfs; i++) {
		struct sfh_inventory *inv;
		int r = sfh_inventory_get(e, net->pfs[i], &inv, ret ? NULL : err);

		if (r == 0 && inv->count[SFH_SLOT_FREE])
			wake(e, net->pfs[i]); /* found what somebody waits for */
		ret = ret ? ret : r;
	}
	return ret;
}
