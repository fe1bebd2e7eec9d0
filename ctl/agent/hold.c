// SPDX-License-Identifier: GPL-2.0-or-later
/* VFs that nobody may open for now: the agent has their VFIO group open, and the
 * kernel lets a group be opened once. QEMU then goes on without the VF (docs/ARCHITECTURE.md,
 * plain virsh migrate). The kernel forgets it with the agent. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ctl/agent/agent.h"
#include "ctl/core/sysfs.h"

struct sfh_hold {
	struct sfh_hold *next;
	struct sfh_bdf bdf;
	int fd;
};

static struct sfh_hold **find(struct sfh_agent *a, const struct sfh_bdf *bdf)
{
	struct sfh_hold **at = &a->holds;

	while (*at && !sfh_bdf_equal(&(*at)->bdf, bdf))
		at = &(*at)->next;
	return at;
}

int sfh_hold_vf(void *ctx, const struct sfh_bdf *bdf, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	char group[16] = "", path[32], text[SFH_BDF_STRLEN];
	struct sfh_hold *h;

	if (*find(a, bdf))
		return 0;
	sfh_bdf_format(bdf, text);
	if (sfh_pci_iommu_group(&a->env, bdf, group, sizeof(group)) < 0 || !group[0])
		return sfh_err(err, -ENODEV, "VF %s is in no IOMMU group", text);
	h = calloc(1, sizeof(*h));
	if (!h)
		return sfh_err(err, -ENOMEM, "out of memory");
	(void)snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	h->bdf = *bdf;
	h->fd = open(path, O_RDWR | O_CLOEXEC);
	if (h->fd < 0) {
		int r = -errno;

		free(h);
		return sfh_err(err, r, "VF %s cannot be kept: %s: %s", text, path,
			       strerrordesc_np(-r));
	}
	h->next = a->holds;
	a->holds = h;
	return 0;
}

void sfh_loose_vf(void *ctx, const struct sfh_bdf *bdf)
{
	struct sfh_hold **at = find(ctx, bdf), *dead = *at;

	if (!dead)
		return;
	*at = dead->next;
	sfh_closep(&dead->fd);
	free(dead);
}
