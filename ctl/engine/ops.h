/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two tables of operations that the engine works on. It knows neither
 * netlink nor libvirt; tests hand in fakes that record. */
#ifndef SFH_ENGINE_OPS_H
#define SFH_ENGINE_OPS_H

#include "ctl/core/history.h"
#include "ctl/core/ledger.h"
#include "ctl/core/netlink.h"
#include "ctl/core/vfwish.h"
#include "sfhybrid/abi.h"

struct sfh_pair;

/* A VF as the pool sees it. */
struct sfh_vf_slot {
	unsigned vf;
	struct sfh_bdf bdf;
	struct sfh_mac mac; /* what it has now; zero when nobody set one */
	char why_not[48]; /* "" if it may be leased, else why it is skipped */
};

/* What the datapath has seen of a pair on its standby leg. */
struct sfh_pair_seen {
	bool first_frame; /* since it was staged */
	bool lately;	  /* a frame of the guest in the latest half second */
	uint32_t ip4;	  /* its IPv4 address, with which it can be probed; 0: not known */
	uint64_t ip4_ns;  /* when it showed it last, CLOCK_MONOTONIC */
};

/* Fast and synchronous, called on the event loop. Negative errno on failure. */
struct sfh_kernel_ops {
	/* The VFs of a PF, at most n; returns how many. */
	int (*vf_list)(void *ctx, const char *pf, struct sfh_vf_slot *slots, size_t n,
		       struct sfh_error *err);
	/* Whether one VF may still be leased: 0, or 1 and why it is skipped. May be
	 * NULL. Asked right before a lease. */
	int (*vf_check)(void *ctx, const char *pf, const struct sfh_bdf *bdf, char why_not[48]);
	int (*vf_get)(void *ctx, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		      struct sfh_error *err);
	int (*vf_set)(void *ctx, int pf_ifindex, unsigned vf, unsigned what,
		      const struct sfh_vf_config *cfg, struct sfh_error *err);
	/* 802.1Qbh (ctl/core/portprofile.h): whether the driver knows of it at all, a request for
	 * the VF of a lease, and what became of it. May be NULL, all three: none does. */
	int (*port_able)(void *ctx, int pf_ifindex, struct sfh_error *err);
	int (*port_ask)(void *ctx, int pf_ifindex, const struct sfh_lease *lease, uint8_t request,
			struct sfh_error *err);
	int (*port_answer)(void *ctx, int pf_ifindex, unsigned vf, uint8_t *request,
			   struct sfh_error *err);
	/* True if the PF's driver lets a VF be parked in a VLAN (ctl/core/nic). */
	bool (*can_park)(void *ctx, const char *pf);
	/* Keeps a VF from being opened by anybody, until it is let loose. -EBUSY: somebody
	 * has it open. Both may be NULL: nothing is kept. */
	int (*vf_hold)(void *ctx, const struct sfh_bdf *bdf, struct sfh_error *err);
	void (*vf_loose)(void *ctx, const struct sfh_bdf *bdf);

	/* The index that the device has now, which no other had before it; negative: there is
	 * none. May be NULL: not looked at. */
	int (*standby_find)(void *ctx, const char *standby);
	/* Programs on the standby device, which may vanish at any time. pair->vlan becomes the
	 * VLAN under which it is steered already: a guest that runs keeps its own. */
	int (*standby_attach)(void *ctx, struct sfh_pair *pair, struct sfh_error *err);
	/* Entry without a device yet, or with one; arms itself on the first frame. */
	int (*stage)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	int (*arm)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	int (*disarm)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	/* Disarms a pair whose VF is known to carry frames to a guest that takes them from one
	 * leg only: its standby leg passes it nothing more. */
	int (*on_vf)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	int (*unstage)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	/* The guest's address in the PF's own filter, or no longer: what guests on VFs of
	 * the PF send to it reaches its standby leg. Nothing to do where the standby device
	 * sees to that itself. May be NULL. A failure is no reason to stop. */
	int (*filter)(void *ctx, const struct sfh_pair *pair, bool there, struct sfh_error *err);
	/* Likewise a further address of the guest (filter.h); several guests may have it. */
	int (*filter_also)(void *ctx, const struct sfh_pair *pair, const struct sfh_mac *mac,
			   bool there, struct sfh_error *err);
	/* What addresses the pair's PF and its VFs have, at most n; returns how many. May be
	 * NULL. */
	int (*pf_macs)(void *ctx, const struct sfh_pair *pair, struct sfh_mac *macs, size_t n);
	int (*seen)(void *ctx, const struct sfh_pair *pair, struct sfh_pair_seen *ret);
	int (*want_proof)(void *ctx, const struct sfh_pair *pair, bool on, struct sfh_error *err);
	/* Whether the host can spare what a VF pins: -ENOMEM and a sentence if not.
	 * May be NULL: always. */
	int (*can_pin)(void *ctx, const struct sfh_pair *pair, struct sfh_error *err);
	/* The largest payload that the PF takes now; negative errno if it cannot be
	 * told. May be NULL: not looked at. */
	int (*pf_mtu)(void *ctx, const char *pf);
	/* Sends one frame to the guest through the parking VLAN, whose answer proves
	 * the VF leg. */
	int (*probe)(void *ctx, const struct sfh_pair *pair);
	/* on: from the frame that arms the pair on, what comes for the guest waits; off: it is
	 * delivered, and nothing waits any more. Both may be NULL: nothing ever waits. */
	int (*backlog)(void *ctx, const struct sfh_pair *pair, bool on, struct sfh_error *err);
	/* Sends one frame to the guest on its standby leg, past what waits, whose answer
	 * proves that it listens there. Its address must have been seen. */
	int (*ask_standby)(void *ctx, const struct sfh_pair *pair);

	/* Probes of the standby leg (ctl/core/warm.h). All may be NULL: none is sent.
	 * A batch of sends begins. */
	void (*warm_begin)(void *ctx);
	void (*warm_send)(void *ctx, const struct sfh_pair *pair);
	/* 1: the latest one reached the guest's ring, the times are filled; 0: not yet. */
	int (*warm_check)(void *ctx, const struct sfh_pair *pair, uint32_t *latency_ns,
			  uint32_t *ring_us);
	enum sfh_cold (*warm_why)(void *ctx, const struct sfh_pair *pair);
	/* Publishes pair->warm. */
	void (*warm_tell)(void *ctx, const struct sfh_pair *pair);
	/* The pair is not probed any more: its verdict goes. */
	void (*warm_stop)(void *ctx, const struct sfh_pair *pair);
};

/* Slow and asynchronous: each returns at once, its result comes back as an event
 * of the pair (SFH_EV_PLUGGED, …) or, for migrate, sfh_engine_migrated(). */
struct sfh_hypervisor_ops {
	int (*plug)(void *ctx, const struct sfh_pair *pair); /* also what may be plugged already */
	int (*unplug)(void *ctx, const struct sfh_pair *pair);
	int (*migrate)(void *ctx, const char *domain_uuid, const char *uri);
	/* Asks QEMU whether the guest acknowledged STANDBY: SFH_EV_NEGOTIATED, or
	 * nothing; `claimed`: an event said so, which counts if QEMU cannot tell. May be
	 * NULL: then QEMU's own event is all there is. */
	void (*ask_negotiated)(void *ctx, const struct sfh_pair *pair, bool claimed);
	/* Asks QEMU which addresses the NIC is to receive, and so makes it tell of the next
	 * change: sfh_engine_rx_told(). May be NULL: then there are none. */
	int (*ask_rx_filter)(void *ctx, const struct sfh_pair *pair);
	/* Ends a migration or save that libvirt runs; the domain's QEMU tells how it
	 * went. May be NULL. */
	int (*abort)(void *ctx, const char *domain_uuid);
	/* As the reset button does. May be NULL. */
	int (*reset)(void *ctx, const char *domain_uuid);
	/* Makes QEMU plug in what it took from the guest for a snapshot; STAYS follows.
	 * May be NULL. */
	int (*replug)(void *ctx, const char *domain_uuid);
};

/* What the engine tells its owner. */
struct sfh_engine_listener {
	/* The pairs of a domain came to rest or changed their minds. */
	void (*settled)(void *ctx, const char *domain_uuid);
	/* A line for whoever waits for an operation on this domain. */
	void (*progress)(void *ctx, const char *domain_uuid, const char *text);
	void (*migrated)(void *ctx, const char *domain_uuid, int result, const char *error);
	void (*switched)(void *ctx, const struct sfh_switch *sw);
	void (*log)(void *ctx, int priority, const char *text);
};

#endif
