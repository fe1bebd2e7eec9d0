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

/* The VFs of this host in the place of those that came along. */
static int place_vfs(struct sfh_agent *a, const struct sfh_guest_desc *guest, const char *xml,
		     size_t len, char **ret_xml, struct sfh_error *err)
{
	struct sfh_vf_place places[64];
	char aliases[SFH_ARRAY_SIZE(places)][SFH_ALIAS_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_pair *p =
			sfh_engine_pair(&a->engine, guest->uuid, &guest->nics[i].mac);

		if (!guest->nics[i].has_vf)
			continue;
		if (!p || !p->carried || n == SFH_ARRAY_SIZE(places))
			return sfh_err(err, -EBUSY, "'%s' is known here already", guest->name);
		places[n].vf_alias = sfh_alias_vf(&p->mac, aliases[n]);
		places[n++].bdf = p->landing;
	}
	return sfh_domxml_place_vfs(xml, len, places, n, ret_xml, err);
}

static unsigned with_vf(const struct sfh_guest_desc *guest)
{
	unsigned n = 0;

	for (size_t i = 0; i < guest->nnics; i++)
		n += guest->nics[i].has_vf;
	return n;
}

/* The first VF under a QEMU pins its memory and faults in each page that was never
 * touched, the guest standing still, right after it went on here: better before it comes.
 * A failure is no reason to refuse the guest. */
static void populate(const char *xml, size_t len, char **xml_answer)
{
	const char *from = *xml_answer ? *xml_answer : xml;
	struct sfh_error err = { 0 };
	char *populated = NULL;

	if (sfh_domxml_populate(from, *xml_answer ? strlen(from) : len, &populated, &err) < 0)
		sfh_agent_log(LOG_WARNING, "%s", err.text);
	if (!populated)
		return;
	free(*xml_answer);
	*xml_answer = populated;
}

/* How it can be had without a VF in the XML. */
static void add_way_out(const char *op, const char *name, struct sfh_error *err)
{
	const struct sfh_error was = *err;

	*err = (struct sfh_error){ 0 };
	if (strcmp(op, "restore") == 0)
		(void)sfh_err(err, was.code,
			      "'%s' was saved with a VF, and %s: restore it when one is free, or put "
			      "it on its standby leg before saving it ('sfhybrid-ctl standby %s')",
			      name, was.text, name);
	else
		(void)sfh_err(err, was.code,
			      "'%s' comes with its VF plugged, and %s: migrate it with "
			      "'sfhybrid-ctl migrate %s URI' on the source host, which takes it off "
			      "first", name, was.text, name);
}

static int arriving(struct sfh_agent *a, const char *op, const struct sfh_described *d,
		    const char *xml, size_t len, char **ret_xml, struct sfh_error *err)
{
	int r = 0;

	if (d->carried > with_vf(&d->guest))
		r = sfh_err(err, -ENOENT, "its hybrid network is not up on this host");
	if (r == 0 && (d->carried || strcmp(op, "migrate") == 0))
		r = sfh_engine_guest_arriving(&a->engine, &d->guest, err);
	if (r == 0 && d->carried) {
		r = place_vfs(a, &d->guest, xml, len, ret_xml, err);
		if (r < 0)
			sfh_engine_guest_event(&a->engine, d->guest.uuid, SFH_EV_DEADLINE, NULL);
	}
	if (r == 0 && strcmp(op, "migrate") == 0 && sfh_engine_guest_pins(&a->engine, &d->guest))
		populate(xml, len, ret_xml);
	if (r < 0 && d->carried)
		add_way_out(op, d->guest.name, err);
	return r;
}

int sfh_hook_answer(struct sfh_agent *a, const char *op, const char *xml, size_t len,
		    char **ret_xml, struct sfh_error *err)
{
	struct sfh_described d;
	int r = sfh_describe(a, xml, len, &d, err);

	if (r < 0)
		return r;
	if (strcmp(op, "prepare") == 0 && d.guest.nnics == 0) {
		/* The hook asks only for guests on a network with the policy `require` that
		 * was up: this agent has just started and has not brought it up again. */
		r = sfh_err(err, -EAGAIN,
			    "the network that '%s' requires a VF of is not up again yet: try it in a "
			    "moment ('sfhybrid-ctl status')",
			    d.guest.name);
	} else {
		r = check_required(a, &d.guest, err);
		if (r == 0 && strcmp(op, "prepare") != 0)
			r = arriving(a, op, &d, xml, len, ret_xml, err);
	}
	sfh_agent_log(r < 0 ? LOG_NOTICE : LOG_INFO, "hook %s of '%s': %s", op, d.guest.name,
		      r < 0 ? err->text : "passes");
	sfh_described_done(&d);
	sfh_agent_rearm(a);
	return r;
}
