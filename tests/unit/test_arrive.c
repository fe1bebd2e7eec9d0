// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest migrates here, with or without a VF in its XML. */
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

TestSuite(arrive, .init = init, .fini = fini, .timeout = 30);

static void devices(const char *pf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)strcpy(nic.pf, pf);
	sfh_engine_guest_devices(&f->e, &g);
}

Test(arrive, arriving_to_the_reserved_vf)
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
	cr_assert(fake_armed(f, p));
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

Test(arrive, the_reservation_becomes_a_lease_of_the_same_vf)
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

Test(arrive, arriving_without_a_free_vf)
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

Test(arrive, a_guest_that_never_comes)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	fake_sleep(f, SFH_ARRIVING_TTL_MS - 1);
	cr_assert_eq(fake_leases(f), 1);
	fake_sleep(f, 1);
	fake_assert_nothing_left(f);
}

Test(arrive, a_guest_whose_devices_came_is_waited_for)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	devices("pf0");
	fake_sleep(f, 100 * SFH_ARRIVING_TTL_MS); /* a long copy */
	assert_state(p, ARRIVING);
	cr_assert_eq(fake_leases(f), 1);
}

Test(arrive, an_arrival_that_fails)
{
	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	devices("pf0");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(arrive, arriving_on_another_pf_than_reserved)
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

Test(arrive, an_arrival_that_the_hook_did_not_tell)
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

Test(arrive, an_arrival_that_is_not_adopted_reserves_nothing)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.adopted = false;
	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert(fake_entry_of(f, f->e.pairs));
}

Test(arrive, told_twice_of_an_arrival)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_null(f->e.pairs->next);
}

Test(arrive, a_guest_that_arrived_is_asked_what_it_negotiated)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	fake_first_frame(f, p);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 0, "its CPUs do not run here");
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "ask-negotiated"), 1);
}

/* The NIC's switch is told where the guest is: not before it runs here, and from the
 * moment that it let go of its VF. */
Test(arrive, a_guest_that_arrives_gets_into_the_filter_when_it_speaks)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);

	cr_assert_eq(fake_count(f, "filter"), 0, "it still runs on the source");
	fake_first_frame(f, p);
	fake_event(f, SFH_EV_RESUMED);
	cr_assert_eq(fake_count(f, "filter"), 1);
}

/* The hook has QEMU touch all of its memory first. */
Test(arrive, a_large_guest_has_longer_to_come)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	g.memory_kib = 100ull << 20;
	for (int again = 0; again < 2; again++) {
		cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
		fake_sleep(f, SFH_ARRIVING_TTL_MS + 100 * SFH_ARRIVING_GIB_MS - 1);
		cr_assert_eq(fake_leases(f), 1);
	}
	fake_sleep(f, 1);
	fake_assert_nothing_left(f);
}

/* --- with a VF in its XML ---------------------------------------------------------------- */

Test(arrive, arrives_with_a_vf_in_its_xml)
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

Test(arrive, migrates_on_when_it_has_landed_and_libvirt_does_not)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LANDING);

	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	assert_state(p, LANDING);
	fake_fail(f, OP_MIGRATE, ENOTCONN, 0, 1);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, -ENOTCONN);
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_count(f, "plug "), 1);
	cr_assert_eq(fake_leases(f), 1);
}

Test(arrive, a_nic_that_goes_before_it_has_landed)
{
	for (int s = 0; s < 2; s++) {
		(void)fake_pair_in(f, s ? SFH_PAIR_LANDING : SFH_PAIR_ARRIVING);
		fake_event(f, SFH_EV_NIC_REMOVED);
		fake_event(f, s ? SFH_EV_UNPLUGGED : SFH_EV_RESUMED);
		fake_assert_nothing_left(f);
		cr_assert_eq(fake_count(f, "plug "), 0);
		cr_assert_eq(f->held, 0);
	}
}

Test(arrive, what_its_xml_names_is_nobody_elses_though_its_standby_moved)
{
	struct sfh_pair *p = fake_carried(f, GUEST, &mac_a), *other, *third;

	devices("pf1");
	cr_assert_str_eq(p->pf, "pf1");
	for (int again = 0; again < 2; again++) {
		cr_assert_eq(fake_leases(f), 1);
		cr_assert(p->has_lease && p->lease.reserved);
		cr_assert_str_eq(p->lease.pf, "pf0");
		cr_assert(sfh_bdf_equal(&p->lease.bdf, &p->landing));
		if (!again) { /* the next agent knows it too */
			struct sfh_guest_nic nic = fake_nic(&mac_a);
			struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

			(void)strcpy(nic.pf, "pf1");
			nic.has_vf = true;
			nic.vf = p->landing;
			fake_restart(f);
			sfh_engine_guest_running(&f->e, &g, true);
			p = sfh_engine_pair(&f->e, GUEST, &mac_a);
			assert_state(p, LANDING);
			cr_assert_eq(sfh_engine_sweep(&f->e), 0);
		}
	}
	fake_event(f, SFH_EV_NEGOTIATED);
	other = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_PLUGGING);
	cr_assert_eq(other->lease.vf, 1, "it is in another guest's XML");
	third = fake_second_in(f, "88888888-2222-3333-4444-555555555555", &mac_c, SFH_PAIR_STANDBY);
	sfh_pair_dispatch(&f->e, third, SFH_EV_NEGOTIATED, NULL);
	assert_reason(third, NO_FREE_VF);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(p->lease.pf, "pf1");
	cr_assert_not(p->lease.reserved);
	fake_sleep(f, 1);
	assert_state(third, PLUGGING); /* and called for what became free */
}

Test(arrive, one_landing_vf_serves_one_arrival_after_the_other)
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

/* One that is not considered for a VF asks the pool for none, which would see it too. */
Test(arrive, the_landing_vf_is_for_the_next_though_this_one_wants_none)
{
	static const char *const uuids[] = { "00000000-2222-3333-4444-555555555555",
					     "00000001-2222-3333-4444-555555555555",
					     "00000002-2222-3333-4444-555555555555" };
	struct sfh_pair *p;

	f->landing = 1;
	f->pf[1].nvfs = 0;
	fake_restart(f);
	(void)fake_second_in(f, OTHER, &mac_c, SFH_PAIR_VF); /* the only other VF */
	for (unsigned i = 0; i < SFH_ARRAY_SIZE(uuids); i++) {
		const struct sfh_mac mac = { { 0x52, 0x54, 0, 0, 1, (uint8_t)i } };

		p = fake_second_in(f, uuids[i], &mac, SFH_PAIR_LANDING);
		if (i == 0)
			sfh_pair_dispatch(&f->e, p, SFH_EV_HOLD, NULL);
		p->never = i == 1;
		f->first_frame = i != 2;
		sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
		assert_state(p, STANDBY);
		cr_assert_str_eq(sfh_reason_name(p->reason),
				 sfh_reason_name(i == 0	  ? SFH_REASON_BY_REQUEST
						 : i == 1 ? SFH_REASON_POLICY_NEVER
							  : SFH_REASON_SILENT));
		cr_assert_eq(fake_leases(f), 1, "the landing VF is still taken");
	}
}

Test(arrive, no_place_for_what_its_xml_brings)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);
	struct sfh_error err = { 0 };

	nic.has_vf = true;
	f->pf[1].nvfs = 0;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	(void)fake_second_in(f, "88888888-2222-3333-4444-555555555555", &mac_c, SFH_PAIR_VF);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, &err), -ENOSPC);
	cr_assert_null(sfh_engine_pair(&f->e, GUEST, &mac_a));
	cr_assert_eq(fake_leases(f), 2);
	fake_event(f, SFH_EV_STOPPED);
}

Test(arrive, a_place_on_another_pf_for_what_its_xml_brings)
{
	for (int moves = 0; moves < 2; moves++) {
		struct sfh_pair *p;

		f->pf[0].nvfs = 0;
		sfh_pool_freed(&f->e, "pf0"); /* looked at again */
		p = fake_carried(f, GUEST, &mac_a);
		cr_assert_str_eq(p->lease.pf, "pf1");
		cr_assert_eq(p->landing.bus, 11);
		cr_assert_eq(f->held, 1);
		devices(moves ? "pf1" : "pf0"); /* as libvirt likes */
		cr_assert_eq(fake_leases(f), 1);
		fake_event(f, SFH_EV_NEGOTIATED);
		fake_event(f, SFH_EV_RESUMED);
		assert_state(p, LANDING);
		f->pf[0].nvfs = 1;
		sfh_pool_freed(&f->e, "pf0");
		fake_event(f, SFH_EV_UNPLUGGED);
		cr_assert_eq(f->held, 0);
		assert_state(p, PLUGGING);
		cr_assert_str_eq(p->lease.pf, moves ? "pf1" : "pf0");
		cr_assert_eq(fake_leases(f), 1);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

Test(arrive, a_vf_that_cannot_be_kept_shut_is_no_place)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.has_vf = true;
	fake_fail(f, OP_VF_HOLD, EBUSY, 0, 1);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), -EBUSY);
	fake_assert_nothing_left(f);
}

Test(arrive, asked_again_with_a_vf_that_cannot_be_kept_shut)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)fake_pair_in(f, SFH_PAIR_ARRIVING);
	nic.has_vf = true;
	fake_fail(f, OP_VF_HOLD, EBUSY, 0, -1);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), -EBUSY);
	fake_assert_nothing_left(f);
}

Test(arrive, an_arrival_with_a_vf_that_never_comes)
{
	(void)fake_carried(f, GUEST, &mac_a);
	fake_sleep(f, SFH_ARRIVING_TTL_MS);
	fake_assert_nothing_left(f);
	cr_assert_eq(f->held, 0);
}

/* Its XML names VF 0, which was given back when it did not come. */
static struct sfh_pair *comes_late(const char *pf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)strcpy(nic.pf, pf);
	nic.has_vf = true;
	nic.vf = (struct sfh_bdf){ .bus = 10 };
	sfh_engine_guest_devices(&f->e, &g);
	return sfh_engine_pair(&f->e, GUEST, &mac_a);
}

Test(arrive, an_arrival_with_a_vf_that_comes_late)
{
	static const char *const pfs[] = { "pf0", "pf1" };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(pfs); i++) {
		struct sfh_pair *p, *other;

		(void)fake_carried(f, GUEST, &mac_a);
		fake_sleep(f, SFH_ARRIVING_TTL_MS);
		cr_assert_eq(f->held, 0);
		p = comes_late(pfs[i]);
		cr_assert_str_eq(p->pf, pfs[i]);
		cr_assert(p->has_lease && p->lease.reserved && p->lease.vf == 0);
		cr_assert_str_eq(p->lease.pf, "pf0");
		cr_assert_eq(f->held, 1, "QEMU must not open it in the pause");
		other = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
		cr_assert_eq(other->lease.vf, 1);
		fake_event(f, SFH_EV_RESUMED);
		assert_state(p, LANDING);
		fake_event(f, SFH_EV_UNPLUGGED);
		cr_assert_eq(f->held, 0);
		sfh_pair_dispatch(&f->e, other, SFH_EV_STOPPED, NULL);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

Test(arrive, an_arrival_with_a_vf_that_is_anothers_by_now)
{
	struct sfh_pair *p, *other;

	(void)fake_carried(f, GUEST, &mac_a);
	fake_sleep(f, SFH_ARRIVING_TTL_MS);
	other = fake_carried(f, OTHER, &mac_b);
	cr_assert_eq(other->lease.vf, 0);
	p = comes_late("pf0");
	cr_assert_not(p->has_lease);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(p, LANDING);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(fake_count(f, "loose 0000:0a:00.0"), 1, "when it was given back");
	cr_assert(other->has_lease && other->carried);
}
