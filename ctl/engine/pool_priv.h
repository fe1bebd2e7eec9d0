/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by pool.c (which VF a pair gets), pool_steps.c (a lease as steps), pool_vf.c
 * (what a VF is told) and pool_free.c (VFs that become free); for nobody else. */
#ifndef SFH_ENGINE_POOL_PRIV_H
#define SFH_ENGINE_POOL_PRIV_H

#include "ctl/engine/engine.h"

/* VFs that one lease tries when it finds that somebody else took them. */
#define SFH_POOL_CANDIDATES 4

/* --- pool_steps.c ---------------------------------------------------------------------- */
struct sfh_lease_change {
	struct sfh_engine *e;
	struct sfh_pair *p;
	struct sfh_lease lease, before; /* before: of a VF that was reserved or held */
	struct sfh_vf_config want;	/* MAC, VLAN for now, and what must be */
	unsigned vlan_parts;		/* SFH_VF_VLAN and what goes with it */
	unsigned done;			/* settings beside MAC and VLAN that were written */
	unsigned kept;			/* those that the VF has had since before */
	bool foreign;			/* the VF has a MAC of somebody else */
	bool dirty;			/* it could not be put back: the row must stay */
};

/* What the pair's VF is to be told; the lease is for the caller to fill in. */
struct sfh_lease_change sfh_lease_change_of(struct sfh_engine *e, struct sfh_pair *p);
/* A VF that was free: the row, and unless it is only reserved all that the VF is told.
 * Then the lease is the pair's; else everything is as it was, or `dirty`. */
int sfh_lease_run(struct sfh_lease_change *c, struct sfh_error *err);
/* The same of a VF that was reserved, or held through a migration that failed. */
int sfh_lease_run_again(struct sfh_lease_change *c, struct sfh_error *err);

/* --- pool_vf.c ------------------------------------------------------------------------- */
/* -EAGAIN: the driver says later. */
int sfh_pool_set_vf(struct sfh_engine *e, int ifindex, unsigned vf, unsigned what,
		    const struct sfh_vf_config *cfg, struct sfh_error *err);
/* MAC zero, and the VLAN as it was. */
int sfh_pool_silence(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		     struct sfh_error *err);
/* The VF has its port profile while it has the MAC. One failure does not keep the other
 * half back. */
int sfh_pool_quiet_lease(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
			 struct sfh_error *err);
/* The settings beside MAC and VLAN. One message each: one that is refused must not keep
 * the others back. Tries all and returns the first failure. */
int sfh_pool_put_back(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		      unsigned what, struct sfh_error *err);
uint16_t sfh_pool_vlan_of(const struct sfh_pair *p);
/* Of the PF whose VF the pair has, which need not be that of its standby leg; 0: it is gone. */
int sfh_pool_ifindex(const struct sfh_engine *e, const struct sfh_pair *p);
/* The VLAN's settings as the guest's frames need them, and which they are. */
unsigned sfh_pool_final_vlan(const struct sfh_pair *p, struct sfh_vf_config *cfg);

/* --- pool_free.c ----------------------------------------------------------------------- */
/* A VF that could not be given back is remembered with its lease, and tried again by time. */
void sfh_pool_stick(struct sfh_engine *e, struct sfh_inventory *inv, const struct sfh_lease *lease);
/* Tries them again, also when a VF is wanted; true if one came free. */
bool sfh_pool_unstick(struct sfh_engine *e, struct sfh_inventory *inv);

#endif
