/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steering: the BPF programs on PFs and standby devices, and their maps.
 *
 * A *pair* (struct sfh_guest_key: PF, MAC, VLAN) is *staged* when it has an
 * entry and *armed* when the entry acts. Programs are attached once per device;
 * after that everything is a map update. Maps, filters and XDP links outlive the
 * process: sfh_steer_open() of the next one finds and keeps them.
 *
 * Thread rules: one struct sfh_steer, one thread. One writer per bpffs: open
 * takes a lock on the pin directory that ends with the process.
 * Errors: negative errno; *err (may be NULL) gets one sentence. */
#ifndef SFHYBRID_CORE_STEER_H
#define SFHYBRID_CORE_STEER_H

#include "sfhybrid/abi.h"
#include "sfhybrid/util.h"

/* Our place in libxdp's dispatcher: before programs that take the default, 50. */
#define SFH_XDP_PRIORITY 40

struct sfh_steer;

struct sfh_steer_config {
	const char *bpffs;  /* mount point of a bpffs; NULL: /sys/fs/bpf */
	uint16_t park_vlan; /* 1..4094; 0: SFH_PARK_VLAN. A PF takes over a changed one at its
			     * next sfh_steer_pf_attach() */
	uint32_t max_pairs; /* size of new maps; 0: SFH_MAX_PAIRS. Pinned maps keep theirs */
	bool read_only;	    /* only look: loads, attaches and locks nothing */
	bool no_tcx;	    /* filters on a clsact even where the kernel has tcx (6.6) */
};

/* Opens the datapath (sets libbpf's print function, which is the process's): loads the programs, makes or reuses the pinned maps.
 * With cfg->read_only only the getters below work, everything else is -EROFS.
 *   -ENOTDIR  cfg->bpffs is not a bpffs
 *   -EBUSY    another process has it open for writing
 *   -EPROTO   the pins are of another schema version
 *   -ENOENT   read_only, and there are no pins
 *   others    from the kernel, e.g. -EPERM
 * On failure nothing is left that was not there before. */
int sfh_steer_open(const struct sfh_steer_config *cfg, struct sfh_steer **ret,
		   struct sfh_error *err);
/* Forgets the handle. Maps, filters and links stay as they are. */
void sfh_steer_close(struct sfh_steer **s);
#define _cleanup_steer_ _cleanup_(sfh_steer_close)

/* For when the last network goes down: detaches from every device that is still
 * attached and removes every pin and the pin directory. The handle is good for
 * nothing but sfh_steer_close() afterwards. Continues after a failure and
 * returns the first one. */
int sfh_steer_remove_pins(struct sfh_steer *s, struct sfh_error *err);

/* Pairs that the maps have room for (pinned maps keep their size). */
uint32_t sfh_steer_max_pairs(const struct sfh_steer *s);
uint16_t sfh_steer_park_vlan(const struct sfh_steer *s);

/* --- devices ------------------------------------------------------------------- */

/* How our XDP program is attached to a PF. */
enum sfh_xdp {
	SFH_XDP_NONE,	    /* not at all: tc only */
	SFH_XDP_DISPATCHER, /* through libxdp's dispatcher: others can attach beside us */
	SFH_XDP_LINK,	    /* alone, by a pinned link, where the dispatcher cannot load */
};
/* "dispatcher", "link", "tc-only" */
const char *sfh_xdp_name(enum sfh_xdp xdp);

struct sfh_steer_pf_info {
	enum sfh_xdp xdp;
	int xdp_error;	   /* negative errno: why there is no XDP (0: there is, or it was not wanted) */
	char xdp_why[160]; /* for a person: why no XDP, or why no dispatcher; or "" */
	bool clsact_ours;  /* the clsact qdisc was not there before us */
};

/* Attaches to a PF: at tcx ingress, or as a tc filter (fixed priority and handle) where
 * the kernel has no tcx or such a filter of ours is there already; programs and filters of
 * others stay and still see every frame that we pass. And, if wanted, native XDP. A driver
 * that refuses XDP is not an error, see *ret (may be NULL). Attaching XDP
 * resets some NICs for a second: do it before there is traffic; it is done once.
 * XDP goes through libxdp's dispatcher: what we pass is passed on to programs
 * with a higher run priority than SFH_XDP_PRIORITY. Beside somebody else's program
 * that is attached without the dispatcher there is no room: tc only.
 * Native XDP needs RX VLAN stripping off (tags would be invisible): it is
 * switched off here and restored at detach.
 * Idempotent; a repetition puts this build's program in place without a gap.
 * want_xdp false leaves XDP of ours that is there alone.
 *   -ENODEV   no such device (in this network namespace) */
int sfh_steer_pf_attach(struct sfh_steer *s, uint32_t ifindex, bool want_xdp,
			struct sfh_steer_pf_info *ret, struct sfh_error *err);
/* Undoes it: XDP, program or filter, VLAN stripping, and the clsact qdisc if it is
 * ours and nobody else uses it. Idempotent; a device that is gone is success. */
int sfh_steer_pf_detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err);

/* Attaches to a standby device: counts, learns the address, arms on the first
 * frame. Idempotent, like the above; the pair comes with sfh_steer_stage().
 * Without tcx libvirt's <bandwidth> puts an `ingress` qdisc where clsact would go: on a tap
 * only the count of frames to the guest is lost then; on a macvtap the guest's
 * frames cannot be seen: -EBUSY. */
int sfh_steer_standby_attach(struct sfh_steer *s, uint32_t ifindex, enum sfh_standby_kind kind,
			     struct sfh_error *err);
int sfh_steer_standby_detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err);

/* What is really attached to a device now, whatever the maps say of it. */
struct sfh_steer_port_state {
	bool from, to; /* our programs at tcx or tc: PF: from is ingress, no `to`; else by kind */
	enum sfh_xdp xdp; /* our XDP program */
};
/* role and kind as in sfh_ports. Also with a read_only handle. */
int sfh_steer_port_check(struct sfh_steer *s, uint32_t ifindex, enum sfh_standby_kind kind,
			 struct sfh_steer_port_state *ret);

/* Whether XDP was put on the PF by sfh_steer_pf_attach() and not taken off since,
 * whatever is attached there now. */
bool sfh_steer_xdp_wanted(const struct sfh_steer *s, uint32_t ifindex);

/* --- pairs ---------------------------------------------------------------------- */

/* Creates the pair or updates it. standby_ifindex 0: not known yet. An armed
 * pair stays armed. With arm_on_first_frame the next frame that the guest sends
 * on its standby leg arms it and an SFH_EVENT_ARMED is sent (no effect on a pair
 * that is armed already).
 *   -EINVAL   a MAC that is zero or multicast, a VLAN above 4094 or the parking one
 *   -E2BIG    the maps are full
 *   -EEXIST   the standby device belongs to another pair */
int sfh_steer_stage(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t standby_ifindex,
		    enum sfh_standby_kind kind, bool arm_on_first_frame, struct sfh_error *err);
/* What the standby leg enforces because the VF does. A key with a VLAN has a port
 * VLAN: the guest sends and receives without a tag. */
struct sfh_standby_policy {
	bool spoofchk;	     /* other source addresses are dropped */
	uint16_t vlan_proto; /* of the port VLAN: 0x8100 (0 means that) or 0x88a8 */
	uint8_t vlan_prio;   /* 0..7, of what the guest sends */
};
/* The same with the policy. sfh_steer_stage() leaves a pair's policy as it is; a new
 * pair has none but its key's VLAN, 802.1Q.
 *   -EINVAL   also: another protocol, a priority above 7 */
int sfh_steer_stage_as(struct sfh_steer *s, const struct sfh_guest_key *key,
		       uint32_t standby_ifindex, enum sfh_standby_kind kind, bool arm_on_first_frame,
		       const struct sfh_standby_policy *policy, struct sfh_error *err);
/* -ENOENT if not staged. Arming an armed pair changes nothing; else a new
 * generation starts: the guest's next frame on the standby leg gives first_frame_ns
 * and one SFH_EVENT_FIRST_FRAME. */
int sfh_steer_arm(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err);
/* Also ends arm_on_first_frame. -ENOENT if not staged. */
int sfh_steer_disarm(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err);
/* Disarms a pair whose VF was seen to carry frames: from then on the standby leg passes
 * the guest nothing but probes, until it is armed or told to arm itself. */
int sfh_steer_on_vf(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err);
/* ifindex not 0: from the frame that arms the pair on, for SFH_BACKLOG_NS, what comes for
 * it leaves by that device (ctl/core/inject.h). 0, or staging it anew: no longer.
 * -ENOENT if not staged. */
int sfh_steer_backlog(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t ifindex,
		      struct sfh_error *err);
/* Forgets the pair and its counters. Not staged is success. */
int sfh_steer_unstage(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err);
/* on: the next frame of the guest in the parking VLAN gives one SFH_EVENT_PROOF.
 * Asking again after the answer asks for another; before it changes nothing.
 * off: no event any more. -ENOENT if not staged. */
int sfh_steer_want_proof(struct sfh_steer *s, const struct sfh_guest_key *key, bool on,
			 struct sfh_error *err);

struct sfh_pair_view {
	struct sfh_guest_key key;
	uint32_t standby_ifindex; /* 0: not known yet */
	enum sfh_standby_kind standby_kind;
	bool armed;		 /* acts now, whoever armed it */
	bool armed_by_frame;	 /* it was the guest's first frame that armed it */
	bool arm_on_first_frame; /* still waiting for that frame */
	bool proof_wanted;	 /* still waiting for that one */
	uint32_t ip4;		 /* network order, 0: none seen */
	enum sfh_ip4_source ip4_source;
	uint64_t ip4_ns;	 /* when it was shown last */
	uint32_t generation;
	uint64_t first_frame_ns; /* CLOCK_MONOTONIC; 0: no frame since it was (dis)armed */
	uint64_t last_frame_ns;	 /* 0: none since it was staged */
	uint64_t proof_ns;	 /* latest proof; 0: none since it was staged */
	struct sfh_counters counters; /* summed over CPUs */
	struct sfh_standby_policy policy;
	uint64_t meter_until_ns; /* the meter runs, or ran, until then; 0: never */
	struct sfh_meter meter;	 /* of the latest window */
};

/* The pair that has a standby device; -ENOENT if none has. */
int sfh_steer_standby_key(struct sfh_steer *s, uint32_t ifindex, struct sfh_guest_key *ret);
/* -ENOENT if not staged. */
int sfh_steer_get(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_pair_view *ret);
/* Calls cb for every pair, in no order. cb may unstage the pair it is given and
 * nothing else. A non-zero return of cb ends the walk and is returned. */
int sfh_steer_foreach(struct sfh_steer *s, int (*cb)(const struct sfh_pair_view *view, void *ctx),
		      void *ctx);
/* Calls cb for every attached device, in the same manner. */
int sfh_steer_foreach_port(struct sfh_steer *s,
			   int (*cb)(uint32_t ifindex, const struct sfh_port *port, void *ctx),
			   void *ctx);

/* How many entries of sfh_fast say something else than sfh_guests, or were left half
 * written (which no program uses) by a process that died. 0 unless that happened or
 * somebody else writes to the maps; sfh_steer_open() for writing mends it, too. */
uint32_t sfh_steer_fast_check(struct sfh_steer *s);
int sfh_steer_fast_mend(struct sfh_steer *s, struct sfh_error *err);

/* Whether the standby leg is warm (ctl/core/warm.h). -ENOENT if not staged. */
int sfh_steer_warm_get(const struct sfh_steer *s, const struct sfh_guest_key *key,
		       struct sfh_warm_view *ret);
/* -ENOENT if not staged. */
int sfh_steer_warm_set(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_warm_view *view);

/* --- events and counters ----------------------------------------------------------- */

/* Readable (poll, epoll) when sfh_steer_dispatch() has work. Owned by s; -EROFS
 * for read_only. */
int sfh_steer_event_fd(const struct sfh_steer *s);
/* Hands over the events that are there, without waiting. Returns how many, or
 * what cb returned if that is negative (the event counts as consumed). */
int sfh_steer_dispatch(struct sfh_steer *s, int (*cb)(const struct sfh_event *ev, void *ctx),
		       void *ctx);

/* Frames dropped on this host for this reason since the maps were made. */
int sfh_steer_drops(struct sfh_steer *s, enum sfh_drop reason, uint64_t *ret);
/* "reflected"; "unknown" for a number not in the table. */
const char *sfh_drop_name(enum sfh_drop reason);

#endif
