/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world around the engine, on top of the fake host: guests with what their live
 * XML says, what libvirt and QEMU still owe an answer for, and who may be blamed for
 * a disagreement because a refusal was injected. test_model.c drives it at random,
 * test_kill.c ends it in the middle of things. */
#ifndef SFHYBRID_TESTS_WORLD_H
#define SFHYBRID_TESTS_WORLD_H

#include "tests/unit/fakes.h"

#define WORLD_GUESTS 6
#define WORLD_NICS 2

enum world_life {
	GUEST_OFF,
	GUEST_COMING,  /* the hook has asked */
	GUEST_DEVICES, /* its devices exist, its CPUs do not run */
	GUEST_RUNS,
};

struct world_nic {
	struct sfh_mac mac;
	unsigned pf;
	bool talks, address;
	bool plugging, unplugging; /* asked, not answered yet */
	bool has_vf;		   /* in the live XML */
	struct sfh_bdf vf;
	unsigned run;		   /* each has a standby device of its own */
	bool carried;		   /* what stands for a VF in its XML, and QEMU has not */
	bool steering_refused; /* since then its entry may be wrong */
};

struct world_guest {
	char uuid[SFH_UUID_STRLEN];
	enum world_life life;
	bool migrating; /* libvirt was asked to, and has not answered */
	bool yields;	/* virsh does it: QEMU has asked the guest to let go */
	unsigned nnics;
	struct world_nic nic[WORLD_NICS];
	bool profile; /* its NICs have a port profile */
	bool wishes; /* VLAN 42 with a priority, trust, spoofchk, rate */
	int priority;
};

struct world {
	struct fake *f;
	struct world_guest guest[WORLD_GUESTS];
	struct sfh_vf_config orig[FAKE_PFS][FAKE_VFS];
	bool foreign[FAKE_PFS][FAKE_VFS]; /* somebody else set its MAC */
	bool refused[FAKE_PFS][FAKE_VFS]; /* the driver refused it something, since its lease */
	bool unread[FAKE_PFS][FAKE_VFS];  /* the agent could not read it */
	struct fake_entry orphan[FAKE_ENTRIES]; /* an unstage was refused */
	bool no_memory;
	char wrong[512]; /* what the wrappers saw that must not be */

	/* Each call into kernel and hypervisor, and each commit, has two sides: the
	 * world ends at the die_at'th of them (0: never). */
	unsigned boundary, die_at;
	void (*die)(void);
};

extern struct world *world; /* the ops have the fake for their context */

/* A fake of 3 VFs on pf0 and 2 on pf1, some of them trusted before. */
void world_init(struct world *w, bool can_park, unsigned landing);
void world_done(struct world *w);
/* Kernel state as it is, under a new engine that knows every running guest's live XML. */
void world_restart(struct world *w);

struct sfh_pair *world_pair(const struct world *w, const struct world_guest *g, unsigned nic);
void world_start(struct world *w, struct world_guest *g, bool found);
/* `carried`: with a VF in its XML; false: it is not let in. */
bool world_arriving(struct world *w, struct world_guest *g, bool carried);
void world_devices(struct world *w, struct world_guest *g);
/* Its devices are gone; tells the engine if `tell`. */
void world_stop(struct world *w, struct world_guest *g, bool tell);
void world_frame(struct world *w, struct world_guest *g, unsigned nic);
void world_plug_answer(struct world *w, struct world_guest *g, unsigned nic, bool ok);
/* libvirtd goes before it answers; it has plugged the VF or not. */
void world_plug_lost(struct world *w, struct world_guest *g, unsigned nic, bool done);
void world_unplug_answer(struct world *w, struct world_guest *g, unsigned nic, bool ok);
void world_rx(struct world *w, struct world_guest *g, unsigned nic, uint32_t arg);
bool world_can_prove(const struct world *w, const struct world_guest *g, unsigned nic);
bool world_proof(struct world *w, struct world_guest *g, unsigned nic);
void world_sleep(struct world *w, uint64_t ms);

/* What is wrong, or NULL. */
const char *world_check(struct world *w);
/* Steering that a refusal left behind: fsck's business. */
void world_repair(struct world *w);
/* So that changes can be seen. */
uint64_t world_hash(const struct world *w);

#endif
