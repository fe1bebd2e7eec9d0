// SPDX-License-Identifier: GPL-2.0-or-later
/* 802.1Qbh: the port profile of a pair's VF comes with its lease and goes with it. */
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

TestSuite(port, .init = init, .fini = fini, .timeout = 60);

static struct sfh_guest_nic profiled(bool has_vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);

	(void)strcpy(nic.profile, "tenants");
	nic.has_vf = has_vf;
	nic.vf = (struct sfh_bdf){ .bus = 10 }; /* VF 0 of pf0 */
	return nic;
}

/* A guest with a profile that has just negotiated: its VF is leased, or not. */
static struct sfh_pair *started(void)
{
	struct sfh_guest_nic nic = profiled(false);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert(f->e.pairs);
	return f->e.pairs;
}

static struct sfh_pair *on_its_vf(void)
{
	struct sfh_pair *p = started();

	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	return p;
}

/* The agent dies; the guest has its VF, or not. */
static struct sfh_pair *taken_over(bool has_vf)
{
	struct sfh_guest_nic nic = profiled(has_vf);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	fake_restart(f);
	sfh_engine_guest_running(&f->e, &g, true);
	return f->e.pairs;
}

static const char *profile(unsigned vf)
{
	return f->pf[0].port[vf].profile;
}

static void assert_untouched(void)
{
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_assert_str_eq(profile(0), "");
	cr_assert_eq(fake_leases(f), 0);
}

static int keep(void *ctx, const struct sfh_lease *lease)
{
	*(struct sfh_lease *)ctx = *lease;
	return 0;
}

/* --- to-vf --------------------------------------------------------------------------------- */

Test(port, pre_associated_then_associated_after_the_settings_before_the_plug)
{
	struct sfh_pair *p = started();
	struct sfh_ledger_pair row;
	struct sfh_lease lease = { .vf = 99 };

	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
	fake_assert_order(f, "vf_set 100 0 mac=52:54:00:00:00:0a", "port 100 0 preassociate tenants",
			  "port 100 0 associate tenants", "plug", NULL);
	(void)sfh_ledger_leases(f->ledger, keep, &lease);
	cr_assert_str_eq(lease.profile, "tenants");
	cr_assert(fake_row(f, GUEST, &row));
	cr_assert_str_eq(row.profile, "tenants");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(port, nobody_without_one_is_asked)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	(void)p;
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(fake_count(f, "port "), 0);
}

Test(port, an_answer_that_comes_late)
{
	struct sfh_pair *p;

	f->port_delay = 25;
	p = started();
	assert_state(p, LEASING);
	cr_assert_eq(fake_count(f, "plug"), 0);
	fake_sleep(f, 2300);
	assert_state(p, LEASING);
	fake_sleep(f, 300);
	assert_state(p, PLUGGING);
	cr_assert_eq(fake_count(f, "port 100 0 associate"), 1);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_eq(p->port_look_ns, 0);
}

Test(port, no_answer_ends_it_after_ten_seconds)
{
	struct sfh_pair *p;

	f->port_delay = -1;
	p = started();
	fake_sleep(f, SFH_PORT_DEADLINE_MS - 200);
	assert_state(p, LEASING);
	fake_sleep(f, 400);
	assert_state(p, STANDBY);
	assert_reason(p, PORT_PROFILE);
	cr_assert(strstr(p->detail, "did not answer"), "%s", p->detail);
	cr_assert_not(f->last.ok);
	assert_untouched();
	fake_assert_order(f, "port 100 0 preassociate", "port 100 0 disassociate",
			  "vf_set 100 0 mac=00:00:00:00:00:00", NULL);
}

Test(port, a_driver_that_knows_none_leaves_the_vf_untouched)
{
	struct sfh_pair *p;

	f->port_unable = true;
	p = started();
	assert_state(p, STANDBY);
	assert_reason(p, PORT_PROFILE);
	cr_assert_eq(fake_count(f, "vf_set"), 0);
	cr_assert_eq(fake_count(f, "port "), 0);
	assert_untouched();
}

Test(port, what_is_refused_is_not_asked_for_again_by_itself)
{
	struct sfh_pair *p;

	f->port_says = PORT_PROFILE_RESPONSE_INVALID;
	p = started();
	assert_state(p, STANDBY);
	assert_reason(p, PORT_PROFILE);
	cr_assert(strstr(p->detail, "not known or not valid"), "%s", p->detail);
	assert_untouched();
	cr_assert_eq(fake_count(f, "port 100 0 associate"), 0, "its port is not the guest's");
	cr_assert_eq(fake_count(f, "port 100 0 preassociate"), 1);
	sfh_pool_freed(&f->e, "pf0");
	fake_event(f, SFH_EV_CONSIDER);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_sleep(f, 3600 * 1000);
	cr_assert_eq(fake_count(f, "port 100 0 preassociate"), 1);
	assert_reason(p, PORT_PROFILE);
	/* but for a person, and a guest that boots */
	fake_event(f, SFH_EV_ACCELERATE);
	assert_reason(p, PORT_PROFILE);
	cr_assert_eq(fake_count(f, "port 100 0 preassociate"), 2);
	fake_heal(f);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
}

Test(port, refused_late)
{
	struct sfh_pair *p;

	f->port_delay = 2;
	f->port_says = PORT_PROFILE_RESPONSE_INSUFFICIENT_RESOURCES;
	p = started();
	assert_state(p, LEASING);
	fake_sleep(f, 1000);
	assert_state(p, STANDBY);
	assert_reason(p, PORT_PROFILE);
	assert_untouched();
	cr_assert_eq(sfh_engine_next(&f->e), UINT64_MAX);
	fake_event(f, SFH_EV_CONSIDER);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_count(f, "port 100 0 preassociate"), 1);
}

Test(port, a_vf_that_one_was_refused_goes_to_who_waits)
{
	struct sfh_pair *p, *other;

	f->pf[0].nvfs = 1;
	f->port_delay = -1;
	p = started();
	assert_state(p, LEASING);
	other = fake_start(f, OTHER, &mac_b);
	sfh_pair_dispatch(&f->e, other, SFH_EV_NEGOTIATED, NULL);
	assert_reason(other, NO_FREE_VF);
	fake_sleep(f, SFH_PORT_DEADLINE_MS + 1000);
	assert_reason(p, PORT_PROFILE);
	assert_state(other, PLUGGING);
}

/* --- every step fails ----------------------------------------------------------------------- */

static void each(enum fake_op op, int code)
{
	for (int skip = 0; skip < 16; skip++) {
		struct sfh_pair *p;

		fake_fail(f, op, code, skip, 1);
		p = started();
		if (p->state == SFH_PAIR_PLUGGING) {
			cr_expect_gt(skip, 0);
			return;
		}
		assert_state(p, STANDBY);
		assert_untouched();
		fake_heal(f);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
	cr_assert_fail("it does not come to its end");
}

Test(port, each_step_that_fails_takes_back_what_was_done)
{
	static const enum fake_op ops[] = { OP_VF_GET, OP_VF_SET, OP_PORT_ASK, OP_PORT_ANSWER };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(ops); i++) {
		each(ops[i], EIO);
		fake_heal(f);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

Test(port, a_read_back_that_lies_takes_it_off_again)
{
	struct sfh_pair *p;

	fake_fail(f, OP_VF_GET, EIO, 1, 1);
	p = started();
	assert_reason(p, VF_REFUSED);
	assert_untouched();
	fake_assert_order(f, "port 100 0 associate", "port 100 0 disassociate",
			  "vf_set 100 0 mac=00:00:00:00:00:00", NULL);
}

Test(port, a_busy_driver_is_asked_again)
{
	struct sfh_pair *p;

	fake_fail(f, OP_PORT_ASK, EBUSY, 0, 1);
	p = started();
	assert_state(p, LEASING);
	fake_sleep(f, 1000);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
}

Test(port, what_the_host_lacks_is_no_refusal)
{
	struct sfh_pair *p;

	fake_fail(f, OP_PORT_ASK, ENOMEM, 0, 1);
	p = started();
	assert_state(p, STANDBY);
	assert_reason(p, VF_REFUSED);
	assert_untouched();
	cr_assert_not(p->port_refused);
	fake_event(f, SFH_EV_CONSIDER);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
}

Test(port, an_answer_that_cannot_be_had_is_waited_for)
{
	struct sfh_pair *p;

	fake_fail(f, OP_PORT_ANSWER, ENOMEM, 1, 5);
	p = started();
	assert_state(p, LEASING);
	fake_sleep(f, 1000);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
	fake_fail(f, OP_PORT_ANSWER, ENOMEM, 0, -1); /* but not for ever */
	p = started();
	fake_sleep(f, SFH_PORT_DEADLINE_MS + SFH_PORT_LOOK_MS);
	assert_state(p, STANDBY);
}

Test(port, one_that_cannot_be_taken_off_keeps_its_row_and_goes_to_nobody)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 1;
	(void)on_its_vf();
	fake_fail(f, OP_PORT_ASK, EIO, 0, -1);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED, "its MAC is off all the same");
	p = fake_start(f, OTHER, &mac_b);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_reason(p, NO_FREE_VF);
	fake_heal(f);
	sfh_pair_dispatch(&f->e, p, SFH_EV_ACCELERATE, NULL);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "", "the other one has none");
}

/* --- to-standby ------------------------------------------------------------------------------ */

Test(port, it_goes_when_the_guest_lets_go_and_before_the_mac)
{
	struct sfh_pair *p = on_its_vf();

	fake_event(f, SFH_EV_HOLD);
	cr_assert_str_eq(profile(0), "tenants");
	fake_forget_calls(f);
	fake_first_frame(f, p);
	cr_assert_str_eq(profile(0), "");
	fake_assert_order(f, "port 100 0 disassociate", "vf_set 100 0 mac=00:00:00:00:00:00", NULL);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_untouched();
}

Test(port, a_guest_that_keeps_its_vf_gets_it_again)
{
	struct sfh_pair *p = on_its_vf();

	fake_event(f, SFH_EV_HOLD);
	fake_first_frame(f, p);
	f->port_delay = 2;
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	fake_sleep(f, 1000);
	assert_state(p, VF);
	cr_assert_str_eq(profile(0), "tenants");
	cr_assert_eq(f->pf[0].port[0].request, PORT_REQUEST_ASSOCIATE);
}

Test(port, or_has_to_leave_it_if_the_switch_does_not_take_it_again)
{
	for (int late = 0; late < 2; late++) {
		struct sfh_pair *p = on_its_vf();

		fake_event(f, SFH_EV_HOLD);
		fake_first_frame(f, p);
		f->port_delay = late;
		f->port_says = PORT_PROFILE_RESPONSE_ERROR;
		fake_event(f, SFH_EV_UNPLUG_FAILED);
		fake_sleep(f, 1000);
		assert_state(p, UNPLUGGING);
		fake_event(f, SFH_EV_UNPLUGGED);
		assert_reason(p, PORT_PROFILE);
		assert_untouched();
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
		fake_heal(f);
	}
}

Test(port, a_migration_takes_it_off_and_a_failed_one_asks_again)
{
	struct sfh_pair *p = on_its_vf();

	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, LEAVING);
	cr_assert_str_eq(profile(0), "");
	cr_assert_eq(fake_leases(f), 1, "the VF is held");
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no route");
	assert_state(p, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
}

/* QEMU has plugged the VF in again by itself, whatever the switch says. */
Test(port, a_failed_virsh_migrate_asks_again)
{
	struct sfh_pair *p = on_its_vf();

	fake_event(f, SFH_EV_YIELD);
	fake_event(f, SFH_EV_YIELDED);
	cr_assert_str_eq(profile(0), "");
	f->port_delay = 1;
	f->port_says = PORT_PROFILE_RESPONSE_BADSTATE;
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PROVING);
	fake_sleep(f, 1000);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_reason(p, PORT_PROFILE);
	assert_untouched();
}

Test(port, an_arriving_guest_reserves_a_vf_and_asks_nobody)
{
	struct sfh_guest_nic nic = profiled(false);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
	cr_assert_eq(fake_leases(f), 1);
	sfh_engine_guest_devices(&f->e, &g);
	cr_assert_eq(fake_count(f, "port "), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_RESUMED);
	assert_state(f->e.pairs, PLUGGING);
	cr_assert_str_eq(profile(0), "tenants");
}

/* --- an agent that died ------------------------------------------------------------------------ */

Test(port, an_association_is_left_alone)
{
	struct sfh_pair *p;

	(void)on_its_vf();
	p = taken_over(true);
	assert_state(p, VF);
	cr_assert_eq(fake_count(f, "port "), 0);
	cr_assert_str_eq(p->lease.profile, "tenants");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(port, what_was_taken_off_and_no_more_is_asked_for_again)
{
	struct sfh_pair *p;

	(void)on_its_vf();
	f->pf[0].port[0].profile[0] = '\0';
	f->pf[0].port[0].request = PORT_REQUEST_DISASSOCIATE;
	p = taken_over(true);
	assert_state(p, VF);
	cr_assert_str_eq(profile(0), "tenants");
}

Test(port, an_answer_that_the_last_agent_waited_for)
{
	struct sfh_pair *p;

	(void)on_its_vf();
	f->port_delay = 1;
	f->port_says = PORT_PROFILE_RESPONSE_ERROR;
	p = taken_over(true);
	assert_state(p, VF);
	cr_assert_eq(fake_count(f, "port "), 0);
	fake_sleep(f, 1000);
	assert_state(p, UNPLUGGING);
}

Test(port, a_lease_of_nobody_is_disassociated)
{
	(void)on_its_vf();
	fake_restart(f);
	cr_assert_eq(sfh_engine_sweep(&f->e), 1);
	assert_untouched();
}

Test(port, killed_while_it_waited)
{
	f->port_delay = -1;
	(void)started();
	cr_assert_str_eq(profile(0), "tenants", "the driver was asked");
	f->port_delay = 0;
	fake_assert_order(f, "port 100 0 preassociate", NULL);
	(void)taken_over(false);
	fake_assert_order(f, "port 100 0 disassociate", NULL);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

/* Somebody's 'ip' or libvirt's own hand. */
Test(port, another_request_in_between_is_no_success)
{
	struct sfh_pair *p;

	f->port_delay = 1;
	p = started();
	f->pf[0].port[0].request = PORT_REQUEST_DISASSOCIATE;
	fake_sleep(f, 1000);
	assert_state(p, STANDBY);
	assert_reason(p, PORT_PROFILE);
}

/* enic, the one driver with port profiles: it sets MACs, knows no VLANs and tells nothing. */
Test(port, a_driver_that_tells_nothing_of_its_vfs)
{
	struct sfh_pair *p;

	f->known = 0;
	f->refuse = SFH_VF_VLAN;
	f->partial = true;
	f->pf[0].can_park = false;
	p = started();
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_str_eq(profile(0), "tenants");
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
	fake_forget_calls(f);
	p = taken_over(true);
	assert_state(p, VF);
	cr_assert_eq(fake_count(f, "vf_set"), 0, "it is not told again what it may well have");
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_untouched();
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(port, a_vlan_that_such_a_driver_refuses_is_not_gone_without)
{
	struct sfh_guest_nic nic = profiled(false);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	f->known = 0;
	f->refuse = SFH_VF_VLAN;
	f->pf[0].can_park = false;
	nic.wish.what = SFH_VF_VLAN;
	nic.wish.cfg.vlan = 42;
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(f->e.pairs, VF_REFUSED);
	assert_untouched();
}
