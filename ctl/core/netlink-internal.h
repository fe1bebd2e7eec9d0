/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that speak rtnetlink share (netlink.c, portprofile.c). */
#ifndef SFH_CORE_NETLINK_INTERNAL_H
#define SFH_CORE_NETLINK_INTERNAL_H

#include "ctl/core/netlink.h"

/* libnl has error numbers of its own; only the common ones matter here. */
int sfh_nl_errno(int nlerr);
/* Sends and waits for the acknowledgement; frees nothing. */
int sfh_nl_talk(struct sfh_nl *nl, struct nl_msg *msg);
/* An RTM_SETLINK without attributes; NULL: out of memory. */
struct nl_msg *sfh_nl_setlink_msg(int ifindex);

#endif
