// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests that are not the usual one: those that bond the legs themselves, whose NIC
 * is larger than the PF, whose machine takes no VF, whose NIC comes and goes. */
#include <string.h>

#include "tests/unit/fakes.h"

static struct fake *f;
static int pf_mtu_now;

static void init(void)
{
	f = fake_new();
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(kinds, .init = init, .fini = fini, .timeout = 30);

static struct sfh_pair *start(const struct sfh_guest_nic *nic)
{
	struct sfh_guest_desc g = fake_guest(GUEST, nic, 1);
	struct sfh_pair *p;

	sfh_engine_guest_running(&f->e, &g, false);
	p = sfh_engine_pair(&f->e, GUEST, &nic->mac);
	cr_assert(p);
	return p;
}

/* --- a bond in the guest ------------------------------------------------------------- */

Test(kinds, a_bond_is_not_asked_for_standby)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p;

	nic.bond = true;
	p = start(&nic);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUGGED, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PROOF, NULL);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
}

Test(kinds, without_a_bond_standby_is_waited_for)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p = start(&nic);

	assert_state(p, STANDBY);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert_eq(fake_leases(f), 0);
}

Test(kinds, a_silent_bond_gets_no_vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p;

	f->first_frame = false;
	nic.bond = true;
	p = start(&nic);
	assert_state(p, STANDBY);
	assert_reason(p, SILENT);
	fake_first_frame(f, p);
	assert_state(p, PLUGGING);
}

/* --- MTU ------------------------------------------------------------------------------ */

static int pf_mtu(void *ctx, const char *pf)
{
	(void)ctx;
	cr_assert_str_eq(pf, "pf0");
	return pf_mtu_now;
}

Test(kinds, a_nic_larger_than_its_pf_gets_no_vf)
{
	struct sfh_kernel_ops ops = *f->e.kernel;
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p;

	ops.pf_mtu = pf_mtu;
	f->e.kernel = &ops;
	pf_mtu_now = 1500;
	nic.mtu = 9000;
	p = start(&nic);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_state(p, STANDBY);
	assert_reason(p, MTU_MISMATCH);
	cr_assert_eq(fake_count(f, "plug"), 0);
	pf_mtu_now = 9000; /* its admin follows the advice */
	sfh_pair_dispatch(&f->e, p, SFH_EV_ACCELERATE, NULL);
	assert_state(p, PLUGGING);
}

Test(kinds, a_smaller_mtu_is_the_guests_business)
{
	struct sfh_kernel_ops ops = *f->e.kernel;
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p;

	ops.pf_mtu = pf_mtu;
	f->e.kernel = &ops;
	pf_mtu_now = 1500;
	nic.mtu = 1400;
	p = start(&nic);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_state(p, PLUGGING);
}

/* --- a machine without PCIe ports ------------------------------------------------------- */

Test(kinds, a_barred_nic_says_why)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_pair *p;

	nic.barred = SFH_REASON_NOT_Q35;
	nic.adopted = false;
	p = start(&nic);
	assert_state(p, STANDBY);
	assert_reason(p, NOT_Q35);
}

Test(kinds, without_a_port_the_vf_is_free_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	sfh_pair_dispatch(&f->e, p, SFH_EV_NO_PORT, "No more available PCI slots");
	assert_state(p, STANDBY);
	assert_reason(p, NO_SPARE_PORT);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

/* --- a NIC that comes and goes ----------------------------------------------------------- */

Test(kinds, a_nic_that_is_unplugged_on_standby_leaves_nothing)
{
	(void)fake_pair_in(f, SFH_PAIR_STANDBY);
	fake_event(f, SFH_EV_NIC_REMOVED);
	cr_assert_null(f->e.pairs);
	fake_assert_nothing_left(f);
}

Test(kinds, with_its_nic_the_guest_gives_back_the_vf)
{
	static const enum sfh_pair_state states[] = { SFH_PAIR_PROVING, SFH_PAIR_VF };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(states); i++) {
		struct sfh_pair *p = fake_pair_in(f, states[i]);

		fake_event(f, SFH_EV_NIC_REMOVED);
		assert_state(p, UNPLUGGING);
		cr_assert_eq(fake_leases(f), 1, "as long as the guest has it");
		fake_event(f, SFH_EV_UNPLUGGED);
		cr_assert_null(f->e.pairs);
		fake_assert_nothing_left(f);
	}
}

Test(kinds, unplugged_while_its_vf_is_being_plugged)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_NIC_REMOVED);
	assert_state(p, PLUGGING);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_assert_nothing_left(f);

	p = fake_pair_in(f, SFH_PAIR_PLUGGING);
	fake_event(f, SFH_EV_NIC_REMOVED);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUG_FAILED, "no");
	cr_assert_null(f->e.pairs);
	fake_assert_nothing_left(f);
}

Test(kinds, the_guest_keeps_the_vf_of_a_nic_that_is_gone)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_UNPLUG, ENOTCONN, 1, 1);
	fake_event(f, SFH_EV_NIC_REMOVED);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, VF);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS); /* libvirt cannot be asked */
	assert_state(p, VF);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	cr_assert_eq(fake_count(f, "unplug "), 3);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_assert_nothing_left(f);
}

Test(kinds, the_nic_is_back_and_the_guest_kept_its_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	fake_event(f, SFH_EV_NIC_REMOVED);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	sfh_engine_guest_running(&f->e, &g, false);
	fake_sleep(f, 10 * SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, VF);
	cr_assert_eq(fake_count(f, "unplug "), 1);
}

Test(kinds, plugged_again_before_the_vf_was_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	fake_event(f, SFH_EV_NIC_REMOVED);
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_eq(f->e.pairs, p, "it is here");
	assert_state(p, STANDBY);
	assert_reason(p, STANDBY_NOT_NEGOTIATED);
	cr_assert_eq(fake_entries(f), 1);
	cr_assert_eq(fake_leases(f), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
}

/* Its VF is one of the other PF, where the same number may be another guest's. */
Test(kinds, plugged_again_onto_another_pf_before_the_vf_was_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	f->pf[1].vf[0] = (struct sfh_vf_config){ .mac = mac_b, .vlan = 7 };
	fake_event(f, SFH_EV_NIC_REMOVED);
	(void)strcpy(nic.pf, "pf1");
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_str_eq(fake_vf(f, 1, 0), "52:54:00:00:00:0b vlan 7");
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(fake_entries(f), 1, "none is left of the old place");
	cr_assert_eq(f->entry[0].used ? f->entry[0].key.pf_ifindex : f->entry[1].key.pf_ifindex, 101);
}

/* … while it waits for the driver to take the VF's settings, or libvirt to take the plug. */
Test(kinds, a_migration_does_not_wait_for_a_nic_that_is_gone)
{
	struct sfh_error err = { 0 };

	(void)fake_pair_in(f, SFH_PAIR_LEASING);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+tcp://h/system", &err), 0);
	fake_event(f, SFH_EV_NIC_REMOVED);
	cr_assert_null(f->e.migrations);
	cr_assert_eq(f->nmigrated, 1);

	(void)fake_pair_in(f, SFH_PAIR_PLUGGING);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+tcp://h/system", &err), 0);
	fake_event(f, SFH_EV_NIC_REMOVED);
	fake_event(f, SFH_EV_PLUG_FAILED);
	cr_assert_null(f->e.migrations);
	cr_assert_eq(f->nmigrated, 2);
	fake_assert_nothing_left(f);
}

Test(kinds, a_migration_that_waits_for_the_pair_goes_on_or_ends)
{
	struct sfh_error err = { 0 };

	(void)fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+tcp://h/system", &err), 0);
	fake_event(f, SFH_EV_NIC_REMOVED);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert_null(f->e.migrations);
	cr_assert_eq(f->nmigrated, 1);
	fake_assert_nothing_left(f);
}
