// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of NIC methods: what is proven, and what everything else gets. */
#include "ctl/core/nic/nic.h"

#include <criterion/criterion.h>

Test(nic, igb_is_proven_and_parks)
{
	const struct sfh_nic_method *m = sfh_nic_method_for("igb");

	cr_assert_not_null(m);
	cr_assert_str_eq(m->driver, "igb");
	cr_assert(m->park);
	cr_assert(sfh_nic_method_is_proven(m));
}

Test(nic, unknown_drivers_are_treated_conservatively)
{
	/* i40e and ice reset a VF when its VLAN changes; igbvf and "ig" are not igb. */
	static const char *const others[] = { "i40e", "ice", "mlx5_core", "igbvf", "ig", "", "IGB" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct sfh_nic_method *m = sfh_nic_method_for(others[i]);

		cr_assert_not_null(m, "%s", others[i]);
		cr_expect_not(m->park, "%s", others[i]);
		cr_expect_not(sfh_nic_method_is_proven(m), "%s", others[i]);
	}
}
