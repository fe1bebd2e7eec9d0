/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device XML of a VF as it is plugged into a running guest. */
#ifndef SFHYBRID_GLUE_HOSTDEVXML_H
#define SFHYBRID_GLUE_HOSTDEVXML_H

#include "sfhybrid/util.h"

/* A plain <hostdev managed='no'> with <teaming type='transient'/>: plain, so
 * that libvirt touches neither MAC nor VLAN (research/libvirt-contract.md §7),
 * not managed, so that nothing rebinds or resets the VF. `standby_alias` NULL: without
 * the teaming, for a guest that bonds the legs itself. The aliases must be
 * what libvirt takes for a user's alias ("ua-" and [A-Za-z0-9_-]), else -EINVAL.
 * *ret is the caller's, free(). */
int sfh_hostdev_xml(const struct sfh_bdf *bdf, const char *vf_alias, const char *standby_alias,
		    char **ret, struct sfh_error *err);

#endif
