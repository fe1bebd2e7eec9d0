// SPDX-License-Identifier: GPL-2.0-or-later
/* To the VF, and why not. */
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

TestSuite(to_vf, .init = init, .fini = fini, .timeout = 30);

Test(to_vf, from_the_start_to_the_vf)
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
	cr_assert(fake_armed(f, p), "the first frame armed it");
	assert_state(p, PLUGGING);
	assert_reason(p, NONE);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, PROVING);
	cr_assert(fake_armed(f, p), "until the proof the standby leg carries");
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_not(fake_armed(f, p));
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_assert_order(f, "stage", "filter", "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094",
			  "want_proof 1", "plug 0000:0a:00.0", "on_vf", "vf_set 100 0 mac=- vlan=0",
			  "unfilter", NULL);
	cr_assert_eq(fake_count(f, "plug"), 1);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(f->log, "");
}

/* QEMU says it once, and an agent that was not connected never hears it. */
Test(to_vf, a_guest_that_talks_is_asked_what_it_negotiated)
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

/* No room in the NIC: a warning, and on it goes. */
Test(to_vf, a_full_filter_stops_nothing)
{
	struct sfh_pair *p;

	fake_fail(f, OP_FILTER, ENOSPC, 0, 1);
	p = fake_start(f, GUEST, &mac_a);
	cr_assert(strstr(f->log, "OP_FILTER"), "%s", f->log);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

Test(to_vf, what_is_recorded_of_a_switch)
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

Test(to_vf, proof_before_libvirt_has_answered)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PROOF);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A, "unparked at once: each ms costs frames");
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
	cr_assert_not(fake_armed(f, p));
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_count(f, "vf_set 100 0 mac=-"), 1);
}

Test(to_vf, probing_from_the_plug_to_the_proof)
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

Test(to_vf, plug_refused)
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

Test(to_vf, plug_refused_after_the_proof)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PROOF);
	fake_event(f, SFH_EV_PLUG_FAILED);
	assert_state(p, STANDBY);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(fake_entry_of(f, p)->armed, "its standby leg is served again");
}

Test(to_vf, libvirt_cannot_even_be_asked)
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

Test(to_vf, an_unpark_that_is_refused_is_not_the_vf_leg)
{
	/* A VF that stays parked carries nothing to the wire: whoever calls that
	 * "vf" and disarms has cut the guest off. */
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_fail(f, OP_VF_SET, EIO, 0, 1);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_not(p->state == SFH_PAIR_VF && strcmp(fake_vf(f, 0, 0), PARKED_A) == 0,
		      "state vf, and the VF is parked");
	cr_assert(fake_armed(f, p), "its standby leg carries");
}

/* --- waiting for the guest to talk ------------------------------------------------------- */

Test(to_vf, the_address_is_waited_for)
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

Test(to_vf, a_guest_without_ipv4_is_plugged_all_the_same)
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

Test(to_vf, a_silent_guest_waits_without_polling)
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

/* --- why not ----------------------------------------------------------------------------- */

Test(to_vf, not_adopted)
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

Test(to_vf, policy_never)
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

Test(to_vf, paused)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	p->running = false;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, PAUSED);
	cr_assert_eq(fake_leases(f), 0);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, PLUGGING);
}

Test(to_vf, network_down)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	sfh_engine_network_remove(&f->e, "blue");
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, NETWORK_DOWN);
	cr_assert_eq(fake_leases(f), 0);
}

Test(to_vf, not_negotiated_until_it_is)
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

/* --- no proof ---------------------------------------------------------------------------- */

Test(to_vf, a_guest_without_the_vfs_driver)
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
	cr_assert(fake_armed(f, p));
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

Test(to_vf, no_proof_is_a_failed_switch)
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
