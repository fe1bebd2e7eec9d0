// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh_fast, the programs' short way: it acts, it says what sfh_guests says at every
 * moment, and who finds nothing in it still finds his pair. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

TestSuite(fast, .init = bench_init, .fini = bench_fini, .timeout = 120);

static struct sfh_fast *entry_of(const struct sfh_guest_key *key)
{
	struct sfh_fast_bucket *b = &T.s->fast[sfh_fast_index(sfh_mac_word(key->mac))];

	for (size_t i = 0; i < SFH_FAST_WAYS; i++)
		if (memcmp(&b->way[i].key, key, sizeof(*key)) == 0)
			return &b->way[i];
	return NULL;
}

static void forget_behind_its_back(const struct sfh_guest_key *key)
{
	cr_assert_eq(bpf_map_delete_elem(T.s->map[SFH_MAP_GUESTS], key), 0);
}

static void to_guest_on(uint16_t vlan, enum hook hook, enum verdict want)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, vlan ? TAG(vlan) : 0, 0);

	cr_assert_eq(run_pf(hook, T.pf, &f), want);
}

static void reopen(void)
{
	sfh_steer_close(&T.s);
	T.s = steer_open();
}

/* A frame that still reaches the tap without an entry in sfh_guests went the short way. */
Test(fast, the_short_way_is_taken)
{
	const enum hook hooks[] = { HOOK_TC, HOOK_XDP };

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_not_null(entry_of(&T.key));
	entry_of(&T.key)->meter_until = 0; /* the window is over */
	forget_behind_its_back(&T.key);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(hooks); i++)
		to_guest_on(0, hooks[i], REDIRECT);
	/* A tag that has only a priority, and one of a VLAN, are not plain. */
	for (size_t i = 0; i < SFH_ARRAY_SIZE(hooks); i++) {
		expect(hooks[i], PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(0x6000), 0));
		expect(hooks[i], PASS, mk_frame(MAC_GUEST, MAC_PEER, TAG(7), 0));
	}
}

Test(fast, an_entry_that_is_being_written_is_not_used)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	entry_of(&T.key)->meter_until = 0;
	entry_of(&T.key)->seq++;
	to_guest_on(0, HOOK_TC, REDIRECT); /* the full way */
	to_guest_on(0, HOOK_XDP, REDIRECT);
	forget_behind_its_back(&T.key);
	to_guest_on(0, HOOK_TC, PASS);
	to_guest_on(0, HOOK_XDP, PASS);
}

Test(fast, metered_frames_take_the_full_way)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_neq(entry_of(&T.key)->meter_until, 0);
	to_guest_on(0, HOOK_XDP, REDIRECT);
	cr_assert_eq(view_of(T.s, &T.key).meter.to_guest.frames, 1);
	forget_behind_its_back(&T.key);
	to_guest_on(0, HOOK_XDP, PASS);
}

Test(fast, only_what_acts_has_an_entry)
{
	struct sfh_guest_key key = T.key;

	stage(&key, T.tap, SFH_STANDBY_TAP, true);
	cr_assert_null(entry_of(&key), "staged");
	cr_assert_eq(sfh_steer_arm(T.s, &key, NULL), 0);
	cr_assert_not_null(entry_of(&key), "armed");
	cr_assert_eq(sfh_steer_disarm(T.s, &key, NULL), 0);
	cr_assert_null(entry_of(&key), "disarmed");
	to_guest_on(0, HOOK_XDP, PASS);
	cr_assert_eq(sfh_steer_arm(T.s, &key, NULL), 0);
	stage(&key, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert_eq(entry_of(&key)->standby_ifindex, T.tap2, "another device");
	stage(&key, T.tap2, SFH_STANDBY_MACVTAP, false);
	cr_assert_eq(entry_of(&key)->standby_kind, SFH_STANDBY_MACVTAP);
	to_guest_on(0, HOOK_XDP, PASS);
	stage(&key, 0, SFH_STANDBY_NONE, false);
	cr_assert_null(entry_of(&key), "no device");
	stage(&key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_not_null(entry_of(&key));
	cr_assert_eq(sfh_steer_unstage(T.s, &key, NULL), 0);
	cr_assert_null(entry_of(&key), "forgotten");
	to_guest_on(0, HOOK_TC, PASS);
}

Test(fast, armed_by_its_first_frame)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	run_from_guest(T.tap, &f);
	to_guest_on(0, HOOK_XDP, REDIRECT); /* nobody has told user space yet */
	cr_assert_null(entry_of(&T.key));
	cr_assert_eq(take_events(T.s, NULL), 1);
	cr_assert_not_null(entry_of(&T.key));
	to_guest_on(0, HOOK_XDP, REDIRECT);
}

/* One bucket, two places: one MAC on two PFs and two VLANs. Each gets its own frames. */
Test(fast, no_room_and_one_address_many_times)
{
	struct sfh_guest_key keys[] = { T.key, mk_key(T.pf, MAC_GUEST, 7),
					mk_key(T.other_pf, MAC_GUEST, 0),
					mk_key(T.other_pf, MAC_GUEST, 7) };
	size_t n = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(keys); i++) {
		stage_armed(&keys[i], i == 0 ? T.tap : i == 1 ? T.tap2 : 0,
			    i < 2 ? SFH_STANDBY_TAP : SFH_STANDBY_NONE);
		n += entry_of(&keys[i]) != NULL;
	}
	cr_assert_eq(n, 2);
	stage(&keys[0], 0, SFH_STANDBY_TAP, false);
	stage(&keys[2], T.tap, SFH_STANDBY_TAP, false);
	cr_assert_not_null(entry_of(&keys[2]));
	stage(&keys[1], 0, SFH_STANDBY_TAP, false);
	stage(&keys[3], T.tap2, SFH_STANDBY_TAP, false);
	cr_assert_not_null(entry_of(&keys[3]));
	to_guest_on(0, HOOK_TC, PASS);
	to_guest_on(7, HOOK_TC, PASS);
	sh("ip tuntap add tap2 mode tap && ip tuntap add tap3 mode tap");
	stage(&keys[0], ifindex_of("tap2"), SFH_STANDBY_TAP, false);
	cr_assert_null(entry_of(&keys[0]), "no room");
	to_guest_on(0, HOOK_TC, REDIRECT);
	cr_assert_eq(view_of(T.s, &keys[0]).counters.from_wire_frames, 1);
	cr_assert_eq(view_of(T.s, &keys[2]).counters.from_wire_frames, 0);
	cr_assert_eq(sfh_steer_fast_check(T.s), 0);
}

Test(fast, what_disagrees_is_found_and_mended)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	stage_armed(&other, T.tap2, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_fast_check(T.s), 0);
	entry_of(&T.key)->standby_ifindex = T.tap2;
	entry_of(&other)->seq++;
	cr_assert_eq(sfh_steer_fast_check(T.s), 2);
	cr_assert_eq(sfh_steer_fast_mend(T.s, NULL), 0);
	cr_assert_eq(sfh_steer_fast_check(T.s), 0);
	cr_assert_eq(entry_of(&T.key)->standby_ifindex, T.tap);
	cr_assert_not_null(entry_of(&other));

	entry_of(&T.key)->slot++;
	forget_behind_its_back(&other);
	cr_assert_eq(sfh_steer_fast_check(T.s), 2);
	reopen();
	cr_assert_eq(sfh_steer_fast_check(T.s), 0);
	cr_assert_not_null(entry_of(&T.key));
	cr_assert_null(entry_of(&other));
}

/* Entries that act (an odd number is none) and do not say what sfh_guests says. */
static size_t entries_that_lie(void)
{
	size_t n = 0;

	for (size_t i = 0; i < (size_t)SFH_FAST_BUCKETS * SFH_FAST_WAYS; i++) {
		const struct sfh_fast *e = &T.s->fast[i / SFH_FAST_WAYS].way[i % SFH_FAST_WAYS];
		struct sfh_guest g;

		if (e->seq % 2 || !e->key.pf_ifindex)
			continue;
		n += bpf_map_lookup_elem(T.s->map[SFH_MAP_GUESTS], &e->key, &g) < 0 || !g.armed ||
		     g.standby_ifindex != e->standby_ifindex || g.slot != e->slot ||
		     g.standby_kind != e->standby_kind || g.vlan_proto != e->vlan_proto;
	}
	return n;
}

static void change_for_ever(void)
{
	for (unsigned int i = 0;; i++) {
		bool one = i % 2;

		(void)sfh_steer_stage(T.s, &T.key, one ? T.tap : T.tap2,
				      i % 3 ? SFH_STANDBY_TAP : SFH_STANDBY_MACVTAP, i % 5 == 0, NULL);
		(void)sfh_steer_arm(T.s, &T.key, NULL);
		if (i % 3 == 1)
			(void)sfh_steer_disarm(T.s, &T.key, NULL);
		if (i % 4 == 3)
			(void)sfh_steer_unstage(T.s, &T.key, NULL);
	}
}

Test(fast, a_writer_that_is_killed_leaves_no_lie)
{
	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		cr_assert_geq(pid, 0);
		if (pid == 0)
			change_for_ever();
		(void)usleep(40000 + (useconds_t)(i * 1777));
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert_eq(entries_that_lie(), 0);
		reopen();
		cr_assert_eq(sfh_steer_fast_check(T.s), 0);
		cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	}
}

/* The guest's side of the same: counted at the pair's slot, whoever the frame is for. */
Test(fast, to_the_guest_without_a_lookup_in_a_hash)
{
	struct frame mine = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct frame other = mk_frame(MAC_OTHER, MAC_PEER, 0, 0);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	entry_of(&T.key)->meter_until = 0;
	run_to_guest(T.tap, &mine);
	run_to_guest(T.tap, &other); /* flooded */
	run_to_guest(T.tap2, &mine); /* nobody's device */
	cr_assert_eq(view_of(T.s, &T.key).counters.to_standby_frames, 2);
	cr_assert_eq(view_of(T.s, &T.key).counters.to_standby_bytes, mine.len + other.len);
}
