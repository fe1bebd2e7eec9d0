/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The probe that proves a VF leg: an ARP request for the guest's own address,
 * sent by the PF inside the parking VLAN. Only the parked VF is a member there
 * besides the PF, so only the guest's answer through its VF can come back. The
 * sender address is 0.0.0.0 (RFC 5227's probe): no ARP cache learns from it. */
#ifndef SFH_CORE_PROBE_H
#define SFH_CORE_PROBE_H

#include "sfhybrid/util.h"

#define SFH_PROBE_FRAME_LEN 64 /* with the tag, without FCS; padded */

/* Builds the frame. ip4 in network order. */
void sfh_probe_frame(uint8_t frame[SFH_PROBE_FRAME_LEN], const struct sfh_mac *guest,
		     const struct sfh_mac *pf, uint16_t vlan, uint32_t ip4);
/* A packet socket that only sends; -errno. */
int sfh_probe_socket(void);
/* Sends it out of the PF, past the host's own queueing. */
int sfh_probe_send(int fd, int pf_ifindex, const uint8_t frame[SFH_PROBE_FRAME_LEN]);

#endif
