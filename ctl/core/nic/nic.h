/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the switch inside a NIC is handled, driver by driver: one table. A quirk
 * of one driver belongs here and nowhere else. */
#ifndef SFH_CORE_NIC_H
#define SFH_CORE_NIC_H

#include <stdbool.h>

struct sfh_nic_method {
	const char *driver; /* NULL: every driver that has no line of its own */
	/* Between plug and proof the VF sits in the parking VLAN (abi.h), so that
	 * the guest's frames go on reaching the standby leg. Needs a driver that
	 * applies a VF's VLAN at once, without resetting the VF. Frames of a parked
	 * VF carry the tag on the wire: keep that VLAN out of the trunk. */
	bool park;
	const char *note;
};

/* Never NULL. */
const struct sfh_nic_method *sfh_nic_method_for(const char *driver);
/* False for the conservative line that stands for unknown drivers. */
bool sfh_nic_method_is_proven(const struct sfh_nic_method *method);

#endif
