// SPDX-License-Identifier: GPL-2.0-or-later
/* What sfhybrid changes in domain XML (libvirt-glue/domadopt.c): adoption, its reverse,
 * and what the hook rewrites. */
#include "libvirt-glue/domxml.h"
#include "tests/unit/glue_helpers.h"

#define IFACE1 "/domain/devices/interface[1]"
#define PORTS "count(//controller[@model='pcie-root-port'])"

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

/* --- its reverse ----------------------------------------------------------------*/

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
	/* With another port free, and without. */
	static const char *const files[] = { "q35-two-nics.xml", "q35-inactive.xml" };
	_cleanup_free_ char *xml = load_data("q35-inactive.xml"), *once = NULL, *free_one = NULL,
			    *back2 = NULL;
	struct sfh_adoption info;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *before = load_data(files[i]), *adopted = NULL, *used = NULL,
				    *back = NULL;

		adopted = adopt(before, &info);
		used = numbered(adopted, "7",
				"<watchdog model='i6300esb'><address type='pci' domain='0x0000' bus='0x07' "
				"slot='0x01' function='0x0'/></watchdog></devices>");
		back = unadopt(used, hybrid, &info);
		cr_assert_eq(info.ports_removed, 0, "%s", files[i]);
		assert_xpath(back, "count(//controller/alias[@name='ua-sfp-1'])", "1");
	}
	once = adopt(xml, &info);
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
