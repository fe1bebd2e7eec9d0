// SPDX-License-Identifier: GPL-2.0-or-later
/* A snapshot takes seconds; guests start and stop meanwhile, and get and lose VFs. What was
 * nobody's when it was begun may be a guest's when it is mended. */
#include <string.h>

#include "ctl/engine/check.h"

struct holder {
	const struct sfh_finding *f;
	bool any;  /* somebody has a lease for the finding's VF now, */
	bool same; /* and it is who the finding says */
};

static int find_holder(void *ctx, const struct sfh_lease *lease)
{
	struct holder *h = ctx;

	if (lease->vf != h->f->vf || strcmp(lease->pf, h->f->pf) != 0)
		return 0;
	h->any = true;
	h->same = strcmp(lease->domain, h->f->domain) == 0 &&
		  sfh_mac_equal(&lease->mac, &h->f->mac);
	return 1;
}

static int has_the_vf(const struct sfh_engine *e, const struct sfh_finding *f, bool somebody,
		      struct sfh_error *err)
{
	const struct sfh_pair *p = somebody ? sfh_engine_pair(e, f->domain, &f->mac) : NULL;
	struct holder h = { .f = f };

	if (sfh_ledger_leases(e->ledger, find_holder, &h) < 0)
		return sfh_err(err, -EIO, "cannot read the ledger");
	if (somebody ? !h.same : h.any)
		return sfh_err(err, -EAGAIN, "VF %u of '%s' has changed hands since", f->vf, f->pf);
	if (p && f->kind != SFH_FINDING_LEASE_OF_NOBODY && p->state != SFH_PAIR_VF)
		return sfh_err(err, -EAGAIN, "the pair is in the middle of a switch");
	return 0;
}

int sfh_finding_holds(const struct sfh_engine *e, const struct sfh_finding *f, uint64_t since_ns,
		      struct sfh_error *err)
{
	const struct sfh_pair *p;

	switch (f->kind) {
	case SFH_FINDING_LEAKED_VF:
	case SFH_FINDING_DUPLICATE_MAC:
	case SFH_FINDING_STALE_SETTING:
	case SFH_FINDING_LEASE_MISSING:
		return has_the_vf(e, f, false, err);
	case SFH_FINDING_WRONG_MAC:
	case SFH_FINDING_LEASE_OF_NOBODY:
		return has_the_vf(e, f, true, err);
	case SFH_FINDING_STALE_VLAN:
		return has_the_vf(e, f, f->domain[0] != '\0', err);
	case SFH_FINDING_PAIR_OF_NOBODY:
		p = sfh_engine_pair(e, f->domain, &f->mac);
		return p && p->born_ns >= since_ns
			       ? sfh_err(err, -EAGAIN, "'%s' has started since", p->domain_name)
			       : 0;
	default:
		return 0;
	}
}
