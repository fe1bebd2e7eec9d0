// SPDX-License-Identifier: GPL-2.0-or-later
/* What the qemu hook asks. libvirtd waits for the answer, with locks held: it
 * comes from memory. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

/* Policy `require`: a guest that gets no VF does not start here. */
static int check_required(struct sfh_agent *a, const struct sfh_guest_desc *guest,
			  struct sfh_error *err)
{
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_agent_network *n = sfh_agent_network(a, nic->network);
		const struct sfh_pair *p = sfh_engine_pair(&a->engine, guest->uuid, &nic->mac);
		bool found = p && p->has_lease;

		if (!n || !nic->require)
			continue;
		if (!nic->adopted)
			return sfh_err(err, -EPERM,
				       "network '%s' requires a VF and the NIC of '%s' is not adopted yet: "
				       "define the domain again with the agent running",
				       nic->network, guest->name);
		for (size_t k = 0; k < n->def->npfs && !found; k++)
			found = sfh_pool_peek(&a->engine, n->def->pfs[k].dev, NULL) == 0;
		if (!found)
			return sfh_err(err, -ENOSPC,
				       "network '%s' requires a VF for '%s' and none is free; "
				       "'sfhybrid-ctl status %s' shows who has them",
				       nic->network, guest->name, nic->network);
	}
	return 0;
}

int sfh_hook_answer(struct sfh_agent *a, const char *op, const char *xml, size_t len,
		    struct sfh_error *err)
{
	struct sfh_described d;
	int r = sfh_describe(a, xml, len, &d, err);

	if (r < 0)
		return r;
	if (d.carries_vf) {
		/* The VF's address is the other host's; that QEMU would open inside the
		 * pause, if at all. */
		if (strcmp(op, "restore") == 0)
			r = sfh_err(err, -EOPNOTSUPP,
				    "the saved image of '%s' holds a VF of the host it was saved on: "
				    "put the guest on its standby leg ('sfhybrid-ctl standby %s') "
				    "before saving it",
				    d.guest.name, d.guest.name);
		else
			r = sfh_err(err, -EOPNOTSUPP,
				    "'%s' comes with its VF plugged: migrate it with "
				    "'sfhybrid-ctl migrate %s URI' on the source host",
				    d.guest.name, d.guest.name);
	} else if (strcmp(op, "prepare") == 0 && d.guest.nnics == 0) {
		/* The hook asks only for guests on a network with the policy `require` that
		 * was up: this agent has just started and has not brought it up again. */
		r = sfh_err(err, -EAGAIN,
			    "the network that '%s' requires a VF of is not up again yet: try it in a "
			    "moment ('sfhybrid-ctl status')",
			    d.guest.name);
	} else {
		r = check_required(a, &d.guest, err);
		if (r == 0 && strcmp(op, "migrate") == 0)
			sfh_engine_guest_arriving(&a->engine, &d.guest);
	}
	sfh_agent_log(r < 0 ? LOG_NOTICE : LOG_INFO, "hook %s of '%s': %s", op, d.guest.name,
		      r < 0 ? err->text : "passes");
	sfh_described_done(&d);
	sfh_agent_rearm(a);
	return r;
}
