/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host (kernel, hypervisor, clock, listener) that records what the engine does to it,
 * fails on request, and keeps state that can be asserted. */
#ifndef SFHYBRID_TESTS_FAKES_H
#define SFHYBRID_TESTS_FAKES_H

#include <criterion/criterion.h>

#include "ctl/engine/engine.h"
#include "ctl/engine/filter.h"
#include "ctl/engine/warm.h"

#define FAKE_PFS 2
#define FAKE_VFS 8
#define FAKE_ENTRIES 16
#define FAKE_MS 1000000ull

enum fake_op {
	OP_VF_LIST,
	OP_VF_GET,
	OP_VF_SET,
	OP_STANDBY_ATTACH,
	OP_STAGE,
	OP_ARM,
	OP_DISARM,
	OP_UNSTAGE,
	OP_FILTER,
	OP_FILTER_ALSO,
	OP_SEEN,
	OP_WANT_PROOF,
	OP_PROBE,
	OP_BACKLOG,
	OP_VF_HOLD,
	OP_PORT_ASK,
	OP_PORT_ANSWER,
	OP_PLUG,
	OP_UNPLUG,
	OP_ASK_RX,
	OP_MIGRATE,
	OP_ABORT,
	OP_RESET,
	_OP_MAX
};

struct fake_pf {
	char name[16];
	int ifindex;
	unsigned nvfs;
	bool can_park;
	struct sfh_vf_config vf[FAKE_VFS];
	char why_not[FAKE_VFS][48];
	struct {
		char profile[SFH_PORT_PROFILE_SIZE]; /* "": not associated */
		uint8_t request; /* the latest */
	} port[FAKE_VFS];
};

/* One steering entry, as BPF's maps would hold it. */
struct fake_entry {
	bool used;
	struct sfh_guest_key key;
	bool armed, on_first_frame, proof;
	bool backlog; /* what comes for it waits, once it is armed */
};

/* An address in a PF's own filter, guests' own ones apart. */
struct fake_address {
	int pf_ifindex, holders;
	struct sfh_mac mac;
	bool in; /* the NIC took it */
};

struct fake {
	char dir[64];
	struct sfh_ledger *ledger;
	struct sfh_engine e;
	struct fake_pf pf[FAKE_PFS]; /* "pf0" (ifindex 100) and "pf1" (101) */
	struct fake_entry entry[FAKE_ENTRIES];
	int nfiltered; /* pairs whose address is in their PF's own filter */
	struct fake_address also[256];
	unsigned room; /* for addresses in a PF's filter, groups apart; 0: it has no end */
	bool first_frame, lately, address; /* what seen() says of every pair */
	uint32_t ip4;			   /* the address then, */
	uint64_t ip4_ns;		   /* and when it was shown; 0: right now */

	/* fail[op] is what the op returns from its `skip`th call on, `times` times
	 * (-1: for ever). */
	struct {
		int code, skip, times;
	} fail[_OP_MAX];
	bool lie;     /* vf_set says yes and does nothing */
	unsigned refuse;  /* SFH_VF_…: settings that the driver refuses, */
	int refuse_code;  /* with this (EOPNOTSUPP) */
	unsigned deaf;	  /* settings that it takes and forgets */
	unsigned known;	  /* settings that a get tells (all) */
	unsigned gets;	  /* how often it was asked */
	unsigned probe_interval_ms; /* of network "blue", likewise; 0: its standby legs are not probed */
	enum sfh_cold cold; /* what became of a probe of a standby leg; NONE: it arrived */
	unsigned landing; /* of network "blue", from the next start of the engine on */
	bool port_unable;   /* the driver knows no port profiles */
	int port_delay;	    /* so many looks before the switch answers; -1: it never does */
	uint16_t port_says; /* PORT_PROFILE_RESPONSE_…; 0: success */
	bool partial; /* a vf_set that fails has written the MAC, as do_setvfinfo() does */

	char *calls; /* one line each, in order */
	size_t ncalls, cap;

	unsigned held; /* VFs that nobody can open */
	unsigned settled, nswitches;
	struct sfh_switch last; /* the switch recorded last */
	unsigned nmigrated;
	int migrated; /* result of the last migration */
	char migrated_error[256];
	char progress[1024], log[4096]; /* all lines, warnings and worse */
	char debug[256];		/* the last line of the lowest priority */
};

extern uint64_t fake_now; /* the engine's clock */

#define GUEST "11111111-2222-3333-4444-555555555555"
#define OTHER "99999999-2222-3333-4444-555555555555"
extern const struct sfh_mac mac_a, mac_b, mac_c;
extern const struct sfh_mac fake_pf_mac; /* every PF's own */

/* A host with a network "blue" on pf0 (VLAN-parking, 2 VFs) and pf1. */
struct fake *fake_new(void);
void fake_free(struct fake *f);
/* The same ledger and kernel state under a new engine: a restart of the agent. */
void fake_restart(struct fake *f);

/* Fails `op` with -code from its next call but `skip` on, `times` times. */
void fake_fail(struct fake *f, enum fake_op op, int code, int skip, int times);
void fake_heal(struct fake *f);

/* Reports a guest of one NIC that is adopted, in VLAN 0, on pf0. */
struct sfh_pair *fake_start(struct fake *f, const char *uuid, const struct sfh_mac *mac);
struct sfh_guest_nic fake_nic(const struct sfh_mac *mac);
struct sfh_guest_desc fake_guest(const char *uuid, const struct sfh_guest_nic *nics, size_t n);
/* Takes the guest's pair through everything up to `state`. */
struct sfh_pair *fake_pair_in(struct fake *f, enum sfh_pair_state state);
struct sfh_pair *fake_second_in(struct fake *f, const char *uuid, const struct sfh_mac *mac,
				enum sfh_pair_state state);
struct sfh_pair *fake_carried(struct fake *f, const char *uuid, const struct sfh_mac *mac);
void fake_event(struct fake *f, enum sfh_pair_event event);
/* The clock moves on; everything due happens, in 1 ms steps if `fine`. */
void fake_sleep(struct fake *f, uint64_t ms);
void fake_first_frame(struct fake *f, struct sfh_pair *p);

/* Lines of the record that begin so; and the record anew. */
unsigned fake_count(const struct fake *f, const char *prefix);
void fake_forget_calls(struct fake *f);
/* Asserts that lines with these prefixes stand in the record in this order. */
void fake_assert_order(const struct fake *f, ...) __attribute__((sentinel));

/* How many hold it, on pf0, beside a pair whose own it is; 0 if the NIC refused it. */
int fake_holders(const struct fake *f, const struct sfh_mac *mac);
/* How often further addresses are held, by all, taken by the NIC or not. */
unsigned fake_held(const struct fake *f);
const struct fake_entry *fake_entry_of(const struct fake *f, const struct sfh_pair *p);
bool fake_armed(const struct fake *f, const struct sfh_pair *p);
unsigned fake_entries(const struct fake *f);
/* The VF's MAC and VLAN as text, "52:54:00:00:00:0a vlan 4094". */
const char *fake_vf(const struct fake *f, unsigned pf, unsigned vf);
unsigned fake_leases(const struct fake *f);
unsigned fake_rows(const struct fake *f);
unsigned fake_rx_rows(const struct fake *f);
bool fake_row(const struct fake *f, const char *uuid, struct sfh_ledger_pair *ret);
/* Asserts that no VF has a MAC, no lease, no entry and no row is left. */
void fake_assert_nothing_left(const struct fake *f);

#define ZEROED "00:00:00:00:00:00 vlan 0"
#define PARKED_A "52:54:00:00:00:0a vlan 4094"
#define CARRIES_A "52:54:00:00:00:0a vlan 0"

#define assert_state(p, s)                                                                         \
	cr_assert_str_eq(sfh_pair_state_name((p)->state), sfh_pair_state_name(SFH_PAIR_##s))
#define assert_reason(p, r)                                                                        \
	cr_assert_str_eq(sfh_reason_name((p)->reason), sfh_reason_name(SFH_REASON_##r))

#endif
