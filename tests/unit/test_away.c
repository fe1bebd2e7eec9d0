// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirtd was away, and is back: what its guests did meanwhile it tells nobody. */
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

TestSuite(away, .init = init, .fini = fini, .timeout = 60);

/* What libvirt says of a guest that runs, of its n'th standby device. */
static struct sfh_pair *runs(const char *uuid, const struct sfh_mac *mac, unsigned device, bool found)
{
	struct sfh_guest_nic nic = fake_nic(mac);
	struct sfh_guest_desc g = fake_guest(uuid, &nic, 1);
	const struct sfh_pair *p = sfh_engine_pair(&f->e, uuid, mac);

	nic.standby[strlen("macvtap")] = (char)('0' + device);
	nic.has_vf = device == 0 && p->has_lease && p->state >= SFH_PAIR_PROVING &&
		     p->state != SFH_PAIR_LEAVING;
	nic.vf = nic.has_vf ? p->lease.bdf : (struct sfh_bdf){ .bus = 0 };
	sfh_engine_guest_running(&f->e, &g, found);
	return sfh_engine_pair(&f->e, uuid, mac);
}

Test(away, a_guest_that_stopped_meanwhile_in_any_state)
{
	for (int s = 0; s < _SFH_PAIR_MAX; s++) {
		struct sfh_pair *other;

		(void)fake_pair_in(f, (enum sfh_pair_state)s);
		other = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
		sfh_engine_doubt(&f->e);
		assert_state(other, VF);
		cr_assert_eq(runs(OTHER, &mac_b, 0, true), other);
		cr_assert_eq(sfh_engine_doubted_gone(&f->e), 1, "%s",
			     sfh_pair_state_name((enum sfh_pair_state)s));
		cr_assert_null(sfh_engine_pair(&f->e, GUEST, &mac_a));
		assert_state(other, VF);
		cr_assert_eq(fake_leases(f), 1);
		sfh_pair_dispatch(&f->e, other, SFH_EV_STOPPED, NULL);
		fake_assert_nothing_left(f);
		cr_assert_eq(f->held, 0);
	}
}

Test(away, nobody_is_gone_who_was_not_in_doubt)
{
	(void)fake_pair_in(f, SFH_PAIR_VF);
	sfh_engine_doubt(&f->e);
	(void)runs(GUEST, &mac_a, 0, true);
	(void)fake_start(f, OTHER, &mac_b); /* since the list was made: not on it */
	cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
	assert_state(f->e.pairs->next, VF);
}

/* Its VF is nobody's, and it does not know it: with the MAC in the NIC's filter it would hear
 * nothing on either leg. */
Test(away, a_guest_that_was_started_anew_in_any_state)
{
	for (int found = 0; found < 2; found++)
		for (int s = SFH_PAIR_STANDBY; s < _SFH_PAIR_MAX; s++) {
			const char *state = sfh_pair_state_name((enum sfh_pair_state)s);
			struct sfh_pair *p;

			(void)fake_pair_in(f, (enum sfh_pair_state)s);
			p = runs(GUEST, &mac_a, 1, found);
			cr_assert(p, "%s", state);
			cr_assert_str_eq(sfh_pair_state_name(p->state), "standby", "%s", state);
			cr_assert_eq(p->standby_ifindex, 501, "%s: %d", state, p->standby_ifindex);
			cr_assert_not(p->negotiated);
			cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED, "%s", state);
			cr_assert_eq(fake_leases(f), 0);
			cr_assert(fake_entry_of(f, p), "it has no steering");
			fake_event(f, SFH_EV_NEGOTIATED);
			assert_state(p, PLUGGING);
			fake_event(f, SFH_EV_STOPPED);
			if (s == SFH_PAIR_LEAVING) /* the worker always answers */
				sfh_engine_migrated(&f->e, GUEST, -ENOTCONN, "libvirtd went");
			fake_assert_nothing_left(f);
		}
}

/* What waited for the last of its pairs waits no longer. */
Test(away, a_guest_that_was_started_anew_does_not_migrate)
{
	struct sfh_guest_nic nics[] = { fake_nic(&mac_a), fake_nic(&mac_c) };
	struct sfh_guest_desc g = fake_guest(GUEST, nics, 2);

	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(nics); i++)
		(void)strcpy(nics[i].standby, "macvtap1");
	sfh_engine_guest_running(&f->e, &g, true);
	cr_assert_eq(f->nmigrated, 1);
	cr_assert_eq(f->migrated, -ESRCH);
	for (const struct sfh_pair *p = f->e.pairs; p; p = p->next)
		assert_state(p, STANDBY);
	cr_assert_eq(sfh_engine_network_pairs(&f->e, "blue"), 2);
}

/* It is known to be gone before libvirt's list, on which it is not yet, is held against
 * what is there. */
Test(away, a_guest_that_is_started_while_the_list_is_made)
{
	struct sfh_pair *p;

	(void)fake_pair_in(f, SFH_PAIR_VF);
	sfh_engine_doubt(&f->e);
	p = runs(GUEST, &mac_a, 1, false);
	cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
	assert_state(p, STANDBY);
}

Test(away, the_same_run_keeps_what_it_has)
{
	for (int s = SFH_PAIR_STANDBY; s < _SFH_PAIR_MAX; s++) {
		struct sfh_pair *p = fake_pair_in(f, (enum sfh_pair_state)s);

		sfh_engine_doubt(&f->e);
		cr_assert_eq(runs(GUEST, &mac_a, 0, true), p);
		cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
		cr_assert_str_eq(sfh_pair_state_name(p->state),
				 sfh_pair_state_name((enum sfh_pair_state)s));
		fake_event(f, SFH_EV_STOPPED);
	}
}

Test(away, a_vf_that_was_let_go_meanwhile)
{
	static const enum sfh_pair_state states[] = { SFH_PAIR_PROVING, SFH_PAIR_VF,
						      SFH_PAIR_UNPLUGGING };
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	for (size_t i = 0; i < SFH_ARRAY_SIZE(states); i++) {
		struct sfh_pair *p = fake_pair_in(f, states[i]);

		fake_forget_calls(f);
		sfh_engine_guest_running(&f->e, &g, true); /* a list that is older than the plug */
		cr_assert_eq(p->state, states[i]);
		sfh_engine_doubt(&f->e);
		sfh_engine_guest_running(&f->e, &g, true);
		cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
		cr_assert(fake_armed(f, p), "%s", sfh_pair_state_name(states[i]));
		fake_assert_order(f, "vf_set 100 0 mac=00:00:00:00:00:00", NULL);
		if (states[i] == SFH_PAIR_UNPLUGGING) /* somebody asked for it */
			assert_reason(p, BY_REQUEST);
		else
			assert_state(p, PLUGGING);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
	}
}

/* The first attempt died with libvirtd; the hook has asked for another since. */
Test(away, an_arrival_that_is_tried_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_ARRIVING);
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	sfh_engine_doubt(&f->e);
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
	cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
	assert_state(p, ARRIVING);
	sfh_engine_doubt(&f->e);
	sfh_engine_guest_devices(&f->e, &g);
	cr_assert_eq(sfh_engine_doubted_gone(&f->e), 0);
	assert_state(p, ARRIVING);
}

/* --- a plug in whose middle it went ---------------------------------------------------- */

Test(away, a_plug_without_an_answer_is_asked_for_again)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	cr_assert_eq(fake_count(f, "plug "), 1);
	for (unsigned i = 2; i < 5; i++) { /* it stays away for a while */
		fake_event(f, SFH_EV_PLUG_LOST);
		assert_state(p, PLUGGING);
		cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A, "the guest may have it");
		fake_sleep(f, SFH_PLUG_RETRY_MS - 1);
		cr_assert_eq(fake_count(f, "plug "), i - 1);
		fake_sleep(f, 1);
		cr_assert_eq(fake_count(f, "plug "), i);
	}
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, PROVING);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
}

Test(away, a_plug_without_an_answer_that_never_was)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PLUG_LOST);
	fake_fail(f, OP_PLUG, ENOMEM, 0, 1);
	fake_sleep(f, SFH_PLUG_RETRY_MS);
	assert_state(p, PLUGGING);
	fake_sleep(f, SFH_PLUG_RETRY_MS);
	cr_assert_eq(fake_count(f, "plug "), 3);
	fake_event(f, SFH_EV_PLUG_FAILED);
	assert_reason(p, PLUG_FAILED);
	cr_assert_str_eq(fake_vf(f, 0, 0), ZEROED);
	fake_event(f, SFH_EV_ACCELERATE);
	cr_assert_eq(fake_count(f, "plug "), 4);
	fake_event(f, SFH_EV_CONSIDER);
	cr_assert_eq(fake_count(f, "plug "), 4, "that one is not lost");
}

Test(away, a_plug_without_an_answer_that_is_proven_first)
{
	struct sfh_pair *p = fake_pair_in(f, SFH_PAIR_PLUGGING);

	fake_event(f, SFH_EV_PLUG_LOST);
	fake_event(f, SFH_EV_PROOF);
	cr_assert_str_eq(fake_vf(f, 0, 0), CARRIES_A);
	fake_sleep(f, SFH_PLUG_RETRY_MS);
	fake_event(f, SFH_EV_PLUGGED);
	assert_state(p, VF);
}
