// SPDX-License-Identifier: GPL-2.0-or-later
/* <virtualport>: what is read of it, and what NIC, portgroup and network say together. */
#include <criterion/criterion.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvirt-glue/virtualport.h"
#include "libvirt-glue/xmlutil.h"

static struct sfh_virtualport vp(const char *xml)
{
	struct sfh_virtualport ret;
	_cleanup_doc_ xmlDoc *doc = NULL;

	cr_assert_eq(sfh_xml_read(xml, strlen(xml), "test", "virtualport", &doc, NULL), 0);
	sfh_virtualport_read(xmlDocGetRootElement(doc), &ret);
	cr_assert(ret.given);
	return ret;
}

#define QBH(id) "<virtualport type='802.1Qbh'><parameters profileid='" id "'/></virtualport>"
#define NAME_39 "123456789012345678901234567890123456789"

static const char *profile(const char *xml)
{
	static struct sfh_virtualport v;

	v = vp(xml);
	return sfh_virtualport_profile(&v);
}

Test(virtualport, a_profile_is_of_type_8021qbh_and_has_a_name)
{
	cr_assert_str_eq(profile(QBH("tenants")), "tenants");
	cr_assert_str_eq(profile(QBH(NAME_39)), NAME_39);
	cr_assert_null(profile(QBH(NAME_39 "0")), "the kernel takes 39 bytes");
	cr_assert_null(profile(QBH("")));
	cr_assert_null(profile(QBH("a&#9;b")));
	cr_assert_null(profile("<virtualport type='802.1Qbh'/>"));
	cr_assert_null(profile("<virtualport type='802.1Qbh'><parameters/></virtualport>"));
	cr_assert_null(profile("<virtualport type='802.1Qbg'><parameters profileid='p'/>"
			       "</virtualport>"));
	cr_assert_null(profile("<virtualport type='openvswitch'><parameters profileid='p'/>"
			       "</virtualport>"));
	cr_assert_null(profile("<virtualport type='" NAME_39 "'/>"));
	cr_assert_null(profile("<virtualport><parameters profileid='p'/></virtualport>"));
}

Test(virtualport, none_is_none)
{
	struct sfh_virtualport v, more;

	sfh_virtualport_read(NULL, &v);
	cr_assert_not(v.given);
	cr_assert_null(sfh_virtualport_profile(&v));
	more = vp(QBH("p"));
	sfh_virtualport_merge(&v, &more);
	cr_assert_str_eq(sfh_virtualport_profile(&v), "p");
	sfh_virtualport_read(NULL, &more);
	sfh_virtualport_merge(&v, &more);
	cr_assert_str_eq(sfh_virtualport_profile(&v), "p");
}

Test(virtualport, each_says_what_the_others_leave_out)
{
	struct sfh_virtualport v = vp("<virtualport type='802.1Qbh'/>"),
			       own = vp("<virtualport><parameters profileid='p'/></virtualport>"),
			       same = vp(QBH("p"));

	sfh_virtualport_merge(&v, &own);
	cr_assert_str_eq(sfh_virtualport_profile(&v), "p");
	sfh_virtualport_merge(&v, &same);
	cr_assert_str_eq(sfh_virtualport_profile(&v), "p");
}

Test(virtualport, two_that_disagree_are_none)
{
	const char *const others[] = {QBH("q"), QBH(NAME_39 "0"),
				      "<virtualport type='802.1Qbg'/>"};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(others); i++) {
		struct sfh_virtualport v = vp(QBH("p")), other = vp(others[i]);

		sfh_virtualport_merge(&v, &other);
		cr_expect(v.given);
		cr_expect_null(sfh_virtualport_profile(&v), "%s", others[i]);
	}
}
