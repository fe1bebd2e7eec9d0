/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two ends of the two-way prober say to each other over UDP.
 *
 * Each end sends numbered, time-stamped frames on a schedule of its own, so that a
 * direction that is deaf does not silence the other. What the guest received it
 * keeps in a list, and each of its frames carries the part of the list that the
 * client has not confirmed yet: nothing of it is lost with the frames that are.
 *
 * All numbers in network order. */
#ifndef SFH_BENCH_DUPLEX_H
#define SFH_BENCH_DUPLEX_H

#include <stdint.h>

#define SFH_DUPLEX_PORT	   7790 /* UDP; TCP: everything comes back */
#define SFH_DUPLEX_MAGIC   0x73666864u
#define SFH_DUPLEX_ENTRIES 96

enum sfh_duplex_kind {
	SFH_DUPLEX_PROBE = 1, /* client: a numbered frame */
	SFH_DUPLEX_ACK = 2,   /* client: not numbered, only `acked` counts */
	SFH_DUPLEX_BYE = 3,   /* client: send no more */
	SFH_DUPLEX_CLOCK = 4, /* client: what time is it? */
	SFH_DUPLEX_GUEST = 5, /* guest: a numbered frame */
	SFH_DUPLEX_TIME = 6,  /* answer to CLOCK: seq as asked, t_ns its own clock */
};

struct sfh_duplex_frame {
	uint32_t magic;
	uint32_t kind;
	uint32_t run; /* the client's: a new one begins a new list and new numbers */
	uint32_t seq;
	uint32_t interval_us; /* client: at which the guest is to send */
	uint32_t acked;	      /* client: entries of the list it has; guest: where `entries` begins */
	uint32_t nentries;
	uint32_t t_hi, t_lo; /* CLOCK_REALTIME of the sender, ns */
	/* guest: read just before this frame was sent, or not */
	uint32_t has_leg;
	uint32_t leg_sent, leg_received; /* packets of its standby leg so far */
};

struct sfh_duplex_entry {
	uint32_t seq;
	uint32_t t_hi, t_lo; /* received by the guest, its CLOCK_REALTIME, ns */
};

_Static_assert(sizeof(struct sfh_duplex_frame) == 48, "no padding on the wire");
_Static_assert(sizeof(struct sfh_duplex_entry) == 12, "no padding on the wire");

#endif
