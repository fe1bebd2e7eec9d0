// SPDX-License-Identifier: GPL-2.0-or-later
/* What we write, through libvirt's own parser and formatter: its test driver
 * lives in the library and needs no daemon. */
#include "libvirt-glue/domxml.h"
#include "libvirt-glue/hostdevxml.h"
#include "libvirt-glue/netxml.h"
#include "tests/unit/glue_helpers.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define _cleanup_def_ _cleanup_(sfh_netdef_freep)

static void quiet(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static virConnectPtr open_test(void)
{
	virConnectPtr c;

	virSetErrorFunc(NULL, quiet);
	c = virConnectOpen("test:///default");
	cr_assert(c, "%s", virGetLastErrorMessage());
	return c;
}

/* What libvirt shows after it was given the conversion of `user`. */
static char *through_libvirt(const char *user)
{
	virConnectPtr c = open_test();
	_cleanup_free_ char *xml = NULL;
	struct sfh_error err = {0};
	virNetworkPtr net;
	char *back;

	cr_assert_eq(sfh_netdef_to_libvirt(user, strlen(user), &xml, &err), 0, "%s", err.text);
	net = virNetworkDefineXML(c, xml);
	cr_assert(net, "%s\n%s", virGetLastErrorMessage(), xml);
	cr_assert_eq(virNetworkCreate(net), 0, "%s", virGetLastErrorMessage());
	back = virNetworkGetXMLDesc(net, 0);
	cr_assert(back);
	(void)virNetworkFree(net);
	(void)virConnectClose(c);
	return back;
}

static void round_trip(const char *user)
{
	_cleanup_free_ char *back = through_libvirt(user), *again = NULL;
	_cleanup_def_ struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_user_xml(back, strlen(back), &again, &err), 0, "%s\n%s", err.text,
		     back);
	assert_same_xml(again, user);
	cr_assert_eq(sfh_netdef_from_libvirt(back, strlen(back), &def, &err), 0, "%s", err.text);
	cr_assert_eq(strlen(def->uuid), 36, "libvirt gave one");
}

Test(libvirt, rfc_survives)
{
	_cleanup_free_ char *user = load_data("rfc.xml");

	round_trip(user);
}

Test(libvirt, everything_survives)
{
	_cleanup_free_ char *user = load_data("full.xml");

	round_trip(user);
}

Test(libvirt, linux_bridge_survives)
{
	static const char user[] =
		"<network><name>a network with a long name</name>"
		"<forward mode='pci-passthrough-hybrid'><pf dev='eth2'/>"
		"<standby mode='linux-bridge'/><policy mode='never'/></forward></network>";
	_cleanup_free_ char *back = through_libvirt(user);
	char bridge[SFH_NET_IFNAME_SIZE];

	round_trip(user);
	sfh_netdef_bridge_name("a network with a long name", bridge);
	assert_xpath(back, "/network/bridge/@name", bridge);
	assert_xpath(back, "/network/forward/@mode", "bridge");
}

Test(libvirt, portgroups_survive)
{
	static const char user[] =
		"<network><name>n</name><forward mode='pci-passthrough-hybrid'><pf dev='eth2'/>"
		"<landing vfs='0'/></forward><vlan><tag id='42' priority='3' protocol='802.1ad'/>"
		"</vlan><trust mode='on'/><portgroup name='gold and more' default='yes'>"
		"<spoofchk mode='off' required='no'/><rate min='1' max='2'/></portgroup>"
		"<portgroup name='b'><link-state state='enable'/><policy mode='never'/></portgroup>"
		"</network>";
	_cleanup_free_ char *back = through_libvirt(user);

	round_trip(user);
	assert_xpath(back, "/network/portgroup[@default='yes']/@name", "gold and more");
	assert_xpath(back, "count(/network/portgroup)", "2");
}

Test(libvirt, port_profiles_survive)
{
	static const char user[] =
		"<network><name>n</name><forward mode='pci-passthrough-hybrid'><pf dev='eth2'/>"
		"<standby mode='macvtap-vepa'/></forward><virtualport type='802.1Qbg'>"
		"<parameters managerid='11' typeid='1193047' typeidversion='2'/></virtualport>"
		"<portgroup name='b'><virtualport type='802.1Qbg'><parameters managerid='12' "
		"typeid='1193048' typeidversion='2'/></virtualport></portgroup>"
		"<portgroup name='c'><virtualport type='802.1Qbh'><parameters profileid='p'/>"
		"</virtualport></portgroup></network>";
	_cleanup_free_ char *back = through_libvirt(user);

	round_trip(user);
	assert_xpath(back, "/network/virtualport/@type", "802.1Qbg");
	assert_xpath(back, "/network/portgroup/virtualport/parameters/@managerid", "12");
	assert_xpath(back, "count(/network/portgroup[@name='c']/virtualport)", "0");
}

Test(libvirt, redefining_what_libvirt_shows_keeps_the_definition)
{
	_cleanup_free_ char *user = load_data("full.xml"), *back = through_libvirt(user),
			    *twice = NULL, *again = NULL;
	virConnectPtr c = open_test();
	struct sfh_error err = {0};
	virNetworkPtr net = virNetworkDefineXML(c, back);

	cr_assert(net, "%s", virGetLastErrorMessage());
	twice = virNetworkGetXMLDesc(net, 0);
	cr_assert_eq(sfh_netdef_user_xml(twice, strlen(twice), &again, &err), 0, "%s", err.text);
	assert_same_xml(again, user);
	(void)virNetworkFree(net);
	(void)virConnectClose(c);
}

Test(libvirt, the_rfcs_own_mode_is_still_unknown_to_libvirt)
{
	_cleanup_free_ char *user = load_data("rfc.xml");
	virConnectPtr c = open_test();

	cr_assert_null(virNetworkDefineXML(c, user), "then the conversion is not needed");
	cr_assert(strstr(virGetLastErrorMessage(), "pci-passthrough-hybrid"));
	(void)virConnectClose(c);
}

static enum sfh_hybrid hybrid(void *ctx, const char *network, const char *portgroup)
{
	(void)ctx;
	(void)portgroup;
	return !strcmp(network, "direct-network") ? SFH_HYBRID_FAILOVER : SFH_HYBRID_NO;
}

Test(libvirt, adopted_domain_keeps_teaming_and_alias)
{
	_cleanup_free_ char *file = load_data("q35-inactive.xml");
	/* the test driver has no KVM */
	_cleanup_free_ char *a = replaced(file, "<domain type='kvm'>", "<domain type='test'>");
	_cleanup_free_ char *b = replaced(a, "arch='x86_64' machine='pc-q35-7.2'",
					  "arch='i686' machine='pc-q35-7.2'");
	_cleanup_free_ char *xml = NULL, *back = NULL;
	virConnectPtr c = open_test();
	struct sfh_adoption info;
	virDomainPtr dom;
	char *again = NULL;

	cr_assert_eq(sfh_domxml_adopt(b, strlen(b), hybrid, NULL, &xml, &info, NULL), 0);
	dom = virDomainDefineXML(c, xml);
	cr_assert(dom, "%s", virGetLastErrorMessage());
	back = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	assert_xpath(back, "//interface[1]/teaming/@type", "persistent");
	assert_xpath(back, "//interface[1]/alias/@name", "ua-sfh-525400a1b2c3");
	assert_xpath(back, "count(//controller[@model='pcie-root-port'])", "7");
	assert_xpath(back, "//controller[@model='pcie-root-port'][7]/@index", "7");
	assert_xpath(back, "//graphics/@passwd", "s3cr&t");
	cr_assert_eq(sfh_domxml_adopt(back, strlen(back), hybrid, NULL, &again, &info, NULL), 0);
	cr_assert_null(again, "nothing left to do");
	assert_xpath(back, "//controller[@index='7']/alias/@name", "ua-sfp-1");
	cr_assert_eq(sfh_domxml_unadopt(back, strlen(back), hybrid, NULL, &again, &info, NULL), 0);
	cr_assert_eq(info.ports_removed, 1);
	free(again);
	(void)virDomainFree(dom);
	(void)virConnectClose(c);
}

Test(libvirt, vf_device_keeps_all_that_it_says)
{
	const struct sfh_bdf bdf = {0x0001, 0xc1, 0x1f, 7};
	_cleanup_free_ char *dev = NULL, *xml = NULL, *back = NULL;
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	virConnectPtr c = open_test();
	virDomainPtr dom;

	cr_assert_eq(
		sfh_hostdev_xml(&bdf, "ua-sfv-525400a1b2c3", "ua-sfh-525400a1b2c3", &dev, NULL), 0);
	cr_assert(asprintf(&xml,
			   "<domain type='test'><name>vf</name><memory>1024</memory><os>"
			   "<type arch='i686'>hvm</type></os><devices>%s</devices></domain>",
			   dev) > 0);
	dom = virDomainDefineXML(c, xml);
	cr_assert(dom, "%s", virGetLastErrorMessage());
	back = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	cr_assert_eq(sfh_domdesc_parse(back, strlen(back), &desc, NULL), 0);
	cr_assert_eq(desc->nhostdevs, 1);
	cr_assert_str_eq(desc->hostdevs[0].alias, "ua-sfv-525400a1b2c3");
	cr_assert(desc->hostdevs[0].teaming_transient);
	cr_assert_str_eq(desc->hostdevs[0].teaming_persistent, "ua-sfh-525400a1b2c3");
	cr_assert_not(desc->hostdevs[0].managed);
	cr_assert_eq(memcmp(&desc->hostdevs[0].bdf, &bdf, sizeof(bdf)), 0);
	assert_xpath(back, "//hostdev/driver/@name", "vfio");
	(void)virDomainFree(dom);
	(void)virConnectClose(c);
}
