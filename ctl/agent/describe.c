// SPDX-License-Identifier: GPL-2.0-or-later
/* From what libvirt says of a domain to what the engine wants to know of it. */
#include <string.h>

#include "ctl/agent/agent.h"

/* What the NIC itself says takes the place of what portgroup and network say
 * (docs/network-xml.md, precedence). */
static void fill_wish(const struct sfh_net_settings *set, const struct sfh_dom_nic *nic,
		      struct sfh_vf_wish *wish)
{
	struct sfh_vf_wish own = { .what = 0 };

	if (nic->vlan) {
		own.cfg.vlan = (uint16_t)nic->vlan;
		own.what |= SFH_VF_VLAN;
	}
	if (nic->outbound_kbytes) { /* kB/s; the standby leg is shaped by libvirt */
		uint64_t mbit = (nic->outbound_kbytes * 8 + 999) / 1000;

		own.cfg.min_tx = set->vf.what & SFH_VF_RATE ? set->vf.cfg.min_tx : 0;
		own.cfg.max_tx = mbit < SFH_NET_RATE_MAX ? (uint32_t)mbit : SFH_NET_RATE_MAX;
		if (own.cfg.min_tx > own.cfg.max_tx)
			own.cfg.min_tx = 0;
		own.what |= SFH_VF_RATE;
		own.optional |= SFH_VF_RATE & ~(set->vf.what & ~set->vf.optional);
	}
	*wish = set->vf;
	sfh_vf_wish_merge(wish, &own);
}

static void fill(const struct sfh_netdef *def, const struct sfh_domdesc *desc,
		 const struct sfh_dom_nic *nic, struct sfh_guest_nic *ret)
{
	char alias[SFH_ALIAS_SIZE];
	const struct sfh_dom_hostdev *vf =
		sfh_domdesc_find_hostdev(desc, sfh_alias_vf(&nic->mac, alias));
	struct sfh_net_settings set;
	enum sfh_net_policy policy;
	const char *profile;
	bool bond;

	sfh_netdef_settings(def, nic->portgroup, &set);
	sfh_virtualport_merge(&set.virtualport, &nic->virtualport);
	profile = sfh_virtualport_profile(&set.virtualport);
	bond = set.bond && !nic->teaming_persistent;
	policy = set.has_policy ? set.policy : def->policy;
	*ret = (struct sfh_guest_nic){
		.mac = nic->mac,
		.adopted = (nic->teaming_persistent || bond) && strncmp(nic->alias, "ua-", 3) == 0,
		.bond = bond,
		.mtu = nic->mtu,
		.has_vf = vf != NULL,
		.never = policy == SFH_NET_POLICY_NEVER,
		.require = policy == SFH_NET_POLICY_REQUIRE,
		.priority = set.priority,
		/* Of port profiles a VF can have 802.1Qbh alone. */
		.barred = set.virtualport.given && !profile ? SFH_REASON_PORT_PROFILE
			  : !desc->q35			    ? SFH_REASON_NOT_Q35
							    : SFH_REASON_NONE,
	};
	(void)sfh_strcpy(ret->profile, sizeof(ret->profile), profile ? profile : "");
	fill_wish(&set, nic, &ret->wish);
	if (ret->wish.what & SFH_VF_VLAN) /* both legs are in it */
		ret->vlan = ret->wish.cfg.vlan;
	if (vf)
		ret->vf = vf->bdf;
	(void)sfh_strcpy(ret->network, sizeof(ret->network), nic->network);
	(void)sfh_strcpy(ret->alias, sizeof(ret->alias), nic->alias);
	if (nic->type == SFH_NIC_DIRECT) {
		ret->kind = def->mode == SFH_MODE_MACVTAP_VEPA ? SFH_STANDBY_MACVTAP_VEPA :
								   SFH_STANDBY_MACVTAP;
		(void)sfh_strcpy(ret->pf, sizeof(ret->pf), nic->source_dev);
		(void)sfh_strcpy(ret->standby, sizeof(ret->standby), nic->target_dev);
	} else if (nic->type == SFH_NIC_BRIDGE) {
		/* A bridge has its network's one PF as uplink. */
		ret->kind = SFH_STANDBY_TAP;
		(void)sfh_strcpy(ret->pf, sizeof(ret->pf), def->pfs[0].dev);
		(void)sfh_strcpy(ret->standby, sizeof(ret->standby), nic->target_dev);
	}
}

int sfh_describe(const struct sfh_agent *a, const char *xml, size_t len,
		 struct sfh_described *ret, struct sfh_error *err)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	struct sfh_described d = { .carried = 0 };
	int r = sfh_domdesc_parse(xml, len, &desc, err);

	if (r < 0)
		return r;
	d.nics = calloc(desc->nnics ? desc->nnics : 1, sizeof(*d.nics));
	if (!d.nics)
		return sfh_err(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < desc->nhostdevs; i++)
		d.carried += sfh_alias_parse(desc->hostdevs[i].alias, NULL) == SFH_ALIAS_VF;
	(void)sfh_strcpy(d.guest.uuid, sizeof(d.guest.uuid), desc->uuid);
	(void)sfh_strcpy(d.guest.name, sizeof(d.guest.name), desc->name);
	d.guest.memory_kib = desc->memory_kib;
	for (size_t i = 0; i < desc->nnics; i++) {
		const struct sfh_agent_network *n = sfh_agent_network(a, desc->nics[i].network);

		if (n && desc->nics[i].type != SFH_NIC_HOSTDEV)
			fill(n->def, desc, &desc->nics[i], &d.nics[d.guest.nnics++]);
	}
	d.guest.nics = d.nics;
	*ret = d;
	return 0;
}

void sfh_described_done(struct sfh_described *d)
{
	free(d->nics);
	d->nics = NULL;
}
