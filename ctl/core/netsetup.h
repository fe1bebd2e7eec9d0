/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hybrid network comes up and goes down: its row in the ledger, its PFs, libvirt's
 * network. Every change is written down before it is made, so that whoever takes over
 * from a process that died in the middle knows what there is to take back. */
#ifndef SFH_CORE_NETSETUP_H
#define SFH_CORE_NETSETUP_H

#include "ctl/core/pfsetup.h"

/* What is asked of libvirt about the network `name`. */
struct sfh_net_hv {
	bool (*active)(void *ctx, const char *name);
	int (*start)(void *ctx, const char *name, struct sfh_error *err);
	/* A network that libvirt does not know is success. */
	int (*stop)(void *ctx, const char *name, struct sfh_error *err);
	/* Collects the guests that run, for the caller. */
	int (*guests)(void *ctx, struct sfh_error *err);
};

struct sfh_net_pf {
	char dev[16];
	unsigned vfs; /* wanted; 0: as many as it can have */
};

struct sfh_netsetup {
	struct sfh_ledger_network row; /* name, mode, policy, bridge */
	struct sfh_pfsetup pf;	       /* of every PF, but for `vfs` */
	const struct sfh_net_pf *pfs;
	size_t npfs;
	const struct sfh_net_hv *hv;
	void *hv_ctx;
};

/* Brings it up. What is up is refreshed: PFs that are set up get the programs of
 * this build, one that came back without its VFs is set up again; a failure leaves
 * everything as it is and the row with the reason as its `trouble`. What was cut
 * short is taken back first. A failure of what was not up before leaves nothing. */
int sfh_net_up(const struct sfh_netsetup *s, struct sfh_error *err);

/* Takes down what the ledger has of the network `s->row.name`, whatever s->pfs says;
 * s->pf.keep_path as there. If libvirt does not stop its network, nothing has changed.
 * After that it goes on after a failure and returns the first; then the row stays,
 * with its `trouble`, and can be taken down again. -EBUSY: it is down, but for VFs
 * that other programs use. */
int sfh_net_down(const struct sfh_netsetup *s, struct sfh_error *err);

#endif
