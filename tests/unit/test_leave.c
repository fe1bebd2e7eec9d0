// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest migrates away: by sfhybrid, and by libvirt's own doing. */
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

TestSuite(leave, .init = init, .fini = fini, .timeout = 30);

#define THERE "qemu+ssh://there/system"

static int migrate(void)
{
	return sfh_engine_migrate(&f->e, GUEST, THERE, NULL);
}

Test(leave, leaving_from_the_vf)
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

Test(leave, a_guest_that_keeps_its_vf_is_reset_by_force_alone)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	cr_assert_eq(migrate(), 0);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, VF);
	cr_assert_eq(f->migrated, -ETIMEDOUT);
	cr_assert_eq(fake_count(f, "reset"), 0);

	cr_assert_eq(migrate(), 0);
	sfh_engine_migrate_force(&f->e, GUEST);
	/* QEMU still waits for the first answer. */
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUG_FAILED, "already in the process of unplug");
	cr_assert_eq(fake_count(f, "reset " GUEST), 1);
	assert_state(p, UNPLUGGING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_count(f, "migrate"), 1);
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	fake_assert_nothing_left(f);
}

Test(leave, a_reset_in_vain_is_not_repeated)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	cr_assert_eq(migrate(), 0);
	sfh_engine_migrate_force(&f->e, GUEST);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	cr_assert_eq(fake_count(f, "reset"), 1);
	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	cr_assert_eq(fake_count(f, "reset"), 1);
	assert_state(p, VF);
	cr_assert_eq(f->migrated, -ETIMEDOUT);
	cr_assert_eq(fake_count(f, "migrate"), 0);
}

Test(leave, leaving_from_standby)
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

Test(leave, leaving_waits_for_the_switch_under_way)
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

Test(leave, leaving_after_a_plug_that_failed)
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

Test(leave, libvirt_is_asked_when_all_pairs_have_left)
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

Test(leave, one_of_two_keeps_its_vf_and_the_migration_is_refused)
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
	cr_assert_eq(f->migrated, -EBUSY, "an answer: a reset would not help");
	cr_assert_str_eq(f->migrated_error, "the guest is deaf");
	cr_assert_null(f->e.migrations);
	cr_assert_not(p->leaving || q->leaving);
}

Test(leave, a_refusal_at_once_leaves_no_pair_leaving)
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

Test(leave, a_migration_that_failed_gives_the_vf_back)
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

Test(leave, a_migration_that_failed_keeps_who_was_held_on_standby)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_STANDBY);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_eq(migrate(), 0);
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
	cr_assert(fake_armed(f, p));
	cr_assert_eq(fake_leases(f), 0);
}

Test(leave, held_while_it_leaves_and_stays_after_all)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LEAVING);
	struct sfh_ledger_pair row;

	fake_event(f, SFH_EV_HOLD);
	assert_state(p, LEAVING);
	cr_assert(fake_row(f, GUEST, &row) && row.held, "a restart knows it too");
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(fake_count(f, "plug "), 1);
}

Test(leave, a_pair_whose_nic_goes_while_it_leaves)
{
	(void)fake_pair_in(f, SFH_PAIR_LEAVING);
	fake_event(f, SFH_EV_NIC_REMOVED);
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	cr_assert_eq(fake_count(f, "plug "), 1);
	fake_assert_nothing_left(f);
}

/* Two NICs, one of them goes; libvirt cannot be asked, at the very moment that the
 * other has left. */
Test(leave, a_nic_goes_and_the_migration_fails_at_once)
{
	struct sfh_pair *p = fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	struct sfh_pair *q = fake_second_in(f, GUEST, &mac_b, SFH_PAIR_VF);

	cr_assert_eq(migrate(), 0);
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NIC_REMOVED, NULL);
	fake_fail(f, OP_MIGRATE, ENOTCONN, 0, 1);
	sfh_pair_dispatch(&f->e, q, SFH_EV_UNPLUGGED, NULL);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_null(sfh_engine_pair(&f->e, GUEST, &mac_a));
	assert_state(q, PLUGGING);
	cr_assert_eq(fake_leases(f), 1);
}

Test(leave, libvirt_cannot_be_asked_to_migrate)
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

Test(leave, migrations_that_cannot_be)
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

Test(leave, a_guest_that_stops_during_begin_ends_the_migration)
{
	(void)fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(migrate(), 0);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
	cr_expect_eq(f->nmigrated, 1, "whoever waits for it waits for ever");
	cr_expect_null(f->e.migrations, "the next migration is refused with EALREADY");
}

Test(leave, a_guest_that_is_still_arriving_cannot_be_migrated_on)
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

Test(leave, the_guest_stops_on_the_source_before_confirm)
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

Test(leave, a_migration_that_is_cancelled_before_libvirt_was_asked)
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

Test(leave, a_migration_that_is_cancelled_while_libvirt_copies)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_LEAVING);

	cr_assert_eq(sfh_engine_migrate_cancel(&f->e, GUEST, NULL), 0);
	cr_assert_eq(fake_count(f, "abort " GUEST), 1);
	assert_state(p, LEAVING); /* libvirt says how it ended */
	sfh_engine_migrated(&f->e, GUEST, -EIO, "canceled by client");
	assert_state(p, PLUGGING);
}

/* --- by libvirt's own doing -------------------------------------------------------------- */

Test(leave, virsh_migrates_it_away)
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
	cr_assert(fake_armed(f, p));
	cr_assert_eq(fake_count(f, "unplug"), 0, "QEMU does it");
	cr_assert(f->last.ok && !f->last.to_vf);
	cr_assert_eq(fake_leases(f), 1, "held until it is gone");
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(leave, a_silent_guest_is_quiet_when_qemu_says_so)
{
	(void)fake_pair_in(f, SFH_PAIR_YIELDING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_event(f, SFH_EV_YIELDED);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

Test(leave, virsh_migrate_fails_after_the_guest_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

	fake_event(f, SFH_EV_YIELDED);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PROVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A, "before its driver asks for the MAC");
	cr_assert(fake_armed(f, p), "until it is proven");
	cr_assert_eq(fake_count(f, "plug"), 1, "the second time QEMU does it");
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_not(fake_armed(f, p));
}

Test(leave, virsh_migrate_of_a_guest_that_keeps_its_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	cr_assert_eq(fake_count(f, "abort " GUEST), 1);
	assert_state(p, YIELDING);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_not(fake_entry_of(f, p)->on_first_frame, "a stray frame would arm it");
}

Test(leave, virsh_migrate_of_a_guest_that_keeps_what_it_has_not_proven)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_event(f, SFH_EV_YIELD);
	cr_assert_eq(f->nfiltered, 1);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PROVING);
	cr_assert_eq(f->nfiltered, 1, "until then it is on its standby leg");
	cr_assert(!f->last.to_vf && !f->last.ok);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_eq(f->nfiltered, 0);
	cr_assert(f->last.to_vf && f->last.ok);
	cr_assert_str_eq(f->last.cause, "migration-failed");
}

Test(leave, a_snapshot_gives_the_vf_back)
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

Test(leave, a_snapshot_of_a_guest_on_its_standby)
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

Test(leave, no_vf_for_a_guest_that_virsh_migrates)
{
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	fake_event(f, SFH_EV_DEPART);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, LEAVING);
	cr_assert_eq(fake_leases(f), 0);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), -EBUSY);
	fake_event(f, SFH_EV_STAYS);
	assert_state(p, PLUGGING); /* what it said meanwhile is remembered */
}

Test(leave, a_nic_goes_while_virsh_migrates_and_the_guest_stays)
{
	for (int let_go = 0; let_go < 2; let_go++) {
		struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_YIELDING);

		fake_event(f, SFH_EV_NIC_REMOVED);
		assert_state(p, YIELDING);
		if (let_go)
			fake_event(f, SFH_EV_YIELDED);
		fake_event(f, SFH_EV_STAYS);
		assert_state(p, UNPLUGGING);
		fake_event(f, SFH_EV_UNPLUGGED);
		fake_assert_nothing_left(f);
	}
	(void)fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_DEPART);
	fake_event(f, SFH_EV_NIC_REMOVED);
	fake_event(f, SFH_EV_STAYS);
	fake_assert_nothing_left(f);
}
