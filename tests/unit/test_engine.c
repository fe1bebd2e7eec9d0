// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine's networks and its list of pairs. */
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

TestSuite(engine, .init = init, .fini = fini, .timeout = 30);

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
