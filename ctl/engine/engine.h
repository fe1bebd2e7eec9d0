/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: networks that are up, their pairs, leases and migrations. Single
 * threaded: everything is called on the agent's event loop. */
#ifndef SFH_ENGINE_H
#define SFH_ENGINE_H

#include "ctl/engine/pair.h"

/* Bounds, in milliseconds. */
#define SFH_PROOF_DEADLINE_MS 30000
#define SFH_BOOT_DEADLINE_MS 300000 /* for a guest that was reset with a VF to say STANDBY again */
#define SFH_UNPLUG_DEADLINE_MS 30000
#define SFH_ARRIVING_TTL_MS 60000 /* for a guest to come after the hook asked; and, */
#define SFH_ARRIVING_GIB_MS 2000  /* for each GiB of it, since QEMU may touch all of it first */
#define SFH_PROBE_INTERVAL_MS 2
#define SFH_ASK_INTERVAL_MS 20 /* whether it listens, of a guest for which nothing waits */
#define SFH_BACKLOG_MS 200 /* how long a guest that let go of its VF may be deaf; below SFH_BACKLOG_NS */
#define SFH_LAND_RETRY_MS 500 /* libvirt still has its hands on an arriving guest */
#define SFH_LEASE_RETRY_MS 200 /* the PF's driver said EAGAIN or EBUSY: a VF in reset */
#define SFH_LEASE_TRIES 10
#define SFH_UNSTICK_MOST_MS 10000 /* between two tries to give a VF back */
#define SFH_PLUG_RETRY_MS 1000 /* libvirtd went in the middle of a plug: is it back? */
#define SFH_PORT_LOOK_MS 100 /* has the switch answered by now? */
#define SFH_PORT_DEADLINE_MS 10000 /* of the whole association; libvirt's, too */
#define SFH_ADDRESS_RETRY_MS 2000 /* has the guest shown an address by now? */
#define SFH_MEMORY_RETRY_MS 30000 /* the host could not spare the guest's memory */
#define SFH_ADDRESS_WAIT_MS 2000 /* for the guest to show an address before the plug */

struct sfh_inventory;

struct sfh_engine_network {
	struct sfh_engine_network *next;
	char name[SFH_NAME_MAX];
	bool never; /* policy never */
	unsigned probe_interval_ms; /* of the standby legs; 0: never */
	unsigned landing; /* VFs kept back for arrivals, if there are two or more */
	char pfs[64][16];
	int pf_ifindex[64];
	enum sfh_reason pf_trouble[64]; /* NONE, or why nobody gets a VF of it now */
	size_t npfs;
};

struct sfh_migration {
	struct sfh_migration *next;
	char domain[SFH_UUID_STRLEN];
	char uri[512];
	bool performing; /* libvirt was asked */
	bool force;	 /* a guest that keeps its VF is reset */
	uint64_t reset_ns; /* when it was; 0: not yet */
};

struct sfh_engine {
	const struct sfh_kernel_ops *kernel;
	void *kernel_ctx;
	const struct sfh_hypervisor_ops *hv;
	void *hv_ctx;
	const struct sfh_engine_listener *listener;
	void *listener_ctx;
	struct sfh_ledger *ledger; /* borrowed */
	uint64_t (*now)(void);
	struct sfh_inventory *inventory; /* inventory.c; what is known of each PF's VFs */
	uint64_t unstick_ns, unstick_wait_ns; /* pool_free.c; 0: nothing is stuck */
	struct sfh_engine_network *networks;
	struct sfh_pair *pairs;
	struct sfh_migration *migrations;
	unsigned warm_turn; /* warm.c: spreads pairs over an interval */
};

/* A guest NIC as the hypervisor describes it. */
struct sfh_guest_nic {
	struct sfh_mac mac;
	uint16_t vlan;
	char network[SFH_NAME_MAX];
	char pf[16];	  /* "" while unknown (arriving) */
	char standby[16]; /* "" while unknown (arriving) */
	char alias[128];  /* of the standby NIC: QEMU's id for it */
	enum sfh_standby_kind kind;
	bool adopted;
	bool bond;    /* the guest bonds the legs itself: STANDBY is not waited for */
	char profile[SFH_PORT_PROFILE_SIZE]; /* 802.1Qbh; "" if none */
	unsigned mtu; /* of the NIC; 0: not said */
	bool has_vf; /* its VF is in the live XML */
	struct sfh_bdf vf;
	bool never;   /* policy of its portgroup, else of the network */
	bool require; /* likewise; the hook's business */
	int priority; /* the higher is first when a VF frees */
	struct sfh_vf_wish wish;
	enum sfh_reason barred; /* NONE, or why this NIC can never have a VF */
};

struct sfh_guest_desc {
	char uuid[SFH_UUID_STRLEN];
	char name[SFH_NAME_MAX];
	uint64_t memory_kib; /* 0: not known */
	const struct sfh_guest_nic *nics;
	size_t nnics;
};

void sfh_engine_init(struct sfh_engine *e, const struct sfh_kernel_ops *kernel, void *kernel_ctx,
		     const struct sfh_hypervisor_ops *hv, void *hv_ctx,
		     const struct sfh_engine_listener *listener, void *listener_ctx,
		     struct sfh_ledger *ledger);
void sfh_engine_done(struct sfh_engine *e);

/* --- networks ------------------------------------------------------------------------ */
int sfh_engine_network_add(struct sfh_engine *e, const struct sfh_engine_network *network);
void sfh_engine_network_remove(struct sfh_engine *e, const char *name);
const struct sfh_engine_network *sfh_engine_network(const struct sfh_engine *e, const char *name);
/* `set` on a network that is up: its policy, the VFs that it keeps back, and how often its
 * standby legs are probed (ms, 0: never). */
void sfh_engine_network_changed(struct sfh_engine *e, const char *name, bool never,
				unsigned landing, unsigned probe_interval_ms);
/* What is said of a NIC is not what it was: policy and priority hold from now on, what
 * its VF is told from its next VF on. The VLAN, which is that of both legs, stays. */
void sfh_engine_nic_changed(struct sfh_engine *e, const char *uuid,
			    const struct sfh_guest_nic *nic);
/* Somebody did something to a PF that is in use, or (NONE) put it right again: pairs
 * on their standby leg stay there with that reason, until it is NONE. */
void sfh_engine_pf_trouble(struct sfh_engine *e, int ifindex, enum sfh_reason trouble);
enum sfh_reason sfh_engine_pf_trouble_of(const struct sfh_engine *e, int ifindex);
unsigned sfh_engine_network_pairs(const struct sfh_engine *e, const char *name);

/* --- guests -----------------------------------------------------------------------------*/
/* A guest runs here (booted, restored, or found at start). Its NICs on networks
 * that are up become pairs; pairs that are known are refreshed, or made anew if they are
 * of an earlier run of the guest. `found` is for
 * guests that were running before this agent: their leases and what the ledger
 * knew are taken over. */
void sfh_engine_guest_running(struct sfh_engine *e, const struct sfh_guest_desc *guest,
			      bool found);
/* The hook said that a guest will arrive: reserves VFs and stages steering. Fails
 * for want of a VF only if its XML brings one (has_vf): then nothing is left
 * reserved. Else each such NIC's pair is `carried`: its `landing` is the VF to put
 * into the XML, and nobody can open that until the guest has landed. */
int sfh_engine_guest_arriving(struct sfh_engine *e, const struct sfh_guest_desc *guest,
			      struct sfh_error *err);
/* A VF waits for this arriving guest, and the host can spare the memory that it pins. */
bool sfh_engine_guest_pins(struct sfh_engine *e, const struct sfh_guest_desc *guest);
/* The arriving guest's devices exist (its CPUs do not run yet). */
void sfh_engine_guest_devices(struct sfh_engine *e, const struct sfh_guest_desc *guest);
/* An event of all pairs of a domain. */
void sfh_engine_guest_event(struct sfh_engine *e, const char *uuid, enum sfh_pair_event event,
			    const char *why);
/* An event of one pair; `mac` NULL: as above. Unknown pairs are ignored. */
void sfh_engine_pair_event(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac,
			   enum sfh_pair_event event, const char *why);
/* QEMU's event: the guest acknowledged STANDBY. */
void sfh_engine_negotiated(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac);
/* The pair that an entry of the datapath belongs to; NULL if none. */
struct sfh_pair *sfh_engine_pair_by_key(const struct sfh_engine *e,
					const struct sfh_guest_key *key);
struct sfh_pair *sfh_engine_pair(const struct sfh_engine *e, const char *uuid,
				 const struct sfh_mac *mac);

/* The hypervisor went. What stops from now on, it tells nobody. */
void sfh_engine_doubt(struct sfh_engine *e);
/* It is back, and every guest that it runs was reported: of the pairs that were there when it
 * went, those of nobody who was reported since go. Returns how many. */
unsigned sfh_engine_doubted_gone(struct sfh_engine *e);

/* After every running guest was reported: leases and rows of guests that are not
 * here any more are given back. Returns how many leases. */
unsigned sfh_engine_sweep(struct sfh_engine *e);

/* --- migration (source) --------------------------------------------------------------------- */
/* Begin: every pair of the domain goes to its standby leg, then libvirt is asked.
 * -ENOENT: no pair of that domain here; -EALREADY: it is migrating already. */
int sfh_engine_migrate(struct sfh_engine *e, const char *uuid, const char *uri,
		       struct sfh_error *err);
/* A guest that has not let go of its VF at the deadline is reset then, which makes QEMU
 * carry out the unplug. Nothing if it does not migrate. */
void sfh_engine_migrate_force(struct sfh_engine *e, const char *uuid);
/* Ends it as early as it can be: before libvirt was asked at once, else as soon as
 * libvirt gives up. -ENOENT: it does not migrate. */
int sfh_engine_migrate_cancel(struct sfh_engine *e, const char *uuid, struct sfh_error *err);
/* Confirm: what libvirt said. */
void sfh_engine_migrated(struct sfh_engine *e, const char *uuid, int result, const char *error);

/* --- time --------------------------------------------------------------------------------------*/
/* CLOCK_MONOTONIC of the next thing to do; UINT64_MAX if none. */
uint64_t sfh_engine_next(const struct sfh_engine *e);
void sfh_engine_tick(struct sfh_engine *e);

/* --- for the engine's own files ------------------------------------------------------------------ */
/* pool.c: a free VF of the pair's PF gets a row in the ledger (`reserved`) and is
 * programmed: the MAC, parked if the NIC can. -ENOSPC: none is free. With a port profile
 * whose answer is not there yet, port_look_ns is set. */
int sfh_pool_lease(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* Whether a lease could be had: 0, or -ENOSPC and a sentence. */
int sfh_pool_peek(struct sfh_engine *e, const char *pf, struct sfh_error *err);
int sfh_pool_reserve(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* The same of this one VF. -ENODEV: it is not one of the pair's PF; -EBUSY: somebody has it. */
int sfh_pool_reserve_vf(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
			struct sfh_error *err);
/* Gives a reservation back that is of a VF kept back for arrivals, or of another PF than
 * the pair's; keeps others. */
void sfh_pool_landed(struct sfh_engine *e, struct sfh_pair *p);
/* A lease for a VF that the guest has already: the ledger did not know of it. */
int sfh_pool_adopt(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
		   struct sfh_error *err);
/* Takes the MAC off the VF and puts back the VLAN, keeps the row. Nothing to do
 * for a pair without a lease. */
int sfh_pool_quiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* Takes that back: the guest keeps the VF after all. Where the NIC can, it is parked: the
 * guest may never have used it, and is to prove that it does. */
int sfh_pool_unquiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* Quiets it, forgets the row, and lets waiting pairs have it. */
void sfh_pool_release(struct sfh_engine *e, struct sfh_pair *p);
/* The same for a row whose pair is gone. */
int sfh_pool_end(struct sfh_engine *e, int pf_ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err);
/* portprofile.c: asks for the port profile of the pair's lease. 0: it has it; -EINPROGRESS: the
 * pair's port_look_ns says when to look again. */
int sfh_port_begin(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
		   struct sfh_error *err);
int sfh_port_go_on(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
		   struct sfh_error *err);
/* The host's own trouble, which says nothing of the port profile. */
bool sfh_port_host_trouble(int r);
/* Of a VF that the guest has: one that is refused is followed by PORT_REFUSED. */
int sfh_port_again(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* Of a VF that was found with its guest. */
void sfh_port_resume(struct sfh_engine *e, struct sfh_pair *p);
/* Takes it off a VF, if its lease says that it may have one. */
int sfh_port_end(struct sfh_engine *e, int pf_ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err);
/* Nobody waits for an answer any more. */
void sfh_port_forget(struct sfh_pair *p);
/* port_look_ns has come: PORT_TAKEN, PORT_REFUSED, or nothing yet. */
void sfh_port_look(struct sfh_engine *e, struct sfh_pair *p);
/* What could not be given back: when it is time (0: there is nothing), and if it is. */
uint64_t sfh_pool_next(const struct sfh_engine *e);
void sfh_pool_tick(struct sfh_engine *e, uint64_t now);
int sfh_pool_unpark(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err);
/* A VF became free on `pf` by somebody else's doing: wakes a pair that waits for
 * one, and the PF is looked at again before the next lease. */
void sfh_pool_freed(struct sfh_engine *e, const char *pf);
/* Looks at all VFs of a network, as `up` does. */
int sfh_pool_refresh(struct sfh_engine *e, const char *network, struct sfh_error *err);
/* Writes the pair as it is now to the ledger. */
void sfh_pair_save(struct sfh_engine *e, const struct sfh_pair *p);
/* pair_to_vf.c: on to PROVING: the VF is plugged and parked. */
void sfh_pair_prove(struct sfh_engine *e, struct sfh_pair *p);
void sfh_pair_forget(struct sfh_engine *e, struct sfh_pair *p);
void sfh_migration_advance(struct sfh_engine *e, const char *uuid);
/* A pair of it has not let go of its VF in time: resets the guest if the migration may,
 * once for all pairs. Until when to wait for that; 0: it may not, or that was in vain. */
uint64_t sfh_migration_reset(struct sfh_engine *e, const char *uuid);
SFH_PRINTF(3, 4)
void sfh_engine_log(struct sfh_engine *e, int priority, const char *fmt, ...);

#endif
