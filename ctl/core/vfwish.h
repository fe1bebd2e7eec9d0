/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest NIC's VF is to be told beside its MAC: the sum of what the
 * network, the portgroup and the NIC itself say (docs/network-xml.md). */
#ifndef SFH_CORE_VFWISH_H
#define SFH_CORE_VFWISH_H

#include "ctl/core/netlink.h"

/* The VLAN's parts go together. */
#define SFH_VF_VLAN_PARTS (SFH_VF_VLAN | SFH_VF_QOS | SFH_VF_PROTO)
/* Settings beside MAC and VLAN: each is set, refused and put back by itself. */
#define SFH_VF_EXTRAS (SFH_VF_TRUST | SFH_VF_SPOOFCHK | SFH_VF_LINK_STATE | SFH_VF_RATE)

struct sfh_vf_wish {
	struct sfh_vf_config cfg;
	unsigned what;	   /* SFH_VF_… that are asked for; never the MAC */
	unsigned optional; /* of them those whose refusal is reported, and no failure */
};

/* Whatever `over` says takes the place of what `wish` said, setting by setting;
 * the VLAN with its priority and ethertype is one setting. */
void sfh_vf_wish_merge(struct sfh_vf_wish *wish, const struct sfh_vf_wish *over);

/* Copies the settings that `what` names. */
void sfh_vf_config_copy(struct sfh_vf_config *to, const struct sfh_vf_config *from, unsigned what);
/* Which of the settings in `what` differ, those left out that `is` does not know. */
unsigned sfh_vf_config_differs(const struct sfh_vf_config *is, const struct sfh_vf_config *want,
			       unsigned what);

/* "trust", "rate"; the name that XML and --json use. NULL if it is not one bit. */
const char *sfh_vf_setting_name(unsigned bit);
/* "trust, rate"; returns buf. */
char *sfh_vf_settings_format(unsigned what, char *buf, size_t n);

#endif
