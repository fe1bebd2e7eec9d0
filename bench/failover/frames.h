/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A round's log of frames, and what it means. `tx` is client to guest, `rx` guest to
 * client, everywhere.
 *
 * The log has a line an event. Times are CLOCK_REALTIME in ns: T the client's, G the
 * guest's own, which stands still while the guest does.
 *	# sfh-duplex 1 interval_ns=N tcp_interval_ns=N
 *	s SEQ T		the client sent frame SEQ
 *	r SEQ G		the guest received it, in the order of its receiving
 *	g SEQ T G	the client received the guest's frame SEQ, sent at G
 *	l G SENT RECEIVED	at that time the guest's standby leg had sent and received so many
 *	t T BYTES	the TCP stream had brought back that many bytes
 *	# end T		no more frames were sent
 */
#ifndef SFH_BENCH_FRAMES_H
#define SFH_BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SFH_TX, SFH_RX, SFH_WAYS };

struct sfh_frame_event {
	uint64_t seq, t_ns, guest_ns;
};

struct sfh_frame_list {
	struct sfh_frame_event *v;
	size_t n, size;
};

struct sfh_frame_log {
	uint64_t interval_ns, tcp_interval_ns;
	uint64_t end_ns; /* 0: cut off */
	struct sfh_frame_list sent;	/* s */
	struct sfh_frame_list at_guest; /* r: t_ns is filled in by sfh_frames_figures() */
	struct sfh_frame_list at_client; /* g */
	struct sfh_frame_list tcp;	/* t: seq is the bytes */
	/* l: seq is the counter; t_ns is filled in by sfh_frames_figures() */
	struct sfh_frame_list leg_sent, leg_received;
};

/* What happened when, on the client's clock: from the hosts' events, with an error. */
#define SFH_PHASES_MAX 8
struct sfh_phase {
	char name[16];
	uint64_t from_ns, to_ns;
};

/* A change of leg, as a host recorded it. */
#define SFH_SWITCHES_MAX 16
struct sfh_switch_mark {
	bool to_vf;
	uint64_t from_ns, to_ns; /* where to look for it */
};

struct sfh_marks {
	uint64_t begin_ns, end_ns;   /* what counts */
	uint64_t stop_ns, resume_ns; /* 0: the guest was not paused */
	struct sfh_phase phases[SFH_PHASES_MAX];
	unsigned nphases;
	struct sfh_switch_mark switches[SFH_SWITCHES_MAX];
	unsigned nswitches;
};

/* When a switch happened, as the guest saw it, on the client's clock: between two looks at its
 * standby leg. `from_ns` 0: it did not see it. */
struct sfh_leg_seen {
	uint64_t from_ns, to_ns;
};

struct sfh_way_figures {
	uint64_t sent, lost, dup, reordered;
	uint64_t gap_ns;	/* the longest */
	uint64_t gap_from_ns, gap_to_ns;
	uint64_t beyond_ns;	/* the longest, less its share of the pause */
};

/* What a person would notice, and a small machine's own jitter is not. */
#define SFH_LONG_GAP_NS 100000000ull

struct sfh_figures {
	uint64_t interval_ns;
	struct sfh_way_figures whole[SFH_WAYS];
	struct sfh_way_figures phase[SFH_PHASES_MAX][SFH_WAYS]; /* gaps cut to the phase */
	uint64_t total_gap_ns;	   /* of both ways, what overlaps once */
	uint64_t long_gap_ns;	   /* the same of gaps of SFH_LONG_GAP_NS and more */
	uint64_t quiet_from_ns, quiet_gap_ns; /* the same before begin_ns, for comparison */
	uint64_t tcp_stall_ns;
	uint64_t client_held_up_ns; /* the longest that the client itself sent nothing */
	uint64_t clock_error_ns;   /* of the guest's times brought to the client's clock */
	double rate_hz[SFH_WAYS];  /* sent before begin_ns */
	struct sfh_leg_seen sent[SFH_SWITCHES_MAX]; /* its first frame, or its last, on the standby leg */
	struct sfh_leg_seen received[SFH_SWITCHES_MAX]; /* to it */
};

/* -EINVAL and the line if one is not as above. An unfinished last line is no error. */
int sfh_frames_read(struct sfh_frame_log *log, FILE *f, unsigned *ret_line);
void sfh_frames_free(struct sfh_frame_log *log);
/* -EINVAL: nothing was sent or heard in the marked time, or the marks make no sense. */
int sfh_frames_figures(struct sfh_frame_log *log, const struct sfh_marks *marks,
		       struct sfh_figures *ret);

#endif
