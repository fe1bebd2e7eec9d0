/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libvirt at arm's length: one connection, blocking calls for a worker thread,
 * and events. Everything here may take seconds; nothing here may be called on
 * the agent's event loop or on the way to a hook's answer
 * (research/libvirt-contract.md §1: deadlock).
 *
 * Thread-safe: libvirt connections are. Functions return 0 or a negative errno
 * with libvirt's own sentence in *err. */
#ifndef SFHYBRID_GLUE_VIRT_H
#define SFHYBRID_GLUE_VIRT_H

#include "libvirt-glue/domxml.h"
#include "sfhybrid/util.h"

struct sfh_virt;

enum sfh_virt_event_kind {
	SFH_VIRT_DEFINED,	    /* or redefined */
	SFH_VIRT_STARTED,	    /* booted or restored; its CPUs run */
	SFH_VIRT_INCOMING,	    /* migration's Prepare: devices exist, CPUs do not run */
	SFH_VIRT_ARRIVED,	    /* migration is over, its CPUs run here */
	SFH_VIRT_RESUMED,	    /* after a pause */
	SFH_VIRT_STOPPED,	    /* gone from this host, whatever the cause */
	SFH_VIRT_NEGOTIATED,	    /* QEMU's FAILOVER_NEGOTIATED; device: the standby's alias */
	SFH_VIRT_RESET,		    /* QEMU: the machine was reset, by the guest or from outside */
	SFH_VIRT_DEVICE_ADDED,	    /* device: alias; never a VF of ours */
	SFH_VIRT_DEVICE_REMOVED,    /* device: alias */
	SFH_VIRT_DEVICE_KEPT,	    /* the guest refused to let go; device: alias */
	SFH_VIRT_DEPARTING,	    /* QEMU: a migration, save or snapshot begins */
	SFH_VIRT_VF_ASKED,	    /* QEMU: for that, the guest is asked to let go; device: alias */
	SFH_VIRT_VF_YIELDED,	    /* QEMU: it has, and the copy begins */
	SFH_VIRT_STAYS,		    /* QEMU: it failed or was cancelled */
	SFH_VIRT_RX_FILTER,	    /* QEMU: what a NIC is to receive has changed; device: alias */
	SFH_VIRT_NETWORK_STARTED,   /* name: the network */
	SFH_VIRT_NETWORK_STOPPED,   /* name: the network */
	SFH_VIRT_CLOSED,	    /* libvirtd is gone */
};

struct sfh_virt_event {
	enum sfh_virt_event_kind kind;
	char uuid[SFH_DOM_UUID_SIZE];
	char name[SFH_DOM_NAME_SIZE];
	char device[SFH_DOM_ALIAS_SIZE];
};

/* Called on libvirt's event thread: copy and hand over. */
typedef void (*sfh_virt_event_fn)(void *ctx, const struct sfh_virt_event *event);

/* --- the connection: virt.c; its events: virtevents.c ------------------------------------- */
/* Connects to `uri`. With fn NULL: no events (the CLI's reads; read-only). */
int sfh_virt_open(const char *uri, sfh_virt_event_fn fn, void *ctx, struct sfh_virt **ret,
		  struct sfh_error *err);
void sfh_virt_close(struct sfh_virt **virt);
bool sfh_virt_is_alive(struct sfh_virt *virt);
/* Of libvirtd and of its QEMU, as major * 1000000 + minor * 1000 + release;
 * *qemu is 0 if libvirtd knows none. */
int sfh_virt_versions(struct sfh_virt *v, unsigned long *libvirt, unsigned long *qemu,
		      struct sfh_error *err);

/* --- networks: virtnetwork.c -------------------------------------------------------------- */
/* The XML of a network; -ENOENT. *ret is the caller's, free(). */
int sfh_virt_network_xml(struct sfh_virt *v, const char *name, char **ret, bool *ret_active,
			 struct sfh_error *err);
int sfh_virt_network_define(struct sfh_virt *v, const char *xml, struct sfh_error *err);
int sfh_virt_network_undefine(struct sfh_virt *v, const char *name, struct sfh_error *err);
/* Both succeed when it is so already; stop also if there is no such network. */
int sfh_virt_network_start(struct sfh_virt *v, const char *name, struct sfh_error *err);
int sfh_virt_network_stop(struct sfh_virt *v, const char *name, struct sfh_error *err);
bool sfh_virt_network_active(struct sfh_virt *v, const char *name);
/* Whether libvirt starts it with itself: then sfhybrid brings it up too. */
bool sfh_virt_network_autostart(struct sfh_virt *v, const char *name);
/* Calls cb for every network; a non-zero return ends the walk. */
int sfh_virt_networks(struct sfh_virt *v,
		      int (*cb)(void *ctx, const char *name, const char *xml, bool active),
		      void *ctx, struct sfh_error *err);

/* --- domains: virtdomain.c ---------------------------------------------------------------- */
/* Running domains' live XML; all of them, or an error: who is not in half a list may well
 * run. A non-zero return of cb ends the walk and is returned. */
int sfh_virt_running(struct sfh_virt *v, int (*cb)(void *ctx, const char *xml), void *ctx,
		     struct sfh_error *err);
int sfh_virt_domain_xml(struct sfh_virt *v, const char *uuid, char **ret, struct sfh_error *err);
/* Name or UUID to UUID (buf of SFH_DOM_UUID_SIZE); -ENOENT. */
int sfh_virt_domain_lookup(struct sfh_virt *v, const char *name_or_uuid, char *uuid,
			   struct sfh_error *err);
/* Attaches device XML, of the VF `vf` under `alias`, to the live domain only. 0 also if it has
 * that already. -ENOSPC: it has no free PCIe root port. */
int sfh_virt_plug(struct sfh_virt *v, const char *uuid, const char *device_xml,
		  const char *alias, const struct sfh_bdf *vf, struct sfh_error *err);
/* Asks the guest to let go of the device; its end comes as an event. */
int sfh_virt_unplug(struct sfh_virt *v, const char *uuid, const char *alias,
		    struct sfh_error *err);
/* Whether libvirt migrates, saves, dumps or snapshots it right now. */
int sfh_virt_is_leaving(struct sfh_virt *v, const char *uuid, bool *ret, struct sfh_error *err);
/* Ends the migration, save or dump that libvirt runs for it. */
int sfh_virt_abort(struct sfh_virt *v, const char *uuid, struct sfh_error *err);
int sfh_virt_reset(struct sfh_virt *v, const char *uuid, struct sfh_error *err);
/* Live, peer to peer. Returns when it is over. */
enum { SFH_MIGRATE_PERSISTENT = 1 << 0, SFH_MIGRATE_UNDEFINE_SOURCE = 1 << 1 };
int sfh_virt_migrate(struct sfh_virt *v, const char *uuid, const char *uri, unsigned flags,
		     struct sfh_error *err);

/* --- adoption: virtadopt.c ---------------------------------------------------------------- */
/* Adopts the persistent definition; *ret says what was done. */
int sfh_virt_adopt(struct sfh_virt *v, const char *uuid, sfh_is_hybrid_fn is_hybrid, void *ctx,
		   struct sfh_adoption *ret, struct sfh_error *err);
/* The same for every persistent domain, errors handed to `note`. */
int sfh_virt_adopt_all(struct sfh_virt *v, sfh_is_hybrid_fn is_hybrid, void *ctx,
		       void (*note)(void *ctx, const char *text), struct sfh_error *err);
/* Takes back what adoption gave to NICs for which `is_hybrid` says so, in every
 * persistent domain. Returns how many NICs, or a negative errno. */
int sfh_virt_unadopt_all(struct sfh_virt *v, sfh_is_hybrid_fn is_hybrid, void *ctx,
			 void (*note)(void *ctx, const char *text), struct sfh_error *err);

/* --- what only QEMU knows or does: virtmonitor.c ------------------------------------------- */
/* Each of these libvirt notes as a taint of the domain (custom-monitor). */

/* Whether the guest's driver of the virtio NIC `alias` has acknowledged STANDBY,
 * for when nobody was there to hear FAILOVER_NEGOTIATED. Asks QEMU itself (7.2 or
 * newer). -EOPNOTSUPP: QEMU cannot say. */
int sfh_virt_negotiated(struct sfh_virt *v, const char *uuid, const char *alias, bool *ret,
			struct sfh_error *err);
/* What QEMU's answer says of it: 1 yes, 0 no, -EAGAIN: the driver has not finished. */
int sfh_virt_standby_of(const char *answer);
/* The addresses beside its own that the virtio NIC `alias` is to receive, at most n;
 * returns how many (rxfilter.h). From then on QEMU tells of the next change
 * (SFH_VIRT_RX_FILTER), once. */
int sfh_virt_rx_filter(struct sfh_virt *v, const char *uuid, const char *alias,
		       struct sfh_mac *macs, size_t n, struct sfh_error *err);
/* QEMU remembers the options of the first primary of `standby` that it was ever told
 * of, and at each negotiation without one (a guest that reboots on its standby leg)
 * plugs that again, unknown to libvirt, whoever has the VF by then. So the first one
 * is none: to be called before each plug. */
void sfh_virt_decoy(struct sfh_virt *v, const char *uuid, const char *vf_alias,
		    const char *standby);
/* libvirt has stopped the domain's CPUs for a save, dump or snapshot: lets them run
 * (*ret). *by_user: it was paused before. */
int sfh_virt_let_run(struct sfh_virt *v, const char *uuid, bool *ret, bool *by_user,
		     struct sfh_error *err);
int sfh_virt_stand_still(struct sfh_virt *v, const char *uuid, struct sfh_error *err);
/* QEMU took the VF from the guest for a snapshot: makes it plug that in again, which
 * it only does when a migration fails. So one fails. */
int sfh_virt_replug(struct sfh_virt *v, const char *uuid, struct sfh_error *err);

#endif
