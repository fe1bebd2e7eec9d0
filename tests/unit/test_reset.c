// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that is reset: its firmware talks, boots from the network at times, and knows of
 * no VF. */
#include <string.h>

#include "tests/unit/fakes.h"

static struct fake *f;

static void init(void)
{
	f = fake_new();
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(reset, .init = init, .fini = fini, .timeout = 30);

static struct sfh_pair *reset_on_its_vf(void)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	fake_event(f, SFH_EV_RESET);
	assert_state(p, PROVING);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	return p;
}

Test(reset, on_its_vf_firmware_has_the_standby_leg)
{
	struct sfh_pair *p = reset_on_its_vf();
	struct sfh_ledger_pair row;

	fake_assert_order(f, "arm", "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094", NULL);
	cr_assert(fake_armed(f, p));
	cr_assert(p->filtered);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(fake_count(f, "unplug"), 0, "nobody is there to hear it");
	cr_assert(fake_row(f, GUEST, &row) && !row.negotiated, "a restart knows it too");
	cr_assert_str_eq(f->last.cause, "reset");
	cr_assert(f->last.ok && !f->last.to_vf);
	/* It takes its time, and talks. */
	fake_first_frame(f, p);
	fake_sleep(f, 120000);
	assert_state(p, PROVING);
	cr_assert_eq(fake_count(f, "probe"), 0);
	cr_assert(sfh_pair_at_rest(p), "whoever waits has his answer");
	cr_assert_eq(fake_leases(f), 1);
}

Test(reset, its_vf_carries_again_when_it_is_proven)
{
	struct sfh_pair *p = reset_on_its_vf();

	fake_sleep(f, 60000);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PROVING);
	assert_reason(p, NONE);
	cr_assert_not(sfh_pair_at_rest(p));
	fake_sleep(f, 100);
	cr_assert_gt(fake_count(f, "probe"), 10);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_not(fake_armed(f, p));
	cr_assert_not(p->filtered);
	cr_assert_eq(fake_count(f, "plug"), 0, "it had it all along");
	cr_assert(f->last.ok && f->last.to_vf);
	cr_assert_str_eq(f->last.cause, "reset");
	cr_assert_eq(f->last.end_ns - f->last.begin_ns, 100 * FAKE_MS, "not the time of its boot");
}

Test(reset, a_vf_that_speaks_first_is_proven)
{
	struct sfh_pair *p = reset_on_its_vf();

	fake_event(f, SFH_EV_PROOF); /* igbvf came before virtio_net */
	assert_state(p, VF);
	cr_assert_str_eq(f->last.cause, "reset");
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, VF);
	cr_assert(p->negotiated);
}

Test(reset, a_system_that_never_negotiates_loses_its_vf_in_the_end)
{
	struct sfh_pair *p = reset_on_its_vf();

	f->address = true;
	fake_sleep(f, SFH_BOOT_DEADLINE_MS - 1);
	assert_state(p, PROVING);
	fake_sleep(f, 1);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

Test(reset, firmware_that_hears_no_unplug_keeps_the_standby_leg)
{
	struct sfh_pair *p = reset_on_its_vf();

	fake_event(f, SFH_EV_HOLD);
	assert_state(p, UNPLUGGING);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, PROVING);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert(fake_armed(f, p));
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	assert_state(p, PROVING);
}

Test(reset, on_its_standby_leg_firmware_gets_no_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	fake_event(f, SFH_EV_RESET);
	assert_reason(p, BY_REQUEST);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, STANDBY);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	fake_first_frame(f, p);
	fake_event(f, SFH_EV_CONSIDER);
	fake_sleep(f, 10000);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_leases(f), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

/* The proof's deadline is for a guest whose drivers run. */
Test(reset, in_the_middle_of_a_switch_it_says_nothing_of_its_driver)
{
	static const enum sfh_pair_state states[] = { SFH_PAIR_LEASING, SFH_PAIR_PLUGGING,
						      SFH_PAIR_PROVING };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(states); i++) {
		struct sfh_pair *p = fake_pair_in(f, states[i]);

		f->address = true;
		fake_event(f, SFH_EV_RESET);
		if (states[i] == SFH_PAIR_LEASING)
			fake_sleep(f, SFH_LEASE_RETRY_MS);
		fake_event(f, SFH_EV_PLUGGED);
		fake_sleep(f, 2ull * SFH_PROOF_DEADLINE_MS);
		assert_state(p, PROVING);
		assert_reason(p, STANDBY_NOT_NEGOTIATED);
		fake_event(f, SFH_EV_NEGOTIATED);
		fake_event(f, SFH_EV_PROOF);
		assert_state(p, VF);
		cr_assert_not(p->no_driver);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

Test(reset, qemu_takes_a_vf_that_was_asked_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_event(f, SFH_EV_ACCELERATE);
	fake_event(f, SFH_EV_RESET); /* whichever comes first */
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert_eq(fake_leases(f), 0);
}

Test(reset, a_driver_that_is_at_its_own_reset_is_asked_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_VF_SET, EAGAIN, 0, 2);
	fake_event(f, SFH_EV_RESET);
	assert_state(p, PROVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_sleep(f, 2 * SFH_LEASE_RETRY_MS);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_forget_calls(f);
	fake_sleep(f, 10000);
	cr_assert_eq(fake_count(f, "vf_set"), 0);
	assert_state(p, PROVING);
}

/* It does not say when it is there again, and takes frames from both legs. */
Test(reset, a_bond_keeps_its_vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);
	struct sfh_pair *p;

	nic.bond = true;
	f->first_frame = f->address = true;
	sfh_engine_guest_running(&f->e, &g, false);
	p = sfh_engine_pair(&f->e, GUEST, &mac_a);
	assert_state(p, PLUGGING);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_RESET);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	fake_event(f, SFH_EV_RESET);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

Test(reset, where_nothing_can_be_parked_all_stays)
{
	struct sfh_pair *p;

	f->pf[0].can_park = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
	fake_event(f, SFH_EV_RESET);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

static struct sfh_pair *found_by_the_next_agent(void)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	fake_restart(f);
	nic.has_vf = true;
	nic.vf = (struct sfh_bdf){ .bus = 10, .slot = 0 };
	sfh_engine_guest_running(&f->e, &g, true);
	return sfh_engine_pair(&f->e, GUEST, &mac_a);
}

Test(reset, an_agent_that_starts_under_firmware_goes_on)
{
	struct sfh_pair *p;

	(void)reset_on_its_vf();
	p = found_by_the_next_agent();
	assert_state(p, PROVING);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert(fake_armed(f, p));
	fake_sleep(f, 2ull * SFH_PROOF_DEADLINE_MS);
	assert_state(p, PROVING);
	cr_assert_eq(fake_count(f, "probe"), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

/* A VF that is parked since its plug is asked for its proof, as before. */
Test(reset, an_agent_that_starts_under_a_plug_goes_on)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_PROVING);
	p = found_by_the_next_agent();
	assert_state(p, PROVING);
	fake_sleep(f, 100);
	cr_assert_gt(fake_count(f, "probe"), 10);
}

/* --- whose word it is --------------------------------------------------------------------- */

static void qemu_says_negotiated(void)
{
	sfh_engine_negotiated(&f->e, GUEST, &mac_a);
}

Test(reset, after_a_reset_qemu_is_asked_whether_it_meant_it)
{
	struct sfh_pair *p = reset_on_its_vf();

	qemu_says_negotiated(); /* of iPXE, after Linux */
	cr_assert_eq(fake_count(f, "ask-negotiated 52:54:00:00:00:0a claimed"), 1);
	assert_state(p, PROVING);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	fake_sleep(f, 2ull * SFH_PROOF_DEADLINE_MS);
	assert_state(p, PROVING);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_forget_calls(f);
	qemu_says_negotiated();
	assert_state(p, STANDBY);
	cr_assert_eq(fake_count(f, "ask-negotiated 52:54:00:00:00:0a claimed"), 1);
	fake_event(f, SFH_EV_NEGOTIATED); /* its answer */
	assert_state(p, PLUGGING);
}

Test(reset, without_one_its_word_is_enough)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	qemu_says_negotiated();
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 0);
	sfh_engine_negotiated(&f->e, OTHER, &mac_b); /* nobody */
}

Test(reset, an_agent_that_was_away_asks)
{
	struct sfh_pair *p;

	(void)reset_on_its_vf();
	p = found_by_the_next_agent();
	qemu_says_negotiated();
	cr_assert_eq(fake_count(f, "ask-negotiated 52:54:00:00:00:0a claimed"), 1);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
}

/* --- a reset in the middle of a switch --------------------------------------------------- */

/* The VF is its own again, and firmware hears nothing there. */
Test(reset, a_guest_that_was_reset_and_keeps_its_vf_has_its_standby_leg)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_RESET);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, PROVING);
	cr_assert(fake_armed(f, p));
	cr_assert(p->parked);
}

Test(reset, proven_before_it_was_plugged_and_reset_then)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PROOF);
	fake_event(f, SFH_EV_RESET);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, PROVING);
	cr_assert(fake_armed(f, p));
	cr_assert(p->parked);
}

/* A driver that is at its reset says EAGAIN; a guest that boots fast has negotiated before it
 * is asked again. */
Test(reset, parking_that_was_put_off_is_done_though_the_guest_is_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_VF_SET, EAGAIN, 0, 1);
	fake_event(f, SFH_EV_RESET);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_sleep(f, SFH_LEASE_RETRY_MS);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	assert_state(p, PROVING);
}

/* Nobody asked it: that it has no driver for the VF is not known. */
Test(reset, a_guest_that_boots_for_ever_is_not_said_to_lack_a_driver)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_event(f, SFH_EV_RESET);
	fake_sleep(f, SFH_BOOT_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	cr_assert_not(p->no_driver);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_neq(p->reason, SFH_REASON_NO_VF_DRIVER);
}

/* Firmware showed an address, the system none yet. It may well have the same. */
Test(reset, silence_at_firmwares_address_says_nothing_of_the_driver)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	f->ip4_ns = fake_now;
	fake_sleep(f, 1000);
	qemu_says_negotiated();
	fake_event(f, SFH_EV_PLUGGED);
	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, SILENT);
	fake_sleep(f, 60000);
	assert_state(p, STANDBY);
	f->ip4_ns = 0; /* it shows it */
	fake_sleep(f, SFH_ADDRESS_RETRY_MS);
	assert_state(p, PLUGGING);
	fake_event(f, SFH_EV_PLUGGED);
	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_reason(p, NO_VF_DRIVER);
}
