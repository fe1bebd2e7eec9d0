// SPDX-License-Identifier: GPL-2.0-or-later
/* QEMU's answer to query-rx-filter, and what a guest may have made of it. */
#include "libvirt-glue/rxfilter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* QEMU's own example (qapi/net.json), with two unicast addresses. */
#define ANSWER(unicast, multicast)                                                                 \
	"{\"return\":[{\"promiscuous\":false,\"name\":\"ua-sfs-525400000001\","                    \
	"\"main-mac\":\"52:54:00:00:00:01\",\"unicast\":\"" unicast "\",\"vlan\":\"normal\","      \
	"\"vlan-table\":[4,0],\"unicast-table\":[\"52:54:00:00:01:01\",\"52:54:00:00:01:02\"],"    \
	"\"multicast\":\"" multicast "\",\"multicast-overflow\":false,\"unicast-overflow\":false," \
	"\"multicast-table\":[\"01:00:5e:00:00:01\",\"33:33:00:00:00:01\",\"33:33:ff:12:34:56\"]," \
	"\"broadcast-allowed\":true}],\"id\":\"libvirt-42\"}"

static struct sfh_mac macs[8];

static const char *parsed(const char *answer, size_t n)
{
	static char text[256];
	char mac[SFH_MAC_STRLEN];
	int r = sfh_rxfilter_parse(answer, macs, n, NULL);

	text[0] = '\0';
	cr_assert_geq(r, 0, "%d: %s", r, answer);
	for (int i = 0; i < r; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			       i ? " " : "", sfh_mac_format(&macs[i], mac));
	return text;
}

Test(rxfilter, unicast_then_multicast)
{
	cr_assert_str_eq(parsed(ANSWER("normal", "normal"), 8),
			 "52:54:00:00:01:01 52:54:00:00:01:02 01:00:5e:00:00:01 33:33:00:00:00:01 "
			 "33:33:ff:12:34:56");
	cr_assert_str_eq(parsed(ANSWER("normal", "normal"), 3),
			 "52:54:00:00:01:01 52:54:00:00:01:02 01:00:5e:00:00:01", "no more than asked");
}

Test(rxfilter, a_table_that_is_off_counts_for_nothing)
{
	cr_assert_str_eq(parsed(ANSWER("none", "all"), 8), "");
	cr_assert_str_eq(parsed(ANSWER("all", "normal"), 8),
			 "01:00:5e:00:00:01 33:33:00:00:00:01 33:33:ff:12:34:56");
}

Test(rxfilter, what_is_no_address_is_passed_over)
{
	cr_assert_str_eq(parsed("{\"return\":[{\"unicast\":\"normal\",\"unicast-table\":[7,null,\"x\","
				"\"52:54:00:00:01\",{},\"52:54:00:00:01:09\"],\"multicast\":\"normal\","
				"\"multicast-table\":\"all\"}]}", 8),
			 "52:54:00:00:01:09");
	cr_assert_str_eq(parsed("{\"return\":[{}]}", 8), "");
	cr_assert_str_eq(parsed("{\"return\":[7]}", 8), "");
}

Test(rxfilter, no_answer)
{
	static const char *const answers[] = {
		"", "{", "[]", "{\"return\":[]}", "{\"return\":{}}",
		"{\"id\":\"libvirt-42\",\"error\":{\"class\":\"GenericError\",\"desc\":\"net client(x) isn't "
		"a NIC\"}}",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(answers); i++) {
		struct sfh_error err = { 0 };

		cr_expect_eq(sfh_rxfilter_parse(answers[i], macs, 8, &err), -EOPNOTSUPP);
		cr_expect(strstr(err.text, "does not tell"), "%s", err.text);
	}
}
