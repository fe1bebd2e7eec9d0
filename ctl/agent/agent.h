/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sfhybridd: the one writer. Everything below runs on one event loop but the
 * functions that are marked "worker" (they may take minutes) and libvirt's event
 * thread, which only queues. */
#ifndef SFH_AGENT_H
#define SFH_AGENT_H

#include <jansson.h>
#include <pthread.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "ctl/core/env.h"
#include "ctl/core/fdb.h"
#include "ctl/core/history.h"
#include "ctl/core/ledger.h"
#include "ctl/core/netlink.h"
#include "ctl/core/steer.h"
#include "ctl/engine/filter.h"
#include "libvirt-glue/netxml.h"
#include "libvirt-glue/virt.h"

struct sfh_worker;
struct sfh_pfwatch;
struct sfh_server;
struct sfh_request;

/* A hybrid network that is up, as the agent needs it beside the engine's view. */
struct sfh_agent_network {
	struct sfh_agent_network *next;
	struct sfh_netdef *def;
};

struct sfh_agent {
	struct sfh_env env;
	const char *libvirt_uri;
	sd_event *loop;
	struct sfh_worker *worker;
	struct sfh_server *server;
	struct sfh_pfwatch *pfwatch;
	struct sfh_ledger *ledger;
	struct sfh_history *history;
	struct sfh_nl *nl;
	struct sfh_fdb *fdb;
	int probe_fd;
	struct sfh_engine engine;
	struct sfh_agent_network *networks;
	struct sfh_hostdev_user *hostdev_users; /* hostdevs.c */
	struct sfh_hold *holds; /* hold.c */
	struct sfh_let_run *let_run; /* yield.c */
	unsigned migrations_most; /* under way at a time; the others wait */
	unsigned network_jobs;	  /* ups and downs under way */
	bool down_posted;      /* sfh_down_look() */
	unsigned resuming;     /* of them, those that nobody asked for: at start, tried again */
	bool retry_wanted;     /* once they have ended */
	bool resumed;
	bool once;     /* --reconcile: ends when all is at rest and a repair was answered */
	bool repaired;

	/* Open while a network is up. Also used by workers: under the lock. */
	struct sfh_steer *steer;
	pthread_mutex_t steer_lock;
	sd_event_source *steer_source;
	struct sfh_warmer *warmer; /* warm.c; loop only */
	struct sfh_inject *inject; /* loop only; opened by who needs it first */
	struct sfh_backlogs *backlogs; /* backlog.c; loop only */
	sd_event_source *backlog_source;

	pthread_mutex_t network_lock; /* one up or down at a time */
	/* Replaced when libvirtd comes back; workers hold the lock while they use it. */
	struct sfh_virt *virt;
	pthread_rwlock_t virt_lock;
	bool virt_lost; /* it is closed; nobody may begin to use it */
	bool reconnecting;
	bool lost_again; /* CLOSED while reconnecting */

	/* What libvirt's event thread queued. */
	pthread_mutex_t event_lock;
	struct sfh_queued_event *events, **events_tail;
	int event_fd;

	sd_event_source *timer;
	struct sfh_request *requests;
};

/* --- main.c --------------------------------------------------------------------------- */
SFH_PRINTF(2, 3) void sfh_agent_log(int priority, const char *fmt, ...);
/* Sets the loop's timer to the engine's next deadline. Call after engine calls. */
void sfh_agent_rearm(struct sfh_agent *a);

/* --- kernel.c -------------------------------------------------------------------------- */
extern const struct sfh_kernel_ops sfh_agent_kernel_ops;
/* Loop: every running guest was told to the engine; what the last agent held for
 * others goes. Returns how many leases were given back. */
unsigned sfh_agent_sweep(struct sfh_agent *a);
/* Worker or loop. Opens the datapath if it is not; -errno and a sentence. */
int sfh_agent_steer_open(struct sfh_agent *a, struct sfh_error *err);
/* Loop: watches the datapath's events once it is open. */
int sfh_agent_steer_watch(struct sfh_agent *a);
/* Loop: the last network went down. */
void sfh_agent_steer_drop(struct sfh_agent *a);

/* --- backlog.c --------------------------------------------------------------------------- */
/* The injection device; NULL and a sentence if it cannot be made. */
struct sfh_inject *sfh_agent_inject(struct sfh_agent *a, struct sfh_error *err);
/* Before the datapath is closed; after sfh_warmer_close(). */
void sfh_agent_inject_close(struct sfh_agent *a);
/* No device of ours without a use: likewise, if nobody needs it now. */
void sfh_agent_inject_idle(struct sfh_agent *a);
/* The engine's operations on backlogs. */
int sfh_agent_backlog(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err);
int sfh_agent_ask_standby(void *ctx, const struct sfh_pair *p);
/* The entry goes: what waits is for nobody. */
void sfh_agent_backlog_forget(struct sfh_agent *a, const struct sfh_guest_key *key);

/* --- warm.c ------------------------------------------------------------------------------ */
/* The engine's operations on standby legs' probes. */
void sfh_warmer_begin(void *ctx);
void sfh_warmer_send(void *ctx, const struct sfh_pair *p);
int sfh_warmer_check(void *ctx, const struct sfh_pair *p, uint32_t *latency_ns, uint32_t *ring_us);
enum sfh_cold sfh_warmer_why(void *ctx, const struct sfh_pair *p);
void sfh_warmer_tell(void *ctx, const struct sfh_pair *p);
void sfh_warmer_stop(void *ctx, const struct sfh_pair *p);
/* The entry goes, and so does what probes it. */
void sfh_warmer_forget(struct sfh_agent *a, const struct sfh_guest_key *key);
/* Before the datapath is closed. */
void sfh_warmer_close(struct sfh_agent *a);
bool sfh_warmer_idle(const struct sfh_agent *a); /* no leg is probed */
/* The entry of the datapath that belongs to a pair. */
static inline struct sfh_guest_key sfh_agent_key_of(const struct sfh_pair *p)
{
	struct sfh_guest_key key = { .pf_ifindex = (__u32)p->pf_ifindex, .vlan = p->vlan };

	memcpy(key.mac, p->mac.b, 6);
	return key;
}

/* --- hypervisor.c ---------------------------------------------------------------------- */
extern const struct sfh_hypervisor_ops sfh_agent_hypervisor_ops;
int sfh_agent_events_init(struct sfh_agent *a);
/* libvirt's event thread: hands the event to the loop. */
void sfh_agent_queue_event(void *ctx, const struct sfh_virt_event *ev);
/* connect.c. Loop: connects in a worker, then takes over what is there; again after a loss. */
void sfh_agent_connect(struct sfh_agent *a);
/* After libvirtd went. */
void sfh_agent_reconnect(struct sfh_agent *a);
/* Loop: for guests that were found running: have they negotiated STANDBY? The
 * answers come as SFH_EV_NEGOTIATED; for one on its VF that has not, as SFH_EV_RESET. */
void sfh_agent_ask_negotiated(struct sfh_agent *a);
/* kernel.c: what the datapath has of a pair. */
int sfh_agent_pair_view(struct sfh_agent *a, const struct sfh_pair *p, struct sfh_pair_view *ret);
/* meter.c: adds to a switch's record what the datapath saw of it, later. */
void sfh_agent_meter_later(struct sfh_agent *a, int64_t id, const struct sfh_switch *sw);
/* Worker: the connection, held until _put(); NULL and a sentence without one. */
struct sfh_virt *sfh_agent_virt_get(struct sfh_agent *a, struct sfh_error *err);
void sfh_agent_virt_put(struct sfh_agent *a);
/* Worker: what `network` is for adoption; ctx is a struct sfh_virt. */
enum sfh_hybrid sfh_agent_is_hybrid(void *ctx, const char *network, const char *portgroup);

/* --- describe.c ------------------------------------------------------------------------- */
/* The hybrid NICs of a domain on networks that are up; nics is the caller's. */
struct sfh_described {
	struct sfh_guest_desc guest;
	struct sfh_guest_nic *nics;
	unsigned carried; /* VFs of ours in the XML; more than NICs have, if a network is not up */
};
int sfh_describe(const struct sfh_agent *a, const char *xml, size_t len,
		 struct sfh_described *ret, struct sfh_error *err);
void sfh_described_done(struct sfh_described *d);

/* --- hostdevs.c -------------------------------------------------------------------------- */
/* Loop: a running guest's XML; VFs that it has and that are not ours to give. */
void sfh_hostdevs_note(struct sfh_agent *a, const char *xml, size_t len);
/* Loop: the guest is gone. */
void sfh_hostdevs_forget(struct sfh_agent *a, const char *uuid);
bool sfh_hostdevs_has(const struct sfh_agent *a, const struct sfh_bdf *bdf, char why[48]);

/* --- hold.c ------------------------------------------------------------------------------- */
/* Loop: the engine's vf_hold and vf_loose. */
int sfh_hold_vf(void *ctx, const struct sfh_bdf *bdf, struct sfh_error *err);
void sfh_loose_vf(void *ctx, const struct sfh_bdf *bdf);

/* --- yield.c ------------------------------------------------------------------------------ */
/* Loop: QEMU waits for the guest to let go of its VF; it does no longer; the domain
 * is gone. */
void sfh_yield_asked(struct sfh_agent *a, const char *uuid);
void sfh_yield_over(struct sfh_agent *a, const char *uuid);
/* Loop: guests were found running: does libvirt take one of them away? */
void sfh_yield_look(struct sfh_agent *a);
void sfh_yield_forget(struct sfh_agent *a, const char *uuid);
/* Loop: the engine's replug. */
int sfh_yield_replug(void *ctx, const char *uuid);

/* --- rxfilter.c ---------------------------------------------------------------------------- */
/* Loop: the engine's ask_rx_filter. */
int sfh_rxfilter_ask(void *ctx, const struct sfh_pair *p);

/* --- netwatch.c --------------------------------------------------------------------------- */
void sfh_netwatch_started(struct sfh_agent *a, const char *name);
void sfh_netwatch_stopped(struct sfh_agent *a, const char *name);

/* --- networks.c, down.c, definitions.c (the network verbs) ----------------------------------- */
void sfh_verb_define(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_undefine(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_up(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_down(struct sfh_agent *a, struct sfh_request *req);
/* A pair moved: a forced `down` may have waited for it, and goes on once the loop is back. */
void sfh_down_look(struct sfh_agent *a);
const struct sfh_agent_network *sfh_agent_network(const struct sfh_agent *a, const char *name);
/* At start: networks that were up when the last agent ended, and those that start
 * with libvirt (`autostart`, names). */
void sfh_networks_resume(struct sfh_agent *a, const json_t *autostart);
/* Tries again what could not be brought back, and what has a PF that went and came
 * back. Returns how many are under way now (a->resuming falls to 0 with the last). */
unsigned sfh_networks_retry(struct sfh_agent *a);
/* A `down` that changed nothing: its guests are taken in again. */
void sfh_network_again(struct sfh_agent *a, const char *name);

/* --- guests.c (verbs accelerate, standby, migrate) --------------------------------------------- */
extern const struct sfh_engine_listener sfh_agent_listener;
void sfh_verb_accelerate(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_standby(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_migrate(struct sfh_agent *a, struct sfh_request *req);
void sfh_verb_migrate_cancel(struct sfh_agent *a, struct sfh_request *req);
/* libvirt is asked now: the flags of the migrate request that runs for a domain. */
unsigned sfh_migrate_flags(const struct sfh_agent *a, const char *uuid);

/* --- set.c (verb set) ---------------------------------------------------------------------------- */
void sfh_verb_set(struct sfh_agent *a, struct sfh_request *req);

/* --- pfwatch.c ---------------------------------------------------------------------------------- */
int sfh_pfwatch_start(struct sfh_agent *a, struct sfh_error *err);
/* A network came up: what its PFs are like now is what later changes are told against. */
void sfh_pfwatch_learn(struct sfh_agent *a, const char *network);

/* --- require.c ---------------------------------------------------------------------------------- */
/* Marks a network whose policy is `require`, for the hook; takes the mark off. */
void sfh_require_mark(struct sfh_agent *a, const char *network);
void sfh_require_unmark(struct sfh_agent *a, const char *network);

/* --- repair.c (verb repair) ---------------------------------------------------------------------- */
void sfh_verb_repair(struct sfh_agent *a, struct sfh_request *req);
/* Networks that were tried again have come up or not: repairs that waited for that go on. */
void sfh_repair_goes_on(struct sfh_agent *a);

/* --- server.c ------------------------------------------------------------------------------------ */
/* A request outlives its client: who hangs up does not stop what was begun. */
struct sfh_request {
	struct sfh_request *next;
	struct sfh_agent *agent;
	struct sfh_client *client; /* NULL: hung up */
	json_t *args;
	const char *verb; /* a literal */
	char domain[SFH_UUID_STRLEN]; /* of guest verbs, once looked up */
	char network[SFH_NAME_MAX];   /* of network verbs */
	bool want_vf;
	bool waiting; /* for pairs to come to rest */
	uint64_t begun_ns, performed_ns; /* migrate: Begin (0: it waits), and libvirt was asked */
	uint64_t begun_wall_ms;
	json_t *switches; /* migrate: what was switched meanwhile */
	unsigned flags;
};
int sfh_server_start(struct sfh_agent *a, struct sfh_error *err);
void sfh_server_stop(struct sfh_agent *a);
/* The agent asks itself: `verb` of a network, agreed to; nobody reads the answer. */
void sfh_request_own(struct sfh_agent *a, const char *verb, const char *network);
void sfh_reply_progress(struct sfh_request *req, const char *text);
/* Both end the request and free it. `result` (may be NULL) is stolen. */
void sfh_reply_ok(struct sfh_request *req, json_t *result);
SFH_PRINTF(2, 3) void sfh_reply_error(struct sfh_request *req, const char *fmt, ...);
/* The same, for what goes on if it is asked again with "yes": true. */
void sfh_reply_confirm(struct sfh_request *req, const char *text);
/* The string argument `key`, or NULL after having replied that it is missing. */
const char *sfh_request_string(struct sfh_request *req, const char *key);

/* --- hook.c ----------------------------------------------------------------------------------------- */
/* The answer to the qemu hook: 0 lets it pass, with *ret_xml (the caller's, free())
 * in the place of what came if it is not NULL; else *err says why not. Fast, never
 * through libvirt. */
int sfh_hook_answer(struct sfh_agent *a, const char *op, const char *xml, size_t len,
		    char **ret_xml, struct sfh_error *err);

/* --- worker.c ---------------------------------------------------------------------------------------- */
/* A job: run() in a thread of the pool, then done() on the loop, which owns the
 * job from then on. */
struct sfh_job {
	void (*run)(struct sfh_job *job);
	void (*done)(struct sfh_job *job);
	struct sfh_job *next;
};
int sfh_worker_start(sd_event *loop, unsigned threads, struct sfh_worker **ret);
void sfh_worker_submit(struct sfh_worker *w, struct sfh_job *job);
/* From any thread: fn(arg) on the loop. */
void sfh_worker_post(struct sfh_worker *w, void (*fn)(void *arg), void *arg);

#endif
