/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The probes that prove a VF leg: an ARP request for the guest's own IPv4 address,
 * or a neighbour solicitation for its IPv6 link-local one, sent by the PF inside
 * the parking VLAN. Only the parked VF is a member there besides the PF, so only a
 * guest whose VF receives can answer. It answers through its VF once that has a link,
 * until then on its standby leg. */
#ifndef SFH_CORE_PROBE_H
#define SFH_CORE_PROBE_H

#include "sfhybrid/util.h"

#define SFH_PROBE_FRAME_LEN 64 /* with the tag, without FCS; padded */
#define SFH_PROBE_NS_LEN 90

/* ARP request for ip4 (network order), from 0.0.0.0 (RFC 5227's probe): no cache
 * learns from it. The answer goes to `answer_to`: the PF, which sees what comes over the
 * VF, or SFH_PROBE_MAC (abi.h), which is looked for on the standby leg. */
void sfh_probe_frame(uint8_t frame[SFH_PROBE_FRAME_LEN], const struct sfh_mac *guest,
		     const struct sfh_mac *pf, const struct sfh_mac *answer_to, uint16_t vlan,
		     uint32_t ip4);
/* Neighbour solicitation (RFC 4861) for the link-local address that the guest's MAC
 * gives (RFC 4291, modified EUI-64), from the PF's: what a guest that is quiet on
 * IPv4 answers. Guests with another scheme of addresses do not. */
void sfh_probe_ns_frame(uint8_t frame[SFH_PROBE_NS_LEN], const struct sfh_mac *guest,
			const struct sfh_mac *pf, const struct sfh_mac *answer_to, uint16_t vlan);
/* A packet socket that only sends; -errno. */
int sfh_probe_socket(void);
/* Sends it out of the PF, past the host's own queueing. */
int sfh_probe_send(int fd, int pf_ifindex, const uint8_t *frame, size_t len);

#endif
