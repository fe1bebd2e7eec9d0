// SPDX-License-Identifier: GPL-2.0-or-later
/* The ledger: what it refuses, and every field of every row there and back. */
#include "ctl/core/ledger.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/fakes.h"
#include "tests/unit/tree.h"

static char dir[64], path[128];
static struct sfh_ledger *l;

static void init(void)
{
	struct sfh_error err = { 0 };

	tree_init(dir);
	(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
	cr_assert_eq(sfh_ledger_open(path, true, &l, &err), 0, "%s", err.text);
}

static void fini(void)
{
	sfh_ledger_close(&l);
	cr_assert_null(l);
	sfh_ledger_close(&l);
	tree_done(dir);
}

TestSuite(ledger, .init = init, .fini = fini, .timeout = 20);

static struct sfh_lease lease(const char *pf, unsigned vf, const struct sfh_mac *mac, uint16_t vlan)
{
	struct sfh_lease ret = { .vf = vf, .bdf = { 0, pf[2] == '0' ? 4 : 5, 0x10, (uint8_t)vf },
				 .mac = *mac, .vlan = vlan };

	(void)strcpy(ret.pf, pf);
	(void)strcpy(ret.domain, GUEST);
	(void)strcpy(ret.profile, vlan ? "tenants 'a'; --" : "");
	return ret;
}

/* All rows of one type, in order. */
struct rows {
	size_t n;
	struct sfh_lease lease[8];
	struct sfh_ledger_pf pf[4];
	struct sfh_ledger_network network[4];
	struct sfh_ledger_vf vf[4];
	struct sfh_ledger_pair pair[4];
	struct sfh_ledger_rx rx[4];
};

#define COLLECT(type, row_type)                                                                    \
	static int add_##type(void *ctx, const row_type *row)                                      \
	{                                                                                          \
		struct rows *r = ctx;                                                              \
		cr_assert_lt(r->n, SFH_ARRAY_SIZE(r->type));                                       \
		r->type[r->n++] = *row;                                                            \
		return 0;                                                                          \
	}
COLLECT(lease, struct sfh_lease)
COLLECT(pf, struct sfh_ledger_pf)
COLLECT(network, struct sfh_ledger_network)
COLLECT(vf, struct sfh_ledger_vf)
COLLECT(pair, struct sfh_ledger_pair)
COLLECT(rx, struct sfh_ledger_rx)

static struct rows *leases(void)
{
	static struct rows r;

	memset(&r, 0, sizeof(r));
	cr_assert_eq(sfh_ledger_leases(l, add_lease, &r), 0);
	return &r;
}

/* --- uniqueness ---------------------------------------------------------------------- */

Test(ledger, one_lease_a_vf)
{
	struct sfh_lease first = lease("pf0", 1, &mac_a, 0), second = lease("pf0", 1, &mac_b, 0);
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_ledger_lease_add(l, &first, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &second, &err), -EBUSY);
	cr_assert_neq(err.text[0], 0);
	cr_assert_eq(leases()->n, 1);
	cr_assert(sfh_mac_equal(&leases()->lease[0].mac, &mac_a), "the first keeps it");
}

Test(ledger, one_lease_a_mac_on_a_pf_and_vlan)
{
	struct sfh_lease first = lease("pf0", 1, &mac_a, 7), second = lease("pf0", 2, &mac_a, 7);
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_ledger_lease_add(l, &first, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &second, &err), -EBUSY);
	cr_assert(strstr(err.text, "52:54:00:00:00:0a"), "%s", err.text);
	cr_assert_eq(leases()->n, 1);
	cr_assert_eq(leases()->lease[0].vf, 1);
}

Test(ledger, same_mac_on_another_pf_or_vlan_is_fine)
{
	struct sfh_lease a = lease("pf0", 0, &mac_a, 0), b = lease("pf1", 0, &mac_a, 0),
			 c = lease("pf0", 1, &mac_a, 7);

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0, "another PF");
	cr_assert_eq(sfh_ledger_lease_add(l, &c, NULL), 0, "another VLAN");
	cr_assert_eq(leases()->n, 3);
}

Test(ledger, one_row_a_pci_address)
{
	struct sfh_lease a = lease("pf0", 0, &mac_a, 0), b = lease("pf1", 3, &mac_b, 0);

	b.bdf = a.bdf;
	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), -EBUSY);
	cr_assert_eq(leases()->n, 1);
}

/* --- leases ---------------------------------------------------------------------------- */

static void lease_is(const struct sfh_lease *got, const struct sfh_lease *want)
{
	cr_expect_str_eq(got->pf, want->pf);
	cr_expect_eq(got->vf, want->vf);
	cr_expect_eq(memcmp(&got->bdf, &want->bdf, sizeof(got->bdf)), 0);
	cr_expect_str_eq(got->domain, want->domain);
	cr_expect(sfh_mac_equal(&got->mac, &want->mac));
	cr_expect_eq(got->vlan, want->vlan);
	cr_expect_eq(got->reserved, want->reserved);
	cr_expect(sfh_mac_equal(&got->orig.mac, &want->orig.mac));
	cr_expect_eq(got->orig.vlan, want->orig.vlan);
	cr_expect_eq(got->orig.spoofchk, want->orig.spoofchk);
	cr_expect_eq(got->orig.trust, want->orig.trust);
	cr_expect_str_eq(got->profile, want->profile);
}

Test(ledger, every_field_of_a_lease)
{
	struct sfh_lease a = lease("pf0", 6, &mac_a, 4094), b = lease("pf1", 0, &mac_b, 0);

	a.bdf = (struct sfh_bdf){ 0x10af, 0xff, 0x1f, 7 };
	a.reserved = true;
	a.orig = (struct sfh_vf_config){ .mac = mac_c, .vlan = 123, .spoofchk = true };
	b.orig = (struct sfh_vf_config){ .trust = true };
	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0);
	lease_is(&leases()->lease[0], &a);
	lease_is(&leases()->lease[1], &b);
}

Test(ledger, reservation_becomes_a_lease)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0), b = lease("pf0", 2, &mac_b, 0);

	a.reserved = true;
	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0);
	a.reserved = false;
	a.orig.vlan = 9;
	cr_assert_eq(sfh_ledger_lease_update(l, &a, NULL), 0);
	cr_assert_eq(leases()->n, 2);
	lease_is(&leases()->lease[0], &a);
	lease_is(&leases()->lease[1], &b);
}

Test(ledger, update_never_takes_another_lease)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0), b = lease("pf0", 2, &mac_b, 0), thief = b;

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0);
	thief.mac = mac_a; /* VF 1's */
	cr_assert_eq(sfh_ledger_lease_update(l, &thief, NULL), -EBUSY);
	cr_assert_eq(leases()->n, 2, "VF 1's lease was removed without a word");
	lease_is(&leases()->lease[0], &a);
	lease_is(&leases()->lease[1], &b);
}

Test(ledger, delete_is_idempotent_and_exact)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0), b = lease("pf1", 1, &mac_b, 0);

	cr_assert_eq(sfh_ledger_lease_del(l, "pf0", 1, NULL), 0, "there is none");
	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_del(l, "pf0", 1, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_del(l, "pf0", 1, NULL), 0);
	cr_assert_eq(leases()->n, 1);
	cr_assert_str_eq(leases()->lease[0].pf, "pf1");
	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0, "and free again");
}

static int stop_at_once(void *ctx, const struct sfh_lease *row)
{
	(void)row;
	++*(int *)ctx;
	return -ECANCELED;
}

Test(ledger, callback_stops_the_walk)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0), b = lease("pf0", 2, &mac_b, 0);
	int calls = 0;

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0);
	cr_assert_eq(sfh_ledger_leases(l, stop_at_once, &calls), -ECANCELED);
	cr_assert_eq(calls, 1);
}

/* --- the other rows ------------------------------------------------------------------------ */

Test(ledger, every_field_of_a_network)
{
	struct sfh_ledger_network a = { "it's \"blue\"", "linux-bridge", "require", "br-blue",
					SFH_NETWORK_UP, "" };
	struct rows r = { 0 };

	cr_assert_eq(sfh_ledger_network_put(l, &a, NULL), 0);
	a.phase = SFH_NETWORK_GOING;
	(void)strcpy(a.trouble, "no PF");
	(void)strcpy(a.policy, "prefer");
	cr_assert_eq(sfh_ledger_network_put(l, &a, NULL), 0, "put again replaces");
	cr_assert_eq(sfh_ledger_networks(l, add_network, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_assert_str_eq(r.network[0].name, a.name);
	cr_assert_str_eq(r.network[0].mode, "linux-bridge");
	cr_assert_str_eq(r.network[0].policy, "prefer");
	cr_assert_str_eq(r.network[0].bridge, "br-blue");
	cr_assert_eq(r.network[0].phase, SFH_NETWORK_GOING);
	cr_assert_str_eq(r.network[0].trouble, "no PF");
	cr_assert_eq(sfh_ledger_network_del(l, a.name, NULL), 0);
	cr_assert_eq(sfh_ledger_network_del(l, a.name, NULL), 0);
	r.n = 0;
	cr_assert_eq(sfh_ledger_networks(l, add_network, &r), 0);
	cr_assert_eq(r.n, 0);
}

static void pf_round_trip(const struct sfh_ledger_pf *a)
{
	struct rows r = { 0 };
	const struct sfh_ledger_pf *b = &r.pf[0];

	cr_assert_eq(sfh_ledger_pf_put(l, a, NULL), 0);
	cr_assert_eq(sfh_ledger_pfs(l, add_pf, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_expect_str_eq(b->dev, a->dev);
	cr_expect_str_eq(b->network, a->network);
	cr_expect_eq(b->ifindex, a->ifindex);
	cr_expect_eq(b->generation, a->generation);
	cr_expect_eq(memcmp(&b->bdf, &a->bdf, sizeof(b->bdf)), 0);
	cr_expect_str_eq(b->driver, a->driver);
	cr_expect_str_eq(b->xdp, a->xdp);
	cr_expect_eq(b->orig_num_vfs, a->orig_num_vfs);
	cr_expect_eq(b->orig_autoprobe, a->orig_autoprobe);
	cr_expect_eq(b->orig_up, a->orig_up);
	cr_expect_eq(b->bridged, a->bridged);
	cr_expect_eq(b->parklink, a->parklink);
}

Test(ledger, every_field_of_a_pf)
{
	struct sfh_ledger_pf a = { .dev = "enp4s0f0", .network = "blue", .ifindex = 42,
				   .generation = 0xfedcba9876543210ull, .bdf = { 0, 4, 0, 1 },
				   .driver = "igb", .xdp = "dispatcher", .orig_num_vfs = 3 };

	pf_round_trip(&a);
	/* each flag of its own: two columns that are swapped would show */
	for (int flag = 0; flag < 4; flag++) {
		a.orig_autoprobe = flag == 0;
		a.orig_up = flag == 1;
		a.bridged = flag == 2;
		a.parklink = flag == 3;
		pf_round_trip(&a);
	}
	cr_assert_eq(sfh_ledger_pf_del(l, a.dev, NULL), 0);
	cr_assert_eq(sfh_ledger_pf_del(l, a.dev, NULL), 0);
	cr_assert_eq(sfh_ledger_pfs(l, add_pf, &(struct rows){ 0 }), 0);
}

Test(ledger, first_driver_of_a_vf_is_kept)
{
	const struct sfh_bdf bdf = { 0, 4, 0x10, 2 };
	struct rows r = { 0 };

	cr_assert_eq(sfh_ledger_vf_put(l, "pf0", 3, &bdf, "igbvf", NULL), 0);
	/* `up` again sees vfio-pci: what `down` puts back is what was first */
	cr_assert_eq(sfh_ledger_vf_put(l, "pf0", 3, &bdf, "vfio-pci", NULL), 0);
	cr_assert_eq(sfh_ledger_vfs(l, add_vf, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_assert_str_eq(r.vf[0].pf, "pf0");
	cr_assert_eq(r.vf[0].vf, 3);
	cr_assert_eq(memcmp(&r.vf[0].bdf, &bdf, sizeof(bdf)), 0);
	cr_assert_str_eq(r.vf[0].orig_driver, "igbvf");
	cr_assert_eq(sfh_ledger_vf_del(l, "pf1", NULL), 0, "another PF's stay");
	r.n = 0;
	cr_assert_eq(sfh_ledger_vfs(l, add_vf, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_assert_eq(sfh_ledger_vf_del(l, "pf0", NULL), 0);
	r.n = 0;
	cr_assert_eq(sfh_ledger_vfs(l, add_vf, &r), 0);
	cr_assert_eq(r.n, 0);
}

static void pair_round_trip(const struct sfh_ledger_pair *a)
{
	struct rows r = { 0 };
	const struct sfh_ledger_pair *b = &r.pair[0];

	cr_assert_eq(sfh_ledger_pair_put(l, a, NULL), 0);
	cr_assert_eq(sfh_ledger_pairs(l, add_pair, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_expect_str_eq(b->domain, a->domain);
	cr_expect_str_eq(b->domain_name, a->domain_name);
	cr_expect(sfh_mac_equal(&b->mac, &a->mac));
	cr_expect_eq(b->vlan, a->vlan);
	cr_expect_str_eq(b->network, a->network);
	cr_expect_str_eq(b->pf, a->pf);
	cr_expect_str_eq(b->standby, a->standby);
	cr_expect_str_eq(b->state, a->state);
	cr_expect_str_eq(b->reason, a->reason);
	cr_expect_str_eq(b->vf_bdf, a->vf_bdf);
	cr_expect_eq(b->pf_ifindex, a->pf_ifindex);
	cr_expect_eq(b->adopted, a->adopted);
	cr_expect_eq(b->negotiated, a->negotiated);
	cr_expect_str_eq(b->profile, a->profile);
	cr_expect_eq(b->held, a->held);
}

Test(ledger, every_field_of_a_pair)
{
	struct sfh_ledger_pair a = { .domain = GUEST, .domain_name = "web'; DROP TABLE pairs; --",
				     .mac = mac_a, .vlan = 4093, .network = "blue", .pf = "enp4s0f0",
				     .standby = "macvtap7", .state = "standby",
				     .reason = "no-free-vf", .vf_bdf = "0000:04:10.2",
				     .pf_ifindex = 42 };

	pair_round_trip(&a);
	for (int flag = 0; flag < 3; flag++) {
		a.adopted = flag == 0;
		a.negotiated = flag == 1;
		(void)strcpy(a.profile, flag == 1 ? "tenants" : "");
		a.held = flag == 2;
		pair_round_trip(&a);
	}
	cr_assert_eq(sfh_ledger_pair_del(l, GUEST, &mac_b, NULL), 0, "another NIC");
	pair_round_trip(&a);
	cr_assert_eq(sfh_ledger_pair_del(l, GUEST, &mac_a, NULL), 0);
	cr_assert_eq(sfh_ledger_pairs(l, add_pair, &(struct rows){ .n = 4 }), 0, "none is left");
}

/* --- the file ------------------------------------------------------------------------------- */

Test(ledger, reading_what_is_not_there)
{
	struct sfh_ledger *none = NULL;
	struct sfh_error err = { 0 };
	char missing[160];

	(void)snprintf(missing, sizeof(missing), "%s/missing.db", dir);
	cr_assert_eq(sfh_ledger_open(missing, false, &none, &err), -ENOENT);
	cr_assert_null(none);
	cr_assert(strstr(err.text, "there is no ledger at "), "%s", err.text);
	cr_assert_neq(access(missing, F_OK), 0, "a reader makes no file");
}

Test(ledger, another_schema_is_refused_and_kept)
{
	struct sfh_ledger *again = NULL;
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0);
	struct sfh_error err = { 0 };
	char stamp[64];
	sqlite3 *db;

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	sfh_ledger_close(&l);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	for (int writable = 0; writable < 2; writable++) {
		err = (struct sfh_error){ 0 };
		cr_assert_eq(sfh_ledger_open(path, writable, &again, &err), -EPROTO);
		cr_assert_null(again);
		cr_assert(strstr(err.text, "schema 99") && strstr(err.text, path), "%s", err.text);
		cr_assert(strstr(err.text, "remove the file"), "says what to do: %s", err.text);
	}
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	(void)snprintf(stamp, sizeof(stamp), "PRAGMA user_version = %d", SFH_LEDGER_SCHEMA);
	cr_assert_eq(sqlite3_exec(db, stamp, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	cr_assert_eq(sfh_ledger_open(path, true, &l, NULL), 0);
	cr_assert_eq(leases()->n, 1, "nothing was lost");
}

Test(ledger, not_a_database)
{
	struct sfh_ledger *none = NULL;
	struct sfh_error err = { 0 };
	char junk[160];

	tree_write(dir, "junk.db", "this is a text file that is long enough to be looked at as a header "
				   "of a database, which it is not, whatever its name says to you\n");
	(void)snprintf(junk, sizeof(junk), "%s/junk.db", dir);
	cr_assert_eq(sfh_ledger_open(junk, true, &none, &err), -EUCLEAN);
	cr_assert_null(none);
	cr_assert(strstr(err.text, "cannot open the ledger at "), "%s", err.text);
	cr_assert_eq(strncmp(tree_read(dir, "junk.db"), "this is a text", 14), 0);
}

Test(ledger, only_root_may_read_it)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(ledger, reopened_it_is_as_it_was)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0);

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	sfh_ledger_close(&l);
	cr_assert_eq(sfh_ledger_open(path, true, &l, NULL), 0);
	cr_assert_eq(leases()->n, 1);
	lease_is(&leases()->lease[0], &a);
}

Test(ledger, reader_beside_the_writer)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0), b = lease("pf0", 2, &mac_b, 0);
	struct sfh_ledger *reader = NULL;
	struct sfh_error err = { 0 };
	struct rows r = { 0 };

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	cr_assert_eq(sfh_ledger_open(path, false, &reader, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_ledger_leases(reader, add_lease, &r), 0);
	cr_assert_eq(r.n, 1);
	cr_assert_eq(sfh_ledger_lease_add(l, &b, NULL), 0, "the reader holds nobody up");
	r.n = 0;
	cr_assert_eq(sfh_ledger_leases(reader, add_lease, &r), 0);
	cr_assert_eq(r.n, 2, "and sees what came later");
	cr_assert_lt(sfh_ledger_lease_del(reader, "pf0", 1, NULL), 0, "a reader cannot write");
	cr_assert_eq(leases()->n, 2);
	sfh_ledger_close(&reader);
}

/* --- further addresses ------------------------------------------------------------------- */

static void rx_is(const struct rows *r, size_t i, const char *domain, const struct sfh_mac *nic,
		  const struct sfh_mac *mac)
{
	cr_assert_lt(i, r->n);
	cr_expect_str_eq(r->rx[i].domain, domain);
	cr_expect(sfh_mac_equal(&r->rx[i].nic, nic));
	cr_expect(sfh_mac_equal(&r->rx[i].mac, mac));
	cr_expect_str_eq(r->rx[i].pf, "pf0");
}

static void rx_put(const char *domain, const struct sfh_mac *nic, const struct sfh_mac *mac)
{
	struct sfh_ledger_rx row = { .nic = *nic, .mac = *mac, .pf = "pf0" };

	(void)strcpy(row.domain, domain);
	cr_assert_eq(sfh_ledger_rx_put(l, &row, NULL), 0);
	cr_assert_eq(sfh_ledger_rx_put(l, &row, NULL), 0, "once more is the same");
}

Test(ledger, further_addresses_come_and_go_with_their_nic)
{
	struct rows r = { 0 };

	rx_put(GUEST, &mac_a, &mac_b);
	rx_put(GUEST, &mac_a, &mac_c);
	rx_put(OTHER, &mac_b, &mac_c);
	cr_assert_eq(sfh_ledger_rxs(l, add_rx, &r), 0);
	cr_assert_eq(r.n, 3);
	rx_is(&r, 0, GUEST, &mac_a, &mac_b);
	rx_is(&r, 1, GUEST, &mac_a, &mac_c);
	rx_is(&r, 2, OTHER, &mac_b, &mac_c);
	cr_assert_eq(sfh_ledger_rx_del(l, GUEST, &mac_a, &mac_b, NULL), 0);
	r.n = 0;
	cr_assert_eq(sfh_ledger_rxs_of(l, GUEST, &mac_a, add_rx, &r), 0);
	cr_assert_eq(r.n, 1);
	rx_is(&r, 0, GUEST, &mac_a, &mac_c);
	cr_assert_eq(sfh_ledger_pair_del(l, GUEST, &mac_a, NULL), 0);
	r.n = 0;
	cr_assert_eq(sfh_ledger_rxs(l, add_rx, &r), 0);
	cr_assert_eq(r.n, 1, "those of the pair that went, and no others");
	rx_is(&r, 0, OTHER, &mac_b, &mac_c);
}

/* What an agent of the schema before wrote is taken over. */
Test(ledger, schema_4_is_upgraded)
{
	struct sfh_lease a = lease("pf0", 1, &mac_a, 0);
	sqlite3 *db;

	cr_assert_eq(sfh_ledger_lease_add(l, &a, NULL), 0);
	sfh_ledger_close(&l);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "DROP TABLE rx; PRAGMA user_version = 4", NULL, NULL, NULL),
		     SQLITE_OK);
	(void)sqlite3_close(db);
	cr_assert_eq(sfh_ledger_open(path, true, &l, NULL), 0);
	cr_assert_eq(leases()->n, 1);
	rx_put(GUEST, &mac_a, &mac_b);
}
