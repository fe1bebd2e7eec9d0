// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs, staged and armed: map updates only. The rules of who writes what are in abi.h. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <stdio.h>

#define KEY_TEXT 64

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

static bool same_key(const struct sfh_guest_key *a, const struct sfh_guest_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* A new window of the meter; it opens when `g` is written. */
static int meter_restart(const struct sfh_steer *s, struct sfh_guest *g)
{
	static const struct sfh_meter zero;

	g->meter_until_ns = sfh_now_ns() + SFH_METER_WINDOW_NS;
	return sfh_map_put(s, SFH_MAP_METER, &g->slot, &zero);
}

bool sfh_steer_armed(const struct sfh_guest *g, const struct sfh_guest_state *st)
{
	return g->armed || (g->arm_on_first_frame && st->seen_generation == g->generation);
}

int sfh_steer_read_pair(const struct sfh_steer *s, const struct sfh_guest_key *key,
		     struct sfh_guest *g, struct sfh_guest_state *st)
{
	int r = sfh_map_get(s, SFH_MAP_GUESTS, key, g);

	return r < 0 ? r : sfh_map_get(s, SFH_MAP_STATE, key, st);
}

/* The same, for a caller that a person reads. */
static int need_pair(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_guest *g,
		     struct sfh_guest_state *st, struct sfh_error *err)
{
	char buf[KEY_TEXT];
	int r = sfh_steer_writable(s, err);

	if (r < 0)
		return r;
	r = sfh_steer_read_pair(s, key, g, st);
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
	r = sfh_map_put(s, SFH_MAP_GUESTS, key, g);
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
		(void)sfh_map_forget(s, SFH_MAP_DEVMAP, &pair->slot);
	if (!ifindex)
		return 0;
	ours = sfh_map_get(s, SFH_MAP_STANDBY, &ifindex, &other) == 0;
	if (ours && !same_key(&other, key) && sfh_map_get(s, SFH_MAP_GUESTS, &other, &g) == 0)
		return sfh_err(err, -EEXIST, "%s is the standby device of %s already",
			       sfh_steer_ifname(ifindex, name), key_text(&other, buf));
	r = sfh_map_put(s, SFH_MAP_STANDBY, &ifindex, key);
	if (r == 0 && pair->standby_kind == SFH_STANDBY_TAP)
		r = sfh_map_put(s, SFH_MAP_DEVMAP, &pair->slot, &ifindex);
	if (r < 0) {
		if (!ours)
			(void)sfh_map_forget(s, SFH_MAP_STANDBY, &ifindex);
		return sfh_err(err, r, "cannot make %s the standby device of %s: %s",
			       sfh_steer_ifname(ifindex, name), key_text(key, buf), strerror(-r));
	}
	return 0;
}

static void unmap_standby(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t ifindex)
{
	struct sfh_guest_key owner;

	if (!ifindex || sfh_map_get(s, SFH_MAP_STANDBY, &ifindex, &owner) < 0 || !same_key(&owner, key))
		return;
	(void)sfh_map_forget(s, SFH_MAP_STANDBY, &ifindex);
}

/* Everything of a pair but the entry in sfh_guests, which comes last and goes
 * first: the programs reach the others only through it. */
static void forget_pair(struct sfh_steer *s, const struct sfh_guest_key *key)
{
	struct sfh_guest_key alias = parked_key(key), owner;

	if (sfh_map_get(s, SFH_MAP_PARKED, &alias, &owner) == 0 && same_key(&owner, key))
		(void)sfh_map_forget(s, SFH_MAP_PARKED, &alias);
	(void)sfh_map_forget(s, SFH_MAP_STATE, key);
	(void)sfh_map_forget(s, SFH_MAP_PROBE, key);
	(void)sfh_map_forget(s, SFH_MAP_WARM, key);
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
	int r = sfh_steer_slot_take(s, &g->slot);

	has_slot = r == 0;
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_STATE, key, &state);
	if (r == 0 && g->arm_on_first_frame)
		r = meter_restart(s, g);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_PROBE, key, &unseen);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_WARM, key, &unknown);
	/* With one MAC on several VLANs the first pair gets the frames in the parking
	 * VLAN, until sfh_steer_want_proof() says which one is really parked. */
	if (r == 0 && sfh_map_get(s, SFH_MAP_PARKED, &alias, &owner) == -ENOENT)
		r = sfh_map_put(s, SFH_MAP_PARKED, &alias, key);
	if (r == 0)
		r = map_standby(s, key, g, err);
	if (r == 0) {
		sfh_steer_mac_used(s, key->mac);
		r = sfh_steer_put_guest(s, key, g);
		if (r == 0)
			return 0;
		sfh_steer_mac_unused(s, key->mac);
		unmap_standby(s, key, g->standby_ifindex);
	}
	forget_pair(s, key);
	if (has_slot)
		sfh_steer_slot_give(s, g->slot);
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

	if (sfh_steer_armed(old, seen)) {
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
	    sfh_map_get(s, SFH_MAP_STATE, key, &state) == 0 && state.seen_generation == g->generation) {
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
	r = sfh_steer_read_pair(s, key, &old, &state);
	if (r < 0 && r != -ENOENT)
		return sfh_err(err, r, "cannot read the steering entry of %s: %s",
			       key_text(key, buf), strerror(-r));
	if (r == 0)
		g = old;
	g.standby_ifindex = standby_ifindex;
	g.standby_kind = (uint8_t)kind;
	g.backlog_ifindex = 0;
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
			(void)sfh_map_put(s, SFH_MAP_PARKED, alias, &key);
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
	if (sfh_map_get(s, SFH_MAP_GUESTS, key, &g) == 0) {
		sfh_steer_fast_retract(s, key, NULL);
		r = sfh_map_forget(s, SFH_MAP_GUESTS, key);
		if (r < 0)
			return sfh_err(err, r, "cannot forget the steering entry of %s: %s",
				       key_text(key, buf), strerror(-r));
		sfh_steer_mac_unused(s, key->mac);
		sfh_steer_slot_give(s, g.slot);
		unmap_standby(s, key, g.standby_ifindex);
	}
	forget_pair(s, key);
	if (sfh_map_get(s, SFH_MAP_PARKED, &alias, &owner) == -ENOENT)
		inherit_alias(s, &alias);
	return 0;
}

/* --- arm ---------------------------------------------------------------------------------- */

int sfh_steer_arm(struct sfh_steer *s, const struct sfh_guest_key *key, struct sfh_error *err)
{
	struct sfh_guest_state state;
	struct sfh_guest g;
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0 || sfh_steer_armed(&g, &state))
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

	if (ev->type != SFH_EVENT_ARMED || sfh_map_get(s, SFH_MAP_GUESTS, &ev->key, &g) < 0 ||
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

int sfh_steer_backlog(struct sfh_steer *s, const struct sfh_guest_key *key, uint32_t ifindex,
		      struct sfh_error *err)
{
	struct sfh_guest_state state;
	struct sfh_guest g;
	int r = need_pair(s, key, &g, &state, err);

	if (r < 0 || g.backlog_ifindex == ifindex)
		return r;
	g.backlog_ifindex = ifindex;
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
		r = sfh_map_put(s, SFH_MAP_PARKED, &alias, key);
		if (r < 0)
			return sfh_err(err, r, "cannot watch the parking VLAN for %s: %s",
				       key_text(key, buf), strerror(-r));
		g.proof_generation = next_generation(state.proof_generation);
	} else {
		g.proof_generation = 0;
	}
	return write_guest(s, key, &g, err);
}
