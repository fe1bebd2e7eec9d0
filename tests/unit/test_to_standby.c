// SPDX-License-Identifier: GPL-2.0-or-later
/* Off the VF: by hand, because the VF fails, and when the guest keeps it. */
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

TestSuite(to_standby, .init = init, .fini = fini, .timeout = 30);

Test(to_standby, standby_by_hand_and_back)
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
	cr_assert(fake_armed(f, p));
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

Test(to_standby, arms_before_it_zeroes_the_mac)
{
	(void)fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	fake_forget_calls(f);
	fake_event(f, SFH_EV_UNPLUGGED);
	fake_assert_order(f, "arm", "vf_set 100 0 mac=00:00:00:00:00:00 vlan=0", NULL);
}

/* --- what comes for a guest that does not listen yet ----------------------------------------- */

Test(to_standby, what_comes_waits_until_the_guest_answers)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_forget_calls(f);
	fake_event(f, SFH_EV_HOLD);
	fake_assert_order(f, "stage 100", "backlog 1", "unplug 52:54:00:00:00:0a", NULL);
	fake_sleep(f, 100);
	cr_assert_eq(fake_count(f, "ask_standby"), 0, "it is on its VF yet");
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_sleep(f, 10);
	cr_assert_geq(fake_count(f, "ask_standby"), 4, "asked every 2 ms");
	cr_assert_eq(fake_count(f, "probe"), 0, "the VF is not asked");
	cr_assert(fake_entry_of(f, p)->backlog);
	fake_event(f, SFH_EV_LISTENS);
	assert_state(p, UNPLUGGING);
	cr_assert_not(fake_entry_of(f, p)->backlog);
	fake_forget_calls(f);
	fake_sleep(f, 1000);
	cr_assert_eq(fake_count(f, "ask_standby"), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_count(f, "backlog"), 0, "once is enough");
	cr_assert_str_eq(f->last.steps[0].name, "let-go");
	cr_assert_str_eq(f->last.steps[1].name, "listens");
}

Test(to_standby, nothing_waits_for_longer_than_is_of_use)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_sleep(f, SFH_BACKLOG_MS - 1);
	cr_assert(fake_entry_of(f, p)->backlog);
	fake_sleep(f, 1);
	cr_assert_not(fake_entry_of(f, p)->backlog);
	fake_event(f, SFH_EV_LISTENS); /* late */
	assert_state(p, UNPLUGGING);
}

/* Whatever ends the switch ends the waiting. */
Test(to_standby, no_switch_leaves_a_backlog)
{
	static const struct {
		enum sfh_pair_event first, then;
	} ends[] = {
		{ SFH_EV_HOLD, SFH_EV_UNPLUGGED }, { SFH_EV_HOLD, SFH_EV_UNPLUG_FAILED },
		{ SFH_EV_HOLD, SFH_EV_DEADLINE },  { SFH_EV_YIELD, SFH_EV_YIELDED },
		{ SFH_EV_YIELD, SFH_EV_STAYS },
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(ends); i++)
		for (int let_go = 0; let_go < 2; let_go++) {
			struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

			fake_event(f, ends[i].first);
			cr_assert(fake_entry_of(f, p)->backlog);
			if (let_go)
				fake_event(f, SFH_EV_FIRST_FRAME);
			fake_event(f, ends[i].then);
			cr_expect_not(fake_entry_of(f, p)->backlog, "%s", sfh_pair_event_name(ends[i].then));
			cr_expect_not(p->backlog || p->backlog_until_ns || p->next_ask_ns);
			fake_event(f, SFH_EV_STOPPED);
			fake_assert_nothing_left(f);
		}
}

/* Its VF has no link yet: that it speaks on its standby leg says nothing, and until it has
 * let go it hears on the VF. */
Test(to_standby, a_guest_that_still_spoke_there_has_not_let_go)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	f->lately = true;
	fake_event(f, SFH_EV_HOLD);
	cr_assert_not(fake_entry_of(f, p)->backlog);
	fake_event(f, SFH_EV_FIRST_FRAME);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_sleep(f, 1000);
	cr_assert_gt(fake_count(f, "ask_standby"), 40, "asked until it says so");
	fake_event(f, SFH_EV_LISTENS);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	fake_forget_calls(f);
	fake_sleep(f, 10);
	cr_assert_eq(fake_count(f, "ask_standby"), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_str_eq(f->last.steps[0].name, "let-go");
}

/* What proves the VF afterwards is not mixed up with it. */
Test(to_standby, a_guest_that_keeps_its_parked_vf_is_probed_there)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, PROVING);
	fake_forget_calls(f);
	fake_sleep(f, 10);
	cr_assert_gt(fake_count(f, "probe"), 3);
	cr_assert_eq(fake_count(f, "ask_standby"), 0);
}

/* It would never say that it listens. */
Test(to_standby, nothing_waits_for_a_guest_without_an_address)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	f->address = false;
	fake_event(f, SFH_EV_HOLD);
	cr_assert_not(fake_entry_of(f, p)->backlog);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_sleep(f, 10);
	cr_assert_eq(fake_count(f, "ask_standby"), 0);
}

/* It is worth nothing more than a warning. */
Test(to_standby, a_backlog_that_cannot_be_made_stops_nothing)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	f->fail[OP_BACKLOG].code = -ENOSPC;
	f->fail[OP_BACKLOG].times = 1;
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_sleep(f, 10);
	cr_assert_eq(fake_count(f, "ask_standby"), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
}

Test(to_standby, held_while_on_standby)
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

Test(to_standby, nobody_asks_for_a_proof_any_more)
{
	static const enum sfh_pair_event events[] = { SFH_EV_HOLD, SFH_EV_LEAVE, SFH_EV_NIC_REMOVED,
						      SFH_EV_PORT_REFUSED, SFH_EV_DEADLINE };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(events); i++) {
		struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

		cr_assert(fake_entry_of(f, p)->proof);
		fake_event(f, events[i]);
		assert_state(p, UNPLUGGING);
		cr_expect_not(fake_entry_of(f, p)->proof, "%s", sfh_pair_event_name(events[i]));
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

Test(to_standby, the_last_word_counts_while_it_unplugs)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_event(f, SFH_EV_ACCELERATE);
	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, BY_REQUEST);
}

Test(to_standby, held_during_the_plug_gives_way_after_it)
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

Test(to_standby, the_guest_keeps_the_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUG_FAILED, "no answer from the guest");
	assert_state(p, VF);
	cr_assert_not(fake_armed(f, p));
	cr_assert_not(fake_entry_of(f, p)->on_first_frame);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_leases(f), 1);
	cr_assert_not(p->held);
	cr_assert(!f->last.to_vf && !f->last.ok);
	cr_assert_str_eq(f->last.error, "no answer from the guest");
	cr_assert_str_eq(p->detail, "no answer from the guest");
}

Test(to_standby, unplugging_has_a_deadline)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS - 1);
	assert_state(p, UNPLUGGING);
	fake_sleep(f, 1);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert(strstr(p->detail, "did not let go"), "%s", p->detail);
}

Test(to_standby, an_answer_after_the_deadline_is_no_refusal_of_the_vf)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, VF);
	fake_event(f, SFH_EV_UNPLUGGED);
	cr_assert(!f->last.to_vf && f->last.ok);
	cr_assert_str_eq(f->last.cause, "late");
	cr_assert_not(p->no_driver);
	assert_state(p, PLUGGING); /* again */
}

Test(to_standby, libvirt_cannot_be_asked_to_unplug)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_fail(f, OP_UNPLUG, ENOTCONN, 0, 1);
	fake_event(f, SFH_EV_HOLD);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_eq(fake_leases(f), 1);
}

Test(to_standby, an_unproven_vf_that_the_guest_keeps_is_not_the_vf_leg)
{
	/* Told to give way while proving, and the unplug fails: the VF is still in
	 * the parking VLAN. Calling that "vf" and disarming cuts the guest off. */
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_event(f, SFH_EV_HOLD);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	cr_assert_not(p->state == SFH_PAIR_VF && strcmp(fake_vf(f, 0, 0), PARKED_A) == 0,
		      "state vf, and the VF is parked");
}

Test(to_standby, a_guest_without_a_driver_that_keeps_the_vf_stays_on_its_standby_leg)
{
	/* It speaks on its standby leg, where it was all along: that proves no VF. */
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	assert_state(p, UNPLUGGING);
	for (int i = 0; i < 2; i++) {
		fake_first_frame(f, p);
		fake_sleep(f, SFH_UNPLUG_DEADLINE_MS);
		assert_state(p, PROVING);
		cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
		cr_assert(fake_armed(f, p), "what is sent to it is not given to its standby leg");
		cr_assert_eq(f->nfiltered, 1);
		fake_event(f, SFH_EV_HOLD);
		assert_state(p, UNPLUGGING);
	}
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

Test(to_standby, letting_go_late_is_no_sign_of_a_driver)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_sleep(f, SFH_PROOF_DEADLINE_MS + SFH_UNPLUG_DEADLINE_MS);
	assert_state(p, PROVING);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	assert_reason(p, NO_VF_DRIVER); /* else it is plugged again, for ever */
}

Test(to_standby, a_driver_that_comes_late_is_one)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PROVING);

	fake_sleep(f, SFH_PROOF_DEADLINE_MS);
	fake_first_frame(f, p);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	fake_event(f, SFH_EV_UNPLUGGED);
	sfh_engine_migrated(&f->e, GUEST, -EIO, "no");
	assert_state(p, PLUGGING); /* not: it has no driver for it */
}

Test(to_standby, a_guest_that_keeps_the_vf_of_a_nic_that_cannot_park)
{
	struct sfh_pair *p;

	f->pf[0].can_park = false;
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
	fake_event(f, SFH_EV_HOLD);
	fake_first_frame(f, p);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, VF); /* nothing can be proven there */
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	cr_assert_not(fake_armed(f, p));
}

Test(to_standby, a_mac_that_stays_is_told)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert(strstr(f->log, "VF 0 of 'pf0' keeps the guest's MAC"), "%s", f->log);
	cr_assert_eq(fake_leases(f), 1, "and its row stays");
}

/* A VF in the middle of a reset, which an unplug is: its MAC keeps the guest deaf. */
Test(to_standby, a_driver_that_says_later_is_asked_again)
{
	static const enum sfh_pair_event asks[] = { SFH_EV_HOLD, SFH_EV_LEAVE, SFH_EV_YIELD };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(asks); i++) {
		struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

		fake_fail(f, OP_VF_SET, EAGAIN, 0, 2);
		fake_event(f, asks[i]);
		fake_first_frame(f, p);
		cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
		fake_sleep(f, 3 * SFH_LEASE_RETRY_MS);
		cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED, "%zu", i);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

/* … also after QEMU's word, while it is copied away: it may take long. */
Test(to_standby, a_driver_that_says_later_is_asked_again_while_the_guest_leaves)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_VF);

	fake_event(f, SFH_EV_LEAVE);
	fake_fail(f, OP_VF_SET, EAGAIN, 0, 2);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, LEAVING);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_sleep(f, 3 * SFH_LEASE_RETRY_MS);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	assert_state(p, LEAVING);
}

Test(to_standby, steering_that_fails_is_told_and_nothing_else_stops)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_fail(f, OP_ARM, EIO, 0, 1);
	fake_event(f, SFH_EV_UNPLUGGED);
	assert_state(p, STANDBY);
	cr_assert(strstr(f->log, "OP_ARM"), "%s", f->log);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
}

/* --- the earliest word of a release ------------------------------------------------------ */

Test(to_standby, a_guest_that_speaks_on_its_standby_leg_has_let_go)
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

Test(to_standby, a_guest_that_keeps_the_vf_after_all_gets_its_mac_back)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);
	char before[64];

	(void)strcpy(before, fake_vf(f, 0, p->lease.vf));
	fake_event(f, SFH_EV_FIRST_FRAME);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	assert_state(p, PROVING); /* which leg is it on? */
	cr_assert_str_eq(fake_vf(f, 0, p->lease.vf), PARKED_A);
	cr_assert(fake_armed(f, p));
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, p->lease.vf), before);
	cr_assert(f->last.to_vf && f->last.ok, "and the history knows");
	cr_assert_str_eq(f->last.cause, "kept");
}

Test(to_standby, off_the_vf_a_guest_is_in_the_filter_at_once)
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

Test(to_standby, kept_on_the_vf_a_guest_leaves_the_filter)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_UNPLUGGING);

	fake_first_frame(f, p);
	cr_assert_eq(f->nfiltered, 1);
	fake_event(f, SFH_EV_UNPLUG_FAILED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_eq(f->nfiltered, 0);
}
