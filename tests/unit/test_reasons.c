// SPDX-License-Identifier: GPL-2.0-or-later
/* Reasons are stored and printed: names and numbers never change. */
#include "sfhybrid/reasons.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

/* As released. A new reason gets a line here; no line ever changes. */
static const struct {
	int number;
	const char *name;
} released[] = {
	{ 0, "none" },		{ 1, "no-free-vf" },   { 2, "standby-not-negotiated" },
	{ 3, "not-adopted" },	{ 4, "no-vf-driver" }, { 5, "policy-never" },
	{ 6, "no-spare-port" }, { 7, "mtu-mismatch" }, { 8, "port-profile" },
	{ 9, "memory" },	{ 10, "damped" },      { 11, "iommu-off" },
	{ 12, "by-request" },	{ 13, "migrating" },   { 14, "network-down" },
	{ 15, "vf-refused" },	{ 16, "plug-failed" }, { 17, "paused" },
	{ 18, "not-q35" },	{ 19, "silent" },      { 20, "pf-down" },
	{ 21, "pf-renamed" },	{ 22, "pf-gone" },
};
#define NRELEASED (sizeof(released) / sizeof(released[0]))

Test(reasons, numbers_are_stable)
{
	for (size_t i = 0; i < NRELEASED; i++)
		cr_expect_str_eq(sfh_reason_name((enum sfh_reason)released[i].number),
				 released[i].name);
}

Test(reasons, every_reason_is_in_this_table)
{
	cr_assert_eq((size_t)_SFH_REASON_MAX, NRELEASED,
		     "a new reason needs its line above, and stays");
}

Test(reasons, names_are_unique_words)
{
	for (int i = 0; i < _SFH_REASON_MAX; i++) {
		const char *name = sfh_reason_name((enum sfh_reason)i);

		cr_expect(strlen(name) < 32, "the ledger has room for 31: %s", name);
		for (const char *c = name; *c; c++)
			cr_expect(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-',
				  "%s", name);
		cr_expect_neq(sfh_reason_text((enum sfh_reason)i)[0], 0, "%s", name);
		for (int k = 0; k < i; k++)
			cr_expect_str_neq(name, sfh_reason_name((enum sfh_reason)k));
	}
}

Test(reasons, unknown_numbers)
{
	cr_assert_str_eq(sfh_reason_name(_SFH_REASON_MAX), "unknown");
	cr_assert_str_eq(sfh_reason_name((enum sfh_reason)9999), "unknown");
	cr_assert_str_eq(sfh_reason_text((enum sfh_reason)9999), "");
}
