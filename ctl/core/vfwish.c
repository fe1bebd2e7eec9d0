// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/vfwish.h"

#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

static const struct {
	unsigned bit;
	const char *name;
} names[] = {
	{ SFH_VF_MAC, "mac" },		     { SFH_VF_VLAN, "vlan" },
	{ SFH_VF_QOS, "vlan-priority" },     { SFH_VF_PROTO, "vlan-protocol" },
	{ SFH_VF_TRUST, "trust" },	     { SFH_VF_SPOOFCHK, "spoofchk" },
	{ SFH_VF_LINK_STATE, "link-state" }, { SFH_VF_RATE, "rate" },
};

void sfh_vf_config_copy(struct sfh_vf_config *to, const struct sfh_vf_config *from, unsigned what)
{
	if (what & SFH_VF_MAC)
		to->mac = from->mac;
	if (what & SFH_VF_VLAN)
		to->vlan = from->vlan;
	if (what & SFH_VF_QOS)
		to->qos = from->qos;
	if (what & SFH_VF_PROTO)
		to->proto = from->proto;
	if (what & SFH_VF_TRUST)
		to->trust = from->trust;
	if (what & SFH_VF_SPOOFCHK)
		to->spoofchk = from->spoofchk;
	if (what & SFH_VF_LINK_STATE)
		to->link_state = from->link_state;
	if (what & SFH_VF_RATE) {
		to->min_tx = from->min_tx;
		to->max_tx = from->max_tx;
	}
}

void sfh_vf_wish_merge(struct sfh_vf_wish *wish, const struct sfh_vf_wish *over)
{
	unsigned what = over->what;

	if (what & SFH_VF_VLAN) /* without them priority 0 and 802.1Q */
		wish->what &= ~SFH_VF_VLAN_PARTS;
	sfh_vf_config_copy(&wish->cfg, &over->cfg, what);
	wish->what |= what;
	wish->optional = (wish->optional & ~what) | over->optional;
}

static uint16_t proto_of(const struct sfh_vf_config *cfg)
{
	return cfg->proto ? cfg->proto : ETH_P_8021Q;
}

unsigned sfh_vf_config_differs(const struct sfh_vf_config *is, const struct sfh_vf_config *want,
			       unsigned what)
{
	unsigned d = 0;

	if (!(is->known & SFH_VF_MAC)) /* a driver that tells nothing: it is believed */
		return 0;
	if (!sfh_mac_equal(&is->mac, &want->mac))
		d |= SFH_VF_MAC;
	if (is->vlan != want->vlan)
		d |= SFH_VF_VLAN;
	/* MAC and VLAN are always told (rtnl_fill_vfinfo), the rest by some drivers. */
	if ((is->known & SFH_VF_QOS) && is->qos != want->qos)
		d |= SFH_VF_QOS;
	if ((is->known & SFH_VF_PROTO) && proto_of(is) != proto_of(want))
		d |= SFH_VF_PROTO;
	if ((is->known & SFH_VF_TRUST) && is->trust != want->trust)
		d |= SFH_VF_TRUST;
	if ((is->known & SFH_VF_SPOOFCHK) && is->spoofchk != want->spoofchk)
		d |= SFH_VF_SPOOFCHK;
	if ((is->known & SFH_VF_LINK_STATE) && is->link_state != want->link_state)
		d |= SFH_VF_LINK_STATE;
	if ((is->known & SFH_VF_RATE) && (is->min_tx != want->min_tx || is->max_tx != want->max_tx))
		d |= SFH_VF_RATE;
	return d & what;
}

const char *sfh_vf_setting_name(unsigned bit)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(names); i++)
		if (names[i].bit == bit)
			return names[i].name;
	return NULL;
}

char *sfh_vf_settings_format(unsigned what, char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < SFH_ARRAY_SIZE(names); i++)
		if ((what & names[i].bit) && used < n)
			used += (size_t)snprintf(buf + used, n - used, "%s%s", used ? ", " : "",
						 names[i].name);
	return buf;
}
