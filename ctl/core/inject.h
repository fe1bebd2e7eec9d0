/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The injection device: a tap of the agent's own. What is sent on it comes in at a PF, as
 * if from the wire (bpf/inject_tc.bpf.c); what a PF's program holds back for a guest that
 * does not listen yet (sfh_steer_backlog()) is read from it. One thread. Errors: negative
 * errno. */
#ifndef SFH_CORE_INJECT_H
#define SFH_CORE_INJECT_H

#include "sfhybrid/util.h"

#define SFH_INJECT_FRAME_MAX 65535 /* bytes, without FCS */

struct sfh_inject;

/* Makes it in this network namespace; it goes with the process. */
int sfh_inject_open(struct sfh_inject **ret, struct sfh_error *err);
void sfh_inject_close(struct sfh_inject **inject);
uint32_t sfh_inject_ifindex(const struct sfh_inject *inject);
/* Readable while there are frames that were held back; non-blocking. */
int sfh_inject_fd(const struct sfh_inject *inject);
/* A new socket: what is sent on it comes in at the PF. For the caller to close. */
int sfh_inject_socket(const struct sfh_inject *inject, uint32_t pf_ifindex);
/* The oldest frame that was held back, its VLAN tag in it; its length, or -EAGAIN. */
ssize_t sfh_inject_read(struct sfh_inject *inject, void *frame, size_t size);
/* In at the PF, and not back here again. -EMSGSIZE: larger than the device takes. */
int sfh_inject_release(struct sfh_inject *inject, uint32_t pf_ifindex, const void *frame,
		       size_t len);

#endif
