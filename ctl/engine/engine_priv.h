/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by engine.c, networks.c, guests.c, takeover.c and migration.c; for nobody
 * else. */
#ifndef SFH_ENGINE_PRIV_H
#define SFH_ENGINE_PRIV_H

#include "ctl/engine/engine.h"

/* networks.c: 0 if it is not one of the network's. */
int sfh_network_pf_ifindex(const struct sfh_engine_network *net, const char *pf);
/* takeover.c: the pair of a NIC that was here before this agent is as the live XML and
 * the ledger say. */
void sfh_guest_take_over(struct sfh_engine *e, struct sfh_pair *p,
			 const struct sfh_guest_nic *nic);
/* migration.c: a guest that stops before libvirt was asked to migrate it ends the
 * migration. Once libvirt was asked, libvirt says how it ended. */
void sfh_migration_end_of_nobody(struct sfh_engine *e, const char *uuid);

#endif
