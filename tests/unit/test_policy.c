// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets a VF, and when none is given although one is free. */
#include <string.h>

#include "tests/unit/fakes.h"

static struct fake *f;
static bool no_memory;
static unsigned asked;

static void init(void)
{
	f = fake_new();
	no_memory = false;
	asked = 0;
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(policy, .init = init, .fini = fini, .timeout = 30);

/* --- priority ------------------------------------------------------------------------- */

static struct sfh_pair *waits(const char *uuid, const struct sfh_mac *mac, int priority)
{
	struct sfh_guest_nic nic = fake_nic(mac);
	struct sfh_guest_desc g = fake_guest(uuid, &nic, 1);
	struct sfh_pair *p;

	nic.priority = priority;
	sfh_engine_guest_running(&f->e, &g, false);
	p = sfh_engine_pair(&f->e, uuid, mac);
	cr_assert(p);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_reason(p, NO_FREE_VF);
	return p;
}

Test(policy, the_highest_priority_is_first_when_a_vf_frees)
{
	static const char *const uuids[] = { "00000001-0-0-0-0", "00000002-0-0-0-0",
					     "00000003-0-0-0-0", "00000004-0-0-0-0" };
	static const int priorities[] = { 1, 7, 7, 3 };
	/* of equals the one that waits longest */
	static const int order[] = { 1, 2, 3, 0 };
	struct sfh_pair *p[4];

	f->pf[0].nvfs = 1;
	(void)fake_pair_in(f, SFH_PAIR_VF);
	for (int i = 0; i < 4; i++)
		p[i] = waits(uuids[i], &(struct sfh_mac){ { 2, 0, 0, 0, 0, (uint8_t)(i + 1) } },
			     priorities[i]);
	fake_event(f, SFH_EV_STOPPED);
	for (int i = 0; i < 4; i++) {
		fake_sleep(f, 10);
		assert_state(p[order[i]], PLUGGING);
		for (int k = i + 1; k < 4; k++)
			assert_reason(p[order[k]], NO_FREE_VF);
		cr_assert_eq(fake_leases(f), 1);
		sfh_pair_dispatch(&f->e, p[order[i]], SFH_EV_STOPPED, NULL);
	}
	cr_assert_eq(fake_leases(f), 0);
}

/* --- damping ------------------------------------------------------------------------------ */

/* One switch to the VF that libvirt refuses, begun by itself. */
static bool flaps(struct sfh_pair *p)
{
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	if (p->state != SFH_PAIR_PLUGGING)
		return false;
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUG_FAILED, "no");
	return true;
}

Test(policy, a_pair_that_flaps_is_left_in_peace_for_a_while)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	for (int i = 0; i < SFH_DAMP_SWITCHES; i++) {
		cr_assert(flaps(p), "switch %d", i);
		fake_sleep(f, 100);
	}
	cr_assert_not(flaps(p));
	assert_state(p, STANDBY);
	assert_reason(p, DAMPED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(fake_count(f, "plug"), SFH_DAMP_SWITCHES);
	/* and gets its VF by itself when the oldest of them is a minute ago */
	fake_sleep(f, SFH_DAMP_WINDOW_MS - 100 * SFH_DAMP_SWITCHES - 50);
	assert_reason(p, DAMPED);
	fake_sleep(f, 100);
	assert_state(p, PLUGGING);
}

Test(policy, what_a_person_asks_for_is_not_damped)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	while (flaps(p))
		;
	assert_reason(p, DAMPED);
	sfh_pair_dispatch(&f->e, p, SFH_EV_ACCELERATE, "request");
	assert_state(p, PLUGGING);
}

/* --- memory ---------------------------------------------------------------------------------- */

static int can_pin(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	(void)ctx, (void)p;
	asked++;
	return no_memory ? sfh_err(err, -ENOMEM, "the host can spare 100 MiB of 4096") : 0;
}

Test(policy, a_guest_that_the_host_cannot_spare_stays_unpinned)
{
	struct sfh_kernel_ops ops = *f->e.kernel;
	struct sfh_pair *p;

	ops.can_pin = can_pin;
	f->e.kernel = &ops;
	no_memory = true;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, STANDBY);
	assert_reason(p, MEMORY);
	cr_assert(strstr(p->detail, "100 MiB of 4096"), "%s", p->detail);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(fake_count(f, "plug"), 0);
	/* it is looked at again, and not all the time */
	fake_sleep(f, SFH_MEMORY_RETRY_MS - 1);
	cr_assert_eq(asked, 1);
	no_memory = false;
	fake_sleep(f, 2);
	cr_assert_eq(asked, 2);
	assert_state(p, PLUGGING);
}

/* Whose memory is populated before it arrives: only that of a guest with a VF waiting, on a
 * host that can spare it. */
Test(policy, an_arrival_pins_with_a_vf_and_memory_only)
{
	struct sfh_kernel_ops ops = *f->e.kernel;
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	ops.can_pin = can_pin;
	f->e.kernel = &ops;
	cr_assert_not(sfh_engine_guest_pins(&f->e, &g), "nobody arrives");
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert(sfh_engine_guest_pins(&f->e, &g));
	no_memory = true;
	cr_assert_not(sfh_engine_guest_pins(&f->e, &g));
}

Test(policy, a_vf_that_frees_goes_past_a_guest_without_memory)
{
	struct sfh_kernel_ops ops = *f->e.kernel;
	struct sfh_pair *p, *q;

	f->pf[0].nvfs = 1;
	ops.can_pin = can_pin;
	f->e.kernel = &ops;
	(void)fake_pair_in(f, SFH_PAIR_VF);
	p = waits("00000001-0-0-0-0", &mac_b, 5);
	q = waits("00000002-0-0-0-0", &mac_c, 0);
	no_memory = true;
	fake_event(f, SFH_EV_STOPPED);
	sfh_engine_tick(&f->e);
	assert_reason(p, MEMORY);
	no_memory = false;
	fake_sleep(f, 10);
	assert_state(q, PLUGGING);
}
