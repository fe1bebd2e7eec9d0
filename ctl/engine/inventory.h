/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool's memory: per PF one slot a VF, so that a lease costs the same however
 * many VFs there are. Filled on the first use of a network, or when told, from
 * the kernel's list and the ledger's leases; both stay the truth. */
#ifndef SFH_INVENTORY_H
#define SFH_INVENTORY_H

#include "ctl/engine/engine.h"

enum sfh_slot_state {
	SFH_SLOT_FREE,	   /* for whoever asks */
	SFH_SLOT_LANDING,  /* free, but kept back for guests that arrive */
	SFH_SLOT_LEASED,   /* a pair has it */
	SFH_SLOT_RESERVED, /* for a pair that is still arriving */
	SFH_SLOT_EXCLUDED, /* not ours to give; `why` says why */
	_SFH_SLOT_MAX
};

struct sfh_slot {
	struct sfh_bdf bdf;
	enum sfh_slot_state state;
	bool landing;		 /* one of the VFs kept back; goes back there when it frees */
	char why[48];		 /* EXCLUDED only */
	struct sfh_lease *stuck; /* it could not be released: to be tried again */
};

struct sfh_inventory {
	struct sfh_inventory *next;
	char pf[16];
	char network[SFH_NAME_MAX];
	int pf_ifindex;
	struct sfh_slot *slots; /* by the VF's number */
	unsigned n;
	uint64_t *free_bits, *landing_bits;
	unsigned count[_SFH_SLOT_MAX];
	unsigned nstuck;
	bool stale;   /* somebody else changed it: read again before the next pick */
	bool waiting; /* a pair may be waiting for a VF of this PF */
	bool short_of_landing; /* the next VF that frees is kept back */
	uint64_t read_ns;
};

/* The PF's inventory, read now if it is not yet, or stale. -ENODEV: no network
 * that is up has this PF. */
int sfh_inventory_get(struct sfh_engine *e, const char *pf, struct sfh_inventory **ret,
		      struct sfh_error *err);
/* Reads it again. */
int sfh_inventory_refresh(struct sfh_engine *e, const char *pf, struct sfh_error *err);
/* What is known, without reading; NULL if nothing is. */
struct sfh_inventory *sfh_inventory_find(const struct sfh_engine *e, const char *pf);
/* Drops what is known of a network's PFs. */
void sfh_inventory_forget(struct sfh_engine *e, const char *network);
void sfh_inventory_free(struct sfh_engine *e);

/* The first free VF, and only if there is none and `landing` says so one of those
 * kept back; -ENOSPC. Constant time. */
int sfh_inventory_pick(const struct sfh_inventory *inv, bool landing);
/* FREE or LANDING -> LEASED or RESERVED, and RESERVED -> LEASED. */
void sfh_inventory_take(struct sfh_inventory *inv, unsigned vf, bool reserved);
/* -> FREE, or LANDING if it was kept back or the network lacks one. */
void sfh_inventory_give(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf);
void sfh_inventory_exclude(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf,
			   const char *why);

/* "free", "landing", "leased", "reserved", "excluded" */
const char *sfh_slot_state_name(enum sfh_slot_state state);

#endif
