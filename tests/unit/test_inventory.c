// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool's memory of VFs: who may have which, landing VFs, VFs that are somebody
 * else's; and everything that a VF is told beside its MAC. */
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "ctl/engine/inventory.h"
#include "tests/unit/fakes.h"

static struct fake *f;

#define THIRD "33333333-2222-3333-4444-555555555555"

static void init(void)
{
	f = fake_new();
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(inventory, .init = init, .fini = fini, .timeout = 30);
TestSuite(settings, .init = init, .fini = fini, .timeout = 30);

/* A new engine over the same host, whose network keeps VFs back. */
static void with_landing(unsigned landing)
{
	f->landing = landing;
	fake_restart(f);
}

static struct sfh_inventory *inv(const char *pf)
{
	struct sfh_inventory *ret = NULL;
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_inventory_get(&f->e, pf, &ret, &err), 0, "%s", err.text);
	return ret;
}

static const char *state_of(const char *pf, unsigned vf)
{
	return sfh_slot_state_name(inv(pf)->slots[vf].state);
}

/* Counts agree with states, and the bits of what is free with both. */
static void consistent(const struct sfh_inventory *i)
{
	unsigned count[_SFH_SLOT_MAX] = { 0 };

	for (unsigned v = 0; v < i->n; v++) {
		enum sfh_slot_state s = i->slots[v].state;

		count[s]++;
		cr_expect_eq((i->free_bits[v / 64] >> v % 64 & 1) != 0, s == SFH_SLOT_FREE);
		cr_expect_eq((i->landing_bits[v / 64] >> v % 64 & 1) != 0, s == SFH_SLOT_LANDING);
		cr_expect_eq(i->slots[v].why[0] != '\0', s == SFH_SLOT_EXCLUDED, "VF %u: '%s'", v,
			     i->slots[v].why);
	}
	cr_expect_arr_eq(count, i->count, sizeof(count));
}

/* --- reading --------------------------------------------------------------------------- */

Test(inventory, read_once_however_many_leases)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 8;
	p = fake_pair_in(f, SFH_PAIR_VF);
	fake_fail(f, OP_VF_LIST, EIO, 0, -1); /* nobody asks any more */
	for (int i = 0; i < 20; i++) {
		struct sfh_error err = { 0 };

		sfh_pool_release(&f->e, p);
		cr_assert_eq(sfh_pool_lease(&f->e, p, &err), 0, "%s", err.text);
	}
	consistent(inv("pf0"));
}

Test(inventory, a_lease_asks_and_tells_the_same_however_many_vfs)
{
	unsigned gets[2], sets[2];

	for (int i = 0; i < 2; i++) {
		struct sfh_pair *p;

		f->pf[0].nvfs = i ? 8 : 1;
		fake_restart(f);
		p = fake_start(f, i ? OTHER : GUEST, i ? &mac_b : &mac_a);
		f->gets = 0;
		fake_forget_calls(f);
		sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
		assert_state(p, PLUGGING);
		gets[i] = f->gets;
		sets[i] = fake_count(f, "vf_set");
		sfh_pair_dispatch(&f->e, p, SFH_EV_STOPPED, NULL);
	}
	cr_assert_eq(gets[0], 2, "originals, read back");
	cr_assert_eq(sets[0], 1);
	cr_assert_eq(gets[1], gets[0]);
	cr_assert_eq(sets[1], sets[0]);
}

Test(inventory, states_of_slots)
{
	f->pf[0].nvfs = 4;
	(void)strcpy(f->pf[0].why_not[3], "bound to igbvf");
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_ARRIVING);
	cr_assert_str_eq(state_of("pf0", 0), "leased");
	cr_assert_str_eq(state_of("pf0", 1), "reserved");
	cr_assert_str_eq(state_of("pf0", 2), "free");
	cr_assert_str_eq(state_of("pf0", 3), "excluded");
	cr_assert_str_eq(inv("pf0")->slots[3].why, "bound to igbvf");
	consistent(inv("pf0"));
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_STOPPED, NULL);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_FREE], 3);
	consistent(inv("pf0"));
}

Test(inventory, leases_are_known_after_a_restart)
{
	f->pf[0].nvfs = 3;
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_ARRIVING);
	fake_restart(f);
	cr_assert_str_eq(state_of("pf0", 0), "leased");
	cr_assert_str_eq(state_of("pf0", 1), "reserved");
	cr_assert_eq(sfh_inventory_pick(inv("pf0"), false), 2);
}

Test(inventory, a_network_that_goes_is_forgotten)
{
	(void)inv("pf0");
	sfh_engine_network_remove(&f->e, "blue");
	cr_assert_null(f->e.inventory);
	cr_assert_eq(sfh_pool_peek(&f->e, "pf0", NULL), -ENODEV);
}

Test(inventory, vfs_that_appear_are_found_when_none_is_free)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 1;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, NO_FREE_VF);
	f->pf[0].nvfs = 2;
	fake_sleep(f, 1000);
	fake_event(f, SFH_EV_ACCELERATE);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.vf, 1);
}

/* --- somebody else's ------------------------------------------------------------------- */

Test(inventory, a_mac_of_somebody_else_at_up)
{
	struct sfh_pair *p;

	f->pf[0].vf[0].mac = mac_c;
	p = fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0c vlan 0");
	cr_assert(strstr(inv("pf0")->slots[0].why, "carries MAC 52:54:00:00:00:0c"));
}

Test(inventory, a_mac_of_somebody_else_since)
{
	struct sfh_pair *p;

	(void)inv("pf0");
	f->pf[0].vf[0].mac = mac_c;
	p = fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_eq(fake_count(f, "vf_set 100 0"), 0);
	cr_assert_str_eq(state_of("pf0", 0), "excluded");
	cr_assert_eq(fake_leases(f), 1);
	consistent(inv("pf0"));
	/* it is taken off, and the VF is one of ours again */
	f->pf[0].vf[0].mac = (struct sfh_mac){ { 0 } };
	cr_assert_eq(sfh_inventory_refresh(&f->e, "pf0", NULL), 0);
	cr_assert_str_eq(state_of("pf0", 0), "free");
}

Test(inventory, taken_by_another_guest_since)
{
	struct sfh_pair *p;

	(void)inv("pf0");
	(void)strcpy(f->pf[0].why_not[0], "in use by guest 'other'");
	p = fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_eq(fake_count(f, "vf_set 100 0"), 0);
	cr_assert_str_eq(inv("pf0")->slots[0].why, "in use by guest 'other'");
}

Test(inventory, a_row_that_the_pool_did_not_write)
{
	struct sfh_lease theirs = { .pf = "pf0", .vf = 0, .bdf = { .bus = 10, .slot = 0 },
				    .domain = OTHER, .mac = mac_b };
	struct sfh_pair *p = fake_start(f, GUEST, &mac_a);

	(void)inv("pf0");
	cr_assert_eq(sfh_ledger_lease_add(f->ledger, &theirs, NULL), 0);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_str_eq(state_of("pf0", 0), "leased");
}

static int keep_why(void *ctx, const struct sfh_ledger_slot *slot)
{
	char(*why)[2][64] = ctx;

	if (strcmp(slot->pf, "pf0") == 0 && slot->vf < 2)
		(void)snprintf((*why)[slot->vf], 64, "%s %s", slot->class, slot->why);
	return 0;
}

Test(inventory, status_can_read_what_the_pool_thinks)
{
	char why[2][64] = { "", "" };

	with_landing(0);
	(void)strcpy(f->pf[0].why_not[1], "excluded by address");
	(void)inv("pf0");
	cr_assert_eq(sfh_ledger_slots(f->ledger, keep_why, why), 0);
	cr_assert_str_eq(why[0], "free ");
	cr_assert_str_eq(why[1], "excluded excluded by address");
	f->pf[0].vf[0].mac = mac_c;
	(void)fake_pair_in(f, SFH_PAIR_STANDBY);
	fake_event(f, SFH_EV_NEGOTIATED);
	cr_assert_eq(sfh_ledger_slots(f->ledger, keep_why, why), 0);
	cr_assert_str_eq(why[0], "excluded carries MAC 52:54:00:00:00:0c that is not ours");
}

/* --- landing VFs --------------------------------------------------------------------------- */

Test(inventory, one_is_kept_back)
{
	struct sfh_pair *late;

	with_landing(1);
	f->pf[1].nvfs = 0;
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	cr_assert_str_eq(state_of("pf0", 1), "landing");
	late = fake_start(f, OTHER, &mac_b);
	sfh_pair_dispatch(&f->e, late, SFH_EV_NEGOTIATED, NULL);
	assert_state(late, STANDBY);
	assert_reason(late, NO_FREE_VF);
	cr_assert_eq(fake_count(f, "vf_set 100 1"), 0, "never at start");
	/* the first goes: its VF, not the one kept back, is the other's */
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	assert_state(late, PLUGGING);
	cr_assert_eq(late->lease.vf, 0);
	consistent(inv("pf0"));
}

Test(inventory, the_only_vf_is_not_kept_back)
{
	with_landing(1);
	f->pf[0].nvfs = 1;
	f->pf[1].nvfs = 0;
	(void)fake_pair_in(f, SFH_PAIR_VF);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_LANDING], 0);
}

Test(inventory, none_when_switched_off)
{
	with_landing(0);
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_LEASED], 2);
}

Test(inventory, one_a_network_and_not_one_a_pf)
{
	with_landing(1);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_LANDING] + inv("pf1")->count[SFH_SLOT_LANDING], 1);
	with_landing(2);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_LANDING], 1, "spread");
	cr_assert_eq(inv("pf1")->count[SFH_SLOT_LANDING], 1);
	with_landing(100);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_FREE] + inv("pf1")->count[SFH_SLOT_FREE], 1,
		     "one is left for use");
}

Test(inventory, an_arrival_is_promised_the_landing_vf_and_gives_it_back)
{
	struct sfh_pair *p;
	struct sfh_guest_nic nic = fake_nic(&mac_b);
	struct sfh_guest_desc g = fake_guest(OTHER, &nic, 1);

	with_landing(1);
	f->pf[1].nvfs = 0;
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF); /* the free one */
	p = fake_second_in(f, OTHER, &mac_b, SFH_PAIR_ARRIVING);
	cr_assert(p->has_lease);
	cr_assert_eq(p->lease.vf, 1);
	cr_assert_str_eq(state_of("pf0", 1), "reserved");
	sfh_engine_guest_devices(&f->e, &g);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_NEGOTIATED, NULL);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_RESUMED, NULL);
	assert_state(p, STANDBY);
	assert_reason(p, NO_FREE_VF);
	cr_assert_not(p->has_lease);
	cr_assert_str_eq(state_of("pf0", 1), "landing", "for the next arrival");
	cr_assert_eq(fake_count(f, "vf_set 100 1"), 0);
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.vf, 0);
}

Test(inventory, an_arrival_takes_a_free_vf_first)
{
	struct sfh_pair *p;

	with_landing(1);
	f->pf[1].nvfs = 0;
	p = fake_pair_in(f, SFH_PAIR_ARRIVING);
	cr_assert_eq(p->lease.vf, 0);
	cr_assert_str_eq(state_of("pf0", 1), "landing");
}

Test(inventory, what_frees_is_kept_back_when_one_lacks)
{
	/* both were leased before the network kept one back */
	f->pf[1].nvfs = 0;
	(void)fake_second_in(f, GUEST, &mac_a, SFH_PAIR_VF);
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	f->e.networks->landing = 1;
	cr_assert_eq(sfh_inventory_refresh(&f->e, "pf0", NULL), 0);
	cr_assert_eq(inv("pf0")->count[SFH_SLOT_LANDING], 0);
	sfh_engine_guest_event(&f->e, GUEST, SFH_EV_STOPPED, NULL);
	cr_assert_str_eq(state_of("pf0", 0), "landing");
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	cr_assert_str_eq(state_of("pf0", 1), "free");
	consistent(inv("pf0"));
}

Test(inventory, an_excluded_landing_vf_is_replaced)
{
	with_landing(1);
	f->pf[0].nvfs = 4;
	f->pf[1].nvfs = 0;
	cr_assert_str_eq(state_of("pf0", 3), "landing");
	sfh_inventory_exclude(&f->e, inv("pf0"), 3, "test");
	cr_assert_str_eq(state_of("pf0", 2), "landing");
	consistent(inv("pf0"));
}

/* --- giving back ------------------------------------------------------------------------------- */

Test(inventory, what_could_not_be_given_back_is_tried_again)
{
	struct sfh_pair *p;

	f->pf[0].nvfs = 1;
	(void)fake_second_in(f, OTHER, &mac_b, SFH_PAIR_VF);
	fake_fail(f, OP_VF_SET, EIO, 0, -1);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	cr_assert_eq(fake_leases(f), 1);
	fake_heal(f);
	p = fake_start(f, GUEST, &mac_a);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(inv("pf0")->nstuck, 0);
	cr_assert_eq(fake_leases(f), 1);
}

Test(inventory, two_freed_wake_two)
{
	struct sfh_pair *p, *q;

	f->pf[1].nvfs = 0;
	(void)fake_second_in(f, THIRD, &mac_c, SFH_PAIR_VF);
	(void)fake_second_in(f, "44444444-2222-3333-4444-555555555555",
			     &(struct sfh_mac){ { 0x52, 0x54, 0, 0, 0, 0xd } }, SFH_PAIR_VF);
	p = fake_start(f, GUEST, &mac_a);
	q = fake_start(f, OTHER, &mac_b);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	sfh_pair_dispatch(&f->e, q, SFH_EV_NEGOTIATED, NULL);
	assert_reason(p, NO_FREE_VF);
	assert_reason(q, NO_FREE_VF);
	sfh_engine_guest_event(&f->e, THIRD, SFH_EV_STOPPED, NULL);
	sfh_engine_guest_event(&f->e, "44444444-2222-3333-4444-555555555555", SFH_EV_STOPPED, NULL);
	fake_sleep(f, 1);
	assert_state(p, PLUGGING);
	assert_state(q, PLUGGING);
}

/* --- everything a VF can be told ------------------------------------------------------------------ */

static struct sfh_vf_wish everything(void)
{
	return (struct sfh_vf_wish){
		.cfg = { .vlan = 42, .qos = 3, .proto = ETH_P_8021AD, .trust = true,
			 .spoofchk = false, .link_state = 1, .min_tx = 100, .max_tx = 1000 },
		.what = SFH_VF_VLAN_PARTS | SFH_VF_EXTRAS,
		.optional = SFH_VF_LINK_STATE | SFH_VF_RATE,
	};
}

/* A pair whose NIC asks for `wish`, right before it is given a VF. */
static struct sfh_pair *wishing(const struct sfh_vf_wish *wish)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.wish = *wish;
	f->pf[0].vf[0] = (struct sfh_vf_config){ .spoofchk = true, .max_tx = 500 };
	sfh_engine_guest_running(&f->e, &g, false);
	return f->e.pairs;
}

static void assert_as_it_was(void)
{
	const struct sfh_vf_config *vf = &f->pf[0].vf[0];

	cr_expect_str_eq(fake_vf(f, 0, 0), ZEROED);
	cr_expect_eq(vf->qos, 0);
	cr_expect(vf->proto == 0 || vf->proto == ETH_P_8021Q, "%x", vf->proto);
	cr_expect(vf->spoofchk);
	cr_expect_not(vf->trust);
	cr_expect_eq(vf->link_state, 0);
	cr_expect_eq(vf->min_tx, 0);
	cr_expect_eq(vf->max_tx, 500);
	cr_expect_eq(fake_leases(f), 0);
}

Test(settings, all_of_them_parked_first_and_the_vlan_last)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);
	const struct sfh_vf_config *vf = &f->pf[0].vf[0];

	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(vf->qos, 0);
	cr_assert(vf->trust && !vf->spoofchk);
	cr_assert_eq(vf->link_state, 1);
	cr_assert_eq(vf->min_tx, 100);
	cr_assert_eq(vf->max_tx, 1000);
	cr_assert_eq(p->vlan, 0, "the steering key stays the standby's");
	cr_assert_eq(p->lease.vlan, 42);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0a vlan 42");
	cr_assert_eq(vf->qos, 3);
	cr_assert_eq(vf->proto, ETH_P_8021AD);
	fake_assert_order(f, "vf_set 100 0 mac=- vlan=42 qos=3 proto=88a8", /* tried, no MAC yet */
			  "vf_set 100 0 mac=52:54:00:00:00:0a vlan=4094", "vf_set 100 0 mac=- vlan=- trust",
			  "plug", "vf_set 100 0 mac=- vlan=42 qos=3 proto=88a8", NULL);
}

Test(settings, everything_is_put_back_at_release)
{
	struct sfh_vf_wish wish = everything();

	(void)wishing(&wish);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	fake_event(f, SFH_EV_STOPPED);
	assert_as_it_was();
	fake_assert_nothing_left(f);
}

Test(settings, originals_survive_a_restart)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	(void)wishing(&wish);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	fake_restart(f);
	nic.wish = wish;
	sfh_engine_guest_running(&f->e, &g, true); /* it lost the VF, and is given it anew */
	cr_assert_eq(fake_leases(f), 1);
	fake_event(f, SFH_EV_STOPPED);
	assert_as_it_was();
}

Test(settings, swept_with_all_that_was_changed)
{
	struct sfh_vf_wish wish = everything();

	(void)wishing(&wish);
	fake_event(f, SFH_EV_NEGOTIATED);
	fake_restart(f);
	cr_assert_eq(sfh_engine_sweep(&f->e), 1);
	assert_as_it_was();
}

Test(settings, untouched_is_what_nobody_asked_for)
{
	f->pf[0].vf[0] = (struct sfh_vf_config){ .trust = true, .max_tx = 77 };
	(void)fake_pair_in(f, SFH_PAIR_VF);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert(f->pf[0].vf[0].trust);
	cr_assert_eq(f->pf[0].vf[0].max_tx, 77);
	cr_assert_eq(fake_count(f, "vf_set 100 0 mac=- vlan=- "), 0);
}

static void refused_setting(unsigned bit)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	f->refuse = bit;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, STANDBY);
	assert_reason(p, VF_REFUSED);
	assert_as_it_was();
	cr_assert_eq(fake_count(f, "plug"), 0);
}

Test(settings, vlan_refused)
{
	refused_setting(SFH_VF_VLAN);
}

Test(settings, priority_refused)
{
	refused_setting(SFH_VF_QOS);
}

Test(settings, ethertype_refused_before_the_guest_depends_on_it)
{
	refused_setting(SFH_VF_PROTO);
}

Test(settings, trust_refused)
{
	refused_setting(SFH_VF_TRUST);
}

Test(settings, spoofchk_refused_after_trust_was_taken)
{
	refused_setting(SFH_VF_SPOOFCHK);
}

Test(settings, taken_and_forgotten_is_found_by_reading_back)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	f->deaf = SFH_VF_TRUST;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(p, VF_REFUSED);
	cr_assert(strstr(p->detail, "took trust without a word"), "%s", p->detail);
	assert_as_it_was();
}

Test(settings, a_driver_that_does_not_tell_is_believed)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	f->known = SFH_VF_MAC | SFH_VF_VLAN;
	f->pf[0].vf[0].max_tx = 0; /* what such a driver is given back: its default */
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert(f->pf[0].vf[0].spoofchk);
	cr_assert_not(f->pf[0].vf[0].trust);
	cr_assert_eq(f->pf[0].vf[0].max_tx, 0);
}

static int keep_lease(void *ctx, const struct sfh_lease *lease)
{
	*(struct sfh_lease *)ctx = *lease;
	return 0;
}

Test(settings, optional_ones_are_reported)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);
	struct sfh_lease lease = { .vf = 99 };

	f->refuse = SFH_VF_RATE;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, PLUGGING);
	cr_assert_eq(sfh_ledger_leases(f->ledger, keep_lease, &lease), 0);
	cr_assert_eq(lease.refused, SFH_VF_RATE);
	cr_assert_eq(f->pf[0].vf[0].link_state, 1, "the other one was taken");
	f->refuse = 0;
	fake_forget_calls(f);
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(fake_count(f, "vf_set 100 0 mac=- vlan=- rate"), 0, "it was never changed");
	assert_as_it_was();
}

Test(settings, an_optional_one_that_is_put_off_is_waited_for_a_while)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	f->refuse = SFH_VF_RATE;
	f->refuse_code = EBUSY;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, LEASING);
	assert_as_it_was();
	fake_sleep(f, 10000);
	assert_state(p, PLUGGING);
	cr_assert_eq(p->lease.refused, SFH_VF_RATE);
}

Test(settings, busy_is_tried_again)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	f->refuse = SFH_VF_TRUST;
	f->refuse_code = EBUSY;
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_state(p, LEASING);
	assert_as_it_was();
	f->refuse = 0;
	fake_sleep(f, SFH_LEASE_RETRY_MS);
	assert_state(p, PLUGGING);
	cr_assert(f->pf[0].vf[0].trust);
}

/* Each message of a lease refused in turn: state afterwards equals state before. */
Test(settings, every_message_refused_in_turn)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);
	int n;

	for (n = 0; n < 20; n++) {
		f->pf[0].vf[0] = (struct sfh_vf_config){ .spoofchk = true, .max_tx = 500 };
		p->lease_tries = 0;
		fake_heal(f);
		fake_fail(f, OP_VF_SET, EIO, n, 1);
		if (sfh_pool_lease(&f->e, p, NULL) == 0 && !p->lease.refused)
			break;
		if (p->has_lease) { /* an optional one: it goes without */
			cr_expect(p->lease.refused);
			sfh_pool_release(&f->e, p);
		}
		assert_as_it_was();
		consistent(inv("pf0"));
	}
	cr_assert_eq(n, 6, "VLAN tried, MAC, trust, spoofchk, link state, rate: %d", n);
}

Test(settings, reads_refused_in_turn)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	for (int n = 0; n < 2; n++) {
		fake_heal(f);
		fake_fail(f, OP_VF_GET, EIO, n, 1);
		cr_assert_eq(sfh_pool_lease(&f->e, p, NULL), -EIO);
		assert_as_it_was();
	}
}

Test(settings, what_a_reset_took_is_told_again)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	fake_event(f, SFH_EV_NEGOTIATED);
	f->pf[0].vf[0].trust = false; /* vfio opened it */
	f->pf[0].vf[0].max_tx = 0;
	fake_event(f, SFH_EV_PLUGGED);
	fake_event(f, SFH_EV_PROOF);
	assert_state(p, VF);
	cr_assert(f->pf[0].vf[0].trust);
	cr_assert_eq(f->pf[0].vf[0].max_tx, 1000);
}

Test(settings, a_lease_that_cannot_be_undone_keeps_its_row)
{
	struct sfh_vf_wish wish = everything();
	struct sfh_pair *p = wishing(&wish);

	/* trust is refused, and so is everything after it */
	fake_fail(f, OP_VF_SET, EIO, 2, -1);
	cr_assert_eq(sfh_pool_lease(&f->e, p, NULL), -EIO);
	cr_assert_str_eq(fake_vf(f, 0, 0), PARKED_A);
	cr_assert_eq(fake_leases(f), 1, "a VF with a MAC and no lease");
	cr_assert_str_eq(state_of("pf0", 0), "leased");
	fake_heal(f);
	cr_assert_eq(sfh_pool_lease(&f->e, p, NULL), 0, "its own leftovers are not in its way");
	cr_assert_eq(fake_leases(f), 1);
}

Test(settings, a_port_profile_bars_the_vf)
{
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	nic.barred = SFH_REASON_PORT_PROFILE;
	sfh_engine_guest_running(&f->e, &g, false);
	fake_event(f, SFH_EV_NEGOTIATED);
	assert_reason(f->e.pairs, PORT_PROFILE);
	cr_assert_eq(fake_leases(f), 0);
}

Test(settings, precedence)
{
	struct sfh_vf_wish net = everything();
	struct sfh_vf_wish own = { .cfg = { .vlan = 7, .max_tx = 5 },
				   .what = SFH_VF_VLAN | SFH_VF_RATE };

	sfh_vf_wish_merge(&net, &own);
	cr_assert_eq(net.cfg.vlan, 7);
	cr_assert_not(net.what & (SFH_VF_QOS | SFH_VF_PROTO), "they belong to the other VLAN");
	cr_assert_eq(net.cfg.max_tx, 5);
	cr_assert_eq(net.cfg.min_tx, 0, "a rate is one setting");
	cr_assert_not(net.optional & SFH_VF_RATE);
	cr_assert(net.optional & SFH_VF_LINK_STATE);
	cr_assert(net.cfg.trust);
}
