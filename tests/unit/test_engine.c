// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine's stories: to the VF and back, away and here, after a restart. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes.c" /* once in the binary: unit.mk builds test_*.c only */

static struct fake *f;

static void init(void)
{
	f = fake_new();
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(engine, .init = init, .fini = fini, .timeout = 30);

static bool armed(const struct sfh_pair *p)
{
	const struct fake_entry *entry = fake_entry_of(f, p);

	return entry && entry->armed;
}

/* --- to-vf ---------------------------------------------------------------------------- */

Test(engine, from_the_start_to_the_vf)
{
	struct sfh_pair *p;

	f->first_frame = f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_assert_order(f, "standby_attach macvtap0", "stage 100", NULL);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, SILENT);
	f->address = true;
	fake_first_frame(f, p);
	cr_assert(armed(p), "the first frame armed it");
	assert_state(p, PLUGGING);
	assert_reason(p, NONE);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, PROVING);
	cr_assert(armed(p), "until the proof the standby leg carries");
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_not(armed(p));
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_assert_order(f, "stage", "filter", "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094",
			  "want_proof 1", "plug 0000:0a:00.0", "vf_set 100 0 mac=- vlan=0", "on_vf",
			  "unfilter", NULL);
	cr_assert_eq(fake_count(f, "plug"), 1);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(f->log, "");
}

/* QEMU says it once, and an agent that was not connected never hears it. */
Test(engine, a_guest_that_talks_is_asked_what_it_negotiated)
{
	struct sfh_pair *p;

	f->first_frame = f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 0, "it has said nothing yet");
	f->address = true;
	fake_first_frame(f, p);
	fake_assert_order(f, "ask-negotiated 52:54:00:00:00:0a", NULL);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	fake_event(f, SFH_EV_NEGOTIATED); /* QEMU's answer */
	assert_state(p, PLUGGING);
	fake_forget_calls(f);
	fake_event(f, SFH_EV_PLUG_FAILED);
	fake_event(f, SFH_EV_ACCELERATE);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 0, "what is known is not asked");
}

Test(engine, a_guest_that_arrived_is_asked_what_it_negotiated)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	fake_first_frame(f, p);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 0, "its CPUs do not run here");
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 1);
}

/* The NIC's switch is told where the guest is: not before it runs here, and from the
 * moment that it let go of its VF. */
Test(engine, a_guest_that_arrives_gets_into_the_filter_when_it_speaks)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	cr_assert_eq(fake_count(f, "filter"), 0, "it still runs on the source");
	fake_first_frame(f, p);
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "filter"), 1);
}

Test(engine, off_the_vf_a_guest_is_in_the_filter_at_once)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_forget_calls(f);
	fake_first_frame(f, p);
	fake_assert_order(f, "vf_set 100 0 mac=00:00:00:00:00:00 vlan=0", "filter", NULL);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(fake_count(f, "filter"), 1);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(f->nfiltered, 0);
}

Test(engine, kept_on_the_vf_a_guest_leaves_the_filter)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_first_frame(f, p);
	cr_assert_eq(f->nfiltered, 1);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, VF);
	cr_assert_eq(f->nfiltered, 0);
}

/* No room in the NIC: a warning, and on it goes. */
Test(engine, a_full_filter_stops_nothing)
{
	struct sfh_pair *p;

	fake_fail(f, OP_FILTER, ENOSPC, 0, 1);
	p = fake_start(f, GUEST, &mac_a);
	cr_assert(strstr(f->log, "OP_FILTER"), "%s", f->log);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

Test(engine, what_is_recorded_of_a_switch)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);
	static const char *const steps[] = { "leased", "plugged", "proved", "unparked" };

	fake_event(f, SFH_EV_NEGOTIATED);
	fake_sleep(f, 900);
	fake_event(f, SFH_EV_PLUGGED);
	fake_sleep(f, 50);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_eq(f->nswitches, 1);
	cr_assert(f->last.to_vf && f->last.ok);
	cr_assert_str_eq(f->last.cause, "start");
	cr_assert_str_eq(f->last.domain, GUEST);
	cr_assert_str_eq(f->last.domain_name, "guest-1111");
	cr_assert_str_eq(f->last.network, "blue");
	cr_assert_str_eq(f->last.vf_bdf, "0000:0a:00.0");
	cr_assert(sfh_mac_equal(&f->last.mac, &mac_a));
	cr_assert_eq(f->last.end_ns - f->last.begin_ns, 950 * FAKE_MS);
	cr_assert_eq(f->last.nsteps, SFH_ARRAY_SIZE(steps));
	for (size_t i = 0; i < SFH_ARRAY_SIZE(steps); i++)
		cr_expect_str_eq(f->last.steps[i].name, steps[i]);
	cr_assert_eq(f->last.steps[1].at_ns - f->last.begin_ns, 900 * FAKE_MS);
	cr_assert_eq(f->last.steps[3].at_ns - f->last.begin_ns, 950 * FAKE_MS);
}

Test(engine, proof_before_libvirt_has_answered)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PROOF);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A, "unparked at once: each ms costs frames");
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
	cr_assert_not(armed(p));
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_count(f, "vf_set 100 0 mac=-"), 1);
}

Test(engine, probing_from_the_plug_to_the_proof)
{
	(void)fake_pair_in(f, SFH_PAIR_PLUGGING);
	fake_sleep(f, 10);
	cr_assert_eq(fake_count(f, "probe"), 10 / SFH_PROBE_INTERVAL_MS + 1);
	fake_event(f, SFH_EV_PLUGGED);
	fake_sleep(f, 10);
	cr_assert_eq(fake_count(f, "probe"), 20 / SFH_PROBE_INTERVAL_MS + 1);
	fake_event(f, SFH_EV_PROOF);
	fake_forget_calls(f);
	fake_sleep(f, 60000);
	cr_assert_eq(fake_count(f, ""), 0, "a pair at rest costs nothing: %s", f->calls);
}

Test(engine, plug_refused)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUG_FAILED, "QEMU: no free PCIe port");
	assert_state(p, STANDBY);
	assert_reason(p, PLUG_FAILED);
	cr_assert_str_eq(p->detail, "QEMU: no free PCIe port");
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_not(p->has_lease);
	cr_assert_not(fake_entry_of(f, p)->proof, "no proof is waited for");
	cr_assert_eq(f->nswitches, 1);
	cr_assert(!f->last.ok && strstr(f->last.error, "no free PCIe port"));
	fake_forget_calls(f);
	fake_sleep(f, 60000);
	cr_assert_eq(fake_count(f, ""), 0, "neither probed nor retried: %s", f->calls);
}

Test(engine, plug_refused_after_the_proof)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PROOF);
	fake_event(f, SFH_EV_PLUG_FAILED);
	assert_state(p, STANDBY);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(fake_entry_of(f, p)->armed, "its standby leg is served again");
}

Test(engine, libvirt_cannot_even_be_asked)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_PLUG, ENOTCONN, 0, 1);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, STANDBY);
	assert_reason(p, PLUG_FAILED);
	cr_assert_neq(p->detail[0], 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, an_unpark_that_is_refused_is_not_the_vf_leg)
{
	/* A VF that stays parked carries nothing to the wire: whoever calls that
	 * "vf" and disarms has cut the guest off. */
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_fail(f, OP_VF_SET, EIO, 0, 1);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_not(p->state == SFH_PAIR_VF && strcmp(fake_vf(f, 0, 0), PARKED_A) == 0,
		      "state vf, and the VF is parked");
}

/* --- waiting for the guest to talk ------------------------------------------------------- */

Test(engine, the_address_is_waited_for)
{
	struct sfh_pair *p;

	f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, SILENT);
	fake_sleep(f, 500);
	assert_state(p, STANDBY);
	f->address = true;
	fake_sleep(f, 50);
	assert_state(p, PLUGGING);
}

Test(engine, a_guest_without_ipv4_is_plugged_all_the_same)
{
	struct sfh_pair *p;

	f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_sleep(f, SFH_ADDRESS_WAIT_MS - 50);
	assert_state(p, STANDBY);
	fake_sleep(f, 100);
	assert_state(p, PLUGGING);
}

Test(engine, a_silent_guest_waits_without_polling)
{
	struct sfh_pair *p;

	f->first_frame = f->address = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, SILENT);
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX);
	fake_fail(f, OP_SEEN, EIO, 0, -1);
	fake_event(f, SFH_EV_CONSIDER);
	assert_reason(p, SILENT);
	cr_assert_eq(fake_count(f, "plug"), 0);
}

/* --- why not -------------------------------------------------------------------------------- */

Test(engine, not_adopted)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.adopted = false;
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(f->e.pairs, NOT_ADOPTED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(fake_entry_of(f, f->e.pairs), "its standby leg is served");
}

Test(engine, policy_never)
{
	struct sfh_engine_network net = { .name = "blue", .never = true, .npfs = 1,
					  .pfs = { "pf0" }, .pf_ifindex = { 100 } };
	struct sfh_pair *p;

	cr_assert_eq(sfh_engine_network_add(&f->e, &net), 0);
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, POLICY_NEVER);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_reason(p, POLICY_NEVER);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, paused)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	p->running = false;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, PAUSED);
	cr_assert_eq(fake_leases(f), 0);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
}

Test(engine, network_down)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	sfh_engine_network_remove(&f->e, "blue");
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, NETWORK_DOWN);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, not_negotiated_until_it_is)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);
	struct sfh_ledger_pair row;

	fake_event(f, SFH_EV_ACCELERATE);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert_geq(f->settled, 1, "the user gets an answer");
	cr_assert(fake_row(f, GUEST, &row));
	cr_assert_str_eq(row.reason, "standby-not-negotiated");
	cr_assert_eq(fake_leases(f), 0);
}

/* --- no proof ---------------------------------------------------------------------------------- */

Test(engine, a_guest_without_the_vfs_driver)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_sleep(f, SFH_PROOF_DEADLINE_MS - 1);
	assert_state(p, PROVING);
	fake_sleep(f, 1);
	assert_state(p, UNPLUGGING);
	cr_assert_eq(fake_count(f, "unplug"), 1);
	cr_assert_not(fake_entry_of(f, p)->proof);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, NO_VF_DRIVER);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(armed(p));
	/* not again, until its drivers were loaded anew */
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_event(f, SFH_EV_CONSIDER);
	fake_sleep(f, 600000);
	assert_state(p, STANDBY);
	assert_reason(p, NO_VF_DRIVER);
	cr_assert_eq(fake_count(f, "plug"), 1);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

Test(engine, no_proof_is_a_failed_switch)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	cr_assert_eq(f->nswitches, 1);
	cr_assert(f->last.to_vf && !f->last.ok);
	cr_assert(strstr(f->last.error, "carried no frame"), "%s", f->last.error);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(f->nswitches, 2);
	cr_assert(!f->last.to_vf && f->last.ok);
	cr_assert_str_eq(f->last.cause, "no-vf-driver");
	fake_event(f, SFH_EV_ACCELERATE); /* the user knows better */
	assert_state(p, PLUGGING);
}

/* --- to-standby ---------------------------------------------------------------------------------- */

Test(engine, standby_by_hand_and_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	fake_event(f, SFH_EV_HOLD);
	assert_state(p, UNPLUGGING);
	fake_assert_order(f, "stage 100", "unplug 52:54:00:00:00:0a", NULL);
	cr_assert(fake_entry_of(f, p)->on_first_frame, "staged: BPF may arm it before we hear");
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A, "the VF carries until the guest lets go");
	fake_sleep(f, 300);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
	cr_assert(armed(p));
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_not(f->last.to_vf);
	cr_assert(f->last.ok);
	cr_assert_eq(f->last.end_ns - f->last.begin_ns, 300 * FAKE_MS);
	/* it stays there */
	fake_event(f, SFH_EV_CONSIDER);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_sleep(f, 600000);
	assert_reason(p, BY_REQUEST);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, PLUGGING);
	cr_assert_not(p->held);
}

Test(engine, arms_before_it_zeroes_the_mac)
{
	(void)fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	fake_forget_calls(f);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_assert_order(f, "arm", "vf_set 100 0 mac=00:00:00:00:00:00 vlan=0", NULL);
}

Test(engine, held_while_on_standby)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);
	struct sfh_ledger_pair row;

	fake_event(f, SFH_EV_HOLD);
	assert_reason(p, BY_REQUEST);
	cr_assert(fake_row(f, GUEST, &row) && row.held, "a restart knows it too");
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_count(f, "plug"), 0);
}

Test(engine, held_during_the_plug_gives_way_after_it)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_HOLD);
	assert_state(p, PLUGGING);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, the_guest_keeps_the_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUG_FAILED, "no answer from the guest");
	assert_state(p, VF);
	cr_assert_not(armed(p));
	cr_assert_not(fake_entry_of(f, p)->on_first_frame);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_not(p->held);
	cr_assert(!f->last.to_vf && !f->last.ok);
	cr_assert_str_eq(f->last.error, "no answer from the guest");
	cr_assert_str_eq(p->detail, "no answer from the guest");
}

Test(engine, unplugging_has_a_deadline)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS - 1);
	assert_state(p, UNPLUGGING);
	fake_sleep(f, 1);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert(strstr(p->detail, "did not let go"), "%s", p->detail);
}

Test(engine, libvirt_cannot_be_asked_to_unplug)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_UNPLUG, ENOTCONN, 0, 1);
	fake_event(f, SFH_EV_HOLD);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_leases(f), 1);
}

Test(engine, an_unproven_vf_that_the_guest_keeps_is_not_the_vf_leg)
{
	/* Told to give way while proving, and the unplug fails: the VF is still in
	 * the parking VLAN. Calling that "vf" and disarming cuts the guest off. */
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	cr_assert_not(p->state == SFH_PAIR_VF && strcmp(fake_vf(f, 0, 0), PARKED_A) == 0,
		      "state vf, and the VF is parked");
}

Test(engine, a_mac_that_stays_is_told)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert(strstr(f->log, "VF 0 of 'pf0' keeps the guest's MAC"), "%s", f->log);
	cr_assert_eq(fake_leases(f), 1, "and its row stays");
}

Test(engine, steering_that_fails_is_told_and_nothing_else_stops)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_fail(f, OP_ARM, EIO, 0, 1);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert(strstr(f->log, "OP_ARM"), "%s", f->log);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

/* --- migration, source ---------------------------------------------------------------------------- */

#define THERE "qemu+ssh://there/system"

static int migrate(void)
{
	return sfh_engine_migrate(&f->e, GUEST, THERE, NULL);
}

Test(engine, leaving_from_the_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	cr_assert_eq(migrate(), 0);
	assert_state(p, UNPLUGGING);
	cr_assert_eq(fake_count(f, "migrate"), 0, "the XML would still hold the VF");
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, LEAVING);
	assert_reason(p, MIGRATING);
	cr_assert_eq(fake_count(f, "migrate " GUEST " " THERE), 1);
	fake_assert_order(f, "unplug", "arm", "vf_set 100 0 mac=00:00:00:00:00:00", "migrate", NULL);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 1, "the VF is held until Confirm");
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, 0);
	fake_assert_nothing_left(f);
}

Test(engine, leaving_from_standby)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	fake_forget_calls(f);
	cr_assert_eq(migrate(), 0);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_count(f, "migrate"), 1);
	cr_assert_eq(fake_count(f, "unplug"), 0);
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	fake_assert_nothing_left(f);
}

Test(engine, leaving_waits_for_the_switch_under_way)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	cr_assert_eq(migrate(), 0);
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_count(f, "migrate"), 0);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, PROVING);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_count(f, "migrate"), 1);
}

Test(engine, leaving_after_a_plug_that_failed)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	cr_assert_eq(migrate(), 0);
	fake_event(f, SFH_EV_PLUG_FAILED);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_count(f, "migrate"), 1);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

static void two_nics(struct sfh_pair **p, struct sfh_pair **q)
{
	*p = fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	*q = fake_second_in(f, GUEST, &mac_b, SFH_PAIR_VF);
	fake_forget_calls(f);
}

Test(engine, libvirt_is_asked_when_all_pairs_have_left)
{
	struct sfh_pair *p, *q;

	two_nics(&p, &q);
	cr_assert_eq(migrate(), 0);
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	assert_state(p, LEAVING);
	assert_state(q, UNPLUGGING);
	cr_assert_eq(fake_count(f, "migrate"), 0, "one VF is still in the XML");
	sfh_pair_dispatch(&f->e, q, SFH_EV_UNPLUGGED, NULL);
	cr_assert_eq(fake_count(f, "migrate"), 1);
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	cr_assert_eq(f->nmigrated, 1);
	fake_assert_nothing_left(f);
}

Test(engine, one_of_two_keeps_its_vf_and_the_migration_is_refused)
{
	struct sfh_pair *p, *q;

	two_nics(&p, &q);
	cr_assert_eq(migrate(), 0);
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	sfh_pair_dispatch(&f->e, q, SFH_EV_UNPLUG_FAILED, "the guest is deaf");
	assert_state(q, VF);
	assert_state(p, PLUGGING); /* it gets its VF back */
	cr_assert_eq(fake_count(f, "migrate"), 0);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_lt(f->migrated, 0);
	cr_assert_str_eq(f->migrated_error, "the guest is deaf");
	cr_assert_null(f->e.migrations);
	cr_assert_not(p->leaving || q->leaving);
}

Test(engine, a_refusal_at_once_leaves_no_pair_leaving)
{
	struct sfh_pair *p, *q;

	two_nics(&p, &q);
	fake_fail(f, OP_UNPLUG, ENOTCONN, 0, 1); /* of the first that is asked */
	(void)migrate();
	cr_assert_eq(f->nmigrated, 1, "told once");
	cr_assert_lt(f->migrated, 0);
	/* whichever the second is: it must come to rest on a leg of its own */
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_UNPLUGGED, NULL);
	cr_expect_not(p->state == SFH_PAIR_LEAVING || p->leaving, "%s", sfh_pair_state_name(p->state));
	cr_expect_not(q->state == SFH_PAIR_LEAVING || q->leaving, "%s", sfh_pair_state_name(q->state));
}

Test(engine, a_migration_that_failed_gives_the_vf_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LEAVING);

	fake_forget_calls(f);
	sfh_engine_migrated(&f->e, GUEST, -EIO, "the destination went away");
	cr_assert_eq(f->migrated, -EIO);
	cr_assert_str_eq(f->migrated_error, "the destination went away");
	assert_state(p, PLUGGING);
	fake_assert_order(f, "arm", "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094", "plug", NULL);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(f->last.cause, "migration-failed");
	cr_assert_null(f->e.migrations);
	cr_assert_eq(migrate(), 0, "and may try again");
}

Test(engine, a_migration_that_failed_keeps_who_was_held_on_standby)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_eq(migrate(), 0);
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
	cr_assert(armed(p));
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, libvirt_cannot_be_asked_to_migrate)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_MIGRATE, ENOTCONN, 0, 1);
	cr_assert_eq(migrate(), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, -ENOTCONN);
	assert_state(p, PLUGGING);
	cr_assert_null(f->e.migrations);
}

Test(engine, migrations_that_cannot_be)
{
	struct sfh_error err = { 0 };
	char uri[600];

	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, THERE, &err), -ENOENT);
	cr_assert(strstr(err.text, "virsh migrate"), "says what to use: %s", err.text);
	(void)fake_pair_in(f, SFH_PAIR_VF);
	memset(uri, 'x', sizeof(uri) - 1);
	uri[sizeof(uri) - 1] = '\0';
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, uri, NULL), -EINVAL);
	assert_state(f->e.pairs, VF);
	cr_assert_null(f->e.migrations);
	cr_assert_eq(migrate(), 0);
	cr_assert_eq(migrate(), -EALREADY);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(migrate(), -EALREADY);
	cr_assert_eq(fake_count(f, "migrate"), 1);
}

Test(engine, a_guest_that_stops_during_begin_ends_the_migration)
{
	(void)fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(migrate(), 0);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
	cr_expect_eq(f->nmigrated, 1, "whoever waits for it waits for ever");
	cr_expect_null(f->e.migrations, "the next migration is refused with EALREADY");
}

Test(engine, a_guest_that_is_still_arriving_cannot_be_migrated_on)
{
	struct sfh_error err = { 0 };

	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	/* Refused, or done later: but never begun and forgotten. */
	if (sfh_engine_migrate(&f->e, GUEST, THERE, &err) == 0) {
		fake_event(f, SFH_EV_DEVICES);
		fake_event(f, SFH_EV_RESUMED);
		cr_assert(f->nmigrated == 1 || fake_count(f, "migrate") == 1,
			  "neither refused nor begun: whoever asked waits for ever");
	}
}

Test(engine, the_guest_stops_on_the_source_before_confirm)
{
	/* libvirt says "stopped (migrated)" before its call returns. */
	(void)fake_pair_in(f, SFH_PAIR_LEAVING);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, 0);
	cr_assert_null(f->e.migrations);
}

/* --- migration, destination -------------------------------------------------------------------------- */

static void devices(const char *pf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)strcpy(nic.pf, pf);
	sfh_engine_guest_devices(&f->e, &g);
}

Test(engine, arriving_to_the_reserved_vf)
{
	struct sfh_pair *p;

	f->first_frame = f->address = false;
	p = fake_pair_in(f, SFH_PAIR_ARRIVING);
	cr_assert(fake_entry_of(f, p)->on_first_frame, "staged before the guest is there");
	cr_assert_eq(fake_count(f, "standby_attach"), 0);
	devices("pf0");
	assert_state(p, ARRIVING);
	fake_assert_order(f, "stage 100", "standby_attach macvtap0", "stage 100", NULL);
	cr_assert_eq(fake_count(f, "vf_set"), 0, "its frames are still elsewhere");
	fake_event(f, SFH_EV_NEGOTIATED);
	f->address = true;
	fake_first_frame(f, p); /* QEMU's announcement */
	cr_assert(armed(p));
	assert_state(p, ARRIVING);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(f->last.cause, "migration");
}

static int is_reserved(void *ctx, const struct sfh_lease *lease)
{
	*(int *)ctx += lease->reserved;
	return 0;
}

Test(engine, the_reservation_becomes_a_lease_of_the_same_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);
	unsigned vf = p->lease.vf;
	int reserved = 0;

	cr_assert_eq(sfh_ledger_leases(f->ledger, is_reserved, &reserved), 0);
	cr_assert_eq(reserved, 1);
	devices("pf0");
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.vf, vf);
	reserved = 0;
	cr_assert_eq(sfh_ledger_leases(f->ledger, is_reserved, &reserved), 0);
	cr_assert_eq(reserved, 0);
	cr_assert_eq(fake_leases(f), 1);
}

Test(engine, arriving_without_a_free_vf)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 0;
	p = fake_pair_in(f, SFH_PAIR_ARRIVING);
	cr_assert_not(p->has_lease);
	cr_assert(fake_entry_of(f, p), "steering is staged all the same");
	devices("pf0");
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, STANDBY);
	assert_reason(p, NO_FREE_VF);
	f->pf[0].nvfs = 1;
	sfh_pool_freed(&f->e, "pf0");
	fake_sleep(f, 1);
	assert_state(p, PLUGGING);
}

Test(engine, a_guest_that_never_comes)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	fake_sleep(f, SFH_ARRIVING_TTL_MS - 1);
	cr_assert_eq(fake_leases(f), 1);
	fake_sleep(f, 1);
	fake_assert_nothing_left(f);
}

Test(engine, a_guest_whose_devices_came_is_waited_for)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	devices("pf0");
	fake_sleep(f, 100 * SFH_ARRIVING_TTL_MS); /* a long copy */
	assert_state(p, ARRIVING);
	cr_assert_eq(fake_leases(f), 1);
}

Test(engine, an_arrival_that_fails)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	devices("pf0");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(engine, arriving_on_another_pf_than_reserved)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	cr_assert_str_eq(p->pf, "pf0");
	fake_forget_calls(f);
	devices("pf1");
	cr_assert_str_eq(p->pf, "pf1");
	cr_assert_eq(p->pf_ifindex, 101);
	cr_assert_eq(fake_leases(f), 1, "the one on pf0 is given back, one on pf1 reserved");
	cr_assert_str_eq(p->lease.pf, "pf1");
	cr_assert(p->lease.reserved);
	cr_assert_eq(fake_count(f, "vf_set"), 0);
	fake_assert_order(f, "unstage 100", "stage 101", NULL);
	cr_assert_eq(fake_entries(f), 1);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(p->lease.pf, "pf1");
	cr_assert_str_eq(fake_vf(f, 1, 0), PARKED_A);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

Test(engine, an_arrival_that_the_hook_did_not_tell)
{
	struct sfh_pair *p;

	devices("pf0");
	p = sfh_engine_pair(&f->e, GUEST, &mac_a);
	cr_assert_not_null(p);
	assert_state(p, ARRIVING);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
}

Test(engine, an_arrival_that_is_not_adopted_reserves_nothing)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.adopted = false;
	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(fake_entry_of(f, f->e.pairs));
}

Test(engine, told_twice_of_an_arrival)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_null(f->e.pairs->next);
}

Test(engine, a_migration_that_is_cancelled_before_libvirt_was_asked)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	cr_assert_eq(sfh_engine_migrate_cancel(&f->e, GUEST, NULL), -ENOENT);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	assert_state(p, UNPLUGGING);
	cr_assert_eq(sfh_engine_migrate_cancel(&f->e, GUEST, NULL), 0);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, -ECANCELED);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(fake_count(f, "migrate "), 0);
	assert_state(p, PLUGGING); /* it has it back */
}

Test(engine, a_migration_that_is_cancelled_while_libvirt_copies)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LEAVING);

	cr_assert_eq(sfh_engine_migrate_cancel(&f->e, GUEST, NULL), 0);
	cr_assert_eq(fake_count(f, "abort " GUEST), 1);
	assert_state(p, LEAVING); /* libvirt says how it ended */
	sfh_engine_migrated(&f->e, GUEST, -EIO, "canceled by client");
	assert_state(p, PLUGGING);
}

/* --- by libvirt's own doing ---------------------------------------------------------------------------- */

Test(engine, virsh_migrates_it_away)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	fake_event(f, SFH_EV_DEPART);
	assert_state(p, VF); /* QEMU has not asked the guest yet */
	fake_event(f, SFH_EV_YIELD);
	fake_assert_order(f, "stage", NULL);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_first_frame(f, p);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED, "it speaks on its standby leg");
	fake_event(f, SFH_EV_YIELDED);
	assert_state(p, LEAVING);
	assert_reason(p, MIGRATING);
	cr_assert(armed(p));
	cr_assert_eq(fake_count(f, "unplug"), 0, "QEMU does it");
	cr_assert(f->last.ok && !f->last.to_vf);
	cr_assert_eq(fake_leases(f), 1, "held until it is gone");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(engine, a_silent_guest_is_quiet_when_qemu_says_so)
{
	(void)fake_pair_in(f, SFH_PAIR_YIELDING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_event(f, SFH_EV_YIELDED);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

Test(engine, virsh_migrate_fails_after_the_guest_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

	fake_event(f, SFH_EV_YIELDED);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PROVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A, "before its driver asks for the MAC");
	cr_assert(armed(p), "until it is proven");
	cr_assert_eq(fake_count(f, "plug"), 1, "the second time QEMU does it");
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_not(armed(p));
}

Test(engine, virsh_migrate_of_a_guest_that_keeps_its_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	cr_assert_eq(fake_count(f, "abort " GUEST), 1);
	assert_state(p, YIELDING);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

Test(engine, a_snapshot_gives_the_vf_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

	fake_event(f, SFH_EV_YIELDED);
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "replug " GUEST), 1);
	assert_state(p, LEAVING);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PROVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
}

Test(engine, a_snapshot_of_a_guest_on_its_standby)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_event(f, SFH_EV_DEPART);
	fake_event(f, SFH_EV_YIELDED);
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "replug"), 0);
	assert_state(p, STANDBY);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

Test(engine, no_vf_for_a_guest_that_virsh_migrates)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_event(f, SFH_EV_DEPART);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), -EBUSY);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, STANDBY);
}

Test(engine, arrives_with_a_vf_in_its_xml)
{
	struct sfh_pair *p = fake_carried(f, GUEST, &mac_a);

	fake_assert_order(f, "hold 0000:0a:00.0", NULL);
	cr_assert(p->lease.reserved);
	cr_assert_eq(p->landing.bus, 10);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED, "an active VF would swallow its frames");
	fake_event(f, SFH_EV_DEVICES);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, LANDING);
	cr_assert_eq(fake_count(f, "unplug"), 1);
	cr_assert_eq(f->held, 1, "as long as it stands in the XML");
	fake_event(f, SFH_EV_UNPLUG_FAILED); /* libvirt is not done with it */
	fake_sleep(f, SFH_LAND_RETRY_MS);
	cr_assert_eq(fake_count(f, "unplug"), 2);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(f->held, 0);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.vf, 0, "what was reserved for it");
}

Test(engine, one_landing_vf_serves_one_arrival_after_the_other)
{
	struct sfh_pair *a, *b;

	f->landing = 1;
	fake_restart(f);
	(void)fake_second_in(f, OTHER, &mac_c, SFH_PAIR_VF); /* the only other VF of pf0 */
	for (int i = 0; i < 3; i++) {
		const struct sfh_mac mac = { { 0x52, 0x54, 0, 0, 1, (uint8_t)i } };
		const char *const uuids[] = { "00000000-2222-3333-4444-555555555555",
					      "00000001-2222-3333-4444-555555555555",
					      "00000002-2222-3333-4444-555555555555" };

		a = fake_second_in(f, uuids[i], &mac, SFH_PAIR_LANDING);
		sfh_pair_dispatch(&f->e, a, SFH_EV_UNPLUGGED, NULL);
		assert_state(a, STANDBY);
		assert_reason(a, NO_FREE_VF);
		cr_assert_eq(fake_leases(f), 1, "given back right after it runs");
	}
	b = sfh_engine_pair(&f->e, OTHER, &mac_c);
	assert_state(b, VF);
}

Test(engine, no_place_for_what_its_xml_brings)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);
	struct sfh_error err = { 0 };

	nic.has_vf = true;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	(void)fake_second_in(f, "88888888-2222-3333-4444-555555555555", &mac_c, SFH_PAIR_VF);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, &err), -ENOSPC);
	cr_assert_null(sfh_engine_pair(&f->e, GUEST, &mac_a));
	cr_assert_eq(fake_leases(f), 2);
	fake_event(f, SFH_EV_STOPPED);
}

Test(engine, a_vf_that_cannot_be_kept_shut_is_no_place)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.has_vf = true;
	fake_fail(f, OP_VF_HOLD, EBUSY, 0, 1);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), -EBUSY);
	fake_assert_nothing_left(f);
}

Test(engine, an_arrival_with_a_vf_that_never_comes)
{
	(void)fake_carried(f, GUEST, &mac_a);
	fake_sleep(f, SFH_ARRIVING_TTL_MS);
	fake_assert_nothing_left(f);
	cr_assert_eq(f->held, 0);
}

/* --- an agent that was away -------------------------------------------------------------------------- */

static struct sfh_pair *found(bool has_vf, unsigned vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.has_vf = has_vf;
	nic.vf = (struct sfh_bdf){ .bus = 10, .slot = (uint8_t)vf };
	sfh_engine_guest_running(&f->e, &g, true);
	return sfh_engine_pair(&f->e, GUEST, &mac_a);
}

Test(engine, taken_over_on_the_vf)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_restart(f);
	p = found(true, 0);
	assert_state(p, VF);
	cr_assert(p->has_lease && p->lease.vf == 0);
	cr_assert_not(armed(p));
	cr_assert_eq(fake_count(f, "plug"), 0);
	cr_assert_eq(sfh_engine_sweep(&f->e), 0);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(engine, taken_over_with_a_vf_that_only_stands_in_the_xml)
{
	struct sfh_pair *p;

	(void)fake_carried(f, GUEST, &mac_a);
	fake_restart(f);
	p = found(true, 0);
	assert_state(p, LANDING);
	cr_assert_eq(fake_count(f, "unplug"), 1);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_leases(f), 1);
}

Test(engine, taken_over_while_it_was_proving)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_PROVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_restart(f);
	p = found(true, 0);
	/* Perhaps the guest has no driver for it: unparked and disarmed without proof,
	 * the guest would be cut off for good. */
	cr_assert_not(p->state == SFH_PAIR_VF, "nothing has proven the VF leg");
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(fake_count(f, "disarm"), 0);
	assert_state(p, PROVING);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

Test(engine, taken_over_while_proving_without_a_driver)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_PROVING);
	fake_restart(f);
	p = found(true, 0);
	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_reason(p, NO_VF_DRIVER);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, taken_over_without_the_vf)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	fake_restart(f);
	p = found(false, 0);
	assert_state(p, STANDBY);
	cr_assert(armed(p), "it runs on its standby leg, whatever was seen before");
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	assert_reason(p, BY_REQUEST); /* it was `standby` that took the VF */
	cr_assert(p->held);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, PLUGGING); /* that it had negotiated is remembered */
}

Test(engine, taken_over_while_it_was_plugging)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_PLUGGING);
	fake_restart(f);
	p = found(false, 0);
	/* the plug never happened: given back, and begun anew */
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, p->lease.vf), PARKED_A);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(engine, a_vf_that_the_ledger_does_not_know)
{
	struct sfh_pair *p = found(true, 1);

	assert_state(p, VF);
	cr_assert(p->has_lease, "it gets the lease that it should have had");
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert(p->negotiated);
}

Test(engine, an_unknown_vf_never_costs_another_guest_its_mac)
{
	struct sfh_pair *other = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF); /* VF 0 */

	(void)found(true, 1);
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(other, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0b vlan 0",
			 "the other guest is cut off");
}

Test(engine, swept_is_what_is_not_here_any_more)
{
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	fake_restart(f);
	(void)found(true, 0); /* the other one stopped meanwhile */
	cr_assert_eq(sfh_engine_sweep(&f->e), 1);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_eq(fake_rows(f), 1);
	cr_assert_eq(fake_entries(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_str_eq(fake_vf(f, 0, 1), ZEROED);
	cr_assert_eq(sfh_engine_sweep(&f->e), 0, "once is enough");
}

Test(engine, swept_reservation_of_a_dead_agent)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	fake_restart(f);
	cr_assert_eq(sfh_engine_sweep(&f->e), 1);
	fake_assert_nothing_left(f);
}

Test(engine, swept_leases_of_a_network_that_is_down_stay)
{
	/* Its PFs are unknown: whoever brings it up or down next gives them back. */
	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_restart(f);
	sfh_engine_network_remove(&f->e, "blue");
	cr_assert_eq(sfh_engine_sweep(&f->e), 0);
	cr_assert_eq(fake_leases(f), 1);
}

/* What the network is when it could not be brought back: a row in the ledger, nothing
 * in the engine. Its guests run, steered by what the last agent left. */
Test(engine, swept_around_a_network_that_failed)
{
	struct sfh_ledger_network net = { .name = "blue", .phase = SFH_NETWORK_UP,
					  .trouble = "no PF" };

	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_restart(f);
	sfh_engine_network_remove(&f->e, "blue");
	cr_assert_eq(sfh_ledger_network_put(f->ledger, &net, NULL), 0);
	cr_assert_eq(sfh_engine_sweep(&f->e), 0);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_eq(fake_rows(f), 1, "its pair is still known");
	cr_assert_eq(fake_entries(f), 1, "and steered");
	cr_assert_eq(sfh_ledger_network_del(f->ledger, "blue", NULL), 0);
	(void)sfh_engine_sweep(&f->e);
	cr_assert_eq(fake_rows(f), 0);
	cr_assert_eq(fake_entries(f), 0);
}

Test(engine, trouble_with_a_pf_keeps_guests_on_their_leg)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);
	int pf = p->pf_ifindex;

	sfh_engine_pf_trouble(&f->e, pf, SFH_REASON_PF_RENAMED);
	assert_state(p, VF);
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_HOLD, NULL);
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_UNPLUGGED, NULL);
	assert_state(p, STANDBY);
	cr_assert_eq(p->reason, SFH_REASON_PF_RENAMED);
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_ACCELERATE, NULL);
	assert_state(p, STANDBY);
	cr_assert_eq(p->reason, SFH_REASON_PF_RENAMED);
	sfh_engine_pf_trouble(&f->e, pf, SFH_REASON_PF_DOWN);
	cr_assert_eq(p->reason, SFH_REASON_PF_DOWN, "the reason follows");
	sfh_engine_pf_trouble(&f->e, pf + 1, SFH_REASON_NONE);
	cr_assert_eq(p->reason, SFH_REASON_PF_DOWN, "another PF's is another matter");
	sfh_engine_pf_trouble(&f->e, pf, SFH_REASON_NONE);
	assert_state(p, PLUGGING);
}

/* --- the rest ------------------------------------------------------------------------------------------- */

Test(engine, nics_of_other_networks_are_nothing_to_us)
{
	struct sfh_guest_nic nics[3] = { fake_nic(&mac_a), fake_nic(&mac_b), fake_nic(&mac_c) };
	struct sfh_guest_desc g = fake_guest(GUEST, nics, 3);

	(void)strcpy(nics[0].network, "default");
	(void)strcpy(nics[2].pf, "pf9"); /* not one of the network's */
	sfh_engine_guest_running(&f->e, &g, false);
	cr_assert_not_null(f->e.pairs);
	cr_assert_null(f->e.pairs->next);
	cr_assert(sfh_mac_equal(&f->e.pairs->mac, &mac_b));
	cr_assert_eq(sfh_engine_network_pairs(&f->e, "blue"), 1);
	cr_assert_eq(sfh_engine_network_pairs(&f->e, "default"), 0);
}

Test(engine, events_of_one_nic_and_of_nobody)
{
	struct sfh_pair *p = fake_second_in(f, GUEST, &mac_a, SFH_PAIR_STANDBY),
			*q = fake_second_in(f, GUEST, &mac_b, SFH_PAIR_STANDBY);

	sfh_engine_pair_event(&f->e, GUEST, &mac_b, SFH_EV_NEGOTIATED, NULL);
	assert_state(p, STANDBY);
	assert_state(q, PLUGGING);
	sfh_engine_pair_event(&f->e, GUEST, &mac_c, SFH_EV_STOPPED, NULL);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	cr_assert_not_null(sfh_engine_pair(&f->e, GUEST, &mac_a));
	cr_assert_not_null(sfh_engine_pair(&f->e, GUEST, &mac_b));
}

Test(engine, the_pair_of_a_datapath_key)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);
	struct sfh_guest_key key = { .pf_ifindex = 100, .mac = { 0x52, 0x54, 0, 0, 0, 0x0a } };

	cr_assert_eq(sfh_engine_pair_by_key(&f->e, &key), p);
	key.vlan = 7;
	cr_assert_null(sfh_engine_pair_by_key(&f->e, &key));
	key.vlan = 0;
	key.pf_ifindex = 101;
	cr_assert_null(sfh_engine_pair_by_key(&f->e, &key));
}

Test(engine, a_network_again_replaces_the_first)
{
	struct sfh_engine_network net = { .name = "blue", .never = true };

	cr_assert_eq(sfh_engine_network_add(&f->e, &net), 0);
	cr_assert(sfh_engine_network(&f->e, "blue")->never);
	cr_assert_null(f->e.networks->next);
	sfh_engine_network_remove(&f->e, "blue");
	sfh_engine_network_remove(&f->e, "blue");
	cr_assert_null(sfh_engine_network(&f->e, "blue"));
}

/* --- the earliest word of a release ------------------------------------------------------ */

Test(engine, a_guest_that_speaks_on_its_standby_leg_has_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	unsigned vf = p->lease.vf;

	cr_assert_str_neq(fake_vf(f, 0, vf), ZEROED);
	fake_event(f, SFH_EV_FIRST_FRAME);
	assert_state(p, UNPLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, vf), ZEROED, "before QEMU says anything");
	cr_assert_eq(fake_leases(f), 1, "the VF is not free before QEMU has closed it");
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_leases(f), 0);
}

Test(engine, a_guest_that_keeps_the_vf_after_all_gets_its_mac_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	char before[64];

	(void)strcpy(before, fake_vf(f, 0, p->lease.vf));
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, p->lease.vf), before);
}
