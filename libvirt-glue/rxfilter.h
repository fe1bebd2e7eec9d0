/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's answer to query-rx-filter: what a guest's virtio NIC is to receive. */
#ifndef SFHYBRID_GLUE_RXFILTER_H
#define SFHYBRID_GLUE_RXFILTER_H

#include "sfhybrid/util.h"

/* The unicast, then the multicast addresses beside the NIC's own, at most n of them, as
 * the guest gave them; returns how many. Nothing of it is to be believed. A table that
 * the guest has switched off, or made overflow, is empty. -EOPNOTSUPP: QEMU has none for
 * this NIC. */
int sfh_rxfilter_parse(const char *answer, struct sfh_mac *macs, size_t n,
		       struct sfh_error *err);

#endif
