// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/pfops.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

/* A VFIO group can be opened once: whoever has the VF keeps us out. Writing
 * sriov_numvfs would wait for them for ever. QEMU closes it a little after it said
 * that the device is gone. */
static bool vf_in_use(const struct sfh_env *env, const struct sfh_bdf *bdf)
{
	char path[64], group[16];
	int fd;

	if (sfh_pci_iommu_group(env, bdf, group, sizeof(group)) < 0 || !group[0])
		return false;
	(void)snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	for (int tries = 0; tries < 20; tries++) {
		const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			(void)close(fd);
		if (fd >= 0 || errno != EBUSY)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

const struct sfh_pf_ops sfh_pf_system = {
	.iommu_check = sfh_iommu_check,
	.pf_read = sfh_pf_read,
	.get_autoprobe = sfh_pf_get_autoprobe,
	.set_autoprobe = sfh_pf_set_autoprobe,
	.set_num_vfs = sfh_pf_set_num_vfs,
	.bind = sfh_pci_bind,
	.in_use = vf_in_use,
	.link_get = sfh_nl_link_get,
	.link_set_up = sfh_nl_link_set_up,
	.link_set_master = sfh_nl_link_set_master,
	.bridge_add = sfh_nl_bridge_add,
	.vlan_add = sfh_nl_vlan_add,
	.link_del = sfh_nl_link_del,
	.addr_count = sfh_nl_addr_count,
	.ports = sfh_nl_ports,
	.attach = sfh_steer_pf_attach,
	.detach = sfh_steer_pf_detach,
};
