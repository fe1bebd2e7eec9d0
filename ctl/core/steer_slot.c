// SPDX-License-Identifier: GPL-2.0-or-later
/* What the pairs of a datapath share, and this process counts: the bitmap of their
 * addresses, and the slots at which each has its counters, its meter and its place in
 * the devmap. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- the bitmap of addresses --------------------------------------------------------------- */

static uint32_t mac_bit(const uint8_t *mac)
{
	return sfh_mac_bit(sfh_mac_word(mac)) % SFH_MACS_BITS;
}

void sfh_steer_mac_used(struct sfh_steer *s, const uint8_t *mac)
{
	uint32_t bit = mac_bit(mac);

	s->mac_users[bit]++;
	__atomic_fetch_or(&s->macs->bits[bit / 64], 1ull << bit % 64, __ATOMIC_RELEASE);
}

void sfh_steer_mac_unused(struct sfh_steer *s, const uint8_t *mac)
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
		sfh_steer_mac_used(s, key.mac);
		if (sfh_map_get(s, SFH_MAP_GUESTS, &key, &g) == 0 && g.slot < s->max_pairs) {
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

/* --- slots -------------------------------------------------------------------------------- */

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

int sfh_steer_slot_take(struct sfh_steer *s, uint32_t *ret)
{
	_cleanup_free_ struct sfh_counters *zero = calloc((size_t)s->cpus, sizeof(*zero));
	_cleanup_free_ struct sfh_relayed *none = calloc((size_t)s->cpus, sizeof(*none));
	static const struct sfh_meter no_meter;
	static const struct sfh_spread full;
	uint32_t slot;
	int r;

	if (!zero || !none)
		return -ENOMEM;
	r = slot_find(s, &slot);
	if (r < 0) {
		slots_settle(s);
		r = slot_find(s, &slot);
	}
	if (r == 0)
		r = sfh_map_forget(s, SFH_MAP_DEVMAP, &slot);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_COUNTERS, &slot, zero);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_RELAYED, &slot, none);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_METER, &slot, &no_meter);
	if (r == 0)
		r = sfh_map_put(s, SFH_MAP_SPREAD, &slot, &full);
	if (r < 0)
		return r;
	s->slots[slot] = SFH_SLOT_TAKEN;
	s->next_slot = slot + 1;
	*ret = slot;
	return 0;
}

void sfh_steer_slot_give(struct sfh_steer *s, uint32_t slot)
{
	if (slot >= s->max_pairs)
		return;
	(void)sfh_map_forget(s, SFH_MAP_DEVMAP, &slot);
	s->slots[slot] = SFH_SLOT_STALE;
}
