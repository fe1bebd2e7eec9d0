// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs: map updates only. The rules of who writes what are in abi.h. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <sys/syscall.h>

#define KEY_TEXT 64
#define VLAN_HLEN 4

/* "52:54:00:12:34:56 vlan 7 on eth0" */
static const char *key_text(const struct sfh_guest_key *key, char buf[KEY_TEXT])
{
	char mac[SFH_MAC_STRLEN], name[32];
	struct sfh_mac m;

	memcpy(m.b, key->mac, 6);
	(void)sfh_mac_format(&m, mac);
	(void)sfh_steer_ifname(key->pf_ifindex, name);
	if (key->vlan)
		(void)snprintf(buf, KEY_TEXT, "%s vlan %u on %.16s", mac, key->vlan, name);
	else
		(void)snprintf(buf, KEY_TEXT, "%s on %.16s", mac, name);
	return buf;
}

static uint32_t next_generation(uint32_t g)
{
	return g + 1 ? g + 1 : 1;
}

static int lookup(const struct sfh_steer *s, enum sfh_map map, const void *key, void *value)
{
	return bpf_map_lookup_elem(s->map[map], key, value) < 0 ? -errno : 0;
}

static int update(const struct sfh_steer *s, enum sfh_map map, const void *key, const void *value)
{
	return bpf_map_update_elem(s->map[map], key, value, BPF_ANY) < 0 ? -errno : 0;
}

/* What is not there is no failure. */
static int forget(const struct sfh_steer *s, enum sfh_map map, const void *key)
{
	return bpf_map_delete_elem(s->map[map], key) < 0 && errno != ENOENT ? -errno : 0;
}

static bool same_key(const struct sfh_guest_key *a, const struct sfh_guest_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- the bitmap of addresses, and the meter ------------------------------------------------- */

static uint32_t mac_bit(const uint8_t *mac)
{
	return sfh_mac_bit(sfh_mac_word(mac)) % SFH_MACS_BITS;
}

static void mac_used(struct sfh_steer *s, const uint8_t *mac)
{
	uint32_t bit = mac_bit(mac);

	s->mac_users[bit]++;
	__atomic_fetch_or(&s->macs->bits[bit / 64], 1ull << bit % 64, __ATOMIC_RELEASE);
}

static void mac_unused(struct sfh_steer *s, const uint8_t *mac)
{
	uint32_t bit = mac_bit(mac);

	if (s->mac_users[bit] && --s->mac_users[bit] == 0)
		__atomic_fetch_and(&s->macs->bits[bit / 64], ~(1ull << bit % 64),
				   __ATOMIC_RELEASE);
}

/* The programs may run meanwhile: first what is missing, then what is too much. */
int sfh_steer_recall_pairs(struct sfh_steer *s)
{
	struct sfh_guest_key key, next;
	uint64_t limit = 2ull * s->max_pairs;
	int more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], NULL, &next);

	memset(s->mac_users, 0, SFH_MACS_BITS * sizeof(*s->mac_users));
	while (more == 0 && limit--) {
		struct sfh_guest g;

		key = next;
		mac_used(s, key.mac);
		if (lookup(s, SFH_MAP_GUESTS, &key, &g) == 0 && g.slot < s->max_pairs) {
			s->slots[g.slot] = SFH_SLOT_TAKEN;
			sfh_steer_fast_publish(s, &key, &g);
		}
		more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], &key, &next);
	}
	for (size_t i = 0; i < SFH_MACS_BITS; i++)
		if (!s->mac_users[i] && s->macs->bits[i / 64] & 1ull << i % 64)
			__atomic_fetch_and(&s->macs->bits[i / 64], ~(1ull << i % 64),
					   __ATOMIC_RELEASE);
	return 0;
}

/* A new window of the meter; it opens when `g` is written. */
static int meter_restart(const struct sfh_steer *s, struct sfh_guest *g)
{
	static const struct sfh_meter zero;

	g->meter_until_ns = sfh_now_ns() + SFH_METER_WINDOW_NS;
	return update(s, SFH_MAP_METER, &g->slot, &zero);
}

/* The next one after the last that was given; -E2BIG if there is none. */
static int slot_find(struct sfh_steer *s, uint32_t *ret)
{
	for (uint32_t i = 0; i < s->max_pairs; i++) {
		uint32_t slot = (s->next_slot + i) % s->max_pairs;

		if (s->slots[slot] != SFH_SLOT_FREE)
			continue;
		*ret = slot;
		return 0;
	}
	return -E2BIG;
}

/* A program that found a pair may still send to its slot's device, and count there, while
 * the slot is given to another: so none is given before every program that ran when it
 * became free has ended. The kernel waits for that some 10 ms, at a process's first
 * pair and after so many others as there are slots. */
static void slots_settle(struct sfh_steer *s)
{
	/* Refused where a CPU has no tick: there the time that it takes to go round all
	 * slots has to do. */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	for (uint32_t i = 0; i < s->max_pairs; i++)
		if (s->slots[i] == SFH_SLOT_STALE)
			s->slots[i] = SFH_SLOT_FREE;
}

/* A slot, put back to zero. */
static int slot_take(struct sfh_steer *s, uint32_t *ret)
{
	_cleanup_free_ struct sfh_counters *zero = calloc((size_t)s->cpus, sizeof(*zero));
	_cleanup_free_ struct sfh_xdp_sent *unsent = calloc((size_t)s->cpus, sizeof(*unsent));
	static const struct sfh_meter no_meter;
	static const struct sfh_spread full;
	uint32_t slot;
	int r;

	if (!zero || !unsent)
		return -ENOMEM;
	r = slot_find(s, &slot);
	if (r < 0) {
		slots_settle(s);
		r = slot_find(s, &slot);
	}
	if (r == 0)
		r = forget(s, SFH_MAP_DEVMAP, &slot);
	if (r == 0)
		r = update(s, SFH_MAP_COUNTERS, &slot, zero);
	if (r == 0)
		r = update(s, SFH_MAP_XDP_SENT, &slot, unsent);
	if (r == 0)
		r = update(s, SFH_MAP_METER, &slot, &no_meter);
	if (r == 0)
		r = update(s, SFH_MAP_SPREAD, &slot, &full);
	if (r < 0)
		return r;
	s->slots[slot] = SFH_SLOT_TAKEN;
	s->next_slot = slot + 1;
	*ret = slot;
	return 0;
}

static void slot_give(struct sfh_steer *s, uint32_t slot)
{
	if (slot >= s->max_pairs)
		return;
	(void)forget(s, SFH_MAP_DEVMAP, &slot);
	s->slots[slot] = SFH_SLOT_STALE;
}

static bool armed(const struct sfh_guest *g, const struct sfh_guest_state *st)
{
	return g->armed || (g->arm_on_first_frame && st->seen_generation == g->generation);
}

static int read_pair(const struct sfh_steer *s, const struct sfh_guest_key *key,
		     struct sfh_guest *g, struct sfh_guest_state *st)
{
	int r = lookup(s, SFH_MAP_GUESTS, key, g);

	return r < 0 ? r : lookup(s, SFH_MAP_STATE, key, st);
}

/* The same, for a caller that a person reads. */
static int need_pair(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_guest *g,
		     struct sfh_guest_state *st, struct sfh_error *err)
{
	char buf[KEY_TEXT];
	int r = sfh_steer_writable(s, err);

	if (r < 0)
		return r;
	r = read_pair(s, key, g, st);
	if (r == -ENOENT)
		return sfh_err(err, r, "%s has no steering entry", key_text(key, buf));
	if (r < 0)
		return sfh_err(err, r, "cannot read the steering entry of %s: %s",
			       key_text(key, buf), strerror(-r));
	return 0;
}

int sfh_steer_put_guest(struct sfh_steer *s, const struct sfh_guest_key *key,
			const struct sfh_guest *g)
{
	int r;

	sfh_steer_fast_retract(s, key, g);
	r = update(s, SFH_MAP_GUESTS, key, g);
	if (r == 0)
		sfh_steer_fast_publish(s, key, g);
	return r;
}

static int write_guest(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_guest *g, struct sfh_error *err)
{
	int r = sfh_steer_put_guest(s, key, g);
	char buf[KEY_TEXT];

	if (r < 0)
		return sfh_err(err, r, "cannot write the steering entry of %s: %s",
			       key_text(key, buf), strerror(-r));
	return 0;
}

/* --- stage ----------------------------------------------------------------------------- */

static int check_key(const struct sfh_steer *s, const struct sfh_guest_key *key,
		     struct sfh_error *err)
{
	struct sfh_mac m;
	char buf[KEY_TEXT];

	memcpy(m.b, key->mac, 6);
	if (!key->pf_ifindex || sfh_mac_is_zero(&m) || sfh_mac_is_multicast(&m))
		return sfh_err(err, -EINVAL, "%s is no address of a guest's NIC",
			       key_text(key, buf));
	if (key->vlan > SFH_VLAN_MAX || key->vlan == s->park_vlan)
		return sfh_err(err, -EINVAL, "a guest cannot use VLAN %u: it is %s", key->vlan,
			       key->vlan == s->park_vlan ? "the parking VLAN" : "above 4094");
	return 0;
}

static struct sfh_guest_key parked_key(const struct sfh_guest_key *key)
{
	struct sfh_guest_key k = *key;

	k.vlan = 0;
	return k;
}

/* The standby device's entries; on failure none is left. What the devmap has changes
 * before the pair's entry does: either device is the pair's. */
static int map_standby(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_guest *pair, struct sfh_error *err)
{
	uint32_t ifindex = pair->standby_ifindex;
	struct sfh_guest_key other;
	struct sfh_guest g;
	char buf[KEY_TEXT], name[32];
	bool ours;
	int r;

	if (!ifindex || pair->standby_kind != SFH_STANDBY_TAP)
		(void)forget(s, SFH_MAP_DEVMAP, &pair->slot);
	if (!ifindex)
		return 0;
	ours = lookup(s, SFH_MAP_STANDBY, &ifindex, &other) == 0;
	if (ours && !same_key(&other, key) && lookup(s, SFH_MAP_GUESTS, &other, &g) == 0)
		return sfh_err(err, -EEXIST, "%s is the standby device of %s already",
			       sfh_steer_ifname(ifindex, name), key_text(&other, buf));
	r = update(s, SFH_MAP_STANDBY, &ifindex, key);
	if (r == 0 && pair->standby_kind == SFH_STANDBY_TAP)
		r = update(s, SFH_MAP_DEVMAP, &pair->slot, &ifindex);
	if (r < 0) {
		if (!ours)
			(void)forget(s, SFH_MAP_STANDBY, &ifindex);
		return sfh_err(err, r, "cannot make %s the standby device of %s: %s",
			       sfh_steer_ifname(ifindex, name), key_text(key, buf), strerror(-r));
	}
	return 0;
}

static void unmap_standby(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t ifindex)
{
	struct sfh_guest_key owner;

	if (!ifindex || lookup(s, SFH_MAP_STANDBY, &ifindex, &owner) < 0 || !same_key(&owner, key))
		return;
	(void)forget(s, SFH_MAP_STANDBY, &ifindex);
}

/* Everything of a pair but the entry in sfh_guests, which comes last and goes
 * first: the programs reach the others only through it. */
static void forget_pair(struct sfh_steer *s, const struct sfh_guest_key *key)
{
	struct sfh_guest_key alias = parked_key(key), owner;

	if (lookup(s, SFH_MAP_PARKED, &alias, &owner) == 0 && same_key(&owner, key))
		(void)forget(s, SFH_MAP_PARKED, &alias);
	(void)forget(s, SFH_MAP_STATE, key);
	(void)forget(s, SFH_MAP_PROBE, key);
	(void)forget(s, SFH_MAP_WARM, key);
}

static int create_pair(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_guest *g,
		       struct sfh_error *err)
{
	struct sfh_guest_key alias = parked_key(key), owner;
	const struct sfh_probe_seen unseen = {};
	const struct sfh_warm_view unknown = { .state = SFH_WARM_UNKNOWN };
	struct sfh_guest_state state = {};
	char buf[KEY_TEXT];
	bool has_slot;
	int r = slot_take(s, &g->slot);

	has_slot = r == 0;
	if (r == 0)
		r = update(s, SFH_MAP_STATE, key, &state);
	if (r == 0 && g->arm_on_first_frame)
		r = meter_restart(s, g);
	if (r == 0)
		r = update(s, SFH_MAP_PROBE, key, &unseen);
	if (r == 0)
		r = update(s, SFH_MAP_WARM, key, &unknown);
	/* With one MAC on several VLANs the first pair gets the frames in the parking
	 * VLAN, until sfh_steer_want_proof() says which one is really parked. */
	if (r == 0 && lookup(s, SFH_MAP_PARKED, &alias, &owner) == -ENOENT)
		r = update(s, SFH_MAP_PARKED, &alias, key);
	if (r == 0)
		r = map_standby(s, key, g, err);
	if (r == 0) {
		mac_used(s, key->mac);
		r = sfh_steer_put_guest(s, key, g);
		if (r == 0)
			return 0;
		mac_unused(s, key->mac);
		unmap_standby(s, key, g->standby_ifindex);
	}
	forget_pair(s, key);
	if (has_slot)
		slot_give(s, g->slot);
	if (r == -E2BIG)
		return sfh_err(err, r, "cannot steer %s: all %u steering entries are in use",
			       key_text(key, buf), s->max_pairs);
	return sfh_err(err, r, "cannot steer %s: %s", key_text(key, buf), strerror(-r));
}

static int change_pair(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_guest *old, const struct sfh_guest_state *seen,
		       struct sfh_guest *g, bool arm_on_first_frame, struct sfh_error *err)
{
	struct sfh_guest_state state;
	int r;

	if (armed(old, seen)) {
		/* Keep the trace of who armed it if that is still asked for. */
		if (!arm_on_first_frame || old->armed == SFH_ARMED_BY_USER) {
			g->armed = SFH_ARMED_BY_USER;
			g->arm_on_first_frame = 0;
		}
	} else {
		g->arm_on_first_frame = arm_on_first_frame;
		if (arm_on_first_frame)
			g->flags &= (uint8_t)~SFH_GUEST_ON_VF;
		if (arm_on_first_frame && !old->arm_on_first_frame) {
			g->generation = next_generation(g->generation);
			r = meter_restart(s, g);
			if (r < 0)
				return r;
		}
	}
	r = map_standby(s, key, g, err);
	if (r == 0)
		r = write_guest(s, key, g, err);
	if (r < 0) {
		if (g->standby_ifindex != old->standby_ifindex) {
			unmap_standby(s, key, g->standby_ifindex);
			(void)map_standby(s, key, old, NULL);
		}
		return r;
	}
	if (old->standby_ifindex != g->standby_ifindex)
		unmap_standby(s, key, old->standby_ifindex);
	/* The frame that it waited for may have come while we wrote that it need not wait
	 * any more; its event has been sent, so it counts. */
	if (old->arm_on_first_frame && !g->arm_on_first_frame && !g->armed &&
	    lookup(s, SFH_MAP_STATE, key, &state) == 0 && state.seen_generation == g->generation) {
		g->armed = SFH_ARMED_BY_USER;
		return write_guest(s, key, g, err);
	}
	return 0;
}

static int apply_policy(struct sfh_guest *g, const struct sfh_guest_key *key,
			const struct sfh_standby_policy *policy, struct sfh_error *err)
{
	uint16_t proto = policy->vlan_proto ? policy->vlan_proto : ETH_P_8021Q;

	if ((proto != ETH_P_8021Q && proto != ETH_P_8021AD) || policy->vlan_prio > 7)
		return sfh_err(err, -EINVAL, "0x%04x, priority %u is no VLAN tag", proto,
			       policy->vlan_prio);
	g->flags = (uint8_t)((g->flags & SFH_GUEST_ON_VF) | (policy->spoofchk ? SFH_GUEST_SPOOFCHK : 0));
	g->vlan_proto = key->vlan ? proto : 0;
	g->vlan_tci = key->vlan ? (uint16_t)(policy->vlan_prio << 13 | key->vlan) : 0;
	return 0;
}

int sfh_steer_stage(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t standby_ifindex,
		    enum sfh_standby_kind kind, bool arm_on_first_frame, struct sfh_error *err)
{
	return sfh_steer_stage_as(s, key, standby_ifindex, kind, arm_on_first_frame, NULL, err);
}

int sfh_steer_stage_as(struct sfh_steer *s, const struct sfh_guest_key *key,
		       uint32_t standby_ifindex, enum sfh_standby_kind kind, bool arm_on_first_frame,
		       const struct sfh_standby_policy *policy, struct sfh_error *err)
{
	static const struct sfh_standby_policy none;
	struct sfh_guest old, g = { .generation = 1, .arm_on_first_frame = arm_on_first_frame };
	struct sfh_guest_state state;
	char buf[KEY_TEXT];
	int r = sfh_steer_writable(s, err);

	if (r == 0)
		r = check_key(s, key, err);
	if (r < 0)
		return r;
	if ((unsigned int)kind >= _SFH_STANDBY_MAX)
		return sfh_err(err, -EINVAL, "%d is no kind of standby device", (int)kind);
	r = read_pair(s, key, &old, &state);
	if (r < 0 && r != -ENOENT)
		return sfh_err(err, r, "cannot read the steering entry of %s: %s",
			       key_text(key, buf), strerror(-r));
	if (r == 0)
		g = old;
	g.standby_ifindex = standby_ifindex;
	g.standby_kind = (uint8_t)kind;
	if (policy || r == -ENOENT) {
		int bad = apply_policy(&g, key, policy ? policy : &none, err);

		if (bad < 0)
			return bad;
	}
	if (r == -ENOENT)
		return create_pair(s, key, &g, err);
	return change_pair(s, key, &old, &state, &g, arm_on_first_frame, err);
}

/* The same MAC on another VLAN, if any, inherits the parking VLAN. */
static void inherit_alias(struct sfh_steer *s, const struct sfh_guest_key *alias)
{
	struct sfh_guest_key key, next, other;
	int more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], NULL, &next);

	while (more == 0) {
		key = next;
		other = parked_key(&key);
		if (same_key(&other, alias)) {
			(void)update(s, SFH_MAP_PARKED, alias, &key);
			return;
		}
		more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], &key, &next);
	}
}

int sfh_steer_unstage(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err)
{
	struct sfh_guest_key alias = parked_key(key), owner;
	struct sfh_guest g;
	char buf[KEY_TEXT];
	int r = sfh_steer_writable(s, err);

	if (r < 0)
		return r;
	if (lookup(s, SFH_MAP_GUESTS, key, &g) == 0) {
		sfh_steer_fast_retract(s, key, NULL);
		r = forget(s, SFH_MAP_GUESTS, key);
		if (r < 0)
			return sfh_err(err, r, "cannot forget the steering entry of %s: %s",
				       key_text(key, buf), strerror(-r));
		mac_unused(s, key->mac);
		slot_give(s, g.slot);
		unmap_standby(s, key, g.standby_ifindex);
	}
	forget_pair(s, key);
	if (lookup(s, SFH_MAP_PARKED, &alias, &owner) == -ENOENT)
		inherit_alias(s, &alias);
	return 0;
}

/* --- arm ---------------------------------------------------------------------------------- */

int sfh_steer_arm(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err)
{
	struct sfh_guest_state state;
	struct sfh_guest g;
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0 || armed(&g, &state))
		return r;
	g.armed = SFH_ARMED_BY_USER;
	g.arm_on_first_frame = 0;
	g.flags &= (uint8_t)~SFH_GUEST_ON_VF;
	g.generation = next_generation(g.generation);
	r = meter_restart(s, &g);
	return r < 0 ? r : write_guest(s, key, &g, err);
}

void sfh_steer_settle(struct sfh_steer *s, const struct sfh_event *ev)
{
	struct sfh_guest g;

	if (ev->type != SFH_EVENT_ARMED || lookup(s, SFH_MAP_GUESTS, &ev->key, &g) < 0 ||
	    g.generation != ev->generation || g.armed || !g.arm_on_first_frame)
		return;
	g.armed = SFH_ARMED_BY_FRAME;
	(void)sfh_steer_put_guest(s, &ev->key, &g); /* else the slower way goes on */
}

int sfh_steer_disarm(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err)
{
	struct sfh_guest_state state;
	struct sfh_guest g;
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0 || (!g.armed && !g.arm_on_first_frame))
		return r;
	g.armed = 0;
	g.arm_on_first_frame = 0;
	g.generation = next_generation(g.generation);
	return write_guest(s, key, &g, err);
}

int sfh_steer_on_vf(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err)
{
	struct sfh_guest_state state;
	struct sfh_guest g;
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0 || g.flags & SFH_GUEST_ON_VF)
		return r;
	g.armed = 0;
	g.arm_on_first_frame = 0;
	g.flags |= SFH_GUEST_ON_VF;
	g.generation = next_generation(g.generation);
	return write_guest(s, key, &g, err);
}

int sfh_steer_want_proof(struct sfh_steer *s, const struct sfh_guest_key *key, bool on,
			 struct sfh_error *err)
{
	struct sfh_guest_key alias = parked_key(key);
	struct sfh_guest_state state;
	struct sfh_guest g;
	char buf[KEY_TEXT];
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0)
		return r;
	if (on) {
		r = update(s, SFH_MAP_PARKED, &alias, key);
		if (r < 0)
			return sfh_err(err, r, "cannot watch the parking VLAN for %s: %s",
				       key_text(key, buf), strerror(-r));
		g.proof_generation = next_generation(state.proof_generation);
	} else {
		g.proof_generation = 0;
	}
	return write_guest(s, key, &g, err);
}

/* --- look --------------------------------------------------------------------------------- */

static void sum(struct sfh_counters *to, const struct sfh_counters *c)
{
	to->from_wire_frames += c->from_wire_frames;
	to->from_wire_bytes += c->from_wire_bytes;
	to->to_standby_frames += c->to_standby_frames;
	to->to_standby_bytes += c->to_standby_bytes;
	to->from_standby_frames += c->from_standby_frames;
	to->from_standby_bytes += c->from_standby_bytes;
	to->foreign_source_frames += c->foreign_source_frames;
	to->reflected_drops += c->reflected_drops;
	to->parked_drops += c->parked_drops;
	to->spoofed_drops += c->spoofed_drops;
	to->vlan_drops += c->vlan_drops;
}

static void sum_sent(struct sfh_counters *to, const struct sfh_xdp_sent *sent, bool untagged)
{
	to->from_wire_frames += sent->frames;
	to->from_wire_bytes += sent->bytes;
	to->to_standby_frames += sent->frames;
	to->to_standby_bytes += sent->bytes - (untagged ? VLAN_HLEN * sent->frames : 0);
}

int sfh_steer_get(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_pair_view *ret)
{
	_cleanup_free_ struct sfh_counters *c = calloc((size_t)s->cpus, sizeof(*c));
	_cleanup_free_ struct sfh_xdp_sent *sent = calloc((size_t)s->cpus, sizeof(*sent));
	struct sfh_guest_state st;
	struct sfh_pair_view v;
	struct sfh_meter meter;
	struct sfh_guest g;
	int r;

	if (!c || !sent)
		return -ENOMEM;
	r = read_pair(s, key, &g, &st);
	if (r == 0)
		r = lookup(s, SFH_MAP_COUNTERS, &g.slot, c);
	if (r == 0)
		r = lookup(s, SFH_MAP_XDP_SENT, &g.slot, sent);
	if (r == 0)
		r = lookup(s, SFH_MAP_METER, &g.slot, &meter);
	if (r < 0)
		return r;
	v = (struct sfh_pair_view){
		.key = *key,
		.standby_ifindex = g.standby_ifindex,
		.standby_kind = g.standby_kind,
		.armed = armed(&g, &st),
		.proof_wanted = g.proof_generation && g.proof_generation != st.proof_generation,
		.ip4 = st.ip4,
		.ip4_source = st.ip4_source,
		.generation = g.generation,
		.first_frame_ns = st.seen_generation == g.generation ? st.first_frame_ns : 0,
		.last_frame_ns = st.last_frame_ns,
		.proof_ns = st.proof_ns,
		.policy = { .spoofchk = g.flags & SFH_GUEST_SPOOFCHK, .vlan_proto = g.vlan_proto,
			    .vlan_prio = (uint8_t)(g.vlan_tci >> 13) },
		.meter_until_ns = g.meter_until_ns,
		.meter = meter,
	};
	v.armed_by_frame = v.armed && g.armed != SFH_ARMED_BY_USER;
	v.arm_on_first_frame = g.arm_on_first_frame && !v.armed;
	for (int i = 0; i < s->cpus; i++) {
		sum(&v.counters, &c[i]);
		sum_sent(&v.counters, &sent[i], g.vlan_proto);
	}
	*ret = v;
	return 0;
}

int sfh_steer_foreach(struct sfh_steer *s, int (*cb)(const struct sfh_pair_view *view, void *ctx),
		      void *ctx)
{
	struct sfh_guest_key key, next;
	/* A reader beside a writer that deletes may be sent back to the start. */
	uint64_t limit = 2ull * s->max_pairs;
	int more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], NULL, &next);

	while (more == 0 && limit--) {
		struct sfh_pair_view view;
		int r;

		key = next;
		/* Before cb, which may delete `key`. */
		more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], &key, &next);
		r = sfh_steer_get(s, &key, &view);
		if (r == -ENOENT)
			continue;
		if (r == 0)
			r = cb(&view, ctx);
		if (r != 0)
			return r;
	}
	return 0;
}

int sfh_steer_drops(struct sfh_steer *s, enum sfh_drop reason, uint64_t *ret)
{
	_cleanup_free_ uint64_t *n = calloc((size_t)s->cpus, sizeof(*n));
	uint32_t key = (uint32_t)reason;
	int r;

	if (!n)
		return -ENOMEM;
	r = lookup(s, SFH_MAP_DROPS, &key, n);
	if (r < 0)
		return r;
	*ret = 0;
	for (int i = 0; i < s->cpus; i++)
		*ret += n[i];
	return 0;
}

/* --- warm ------------------------------------------------------------------------------- */

int sfh_steer_warm_get(const struct sfh_steer *s, const struct sfh_guest_key *key,
		       struct sfh_warm_view *ret)
{
	return lookup(s, SFH_MAP_WARM, key, ret);
}

int sfh_steer_warm_set(struct sfh_steer *s, const struct sfh_guest_key *key,
		       const struct sfh_warm_view *view)
{
	int r = sfh_steer_writable(s, NULL);

	if (r < 0)
		return r;
	/* Not of a pair that has been forgotten. */
	return bpf_map_update_elem(s->map[SFH_MAP_WARM], key, view, BPF_EXIST) < 0 ? -errno : 0;
}
