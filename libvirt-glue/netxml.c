// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/netxml.h"
#include "libvirt-glue/xmlutil.h"

#include "sfhybrid/abi.h"

#include <ctype.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#define WHAT_USER "hybrid network definition"
#define WHAT_LIBVIRT "libvirt network XML"

static const char *const mode_names[_SFH_MODE_MAX] = {
	[SFH_MODE_MACVTAP_BRIDGE] = "macvtap-bridge",
	[SFH_MODE_MACVTAP_PRIVATE] = "macvtap-private",
	[SFH_MODE_MACVTAP_VEPA] = "macvtap-vepa",
	[SFH_MODE_LINUX_BRIDGE] = "linux-bridge",
};

/* libvirt's forward mode for each standby mode */
static const char *const forward_names[_SFH_MODE_MAX] = {
	[SFH_MODE_MACVTAP_BRIDGE] = "bridge",
	[SFH_MODE_MACVTAP_PRIVATE] = "private",
	[SFH_MODE_MACVTAP_VEPA] = "vepa",
	[SFH_MODE_LINUX_BRIDGE] = "bridge",
};

static const char *const policy_names[_SFH_NET_POLICY_MAX] = {
	[SFH_NET_POLICY_PREFER] = "prefer",
	[SFH_NET_POLICY_REQUIRE] = "require",
	[SFH_NET_POLICY_NEVER] = "never",
};

const char *sfh_standby_mode_name(enum sfh_standby_mode mode)
{
	return (unsigned)mode < _SFH_MODE_MAX ? mode_names[mode] : NULL;
}

const char *sfh_net_policy_name(enum sfh_net_policy policy)
{
	return (unsigned)policy < _SFH_NET_POLICY_MAX ? policy_names[policy] : NULL;
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
	if (*group->set.virtualport)
		(void)sfh_strcpy(ret->virtualport, sizeof(ret->virtualport),
				 group->set.virtualport);
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

/* --- strictness ------------------------------------------------------------------*/

/* Nothing may be in an element but the attributes and, if `elements`, elements
 * (which the caller checks): a typo must not be lost silently. */
static int check_node(const xmlNode *node, const char *const *attrs, bool elements,
		      struct sfh_error *err)
{
	char show[SFH_XML_SHOW_SIZE], show2[SFH_XML_SHOW_SIZE];

	if (node->nsDef)
		return sfh_err(err, -EINVAL, "%s: <%s>: namespaces have no place here", WHAT_USER,
			       sfh_xml_show(node->name, show));
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		const char *const *known = attrs;

		while (known && *known && (a->ns || strcmp(*known, (const char *)a->name)))
			known++;
		if (!known || !*known)
			return sfh_err(err, -EINVAL, "%s: <%s>: unknown attribute '%s'", WHAT_USER,
				       sfh_xml_show(node->name, show),
				       sfh_xml_show(a->name, show2));
	}
	for (xmlNode *c = node->children; c; c = c->next) {
		switch (c->type) {
		case XML_COMMENT_NODE:
			continue;
		case XML_TEXT_NODE:
		case XML_CDATA_SECTION_NODE:
			if (xmlIsBlankNode(c))
				continue;
			return sfh_err(err, -EINVAL, "%s: <%s>: unexpected text '%s'", WHAT_USER,
				       sfh_xml_show(node->name, show),
				       sfh_xml_show(c->content, show2));
		case XML_ELEMENT_NODE:
			if (elements && !c->ns)
				continue;
			/* fall through */
		default:
			return sfh_err(err, -EINVAL, "%s: <%s>: unexpected <%s>", WHAT_USER,
				       sfh_xml_show(node->name, show),
				       sfh_xml_show(c->name, show2));
		}
	}
	return 0;
}

/* An element that holds text and nothing else. */
static int get_text(const xmlNode *node, char *buf, size_t size, struct sfh_error *err)
{
	char show[SFH_XML_SHOW_SIZE];
	int r;

	if (node->nsDef || node->properties)
		return sfh_err(err, -EINVAL, "%s: <%s> takes no attributes", WHAT_USER,
			       sfh_xml_show(node->name, show));
	for (const xmlNode *c = node->children; c; c = c->next)
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE)
			return sfh_err(err, -EINVAL, "%s: <%s> holds more than text", WHAT_USER,
				       sfh_xml_show(node->name, show));
	r = sfh_xml_text(node, buf, size, err);
	return r < 0 ? r : 0;
}

static int need_attr(const xmlNode *node, const char *name, char *buf, size_t size,
		     struct sfh_error *err)
{
	int r = sfh_xml_attr(node, name, buf, size, err);

	if (r == 0)
		return sfh_err(err, -EINVAL, "%s: <%s>: attribute %s is missing", WHAT_USER,
			       (const char *)node->name, name);
	return r < 0 ? r : 0;
}

/* A word out of a table, as its index. */
static int get_word(const xmlNode *node, const char *attr, const char *const *words, int n,
		    struct sfh_error *err)
{
	char buf[64], all[128] = "", show[SFH_XML_SHOW_SIZE];
	int r;

	r = need_attr(node, attr, buf, sizeof(buf), err);
	if (r < 0)
		return r;
	for (int i = 0; i < n; i++) {
		size_t used = strlen(all);

		if (!strcmp(buf, words[i]))
			return i;
		(void)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", words[i]);
	}
	return sfh_err(err, -EINVAL, "%s: <%s>: unknown %s '%s' (there are: %s)", WHAT_USER,
		       (const char *)node->name, attr, sfh_xml_show(buf, show), all);
}

static int get_uint(const xmlNode *node, const char *attr, bool required, unsigned min,
		    unsigned max, unsigned *ret, struct sfh_error *err)
{
	uint64_t v = 0;
	int r = sfh_xml_uint(node, attr, false, min, max, &v, err);

	if (r < 0)
		return r;
	if (r == 0 && required)
		return sfh_err(err, -EINVAL, "%s: <%s>: attribute %s is missing", WHAT_USER,
			       (const char *)node->name, attr);
	if (r > 0)
		*ret = (unsigned)v;
	return 0;
}

/* Children through a table: each knows its handler and how often it may come. */
struct element {
	const char *name;
	int (*parse)(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
	bool many;
};

static int parse_children(const xmlNode *parent, const struct element *table, size_t n,
			  struct sfh_netdef *def, struct sfh_error *err)
{
	uint64_t seen = 0;
	char show[SFH_XML_SHOW_SIZE];

	for (xmlNode *c = sfh_xml_first(parent, NULL); c; c = sfh_xml_next(c, NULL)) {
		size_t i = 0;
		int r;

		while (i < n && strcmp(table[i].name, (const char *)c->name))
			i++;
		if (i == n)
			return sfh_err(err, -EINVAL, "%s: <%s>: unknown element <%s>", WHAT_USER,
				       (const char *)parent->name, sfh_xml_show(c->name, show));
		if (!table[i].many && seen & 1ull << i)
			return sfh_err(err, -EINVAL, "%s: <%s>: <%s> stands there twice", WHAT_USER,
				       (const char *)parent->name, table[i].name);
		seen |= 1ull << i;
		r = table[i].parse(c, def, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the elements -----------------------------------------------------------------*/

static int parse_name(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	bool blank = true;
	int r = get_text(node, def->name, sizeof(def->name), err);

	if (r < 0)
		return r;
	for (const char *p = def->name; *p; p++) {
		/* '/' because libvirt makes a file name of it */
		if (*p == '/' || (unsigned char)*p < ' ' || *p == 0x7f)
			return sfh_err(err, -EINVAL,
				       "%s: <name>: '/', newline and control characters are "
				       "not allowed",
				       WHAT_USER);
		blank = blank && *p == ' ';
	}
	if (blank)
		return sfh_err(err, -EINVAL, "%s: <name> is empty", WHAT_USER);
	return 0;
}

static int parse_uuid(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	int r = get_text(node, def->uuid, sizeof(def->uuid), err);

	if (r < 0)
		return r;
	if (sfh_xml_uuid(def->uuid) < 0)
		return sfh_err(err, -EINVAL, "%s: <uuid> is not of the form 8-4-4-4-12 hex digits",
			       WHAT_USER);
	return 0;
}

/* <… required='yes'|'no'>: what happens when the driver refuses it. */
static int get_required(const xmlNode *node, struct sfh_netdef *def, unsigned setting,
			bool required, struct sfh_error *err)
{
	static const char *const words[] = {"no", "yes"};
	int r = required;

	if (xmlHasProp((xmlNode *)node, BAD_CAST "required"))
		r = get_word(node, "required", words, 2, err);
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
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_uint(node, "id", true, 1, 4094, &id, err);
	if (r == 0)
		r = get_uint(node, "priority", false, 0, 7, &priority, err);
	if (r < 0)
		return r;
	if (id == SFH_PARK_VLAN)
		return sfh_err(err, -EINVAL,
			       "%s: <tag>: VLAN %u is the one in which sfhybrid parks VFs, "
			       "take another",
			       WHAT_USER, id);
	def->set.vf.cfg.vlan = (uint16_t)id;
	def->set.vf.what |= SFH_VF_VLAN;
	if (priority < 8) {
		def->set.vf.cfg.qos = (uint8_t)priority;
		def->set.vf.what |= SFH_VF_QOS;
	}
	if (xmlHasProp((xmlNode *)node, BAD_CAST "protocol")) {
		r = get_word(node, "protocol", protocols, 2, err);
		if (r < 0)
			return r;
		def->set.vf.cfg.proto = r ? ETH_P_8021AD : ETH_P_8021Q;
		def->set.vf.what |= SFH_VF_PROTO;
	}
	return 0;
}

static int parse_vlan(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const struct element table[] = {{"tag", parse_tag, false}};
	int r = check_node(node, NULL, true, err);

	if (r < 0)
		return r;
	r = parse_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!(def->set.vf.what & SFH_VF_VLAN))
		return sfh_err(err, -EINVAL, "%s: <vlan> needs <tag id='N'/>", WHAT_USER);
	return 0;
}

static int get_switch(const xmlNode *node, struct sfh_netdef *def, unsigned setting, bool *ret,
		      struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", "required", NULL};
	static const char *const words[] = {"off", "on"};
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_word(node, "mode", words, 2, err);
	if (r < 0)
		return r;
	*ret = r == 1;
	return get_required(node, def, setting, true, err);
}

static int parse_trust(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	return get_switch(node, def, SFH_VF_TRUST, &def->set.vf.cfg.trust, err);
}

static int parse_spoofchk(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	return get_switch(node, def, SFH_VF_SPOOFCHK, &def->set.vf.cfg.spoofchk, err);
}

static int parse_link_state(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"state", "required", NULL};
	static const char *const words[] = {"auto", "enable", "disable"};
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_word(node, "state", words, 3, err);
	if (r < 0)
		return r;
	if (r == 2)
		return sfh_err(err, -EINVAL,
			       "%s: <link-state state='disable'/>: a VF whose link is down carries "
			       "nothing; <policy mode='never'/> keeps guests on their standby leg",
			       WHAT_USER);
	def->set.vf.cfg.link_state = r ? IFLA_VF_LINK_STATE_ENABLE : IFLA_VF_LINK_STATE_AUTO;
	return get_required(node, def, SFH_VF_LINK_STATE, false, err);
}

static int parse_rate(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"min", "max", "required", NULL};
	unsigned min = 0, max = 0;
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_uint(node, "min", false, 1, SFH_NET_RATE_MAX, &min, err);
	if (r == 0)
		r = get_uint(node, "max", false, 1, SFH_NET_RATE_MAX, &max, err);
	if (r < 0)
		return r;
	if (!min && !max)
		return sfh_err(err, -EINVAL, "%s: <rate> needs min='MBIT' or max='MBIT'", WHAT_USER);
	if (max && min > max)
		return sfh_err(err, -EINVAL, "%s: <rate>: min %u is more than max %u", WHAT_USER, min,
			       max);
	def->set.vf.cfg.min_tx = min;
	def->set.vf.cfg.max_tx = max;
	return get_required(node, def, SFH_VF_RATE, false, err);
}

static int parse_parameters(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"managerid",  "typeid",    "typeidversion",
					    "instanceid", "profileid", NULL};

	(void)def; /* libvirt checks what they say */
	return check_node(node, attrs, false, err);
}

static int parse_virtualport(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"type", NULL};
	static const char *const words[] = {"802.1Qbg", "802.1Qbh"};
	static const struct element table[] = {{"parameters", parse_parameters, false}};
	int r = check_node(node, attrs, true, err), word = 0;

	if (r == 0)
		r = word = get_word(node, "type", words, 2, err);
	if (r >= 0)
		r = parse_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	(void)sfh_strcpy(def->set.virtualport, sizeof(def->set.virtualport), words[word]);
	return 0;
}

static int parse_pf(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"dev", "vfs", NULL};
	struct sfh_netdef_pf pf = {0}, *pfs;
	char dev[64], show[SFH_XML_SHOW_SIZE];
	int r;

	r = check_node(node, attrs, false, err);
	if (r < 0)
		return r;
	r = need_attr(node, "dev", dev, sizeof(dev), err);
	if (r < 0)
		return r;
	if (!sfh_xml_ifname_valid(dev))
		return sfh_err(err, -EINVAL,
			       "%s: <pf>: '%s' is not the name of a network interface", WHAT_USER,
			       sfh_xml_show(dev, show));
	if (sfh_netdef_find_pf(def, dev) >= 0)
		return sfh_err(err, -EINVAL, "%s: <pf dev='%s'/> stands there twice", WHAT_USER,
			       dev);
	if (def->npfs == SFH_NET_PFS_MAX)
		return sfh_err(err, -EINVAL, "%s: more than %d <pf>", WHAT_USER, SFH_NET_PFS_MAX);
	(void)sfh_strcpy(pf.dev, sizeof(pf.dev), dev);
	r = get_uint(node, "vfs", false, 1, SFH_NET_VFS_MAX, &pf.vfs, err);
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
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_word(node, "mode", mode_names, _SFH_MODE_MAX, err);
	if (r < 0)
		return r;
	def->mode = (enum sfh_standby_mode)r;
	return 0;
}

static int parse_vfs(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"count", NULL};
	int r = check_node(node, attrs, false, err);

	return r < 0 ? r : get_uint(node, "count", true, 1, SFH_NET_VFS_MAX, &def->vfs, err);
}

static int parse_policy(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", "priority", NULL};
	unsigned priority = SFH_NET_PRIORITY_MAX + 1;
	int r = check_node(node, attrs, false, err);

	if (r < 0)
		return r;
	r = get_uint(node, "priority", false, 0, SFH_NET_PRIORITY_MAX, &priority, err);
	if (r < 0)
		return r;
	if (priority <= SFH_NET_PRIORITY_MAX) {
		def->set.has_priority = true;
		def->set.priority = (int)priority;
	}
	/* a priority may stand alone */
	if (def->set.has_priority && !xmlHasProp((xmlNode *)node, BAD_CAST "mode"))
		return 0;
	r = get_word(node, "mode", policy_names, _SFH_NET_POLICY_MAX, err);
	if (r < 0)
		return r;
	def->policy = def->set.policy = (enum sfh_net_policy)r;
	def->set.has_policy = true;
	return 0;
}

static int parse_guest(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"bond", NULL};
	static const char *const words[] = {"no", "yes"};
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_word(node, "bond", words, 2, err);
	if (r < 0)
		return r;
	def->set.has_guest = true;
	def->set.bond = r == 1;
	return 0;
}

static int parse_landing(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"vfs", NULL};
	unsigned n = 0;
	int r = check_node(node, attrs, false, err);

	if (r == 0)
		r = get_uint(node, "vfs", true, 0, SFH_NET_VFS_MAX, &n, err);
	if (r == 0)
		def->landing = (int)n;
	return r;
}

static int parse_probe(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"interval", NULL};
	int r = check_node(node, attrs, false, err);

	if (r < 0)
		return r;
	if (sfh_xml_attr_is(node, "interval", "0")) {
		def->probe_interval_ms = 0;
		return 0;
	}
	return get_uint(node, "interval", true, 10, 600000, &def->probe_interval_ms, err);
}

static int parse_address(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"type", "domain", "bus", "slot", "function", NULL};
	struct sfh_bdf bdf, *list;
	char text[SFH_BDF_STRLEN];
	int r;

	r = check_node(node, attrs, false, err);
	if (r < 0)
		return r;
	if (!sfh_xml_attr_is(node, "type", "pci"))
		return sfh_err(err, -EINVAL, "%s: <exclude>: <address> needs type='pci'",
			       WHAT_USER);
	r = sfh_xml_pci_address(node, &bdf, err);
	if (r < 0)
		return r;
	if (sfh_netdef_is_excluded(def, &bdf))
		return sfh_err(err, -EINVAL, "%s: <exclude>: %s stands there twice", WHAT_USER,
			       sfh_bdf_format(&bdf, text));
	if (def->nexcluded == SFH_NET_EXCLUDED_MAX)
		return sfh_err(err, -EINVAL, "%s: <exclude>: more than %d addresses", WHAT_USER,
			       SFH_NET_EXCLUDED_MAX);
	list = reallocarray(def->excluded, def->nexcluded + 1, sizeof(*list));
	if (!list)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->excluded = list;
	list[def->nexcluded++] = bdf;
	return 0;
}

static int parse_exclude(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const struct element table[] = {{"address", parse_address, true}};
	int r = check_node(node, NULL, true, err);

	return r < 0 ? r : parse_children(node, table, SFH_ARRAY_SIZE(table), def, err);
}

static int parse_forward(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"mode", NULL};
	static const struct element table[] = {
		{"pf", parse_pf, true},
		{"standby", parse_standby, false},
		{"vfs", parse_vfs, false},
		{"policy", parse_policy, false},
		{"landing", parse_landing, false},
		{"exclude", parse_exclude, false},
		{"probe", parse_probe, false},
	};
	char mode[64], show[SFH_XML_SHOW_SIZE];
	int r;

	r = check_node(node, attrs, true, err);
	if (r < 0)
		return r;
	r = need_attr(node, "mode", mode, sizeof(mode), err);
	if (r < 0)
		return r;
	if (strcmp(mode, SFH_NETXML_FORWARD_MODE))
		return sfh_err(err, -EINVAL,
			       "%s: forward mode '%s' is not '" SFH_NETXML_FORWARD_MODE
			       "': libvirt defines such networks itself",
			       WHAT_USER, sfh_xml_show(mode, show));
	r = parse_children(node, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!def->npfs)
		return sfh_err(err, -EINVAL, "%s: <forward> needs at least one <pf dev='…'/>",
			       WHAT_USER);
	return 0;
}

static int add_portgroup(struct sfh_netdef *def, const struct sfh_netdef_portgroup *group,
			 struct sfh_error *err)
{
	struct sfh_netdef_portgroup *more;
	char show[SFH_XML_SHOW_SIZE];

	for (size_t i = 0; i < def->nportgroups; i++) {
		if (!strcmp(def->portgroups[i].name, group->name))
			return sfh_err(err, -EINVAL, "%s: <portgroup name='%s'> stands there twice",
				       WHAT_USER, sfh_xml_show(group->name, show));
		if (def->portgroups[i].is_default && group->is_default)
			return sfh_err(err, -EINVAL,
				       "%s: <portgroup name='%s'>: there is a default one already",
				       WHAT_USER, sfh_xml_show(group->name, show));
	}
	if (def->nportgroups == SFH_NET_PORTGROUPS_MAX)
		return sfh_err(err, -EINVAL, "%s: more than %d <portgroup>", WHAT_USER,
			       SFH_NET_PORTGROUPS_MAX);
	more = reallocarray(def->portgroups, def->nportgroups + 1, sizeof(*more));
	if (!more)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->portgroups = more;
	more[def->nportgroups++] = *group;
	return 0;
}

static int parse_portgroup(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err)
{
	static const char *const attrs[] = {"name", "default", NULL};
	static const char *const words[] = {"no", "yes"};
	static const struct element table[] = {
		{"vlan", parse_vlan, false},
		{"trust", parse_trust, false},
		{"spoofchk", parse_spoofchk, false},
		{"link-state", parse_link_state, false},
		{"rate", parse_rate, false},
		{"policy", parse_policy, false},
		{"guest", parse_guest, false},
		{"virtualport", parse_virtualport, false},
	};
	struct sfh_netdef_portgroup group = {.is_default = false};
	struct sfh_netdef inside = {.landing = -1}; /* the elements write to its settings */
	char show[SFH_XML_SHOW_SIZE];
	int r = check_node(node, attrs, true, err);

	if (r == 0)
		r = need_attr(node, "name", group.name, sizeof(group.name), err);
	if (r < 0)
		return r;
	if (!*group.name)
		return sfh_err(err, -EINVAL, "%s: <portgroup> has an empty name", WHAT_USER);
	/* libvirt (9 to 11 at least) writes the name into its XML without escaping it */
	for (const char *p = group.name; *p; p++)
		if (strchr("<>&'\"", *p) || (unsigned char)*p < ' ' || *p == 0x7f)
			return sfh_err(err, -EINVAL,
				       "%s: <portgroup name='%s'>: quotes, '<', '>', '&' and "
				       "control characters are not allowed",
				       WHAT_USER, sfh_xml_show(group.name, show));
	if (xmlHasProp((xmlNode *)node, BAD_CAST "default")) {
		r = get_word(node, "default", words, 2, err);
		if (r < 0)
			return r;
		group.is_default = r == 1;
	}
	r = parse_children(node, table, SFH_ARRAY_SIZE(table), &inside, err);
	if (r < 0)
		return r;
	group.set = inside.set;
	return add_portgroup(def, &group, err);
}

/* `root` is the user's <network>, without namespaces. */
static int parse_network(const xmlNode *root, struct sfh_netdef **ret, struct sfh_error *err)
{
	static const struct element table[] = {
		{"name", parse_name, false},
		{"uuid", parse_uuid, false},
		{"forward", parse_forward, false},
		{"vlan", parse_vlan, false},
		{"trust", parse_trust, false},
		{"spoofchk", parse_spoofchk, false},
		{"link-state", parse_link_state, false},
		{"rate", parse_rate, false},
		{"guest", parse_guest, false},
		{"virtualport", parse_virtualport, false},
		{"portgroup", parse_portgroup, true},
	};
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = calloc(1, sizeof(*def));
	int r;

	if (!def)
		return sfh_err(err, -ENOMEM, "out of memory");
	def->landing = -1;
	def->probe_interval_ms = SFH_NET_PROBE_MS;
	r = check_node(root, NULL, true, err);
	if (r < 0)
		return r;
	r = parse_children(root, table, SFH_ARRAY_SIZE(table), def, err);
	if (r < 0)
		return r;
	if (!*def->name)
		return sfh_err(err, -EINVAL, "%s: <name> is missing", WHAT_USER);
	if (!def->npfs)
		return sfh_err(err, -EINVAL,
			       "%s: <forward mode='" SFH_NETXML_FORWARD_MODE "'> is missing",
			       WHAT_USER);
	if (def->mode == SFH_MODE_LINUX_BRIDGE) {
		/* two PFs in one bridge join two ports of the switch: a loop */
		if (def->npfs > 1)
			return sfh_err(err, -EINVAL,
				       "%s: standby mode linux-bridge takes one <pf>, "
				       "define one network for each",
				       WHAT_USER);
		sfh_netdef_bridge_name(def->name, def->bridge);
	}
	*ret = TAKE_PTR(def);
	return 0;
}

/* --- to and from libvirt ---------------------------------------------------------*/

static void strip_blanks(xmlNode *node)
{
	for (xmlNode *c = node->children, *next; c; c = next) {
		next = c->next;
		if (c->type == XML_TEXT_NODE && xmlIsBlankNode(c)) {
			xmlUnlinkNode(c);
			xmlFreeNode(c);
		} else if (c->type == XML_ELEMENT_NODE) {
			strip_blanks(c);
		}
	}
}

static void set_namespace(xmlNode *node, xmlNs *ns)
{
	node->ns = ns;
	for (xmlNode *c = node->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE)
			set_namespace(c, ns);
}

static bool in_our_namespace(const xmlNode *node)
{
	return node->ns && node->ns->href && !strcmp((const char *)node->ns->href, SFH_NETXML_NS);
}

/* Takes our namespace off; elements of another keep theirs, and parse_network()
 * refuses them. */
static void clear_namespace(xmlNode *node)
{
	if (in_our_namespace(node))
		node->ns = NULL;
	for (xmlNode *c = node->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE)
			clear_namespace(c);
}

/* Our declaration, wherever a serializer put it; nothing refers to it any more. */
static void drop_declarations(xmlNode *node)
{
	for (xmlNs **p = &node->nsDef; *p;) {
		xmlNs *ns = *p;

		if (ns->href && !strcmp((const char *)ns->href, SFH_NETXML_NS)) {
			*p = ns->next;
			xmlFreeNs(ns);
		} else {
			p = &ns->next;
		}
	}
	for (xmlNode *c = node->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE)
			drop_declarations(c);
}

int sfh_netdef_parse(const char *xml, size_t len, struct sfh_netdef **ret, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	int r = sfh_xml_read(xml, len, WHAT_USER, "network", &doc, err);

	return r < 0 ? r : parse_network(xmlDocGetRootElement(doc), ret, err);
}

/* A copy of the element's <virtualport>, if it has one: the standby NIC gets it. */
static bool copy_virtualport(xmlNode *to, const xmlNode *from)
{
	xmlNode *node = sfh_xml_first(from, "virtualport"), *copy;

	if (!node)
		return true;
	copy = xmlDocCopyNode(node, to->doc, 1);
	return copy && xmlAddChild(to, copy);
}

/* Names only: what they say acts on the VF, and libvirt would refuse most of it. */
static bool add_portgroups(xmlNode *network, const xmlNode *user)
{
	for (xmlNode *c = sfh_xml_first(user, "portgroup"); c; c = sfh_xml_next(c, "portgroup")) {
		xmlNode *group = xmlNewChild(network, NULL, BAD_CAST "portgroup", NULL);

		if (!group)
			return false;
		for (const xmlAttr *a = c->properties; a; a = a->next) {
			_cleanup_xmlstr_ xmlChar *value = xmlGetNoNsProp(c, a->name);

			if (!value || !xmlNewProp(group, a->name, value))
				return false;
		}
		if (!copy_virtualport(group, c))
			return false;
	}
	return true;
}

/* <forward>, <bridge>, <virtualport> and <portgroup> as libvirt knows them. */
static bool add_derived(xmlNode *network, const struct sfh_netdef *def, const xmlNode *user)
{
	xmlNode *forward = xmlNewChild(network, NULL, BAD_CAST "forward", NULL);
	xmlNode *node;

	if (!forward || !xmlNewProp(forward, BAD_CAST "mode", BAD_CAST forward_names[def->mode]))
		return false;
	if (def->mode == SFH_MODE_LINUX_BRIDGE) {
		node = xmlNewChild(network, NULL, BAD_CAST "bridge", NULL);
		if (!node || !xmlNewProp(node, BAD_CAST "name", BAD_CAST def->bridge))
			return false;
	}
	for (size_t i = 0; def->mode != SFH_MODE_LINUX_BRIDGE && i < def->npfs; i++) {
		node = xmlNewChild(forward, NULL, BAD_CAST "interface", NULL);
		if (!node || !xmlNewProp(node, BAD_CAST "dev", BAD_CAST def->pfs[i].dev))
			return false;
	}
	return copy_virtualport(network, user) && add_portgroups(network, user);
}

int sfh_netdef_to_libvirt(const char *user_xml, size_t len, char **ret_xml, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *user = NULL, *doc = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	xmlNode *network, *metadata, *ours;
	xmlNs *ns;
	int r;

	r = sfh_xml_read(user_xml, len, WHAT_USER, "network", &user, err);
	if (r < 0)
		return r;
	r = parse_network(xmlDocGetRootElement(user), &def, err);
	if (r < 0)
		return r;

	doc = xmlNewDoc(BAD_CAST "1.0");
	network = doc ? xmlNewDocNode(doc, NULL, BAD_CAST "network", NULL) : NULL;
	if (!network)
		return sfh_err(err, -ENOMEM, "out of memory");
	(void)xmlDocSetRootElement(doc, network);
	if (!xmlNewTextChild(network, NULL, BAD_CAST "name", BAD_CAST def->name) ||
	    (*def->uuid && !xmlNewTextChild(network, NULL, BAD_CAST "uuid", BAD_CAST def->uuid)))
		return sfh_err(err, -ENOMEM, "out of memory");
	metadata = xmlNewChild(network, NULL, BAD_CAST "metadata", NULL);
	ours = metadata ? xmlDocCopyNode(xmlDocGetRootElement(user), doc, 1) : NULL;
	if (!ours)
		return sfh_err(err, -ENOMEM, "out of memory");
	(void)xmlAddChild(metadata, ours);
	ns = xmlNewNs(ours, BAD_CAST SFH_NETXML_NS, BAD_CAST SFH_NETXML_PREFIX);
	if (!ns)
		return sfh_err(err, -ENOMEM, "out of memory");
	strip_blanks(ours);
	set_namespace(ours, ns);
	if (!add_derived(network, def, xmlDocGetRootElement(user)))
		return sfh_err(err, -ENOMEM, "out of memory");
	return sfh_xml_write(doc, true, ret_xml, err);
}

/* The user's <network> out of libvirt's, as a document of its own. */
static int extract(const xmlDoc *libvirt, xmlDoc **ret, struct sfh_error *err)
{
	const xmlNode *network = xmlDocGetRootElement((xmlDoc *)libvirt);
	const xmlNode *metadata = sfh_xml_first(network, "metadata");
	xmlNode *ours = NULL, *copy;
	_cleanup_doc_ xmlDoc *doc = NULL;
	char name[SFH_NET_NAME_SIZE], show[SFH_XML_SHOW_SIZE];

	(void)sfh_xml_text(sfh_xml_first(network, "name"), name, sizeof(name), NULL);
	for (xmlNode *c = metadata ? metadata->children : NULL; c; c = c->next) {
		if (c->type != XML_ELEMENT_NODE || !in_our_namespace(c) ||
		    strcmp((const char *)c->name, "network"))
			continue;
		if (ours)
			return sfh_err(err, -EINVAL,
				       "network '%s': more than one hybrid definition in its "
				       "metadata, define it again",
				       sfh_xml_show(name, show));
		ours = c;
	}
	if (!ours)
		return sfh_err(err, -ENOENT, "network '%s' is not a hybrid network",
			       sfh_xml_show(name, show));
	doc = xmlNewDoc(BAD_CAST "1.0");
	copy = doc ? xmlDocCopyNode(ours, doc, 1) : NULL;
	if (!copy)
		return sfh_err(err, -ENOMEM, "out of memory");
	(void)xmlDocSetRootElement(doc, copy);
	clear_namespace(copy);
	drop_declarations(copy);
	strip_blanks(copy);
	*ret = TAKE_PTR(doc);
	return 0;
}

static int read_libvirt(const char *xml, size_t len, xmlDoc **ret_libvirt, xmlDoc **ret_user,
			struct sfh_netdef **ret_def, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *libvirt = NULL, *user = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	char name[SFH_NET_NAME_SIZE], show[SFH_XML_SHOW_SIZE], show2[SFH_XML_SHOW_SIZE];
	int r;

	r = sfh_xml_read(xml, len, WHAT_LIBVIRT, "network", &libvirt, err);
	if (r < 0)
		return r;
	r = extract(libvirt, &user, err);
	if (r < 0)
		return r;
	r = sfh_xml_text(sfh_xml_first(xmlDocGetRootElement(libvirt), "name"), name, sizeof(name),
			 err);
	if (r < 0)
		return r;
	r = parse_network(xmlDocGetRootElement(user), &def, err);
	if (r < 0)
		return r;
	/* somebody copied a hybrid network by hand: which one is meant? */
	if (strcmp(name, def->name))
		return sfh_err(err, -EINVAL,
			       "network '%s': its hybrid definition is that of '%s', define it "
			       "again with sfhybrid-ctl",
			       sfh_xml_show(name, show), sfh_xml_show(def->name, show2));
	*ret_libvirt = TAKE_PTR(libvirt);
	*ret_user = TAKE_PTR(user);
	*ret_def = TAKE_PTR(def);
	return 0;
}

int sfh_netdef_from_libvirt(const char *libvirt_xml, size_t len, struct sfh_netdef **ret,
			    struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *libvirt = NULL, *user = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	const xmlNode *uuid;
	int r;

	r = read_libvirt(libvirt_xml, len, &libvirt, &user, &def, err);
	if (r < 0)
		return r;
	uuid = sfh_xml_first(xmlDocGetRootElement(libvirt), "uuid");
	if (uuid) {
		r = sfh_xml_text(uuid, def->uuid, sizeof(def->uuid), err);
		if (r < 0)
			return r;
		if (sfh_xml_uuid(def->uuid) < 0)
			return sfh_err(err, -EINVAL, WHAT_LIBVIRT ": <uuid> is not a UUID");
	}
	*ret = TAKE_PTR(def);
	return 0;
}

int sfh_netdef_user_xml(const char *libvirt_xml, size_t len, char **ret, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *libvirt = NULL, *user = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	int r = read_libvirt(libvirt_xml, len, &libvirt, &user, &def, err);

	return r < 0 ? r : sfh_xml_write(user, true, ret, err);
}
