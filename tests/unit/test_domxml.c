// SPDX-License-Identifier: GPL-2.0-or-later
/* What domain XML says: aliases, NICs, hostdevs, memory. */
#include "libvirt-glue/domxml.h"
#include "tests/unit/glue_helpers.h"

#define _cleanup_desc_ _cleanup_(sfh_domdesc_freep)

static const struct sfh_mac mac1 = {{0x52, 0x54, 0x00, 0xa1, 0xb2, 0xc3}};

static struct sfh_domdesc *must_describe(const char *xml)
{
	struct sfh_domdesc *desc = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_domdesc_parse(xml, strlen(xml), &desc, &err), 0, "%s", err.text);
	return desc;
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
