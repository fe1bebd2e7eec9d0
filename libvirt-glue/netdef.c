// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions about a definition that was read: names, precedence, lookups. */
#include "libvirt-glue/netxml-internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *const sfh_netxml_mode_names[_SFH_MODE_MAX] = {
	[SFH_MODE_MACVTAP_BRIDGE] = "macvtap-bridge",
	[SFH_MODE_MACVTAP_PRIVATE] = "macvtap-private",
	[SFH_MODE_MACVTAP_VEPA] = "macvtap-vepa",
	[SFH_MODE_LINUX_BRIDGE] = "linux-bridge",
};

const char *const sfh_netxml_policy_names[_SFH_NET_POLICY_MAX] = {
	[SFH_NET_POLICY_PREFER] = "prefer",
	[SFH_NET_POLICY_REQUIRE] = "require",
	[SFH_NET_POLICY_NEVER] = "never",
};

const char *sfh_standby_mode_name(enum sfh_standby_mode mode)
{
	return (unsigned)mode < _SFH_MODE_MAX ? sfh_netxml_mode_names[mode] : NULL;
}

const char *sfh_net_policy_name(enum sfh_net_policy policy)
{
	return (unsigned)policy < _SFH_NET_POLICY_MAX ? sfh_netxml_policy_names[policy] : NULL;
}

void sfh_netdef_freep(struct sfh_netdef **def)
{
	if (!*def)
		return;
	free((*def)->pfs);
	free((*def)->excluded);
	free((*def)->portgroups);
	free(*def);
	*def = NULL;
}

unsigned sfh_netdef_pf_vfs(const struct sfh_netdef *def, size_t i)
{
	return def->pfs[i].vfs ? def->pfs[i].vfs : def->vfs;
}

unsigned sfh_netdef_landing(const struct sfh_netdef *def)
{
	return def->landing < 0 ? 1 : (unsigned)def->landing;
}

static const struct sfh_netdef_portgroup *portgroup_of(const struct sfh_netdef *def,
						       const char *name)
{
	for (size_t i = 0; i < def->nportgroups; i++)
		if (*name ? !strcmp(def->portgroups[i].name, name) : def->portgroups[i].is_default)
			return &def->portgroups[i];
	return NULL;
}

void sfh_netdef_settings(const struct sfh_netdef *def, const char *portgroup,
			 struct sfh_net_settings *ret)
{
	const struct sfh_netdef_portgroup *group = portgroup_of(def, portgroup);

	*ret = def->set;
	if (!group)
		return;
	sfh_vf_wish_merge(&ret->vf, &group->set.vf);
	if (group->set.has_policy) {
		ret->has_policy = true;
		ret->policy = group->set.policy;
	}
	if (group->set.has_priority) {
		ret->has_priority = true;
		ret->priority = group->set.priority;
	}
	if (group->set.has_guest) {
		ret->has_guest = true;
		ret->bond = group->set.bond;
	}
	sfh_virtualport_merge(&ret->virtualport, &group->set.virtualport);
}

bool sfh_netdef_has_policy(const struct sfh_netdef *def, enum sfh_net_policy policy)
{
	if (def->policy == policy)
		return true;
	for (size_t i = 0; i < def->nportgroups; i++)
		if (def->portgroups[i].set.has_policy && def->portgroups[i].set.policy == policy)
			return true;
	return false;
}

bool sfh_netdef_always_never(const struct sfh_netdef *def)
{
	return def->policy == SFH_NET_POLICY_NEVER &&
	       !sfh_netdef_has_policy(def, SFH_NET_POLICY_PREFER) &&
	       !sfh_netdef_has_policy(def, SFH_NET_POLICY_REQUIRE);
}

int sfh_netdef_find_pf(const struct sfh_netdef *def, const char *dev)
{
	for (size_t i = 0; i < def->npfs; i++)
		if (!strcmp(def->pfs[i].dev, dev))
			return (int)i;
	return -ENOENT;
}

bool sfh_netdef_is_excluded(const struct sfh_netdef *def, const struct sfh_bdf *bdf)
{
	for (size_t i = 0; i < def->nexcluded; i++) {
		const struct sfh_bdf *e = &def->excluded[i];

		if (e->domain == bdf->domain && e->bus == bdf->bus && e->slot == bdf->slot &&
		    e->function == bdf->function)
			return true;
	}
	return false;
}

void sfh_netdef_bridge_name(const char *network, char buf[SFH_NET_IFNAME_SIZE])
{
	char start[3] = "";
	uint32_t hash = 2166136261u; /* FNV-1a */
	size_t n = 0;
	bool plain = true;

	for (const char *p = network; *p; p++) {
		bool good = isascii((unsigned char)*p) &&
			    (isalnum((unsigned char)*p) || strchr("_.-", *p));

		plain = plain && good;
		if (good && n < 2)
			start[n++] = *p;
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	}
	/* A hashed name has 15 characters and a plain one at most 14, so that the
	 * two kinds cannot meet. */
	if (plain && strlen(network) <= 9)
		(void)snprintf(buf, SFH_NET_IFNAME_SIZE, "sfbr-%.9s", network);
	else
		(void)snprintf(buf, SFH_NET_IFNAME_SIZE, "sfbr-%-2.2s%08x", n == 2 ? start : "__",
			       hash);
}
