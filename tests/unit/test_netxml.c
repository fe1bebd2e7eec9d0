// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/netxml.h"
#include "libvirt-glue/xmlutil.h"
#include "tests/unit/glue_helpers.h"

#include <fcntl.h>

#define _cleanup_def_ _cleanup_(sfh_netdef_freep)

/* A definition whose <forward> holds `inside` beside the mode. */
#define FORWARD(inside)                                                         \
	"<network><name>n</name><forward mode='pci-passthrough-hybrid'>" inside \
	"</forward></network>"
#define NETWORK(inside)                                                                  \
	"<network><name>n</name><forward mode='pci-passthrough-hybrid'><pf dev='eth2'/>" \
	"</forward>" inside "</network>"

static struct sfh_netdef *must_parse(const char *xml)
{
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_parse(xml, strlen(xml), &def, &err), 0, "%s", err.text);
	cr_assert(def);
	return def;
}

static char *must_convert(const char *xml)
{
	struct sfh_error err = {0};
	char *ret = NULL;

	cr_assert_eq(sfh_netdef_to_libvirt(xml, strlen(xml), &ret, &err), 0, "%s", err.text);
	cr_assert(ret);
	return ret;
}

/* Refused by the parser and by the conversion alike, with `sentence`. */
static void must_refuse(const char *xml, size_t len, int code, const char *sentence)
{
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};
	char *text = NULL;

	cr_assert_eq(sfh_netdef_parse(xml, len, &def, &err), code, "%s", err.text);
	cr_assert_null(def);
	cr_assert_eq(err.code, code);
	assert_says(err, sentence);
	cr_assert_null(strchr(err.text, '\n'));
	cr_assert_eq(sfh_netdef_to_libvirt(xml, len, &text, NULL), code);
	cr_assert_null(text);
}

static void refuse(const char *xml, const char *sentence)
{
	must_refuse(xml, strlen(xml), -EINVAL, sentence);
}

Test(netxml, rfc_verbatim)
{
	_cleanup_free_ char *xml = load_data("rfc.xml");
	_cleanup_def_ struct sfh_netdef *def = must_parse(xml);

	cr_assert_str_eq(def->name, "direct-network");
	cr_assert_str_eq(def->uuid, "");
	cr_assert_eq(def->npfs, 1);
	cr_assert_str_eq(def->pfs[0].dev, "eth2");
	cr_assert_eq(def->mode, SFH_MODE_MACVTAP_BRIDGE);
	cr_assert_eq(def->policy, SFH_NET_POLICY_PREFER);
	cr_assert_eq(def->vfs, 0);
	cr_assert_eq(def->set.vf.what, 0);
	cr_assert_eq(sfh_netdef_landing(def), 1);
	cr_assert_str_eq(def->bridge, "");
	cr_assert_eq(def->nexcluded, 0);
}

Test(netxml, everything)
{
	_cleanup_free_ char *xml = load_data("full.xml");
	_cleanup_def_ struct sfh_netdef *def = must_parse(xml);
	const struct sfh_bdf first = {0, 4, 0x10, 2}, decimal = {0, 4, 0x10, 4},
			     other = {0, 4, 0x10, 6};

	cr_assert_str_eq(def->name, "gold & silver");
	cr_assert_str_eq(def->uuid, "3d9bb4c4-6ac7-4c11-8e37-8e0c5e6d8b11");
	cr_assert_eq(def->npfs, 2);
	cr_assert_str_eq(def->pfs[0].dev, "enp4s0f0");
	cr_assert_str_eq(def->pfs[1].dev, "enp4s0f1");
	cr_assert_eq(sfh_netdef_pf_vfs(def, 0), 4, "a PF's own count comes first");
	cr_assert_eq(sfh_netdef_pf_vfs(def, 1), 7, "else the network's");
	cr_assert_eq(sfh_netdef_find_pf(def, "enp4s0f1"), 1);
	cr_assert_eq(sfh_netdef_find_pf(def, "enp4s0f"), -ENOENT);
	cr_assert_eq(def->mode, SFH_MODE_MACVTAP_VEPA);
	cr_assert_eq(def->policy, SFH_NET_POLICY_REQUIRE);
	cr_assert_eq(def->landing, 1);
	cr_assert_eq(def->set.vf.cfg.vlan, 42);
	cr_assert_eq(def->probe_interval_ms, 250);
	cr_assert_eq(def->nexcluded, 2);
	cr_assert(sfh_netdef_is_excluded(def, &first));
	cr_assert(sfh_netdef_is_excluded(def, &decimal));
	cr_assert_not(sfh_netdef_is_excluded(def, &other));
}

Test(netxml, names_of_the_enums)
{
	cr_assert_str_eq(sfh_standby_mode_name(SFH_MODE_MACVTAP_PRIVATE), "macvtap-private");
	cr_assert_str_eq(sfh_net_policy_name(SFH_NET_POLICY_NEVER), "never");
	cr_assert_null(sfh_standby_mode_name(_SFH_MODE_MAX));
	cr_assert_null(sfh_net_policy_name((enum sfh_net_policy) - 1));
}

Test(netxml, quotes_do_not_matter)
{
	_cleanup_def_ struct sfh_netdef *a = must_parse(
		"<network><name>n</name><forward mode=\"pci-passthrough-hybrid\">"
		"<pf dev=\"eth2\"/></forward></network>");
	_cleanup_def_ struct sfh_netdef *b = must_parse(FORWARD("<pf dev='eth2'></pf>"));

	cr_assert_str_eq(a->pfs[0].dev, b->pfs[0].dev);
}

Test(netxml, to_libvirt_is_what_libvirt_takes)
{
	_cleanup_free_ char *xml = load_data("rfc.xml"), *out = must_convert(xml);

	assert_xpath(out, "/network/name", "direct-network");
	assert_xpath(out, "count(/network/uuid)", "0");
	assert_xpath(out, "/network/forward/@mode", "bridge");
	assert_xpath(out, "count(/network/forward/interface)", "1");
	assert_xpath(out, "/network/forward/interface/@dev", "eth2");
	assert_xpath(out, "count(/network/bridge)", "0");
	assert_xpath(out, "count(/network/metadata/*)", "1");
	assert_xpath(out,
		     "count(/network/metadata//*[namespace-uri()!="
		     "'https://sfhybrid.org/xmlns/network/1'])",
		     "0");
	assert_xpath(out, "/network/metadata/sfh:network/sfh:forward/@mode",
		     "pci-passthrough-hybrid");
	assert_xpath(out, "/network/metadata/sfh:network/sfh:forward/sfh:pf/@dev", "eth2");
	/* libvirt's own sanitizer knows prefixes only: ours is the documented one */
	cr_assert(strstr(out, "<sfhybrid:network xmlns:sfhybrid=\"" SFH_NETXML_NS "\">"));
}

Test(netxml, to_libvirt_vepa_two_pfs_uuid)
{
	_cleanup_free_ char *xml = load_data("full.xml"), *out = must_convert(xml);

	assert_xpath(out, "/network/forward/@mode", "vepa");
	assert_xpath(out, "count(/network/forward/interface)", "2");
	assert_xpath(out, "/network/forward/interface[2]/@dev", "enp4s0f1");
	assert_xpath(out, "/network/uuid", "3d9bb4c4-6ac7-4c11-8e37-8e0c5e6d8b11");
	/* libvirt refuses <vlan> on such networks */
	assert_xpath(out, "count(/network/vlan)", "0");
	assert_xpath(out, "//sfh:vlan/sfh:tag/@id", "42");
}

Test(netxml, to_libvirt_private_and_bridge)
{
	_cleanup_free_ char *private =
		must_convert(FORWARD("<pf dev='p1'/><standby mode='macvtap-private'/>"));
	_cleanup_free_ char *bridge =
		must_convert(FORWARD("<pf dev='p1'/><standby mode='linux-bridge'/>"));
	_cleanup_def_ struct sfh_netdef *def =
		must_parse(FORWARD("<pf dev='p1'/><standby mode='linux-bridge'/>"));

	assert_xpath(private, "/network/forward/@mode", "private");
	assert_xpath(bridge, "/network/forward/@mode", "bridge");
	assert_xpath(bridge, "count(/network/forward/interface)", "0");
	assert_xpath(bridge, "/network/bridge/@name", "sfbr-n");
	cr_assert_str_eq(def->bridge, "sfbr-n");
}

Test(netxml, round_trip_rfc)
{
	_cleanup_free_ char *xml = load_data("rfc.xml"), *out = must_convert(xml), *back = NULL;
	_cleanup_def_ struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_user_xml(out, strlen(out), &back, &err), 0, "%s", err.text);
	assert_same_xml(back, xml);
	cr_assert_null(strstr(back, "xmlns"));
	cr_assert_null(strstr(back, "sfhybrid:"));
	cr_assert_eq(sfh_netdef_from_libvirt(out, strlen(out), &def, &err), 0, "%s", err.text);
	cr_assert_str_eq(def->pfs[0].dev, "eth2");
}

Test(netxml, round_trip_everything)
{
	_cleanup_free_ char *xml = load_data("full.xml"), *out = must_convert(xml), *back = NULL,
			    *again = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_user_xml(out, strlen(out), &back, &err), 0, "%s", err.text);
	assert_same_xml(back, xml);
	cr_assert(strstr(back, "<!-- both ports of the first card -->"));
	/* what dumpxml prints can be defined again */
	again = must_convert(back);
	cr_assert_str_eq(out, again);
}

Test(netxml, from_active_libvirt_network)
{
	_cleanup_free_ char *xml = load_data("libvirt-active.xml"), *user = NULL;
	_cleanup_def_ struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_from_libvirt(xml, strlen(xml), &def, &err), 0, "%s", err.text);
	cr_assert_str_eq(def->name, "direct-network");
	cr_assert_str_eq(def->uuid, "c0f4d8a5-2a1b-4f0e-9b1c-7d1d8c1e55aa", "libvirt's uuid");
	cr_assert_eq(def->npfs, 1, "libvirt's own <interface> are not read");
	cr_assert_eq(sfh_netdef_user_xml(xml, strlen(xml), &user, &err), 0, "%s", err.text);
	assert_xpath(user, "count(/network/uuid)", "0");
	assert_xpath(user, "/network/forward/comment()", " kept ");
}

Test(netxml, another_prefix_is_the_same_namespace)
{
	_cleanup_free_ char *rfc = load_data("rfc.xml"), *out = must_convert(rfc), *user = NULL;
	struct sfh_error err = {0};
	char *p = out;

	while ((p = strstr(p, "sfhybrid:")))
		memcpy(p, "sfhybriX:", 9);
	p = strstr(out, "xmlns:sfhybrid");
	memcpy(p, "xmlns:sfhybriX", 14);
	cr_assert_eq(sfh_netdef_user_xml(out, strlen(out), &user, &err), 0, "%s", err.text);
	assert_same_xml(user, rfc);
}

Test(netxml, plain_libvirt_network_is_enoent)
{
	_cleanup_free_ char *xml = load_data("libvirt-plain.xml"), *user = NULL;
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_from_libvirt(xml, strlen(xml), &def, &err), -ENOENT);
	cr_assert_null(def);
	cr_assert_str_eq(err.text, "network 'default' is not a hybrid network");
	cr_assert_eq(sfh_netdef_user_xml(xml, strlen(xml), &user, NULL), -ENOENT);
	cr_assert_null(user);
}

Test(netxml, two_definitions_in_the_metadata)
{
	_cleanup_free_ char *xml = load_data("libvirt-active.xml");
	_cleanup_free_ char *two = replaced(xml, "</metadata>",
					    "<a:network xmlns:a='" SFH_NETXML_NS
					    "'><a:name>x</a:name></a:network></metadata>");
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_from_libvirt(two, strlen(two), &def, &err), -EINVAL);
	assert_says(err, "more than one hybrid definition");
}

Test(netxml, definition_of_another_network)
{
	_cleanup_free_ char *xml = load_data("libvirt-active.xml");
	_cleanup_free_ char *copy = replaced(xml, "<name>direct", "<name>copied");
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_from_libvirt(copy, strlen(copy), &def, &err), -EINVAL);
	assert_says(err,
		    "network 'copied-network': its hybrid definition is that of "
		    "'direct-network'");
}

Test(netxml, foreign_element_inside_our_metadata)
{
	_cleanup_free_ char *xml = load_data("libvirt-active.xml");
	_cleanup_free_ char *bad = replaced(xml, "<!-- kept -->", "<x xmlns='urn:x'/>");
	struct sfh_netdef *def = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_from_libvirt(bad, strlen(bad), &def, &err), -EINVAL);
	assert_says(err, "unexpected <x>");
}

Test(netxml, bridge_names)
{
	char a[SFH_NET_IFNAME_SIZE], b[SFH_NET_IFNAME_SIZE];

	sfh_netdef_bridge_name("lan", a);
	cr_assert_str_eq(a, "sfbr-lan");
	sfh_netdef_bridge_name("123456789", a);
	cr_assert_str_eq(a, "sfbr-123456789");
	sfh_netdef_bridge_name("production-frontend", a);
	sfh_netdef_bridge_name("production-backend", b);
	cr_assert_str_neq(a, b);
	cr_assert_eq(strlen(a), 15);
	cr_assert_eq(strncmp(a, "sfbr-pr", 7), 0);
	/* for ever: bridges of running guests carry this name */
	sfh_netdef_bridge_name("direct-network", a);
	cr_assert_str_eq(a, "sfbr-dieb1ee72b");
	sfh_netdef_bridge_name("a b", a);
	sfh_netdef_bridge_name("a_b", b);
	cr_assert_str_neq(a, b);
	cr_assert(sfh_xml_ifname_valid(a));
	sfh_netdef_bridge_name("\xc3\xbc", a);
	cr_assert_eq(strlen(a), 15);
	cr_assert(sfh_xml_ifname_valid(a));
}

/* --- hostile and wrong ------------------------------------------------------------*/

Test(netxml, malformed)
{
	refuse("<network><name>n</network>", "not well-formed XML");
	refuse("no xml at all", "not well-formed XML");
	refuse("<network>&undeclared;</network>", "not well-formed XML");
	refuse("<network/><network/>", "not well-formed XML");
	must_refuse("", 0, -EINVAL, "empty document");
	must_refuse(NULL, 0, -EINVAL, "empty document");
	must_refuse("<network>\0</network>", 20, -EINVAL, "not well-formed XML");
}

Test(netxml, truncated_at_every_byte)
{
	_cleanup_free_ char *xml = load_data("full.xml");
	size_t whole = (size_t)(strstr(xml, "</network>") - xml) + strlen("</network>");

	for (size_t n = 1; n < whole; n++) {
		struct sfh_netdef *def = NULL;

		cr_assert_eq(sfh_netdef_parse(xml, n, &def, NULL), -EINVAL, "%zu bytes", n);
		cr_assert_null(def);
	}
}

Test(netxml, document_types_are_refused)
{
	refuse("<!DOCTYPE network><network/>", "document type declarations are not accepted");
	refuse("<!DOCTYPE network SYSTEM 'http://127.0.0.1:1/x.dtd'><network/>",
	       "document type declarations are not accepted");
	refuse("<!DOCTYPE n [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><network>"
	       "<name>&x;</name></network>",
	       "document type declarations are not accepted");
}

Test(netxml, a_document_type_is_not_even_read)
{
	/* what follows "<!DOCTYPE n" is broken, and nobody looks */
	refuse("<!DOCTYPE n [<!ENTITY % broken", "document type declarations are not accepted");
	refuse("<!DOCTYPE n SYSTEM 'x' [<!FOO>]>", "document type declarations are not accepted");
}

Test(netxml, entity_bomb, .timeout = 5)
{
	refuse("<!DOCTYPE n [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'>"
	       "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>"
	       "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'><!ENTITY e '&d;&d;&d;&d;&d;&d;&d;'>"
	       "<!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'><!ENTITY g '&f;&f;&f;&f;&f;&f;&f;'>]>"
	       "<network><name>&g;&g;&g;&g;</name></network>",
	       "document type declarations are not accepted");
}

Test(netxml, doctype_in_a_comment_is_none)
{
	_cleanup_def_ struct sfh_netdef *def =
		must_parse(FORWARD("<!-- <!DOCTYPE x> --><pf dev='eth2'/>"));

	cr_assert_eq(def->npfs, 1);
}

Test(netxml, oversized)
{
	static const char start[] = FORWARD("<pf dev='e'/>");
	size_t len = SFH_XML_MAX + 1;
	_cleanup_free_ char *xml = malloc(len);
	struct sfh_netdef *def = NULL;

	cr_assert(xml);
	memset(xml, ' ', len);
	memcpy(xml, start, strlen(start));
	must_refuse(xml, len, -E2BIG, "more than the 1048576");
	cr_assert_eq(sfh_netdef_parse(xml, len - 1, &def, NULL), 0, "the bound itself is fine");
	sfh_netdef_freep(&def);
}

Test(netxml, deep_nesting)
{
	_cleanup_free_ char *xml = calloc(1, 3 * 5000 + 1);

	for (int i = 0; i < 5000; i++)
		memcpy(xml + 3 * i, "<a>", 3);
	refuse(xml, "not well-formed XML");
}

Test(netxml, nothing_on_stderr)
{
	/* libxml2 would print there */
	char path[] = "/tmp/sfh-netxml-XXXXXX", buf[16];
	int fd = mkstemp(path);

	cr_assert(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	(void)unlink(path);
	refuse("<network><name>", "not well-formed XML");
	cr_assert_eq(pread(fd, buf, sizeof(buf), 0), 0);
}

Test(netxml, wrong_root)
{
	refuse("<domain type='kvm'><name>x</name></domain>", "the root element is <domain>");
	refuse("<n:network xmlns:n='urn:x'/>", "the root element is <network>, not <network>");
}

Test(netxml, missing_parts)
{
	refuse(FORWARD(""), "at least one <pf");
	refuse("<network><name>n</name></network>", "is missing");
	refuse("<network><forward mode='pci-passthrough-hybrid'><pf dev='e'/></forward></network>",
	       "<name> is missing");
	refuse(FORWARD("<pf/>"), "<pf>: attribute dev is missing");
	refuse(FORWARD("<pf dev='e'/><vfs/>"), "<vfs>: attribute count is missing");
	refuse(NETWORK("<vlan/>"), "<vlan> needs <tag id='N'/>");
}

Test(netxml, other_forward_modes)
{
	refuse("<network><name>n</name><forward mode='nat'/></network>",
	       "forward mode 'nat' is not 'pci-passthrough-hybrid'");
	/* the RFC's own misprint in its prose */
	refuse("<network><name>n</name><forward mode='pci-passthroug-hybrid'><pf dev='e'/>"
	       "</forward></network>",
	       "forward mode 'pci-passthroug-hybrid'");
	refuse("<network><name>n</name><forward><pf dev='e'/></forward></network>",
	       "<forward>: attribute mode is missing");
}

Test(netxml, duplicates)
{
	refuse(FORWARD("<pf dev='eth2'/><pf dev='eth2'/>"), "<pf dev='eth2'/> stands there twice");
	refuse(FORWARD("<pf dev='e'/><vfs count='1'/><vfs count='1'/>"),
	       "<vfs> stands there twice");
	refuse(NETWORK("<name>m</name>"), "<name> stands there twice");
	refuse(FORWARD("<pf dev='e'/><exclude><address type='pci' bus='1' slot='2'/>"
		       "<address type='pci' bus='0x01' slot='0x02' function='0'/></exclude>"),
	       "0000:01:02.0 stands there twice");
}

Test(netxml, interface_names)
{
	static const char *const bad[] = {"",	 "0123456789abcdef", "a/b", "a b", "..", "a\tb",
					  "e:1", "\xc3\xbc"};
	_cleanup_def_ struct sfh_netdef *def = must_parse(FORWARD("<pf dev='0123456789abcde'/>"));

	cr_assert_str_eq(def->pfs[0].dev, "0123456789abcde");
	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		char xml[256];

		(void)snprintf(xml, sizeof(xml), FORWARD("<pf dev='%s'/>"), bad[i]);
		refuse(xml, "is not the name of a network interface");
	}
}

Test(netxml, names)
{
	_cleanup_free_ char *longest = NULL;
	char many[257] = "";

	refuse("<network><name>a/b</name></network>", "<name>: '/'");
	refuse("<network><name>a\nb</name></network>", "<name>: '/', newline");
	refuse("<network><name></name></network>", "<name> is empty");
	refuse("<network><name>  </name></network>", "<name> is empty");
	refuse("<network><name>a<b/></name></network>", "<name> holds more than text");
	memset(many, 'x', 256);
	cr_assert(asprintf(&longest, "<network><name>%s</name></network>", many) > 0);
	refuse(longest, "longer than 255 bytes");
}

Test(netxml, unknown_elements_and_attributes_are_named)
{
	refuse(FORWARD("<pf dev='e'/><polciy mode='never'/>"),
	       "<forward>: unknown element <polciy>");
	refuse(NETWORK("<ip address='10.0.0.1'/>"), "<network>: unknown element <ip>");
	refuse(FORWARD("<pf dev='e' vf='2'/>"), "<pf>: unknown attribute 'vf'");
	refuse("<network ipv6='yes'/>", "<network>: unknown attribute 'ipv6'");
	refuse(FORWARD("<pf dev='e'/><vfs count='1'>x</vfs>"), "<vfs>: unexpected text 'x'");
	refuse(FORWARD("<pf dev='e'><mac/></pf>"), "<pf>: unexpected <mac>");
	refuse(FORWARD("<pf dev='e'/><x:vfs xmlns:x='urn:x' count='1'/>"), "unexpected <vfs>");
	refuse(NETWORK("<vlan trunk='yes'><tag id='1'/></vlan>"), "unknown attribute 'trunk'");
}

Test(netxml, unknown_words_are_named_with_the_choice)
{
	refuse(FORWARD("<pf dev='e'/><standby mode='macvlan'/>"),
	       "unknown mode 'macvlan' (there are: macvtap-bridge, macvtap-private, "
	       "macvtap-vepa, linux-bridge)");
	refuse(FORWARD("<pf dev='e'/><policy mode='always'/>"),
	       "unknown mode 'always' (there are: prefer, require, never)");
}

Test(netxml, numbers)
{
	static const char *const bad[] = {
		"0", "4095", "-1", "+1", "1x", " 1", "", "0x10", "99999999999999999999"};
	_cleanup_def_ struct sfh_netdef *def = must_parse(NETWORK("<vlan><tag id='4093'/></vlan>"));

	cr_assert_eq(def->set.vf.cfg.vlan, 4093);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		char xml[256];

		(void)snprintf(xml, sizeof(xml), NETWORK("<vlan><tag id='%s'/></vlan>"), bad[i]);
		refuse(xml, "is not a number from 1 to 4094");
	}
	refuse(NETWORK("<vlan><tag id='1'/><tag id='2'/></vlan>"), "<tag> stands there twice");
	refuse(FORWARD("<pf dev='e'/><vfs count='65536'/>"), "from 1 to 65535");
	refuse(FORWARD("<pf dev='e'/><probe interval='5'/>"), "from 10 to 600000");
}

Test(netxml, exclusions)
{
	refuse(FORWARD("<pf dev='e'/><exclude><address bus='1' slot='1'/></exclude>"),
	       "needs type='pci'");
	refuse(FORWARD("<pf dev='e'/><exclude><address type='pci' slot='1'/></exclude>"),
	       "attribute bus is missing");
	refuse(FORWARD("<pf dev='e'/><exclude><address type='pci' bus='1' slot='32'/></exclude>"),
	       "from 0 to 31");
	refuse(FORWARD("<pf dev='e'/><exclude><address type='pci' bus='1' slot='0' function='8'/>"
		       "</exclude>"),
	       "from 0 to 7");
}

Test(netxml, linux_bridge_takes_one_pf)
{
	refuse(FORWARD("<pf dev='a'/><pf dev='b'/><standby mode='linux-bridge'/>"),
	       "linux-bridge takes one <pf>");
}

Test(netxml, control_characters_stay_out_of_sentences)
{
	struct sfh_error err = {0};
	struct sfh_netdef *def = NULL;
	static const char xml[] = FORWARD("<pf dev='&#x9b;2J&#10;'/>");

	cr_assert_eq(sfh_netdef_parse(xml, strlen(xml), &def, &err), -EINVAL);
	for (const char *p = err.text; *p; p++)
		cr_assert(*p >= 0x20 && *p < 0x7f, "%s", err.text);
}

Test(netxml, first_error_wins_and_null_is_fine)
{
	struct sfh_error err = {.code = -EIO, .text = "earlier"};
	struct sfh_netdef *def = NULL;

	cr_assert_eq(sfh_netdef_parse("<a/>", 4, &def, &err), -EINVAL);
	cr_assert_str_eq(err.text, "earlier");
	cr_assert_eq(sfh_netdef_parse("<a/>", 4, &def, NULL), -EINVAL);
	sfh_netdef_freep(&def);
}

/* --- what the VF is told ------------------------------------------------------------*/

#define EVERY                                                                              \
	"<vlan><tag id='42' priority='3' protocol='802.1ad'/></vlan><trust mode='on'/>"    \
	"<spoofchk mode='off' required='no'/><link-state state='enable'/>"                 \
	"<rate min='100' max='1000' required='yes'/>"

static struct sfh_net_settings settings_of(const char *xml, const char *portgroup)
{
	_cleanup_def_ struct sfh_netdef *def = must_parse(xml);
	struct sfh_net_settings set;

	sfh_netdef_settings(def, portgroup, &set);
	return set;
}

Test(netxml, settings_of_a_network)
{
	struct sfh_net_settings set = settings_of(NETWORK(EVERY), "");

	cr_assert_eq(set.vf.what, SFH_VF_VLAN_PARTS | SFH_VF_EXTRAS);
	cr_assert_eq(set.vf.optional, SFH_VF_SPOOFCHK | SFH_VF_LINK_STATE,
		     "required: vlan, trust and spoofchk if nothing is said, rate because it is");
	cr_assert_eq(set.vf.cfg.vlan, 42);
	cr_assert_eq(set.vf.cfg.qos, 3);
	cr_assert_eq(set.vf.cfg.proto, 0x88a8);
	cr_assert(set.vf.cfg.trust);
	cr_assert_not(set.vf.cfg.spoofchk);
	cr_assert_eq(set.vf.cfg.link_state, 1);
	cr_assert_eq(set.vf.cfg.min_tx, 100);
	cr_assert_eq(set.vf.cfg.max_tx, 1000);
	cr_assert_not(set.has_policy || set.has_priority);
	cr_assert_not(set.virtualport.given);
}

Test(netxml, required_if_nothing_is_said)
{
	struct sfh_net_settings set = settings_of(
		NETWORK("<trust mode='off'/><spoofchk mode='on'/><link-state state='auto'/>"
			"<rate max='5'/><vlan><tag id='1'/></vlan>"),
		"");

	cr_assert_eq(set.vf.optional, SFH_VF_LINK_STATE | SFH_VF_RATE);
	cr_assert_eq(set.vf.what, SFH_VF_VLAN | SFH_VF_EXTRAS);
}

#define GROUPS                                                                             \
	"<vlan><tag id='42' priority='3'/></vlan><trust mode='on'/><rate max='10'/>"       \
	"<portgroup name='gold' default='yes'><rate max='100'/>"                           \
	"<policy mode='require' priority='10'/></portgroup>"                               \
	"<portgroup name='a b'><vlan><tag id='7'/></vlan><trust mode='off'/>"   \
	"<policy mode='never'/></portgroup>"                                               \
	"<portgroup name='plain' default='no'/>"

Test(netxml, portgroups_beat_the_network)
{
	struct sfh_net_settings set = settings_of(NETWORK(GROUPS), "a b");

	cr_assert_eq(set.vf.cfg.vlan, 7);
	cr_assert_not(set.vf.what & SFH_VF_QOS, "the priority was the other VLAN's");
	cr_assert((set.vf.what & SFH_VF_TRUST) && !set.vf.cfg.trust);
	cr_assert_eq(set.vf.cfg.max_tx, 10, "what it does not say is the network's");
	cr_assert(set.has_policy);
	cr_assert_eq(set.policy, SFH_NET_POLICY_NEVER);
	cr_assert_eq(set.priority, 0);
	set = settings_of(NETWORK(GROUPS), "plain");
	cr_assert_eq(set.vf.cfg.vlan, 42);
	cr_assert_not(set.has_policy);
}

Test(netxml, the_default_portgroup_is_of_nics_that_name_none)
{
	struct sfh_net_settings set = settings_of(NETWORK(GROUPS), "");

	cr_assert_eq(set.vf.cfg.max_tx, 100);
	cr_assert_eq(set.vf.cfg.vlan, 42);
	cr_assert_eq(set.policy, SFH_NET_POLICY_REQUIRE);
	cr_assert_eq(set.priority, 10);
	set = settings_of(NETWORK(GROUPS), "no such group");
	cr_assert_eq(set.vf.cfg.max_tx, 10, "as libvirt has it");
}

Test(netxml, policies_of_portgroups)
{
	_cleanup_def_ struct sfh_netdef *def = must_parse(NETWORK(GROUPS));
	_cleanup_def_ struct sfh_netdef *plain = must_parse(NETWORK(""));

	cr_assert(sfh_netdef_has_policy(def, SFH_NET_POLICY_REQUIRE));
	cr_assert(sfh_netdef_has_policy(def, SFH_NET_POLICY_NEVER));
	cr_assert(sfh_netdef_has_policy(def, SFH_NET_POLICY_PREFER));
	cr_assert_not(sfh_netdef_has_policy(plain, SFH_NET_POLICY_REQUIRE));
}

Test(netxml, guests_that_bond_by_themselves)
{
	const char *xml = NETWORK("<guest bond='yes'/><portgroup name='new'><guest bond='no'/>"
				  "</portgroup><portgroup name='plain'/>");

	cr_assert(settings_of(xml, "").bond);
	cr_assert(settings_of(xml, "plain").bond, "what the network says");
	cr_assert_not(settings_of(xml, "new").bond);
	cr_assert_not(settings_of(NETWORK(""), "").bond);
	cr_assert(settings_of(NETWORK("<portgroup name='old'><guest bond='yes'/></portgroup>"),
			      "old").bond);
	refuse(NETWORK("<guest/>"), "<guest>: attribute bond is missing");
	refuse(NETWORK("<guest bond='maybe'/>"), "<guest>: unknown bond 'maybe'");
	refuse(NETWORK("<guest bond='yes' team='no'/>"), "<guest>: unknown attribute 'team'");
	refuse(NETWORK("<guest bond='yes'/><guest bond='no'/>"), "<guest> stands there twice");
}

Test(netxml, libvirt_gets_the_portgroups_names)
{
	_cleanup_free_ char *out = must_convert(
		NETWORK(GROUPS "<virtualport type='802.1Qbg'><parameters managerid='11' "
			       "typeid='1193047' typeidversion='2'/></virtualport>"));

	assert_xpath(out, "count(/network/portgroup)", "3");
	assert_xpath(out, "/network/portgroup[1]/@name", "gold");
	assert_xpath(out, "/network/portgroup[1]/@default", "yes");
	assert_xpath(out, "/network/portgroup[2]/@name", "a b");
	assert_xpath(out, "count(/network/portgroup/*)", "0");
	assert_xpath(out, "count(/network/vlan)", "0");
	assert_xpath(out, "/network/virtualport/@type", "802.1Qbg");
	assert_xpath(out, "/network/virtualport/parameters/@managerid", "11");
	assert_xpath(out, "count(/network/metadata/sfh:network/sfh:portgroup)", "3");
}

Test(netxml, portgroups_come_back_as_they_were)
{
	static const char user[] = NETWORK(GROUPS "<virtualport type='802.1Qbh'/>");
	_cleanup_free_ char *out = must_convert(user), *back = NULL;
	struct sfh_error err = {0};

	cr_assert_eq(sfh_netdef_user_xml(out, strlen(out), &back, &err), 0, "%s", err.text);
	assert_same_xml(back, user);
}

Test(netxml, port_profiles)
{
	struct sfh_net_settings set =
		settings_of(NETWORK("<virtualport type='802.1Qbh'>"
				    "<parameters profileid='p'/></virtualport>"),
			    "");

	cr_assert_str_eq(sfh_virtualport_profile(&set.virtualport), "p");
	set = settings_of(NETWORK("<virtualport type='802.1Qbh'>"
				  "<parameters profileid='p'/></virtualport>"
				  "<portgroup name='q'><virtualport type='802.1Qbh'>"
				  "<parameters profileid='q'/></virtualport></portgroup>"),
			  "q");
	cr_assert_null(sfh_virtualport_profile(&set.virtualport), "two that disagree");
	refuse(NETWORK("<virtualport type='openvswitch'/>"), "unknown type 'openvswitch'");
	refuse(NETWORK("<virtualport/>"), "attribute type is missing");
}

/* What libvirt is not told it cannot ask the PF's own port for. */
Test(netxml, libvirt_is_not_told_of_a_vfs_port_profile)
{
	_cleanup_free_ char *out = must_convert(
		NETWORK("<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>"
			"<portgroup name='g'><virtualport type='802.1Qbh'>"
			"<parameters profileid='p'/></virtualport></portgroup>"));

	assert_xpath(out, "count(/network/virtualport)", "0");
	assert_xpath(out, "count(/network/portgroup/virtualport)", "0");
	assert_xpath(out, "count(//sfh:virtualport)", "2");
}

Test(netxml, settings_that_make_no_sense)
{
	refuse(NETWORK("<vlan><tag id='4094'/></vlan>"), "parks VFs");
	refuse(NETWORK("<vlan><tag id='4' priority='8'/></vlan>"), "from 0 to 7");
	refuse(NETWORK("<vlan><tag id='4' protocol='802.1q'/></vlan>"),
	       "unknown protocol '802.1q' (there are: 802.1Q, 802.1ad)");
	refuse(NETWORK("<vlan required='no'><tag id='4'/></vlan>"), "unknown attribute 'required'");
	refuse(NETWORK("<trust/>"), "<trust>: attribute mode is missing");
	refuse(NETWORK("<trust mode='yes'/>"), "unknown mode 'yes' (there are: off, on)");
	refuse(NETWORK("<spoofchk mode='on' required='maybe'/>"), "unknown required 'maybe'");
	refuse(NETWORK("<link-state state='disable'/>"), "a VF whose link is down carries nothing");
	refuse(NETWORK("<link-state state='up'/>"), "unknown state 'up'");
	refuse(NETWORK("<rate/>"), "<rate> needs");
	refuse(NETWORK("<rate min='10' max='9'/>"), "min 10 is more than max 9");
	refuse(NETWORK("<rate max='1000001'/>"), "from 1 to 1000000");
	refuse(FORWARD("<pf dev='e'/><policy priority='1001'/>"), "from 0 to 1000");
	refuse(FORWARD("<pf dev='e'/><policy/>"), "attribute mode is missing");
}

Test(netxml, portgroups_that_make_no_sense)
{
	refuse(NETWORK("<portgroup/>"), "<portgroup>: attribute name is missing");
	refuse(NETWORK("<portgroup name=''/>"), "empty name");
	refuse(NETWORK("<portgroup name='a&amp;b'/>"), "'&' and control characters");
	refuse(NETWORK("<portgroup name='x&apos;/>&lt;y'/>"), "are not allowed");
	refuse(NETWORK("<portgroup name='a'/><portgroup name='a'/>"),
	       "<portgroup name='a'> stands there twice");
	refuse(NETWORK("<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>"),
	       "there is a default one already");
	refuse(NETWORK("<portgroup name='a'><portgroup name='b'/></portgroup>"),
	       "unknown element <portgroup>");
	refuse(NETWORK("<portgroup name='a'><bandwidth/></portgroup>"),
	       "unknown element <bandwidth>");
	refuse(NETWORK("<portgroup name='a'><trust mode='on'/><trust mode='on'/></portgroup>"),
	       "<trust> stands there twice");
}

Test(netxml, landing_vfs)
{
	_cleanup_def_ struct sfh_netdef *none = must_parse(FORWARD("<pf dev='e'/>"));
	_cleanup_def_ struct sfh_netdef *off =
		must_parse(FORWARD("<pf dev='e'/><landing vfs='0'/>"));
	_cleanup_def_ struct sfh_netdef *three =
		must_parse(FORWARD("<pf dev='e'/><landing vfs='3'/>"));

	cr_assert_eq(sfh_netdef_landing(none), 1);
	cr_assert_eq(sfh_netdef_landing(off), 0);
	cr_assert_eq(sfh_netdef_landing(three), 3);
}

/* --- the documentation --------------------------------------------------------------*/

Test(netxml, every_definition_in_the_documentation_is_one)
{
	_cleanup_free_ char *doc = load_data("../../../docs/network-xml.md");
	unsigned found = 0;

	for (char *at = doc; (at = strstr(at, "```xml\n")); at++) {
		const char *xml = at + strlen("```xml\n"), *end = strstr(xml, "```");
		struct sfh_netdef *def = NULL;
		struct sfh_error err = {0};

		cr_assert(end);
		/* not guests' interfaces, and not what libvirt gets */
		if (strncmp(xml, "<network>", 9) != 0 || memmem(xml, (size_t)(end - xml), "<metadata>", 10))
			continue;
		cr_assert_eq(sfh_netdef_parse(xml, (size_t)(end - xml), &def, &err), 0, "%s in\n%.*s",
			     err.text, (int)(end - xml), xml);
		sfh_netdef_freep(&def);
		found++;
	}
	cr_assert_geq(found, 4);
}
