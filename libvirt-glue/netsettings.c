// SPDX-License-Identifier: GPL-2.0-or-later
/* The elements that a network and a portgroup have in common: what holds for the
 * NICs on them, most of it said to their VFs. */
#include "libvirt-glue/netxml-internal.h"

#include "sfhybrid/abi.h"

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <string.h>

/* <… required='yes'|'no'>: what happens when the driver refuses it. */
static int get_required(const xmlNode *node, struct sfh_netdef *def, unsigned setting,
			bool required, struct sfh_error *err)
{
	static const char *const words[] = {"no", "yes"};
	int r = required;

	if (xmlHasProp((xmlNode *)node, BAD_CAST "required"))
		r = sfh_elem_word(node, "required", words, 2, err);
	if (r < 0)
		return r;
	def->set.vf.what |= setting;
	if (r == 0)
		def->set.vf.optional |= setting;
	return 0;
}

static int parse_tag(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"id", "priority", "protocol", NULL};
	static const char *const protocols[] = {"802.1Q", "802.1ad"};
	unsigned id = 0, priority = 8;
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_uint(node, "id", true, 1, 4094, &id, err);
	if (r == 0)
		r = sfh_elem_uint(node, "priority", false, 0, 7, &priority, err);
	if (r < 0)
		return r;
	if (id == SFH_PARK_VLAN)
		return sfh_err(err, -EINVAL,
			       "%s: <tag>: VLAN %u is the one in which sfhybrid parks VFs, "
			       "take another",
			       SFH_NETXML_WHAT, id);
	def->set.vf.cfg.vlan = (uint16_t)id;
	def->set.vf.what |= SFH_VF_VLAN;
	if (priority < 8) {
		def->set.vf.cfg.qos = (uint8_t)priority;
		def->set.vf.what |= SFH_VF_QOS;
	}
	if (xmlHasProp((xmlNode *)node, BAD_CAST "protocol")) {
		r = sfh_elem_word(node, "protocol", protocols, 2, err);
		if (r < 0)
			return r;
		def->set.vf.cfg.proto = r ? ETH_P_8021AD : ETH_P_8021Q;
		def->set.vf.what |= SFH_VF_PROTO;
	}
	return 0;
}

int sfh_elem_vlan(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const struct sfh_elem table[] = {{"tag", parse_tag, false}};
	int r = sfh_elem_check(node, NULL, true, err);

	if (r < 0)
		return r;
	r = sfh_elem_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!(def->set.vf.what & SFH_VF_VLAN))
		return sfh_err(err, -EINVAL, "%s: <vlan> needs <tag id='N'/>", SFH_NETXML_WHAT);
	return 0;
}

static int get_switch(const xmlNode *node, struct sfh_netdef *def, unsigned setting, bool *ret,
		      struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", "required", NULL};
	static const char *const words[] = {"off", "on"};
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_word(node, "mode", words, 2, err);
	if (r < 0)
		return r;
	*ret = r == 1;
	return get_required(node, def, setting, true, err);
}

int sfh_elem_trust(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	return get_switch(node, def, SFH_VF_TRUST, &def->set.vf.cfg.trust, err);
}

int sfh_elem_spoofchk(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	return get_switch(node, def, SFH_VF_SPOOFCHK, &def->set.vf.cfg.spoofchk, err);
}

int sfh_elem_link_state(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"state", "required", NULL};
	static const char *const words[] = {"auto", "enable", "disable"};
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_word(node, "state", words, 3, err);
	if (r < 0)
		return r;
	if (r == 2)
		return sfh_err(err, -EINVAL,
			       "%s: <link-state state='disable'/>: a VF whose link is down carries "
			       "nothing; <policy mode='never'/> keeps guests on their standby leg",
			       SFH_NETXML_WHAT);
	def->set.vf.cfg.link_state = r ? IFLA_VF_LINK_STATE_ENABLE : IFLA_VF_LINK_STATE_AUTO;
	return get_required(node, def, SFH_VF_LINK_STATE, false, err);
}

int sfh_elem_rate(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"min", "max", "required", NULL};
	unsigned min = 0, max = 0;
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_uint(node, "min", false, 1, SFH_NET_RATE_MAX, &min, err);
	if (r == 0)
		r = sfh_elem_uint(node, "max", false, 1, SFH_NET_RATE_MAX, &max, err);
	if (r < 0)
		return r;
	if (!min && !max)
		return sfh_err(err, -EINVAL, "%s: <rate> needs min='MBIT' or max='MBIT'",
			       SFH_NETXML_WHAT);
	if (max && min > max)
		return sfh_err(err, -EINVAL, "%s: <rate>: min %u is more than max %u",
			       SFH_NETXML_WHAT, min, max);
	def->set.vf.cfg.min_tx = min;
	def->set.vf.cfg.max_tx = max;
	return get_required(node, def, SFH_VF_RATE, false, err);
}

static int parse_parameters(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"managerid",  "typeid",    "typeidversion",
					    "instanceid", "profileid", NULL};

	(void)def; /* a profile that cannot be is a NIC's reason, see virtualport.h */
	return sfh_elem_check(node, attrs, false, err);
}

int sfh_elem_virtualport(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"type", NULL};
	static const char *const words[] = {"802.1Qbg", "802.1Qbh"};
	static const struct sfh_elem table[] = {{"parameters", parse_parameters, false}};
	int r = sfh_elem_check(node, attrs, true, err);

	if (r == 0)
		r = sfh_elem_word(node, "type", words, 2, err);
	if (r >= 0)
		r = sfh_elem_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	sfh_virtualport_read(node, &def->set.virtualport);
	return 0;
}

int sfh_elem_policy(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", "priority", NULL};
	unsigned priority = SFH_NET_PRIORITY_MAX + 1;
	int r = sfh_elem_check(node, attrs, false, err);

	if (r < 0)
		return r;
	r = sfh_elem_uint(node, "priority", false, 0, SFH_NET_PRIORITY_MAX, &priority, err);
	if (r < 0)
		return r;
	if (priority <= SFH_NET_PRIORITY_MAX) {
		def->set.has_priority = true;
		def->set.priority = (int)priority;
	}
	/* a priority may stand alone */
	if (def->set.has_priority && !xmlHasProp((xmlNode *)node, BAD_CAST "mode"))
		return 0;
	r = sfh_elem_word(node, "mode", sfh_netxml_policy_names, _SFH_NET_POLICY_MAX, err);
	if (r < 0)
		return r;
	def->policy = def->set.policy = (enum sfh_net_policy)r;
	def->set.has_policy = true;
	return 0;
}

int sfh_elem_guest(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"bond", NULL};
	static const char *const words[] = {"no", "yes"};
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_word(node, "bond", words, 2, err);
	if (r < 0)
		return r;
	def->set.has_guest = true;
	def->set.bond = r == 1;
	return 0;
}
