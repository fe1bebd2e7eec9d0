// SPDX-License-Identifier: GPL-2.0-or-later
/* A definition as a whole: <network>, and what stands there once: its name, its PFs
 * and how it uses them. */
#include "libvirt-glue/netxml-internal.h"

#include <string.h>

static int parse_name(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	bool blank = true;
	int r = sfh_elem_text(node, def->name, sizeof(def->name), err);

	if (r < 0)
		return r;
	for (const char *p = def->name; *p; p++) {
		/* '/' because libvirt makes a file name of it */
		if (*p == '/' || (unsigned char)*p < ' ' || *p == 0x7f)
			return sfh_err(err, -EINVAL,
				       "%s: <name>: '/', newline and control characters are "
				       "not allowed",
				       SFH_NETXML_WHAT);
		blank = blank && *p == ' ';
	}
	if (blank)
		return sfh_err(err, -EINVAL, "%s: <name> is empty", SFH_NETXML_WHAT);
	return 0;
}

static int parse_uuid(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	int r = sfh_elem_text(node, def->uuid, sizeof(def->uuid), err);

	if (r < 0)
		return r;
	if (sfh_xml_uuid(def->uuid) < 0)
		return sfh_err(err, -EINVAL, "%s: <uuid> is not of the form 8-4-4-4-12 hex digits",
			       SFH_NETXML_WHAT);
	return 0;
}

static int parse_pf(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"dev", "vfs", NULL};
	struct sfh_netdef_pf pf = {0}, *pfs;
	char dev[64], show[SFH_XML_SHOW_SIZE];
	int r;

	r = sfh_elem_check(node, attrs, false, err);
	if (r < 0)
		return r;
	r = sfh_elem_attr(node, "dev", dev, sizeof(dev), err);
	if (r < 0)
		return r;
	if (!sfh_xml_ifname_valid(dev))
		return sfh_err(err, -EINVAL,
			       "%s: <pf>: '%s' is not the name of a network interface",
			       SFH_NETXML_WHAT, sfh_xml_show(dev, show));
	if (sfh_netdef_find_pf(def, dev) >= 0)
		return sfh_err(err, -EINVAL, "%s: <pf dev='%s'/> stands there twice",
			       SFH_NETXML_WHAT, dev);
	if (def->npfs == SFH_NET_PFS_MAX)
		return sfh_err(err, -EINVAL, "%s: more than %d <pf>", SFH_NETXML_WHAT,
			       SFH_NET_PFS_MAX);
	(void)sfh_strcpy(pf.dev, sizeof(pf.dev), dev);
	r = sfh_elem_uint(node, "vfs", false, 1, SFH_NET_VFS_MAX, &pf.vfs, err);
	if (r < 0)
		return r;
	pfs = reallocarray(def->pfs, def->npfs + 1, sizeof(*pfs));
	if (!pfs)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->pfs = pfs;
	pfs[def->npfs++] = pf;
	return 0;
}

static int parse_standby(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", NULL};
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_word(node, "mode", sfh_netxml_mode_names, _SFH_MODE_MAX, err);
	if (r < 0)
		return r;
	def->mode = (enum sfh_standby_mode)r;
	return 0;
}

static int parse_vfs(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"count", NULL};
	int r = sfh_elem_check(node, attrs, false, err);

	return r < 0 ? r : sfh_elem_uint(node, "count", true, 1, SFH_NET_VFS_MAX, &def->vfs, err);
}

static int parse_landing(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"vfs", NULL};
	unsigned n = 0;
	int r = sfh_elem_check(node, attrs, false, err);

	if (r == 0)
		r = sfh_elem_uint(node, "vfs", true, 0, SFH_NET_VFS_MAX, &n, err);
	if (r == 0)
		def->landing = (int)n;
	return r;
}

static int parse_probe(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"interval", NULL};
	int r = sfh_elem_check(node, attrs, false, err);

	if (r < 0)
		return r;
	if (sfh_xml_attr_is(node, "interval", "0")) {
		def->probe_interval_ms = 0;
		return 0;
	}
	return sfh_elem_uint(node, "interval", true, 10, 600000, &def->probe_interval_ms, err);
}

static int parse_address(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"type", "domain", "bus", "slot", "function", NULL};
	struct sfh_bdf bdf, *list;
	char text[SFH_BDF_STRLEN];
	int r;

	r = sfh_elem_check(node, attrs, false, err);
	if (r < 0)
		return r;
	if (!sfh_xml_attr_is(node, "type", "pci"))
		return sfh_err(err, -EINVAL, "%s: <exclude>: <address> needs type='pci'",
			       SFH_NETXML_WHAT);
	r = sfh_xml_pci_address(node, &bdf, err);
	if (r < 0)
		return r;
	if (sfh_netdef_is_excluded(def, &bdf))
		return sfh_err(err, -EINVAL, "%s: <exclude>: %s stands there twice",
			       SFH_NETXML_WHAT, sfh_bdf_format(&bdf, text));
	if (def->nexcluded == SFH_NET_EXCLUDED_MAX)
		return sfh_err(err, -EINVAL, "%s: <exclude>: more than %d addresses",
			       SFH_NETXML_WHAT, SFH_NET_EXCLUDED_MAX);
	list = reallocarray(def->excluded, def->nexcluded + 1, sizeof(*list));
	if (!list)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->excluded = list;
	list[def->nexcluded++] = bdf;
	return 0;
}

static int parse_exclude(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const struct sfh_elem table[] = {{"address", parse_address, true}};
	int r = sfh_elem_check(node, NULL, true, err);

	return r < 0 ? r : sfh_elem_children(node, table, SFH_ARRAY_SIZE(table), def, err);
}

static int parse_forward(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", NULL};
	static const struct sfh_elem table[] = {
		{"pf", parse_pf, true},
		{"standby", parse_standby, false},
		{"vfs", parse_vfs, false},
		{"policy", sfh_elem_policy, false},
		{"landing", parse_landing, false},
		{"exclude", parse_exclude, false},
		{"probe", parse_probe, false},
	};
	char mode[64], show[SFH_XML_SHOW_SIZE];
	int r;

	r = sfh_elem_check(node, attrs, true, err);
	if (r < 0)
		return r;
	r = sfh_elem_attr(node, "mode", mode, sizeof(mode), err);
	if (r < 0)
		return r;
	if (strcmp(mode, SFH_NETXML_FORWARD_MODE))
		return sfh_err(err, -EINVAL,
			       "%s: forward mode '%s' is not '" SFH_NETXML_FORWARD_MODE
			       "': libvirt defines such networks itself",
			       SFH_NETXML_WHAT, sfh_xml_show(mode, show));
	r = sfh_elem_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!def->npfs)
		return sfh_err(err, -EINVAL, "%s: <forward> needs at least one <pf dev='…'/>",
			       SFH_NETXML_WHAT);
	return 0;
}

int sfh_netdef_read(const xmlNode *root, struct sfh_netdef **ret, struct sfh_error *err)
{
	static const struct sfh_elem table[] = {
		{"name", parse_name, false},
		{"uuid", parse_uuid, false},
		{"forward", parse_forward, false},
		SFH_ELEM_SETTINGS,
		{"portgroup", sfh_elem_portgroup, true},
	};
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = calloc(1, sizeof(*def));
	int r;

	if (!def)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->landing = -1;
	def->probe_interval_ms = SFH_NET_PROBE_MS;
	r = sfh_elem_check(root, NULL, true, err);
	if (r < 0)
		return r;
	r = sfh_elem_children(root, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!*def->name)
		return sfh_err(err, -EINVAL, "%s: <name> is missing", SFH_NETXML_WHAT);
	if (!def->npfs)
		return sfh_err(err, -EINVAL,
			       "%s: <forward mode='" SFH_NETXML_FORWARD_MODE "'> is missing",
			       SFH_NETXML_WHAT);
	if (def->mode == SFH_MODE_LINUX_BRIDGE) {
		/* two PFs in one bridge join two ports of the switch: a loop */
		if (def->npfs > 1)
			return sfh_err(err, -EINVAL,
				       "%s: standby mode linux-bridge takes one <pf>, "
				       "define one network for each",
				       SFH_NETXML_WHAT);
		sfh_netdef_bridge_name(def->name, def->bridge);
	}
	*ret = TAKE_PTR(def);
	return 0;
}

int sfh_netdef_parse(const char *xml, size_t len, struct sfh_netdef **ret, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	int r = sfh_xml_read(xml, len, SFH_NETXML_WHAT, "network", &doc, err);

	return r < 0 ? r : sfh_netdef_read(xmlDocGetRootElement(doc), ret, err);
}
