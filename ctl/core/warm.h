/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Proof that a standby leg would carry frames: a probe enters where the wire does,
 * at the PF, passes the programs that are attached there now, and must be taken out
 * of the standby device by whoever serves the guest's virtio ring.
 *
 * How each part is proven:
 *   XDP    the attached program is run on the probe (BPF_PROG_TEST_RUN): nothing can
 *          put a frame before a driver's XDP and keep it accountable
 *   tc     the probe really comes in at the PF (by the injection device, inject.h) and
 *          goes on to the standby device
 *   ring   tap: the kernel counts tx_packets when the reader takes a frame out;
 *          macvtap: it counts only what it queues, but the probe stays charged to the
 *          socket that sent it until the reader frees it (SIOCOUTQ)
 * A tap's count does not say which frame was read, so a ring that gets stuck right
 * after it took another frame is found out by the next probe.
 *
 * One thread, the one that may close the datapath. Errors: negative errno. */
#ifndef SFH_CORE_WARM_H
#define SFH_CORE_WARM_H

#include "ctl/core/steer.h"

struct sfh_inject;
struct sfh_warm;     /* what all probes share */
struct sfh_warm_leg; /* one pair's probe */

/* For the network namespace of `sysfs`. Datapath and injection device must outlive it. */
int sfh_warm_open(struct sfh_steer *s, const struct sfh_inject *inject, const char *sysfs,
		  struct sfh_warm **ret, struct sfh_error *err);
void sfh_warm_close(struct sfh_warm **w);
/* Before a batch of sends: looks up what is attached to the PFs now. */
void sfh_warm_begin(struct sfh_warm *w);

/* The pair must be staged. */
int sfh_warm_leg_new(struct sfh_warm *w, const struct sfh_guest_key *key, uint32_t standby_ifindex,
		     enum sfh_standby_kind kind, struct sfh_warm_leg **ret, struct sfh_error *err);
void sfh_warm_leg_free(struct sfh_warm_leg **leg);
const struct sfh_guest_key *sfh_warm_leg_key(const struct sfh_warm_leg *leg);
uint32_t sfh_warm_leg_device(const struct sfh_warm_leg *leg);

/* Sends the next probe, unless the one before still waits in the standby device: a
 * stuck guest is not given more than a few. */
void sfh_warm_send(struct sfh_warm_leg *leg);
/* 1: the latest probe reached the ring, the times are filled; 0: not (yet). */
int sfh_warm_check(struct sfh_warm_leg *leg, uint32_t *latency_ns, uint32_t *ring_us);
/* Why it did not. */
enum sfh_cold sfh_warm_why(struct sfh_warm_leg *leg);

#endif
