/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the world share (world.c, world_watch.c, world_check.c); for nobody
 * else. */
#ifndef SFHYBRID_TESTS_WORLD_PRIV_H
#define SFHYBRID_TESTS_WORLD_PRIV_H

#include "tests/unit/world.h"

/* A guest's NIC, or NULL. */
struct world_nic *world_nic_by_mac(const struct sfh_mac *mac);

/* --- world_watch.c --------------------------------------------------------------------- */
/* Puts itself between the fake's engine and its operations; again after each restart. */
void world_watch(struct fake *f);
/* Of every SQLite connection that is opened from now on. */
void world_watch_commits(bool on);

/* --- world_check.c --------------------------------------------------------------------- */
/* Notes what must not be (world->wrong); the first sentence stays. */
SFH_PRINTF(1, 2) void world_wrong(const char *fmt, ...);

#endif
