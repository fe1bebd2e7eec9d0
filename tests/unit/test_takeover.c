// SPDX-License-Identifier: GPL-2.0-or-later
/* An agent that was away: guests that are found, and the sweep after them. */
#include <stdio.h>
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

TestSuite(takeover, .init = init, .fini = fini, .timeout = 30);

static struct sfh_pair *found(bool has_vf, unsigned vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.has_vf = has_vf;
	nic.vf = (struct sfh_bdf){ .bus = 10, .slot = (uint8_t)vf };
	sfh_engine_guest_running(&f->e, &g, true);
	return sfh_engine_pair(&f->e, GUEST, &mac_a);
}

Test(takeover, taken_over_on_the_vf)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_restart(f);
	p = found(true, 0);
	assert_state(p, VF);
	cr_assert(p->has_lease && p->lease.vf == 0);
	cr_assert_not(fake_armed(f, p));
	fake_assert_order(f, "stage", "on_vf", NULL);
	cr_assert_eq(fake_count(f, "plug"), 0);
	cr_assert_eq(sfh_engine_sweep(&f->e), 0);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(takeover, taken_over_with_a_vf_that_only_stands_in_the_xml)
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

Test(takeover, taken_over_while_it_was_proving)
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

Test(takeover, taken_over_while_proving_without_a_driver)
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

Test(takeover, taken_over_after_it_let_go_is_proven_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_event(f, SFH_EV_HOLD);
	fake_first_frame(f, p);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	fake_restart(f);
	p = found(true, 0);
	assert_state(p, PROVING); /* perhaps it never used the VF */
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert(fake_armed(f, p));
	cr_assert(p->held, "and it goes on to where it was on its way");
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, UNPLUGGING);
}

Test(takeover, taken_over_without_the_vf)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	fake_restart(f);
	p = found(false, 0);
	assert_state(p, STANDBY);
	cr_assert(fake_armed(f, p), "it runs on its standby leg, whatever was seen before");
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_eq(fake_leases(f), 0);
	assert_reason(p, BY_REQUEST); /* it was `standby` that took the VF */
	cr_assert(p->held);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, PLUGGING); /* that it had negotiated is remembered */
}

Test(takeover, taken_over_while_it_was_plugging)
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

Test(takeover, a_vf_that_the_ledger_does_not_know)
{
	struct sfh_pair *p;

	f->pf[0].vf[1].mac = mac_a;
	p = found(true, 1);
	assert_state(p, VF);
	cr_assert(p->has_lease, "it gets the lease that it should have had");
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert(p->negotiated);
}

Test(takeover, an_unknown_vf_never_costs_another_guest_its_mac)
{
	struct sfh_pair *other = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF); /* VF 0 */

	(void)found(true, 1);
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(other, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0b vlan 0",
			 "the other guest is cut off");
}

/* --- the sweep --------------------------------------------------------------------------- */

Test(takeover, swept_is_what_is_not_here_any_more)
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

Test(takeover, swept_reservation_of_a_dead_agent)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	fake_restart(f);
	cr_assert_eq(sfh_engine_sweep(&f->e), 1);
	fake_assert_nothing_left(f);
}

Test(takeover, swept_leases_of_a_network_that_is_down_stay)
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
Test(takeover, swept_around_a_network_that_failed)
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

/* As many as a large host has, and more. */
Test(takeover, swept_is_all_that_there_is, .timeout = 120)
{
	struct sfh_ledger_pair row = { .pf_ifindex = 100, .pf = "pf0", .network = "blue" };
	struct sfh_lease lease = { .pf = "pf0", .reserved = true };

	for (unsigned i = 0; i < 1100; i++) {
		(void)snprintf(row.domain, sizeof(row.domain),
			       "%08u-2222-3333-4444-555555555555", i);
		(void)strcpy(lease.domain, row.domain);
		row.mac = lease.mac =
			(struct sfh_mac){ { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		lease.vf = i;
		lease.bdf = (struct sfh_bdf){ .bus = (uint8_t)(i / 32), .slot = i % 32 };
		cr_assert_eq(sfh_ledger_pair_put(f->ledger, &row, NULL), 0);
		cr_assert_eq(sfh_ledger_lease_add(f->ledger, &lease, NULL), 0);
	}
	cr_assert_eq(sfh_engine_sweep(&f->e), 1100);
	cr_assert_eq(fake_rows(f), 0);
	cr_assert_eq(fake_leases(f), 0);
}

Test(takeover, swept_around_many_networks_that_failed)
{
	struct sfh_ledger_network net = { .phase = SFH_NETWORK_UP, .trouble = "no PF" };
	struct sfh_ledger_pair row = { .domain = GUEST, .pf = "pf9", .network = "n99" };

	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(net.name, sizeof(net.name), "n%02u", i);
		cr_assert_eq(sfh_ledger_network_put(f->ledger, &net, NULL), 0);
	}
	cr_assert_eq(sfh_ledger_pair_put(f->ledger, &row, NULL), 0);
	(void)sfh_engine_sweep(&f->e);
	cr_assert_eq(fake_rows(f), 1, "its guest may well run");
}
