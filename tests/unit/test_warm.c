// SPDX-License-Identifier: GPL-2.0-or-later
/* When standby legs are probed, and what the engine makes of the answers. */
#include <string.h>

#include "sfhybrid/cold.h"
#include "tests/unit/fakes.h"

#define INTERVAL 1000 /* ms */

static struct fake *f;

static void init(void)
{
	f = fake_new();
	f->probe_interval_ms = INTERVAL;
	fake_restart(f);
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(warm, .init = init, .fini = fini, .timeout = 30);

#define assert_warm(p, s, why)                                                                     \
	do {                                                                                       \
		cr_assert_eq((p)->warm.state, SFH_WARM_##s);                                       \
		cr_assert_str_eq(sfh_cold_name((p)->warm.cold), sfh_cold_name(SFH_COLD_##why));    \
	} while (0)

Test(warm, probed_once_an_interval_on_either_leg)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	fake_forget_calls(f);
	fake_sleep(f, 10 * INTERVAL);
	cr_assert_geq(fake_count(f, "warm_send"), 9);
	cr_assert_leq(fake_count(f, "warm_send"), 10);
	assert_warm(p, WARM, NONE);
	cr_assert_eq(p->warm.latency_ns, 1234);
	cr_assert_eq(p->warm.ring_us, 567);
	cr_assert_eq(p->warm.interval_ms, INTERVAL);
	cr_assert(fake_now - p->warm.proven_ns <= INTERVAL * FAKE_MS);
	cr_assert_str_eq(f->log, "", "what is as it should be is no event");
}

Test(warm, probed_on_the_vf_leg_without_touching_it)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_sleep(f, 2 * INTERVAL);
	fake_forget_calls(f);
	fake_sleep(f, 3 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_send"), 3);
	cr_assert_eq(fake_count(f, "warm_tell 1 0"), 3);
	assert_state(p, VF);
	assert_warm(p, WARM, NONE);
	cr_assert_eq(fake_count(f, "arm") + fake_count(f, "disarm") + fake_count(f, "stage") +
			     fake_count(f, "vf_set") + fake_count(f, "probe"),
		     0);
}

Test(warm, cold_within_two_intervals_and_warm_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_sleep(f, 3 * INTERVAL);
	/* Whenever it breaks. */
	for (int at = 0; at < 20; at++) {
		fake_sleep(f, at * INTERVAL / 20);
		f->cold = SFH_COLD_RING_STUCK;
		f->log[0] = '\0';
		fake_sleep(f, 2 * INTERVAL - 1);
		assert_warm(p, COLD, RING_STUCK);
		cr_assert(strstr(f->log, "is cold") && strstr(f->log, "ring-stuck"), "%s", f->log);
		f->log[0] = '\0';
		fake_sleep(f, 5 * INTERVAL);
		cr_assert_str_eq(f->log, "", "told once: %s", f->log);
		assert_state(p, VF);
		f->cold = SFH_COLD_NONE;
		fake_sleep(f, INTERVAL + 100);
		assert_warm(p, WARM, NONE);
	}
}

Test(warm, another_cause_is_another_event)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	f->cold = SFH_COLD_STANDBY_DOWN;
	fake_sleep(f, 3 * INTERVAL);
	assert_warm(p, COLD, STANDBY_DOWN);
	f->log[0] = '\0';
	f->cold = SFH_COLD_ENTRY;
	fake_sleep(f, 2 * INTERVAL);
	assert_warm(p, COLD, ENTRY);
	cr_assert(strstr(f->log, "entry-missing"), "%s", f->log);
}

Test(warm, a_guest_that_boots_is_left_alone)
{
	struct sfh_pair *p;

	f->first_frame = f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	f->cold = SFH_COLD_RING_STUCK;
	fake_sleep(f, 5 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_send"), 0);
	assert_warm(p, UNKNOWN, NONE);
	f->cold = SFH_COLD_NONE;
	f->address = true;
	fake_first_frame(f, p);
	fake_sleep(f, 2 * INTERVAL);
	assert_warm(p, WARM, NONE);
}

Test(warm, a_guest_that_leaves_is_left_alone)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LEAVING);

	f->cold = SFH_COLD_RING_STUCK; /* its CPUs will stop */
	fake_sleep(f, INTERVAL / 2);
	fake_forget_calls(f);
	fake_sleep(f, 5 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_send"), 0);
	assert_warm(p, UNKNOWN, NONE);
	cr_assert_null(strstr(f->log, "cold"), "%s", f->log);
	f->cold = SFH_COLD_NONE;
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	fake_sleep(f, 2 * INTERVAL);
	assert_warm(p, WARM, NONE);
}

Test(warm, off_costs_nothing)
{
	f->probe_interval_ms = 0;
	fake_restart(f);
	(void)fake_pair_in(f, SFH_PAIR_VF);
	sfh_engine_warm_look(&f->e);
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX, "something would wake the agent");
	fake_sleep(f, 5 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_"), 0);
}

/* `set NET probe-interval=…` while guests run. */
Test(warm, another_interval_holds_at_once)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_sleep(f, 2 * INTERVAL);
	fake_forget_calls(f);
	sfh_engine_network_changed(&f->e, "blue", false, 0, INTERVAL / 10);
	fake_sleep(f, INTERVAL);
	cr_assert_geq(fake_count(f, "warm_send"), 9);
	cr_assert_leq(fake_count(f, "warm_send"), 10);
	cr_assert_eq(p->warm.interval_ms, INTERVAL / 10);
	sfh_engine_network_changed(&f->e, "blue", false, 0, 0);
	fake_forget_calls(f);
	fake_sleep(f, 5 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_send"), 0);
	assert_warm(p, UNKNOWN, NONE);
	sfh_engine_network_changed(&f->e, "blue", false, 0, INTERVAL);
	fake_sleep(f, 2 * INTERVAL);
	assert_warm(p, WARM, NONE);
}

Test(warm, a_network_that_went_down_ends_it)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	fake_sleep(f, 2 * INTERVAL);
	assert_warm(p, WARM, NONE);
	sfh_engine_network_remove(&f->e, "blue");
	fake_sleep(f, 2 * INTERVAL);
	cr_assert_eq(fake_count(f, "warm_stop 0"), 1);
	assert_warm(p, UNKNOWN, NONE);
}

/* A late loop does not make up for what it missed. */
Test(warm, no_burst_after_a_pause)
{
	(void)fake_pair_in(f, SFH_PAIR_STANDBY);
	fake_sleep(f, 2 * INTERVAL);
	fake_forget_calls(f);
	fake_now += 100 * INTERVAL * FAKE_MS;
	sfh_engine_tick(&f->e);
	fake_sleep(f, 2 * INTERVAL);
	cr_assert_leq(fake_count(f, "warm_send"), 4);
}

Test(warm, the_shortest_interval)
{
	struct sfh_pair *p;

	f->probe_interval_ms = 10;
	fake_restart(f);
	p = fake_pair_in(f, SFH_PAIR_STANDBY);
	fake_sleep(f, 20);
	fake_forget_calls(f);
	fake_sleep(f, 1000);
	cr_assert(fake_count(f, "warm_send") >= 98 && fake_count(f, "warm_send") <= 101, "%u",
		  fake_count(f, "warm_send"));
	assert_warm(p, WARM, NONE);
	f->cold = SFH_COLD_LOST;
	fake_sleep(f, 100);
	assert_warm(p, COLD, LOST);
}

Test(warm, names_are_stable)
{
	cr_assert_str_eq(sfh_cold_name(SFH_COLD_RING_STUCK), "ring-stuck");
	cr_assert_str_eq(sfh_cold_name((enum sfh_cold)999), "unknown");
	for (int i = 0; i < _SFH_COLD_MAX; i++) {
		cr_assert_str_neq(sfh_cold_name(i), "unknown", "number %d was taken out", i);
		cr_assert(sfh_cold_text(i)[0]);
	}
}
