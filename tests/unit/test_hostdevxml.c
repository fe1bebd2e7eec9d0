// SPDX-License-Identifier: GPL-2.0-or-later
/* The device that is plugged. */
#include "libvirt-glue/hostdevxml.h"
#include "tests/unit/glue_helpers.h"

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
