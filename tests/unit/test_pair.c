// SPDX-License-Identifier: GPL-2.0-or-later
/* The state table: every row of it, and everything that is not in it. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes.h"

#define GONE _SFH_PAIR_MAX

/* Where each row leads for a guest that is adopted, talks, and has negotiated
 * STANDBY in every state but arriving and standby. */
static const struct {
	enum sfh_pair_state state;
	enum sfh_pair_event event;
	enum sfh_pair_state after;
} rows[] = {
#define ROW(s, ev, after) { SFH_PAIR_##s, SFH_EV_##ev, SFH_PAIR_##after }
#define LAST(s, ev)	  { SFH_PAIR_##s, SFH_EV_##ev, GONE }
	ROW(ARRIVING, DEVICES, ARRIVING),
	ROW(ARRIVING, FIRST_FRAME, ARRIVING),
	ROW(ARRIVING, NEGOTIATED, ARRIVING),
	ROW(ARRIVING, RESUMED, STANDBY),
	ROW(ARRIVING, NIC_REMOVED, ARRIVING),
	LAST(ARRIVING, DEADLINE),
	LAST(ARRIVING, STOPPED),
	ROW(STANDBY, RESUMED, STANDBY),
	ROW(STANDBY, NEGOTIATED, PLUGGING),
	ROW(STANDBY, RESET, STANDBY),
	ROW(STANDBY, FIRST_FRAME, STANDBY),
	ROW(STANDBY, CONSIDER, STANDBY),
	ROW(STANDBY, ACCELERATE, STANDBY),
	ROW(STANDBY, HOLD, STANDBY),
	ROW(STANDBY, LEAVE, LEAVING),
	ROW(STANDBY, DEPART, LEAVING),
	LAST(STANDBY, NIC_REMOVED),
	LAST(STANDBY, STOPPED),
	ROW(LEASING, CONSIDER, PLUGGING),
	ROW(LEASING, PORT_TAKEN, PLUGGING),
	ROW(LEASING, PORT_REFUSED, STANDBY),
	ROW(LEASING, NEGOTIATED, LEASING),
	ROW(LEASING, RESET, LEASING),
	ROW(LEASING, ACCELERATE, LEASING),
	ROW(LEASING, HOLD, LEASING),
	ROW(LEASING, LEAVE, LEASING),
	LAST(LEASING, NIC_REMOVED),
	LAST(LEASING, STOPPED),
	ROW(PLUGGING, PLUGGED, PROVING),
	ROW(PLUGGING, PROOF, PLUGGING),
	ROW(PLUGGING, PLUG_FAILED, STANDBY),
	ROW(PLUGGING, PLUG_LOST, PLUGGING),
	ROW(PLUGGING, CONSIDER, PLUGGING),
	ROW(PLUGGING, NO_PORT, STANDBY),
	ROW(PLUGGING, NEGOTIATED, PLUGGING),
	ROW(PLUGGING, RESET, PLUGGING),
	ROW(PLUGGING, HOLD, PLUGGING),
	ROW(PLUGGING, ACCELERATE, PLUGGING),
	ROW(PLUGGING, LEAVE, PLUGGING),
	ROW(PLUGGING, NIC_REMOVED, PLUGGING),
	LAST(PLUGGING, STOPPED),
	ROW(PROVING, PROOF, VF),
	ROW(PROVING, DEADLINE, UNPLUGGING),
	ROW(PROVING, RESET, PROVING),
	ROW(PROVING, CONSIDER, PROVING),
	ROW(PROVING, NEGOTIATED, PROVING),
	ROW(PROVING, PORT_REFUSED, UNPLUGGING),
	ROW(PROVING, HOLD, UNPLUGGING),
	ROW(PROVING, LEAVE, UNPLUGGING),
	ROW(PROVING, YIELD, YIELDING),
	ROW(PROVING, UNPLUGGED, STANDBY),
	ROW(PROVING, NIC_REMOVED, UNPLUGGING),
	LAST(PROVING, STOPPED),
	ROW(VF, RESET, PROVING),
	ROW(VF, NEGOTIATED, VF),
	ROW(VF, PORT_REFUSED, UNPLUGGING),
	ROW(VF, HOLD, UNPLUGGING),
	ROW(VF, LEAVE, UNPLUGGING),
	ROW(VF, YIELD, YIELDING),
	ROW(VF, UNPLUGGED, STANDBY), /* the guest ejected it: it does not get it back at once */
	ROW(VF, NIC_REMOVED, UNPLUGGING),
	ROW(VF, DEADLINE, VF), /* its NIC is there */
	LAST(VF, STOPPED),
	ROW(UNPLUGGING, FIRST_FRAME, UNPLUGGING),
	ROW(UNPLUGGING, LISTENS, UNPLUGGING),
	ROW(UNPLUGGING, CONSIDER, UNPLUGGING),
	ROW(UNPLUGGING, UNPLUGGED, STANDBY),
	ROW(UNPLUGGING, NEGOTIATED, UNPLUGGING),
	ROW(UNPLUGGING, RESET, UNPLUGGING),
	ROW(UNPLUGGING, ACCELERATE, UNPLUGGING),
	ROW(UNPLUGGING, HOLD, UNPLUGGING),
	ROW(UNPLUGGING, LEAVE, UNPLUGGING),
	ROW(UNPLUGGING, UNPLUG_FAILED, VF),
	ROW(UNPLUGGING, DEADLINE, VF),
	ROW(UNPLUGGING, NIC_REMOVED, UNPLUGGING),
	LAST(UNPLUGGING, STOPPED),
	LAST(LEAVING, CONFIRMED),
	ROW(LEAVING, MIGRATE_FAILED, PLUGGING),
	ROW(LEAVING, CONSIDER, LEAVING),
	ROW(LEAVING, NEGOTIATED, LEAVING),
	ROW(LEAVING, RESET, LEAVING),
	ROW(LEAVING, RESUMED, LEAVING), /* likewise: not by libvirt's doing */
	ROW(LEAVING, STAYS, LEAVING), /* sfhybrid's own migration: Confirm says so */
	ROW(LEAVING, HOLD, LEAVING),
	ROW(LEAVING, ACCELERATE, LEAVING),
	ROW(LEAVING, NIC_REMOVED, LEAVING),
	LAST(LEAVING, STOPPED),
	ROW(YIELDING, FIRST_FRAME, YIELDING),
	ROW(YIELDING, LISTENS, YIELDING),
	ROW(YIELDING, CONSIDER, YIELDING),
	ROW(YIELDING, NEGOTIATED, YIELDING),
	ROW(YIELDING, RESET, YIELDING),
	ROW(YIELDING, YIELDED, LEAVING),
	ROW(YIELDING, STAYS, VF),
	ROW(YIELDING, DEADLINE, YIELDING),
	ROW(YIELDING, HOLD, YIELDING),
	ROW(YIELDING, ACCELERATE, YIELDING),
	ROW(YIELDING, NIC_REMOVED, YIELDING),
	LAST(YIELDING, STOPPED),
	ROW(LANDING, UNPLUGGED, PLUGGING),
	ROW(LANDING, UNPLUG_FAILED, LANDING),
	ROW(LANDING, CONSIDER, LANDING),
	ROW(LANDING, NEGOTIATED, LANDING),
	ROW(LANDING, RESET, LANDING),
	ROW(LANDING, HOLD, LANDING),
	ROW(LANDING, ACCELERATE, LANDING),
	ROW(LANDING, LEAVE, LANDING),
	ROW(LANDING, NIC_REMOVED, LANDING),
	LAST(LANDING, STOPPED),
};

static bool in_table(enum sfh_pair_state state, enum sfh_pair_event event)
{
	const struct sfh_transition *table;
	size_t n;

	table = sfh_pair_table(&n);
	for (size_t i = 0; i < n; i++)
		if (table[i].state == state && table[i].event == event)
			return true;
	return false;
}

Test(pair, every_row_leads_where_it_says, .timeout = 60)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(rows); i++) {
		struct fake *f = fake_new();
		struct sfh_pair *p = fake_pair_in(f, rows[i].state);
		char line[128];

		f->debug[0] = '\0';
		/* LEAVE's place is a migration; all others come straight. */
		if (rows[i].event == SFH_EV_LEAVE)
			cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
		else
			sfh_pair_dispatch(&f->e, p, rows[i].event, NULL);
		(void)snprintf(line, sizeof(line), "guest-1111: %s in %s",
			       sfh_pair_event_name(rows[i].event), sfh_pair_state_name(rows[i].state));
		cr_expect_neq(f->debug[0], 0, "nothing was dispatched: %s", line);
		p = sfh_engine_pair(&f->e, GUEST, &mac_a);
		if (rows[i].after == GONE)
			cr_expect_null(p, "%s: still there", line);
		else if (p)
			cr_expect_str_eq(sfh_pair_state_name(p->state),
					 sfh_pair_state_name(rows[i].after), "%s: %s", line,
					 sfh_pair_state_name(p->state));
		else
			cr_expect_fail("%s: gone", line);
		if (rows[i].after == GONE)
			fake_assert_nothing_left(f);
		fake_free(f);
	}
}

Test(pair, every_row_of_the_table_is_tested_here)
{
	const struct sfh_transition *table;
	size_t n;

	table = sfh_pair_table(&n);
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t k = 0; k < SFH_ARRAY_SIZE(rows); k++)
			found |= rows[k].state == table[i].state && rows[k].event == table[i].event;
		cr_expect(found, "%s in %s has no line in this test",
			  sfh_pair_event_name(table[i].event), sfh_pair_state_name(table[i].state));
		for (size_t k = 0; k < i; k++)
			cr_expect_not(table[k].state == table[i].state &&
					      table[k].event == table[i].event,
				      "%s in %s stands there twice",
				      sfh_pair_event_name(table[i].event),
				      sfh_pair_state_name(table[i].state));
		cr_expect_not_null(table[i].action);
		cr_expect_neq(table[i].doc[0], 0);
	}
	cr_assert_eq(n, SFH_ARRAY_SIZE(rows), "a row of this test is not in the table");
}

Test(pair, what_is_not_in_the_table_changes_nothing, .timeout = 60)
{
	for (int s = 0; s < _SFH_PAIR_MAX; s++) {
		struct fake *f = fake_new();
		struct sfh_pair *p = fake_pair_in(f, (enum sfh_pair_state)s), before = *p;
		struct fake_pf pfs[FAKE_PFS];
		struct fake_entry entries[FAKE_ENTRIES];
		unsigned settled = f->settled, leases = fake_leases(f), calls = fake_count(f, "");

		memcpy(pfs, f->pf, sizeof(pfs));
		memcpy(entries, f->entry, sizeof(entries));
		for (int ev = 0; ev < _SFH_EV_MAX; ev++) {
			const char *what = sfh_pair_event_name((enum sfh_pair_event)ev);

			if (in_table((enum sfh_pair_state)s, (enum sfh_pair_event)ev))
				continue;
			sfh_pair_dispatch(&f->e, p, (enum sfh_pair_event)ev, "out of place");
			cr_assert_eq(f->e.pairs, p, "%s in %s", what,
				     sfh_pair_state_name((enum sfh_pair_state)s));
			cr_expect_eq(memcmp(p, &before, sizeof(*p)), 0, "%s in %s changed the pair", what,
				     sfh_pair_state_name((enum sfh_pair_state)s));
		}
		cr_expect_eq(fake_count(f, ""), calls, "no call: %s", f->calls);
		cr_expect_eq(f->settled, settled);
		cr_expect_eq(fake_leases(f), leases);
		cr_expect_eq(memcmp(pfs, f->pf, sizeof(pfs)), 0);
		cr_expect_eq(memcmp(entries, f->entry, sizeof(entries)), 0);
		fake_free(f);
	}
}

Test(pair, a_guest_that_stops_leaves_nothing_in_any_state, .timeout = 60)
{
	for (int s = 0; s < _SFH_PAIR_MAX; s++) {
		struct fake *f = fake_new();

		(void)fake_pair_in(f, (enum sfh_pair_state)s);
		fake_event(f, SFH_EV_STOPPED);
		fake_assert_nothing_left(f);
		/* and what was on its way then finds nobody */
		fake_event(f, SFH_EV_PLUGGED);
		fake_event(f, SFH_EV_PROOF);
		fake_event(f, SFH_EV_UNPLUGGED);
		fake_sleep(f, 120000);
		fake_assert_nothing_left(f);
		fake_free(f);
	}
}

Test(pair, a_guest_that_stops_frees_its_vf_for_others_in_any_state, .timeout = 60)
{
	for (int s = SFH_PAIR_PLUGGING; s < _SFH_PAIR_MAX; s++) {
		struct fake *f = fake_new();
		struct sfh_pair *waiting;

		f->pf[0].nvfs = 1;
		(void)fake_pair_in(f, (enum sfh_pair_state)s);
		waiting = fake_start(f, OTHER, &mac_b);
		sfh_pair_dispatch(&f->e, waiting, SFH_EV_NEGOTIATED, NULL);
		assert_reason(waiting, NO_FREE_VF);
		fake_event(f, SFH_EV_STOPPED);
		fake_sleep(f, 1);
		assert_state(waiting, PLUGGING);
		cr_assert_str_eq(fake_vf(f, 0, 0), "52:54:00:00:00:0b vlan 4094");
		fake_free(f);
	}
}

Test(pair, the_mac_goes_before_the_row_in_any_state, .timeout = 60)
{
	/* The kernel refuses to take the MAC back: then the lease must stay, for a VF
	 * with a MAC and no lease is what nobody would ever clean. */
	for (int s = SFH_PAIR_PLUGGING; s < SFH_PAIR_LEAVING; s++) {
		struct fake *f = fake_new();

		(void)fake_pair_in(f, (enum sfh_pair_state)s);
		fake_fail(f, OP_VF_SET, EIO, 0, -1);
		fake_event(f, SFH_EV_STOPPED);
		cr_expect_eq(fake_leases(f), 1, "%s: the row went first",
			     sfh_pair_state_name((enum sfh_pair_state)s));
		cr_expect(strstr(f->log, "keeps its lease"), "%s", f->log);
		fake_heal(f);
		cr_expect_eq(sfh_engine_sweep(&f->e), 1);
		fake_assert_nothing_left(f);
		fake_free(f);
	}
}

Test(pair, the_ledger_shows_every_state, .timeout = 60)
{
	for (int s = 0; s < _SFH_PAIR_MAX; s++) {
		struct fake *f = fake_new();
		struct sfh_pair *p = fake_pair_in(f, (enum sfh_pair_state)s);
		struct sfh_ledger_pair row;
		char bdf[SFH_BDF_STRLEN] = "";

		cr_assert(fake_row(f, GUEST, &row));
		cr_expect_str_eq(row.state, sfh_pair_state_name((enum sfh_pair_state)s));
		cr_expect_str_eq(row.domain_name, "guest-1111");
		cr_expect(sfh_mac_equal(&row.mac, &mac_a));
		cr_expect_str_eq(row.reason, sfh_reason_name(p->reason));
		if (p->has_lease && s != SFH_PAIR_ARRIVING)
			(void)sfh_bdf_format(&p->lease.bdf, bdf);
		if (s != SFH_PAIR_ARRIVING)
			cr_expect_str_eq(row.vf_bdf, bdf, "%s",
					 sfh_pair_state_name((enum sfh_pair_state)s));
		fake_free(f);
	}
}

Test(pair, rest_is_not_in_between)
{
	struct sfh_pair p = { .negotiated = true };
	int at_rest = 0;

	for (int s = 0; s < _SFH_PAIR_MAX; s++) {
		p.state = (enum sfh_pair_state)s;
		at_rest += sfh_pair_at_rest(&p);
	}
	cr_assert_eq(at_rest, 4);
	p.state = SFH_PAIR_PROVING;
	cr_assert_not(sfh_pair_at_rest(&p));
	p.negotiated = false; /* reset, and it boots: that may take minutes */
	cr_assert(sfh_pair_at_rest(&p));
	p.bond = true;
	cr_assert_not(sfh_pair_at_rest(&p));
	p.state = SFH_PAIR_VF;
	cr_assert(sfh_pair_at_rest(&p));
}

Test(pair, names)
{
	cr_assert_str_eq(sfh_pair_state_name(SFH_PAIR_ARRIVING), "arriving");
	cr_assert_str_eq(sfh_pair_state_name(SFH_PAIR_LEAVING), "leaving");
	cr_assert_str_eq(sfh_pair_state_name(_SFH_PAIR_MAX), "unknown");
	cr_assert_str_eq(sfh_pair_event_name(SFH_EV_MIGRATE_FAILED), "migrate-failed");
	cr_assert_str_eq(sfh_pair_event_name(_SFH_EV_MAX), "unknown");
}
