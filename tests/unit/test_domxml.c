// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/domxml.h"
#include "libvirt-glue/hostdevxml.h"
#include "tests/unit/glue_helpers.h"

#define _cleanup_desc_ _cleanup_(sfh_domdesc_freep)

#define IFACE1 "/domain/devices/interface[1]"
#define PORTS "count(//controller[@model='pcie-root-port'])"

static const struct sfh_mac mac1 = {{0x52, 0x54, 0x00, 0xa1, 0xb2, 0xc3}};

static enum sfh_hybrid hybrid(void *ctx, const char *network, const char *portgroup)
{
	(void)portgroup;
	if (ctx)
		++*(int *)ctx;
	return !strcmp(network, "direct-network") ? SFH_HYBRID_FAILOVER : SFH_HYBRID_NO;
}

static enum sfh_hybrid bonded(void *ctx, const char *network, const char *portgroup)
{
	return hybrid(ctx, network, portgroup) ? SFH_HYBRID_BOND : SFH_HYBRID_NO;
}

static enum sfh_hybrid none_hybrid(void *ctx, const char *network, const char *portgroup)
{
	(void)ctx;
	(void)network;
	(void)portgroup;
	return SFH_HYBRID_NO;
}

static struct sfh_domdesc *must_describe(const char *xml)
{
	struct sfh_domdesc *desc = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_domdesc_parse(xml, strlen(xml), &desc, &err), 0, "%s", err.text);
	return desc;
}

/* What adoption makes of it; NULL: nothing. */
static char *adopt(const char *xml, struct sfh_adoption *info)
{
	struct sfh_error err = {0};
	char *out = (char *)"untouched";

	cr_assert_eq(sfh_domxml_adopt(xml, strlen(xml), hybrid, NULL, &out, info, &err), 0, "%s",
		     err.text);
	return out;
}

static char *unadopt(const char *xml, sfh_is_hybrid_fn fn, struct sfh_adoption *info)
{
	struct sfh_error err = {0};
	char *out = (char *)"untouched";

	cr_assert_eq(sfh_domxml_unadopt(xml, strlen(xml), fn, NULL, &out, info, &err), 0, "%s",
		     err.text);
	return out;
}

/* --- aliases ------------------------------------------------------------------*/

Test(domxml, aliases)
{
	char buf[SFH_ALIAS_SIZE];
	struct sfh_mac mac;

	cr_assert_str_eq(sfh_alias_standby(&mac1, buf), "ua-sfh-525400a1b2c3");
	memset(&mac, 0, sizeof(mac));
	cr_assert_eq(sfh_alias_parse(buf, &mac), SFH_ALIAS_STANDBY);
	cr_assert(sfh_mac_equal(&mac, &mac1));
	cr_assert_str_eq(sfh_alias_vf(&mac1, buf), "ua-sfv-525400a1b2c3");
	memset(&mac, 0, sizeof(mac));
	cr_assert_eq(sfh_alias_parse(buf, &mac), SFH_ALIAS_VF);
	cr_assert(sfh_mac_equal(&mac, &mac1));
	cr_assert_eq(sfh_alias_parse(buf, NULL), SFH_ALIAS_VF);
}

Test(domxml, aliases_that_are_not_ours)
{
	static const char *const others[] = {"",
					     "net0",
					     "ua-uplink",
					     "ua-sfh-",
					     "ua-sfh-525400A1B2C3",
					     "ua-sfh-525400a1b2c",
					     "ua-sfh-525400a1b2c33",
					     "ua-sfx-525400a1b2c3",
					     "ua-sfv-525400a1b2cg",
					     "xua-sfv-525400a1b2c3"};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(others); i++) {
		struct sfh_mac mac = mac1;

		cr_assert_eq(sfh_alias_parse(others[i], &mac), SFH_ALIAS_NOT_OURS, "%s", others[i]);
		cr_assert(sfh_mac_equal(&mac, &mac1), "not written to");
	}
	cr_assert_eq(sfh_alias_parse(NULL, NULL), SFH_ALIAS_NOT_OURS);
}

/* --- description ---------------------------------------------------------------*/

Test(domxml, live_macvtap_with_vf)
{
	_cleanup_free_ char *xml = load_data("q35-live.xml");
	_cleanup_desc_ struct sfh_domdesc *d = must_describe(xml);
	const struct sfh_dom_nic *n;
	char bdf[SFH_BDF_STRLEN];

	cr_assert_str_eq(d->name, "web1");
	cr_assert_str_eq(d->uuid, "7a3f2c7e-52d4-4a51-9f0d-0c8f2c5b9d01");
	cr_assert_eq(d->id, 12);
	cr_assert_str_eq(d->type, "kvm");
	cr_assert_str_eq(d->machine, "pc-q35-10.0");
	cr_assert(d->q35);
	cr_assert_eq(d->memory_kib, 2097152, "<memory>, not <currentMemory>: all of it is pinned");
	cr_assert_eq(d->nnics, 3);
	n = sfh_domdesc_find_nic(d, &mac1);
	cr_assert_eq(n, &d->nics[0]);
	cr_assert_eq(n->type, SFH_NIC_DIRECT);
	cr_assert_str_eq(n->network, "direct-network");
	cr_assert_str_eq(n->portgroup, "blue");
	cr_assert_str_eq(n->source_dev, "enp4s0f0");
	cr_assert_str_eq(n->source_mode, "bridge");
	cr_assert_str_eq(n->source_bridge, "");
	cr_assert_str_eq(n->target_dev, "macvtap0");
	cr_assert_str_eq(n->alias, "ua-sfh-525400a1b2c3");
	cr_assert_str_eq(n->model, "virtio");
	cr_assert(n->teaming_persistent);
	cr_assert_not(n->teaming_transient);
	cr_assert_not(n->link_down);
	cr_assert_eq(d->nhostdevs, 2, "the USB device is none of ours");
	cr_assert_str_eq(sfh_bdf_format(&d->hostdevs[0].bdf, bdf), "0000:04:10.2");
	cr_assert(d->hostdevs[0].teaming_transient);
	cr_assert_str_eq(d->hostdevs[0].teaming_persistent, "ua-sfh-525400a1b2c3");
	cr_assert_not(d->hostdevs[0].managed);
	cr_assert_eq(sfh_domdesc_find_hostdev(d, "ua-sfv-525400a1b2c3"), &d->hostdevs[0]);
	cr_assert_null(sfh_domdesc_find_hostdev(d, "ua-sfv-525400a1b2c4"));
	cr_assert_str_eq(sfh_bdf_format(&d->hostdevs[1].bdf, bdf), "0001:c1:1f.7");
	cr_assert_not(d->hostdevs[1].teaming_transient);
	cr_assert(d->hostdevs[1].managed);
	cr_assert_eq(d->free_root_ports, 1, "port 4: the VF sits behind 3");
}

Test(domxml, live_bridge_nic)
{
	_cleanup_free_ char *xml = load_data("q35-live.xml");
	_cleanup_desc_ struct sfh_domdesc *d = must_describe(xml);
	const struct sfh_dom_nic *n = &d->nics[1];

	cr_assert_eq(n->type, SFH_NIC_BRIDGE);
	cr_assert_str_eq(n->network, "lan");
	cr_assert_str_eq(n->source_bridge, "sfbr-lan");
	cr_assert_str_eq(n->source_dev, "");
	cr_assert_str_eq(n->target_dev, "vnet3");
	cr_assert_eq(n->vlan, 42);
	cr_assert_eq(n->mtu, 9000);
	cr_assert(n->link_down);
	cr_assert_not(n->teaming_persistent);
	cr_assert_eq(d->nics[2].type, SFH_NIC_OTHER);
	cr_assert_str_eq(d->nics[2].network, "");
}

Test(domxml, inactive)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml");
	_cleanup_desc_ struct sfh_domdesc *d = must_describe(xml);

	cr_assert_eq(d->id, -1);
	cr_assert_eq(d->nnics, 1);
	cr_assert_eq(d->nics[0].type, SFH_NIC_NETWORK);
	cr_assert(sfh_mac_equal(&d->nics[0].mac, &mac1), "capital digits too");
	cr_assert_eq(d->nhostdevs, 0);
	cr_assert_eq(d->free_root_ports, 0, "1..5 are used, 6 cannot be hot-plugged");
}

Test(domxml, q35_or_not)
{
	static const struct {
		const char *machine;
		bool q35;
	} cases[] = {{"q35", true},	 {"pc-q35-9.2", true}, {"pc-i440fx-7.2", false},
		     {"pc", false},	 {"virt-9.0", false},  {"q35x", false},
		     {"microvm", false}, {"xpc-q35-1", false}};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(cases); i++) {
		char xml[256];
		_cleanup_desc_ struct sfh_domdesc *d = NULL;

		(void)snprintf(xml, sizeof(xml),
			       "<domain><name>n</name><os><type machine='%s'/></os></domain>",
			       cases[i].machine);
		d = must_describe(xml);
		cr_assert_eq(d->q35, cases[i].q35, "%s", cases[i].machine);
	}
}

Test(domxml, memory_units)
{
	static const struct {
		const char *memory;
		uint64_t kib;
	} cases[] = {{"<memory>2048</memory>", 2048},
		     {"<memory unit='MiB'> 3 </memory>", 3072},
		     {"<memory unit='G'>137</memory>", 137ull << 20},
		     {"<memory unit='bytes'>4096</memory>", 4},
		     {"<memory unit='KB'>1024</memory>", 1000}};
	static const char *const bad[] = {"<memory>x</memory>", "<memory>-1</memory>",
					  "<memory unit='parsec'>1</memory>",
					  "<memory unit='TiB'>99999999999999999</memory>"};
	char xml[256];

	for (size_t i = 0; i < SFH_ARRAY_SIZE(cases); i++) {
		_cleanup_desc_ struct sfh_domdesc *d = NULL;

		(void)snprintf(xml, sizeof(xml), "<domain><name>n</name>%s</domain>",
			       cases[i].memory);
		d = must_describe(xml);
		cr_assert_eq(d->memory_kib, cases[i].kib, "%s", cases[i].memory);
	}
	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		struct sfh_domdesc *d = NULL;
		struct sfh_error err = {0};

		(void)snprintf(xml, sizeof(xml), "<domain><name>n</name>%s</domain>", bad[i]);
		cr_assert_eq(sfh_domdesc_parse(xml, strlen(xml), &d, &err), -EINVAL, "%s", bad[i]);
		assert_says(err, "is not an amount of memory");
	}
}

Test(domxml, hostile_documents)
{
	static const struct {
		const char *xml, *sentence;
	} cases[] = {
		{"<!DOCTYPE domain [<!ENTITY x 'y'>]><domain><name>&x;</name></domain>",
		 "document type declarations are not accepted"},
		{"<network/>", "the root element is <network>"},
		{"<domain>", "not well-formed"},
		{"<domain/>", "<name> is missing"},
		{"<domain><name>n</name><uuid>1234</uuid></domain>", "<uuid> is not a UUID"},
		{"<domain id='4294967296'><name>n</name></domain>", "attribute id"},
		{"<domain><name>n</name><devices><interface type='bridge'><mac address='zz'/>"
		 "</interface></devices></domain>",
		 "'zz' is not a MAC address"},
		{"<domain><name>n</name><devices><interface type='bridge'>"
		 "<target dev='a-name-much-too-long'/></interface></devices></domain>",
		 "<target>, attribute dev: longer than 15 bytes"},
		{"<domain><name>n</name><devices><hostdev mode='subsystem' type='pci'/>"
		 "</devices></domain>",
		 "<source><address> is missing"},
		{"<domain><name>n</name><devices><hostdev mode='subsystem' type='pci'><source>"
		 "<address domain='0' bus='0x100' slot='0' function='0'/></source></hostdev>"
		 "</devices></domain>",
		 "from 0 to 255"},
		{"<domain><name>n</name><devices><controller type='pci' model='pcie-root-port' "
		 "index='300'/></devices></domain>",
		 "from 0 to 255"},
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(cases); i++) {
		struct sfh_domdesc *d = NULL;
		struct sfh_error err = {0};

		cr_assert_eq(sfh_domdesc_parse(cases[i].xml, strlen(cases[i].xml), &d, &err),
			     -EINVAL, "%s", cases[i].xml);
		cr_assert_null(d);
		assert_says(err, cases[i].sentence);
	}
}

Test(domxml, too_many_interfaces)
{
	static const char nic[] = "<interface type='user'/>";
	size_t n = SFH_DOM_NICS_MAX + 1;
	_cleanup_free_ char *xml = calloc(1, 200 + n * sizeof(nic));
	struct sfh_domdesc *d = NULL;
	struct sfh_error err = {0};

	(void)strcpy(xml, "<domain><name>n</name><devices>");
	for (size_t i = 0; i < n; i++)
		(void)strcat(xml, nic);
	(void)strcat(xml, "</devices></domain>");
	cr_assert_eq(sfh_domdesc_parse(xml, strlen(xml), &d, &err), -EINVAL);
	assert_says(err, "more than 256 interfaces");
}

/* --- adoption ------------------------------------------------------------------*/

Test(adopt, one_nic)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	cr_assert(out);
	cr_assert_eq(info.nics, 1);
	cr_assert_eq(info.adopted, 1);
	cr_assert_eq(info.ports_added, 1);
	cr_assert_eq(info.skipped, SFH_REASON_NONE);
	assert_xpath(out, IFACE1 "/teaming/@type", "persistent");
	assert_xpath(out, "count(" IFACE1 "/teaming/@*)", "1");
	assert_xpath(out, IFACE1 "/alias/@name", "ua-sfh-525400a1b2c3");
	assert_xpath(out, PORTS, "7");
	assert_xpath(out, "count(//controller[@model='pcie-root-port'][not(@index)])", "1");
	assert_xpath(out, "count(//controller[@model='pcie-root-port'][not(@index)]/*)", "1");
	assert_xpath(out, "//controller[@model='pcie-root-port'][not(@index)]/alias/@name",
		     "ua-sfp-1");
}

Test(adopt, nothing_else_changes)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *out = NULL, *a = NULL, *b = NULL,
			    *c = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	/* the three additions taken out again, the text is the old one */
	a = replaced(out, "  <teaming type=\"persistent\"/>\n    ", "");
	b = replaced(a, "  <alias name=\"ua-sfh-525400a1b2c3\"/>\n    ", "");
	c = replaced(b,
		     "  <controller type=\"pci\" model=\"pcie-root-port\"><alias "
		     "name=\"ua-sfp-1\"/></controller>\n  ",
		     "");
	assert_same_xml(c, xml);
	for (char *p = xml; *p; p++)
		if (*p == '\'')
			*p = '"';
	cr_assert_str_eq(c, xml, "byte for byte but for the quotes");
}

Test(adopt, secrets_and_foreign_metadata_stay)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	assert_xpath(out, "//graphics/@passwd", "s3cr&t");
	assert_xpath(out,
		     "//*[namespace-uri()='http://libosinfo.org/xmlns/libvirt/domain/1.0']/@id",
		     "http://libosinfo.org/linux/2022");
	cr_assert(strstr(out, "xmlns:libosinfo=\"http://libosinfo.org/xmlns/libvirt/domain/1.0\""));
	cr_assert_eq(strncmp(out, "<domain type=\"kvm\">", 19), 0, "no XML declaration");
}

Test(adopt, comments_cdata_and_qemu_namespace_stay)
{
	_cleanup_free_ char *file = load_data("q35-inactive.xml");
	_cleanup_free_ char *a = replaced(file, "<domain type='kvm'>",
					  "<domain type='kvm' "
					  "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
					  "<!-- mine --><description><![CDATA[a<b]]>&#x263a;"
					  "</description>");
	_cleanup_free_ char *xml = replaced(a, "</domain>",
					    "<qemu:commandline><qemu:arg value='-s'/>"
					    "</qemu:commandline></domain>");
	_cleanup_free_ char *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	assert_xpath(out, "/domain/comment()", " mine ");
	assert_xpath(out, "/domain/description", "a<b\xe2\x98\xba");
	cr_assert(strstr(out, "<qemu:commandline><qemu:arg value=\"-s\"/></qemu:commandline>"));
}

Test(adopt, idempotent_before_libvirt_saw_it)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	cr_assert_null(adopt(once, &info));
	cr_assert_eq(info.nics, 1);
	cr_assert_eq(info.adopted, 0);
	cr_assert_eq(info.ports_added, 0);
}

Test(adopt, idempotent_after_libvirt_numbered_the_port)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *defined = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	defined = replaced(once, "<controller type=\"pci\" model=\"pcie-root-port\">",
			   "<controller type='pci' index='7' model='pcie-root-port'>"
			   "<model name='pcie-root-port'/><target chassis='7' port='0x16'/>"
			   "<address type='pci' domain='0x0000' bus='0x00' slot='0x02' "
			   "function='0x6'/>");
	cr_assert_null(adopt(defined, &info));
	cr_assert_eq(info.ports_added, 0);
}

Test(adopt, two_nics_get_a_port_each)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	cr_assert_eq(info.nics, 2);
	cr_assert_eq(info.adopted, 2);
	cr_assert_eq(info.ports_added, 1, "port 5 is free already");
	cr_assert_eq(info.not_virtio, 1);
	assert_xpath(out, IFACE1 "/alias/@name", "ua-sfh-525400a1b2c3");
	assert_xpath(out, "//interface[2]/alias/@name", "ua-uplink");
	assert_xpath(out, "count(//interface[2]/alias)", "1");
	assert_xpath(out, "//interface[2]/teaming/@type", "persistent");
	assert_xpath(out, "count(//interface[3]/teaming | //interface[3]/alias)", "0");
	assert_xpath(out, "count(//interface[4]/teaming | //interface[4]/alias)", "0");
	cr_assert_null(adopt(out, &info), "and again nothing");
}

Test(adopt, port_behind_which_a_switch_sits_is_used)
{
	_cleanup_free_ char *file = load_data("q35-two-nics.xml");
	_cleanup_free_ char *xml = replaced(file, "<controller type='virtio-serial'",
					    "<controller type='pci' index='7' "
					    "model='pcie-switch-upstream-port'><address type='pci' "
					    "domain='0' bus='0x05' slot='0' function='0'/>"
					    "</controller><controller type='virtio-serial'");
	_cleanup_free_ char *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	cr_assert_eq(info.ports_added, 2);
}

Test(adopt, host_address_of_a_hostdev_uses_no_port)
{
	_cleanup_free_ char *file = load_data("q35-two-nics.xml");
	_cleanup_free_ char *xml = replaced(file, "<serial type='pty'>",
					    "<hostdev mode='subsystem' type='pci' managed='yes'>"
					    "<source><address domain='0x0000' bus='0x05' "
					    "slot='0x00' function='0x0'/></source><address "
					    "type='pci' domain='0x0000' bus='0x00' slot='0x09' "
					    "function='0x0'/></hostdev><serial type='pty'>");
	_cleanup_free_ char *out = NULL;
	struct sfh_adoption info;

	out = adopt(xml, &info);
	cr_assert_eq(info.ports_added, 1, "bus 5 is the host's there");
}

Test(adopt, other_networks_are_left_alone)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml");
	struct sfh_adoption info;
	struct sfh_error err = {0};
	char *out = (char *)"x";

	cr_assert_eq(sfh_domxml_adopt(xml, strlen(xml), none_hybrid, NULL, &out, &info, &err), 0);
	cr_assert_null(out);
	cr_assert_eq(info.nics, 0);
	cr_assert_eq(info.ports_added, 0);
}

Test(adopt, callback_is_asked_with_its_context)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *out = NULL;
	struct sfh_adoption info;
	int calls = 0;

	cr_assert_eq(sfh_domxml_adopt(xml, strlen(xml), hybrid, &calls, &out, &info, NULL), 0);
	cr_assert_eq(calls, 4);
}

Test(adopt, i440fx_is_skipped_with_a_reason)
{
	_cleanup_free_ char *xml = load_data("i440fx-inactive.xml");
	struct sfh_adoption info;

	cr_assert_null(adopt(xml, &info));
	cr_assert_eq(info.skipped, SFH_REASON_NOT_Q35);
	cr_assert_eq(info.nics, 1);
	cr_assert_eq(info.adopted, 0);
}

Test(adopt, i440fx_without_hybrid_nic_has_no_reason)
{
	_cleanup_free_ char *file = load_data("i440fx-inactive.xml");
	_cleanup_free_ char *xml = replaced(file, "direct-network", "default");
	struct sfh_adoption info;

	cr_assert_null(adopt(xml, &info));
	cr_assert_eq(info.skipped, SFH_REASON_NONE);
}

Test(adopt, a_clone_gets_the_alias_of_its_own_mac)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *clone = NULL,
			    *out = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	clone = replaced(once, "52:54:00:A1:b2:c3", "52:54:00:11:22:33");
	out = adopt(clone, &info);
	cr_assert(out);
	cr_assert_eq(info.adopted, 1);
	assert_xpath(out, IFACE1 "/alias/@name", "ua-sfh-525400112233");
	assert_xpath(out, "count(" IFACE1 "/alias)", "1");
}

Test(adopt, nic_without_mac_is_an_error)
{
	_cleanup_free_ char *file = load_data("q35-inactive.xml");
	_cleanup_free_ char *xml = replaced(file, "<mac address='52:54:00:A1:b2:c3'/>", "");
	struct sfh_adoption info;
	struct sfh_error err = {0};
	char *out = (char *)"untouched";

	cr_assert_eq(sfh_domxml_adopt(xml, strlen(xml), hybrid, NULL, &out, &info, &err), -EINVAL);
	assert_says(err, "'direct-network' has no MAC address");
	cr_assert_str_eq(out, "untouched");
}

Test(adopt, transient_teaming_is_not_a_standby)
{
	_cleanup_free_ char *file = load_data("q35-inactive.xml");
	_cleanup_free_ char *xml = replaced(file, "<source network='direct-network'/>",
					    "<source network='direct-network'/><teaming "
					    "type='transient' persistent='ua-x'/>");
	struct sfh_adoption info;

	cr_assert_null(adopt(xml, &info));
	cr_assert_eq(info.nics, 0);
}

Test(adopt, document_on_one_line)
{
	struct sfh_adoption info;
	_cleanup_free_ char *out =
		adopt("<domain><os><type machine='q35'/></os><devices><interface type='network'>"
		      "<mac address='52:54:00:a1:b2:c3'/><source network='direct-network'/>"
		      "<model type='virtio'/></interface></devices></domain>",
		      &info);

	assert_same_xml(out,
			"<domain><os><type machine='q35'/></os><devices><interface "
			"type='network'><mac address='52:54:00:a1:b2:c3'/><source "
			"network='direct-network'/><model type='virtio'/><teaming "
			"type='persistent'/><alias name='ua-sfh-525400a1b2c3'/></interface>"
			"<controller type='pci' model='pcie-root-port'><alias name='ua-sfp-1'/>"
			"</controller></devices></domain>");
}

Test(adopt, a_bond_gets_no_teaming)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *again = NULL,
			    *back = NULL;
	struct sfh_adoption info;
	char *out = NULL;

	cr_assert_eq(sfh_domxml_adopt(xml, strlen(xml), bonded, NULL, &once, &info, NULL), 0);
	assert_xpath(once, "count(//teaming)", "0");
	assert_xpath(once, IFACE1 "/alias/@name", "ua-sfh-525400a1b2c3");
	cr_assert_eq(info.ports_added, 1);
	cr_assert_eq(sfh_domxml_adopt(once, strlen(once), bonded, NULL, &out, &info, NULL), 0);
	cr_assert_null(out, "and again nothing");
	/* the network is defined anew, with <guest bond=>, and back */
	again = adopt(once, &info);
	assert_xpath(again, IFACE1 "/teaming/@type", "persistent");
	cr_assert_eq(sfh_domxml_adopt(again, strlen(again), bonded, NULL, &back, &info, NULL), 0);
	assert_same_xml(back, once);
}

/* Found by the fuzzer: the alias came the first time, the teaming went the second. */
Test(adopt, teaming_of_the_users_own_stays_on_a_bonds_network)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *own = NULL;
	struct sfh_adoption info;
	char *out = NULL;

	own = replaced(xml, "<source network='direct-network'/>",
		       "<source network='direct-network'/><teaming type='persistent'/>");
	cr_assert_eq(sfh_domxml_adopt(own, strlen(own), bonded, NULL, &out, &info, NULL), 0);
	cr_assert_eq(info.adopted, 0);
	if (out) { /* a port, and nothing of the NIC's */
		assert_xpath(out, IFACE1 "/teaming/@type", "persistent");
		assert_xpath(out, "count(" IFACE1 "/alias)", "0");
		free(out);
	}
}

Test(adopt, several_ports_have_names_of_their_own)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *used = NULL, *out = NULL;
	struct sfh_adoption info;

	used = replaced(xml, "<target chassis='5' port='0x14'/>",
			"<target chassis='5' port='0x14' hotplug='off'/><alias name='ua-sfp-2'/>");
	out = adopt(used, &info);
	cr_assert_eq(info.ports_added, 2);
	assert_xpath(out, "count(//controller/alias[@name='ua-sfp-1'])", "1");
	assert_xpath(out, "count(//controller/alias[@name='ua-sfp-2'])", "1");
	assert_xpath(out, "count(//controller/alias[@name='ua-sfp-3'])", "1");
}

Test(unadopt, gives_back_what_adoption_gave)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *back = NULL,
			    *expected = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	back = unadopt(once, hybrid, &info);
	cr_assert_eq(info.nics, 1);
	cr_assert_eq(info.adopted, 1);
	cr_assert_eq(info.ports_removed, 1);
	assert_same_xml(back, xml);
	cr_assert_null(unadopt(back, hybrid, &info), "and again nothing");
}

/* What adoption passed over is passed over here, too (found by the fuzzer). */
Test(unadopt, a_nic_of_another_kind_is_not_read)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *odd = NULL, *once = NULL,
			    *back = NULL;
	struct sfh_adoption info;

	odd = replaced(xml, "</devices>",
		       "<interface type='user'><mac address='no address'/></interface></devices>");
	once = adopt(odd, &info);
	back = unadopt(once, hybrid, &info);
	cr_assert_eq(info.adopted, 1);
	cr_assert_eq(info.ports_removed, 1);
	assert_same_xml(back, odd);
}

/* Once libvirt has numbered the port that adoption added. */
static char *numbered(const char *adopted, const char *index, const char *more)
{
	_cleanup_free_ char *port = NULL;

	cr_assert(asprintf(&port,
			   "<controller type='pci' index='%s' model='pcie-root-port'>"
			   "<target chassis='7' port='0x16'/><address type='pci' domain='0x0000' "
			   "bus='0x00' slot='0x02' function='0x6'/>",
			   index) > 0);
	_cleanup_free_ char *xml =
		replaced(adopted, "<controller type=\"pci\" model=\"pcie-root-port\">", port);

	return replaced(xml, "</devices>", more);
}

Test(unadopt, a_port_in_use_stays)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *used = NULL,
			    *free_one = NULL, *back = NULL, *back2 = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	used = numbered(once, "7",
			"<watchdog model='i6300esb'><address type='pci' domain='0x0000' bus='0x07' "
			"slot='0x01' function='0x0'/></watchdog></devices>");
	back = unadopt(used, hybrid, &info);
	cr_assert_eq(info.ports_removed, 0);
	assert_xpath(back, "count(//controller/alias[@name='ua-sfp-1'])", "1");
	free_one = numbered(once, "7", "</devices>");
	back2 = unadopt(free_one, hybrid, &info);
	cr_assert_eq(info.ports_removed, 1);
	assert_same_xml(back2, xml);
}

Test(unadopt, no_gap_is_left_in_the_numbers)
{
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *file = NULL,
			    *back = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	file = numbered(once, "7",
			"<controller type='pci' index='8' model='pcie-root-port'/></devices>");
	back = unadopt(file, hybrid, &info);
	cr_assert_eq(info.ports_removed, 0);
	assert_xpath(back, "count(//controller[@index='7'])", "1");
}

Test(unadopt, what_other_nics_need_stays)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *once = NULL, *back = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	cr_assert_eq(info.ports_added, 1);
	/* only the first of the two goes; port 5 is free for the other */
	back = unadopt(once, NULL, &info);
	cr_assert_eq(info.adopted, 1);
	cr_assert_eq(info.ports_removed, 1);
	assert_xpath(back, "count(//controller[@index='5'])", "1");
}

Test(unadopt, users_alias_stays)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *once = NULL, *back = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	back = unadopt(once, hybrid, &info);
	cr_assert_eq(info.adopted, 2);
	assert_xpath(back, "count(//teaming)", "0");
	assert_xpath(back, "count(//interface/alias)", "1");
	assert_xpath(back, "//interface[2]/alias/@name", "ua-uplink");
}

Test(unadopt, without_callback_only_our_aliases)
{
	_cleanup_free_ char *xml = load_data("q35-two-nics.xml"), *once = NULL, *back = NULL;
	struct sfh_adoption info;

	once = adopt(xml, &info);
	back = unadopt(once, NULL, &info);
	cr_assert_eq(info.adopted, 1);
	assert_xpath(back, "count(//interface[1]/teaming)", "0");
	assert_xpath(back, "count(//interface[2]/teaming)", "1");
	cr_assert_null(unadopt(once, none_hybrid, &info));
}

/* --- the hook's rewriting ---------------------------------------------------------*/

Test(domxml, place_vfs)
{
	_cleanup_free_ char *xml = load_data("q35-live.xml"), *out = NULL, *expected = NULL;
	const struct sfh_vf_place place = {"ua-sfv-525400a1b2c3", {0, 0x81, 0x02, 5}};
	struct sfh_error err = {0};

	cr_assert_eq(sfh_domxml_place_vfs(xml, strlen(xml), &place, 1, &out, &err), 0, "%s",
		     err.text);
	expected = replaced(xml, "<address domain='0x0000' bus='0x04' slot='0x10' function='0x2'/>",
			    "<address domain='0x0000' bus='0x81' slot='0x02' function='0x5'/>");
	assert_same_xml(out, expected);
}

Test(domxml, place_vfs_unknown_alias)
{
	_cleanup_free_ char *xml = load_data("q35-live.xml");
	const struct sfh_vf_place places[] = {{"ua-sfv-525400a1b2c3", {0, 1, 2, 3}},
					      {"ua-sfv-000000000001", {0, 1, 2, 4}}};
	struct sfh_error err = {0};
	char *out = NULL;

	cr_assert_eq(sfh_domxml_place_vfs(xml, strlen(xml), places, 2, &out, &err), -ENOENT);
	cr_assert_null(out);
	assert_says(err, "'ua-sfv-000000000001'");
}

Test(domxml, populate)
{
	_cleanup_free_ char *xml = load_data("q35-live.xml"), *out = NULL, *again = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_domxml_populate(xml, strlen(xml), &out, &err), 0, "%s", err.text);
	assert_xpath(out, "count(/domain/memoryBacking)", "1");
	assert_xpath(out, "string(/domain/memoryBacking/allocation/@mode)", "immediate");
	/* How it is allocated is said now. */
	cr_assert_eq(sfh_domxml_populate(out, strlen(out), &again, &err), 0);
	cr_assert_null(again);
}

Test(domxml, populate_what_has_a_backing)
{
	static const char xml[] = "<domain><memoryBacking><hugepages/></memoryBacking></domain>";
	struct sfh_error err = {0};
	_cleanup_free_ char *out = NULL;

	cr_assert_eq(sfh_domxml_populate(xml, strlen(xml), &out, &err), 0, "%s", err.text);
	assert_xpath(out, "count(/domain/memoryBacking/hugepages)", "1");
	assert_xpath(out, "string(/domain/memoryBacking/allocation/@mode)", "immediate");
}

/* --- the device ---------------------------------------------------------------------*/

Test(hostdevxml, what_is_plugged)
{
	const struct sfh_bdf bdf = {0x0001, 0xc1, 0x1f, 7};
	_cleanup_free_ char *out = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_hostdev_xml(&bdf, "ua-sfv-525400a1b2c3", "ua-uplink_1", &out, &err), 0);
	assert_same_xml(out,
			"<hostdev mode='subsystem' type='pci' managed='no'><driver name='vfio'/>"
			"<source><address domain='0x0001' bus='0xc1' slot='0x1f' function='0x7'/>"
			"</source><teaming type='transient' persistent='ua-uplink_1'/>"
			"<alias name='ua-sfv-525400a1b2c3'/></hostdev>");
}

Test(hostdevxml, aliases_that_libvirt_would_not_keep)
{
	static const char *const bad[] = {"net0", "ua-", "ua-a'/><x y='", "", "ua-a b"};
	const struct sfh_bdf bdf = {0};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		char *out = NULL;
		struct sfh_error err = {0};

		cr_assert_eq(sfh_hostdev_xml(&bdf, "ua-x", bad[i], &out, &err), -EINVAL, "%s",
			     bad[i]);
		cr_assert_eq(sfh_hostdev_xml(&bdf, bad[i], "ua-x", &out, &err), -EINVAL);
		cr_assert_null(out);
		assert_says(err, "is not a user alias");
	}
}

/* --- what a NIC says of its VF -----------------------------------------------------------*/

Test(domxml, bandwidth_and_somebody_elses_vfs)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *d = must_describe(
		"<domain type='kvm'><name>n</name><devices>"
		"<interface type='direct'><mac address='52:54:00:00:00:01'/>"
		"<source network='hybrid' portgroup='gold' dev='pf0' mode='bridge'/>"
		"<bandwidth><inbound average='1'/><outbound average='125000' peak='5'/></bandwidth>"
		"</interface>"
		"<interface type='hostdev'><mac address='52:54:00:00:00:02'/><source>"
		"<address type='pci' domain='0x0000' bus='0x04' slot='0x10' function='0x3'/>"
		"</source></interface>"
		"<interface type='bridge'><source bridge='br0'/></interface>"
		"</devices></domain>");
	const struct sfh_bdf vf = {0, 4, 0x10, 3}, none = {0, 0, 0, 0};

	cr_assert_eq(d->nnics, 3);
	cr_assert_eq(d->nics[0].outbound_kbytes, 125000);
	cr_assert_str_eq(d->nics[0].portgroup, "gold");
	cr_assert_eq(d->nics[1].outbound_kbytes, 0);
	cr_assert(sfh_bdf_equal(&d->nics[1].hostdev, &vf));
	cr_assert(sfh_bdf_equal(&d->nics[2].hostdev, &none));
}
