/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pair: one guest NIC with its standby device and, at times, a VF; and the
 * table that says what each event does to it in each state. */
#ifndef SFH_ENGINE_PAIR_H
#define SFH_ENGINE_PAIR_H

#include "ctl/engine/ops.h"
#include "sfhybrid/reasons.h"

/* X(identifier, name, meaning) */
#define SFH_PAIR_STATES(X)                                                                         \
	X(ARRIVING, "arriving", "a guest is migrating to this host: VF reserved, steering staged") \
	X(STANDBY, "standby", "on the standby leg; a reason says why not accelerated")             \
	X(LEASING, "leasing", "a VF is being leased and programmed; its driver may ask to wait")   \
	X(PLUGGING, "plugging", "VF leased and parked, libvirt is plugging it")                    \
	X(PROVING, "proving", "VF plugged; waiting for proof that it carries frames")              \
	X(VF, "vf", "on the VF leg")                                                               \
	X(UNPLUGGING, "unplugging", "the guest was asked to let go of the VF")                     \
	X(LEAVING, "leaving", "migrating away on the standby leg, VF held until Confirm")          \
	X(YIELDING, "yielding", "libvirt migrates or saves it: QEMU asked the guest to let go")    \
	X(LANDING, "landing", "here, with a VF in its XML that nobody opened: libvirt drops it")

enum sfh_pair_state {
#define X(id, name, text) SFH_PAIR_##id,
	SFH_PAIR_STATES(X)
#undef X
		_SFH_PAIR_MAX
};

/* X(identifier, name, where it comes from) */
#define SFH_PAIR_EVENTS(X)                                                                         \
	X(DEVICES, "devices", "libvirt: the arriving guest's devices exist")                       \
	X(RESUMED, "resumed", "libvirt: the guest's CPUs run here")                                \
	X(NEGOTIATED, "negotiated", "QEMU: the guest acknowledged STANDBY")                        \
	X(RESET, "reset", "QEMU: the machine was reset; its firmware runs")                        \
	X(FIRST_FRAME, "first-frame", "BPF: the guest's first frame on its standby leg")           \
	X(CONSIDER, "consider", "a condition changed: a VF freed, a timer, the network came up")   \
	X(ACCELERATE, "accelerate", "user")                                                        \
	X(HOLD, "hold", "user, or `down --force`")                                                 \
	X(LEAVE, "leave", "migrate: Begin")                                                        \
	X(PORT_TAKEN, "port-taken", "timer: the switch took the VF's port profile")                \
	X(PORT_REFUSED, "port-refused", "timer: it did not, or not in time")                       \
	X(PLUGGED, "plugged", "worker: libvirt attached the VF")                                   \
	X(PLUG_FAILED, "plug-failed", "worker: libvirt or QEMU refused the VF")                    \
	X(PLUG_LOST, "plug-lost", "worker: libvirtd went before it answered")                      \
	X(NO_PORT, "no-port", "worker: there is no PCIe port to plug the VF into")                 \
	X(PROOF, "proof", "BPF: a frame of the guest came over the parked VF")                     \
	X(LISTENS, "listens", "BPF: the guest answered on its standby leg")                        \
	X(UNPLUGGED, "unplugged", "QEMU: the guest let go of the VF")                              \
	X(UNPLUG_FAILED, "unplug-failed", "worker or QEMU: the guest keeps the VF")                \
	X(DEADLINE, "deadline", "the state's deadline passed")                                     \
	X(CONFIRMED, "confirmed", "migrate: Confirm, success")                                     \
	X(MIGRATE_FAILED, "migrate-failed", "migrate: Confirm, failure")                           \
	X(DEPART, "depart", "QEMU: a migration, save or snapshot begins")                          \
	X(YIELD, "yield", "QEMU: it asks the guest to let go of the VF, for one of those")         \
	X(YIELDED, "yielded", "QEMU: the guest has let go, the copy begins")                       \
	X(STAYS, "stays", "QEMU: it failed or was cancelled; the guest gets its VF again")         \
	X(NIC_REMOVED, "nic-removed", "QEMU: the guest's own NIC was unplugged")                   \
	X(STOPPED, "stopped", "libvirt: the guest is gone from this host")

enum sfh_pair_event {
#define X(id, name, text) SFH_EV_##id,
	SFH_PAIR_EVENTS(X)
#undef X
		_SFH_EV_MAX
};

/* A further address of a guest: filter.h. */
#define SFH_RX_MAX 64 /* of one guest; QEMU's table has no more */
struct sfh_rx_address {
	struct sfh_mac mac;
	bool held;    /* meant to be in the PF's filter */
	bool refused; /* the NIC does not take it */
	bool crowded; /* it gave way to a guest's own address */
};
struct sfh_rx {
	bool told, stale; /* QEMU has said what is in the list; it has changed since */
	bool asking;
	uint64_t asked_ns, due_ns; /* the latest question, the next; 0: none */
	unsigned gap_ms;	   /* between the two at least */
	unsigned refused;
	size_t n;
	struct sfh_rx_address address[SFH_RX_MAX];
};

/* Switches to the VF that a pair may begin by itself within a minute. */
#define SFH_DAMP_SWITCHES 6
#define SFH_DAMP_WINDOW_MS 60000

struct sfh_pair {
	struct sfh_pair *next;
	char domain[SFH_UUID_STRLEN];
	char domain_name[SFH_NAME_MAX];
	char network[SFH_NAME_MAX];
	struct sfh_mac mac;
	uint16_t vlan;
	char pf[16];
	int pf_ifindex;
	char standby[16];
	char alias[128];     /* of the standby NIC: QEMU's id for it */
	int standby_ifindex; /* 0: not known; filled by standby_attach */
	enum sfh_standby_kind kind;

	bool never;	     /* policy never, of the NIC's portgroup or network */
	int priority;	     /* who is first when a VF frees: the higher */
	uint64_t memory_kib; /* what a VF pins; 0: not known */
	uint64_t born_ns;    /* when it was made: another run of the guest has another pair */
	struct sfh_vf_wish wish; /* what its VF is told beside the MAC */
	struct sfh_vf_wish next_wish; /* what the next one is told, if it is said anew */
	bool has_next_wish;
	enum sfh_reason barred;	 /* NONE, or why this NIC can never have a VF */
	bool bond;		 /* the guest bonds the legs itself: VF without teaming */
	bool proven;		 /* its VF was seen to carry frames, since it was plugged */
	char profile[SFH_PORT_PROFILE_SIZE]; /* 802.1Qbh, for its VF; "" if none */
	unsigned mtu;		 /* of the NIC; 0: not said */

	enum sfh_pair_state state;
	enum sfh_reason reason;	 /* why not accelerated */
	char detail[256];	 /* what a failure said, for `status` */
	bool adopted;		 /* its XML has teaming and our alias */
	bool negotiated;	 /* STANDBY acknowledged since the last start or reset */
	bool was_reset;		 /* or may have been: see sfh_engine_negotiated() */
	uint64_t negotiated_ns;	 /* when; an address that it showed before was another system's */
	bool running;		 /* CPUs run here */
	bool doubted;		 /* libvirtd went since, and has not said that the guest is there */
	bool held;		 /* stays on standby until asked otherwise */
	bool no_driver;		 /* no proof last time; until the next negotiation */
	bool wants_address;	 /* not proven without one: waits until it shows one */
	bool let_go;		 /* in UNPLUGGING: it spoke on its standby leg, the MAC is zero */
	bool asked_late;	 /* did not let go in time; it may do so yet */
	bool nic_removed;	 /* its NIC is gone; the pair goes with the VF */
	bool vf_refused;	 /* the driver refused to unpark; until asked again */
	bool port_refused;	 /* driver or switch refused the port profile; likewise */
	bool filtered;		 /* its address was put into the PF's own filter */
	struct sfh_rx rx;	 /* its further addresses */
	bool plug_lost;		 /* in PLUGGING: whether libvirt did it nobody said */
	bool leaving;		 /* an outgoing migration waits for this pair */
	bool yielded;		 /* it leaves by libvirt's doing, not by ours */
	bool carried;		 /* its XML came with a VF; kept shut until libvirt drops it */
	struct sfh_bdf landing;	 /* that VF's address here */
	bool has_lease;
	bool parked; /* the VF sits in the parking VLAN */
	struct sfh_lease lease;
	uint8_t port_request;	 /* PORT_REQUEST_… that waits for its answer; 0: none */
	uint64_t port_until_ns;	 /* how long for */
	uint64_t port_look_ns;	 /* when to look; 0: nothing is asked */
	uint64_t deadline_ns;	 /* 0: none; CLOCK_MONOTONIC */
	uint64_t next_probe_ns;	 /* 0: not probing */
	bool backlog;		 /* leaving its VF: what comes for it may wait */
	uint64_t backlog_until_ns; /* 0: it has not let go */
	uint64_t next_ask_ns;	 /* whether it listens to its standby leg; 0: not asking */
	bool park_pending;	 /* in PROVING: the driver put the parking off */
	bool uses_both;		 /* when asked to leave the VF it still sent on its standby leg */
	uint64_t retry_ns;	 /* when to consider again; 0: only on an event */
	uint64_t quiet_since_ns; /* first frame seen, address not known */
	unsigned lease_tries;
	uint64_t begun_ns[SFH_DAMP_SWITCHES]; /* the latest to-vf switches, a ring */
	unsigned nbegun;
	/* The standby leg's probes, on whichever leg the pair is (warm.h). */
	struct sfh_warm_view warm; /* the latest verdict */
	uint64_t warm_wake_ns;	   /* when something is to be done; 0: not probed */
	uint64_t warm_send_ns;	   /* when the next probe goes */
	uint64_t warm_sent_ns;	   /* the probe under way; 0: none */
	struct sfh_switch sw;	 /* the switch under way; begin_ns 0: none */
	char next_cause[24];	 /* cause of the next to-vf */
};

struct sfh_engine;

/* filter.c. On its standby leg a pair's address is in the PF's filter, on the VF's it is not:
 * it goes in once the guest uses the leg, and out after the VF has taken over. */
void sfh_pair_filter(struct sfh_engine *e, struct sfh_pair *p, bool there);

/* pair_moves.c. What waited for a guest that was changing legs is delivered, and nothing
 * waits any more. */
void sfh_pair_backlog_end(struct sfh_engine *e, struct sfh_pair *p);

typedef void sfh_pair_action(struct sfh_engine *e, struct sfh_pair *p, const char *why);

struct sfh_transition {
	enum sfh_pair_state state;
	enum sfh_pair_event event;
	sfh_pair_action *action;
	const char *doc;
};

/* The whole table; what it does not list is ignored. Printed by
 * `sfhybridd --state-table`. */
const struct sfh_transition *sfh_pair_table(size_t *ret_n);
/* Applies the event; `why` (may be NULL) is a failure's sentence or a cause. */
void sfh_pair_dispatch(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_event event,
		       const char *why);
/* Its standby leg is disarmed, and passes a guest that is known to be on its VF nothing more. */
int sfh_pair_off_standby(struct sfh_engine *e, const struct sfh_pair *p, struct sfh_error *err);
/* It was reset with a VF, and what knows of two legs does not run yet: it has the VF, parked,
 * and its standby leg carries. */
bool sfh_pair_boots(const struct sfh_pair *p);
/* LEASING, PLUGGING, PROVING (but of a guest that boots), UNPLUGGING, YIELDING and LANDING
 * are not rest. */
bool sfh_pair_at_rest(const struct sfh_pair *p);
const char *sfh_pair_state_name(enum sfh_pair_state state);
const char *sfh_pair_event_name(enum sfh_pair_event event);

#endif
