// SPDX-License-Identifier: GPL-2.0-or-later
/* A definition to libvirt, and back: the user's <network> below <metadata>, and what
 * is derived from it. */
#include "libvirt-glue/netxml-internal.h"

#include <string.h>

#define WHAT_LIBVIRT "libvirt network XML"

/* libvirt's forward mode for each standby mode */
static const char *const forward_names[_SFH_MODE_MAX] = {
	[SFH_MODE_MACVTAP_BRIDGE] = "bridge",
	[SFH_MODE_MACVTAP_PRIVATE] = "private",
	[SFH_MODE_MACVTAP_VEPA] = "vepa",
	[SFH_MODE_LINUX_BRIDGE] = "bridge",
};

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

/* Takes our namespace off; elements of another keep theirs, and sfh_netdef_read()
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

/* A copy of the element's <virtualport>, if it has one: the standby NIC gets it. But
 * for 802.1Qbh, which is the VF's: libvirt would ask the PF's own port for it, start no guest
 * when that is refused, and set the PF down when one stops (virnetdevvportprofile.c). */
static bool copy_virtualport(xmlNode *to, const xmlNode *from)
{
	xmlNode *node = sfh_xml_first(from, "virtualport"), *copy;

	if (!node || sfh_xml_attr_is(node, "type", SFH_VIRTUALPORT_8021QBH))
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

/* `uuid`: what libvirt knows the network by, "" if it does not yet. */
static int convert(const char *user_xml, size_t len, const char *uuid, char **ret_xml,
		   struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *user = NULL, *doc = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	xmlNode *network, *metadata, *ours;
	xmlNs *ns;
	int r;

	r = sfh_xml_read(user_xml, len, SFH_NETXML_WHAT, "network", &user, err);
	if (r < 0)
		return r;
	r = sfh_netdef_read(xmlDocGetRootElement(user), &def, err);
	if (r < 0)
		return r;
	if (!*def->uuid)
		(void)sfh_strcpy(def->uuid, sizeof(def->uuid), uuid);

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

int sfh_netdef_to_libvirt(const char *user_xml, size_t len, char **ret_xml, struct sfh_error *err)
{
	return convert(user_xml, len, "", ret_xml, err);
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
	r = sfh_netdef_read(xmlDocGetRootElement(user), &def, err);
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

int sfh_netdef_redefine(const char *user_xml, size_t len, const char *old_xml, char **ret_xml,
			struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *libvirt = NULL, *user = NULL;
	_cleanup_free_ char *was = NULL, *is = NULL;
	char uuid[SFH_NET_UUID_SIZE];
	struct sfh_error why = {0};
	int r;

	r = sfh_xml_read(old_xml, strlen(old_xml), WHAT_LIBVIRT, "network", &libvirt, err);
	if (r == 0)
		r = sfh_xml_text(sfh_xml_first(xmlDocGetRootElement(libvirt), "uuid"), uuid,
				 sizeof(uuid), err);
	if (r < 0)
		return r;
	/* What it is of ours need not be whole: this is how it is mended. */
	r = extract(libvirt, &user, &why);
	if (r == -ENOENT)
		return sfh_err(err, -EEXIST, "libvirt's %s: choose another name or undefine it first",
			       why.text);
	r = convert(user_xml, len, uuid, ret_xml, err);
	if (r < 0)
		return r;
	return sfh_netdef_user_xml(old_xml, strlen(old_xml), &was, NULL) < 0 ||
	       sfh_netdef_user_xml(*ret_xml, strlen(*ret_xml), &is, NULL) < 0 || strcmp(was, is);
}
