// SPDX-License-Identifier: GPL-2.0-or-later
/* <portgroup>: a set of settings with a name. */
#include "libvirt-glue/netxml-internal.h"

#include <string.h>

static int add_portgroup(struct sfh_netdef *def, const struct sfh_netdef_portgroup *group,
			 struct sfh_error *err)
{
	struct sfh_netdef_portgroup *more;
	char show[SFH_XML_SHOW_SIZE];

	for (size_t i = 0; i < def->nportgroups; i++) {
		if (!strcmp(def->portgroups[i].name, group->name))
			return sfh_err(err, -EINVAL, "%s: <portgroup name='%s'> stands there twice",
				       SFH_NETXML_WHAT, sfh_xml_show(group->name, show));
		if (def->portgroups[i].is_default && group->is_default)
			return sfh_err(err, -EINVAL,
				       "%s: <portgroup name='%s'>: there is a default one already",
				       SFH_NETXML_WHAT, sfh_xml_show(group->name, show));
	}
	if (def->nportgroups == SFH_NET_PORTGROUPS_MAX)
		return sfh_err(err, -EINVAL, "%s: more than %d <portgroup>", SFH_NETXML_WHAT,
			       SFH_NET_PORTGROUPS_MAX);
	more = reallocarray(def->portgroups, def->nportgroups + 1, sizeof(*more));
	if (!more)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->portgroups = more;
	more[def->nportgroups++] = *group;
	return 0;
}

int sfh_elem_portgroup(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"name", "default", NULL};
	static const char *const words[] = {"no", "yes"};
	static const struct sfh_elem table[] = {
		SFH_ELEM_SETTINGS,
		{"policy", sfh_elem_policy, false},
	};
	struct sfh_netdef_portgroup group = {.is_default = false};
	struct sfh_netdef inside = {.landing = -1}; /* the elements write to its settings */
	char show[SFH_XML_SHOW_SIZE];
	int r = sfh_elem_check(node, attrs, true, err);

	if (r == 0)
		r = sfh_elem_attr(node, "name", group.name, sizeof(group.name), err);
	if (r < 0)
		return r;
	if (!*group.name)
		return sfh_err(err, -EINVAL, "%s: <portgroup> has an empty name", SFH_NETXML_WHAT);
	/* libvirt (9 to 11 at least) writes the name into its XML without escaping it */
	for (const char *p = group.name; *p; p++)
		if (strchr("<>&'\"", *p) || (unsigned char)*p < ' ' || *p == 0x7f)
			return sfh_err(err, -EINVAL,
				       "%s: <portgroup name='%s'>: quotes, '<', '>', '&' and "
				       "control characters are not allowed",
				       SFH_NETXML_WHAT, sfh_xml_show(group.name, show));
	if (xmlHasProp((xmlNode *)node, BAD_CAST "default")) {
		r = sfh_elem_word(node, "default", words, 2, err);
		if (r < 0)
			return r;
		group.is_default = r == 1;
	}
	r = sfh_elem_children(node, table, SFH_ARRAY_SIZE(table), &inside, err);
	if (r < 0)
		return r;
	group.set = inside.set;
	return add_portgroup(def, &group, err);
}
