/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests' addresses in the PF's own filter (FDB `self`), so that the NIC's switch
 * hands what its VFs send to a guest on its standby leg to the PF. A bridge does not
 * do that for its ports; macvlan does for its own, so macvtap modes need none of it.
 *
 * Several pairs may share an address (the same guest NIC in several VLANs): an entry
 * is there as long as one of them holds it. What we put in is in the ledger before it
 * is in the kernel: the next agent finds it there and takes back what nobody holds.
 * An entry that somebody else made (a macvtap with that MAC, an admin) serves as well,
 * and stays when we let go.
 *
 * One thread. Errors: negative errno; *err (may be NULL) gets one sentence. */
#ifndef SFH_CORE_FDB_H
#define SFH_CORE_FDB_H

#include "ctl/core/ledger.h"
#include "ctl/core/netlink.h"

struct sfh_fdb;

/* How an address is written to the NIC; tests hand in their own. Errors as the kernel
 * gives them: -EEXIST, -ENOENT, -ENOSPC, -ENOMEM, -EOPNOTSUPP, -EINVAL, … */
struct sfh_fdb_ops {
	int (*set)(void *ctx, int ifindex, const struct sfh_mac *mac, bool there);
	/* 1 if it is in the filter, 0 if not. */
	int (*has)(void *ctx, int ifindex, const struct sfh_mac *mac);
};
extern const struct sfh_fdb_ops sfh_fdb_netlink; /* ctx is a struct sfh_nl */

/* Takes the ledger's rows over; nobody holds them yet. */
int sfh_fdb_new(struct sfh_ledger *ledger, const struct sfh_fdb_ops *ops, void *ctx,
		struct sfh_fdb **ret, struct sfh_error *err);
void sfh_fdb_free(struct sfh_fdb **fdb);

/* One more holder; the first puts the address in and reads it back. On failure it is
 * held all the same (the ledger says `refused` and why; the next holder, and
 * sfh_fdb_mend(), try again): let go of it as of any other. */
int sfh_fdb_hold(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		 struct sfh_error *err);
/* One holder less; the last takes it out, if it was ours, and reads back. */
int sfh_fdb_release(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		    struct sfh_error *err);
/* Somebody took it out, or there was no room: again. -ENOENT if nobody holds it. */
int sfh_fdb_mend(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		 struct sfh_error *err);
/* Takes out what nobody holds: that address, or with mac NULL every one of the PF
 * (pf NULL: of all). Returns how many, or the first failure. */
int sfh_fdb_sweep(struct sfh_fdb *fdb, const char *pf, const struct sfh_mac *mac,
		  struct sfh_error *err);

#endif
