// SPDX-License-Identifier: GPL-2.0-or-later
/* The changes that sfhybrid makes to domain XML: adoption, its reverse, and this
 * host's VFs in the XML of an arriving guest. Nothing else in a document is
 * touched: it may hold secrets, foreign metadata and things newer than we are. */
#include "libvirt-glue/domxml.h"
#include "libvirt-glue/domxml-internal.h"

#include <stdio.h>
#include <string.h>

#define WHAT "domain XML"

/* Appends `child` to `parent`, indented like what stands there already. */
static void append_indented(xmlNode *parent, xmlNode *child)
{
	_cleanup_xmlstr_ xmlChar *closing = NULL;
	const xmlNode *last = parent->last;

	/* the blank text in front of </parent>, if there is one, is the indent
	 * of `parent`; the new child goes two deeper */
	if (last && last->type == XML_TEXT_NODE && xmlIsBlankNode(last))
		closing = xmlNodeGetContent((xmlNode *)last);
	if (closing)
		(void)xmlAddChild(parent, xmlNewDocText(parent->doc, BAD_CAST "  "));
	(void)xmlAddChild(parent, child);
	if (closing)
		(void)xmlAddChild(parent, xmlNewDocText(parent->doc, closing));
}

static int add_element(xmlNode *parent, const char *name, const char *const *attrs,
		       struct sfh_error *err)
{
	_cleanup_node_ xmlNode *node = xmlNewDocNode(parent->doc, NULL, BAD_CAST name, NULL);

	for (; node && attrs[0]; attrs += 2)
		if (!xmlNewProp(node, BAD_CAST attrs[0], BAD_CAST attrs[1]))
			sfh_xml_nodep(&node);
	if (!node)
		return sfh_err(err, -ENOMEM, "out of memory");
	append_indented(parent, TAKE_PTR(node));
	return 0;
}

/* With the blank text in front of it. */
static void remove_element(xmlNode *node)
{
	xmlNode *prev = node->prev;

	if (prev && prev->type == XML_TEXT_NODE && xmlIsBlankNode(prev)) {
		xmlUnlinkNode(prev);
		xmlFreeNode(prev);
	}
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

struct nic {
	xmlNode *node;
	xmlNode *alias_node;
	xmlNode *teaming;
	char network[SFH_DOM_NAME_SIZE];
	char portgroup[SFH_DOM_NAME_SIZE];
	char alias[SFH_DOM_ALIAS_SIZE];
	struct sfh_mac mac;
	bool virtio;
};

static int read_nic(xmlNode *node, struct nic *nic, struct sfh_error *err)
{
	char mac[32], show[SFH_XML_SHOW_SIZE];
	int r;

	*nic = (struct nic){
		.node = node,
		.alias_node = sfh_xml_first(node, "alias"),
		.teaming = sfh_xml_first(node, "teaming"),
		.virtio = sfh_xml_attr_is(sfh_xml_first(node, "model"), "type", "virtio"),
	};
	r = sfh_xml_attr(sfh_xml_first(node, "source"), "network", nic->network,
			 sizeof(nic->network), err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(sfh_xml_first(node, "source"), "portgroup", nic->portgroup,
			 sizeof(nic->portgroup), err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(nic->alias_node, "name", nic->alias, sizeof(nic->alias), err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(sfh_xml_first(node, "mac"), "address", mac, sizeof(mac), err);
	if (r > 0 && sfh_mac_parse(mac, &nic->mac) < 0)
		return sfh_err(err, -EINVAL, WHAT ": <interface>: '%s' is not a MAC address",
			       sfh_xml_show(mac, show));
	return r < 0 ? r : 0;
}

static bool is_ours(const struct nic *nic)
{
	return sfh_alias_parse(nic->alias, NULL) == SFH_ALIAS_STANDBY;
}

/* libvirt allows one; of two the second would be found the next time. */
static void remove_all(xmlNode *node, const char *name)
{
	xmlNode *c;

	while ((c = sfh_xml_first(node, name)))
		remove_element(c);
}

/* 1: changed, 0: was adopted already. */
static int adopt_nic(struct nic *nic, bool bond, struct sfh_error *err)
{
	static const char *const teaming[] = {"type", "persistent", NULL};
	char alias[SFH_ALIAS_SIZE];
	const char *const alias_attrs[] = {"name", alias, NULL};
	struct sfh_mac named;
	bool changed = false;
	int r;

	if (sfh_mac_is_zero(&nic->mac))
		return sfh_err(err, -EINVAL,
			       WHAT ": <interface> on network '%.64s' has no MAC address",
			       nic->network);
	(void)sfh_alias_standby(&nic->mac, alias);
	/* Teaming of the user's own, which a bond cannot have: an alias of ours would make it
	 * ours the next time, and gone. */
	if (bond && nic->teaming && !is_ours(nic))
		return 0;
	if (bond && nic->teaming) { /* the network was defined anew */
		remove_all(nic->node, "teaming");
		changed = true;
	} else if (!bond && !nic->teaming) {
		r = add_element(nic->node, "teaming", teaming, err);
		if (r < 0)
			return r;
		changed = true;
	}
	if (!nic->alias_node) {
		r = add_element(nic->node, "alias", alias_attrs, err);
		if (r < 0)
			return r;
		changed = true;
	} else if (strncmp(nic->alias, "ua-", 3) ||
		   (sfh_alias_parse(nic->alias, &named) == SFH_ALIAS_STANDBY &&
		    !sfh_mac_equal(&named, &nic->mac))) {
		/* not one that libvirt would keep, or a clone's: the MAC is new
		 * and the alias still the original's */
		if (!xmlSetProp(nic->alias_node, BAD_CAST "name", BAD_CAST alias))
			return sfh_err(err, -ENOMEM, "out of memory");
		changed = true;
	}
	return changed;
}

/* --- root ports ----------------------------------------------------------------*/

static bool is_our_port(xmlNode *controller)
{
	const xmlNode *alias = sfh_xml_first(controller, "alias");
	char name[SFH_ALIAS_SIZE];

	return sfh_xml_attr_is(controller, "model", "pcie-root-port") &&
	       sfh_xml_attr(alias, "name", name, sizeof(name), NULL) > 0 &&
	       !strncmp(name, SFH_ALIAS_PORT_PREFIX, strlen(SFH_ALIAS_PORT_PREFIX));
}

static bool alias_taken(xmlNode *devices, const char *name)
{
	xmlNode *c = sfh_xml_first(devices, "controller");

	while (c && !sfh_xml_attr_is(sfh_xml_first(c, "alias"), "name", name))
		c = sfh_xml_next(c, "controller");
	return c != NULL;
}

static int add_ports(xmlNode *devices, unsigned wanted, unsigned *ret_added, struct sfh_error *err)
{
	/* no index, no address: libvirt knows where there is room */
	static const char *const attrs[] = {"type", "pci", "model", "pcie-root-port", NULL};
	char alias[SFH_ALIAS_SIZE] = "";
	const char *const alias_attrs[] = {"name", alias, NULL};
	unsigned free_ports, number = 0;
	int r = sfh_domxml_free_root_ports(devices, &free_ports, err);

	for (; r == 0 && free_ports < wanted; free_ports++, ++*ret_added) {
		do
			(void)snprintf(alias, sizeof(alias), SFH_ALIAS_PORT_PREFIX "%u", ++number);
		while (alias_taken(devices, alias));
		r = add_element(devices, "controller", attrs, err);
		/* the new port is the last element, but for blank text */
		if (r == 0)
			r = add_element(xmlLastElementChild(devices), "alias", alias_attrs, err);
	}
	return r;
}

/* The one of ours that can go: nothing sits behind it, and no PCI controller has
 * a higher number, where libvirt would fill the gap. NULL: none. */
static xmlNode *removable_port(xmlNode *devices)
{
	xmlNode *last = NULL;
	uint64_t highest = 0, v;

	for (xmlNode *c = sfh_xml_first(devices, "controller"); c;
	     c = sfh_xml_next(c, "controller")) {
		if (!sfh_xml_attr_is(c, "type", "pci"))
			continue;
		if (sfh_xml_uint(c, "index", false, 0, 255, &v, NULL) <= 0)
			v = 256; /* not numbered yet: behind all others */
		if (!last || v >= highest) {
			last = c;
			highest = v;
		}
	}
	if (!last || !is_our_port(last))
		return NULL;
	for (xmlNode *c = sfh_xml_first(devices, NULL); c && highest < 256; c = sfh_xml_next(c, NULL))
		if (sfh_xml_attr_is(sfh_xml_first(c, "address"), "type", "pci") &&
		    sfh_xml_uint(sfh_xml_first(c, "address"), "bus", true, 0, 255, &v, NULL) > 0 &&
		    v == highest)
			return NULL;
	return last;
}

static int remove_ports(xmlNode *devices, unsigned needed, unsigned *ret_removed,
			struct sfh_error *err)
{
	xmlNode *port;
	unsigned free_ports;
	int r = sfh_domxml_free_root_ports(devices, &free_ports, err);

	for (; r == 0 && free_ports > needed && (port = removable_port(devices)); free_ports--) {
		remove_element(port);
		++*ret_removed;
	}
	return r;
}

/* --- adoption ------------------------------------------------------------------*/

int sfh_domxml_adopt(const char *xml, size_t len, sfh_is_hybrid_fn is_hybrid, void *ctx,
		     char **ret_xml, struct sfh_adoption *info, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	struct sfh_adoption done = {0};
	char machine[SFH_DOM_WORD_SIZE], *text = NULL;
	const xmlNode *root;
	xmlNode *devices;
	bool q35;
	int r;

	r = sfh_xml_read(xml, len, WHAT, "domain", &doc, err);
	if (r < 0)
		return r;
	root = xmlDocGetRootElement(doc);
	devices = sfh_xml_first(root, "devices");
	r = sfh_xml_attr(sfh_xml_first(sfh_xml_first(root, "os"), "type"), "machine", machine,
			 sizeof(machine), err);
	if (r < 0)
		return r;
	q35 = sfh_domxml_machine_is_q35(machine);

	for (xmlNode *c = sfh_xml_first(devices, "interface"); c;
	     c = sfh_xml_next(c, "interface")) {
		enum sfh_hybrid kind;
		struct nic nic;

		if (!sfh_xml_attr_is(c, "type", "network"))
			continue;
		r = read_nic(c, &nic, err);
		if (r < 0)
			return r;
		kind = *nic.network ? is_hybrid(ctx, nic.network, nic.portgroup) : SFH_HYBRID_NO;
		/* a VF of somebody's own making is no standby */
		if (kind == SFH_HYBRID_NO || sfh_xml_attr_is(nic.teaming, "type", "transient"))
			continue;
		if (!nic.virtio) {
			done.not_virtio++;
			continue;
		}
		done.nics++;
		if (!q35)
			continue;
		r = adopt_nic(&nic, kind == SFH_HYBRID_BOND, err);
		if (r < 0)
			return r;
		done.adopted += r > 0;
	}
	if (done.nics && !q35)
		done.skipped = SFH_REASON_NOT_Q35;
	else if (done.nics)
		r = add_ports(devices, done.nics, &done.ports_added, err);
	if (r < 0)
		return r;
	if (done.adopted || done.ports_added) {
		r = sfh_xml_write(doc, false, &text, err);
		if (r < 0)
			return r;
	}
	*ret_xml = text;
	*info = done;
	return 0;
}

int sfh_domxml_unadopt(const char *xml, size_t len, sfh_is_hybrid_fn is_hybrid, void *ctx,
		       char **ret_xml, struct sfh_adoption *info, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	struct sfh_adoption done = {0};
	unsigned stay = 0; /* adopted NICs that stay so */
	char *text = NULL;
	xmlNode *devices;
	int r;

	r = sfh_xml_read(xml, len, WHAT, "domain", &doc, err);
	if (r < 0)
		return r;
	devices = sfh_xml_first(xmlDocGetRootElement(doc), "devices");
	for (xmlNode *c = sfh_xml_first(devices, "interface"); c;
	     c = sfh_xml_next(c, "interface")) {
		bool changed = false, ours;
		struct nic nic;

		/* Adoption never looked at it: whatever is wrong with it is not our matter. */
		if (!sfh_xml_attr_is(c, "type", "network")) {
			stay += sfh_xml_attr_is(sfh_xml_first(c, "teaming"), "type", "persistent");
			continue;
		}
		r = read_nic(c, &nic, err);
		if (r < 0)
			return r;
		ours = is_ours(&nic);
		if (is_hybrid ? !*nic.network || !is_hybrid(ctx, nic.network, nic.portgroup)
			      : !ours) {
			stay += ours || sfh_xml_attr_is(nic.teaming, "type", "persistent");
			continue;
		}
		if (!nic.virtio) {
			done.not_virtio++;
			continue;
		}
		done.nics++;
		if (sfh_xml_attr_is(nic.teaming, "type", "persistent")) {
			remove_all(c, "teaming");
			changed = true;
		}
		if (ours) {
			remove_all(c, "alias");
			changed = true;
		}
		done.adopted += changed;
	}
	if (done.adopted) {
		r = remove_ports(devices, stay, &done.ports_removed, err);
		if (r < 0)
			return r;
		r = sfh_xml_write(doc, false, &text, err);
		if (r < 0)
			return r;
	}
	*ret_xml = text;
	*info = done;
	return 0;
}

static int set_address(xmlNode *address, const struct sfh_bdf *bdf, struct sfh_error *err)
{
	const struct {
		const char *attr;
		int digits;
		unsigned value;
	} parts[] = {
		{"domain", 4, bdf->domain},
		{"bus", 2, bdf->bus},
		{"slot", 2, bdf->slot},
		{"function", 1, bdf->function},
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(parts); i++) {
		char buf[16];

		(void)snprintf(buf, sizeof(buf), "0x%0*x", parts[i].digits, parts[i].value);
		if (!xmlSetProp(address, BAD_CAST parts[i].attr, BAD_CAST buf))
			return sfh_err(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static xmlNode *find_hostdev(xmlNode *devices, const char *alias)
{
	xmlNode *c = sfh_xml_first(devices, "hostdev");

	while (c &&
	       (!sfh_xml_attr_is(c, "type", "pci") || !sfh_xml_attr_is(c, "mode", "subsystem") ||
		!sfh_xml_attr_is(sfh_xml_first(c, "alias"), "name", alias)))
		c = sfh_xml_next(c, "hostdev");
	return c;
}

int sfh_domxml_place_vfs(const char *xml, size_t len, const struct sfh_vf_place *places,
			 size_t nplaces, char **ret_xml, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	char show[SFH_XML_SHOW_SIZE];
	xmlNode *devices;
	int r;

	r = sfh_xml_read(xml, len, WHAT, "domain", &doc, err);
	if (r < 0)
		return r;
	devices = sfh_xml_first(xmlDocGetRootElement(doc), "devices");
	for (size_t i = 0; i < nplaces; i++) {
		xmlNode *hostdev = find_hostdev(devices, places[i].vf_alias);
		xmlNode *address = sfh_xml_first(sfh_xml_first(hostdev, "source"), "address");

		if (!address)
			return sfh_err(err, -ENOENT, WHAT ": no PCI host device has the alias '%s'",
				       sfh_xml_show(places[i].vf_alias, show));
		r = set_address(address, &places[i].bdf, err);
		if (r < 0)
			return r;
	}
	return sfh_xml_write(doc, false, ret_xml, err);
}

int sfh_domxml_populate(const char *xml, size_t len, char **ret_xml, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	xmlNode *backing, *allocation;
	int r = sfh_xml_read(xml, len, WHAT, "domain", &doc, err);

	*ret_xml = NULL;
	if (r < 0)
		return r;
	backing = sfh_xml_first(xmlDocGetRootElement(doc), "memoryBacking");
	if (sfh_xml_first(backing, "allocation"))
		return 0;
	if (!backing)
		backing = xmlNewChild(xmlDocGetRootElement(doc), NULL, BAD_CAST "memoryBacking", NULL);
	allocation = backing ? xmlNewChild(backing, NULL, BAD_CAST "allocation", NULL) : NULL;
	if (!allocation || !xmlSetProp(allocation, BAD_CAST "mode", BAD_CAST "immediate"))
		return sfh_err(err, -ENOMEM, "out of memory");
	return sfh_xml_write(doc, false, ret_xml, err);
}
