// SPDX-License-Identifier: GPL-2.0-or-later
/* Domain XML into a description. What changes domain XML is in domadopt.c. */
#include "libvirt-glue/domxml.h"
#include "libvirt-glue/domxml-internal.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define WHAT "domain XML"

/* --- aliases ------------------------------------------------------------------*/

static char *make_alias(const char *prefix, const struct sfh_mac *m, char *buf)
{
	(void)snprintf(buf, SFH_ALIAS_SIZE, "%s%02x%02x%02x%02x%02x%02x", prefix, m->b[0], m->b[1],
		       m->b[2], m->b[3], m->b[4], m->b[5]);
	return buf;
}

char *sfh_alias_standby(const struct sfh_mac *mac, char buf[SFH_ALIAS_SIZE])
{
	return make_alias(SFH_ALIAS_STANDBY_PREFIX, mac, buf);
}

char *sfh_alias_vf(const struct sfh_mac *mac, char buf[SFH_ALIAS_SIZE])
{
	return make_alias(SFH_ALIAS_VF_PREFIX, mac, buf);
}

enum sfh_alias_kind sfh_alias_parse(const char *alias, struct sfh_mac *ret_mac)
{
	enum sfh_alias_kind kind;
	struct sfh_mac mac;
	const char *p;

	if (!alias)
		return SFH_ALIAS_NOT_OURS;
	if (!strncmp(alias, SFH_ALIAS_STANDBY_PREFIX, strlen(SFH_ALIAS_STANDBY_PREFIX)))
		kind = SFH_ALIAS_STANDBY;
	else if (!strncmp(alias, SFH_ALIAS_VF_PREFIX, strlen(SFH_ALIAS_VF_PREFIX)))
		kind = SFH_ALIAS_VF;
	else
		return SFH_ALIAS_NOT_OURS;
	p = alias + strlen(SFH_ALIAS_VF_PREFIX);
	if (strlen(p) != 12 || strspn(p, "0123456789abcdef") != 12)
		return SFH_ALIAS_NOT_OURS;
	for (int i = 0; i < 6; i++) {
		const char two[3] = {p[2 * i], p[2 * i + 1], '\0'};

		mac.b[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	if (ret_mac)
		*ret_mac = mac;
	return kind;
}

/* --- description ---------------------------------------------------------------*/

void sfh_domdesc_freep(struct sfh_domdesc **desc)
{
	if (!*desc)
		return;
	free((*desc)->nics);
	free((*desc)->hostdevs);
	free(*desc);
	*desc = NULL;
}

const struct sfh_dom_nic *sfh_domdesc_find_nic(const struct sfh_domdesc *desc,
					       const struct sfh_mac *mac)
{
	for (size_t i = 0; i < desc->nnics; i++)
		if (desc->nics[i].type != SFH_NIC_HOSTDEV && sfh_mac_equal(&desc->nics[i].mac, mac))
			return &desc->nics[i];
	return NULL;
}

const struct sfh_dom_hostdev *sfh_domdesc_find_hostdev(const struct sfh_domdesc *desc,
						       const char *alias)
{
	for (size_t i = 0; i < desc->nhostdevs; i++)
		if (!strcmp(desc->hostdevs[i].alias, alias))
			return &desc->hostdevs[i];
	return NULL;
}

/* <memory unit='KiB'>; libvirt itself always writes KiB. */
static int parse_memory(const xmlNode *node, uint64_t *ret, struct sfh_error *err)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {
		{"b", 1},
		{"bytes", 1},
		{"KB", 1000},
		{"k", 1024},
		{"KiB", 1024},
		{"MB", 1000000},
		{"M", 1024 * 1024},
		{"MiB", 1024 * 1024},
		{"GB", 1000000000},
		{"G", 1024 * 1024 * 1024},
		{"GiB", 1024 * 1024 * 1024},
		{"TB", 1000000000000ull},
		{"T", 1024ull * 1024 * 1024 * 1024},
		{"TiB", 1024ull * 1024 * 1024 * 1024},
	};
	char text[32], unit[16], show[SFH_XML_SHOW_SIZE];
	unsigned long long v;
	size_t i = 0;
	char *end;
	int r;

	if (!node)
		return 0;
	r = sfh_xml_text(node, text, sizeof(text), err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(node, "unit", unit, sizeof(unit), err);
	if (r < 0)
		return r;
	if (r == 0)
		(void)strcpy(unit, "KiB");
	while (i < SFH_ARRAY_SIZE(units) && strcmp(units[i].unit, unit))
		i++;
	errno = 0;
	v = strtoull(text, &end, 10);
	end += strspn(end, " \t\r\n");
	if (i == SFH_ARRAY_SIZE(units) || strchr(text, '-') || end == text || *end || errno ||
	    v > UINT64_MAX / units[i].bytes)
		return sfh_err(err, -EINVAL, WHAT ": <memory>: '%s' is not an amount of memory",
			       sfh_xml_show(text, show));
	*ret = v * units[i].bytes / 1024;
	return 0;
}

static enum sfh_nic_type nic_type(const xmlNode *node)
{
	if (sfh_xml_attr_is(node, "type", "network"))
		return SFH_NIC_NETWORK;
	if (sfh_xml_attr_is(node, "type", "direct"))
		return SFH_NIC_DIRECT;
	if (sfh_xml_attr_is(node, "type", "bridge"))
		return SFH_NIC_BRIDGE;
	if (sfh_xml_attr_is(node, "type", "hostdev"))
		return SFH_NIC_HOSTDEV;
	return SFH_NIC_OTHER;
}

static int parse_mac(const xmlNode *node, struct sfh_mac *ret, struct sfh_error *err)
{
	char text[32], show[SFH_XML_SHOW_SIZE];
	int r = sfh_xml_attr(sfh_xml_first(node, "mac"), "address", text, sizeof(text), err);

	if (r > 0 && sfh_mac_parse(text, ret) < 0)
		return sfh_err(err, -EINVAL, WHAT ": <interface>: '%s' is not a MAC address",
			       sfh_xml_show(text, show));
	return r < 0 ? r : 0;
}

static int parse_nic(const xmlNode *node, struct sfh_dom_nic *nic, struct sfh_error *err)
{
	const xmlNode *source = sfh_xml_first(node, "source");
	const xmlNode *teaming = sfh_xml_first(node, "teaming");
	const xmlNode *vlan = sfh_xml_first(node, "vlan");
	const struct {
		const xmlNode *node;
		const char *attr;
		char *buf;
		size_t size;
	} strings[] = {
		{source, "network", nic->network, sizeof(nic->network)},
		{source, "portgroup", nic->portgroup, sizeof(nic->portgroup)},
		{sfh_xml_first(node, "alias"), "name", nic->alias, sizeof(nic->alias)},
		{sfh_xml_first(node, "target"), "dev", nic->target_dev, sizeof(nic->target_dev)},
		{sfh_xml_first(node, "model"), "type", nic->model, sizeof(nic->model)},
	};
	uint64_t v;
	int r;

	nic->type = nic_type(node);
	sfh_virtualport_read(sfh_xml_first(node, "virtualport"), &nic->virtualport);
	r = parse_mac(node, &nic->mac, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(strings); i++) {
		r = sfh_xml_attr(strings[i].node, strings[i].attr, strings[i].buf, strings[i].size,
				 err);
		if (r < 0)
			return r;
	}
	/* <source dev=> of other types is a path or an address */
	if (nic->type == SFH_NIC_DIRECT) {
		r = sfh_xml_attr(source, "dev", nic->source_dev, sizeof(nic->source_dev), err);
		if (r < 0)
			return r;
		r = sfh_xml_attr(source, "mode", nic->source_mode, sizeof(nic->source_mode), err);
		if (r < 0)
			return r;
	} else if (nic->type == SFH_NIC_BRIDGE) {
		r = sfh_xml_attr(source, "bridge", nic->source_bridge, sizeof(nic->source_bridge),
				 err);
		if (r < 0)
			return r;
	}
	r = sfh_xml_uint(sfh_xml_first(vlan, "tag"), "id", false, 0, 4095, &v, err);
	if (r < 0)
		return r;
	nic->vlan = r > 0 ? (unsigned)v : 0;
	r = sfh_xml_uint(sfh_xml_first(sfh_xml_first(node, "bandwidth"), "outbound"), "average",
			 false, 0, UINT32_MAX, &v, err);
	if (r < 0)
		return r;
	nic->outbound_kbytes = r > 0 ? v : 0;
	if (nic->type == SFH_NIC_HOSTDEV && sfh_xml_first(source, "address")) {
		r = sfh_xml_pci_address(sfh_xml_first(source, "address"), &nic->hostdev, err);
		if (r < 0)
			return r;
	}
	r = sfh_xml_uint(sfh_xml_first(node, "mtu"), "size", false, 0, 65535, &v, err);
	if (r < 0)
		return r;
	nic->mtu = r > 0 ? (unsigned)v : 0;
	nic->teaming_persistent = sfh_xml_attr_is(teaming, "type", "persistent");
	nic->teaming_transient = sfh_xml_attr_is(teaming, "type", "transient");
	nic->link_down = sfh_xml_attr_is(sfh_xml_first(node, "link"), "state", "down");
	return 0;
}

static int parse_hostdev(const xmlNode *node, struct sfh_dom_hostdev *dev, struct sfh_error *err)
{
	const xmlNode *teaming = sfh_xml_first(node, "teaming");
	const xmlNode *address = sfh_xml_first(sfh_xml_first(node, "source"), "address");
	int r;

	if (!address)
		return sfh_err(err, -EINVAL, WHAT ": <hostdev>: <source><address> is missing");
	r = sfh_xml_pci_address(address, &dev->bdf, err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(sfh_xml_first(node, "alias"), "name", dev->alias, sizeof(dev->alias), err);
	if (r < 0)
		return r;
	r = sfh_xml_attr(teaming, "persistent", dev->teaming_persistent,
			 sizeof(dev->teaming_persistent), err);
	if (r < 0)
		return r;
	dev->teaming_transient = sfh_xml_attr_is(teaming, "type", "transient");
	dev->managed = sfh_xml_attr_is(node, "managed", "yes");
	return 0;
}

static int add_nic(const xmlNode *node, struct sfh_domdesc *desc, struct sfh_error *err)
{
	struct sfh_dom_nic *nics;

	if (desc->nnics == SFH_DOM_NICS_MAX)
		return sfh_err(err, -EINVAL, WHAT ": more than %d interfaces", SFH_DOM_NICS_MAX);
	nics = reallocarray(desc->nics, desc->nnics + 1, sizeof(*nics));
	if (!nics)
		return sfh_err(err, -ENOMEM, "out of memory");
	desc->nics = nics;
	memset(&nics[desc->nnics], 0, sizeof(*nics));
	return parse_nic(node, &nics[desc->nnics++], err);
}

static int add_hostdev(const xmlNode *node, struct sfh_domdesc *desc, struct sfh_error *err)
{
	struct sfh_dom_hostdev *devs;

	if (desc->nhostdevs == SFH_DOM_HOSTDEVS_MAX)
		return sfh_err(err, -EINVAL, WHAT ": more than %d host devices",
			       SFH_DOM_HOSTDEVS_MAX);
	devs = reallocarray(desc->hostdevs, desc->nhostdevs + 1, sizeof(*devs));
	if (!devs)
		return sfh_err(err, -ENOMEM, "out of memory");
	desc->hostdevs = devs;
	memset(&devs[desc->nhostdevs], 0, sizeof(*devs));
	return parse_hostdev(node, &devs[desc->nhostdevs++], err);
}

static int parse_devices(const xmlNode *devices, struct sfh_domdesc *desc, struct sfh_error *err)
{
	for (xmlNode *c = sfh_xml_first(devices, NULL); c; c = sfh_xml_next(c, NULL)) {
		int r = 0;

		if (sfh_xml_is(c, "interface"))
			r = add_nic(c, desc, err);
		else if (sfh_xml_is(c, "hostdev") && sfh_xml_attr_is(c, "type", "pci") &&
			 sfh_xml_attr_is(c, "mode", "subsystem"))
			r = add_hostdev(c, desc, err);
		if (r < 0)
			return r;
	}
	return sfh_domxml_free_root_ports(devices, &desc->free_root_ports, err);
}

int sfh_domxml_free_root_ports(const xmlNode *devices, unsigned *ret, struct sfh_error *err)
{
	bool used[256] = {false}, port[256] = {false};
	unsigned n = 0;

	for (xmlNode *c = sfh_xml_first(devices, NULL); c; c = sfh_xml_next(c, NULL)) {
		/* the guest's address; the host's stands inside <source> */
		const xmlNode *address = sfh_xml_first(c, "address");
		uint64_t v;
		int r;

		if (sfh_xml_attr_is(address, "type", "pci")) {
			r = sfh_xml_uint(address, "bus", true, 0, 255, &v, err);
			if (r < 0)
				return r;
			if (r > 0)
				used[v] = true;
		}
		if (!sfh_xml_is(c, "controller") || !sfh_xml_attr_is(c, "type", "pci") ||
		    !sfh_xml_attr_is(c, "model", "pcie-root-port") ||
		    sfh_xml_attr_is(sfh_xml_first(c, "target"), "hotplug", "off"))
			continue;
		r = sfh_xml_uint(c, "index", false, 0, 255, &v, err);
		if (r < 0)
			return r;
		/* one that libvirt has not numbered yet has nothing behind it */
		if (r > 0)
			port[v] = true;
		else
			n++;
	}
	for (int i = 0; i < 256; i++)
		n += port[i] && !used[i];
	*ret = n;
	return 0;
}

bool sfh_domxml_machine_is_q35(const char *machine)
{
	return !strcmp(machine, "q35") || !strncmp(machine, "pc-q35-", strlen("pc-q35-"));
}

int sfh_domdesc_parse(const char *xml, size_t len, struct sfh_domdesc **ret, struct sfh_error *err)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	_cleanup_doc_ xmlDoc *doc = NULL;
	const xmlNode *root;
	uint64_t id;
	int r;

	r = sfh_xml_read(xml, len, WHAT, "domain", &doc, err);
	if (r < 0)
		return r;
	root = xmlDocGetRootElement(doc);
	desc = calloc(1, sizeof(*desc));
	if (!desc)
		return sfh_err(err, -ENOMEM, "out of memory");

	r = sfh_xml_text(sfh_xml_first(root, "name"), desc->name, sizeof(desc->name), err);
	if (r < 0)
		return r;
	if (!*desc->name)
		return sfh_err(err, -EINVAL, WHAT ": <name> is missing");
	r = sfh_xml_text(sfh_xml_first(root, "uuid"), desc->uuid, sizeof(desc->uuid), err);
	if (r < 0)
		return r;
	if (r > 0 && sfh_xml_uuid(desc->uuid) < 0)
		return sfh_err(err, -EINVAL, WHAT ": <uuid> is not a UUID");
	r = sfh_xml_attr(root, "type", desc->type, sizeof(desc->type), err);
	if (r < 0)
		return r;
	desc->id = -1;
	/* a saved image may say id='-1' */
	if (!sfh_xml_attr_is(root, "id", "-1")) {
		r = sfh_xml_uint(root, "id", false, 0, INT_MAX, &id, err);
		if (r < 0)
			return r;
		if (r > 0)
			desc->id = (int)id;
	}
	r = sfh_xml_attr(sfh_xml_first(sfh_xml_first(root, "os"), "type"), "machine", desc->machine,
			 sizeof(desc->machine), err);
	if (r < 0)
		return r;
	desc->q35 = sfh_domxml_machine_is_q35(desc->machine);
	r = parse_memory(sfh_xml_first(root, "memory"), &desc->memory_kib, err);
	if (r < 0)
		return r;
	r = parse_devices(sfh_xml_first(root, "devices"), desc, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(desc);
	return 0;
}
