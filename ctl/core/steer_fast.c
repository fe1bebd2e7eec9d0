// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh_fast: what is in sfh_guests once more, for the programs' short way. The rule for
 * every moment, also the one at which this process dies: an entry that is there says what
 * sfh_guests says. One may be missing. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <sys/mman.h>

/* The programs rely on loads that stay in order. */
#if defined(__x86_64__)
#define FAST_USABLE true
#else
#define FAST_USABLE false
#endif

#define MAP_BYTES (SFH_FAST_BUCKETS * sizeof(struct sfh_fast_bucket))

static bool same_key(const struct sfh_guest_key *a, const struct sfh_guest_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* What a pair's entry has to say; false if it must have none. */
static bool wanted(const struct sfh_guest_key *key, const struct sfh_guest *g,
		   struct sfh_fast *ret)
{
	const uint64_t round_up = (1ull << SFH_FAST_METER_SHIFT) - 1;
	uint64_t until = g->meter_until_ns;

	if (!FAST_USABLE || !g->armed || !g->standby_ifindex ||
	    g->standby_kind == SFH_STANDBY_NONE || g->flags & SFH_GUEST_ON_VF ||
	    g->backlog_ifindex)
		return false;
	until = until > UINT64_MAX - round_up ? UINT32_MAX :
						(until + round_up) >> SFH_FAST_METER_SHIFT;
	*ret = (struct sfh_fast){
		.key = *key,
		.standby_ifindex = g->standby_ifindex,
		.slot = g->slot,
		.meter_until = until > UINT32_MAX ? UINT32_MAX : (uint32_t)until,
		.vlan_proto = g->vlan_proto,
		.standby_kind = g->standby_kind,
	};
	return true;
}

static bool says(const struct sfh_fast *entry, const struct sfh_fast *want)
{
	return entry->seq % 2 == 0 && memcmp((const char *)entry + sizeof(entry->seq),
					     (const char *)want + sizeof(want->seq),
					     sizeof(*entry) - sizeof(entry->seq)) == 0;
}

/* A program that reads meanwhile finds `seq` odd, or changed. */
static void write_entry(struct sfh_fast *entry, const struct sfh_fast *new)
{
	uint32_t seq = entry->seq | 1;

	__atomic_store_n(&entry->seq, seq, __ATOMIC_SEQ_CST);
	memcpy((char *)entry + sizeof(seq), (const char *)new + sizeof(seq),
	       sizeof(*entry) - sizeof(seq));
	__atomic_store_n(&entry->seq, seq + 1, __ATOMIC_SEQ_CST);
}

static void clear_entry(struct sfh_fast *entry)
{
	static const struct sfh_fast none;

	write_entry(entry, &none);
}

static struct sfh_fast *find(const struct sfh_steer *s, const struct sfh_guest_key *key,
			     const struct sfh_guest_key *pair)
{
	struct sfh_fast_bucket *b = &s->fast[sfh_fast_index(sfh_mac_word(pair->mac))];

	for (size_t i = 0; i < SFH_FAST_WAYS; i++)
		if (same_key(&b->way[i].key, key))
			return &b->way[i];
	return NULL;
}

void sfh_steer_fast_retract(struct sfh_steer *s, const struct sfh_guest_key *key,
			    const struct sfh_guest *g)
{
	struct sfh_fast *entry = find(s, key, key), want;

	if (entry && !(g && wanted(key, g, &want) && says(entry, &want)))
		clear_entry(entry);
}

void sfh_steer_fast_publish(struct sfh_steer *s, const struct sfh_guest_key *key,
			    const struct sfh_guest *g)
{
	static const struct sfh_guest_key nobody;
	struct sfh_fast *entry = find(s, key, key), want;

	if (!wanted(key, g, &want) || (entry && says(entry, &want)))
		return;
	if (!entry)
		entry = find(s, &nobody, key);
	if (entry)
		write_entry(entry, &want);
	/* Else its bucket is full: the full way has it. */
}

/* Of whom it is, that is still staged, and says the same. */
static bool is_right(const struct sfh_steer *s, const struct sfh_fast *entry, size_t bucket)
{
	struct sfh_guest g;
	struct sfh_fast want;

	return sfh_fast_index(sfh_mac_word(entry->key.mac)) == bucket &&
	       bpf_map_lookup_elem(s->map[SFH_MAP_GUESTS], &entry->key, &g) == 0 &&
	       wanted(&entry->key, &g, &want) && says(entry, &want);
}

/* Counts entries that say something else than sfh_guests; takes them out if `mend`. */
static uint32_t walk(struct sfh_steer *s, bool mend)
{
	uint32_t wrong = 0;

	for (size_t i = 0; i < (size_t)SFH_FAST_BUCKETS * SFH_FAST_WAYS; i++) {
		struct sfh_fast *entry = &s->fast[i / SFH_FAST_WAYS].way[i % SFH_FAST_WAYS];

		if (entry->seq % 2 == 0 &&
		    (!entry->key.pf_ifindex || is_right(s, entry, i / SFH_FAST_WAYS)))
			continue;
		wrong++;
		if (mend)
			clear_entry(entry);
	}
	return wrong;
}

int sfh_steer_fast_open(struct sfh_steer *s)
{
	int prot = s->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	void *at = mmap(NULL, MAP_BYTES, prot, MAP_SHARED, s->map[SFH_MAP_FAST], 0);

	if (at == MAP_FAILED)
		return -errno;
	s->fast = at;
	if (!s->read_only)
		(void)walk(s, true);
	return 0;
}

void sfh_steer_fast_close(struct sfh_steer *s)
{
	if (s->fast)
		(void)munmap(s->fast, MAP_BYTES);
	s->fast = NULL;
}

uint32_t sfh_steer_fast_check(struct sfh_steer *s)
{
	uint32_t wrong = walk(s, false);

	/* One that a writer in another process was at is right a moment later. */
	for (int i = 0; i < 3 && wrong; i++)
		wrong = walk(s, false);
	return wrong;
}

int sfh_steer_fast_mend(struct sfh_steer *s, struct sfh_error *err)
{
	struct sfh_guest_key key, next;
	struct sfh_guest g;
	int r = sfh_steer_writable(s, err), more;

	if (r < 0)
		return r;
	(void)walk(s, true);
	more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], NULL, &next);
	while (more == 0) {
		key = next;
		if (bpf_map_lookup_elem(s->map[SFH_MAP_GUESTS], &key, &g) == 0)
			sfh_steer_fast_publish(s, &key, &g);
		more = bpf_map_get_next_key(s->map[SFH_MAP_GUESTS], &key, &next);
	}
	return 0;
}
