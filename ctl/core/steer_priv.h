/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by steer.c (pins, programs), steer_port.c (devices), steer_tcx.c and steer_xdp.c
 * (two of their hooks), steer_pair.c (pairs), steer_slot.c (what they share), steer_fast.c (the short
 * way's table) and steer_view.c (what is to be seen of them); for nobody else. */
#ifndef SFHYBRID_CORE_STEER_PRIV_H
#define SFHYBRID_CORE_STEER_PRIV_H

#include "ctl/core/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

/* X(identifier, name, one entry per pair?) */
#define SFH_MAPS(X)                                                                                \
	X(GUESTS, "sfh_guests", true)                                                              \
	X(STATE, "sfh_state", true)                                                                \
	X(COUNTERS, "sfh_counters", true)                                                          \
	X(RELAYED, "sfh_relayed", true)                                                            \
	X(METER, "sfh_meter", true)                                                                \
	X(SPREAD, "sfh_spread", true)                                                              \
	X(STANDBY, "sfh_standby", true)                                                            \
	X(PARKED, "sfh_parked", true)                                                              \
	X(DEVMAP, "sfh_devmap", true)                                                              \
	X(PORTS, "sfh_ports", false)                                                               \
	X(MACS, "sfh_macs", false)                                                                 \
	X(FAST, "sfh_fast", false)                                                                 \
	X(META, "sfh_meta", false)                                                                 \
	X(DROPS, "sfh_drops", false)                                                               \
	X(EVENTS, "sfh_events", false)                                                             \
	X(PROBE, "sfh_probe", true)                                                                \
	X(PROBE_WANT, "sfh_probe_want", false)                                                     \
	X(WARM, "sfh_warm", true)

struct bpf_object;

enum sfh_map {
#define X(id, name, per_pair) SFH_MAP_##id,
	SFH_MAPS(X)
#undef X
		_SFH_MAP_MAX
};

#define SFH_LINK_DIR "links"

enum sfh_slot {
	/* A program that began before it became free may still be at it. */
	SFH_SLOT_STALE = 0,
	SFH_SLOT_FREE,
	SFH_SLOT_TAKEN,
};

struct sfh_steer {
	char *dir;   /* the pin directory */
	int dir_fd;  /* holds the writer's lock */
	bool read_only;
	uint32_t max_pairs;
	uint16_t park_vlan;
	int cpus;
	bool tcx; /* where programs go that are not attached by filters already */
	int map[_SFH_MAP_MAX];
	/* The loaded objects (skeletons), and their programs' fds, owned by them. */
	struct pf_tc *pf_tc;
	struct pf_xdp *pf_xdp;
	struct standby_tc *standby_tc;
	int prog_pf_tc, prog_pf_xdp, prog_pf_xdp_tag, prog_from_guest, prog_to_guest;
	struct sfh_macs *macs; /* sfh_macs, mapped */
	uint16_t *mac_users;   /* of each of its bits: pairs that need it */
	uint8_t *slots;	       /* enum sfh_slot of each */
	uint32_t next_slot;
	struct sfh_fast_bucket *fast; /* sfh_fast, mapped */
	struct ring_buffer *ring;
	int (*cb)(const struct sfh_event *ev, void *ctx); /* during dispatch */
	void *cb_ctx;
};

/* One entry of one of our maps; 0 or the kernel's negative errno. */
static inline int sfh_map_get(const struct sfh_steer *s, enum sfh_map map, const void *key,
			      void *value)
{
	return bpf_map_lookup_elem(s->map[map], key, value) < 0 ? -errno : 0;
}

static inline int sfh_map_put(const struct sfh_steer *s, enum sfh_map map, const void *key,
			      const void *value)
{
	return bpf_map_update_elem(s->map[map], key, value, BPF_ANY) < 0 ? -errno : 0;
}

/* What is not there is no failure. */
static inline int sfh_map_forget(const struct sfh_steer *s, enum sfh_map map, const void *key)
{
	return bpf_map_delete_elem(s->map[map], key) < 0 && errno != ENOENT ? -errno : 0;
}

/* --- steer.c ----------------------------------------------------------------------- */
int sfh_steer_writable(const struct sfh_steer *s, struct sfh_error *err);
/* The last warning libbpf gave in this thread since the previous call, without
 * newline; "" if none. Valid until the next libbpf call. */
const char *sfh_steer_libbpf_says(void);
/* Gives the object the maps that exist already, or the sizes of those that its
 * loading will make. */
int sfh_steer_lend_maps(struct sfh_steer *s, struct bpf_object *obj);
/* "eth0" or "ifindex 7" if it has gone. */
const char *sfh_steer_ifname(uint32_t ifindex, char buf[32]);

/* An fd of the program if it is one of ours, which are known by their names; else -ENOENT. */
int sfh_steer_our_prog(uint32_t id);

/* --- steer_pair.c ------------------------------------------------------------------ */
/* An event says that the guest's first frame armed the pair: the programs need not
 * compare generations any more. */
void sfh_steer_settle(struct sfh_steer *s, const struct sfh_event *ev);
/* Every write to sfh_guests; keeps sfh_fast in step. */
int sfh_steer_put_guest(struct sfh_steer *s, const struct sfh_guest_key *key,
			const struct sfh_guest *g);
/* Both of the pair's entries; -ENOENT if not staged. */
int sfh_steer_read_pair(const struct sfh_steer *s, const struct sfh_guest_key *key,
			struct sfh_guest *g, struct sfh_guest_state *st);
/* Whether it acts, by a user's word or by the guest's first frame. */
bool sfh_steer_armed(const struct sfh_guest *g, const struct sfh_guest_state *st);

/* --- steer_tcx.c ------------------------------------------------------------------- */
/* Whether the kernel has tcx. */
bool sfh_steer_tcx_is_there(void);
bool sfh_steer_tcx_has_ours(uint32_t ifindex, enum bpf_tc_attach_point at);
/* In the place of ours, if there is one. */
int sfh_steer_tcx_attach(uint32_t ifindex, enum bpf_tc_attach_point at, int prog, struct sfh_error *err);
/* Nothing there is success. */
int sfh_steer_tcx_detach(uint32_t ifindex, enum bpf_tc_attach_point at);

/* --- steer_slot.c ------------------------------------------------------------------ */
/* Counts what is staged, notes the slots and writes sfh_macs anew. */
int sfh_steer_recall_pairs(struct sfh_steer *s);
/* One pair more, or less, has this address. */
void sfh_steer_mac_used(struct sfh_steer *s, const uint8_t *mac);
void sfh_steer_mac_unused(struct sfh_steer *s, const uint8_t *mac);
/* A slot, put back to zero; -E2BIG if there is none. May wait some 10 ms for the
 * programs that run. */
int sfh_steer_slot_take(struct sfh_steer *s, uint32_t *ret);
void sfh_steer_slot_give(struct sfh_steer *s, uint32_t slot);

/* --- steer_fast.c ------------------------------------------------------------------ */
/* Maps sfh_fast; a writer's takes out what a process that died may have left. */
int sfh_steer_fast_open(struct sfh_steer *s);
void sfh_steer_fast_close(struct sfh_steer *s);
/* Before sfh_guests is written: what it says will be `g` (NULL: nothing). */
void sfh_steer_fast_retract(struct sfh_steer *s, const struct sfh_guest_key *key,
			    const struct sfh_guest *g);
/* After it was. */
void sfh_steer_fast_publish(struct sfh_steer *s, const struct sfh_guest_key *key,
			    const struct sfh_guest *g);

/* --- steer_xdp.c ------------------------------------------------------------------- */
/* How our XDP program is on a device now; also with a read-only handle. */
enum sfh_xdp sfh_steer_xdp_look(struct sfh_steer *s, uint32_t ifindex);
/* If it is on it: puts this build's program in place and fills *info. False if not. */
bool sfh_steer_xdp_keep(struct sfh_steer *s, uint32_t ifindex, struct sfh_steer_pf_info *info);
/* Attaches it; on failure info->xdp_why says why not. */
int sfh_steer_xdp_attach(struct sfh_steer *s, uint32_t ifindex, struct sfh_steer_pf_info *info);
/* Whatever of ours is on it, or was left of it; 0 also when there is nothing. */
int sfh_steer_xdp_detach(struct sfh_steer *s, uint32_t ifindex);

#endif
