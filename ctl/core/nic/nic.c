// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/nic/nic.h"

#include <stddef.h>
#include <string.h>

static const struct sfh_nic_method methods[] = {
	{ "igb", true, "a VF's VLAN acts at once; proven in the lab on the emulated 82576" },
	/* Last: the conservative method. */
	{ NULL, false,
	  "no parking: i40e and ice reset a VF when its VLAN changes, others are unknown" },
};

const struct sfh_nic_method *sfh_nic_method_for(const char *driver)
{
	const struct sfh_nic_method *m = methods;

	while (m->driver && strcmp(m->driver, driver) != 0)
		m++;
	return m;
}

bool sfh_nic_method_is_proven(const struct sfh_nic_method *method)
{
	return method->driver != NULL;
}
