// SPDX-License-Identifier: GPL-2.0-or-later
/* After a restart of the agent: guests that were here before it, and what is left of
 * those that are not here any more. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine_priv.h"

struct remembered {
	const struct sfh_pair *pair;
	const struct sfh_guest_nic *nic;
	bool lease_found;
	struct sfh_lease lease;
	bool negotiated, held, arrived;
};

static int recall_lease(void *ctx, const struct sfh_lease *lease)
{
	struct remembered *r = ctx;
	bool carried = lease->reserved && r->nic->has_vf &&
		       sfh_bdf_equal(&lease->bdf, &r->nic->vf); /* and not landed yet */

	/* One of another PF is what its last run here left: swept. */
	if (strcmp(lease->domain, r->pair->domain) == 0 &&
	    (carried || strcmp(lease->pf, r->pair->pf) == 0) &&
	    sfh_mac_equal(&lease->mac, &r->pair->mac)) {
		r->lease = *lease;
		r->lease_found = true;
	}
	return 0;
}

static int recall_pair(void *ctx, const struct sfh_ledger_pair *row)
{
	struct remembered *r = ctx;

	if (strcmp(row->domain, r->pair->domain) == 0 && sfh_mac_equal(&row->mac, &r->pair->mac)) {
		r->negotiated = row->negotiated;
		r->held = row->held;
		r->arrived = strcmp(row->state, sfh_pair_state_name(SFH_PAIR_ARRIVING)) == 0 ||
			     strcmp(row->state, sfh_pair_state_name(SFH_PAIR_LANDING)) == 0;
	}
	return 0;
}

/* The live XML says whether there is a VF; the ledger, what it was before. */
void sfh_guest_take_over(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_guest_nic *nic)
{
	struct remembered known = { .pair = p, .nic = nic };
	struct sfh_vf_config now = { .vlan = 0 };
	struct sfh_error err = { 0 };
	int r;

	(void)sfh_ledger_leases(e->ledger, recall_lease, &known);
	(void)sfh_ledger_pairs(e->ledger, recall_pair, &known);
	p->negotiated = known.negotiated;
	p->was_reset = true;
	p->held = known.held;
	if (e->kernel->backlog) /* what waited was the last agent's, and went with it */
		(void)e->kernel->backlog(e->kernel_ctx, p, false, NULL);
	if (known.lease_found) {
		p->lease = known.lease;
		p->has_lease = true;
	}
	if (!nic->has_vf) {
		sfh_pool_release(e, p);
		p->state = SFH_PAIR_STANDBY;
		if (e->kernel->arm(e->kernel_ctx, p, &err) < 0)
			sfh_engine_log(e, LOG_WARNING, "%s", err.text);
		sfh_pair_filter(e, p, true);
		return;
	}
	if (known.arrived) { /* and the last agent ended then: QEMU may have no VF */
		p->landing = nic->vf;
		p->carried = true;
		p->state = SFH_PAIR_LANDING; /* whoever called considers next */
		return;
	}
	p->negotiated = true;
	p->state = SFH_PAIR_VF;
	if (!p->has_lease && sfh_pool_adopt(e, p, &nic->vf, &err) < 0) {
		sfh_engine_log(e, LOG_WARNING, "%s has a VF without a lease: %s", p->domain_name,
			       err.text);
		return;
	}
	/* A VF that is still parked was never proven: that goes on where it was. */
	r = e->kernel->vf_get(e->kernel_ctx, p->pf_ifindex, p->lease.vf, &now, &err);
	if (r == 0 && !(now.known & SFH_VF_MAC)) /* a driver that tells nothing */
		now.mac = p->mac;
	if (r == 0 && sfh_mac_equal(&now.mac, &p->mac))
		sfh_port_resume(e, p);
	p->parked = r == 0 && now.vlan == SFH_PARK_VLAN;
	p->negotiated = known.negotiated || !p->parked; /* else it boots, or QEMU is asked */
	/* One whose MAC is gone was being taken from a guest that had let go; as long as
	 * the guest has it, it is its own. */
	if (r == 0 && !p->parked && !sfh_mac_equal(&now.mac, &p->mac) &&
	    sfh_pool_unquiet(e, p, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
	if (p->parked) {
		sfh_pair_filter(e, p, true); /* until then it is on its standby leg */
		sfh_pair_prove(e, p);
		return;
	}
	if (sfh_pair_off_standby(e, p, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
}

/* --- the sweep --------------------------------------------------------------------------- */

struct sweep {
	struct sfh_engine *e;
	struct sfh_ledger_network *absent; /* networks that could not be brought back */
	size_t nabsent;
	struct sfh_lease *leases;
	size_t nleases;
	struct sfh_ledger_pair *rows;
	size_t nrows;
};

static void sweep_done(struct sweep *s)
{
	free(s->absent);
	free(s->leases);
	free(s->rows);
}

static int collect_lease(void *ctx, const struct sfh_lease *lease)
{
	struct sweep *s = ctx;
	const struct sfh_pair *p = sfh_engine_pair(s->e, lease->domain, &lease->mac);

	struct sfh_lease *more;

	if (p && p->has_lease && p->lease.vf == lease->vf && strcmp(p->lease.pf, lease->pf) == 0)
		return 0;
	more = reallocarray(s->leases, s->nleases + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->leases = more;
	s->leases[s->nleases++] = *lease;
	return 0;
}

static int collect_row(void *ctx, const struct sfh_ledger_pair *row)
{
	struct sfh_ledger_pair *more;
	struct sweep *s = ctx;

	for (size_t i = 0; i < s->nabsent; i++)
		if (strcmp(s->absent[i].name, row->network) == 0)
			return 0; /* its guests may well run: what they have is left alone */
	if (sfh_engine_pair(s->e, row->domain, &row->mac))
		return 0;
	more = reallocarray(s->rows, s->nrows + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->rows = more;
	s->rows[s->nrows++] = *row;
	return 0;
}

static int collect_absent(void *ctx, const struct sfh_ledger_network *row)
{
	struct sfh_ledger_network *more;
	struct sweep *s = ctx;

	if (sfh_engine_network(s->e, row->name))
		return 0;
	more = reallocarray(s->absent, s->nabsent + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->absent = more;
	s->absent[s->nabsent++] = *row;
	return 0;
}

unsigned sfh_engine_sweep(struct sfh_engine *e)
{
	_cleanup_(sweep_done) struct sweep all = { .e = e };
	struct sweep *s = &all;
	unsigned given_back = 0;

	/* Half a list of networks would cost their guests what they have. */
	if (sfh_ledger_networks(e->ledger, collect_absent, s) < 0 ||
	    sfh_ledger_leases(e->ledger, collect_lease, s) < 0 ||
	    sfh_ledger_pairs(e->ledger, collect_row, s) < 0) {
		sfh_engine_log(e, LOG_ERR, "what guests left that are gone is not given back");
		return 0;
	}
	for (size_t i = 0; i < s->nleases; i++) {
		const struct sfh_lease *lease = &s->leases[i];
		struct sfh_pair ghost = { .lease = *lease, .has_lease = true, .mac = lease->mac };

		for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
			if (sfh_network_pf_ifindex(n, lease->pf))
				ghost.pf_ifindex = sfh_network_pf_ifindex(n, lease->pf);
		if (!ghost.pf_ifindex)
			continue;
		(void)sfh_strcpy(ghost.pf, sizeof(ghost.pf), lease->pf);
		sfh_pool_release(e, &ghost);
		given_back++;
	}
	for (size_t i = 0; i < s->nrows; i++) {
		struct sfh_pair ghost = { .mac = s->rows[i].mac, .vlan = s->rows[i].vlan,
					  .pf_ifindex = s->rows[i].pf_ifindex };

		(void)e->kernel->unstage(e->kernel_ctx, &ghost, NULL);
		(void)sfh_ledger_pair_del(e->ledger, s->rows[i].domain, &s->rows[i].mac, NULL);
	}
	return given_back;
}
