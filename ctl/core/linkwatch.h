/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink's link notifications: what happens to a netdev after it was looked at. */
#ifndef SFH_CORE_LINKWATCH_H
#define SFH_CORE_LINKWATCH_H

#include "ctl/core/netlink.h"

struct sfh_linkwatch;

int sfh_linkwatch_open(struct sfh_linkwatch **ret, struct sfh_error *err);
void sfh_linkwatch_close(struct sfh_linkwatch **w);
/* Readable when sfh_linkwatch_read() has work. */
int sfh_linkwatch_fd(const struct sfh_linkwatch *w);
/* Hands over what is there, without waiting: link as it is now, or with `gone` as
 * it was last. `mtu` in bytes. */
void sfh_linkwatch_read(struct sfh_linkwatch *w,
			void (*cb)(void *ctx, const struct sfh_link *link, bool gone),
			void *ctx);

#endif
