/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a PF ready for a hybrid network, and puts back what it was. */
#ifndef SFH_CORE_PFSETUP_H
#define SFH_CORE_PFSETUP_H

#include <pthread.h>

#include "ctl/core/env.h"
#include "ctl/core/ledger.h"
#include "ctl/core/pfops.h"

struct sfh_pfsetup {
	const struct sfh_pf_ops *ops; /* &sfh_pf_system */
	const struct sfh_env *env;
	struct sfh_nl *nl; /* the calling thread's own */
	struct sfh_steer *steer;
	pthread_mutex_t *steer_lock;
	struct sfh_ledger *ledger;
	const char *network;
	const char *bridge; /* "" but in linux-bridge mode */
	unsigned vfs;	    /* wanted; 0: as many as the PF can have */
	const struct sfh_bdf *excluded; /* VFs that are never touched */
	size_t nexcluded;
	bool keep_path; /* down only: guests go on using the standby path */
	void (*progress)(void *ctx, const char *text);
	void *progress_ctx;
};

/* Creates VFs if there are none (those that exist keep their number; a progress line
 * says so when the network asks for more), binds them to vfio-pci, attaches the programs,
 * and in linux-bridge mode makes the PF a port of the bridge. Originals go to the
 * ledger first. On failure everything is as it was. Idempotent: a PF that is
 * set up for this network already is refreshed.
 *   -EBUSY  the PF belongs to another hybrid network, or carries addresses and
 *           would have to become a bridge port
 *   -ENODEV, -EOPNOTSUPP  see sfh_pf_read(), sfh_iommu_check() */
int sfh_pf_up(const struct sfh_pfsetup *setup, const char *dev, struct sfh_error *err);

/* Takes it back as the ledger says; VFs that we made stay while another program
 * uses one (a progress line, -EBUSY). Goes on after a failure and returns the
 * first; what the ledger has of the PF stays then, so that it can be tried again (but
 * not for VFs that are another's now). A PF that is gone, or not set up, is success. */
int sfh_pf_down(const struct sfh_pfsetup *setup, const char *dev, struct sfh_error *err);

/* Name of the link that makes the PF a member of the parking VLAN. */
char *sfh_pf_parklink_name(int pf_ifindex, char buf[16]);

#endif
