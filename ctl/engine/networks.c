// SPDX-License-Identifier: GPL-2.0-or-later
/* The networks that are up: what is known of them, and what changes while they are. */
#include <string.h>

#include "ctl/engine/engine_priv.h"
#include "ctl/engine/inventory.h"
#include "ctl/engine/warm.h"

const struct sfh_engine_network *sfh_engine_network(const struct sfh_engine *e, const char *name)
{
	for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

void sfh_engine_network_remove(struct sfh_engine *e, const char *name)
{
	sfh_inventory_forget(e, name);
	for (struct sfh_engine_network **at = &e->networks; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct sfh_engine_network *dead = *at;

			*at = dead->next;
			free(dead);
			return;
		}
}

int sfh_engine_network_add(struct sfh_engine *e, const struct sfh_engine_network *network)
{
	struct sfh_engine_network *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	sfh_engine_network_remove(e, network->name);
	*copy = *network;
	copy->next = e->networks;
	e->networks = copy;
	return 0;
}

unsigned sfh_engine_network_pairs(const struct sfh_engine *e, const char *name)
{
	unsigned n = 0;

	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		n += strcmp(p->network, name) == 0;
	return n;
}

int sfh_network_pf_ifindex(const struct sfh_engine_network *net, const char *pf)
{
	for (size_t i = 0; i < net->npfs; i++)
		if (strcmp(net->pfs[i], pf) == 0)
			return net->pf_ifindex[i];
	return 0;
}

/* --- what changes ------------------------------------------------------------------------ */

void sfh_engine_network_changed(struct sfh_engine *e, const char *name, bool never,
				unsigned landing, unsigned probe_interval_ms)
{
	for (struct sfh_engine_network *n = e->networks; n; n = n->next)
		if (strcmp(n->name, name) == 0) {
			n->never = never;
			n->landing = landing;
			if (n->probe_interval_ms != probe_interval_ms)
				sfh_engine_warm_anew(e, name);
			n->probe_interval_ms = probe_interval_ms;
		}
	(void)sfh_pool_refresh(e, name, NULL); /* what is kept back, and who waits for it */
}

void sfh_engine_nic_changed(struct sfh_engine *e, const char *uuid,
			    const struct sfh_guest_nic *nic)
{
	struct sfh_pair *p = sfh_engine_pair(e, uuid, &nic->mac);

	if (!p)
		return;
	p->never = nic->never;
	p->priority = nic->priority;
	p->next_wish = nic->wish;
	p->next_wish.what &= ~SFH_VF_VLAN_PARTS;
	p->next_wish.what |= p->wish.what & SFH_VF_VLAN_PARTS;
	sfh_vf_config_copy(&p->next_wish.cfg, &p->wish.cfg, SFH_VF_VLAN_PARTS);
	p->has_next_wish = true;
	if (p->state == SFH_PAIR_STANDBY)
		sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, NULL);
}

void sfh_engine_pf_trouble(struct sfh_engine *e, int ifindex, enum sfh_reason trouble)
{
	for (struct sfh_engine_network *n = e->networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (n->pf_ifindex[i] == ifindex)
				n->pf_trouble[i] = trouble;
	for (struct sfh_pair *p = e->pairs, *next; p; p = next) {
		next = p->next;
		/* One on its VF stays there: what it has works, or nothing does. */
		if (p->pf_ifindex == ifindex && p->state == SFH_PAIR_STANDBY)
			sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, trouble ? NULL : "pf-back");
	}
}

enum sfh_reason sfh_engine_pf_trouble_of(const struct sfh_engine *e, int ifindex)
{
	for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (n->pf_ifindex[i] == ifindex)
				return n->pf_trouble[i];
	return SFH_REASON_NONE;
}
