// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VF a pair gets, what it is told, and that nothing leaks when it is
 * refused. */
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

TestSuite(pool, .init = init, .fini = fini, .timeout = 30);

/* The pair rests on its standby leg with this reason, and no VF knows of it. */
static void refused(struct sfh_pair *p, enum sfh_reason reason)
{
	assert_state(p, STANDBY);
	cr_expect_str_eq(sfh_reason_name(p->reason), sfh_reason_name(reason));
	cr_expect_not(p->has_lease);
	cr_expect_eq(fake_leases(f), 0, "a lease is left");
	for (unsigned vf = 0; vf < f->pf[0].nvfs; vf++)
		cr_expect_str_eq(fake_vf(f, 0, vf), ZEROED, "VF %u", vf);
	cr_expect(fake_entry_of(f, p), "its standby leg is served all the same");
}

static int keep_lease(void *ctx, const struct sfh_lease *lease)
{
	*(struct sfh_lease *)ctx = *lease;
	return 0;
}

static struct sfh_lease the_lease(void)
{
	struct sfh_lease ret = { 0 };

	cr_assert_eq(fake_leases(f), 1);
	cr_assert_eq(sfh_ledger_leases(f->ledger, keep_lease, &ret), 0);
	return ret;
}

/* --- what a VF is told ------------------------------------------------------------------ */

Test(pool, mac_and_parking_vlan_in_one_message_before_the_plug)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_assert_order(f, "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094", "plug 0000:0a:00.0",
			  NULL);
	cr_assert_eq(fake_count(f, "vf_set"), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(p->lease.vf, 0);
}

Test(pool, a_nic_that_cannot_park_gets_the_pairs_vlan)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	f->pf[0].can_park = false;
	nic.vlan = 7;
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0a vlan 7");
	cr_assert_eq(fake_count(f, "want_proof 1"), 0);
	fake_sleep(f, 100);
	cr_assert_eq(fake_count(f, "probe"), 0, "there is nothing to prove it by");
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(f->e.pairs, VF);
}

Test(pool, unparking_gives_the_pairs_own_vlan)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.vlan = 7;
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0a vlan 7");
	fake_assert_order(f, "on_vf", "vf_set 100 0 mac=- vlan=7", NULL);
	cr_assert_eq(the_lease().vlan, 7);
}

/* `set NET vlan=…` while it runs: its standby leg is in the old one, and so is its VF. */
Test(pool, both_legs_keep_the_vlan_that_the_guest_began_with)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.vlan = 7;
	nic.wish = (struct sfh_vf_wish){ .cfg = { .vlan = 7, .qos = 3 }, .what = SFH_VF_VLAN | SFH_VF_QOS };
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	nic.vlan = 8;
	nic.wish.cfg = (struct sfh_vf_config){ .vlan = 8, .trust = true };
	nic.wish.what = SFH_VF_VLAN | SFH_VF_TRUST;
	sfh_engine_nic_changed(&f->e, GUEST, &nic);
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_forget_calls(f);
	fake_event(f, SFH_EV_ACCELERATE);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_eq(f->pf[0].vf[0].vlan, 7);
	cr_assert_eq(f->pf[0].vf[0].qos, 3);
	cr_assert(f->pf[0].vf[0].trust, "what has no say on the standby leg is told");

	fake_restart(f); /* the next agent reads the new definition */
	nic.has_vf = true;
	nic.vf = the_lease().bdf;
	sfh_engine_guest_running(&f->e, &g, true);
	assert_state(f->e.pairs, VF);
	cr_assert_eq(f->e.pairs->vlan, 7);
	cr_assert_eq(f->pf[0].vf[0].vlan, 7);
	nic.has_vf = false;

	fake_event(f, SFH_EV_STOPPED); /* its next start */
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_eq(f->pf[0].vf[0].vlan, 8);
}

Test(pool, originals_are_saved_and_the_vlan_put_back)
{
	struct sfh_lease lease;

	f->pf[0].vf[0] = (struct sfh_vf_config){ .vlan = 33, .spoofchk = true };
	(void)fake_pair_in(f, SFH_PAIR_VF);
	lease = the_lease();
	cr_assert(sfh_mac_is_zero(&lease.orig.mac));
	cr_assert_eq(lease.orig.vlan, 33);
	cr_assert(lease.orig.spoofchk);
	fake_event(f, SFH_EV_STOPPED);
	/* RFC step 8: the MAC becomes zero */
	cr_assert_str_eq(fake_vf(f, 0, 0), "00:00:00:00:00:00 vlan 33");
}

Test(pool, the_lease_says_who_has_what)
{
	struct sfh_lease lease;
	char bdf[SFH_BDF_STRLEN];

	(void)fake_pair_in(f, SFH_PAIR_VF);
	lease = the_lease();
	cr_assert_str_eq(lease.pf, "pf0");
	cr_assert_eq(lease.vf, 0);
	cr_assert_str_eq(sfh_bdf_format(&lease.bdf, bdf), "0000:0a:00.0");
	cr_assert_str_eq(lease.domain, GUEST);
	cr_assert(sfh_mac_equal(&lease.mac, &mac_a));
	cr_assert_not(lease.reserved);
}

/* --- which VF ------------------------------------------------------------------------------ */

Test(pool, two_guests_two_vfs)
{
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_str_eq(fake_vf(f, 0, 1), "52:54:00:00:00:0b vlan 0");
	cr_assert_eq(fake_leases(f), 2);
}

Test(pool, excluded_and_foreign_vfs_are_never_touched)
{
	struct sfh_pair *p;

	(void)strcpy(f->pf[0].why_not[0], "excluded");
	f->pf[0].vf[0].mac = mac_c;
	p = fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_eq(fake_count(f, "vf_set 100 0"), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0c vlan 0");
}

Test(pool, only_a_vf_of_the_standbys_pf)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 0;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_NO_FREE_VF);
	cr_assert_eq(fake_count(f, "vf_set"), 0, "pf1 has two, but another wire");
}

Test(pool, no_free_vf_is_no_failed_switch)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 0;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_NO_FREE_VF);
	cr_assert_eq(f->nswitches, 0);
	cr_assert_eq(fake_count(f, "plug"), 0);
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX, "no polling for a VF");
}

Test(pool, late_upgrade_when_a_vf_frees)
{
	struct sfh_pair *late;

	f->pf[0].nvfs = 1;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	late = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(late, NO_FREE_VF);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	assert_state(late, PLUGGING);
	assert_reason(late, NONE);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(late, VF);
	cr_assert_str_eq(f->last.cause, "vf-freed");
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

Test(pool, one_freed_vf_for_two_that_wait)
{
	struct sfh_pair *p, *q;
	unsigned plugging;

	f->pf[0].nvfs = 1;
	(void)fake_second_in(f, "33333333-2222-3333-4444-555555555555", &mac_c, SFH_PAIR_VF);
	p = fake_start(f, GUEST, &mac_a);
	q = fake_start(f, OTHER, &mac_b);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	sfh_pair_dispatch(&f->e, q, SFH_EV_NEGOTIATED, NULL);
	sfh_engine_guest_event(&f->e, "33333333-2222-3333-4444-555555555555", SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	plugging = (p->state == SFH_PAIR_PLUGGING) + (q->state == SFH_PAIR_PLUGGING);
	cr_assert_eq(plugging, 1);
	cr_assert_str_eq(sfh_reason_name((p->state == SFH_PAIR_PLUGGING ? q : p)->reason),
			 "no-free-vf");
	cr_assert_eq(fake_leases(f), 1);
}

Test(pool, a_vf_freed_elsewhere_wakes_nobody)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 0;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	sfh_pool_freed(&f->e, "pf1");
	cr_assert_eq(p->retry_ns, 0);
	sfh_pool_freed(&f->e, "pf0");
	cr_assert_eq(p->retry_ns, fake_now);
}

/* --- every step refused ---------------------------------------------------------------------- */

Test(pool, vfs_cannot_be_listed)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_LIST, EIO, 0, -1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
}

Test(pool, vfs_cannot_be_listed_for_want_of_space)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_LIST, ENOSPC, 0, -1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_NO_FREE_VF);
	fake_heal(f);
	cr_assert_eq(sfh_pool_refresh(&f->e, "blue", NULL), 0);
	fake_sleep(f, 1);
	assert_state(p, PLUGGING);
}

Test(pool, settings_cannot_be_read)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_GET, EIO, 0, -1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
	cr_assert_eq(fake_count(f, "vf_set"), 0, "nothing is written before it was saved");
	cr_assert(strstr(p->detail, "cannot read the VF's settings: "), "%s", p->detail);
}

Test(pool, programming_refused)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_SET, EIO, 0, 1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
	cr_assert(strstr(p->detail, "cannot program the VF: "), "%s", p->detail);
	cr_assert_eq(fake_count(f, "plug"), 0);
	cr_assert_eq(f->nswitches, 1, "a switch that failed is in the history");
	cr_assert_not(f->last.ok);
	cr_assert(strstr(f->last.error, "cannot program the VF"), "%s", f->last.error);
}

Test(pool, programming_refused_half_way)
{
	/* The kernel applies IFLA_VF_MAC before it refuses IFLA_VF_VLAN
	 * (net/core/rtnetlink.c, do_setvfinfo): the MAC must not stay. */
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	f->partial = true;
	fake_fail(f, OP_VF_SET, EIO, 0, 1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
}

Test(pool, read_back_fails)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_GET, EIO, 1, -1);
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
	fake_assert_order(f, "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094",
			  "vf_set 100 0 mac=00:00:00:00:00:00 vlan=0", NULL);
}

Test(pool, a_driver_that_says_yes_and_does_nothing)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	f->lie = true;
	fake_event(f, SFH_EV_NEGOTIATED);
	refused(p, SFH_REASON_VF_REFUSED);
	cr_assert(strstr(p->detail, "VF 0 says MAC 00:00:00:00:00:00, VLAN 0"), "%s", p->detail);
	cr_assert_eq(fake_count(f, "plug"), 0);
}

Test(pool, somebody_has_that_mac_already)
{
	struct sfh_lease theirs = { .pf = "pf0", .vf = 1, .bdf = { .bus = 10, .slot = 1 },
				    .domain = OTHER, .mac = mac_a };
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	cr_assert_eq(sfh_ledger_lease_add(f->ledger, &theirs, NULL), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, STANDBY);
	assert_reason(p, VF_REFUSED);
	cr_assert_eq(fake_count(f, "vf_set"), 0, "the ledger comes first");
	cr_assert_str_eq(the_lease().domain, OTHER);
}

/* --- a VF in reset ------------------------------------------------------------------------------ */

Test(pool, try_again_is_tried_again)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_SET, EAGAIN, 0, 2);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, LEASING);
	cr_assert_eq(fake_leases(f), 0, "nothing is held meanwhile");
	fake_sleep(f, SFH_LEASE_RETRY_MS - 1);
	assert_state(p, LEASING);
	cr_assert_eq(fake_count(f, "vf_set"), 1);
	fake_sleep(f, 1);
	cr_assert_eq(fake_count(f, "vf_set"), 2);
	fake_sleep(f, SFH_LEASE_RETRY_MS);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(fake_leases(f), 1);
}

Test(pool, try_again_has_a_bound)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_fail(f, OP_VF_SET, EAGAIN, 0, -1);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_sleep(f, 60000);
	refused(p, SFH_REASON_VF_REFUSED);
	cr_assert_eq(fake_count(f, "vf_set"), SFH_LEASE_TRIES);
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX);
	fake_heal(f);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, PLUGGING);
}

Test(pool, a_guest_that_stops_while_it_waits)
{
	(void)fake_pair_in(f, SFH_PAIR_LEASING);
	fake_event(f, SFH_EV_STOPPED);
	fake_sleep(f, 5000);
	fake_assert_nothing_left(f);
}

/* --- giving back ----------------------------------------------------------------------------------- */

Test(pool, a_vf_that_cannot_be_quieted_keeps_its_lease)
{
	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert(strstr(f->log, "VF 0 of 'pf0' keeps its lease"), "%s", f->log);
}

/* Nobody needs to want a VF for that. */
Test(pool, a_vf_that_cannot_be_quieted_is_tried_again_by_time)
{
	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	fake_event(f, SFH_EV_STOPPED);
	fake_forget_calls(f);
	fake_sleep(f, 60000);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_lt(fake_count(f, "vf_set"), 20, "less and less often");
	fake_heal(f);
	fake_sleep(f, SFH_UNSTICK_MOST_MS);
	fake_assert_nothing_left(f);
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX);
}

/* Its own last VF is in the way: it has the guest's MAC still. */
Test(pool, who_was_refused_for_its_own_stuck_vf_gets_one_when_that_is_free)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_reason(p, VF_REFUSED);
	fake_heal(f);
	fake_sleep(f, SFH_UNSTICK_MOST_MS);
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_leases(f), 1);
}

Test(pool, a_vf_that_cannot_be_quieted_is_not_in_the_others_way)
{
	struct sfh_pair *p;

	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF); /* VF 0 */
	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	fake_heal(f);
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING); /* VF 1 is free */
	cr_assert_eq(p->lease.vf, 1);
}

Test(pool, released_twice_is_released_once)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	sfh_pool_release(&f->e, p);
	sfh_pool_release(&f->e, p);
	cr_assert_eq(fake_count(f, "vf_set"), 1);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

/* --- reservations ------------------------------------------------------------------------------------ */

Test(pool, a_reservation_is_a_row_only)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	cr_assert(p->has_lease);
	cr_assert(the_lease().reserved);
	/* A VF that was in use before takes the MAC's frames the moment it has the
	 * MAC, and the guest still runs elsewhere. */
	cr_assert_eq(fake_count(f, "vf_set"), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

Test(pool, a_reserved_vf_is_nobody_elses)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 1;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_ARRIVING);
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, NO_FREE_VF);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	assert_state(p, PLUGGING);
}
