// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses in PFs' filters: counted, read back, taken back. */
#include "ctl/core/fdb.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/fakes.h"
#include "tests/unit/tree.h"

#define PF 7

/* A NIC with room for `room` addresses. */
static struct nic {
	struct sfh_mac mac[8];
	size_t n, room;
	bool deaf; /* says yes and does nothing */
	int sets, fail;
} nic;

static char dir[64], path[128];
static struct sfh_ledger *l;
static struct sfh_fdb *fdb;

static long place(const struct sfh_mac *mac)
{
	for (size_t i = 0; i < nic.n; i++)
		if (sfh_mac_equal(&nic.mac[i], mac))
			return (long)i;
	return -1;
}

static int set(void *ctx, int ifindex, const struct sfh_mac *mac, bool there)
{
	long at = place(mac);

	(void)ctx;
	cr_assert_eq(ifindex, PF);
	nic.sets++;
	if (nic.fail)
		return nic.fail;
	if (nic.deaf)
		return 0;
	if (there && at >= 0)
		return -EEXIST;
	if (there && nic.n == nic.room)
		return -ENOSPC;
	if (there)
		nic.mac[nic.n++] = *mac;
	else if (at < 0)
		return -ENOENT;
	else
		nic.mac[at] = nic.mac[--nic.n];
	return 0;
}

static int has(void *ctx, int ifindex, const struct sfh_mac *mac)
{
	(void)ctx;
	(void)ifindex;
	return place(mac) >= 0;
}

static const struct sfh_fdb_ops ops = { .set = set, .has = has };

static void start(void)
{
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_fdb_new(l, &ops, NULL, &fdb, &err), 0, "%s", err.text);
}

static void init(void)
{
	struct sfh_error err = { 0 };

	tree_init(dir);
	(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
	cr_assert_eq(sfh_ledger_open(path, true, &l, &err), 0, "%s", err.text);
	nic = (struct nic){ .room = SFH_ARRAY_SIZE(nic.mac) };
	start();
}

static void fini(void)
{
	sfh_fdb_free(&fdb);
	sfh_ledger_close(&l);
	tree_done(dir);
}

TestSuite(fdb, .init = init, .fini = fini, .timeout = 20);

static int note_row(void *ctx, const struct sfh_ledger_fdb *row)
{
	(void)snprintf(ctx, 128, "%s %d %s %s", row->pf, row->ifindex, row->state, row->why);
	return 0;
}

/* The only row, as text; "" if there is none. */
static const char *row(void)
{
	static char text[128];

	text[0] = '\0';
	cr_assert_eq(sfh_ledger_fdbs(l, note_row, text), 0);
	return text;
}

static int hold(const struct sfh_mac *mac, struct sfh_error *err)
{
	return sfh_fdb_hold(fdb, "pf0", PF, mac, err);
}

static int release(const struct sfh_mac *mac)
{
	return sfh_fdb_release(fdb, "pf0", PF, mac, NULL);
}

Test(fdb, the_last_holder_takes_it_out)
{
	cr_assert_eq(hold(&mac_a, NULL), 0);
	cr_assert_eq(hold(&mac_a, NULL), 0); /* another VLAN's pair */
	cr_assert_eq(hold(&mac_b, NULL), 0);
	cr_assert_eq(nic.n, 2);
	cr_assert_eq(nic.sets, 2, "the second holder asks nobody");
	cr_assert_eq(release(&mac_b), 0);
	cr_assert_eq(release(&mac_a), 0);
	cr_assert(place(&mac_a) >= 0, "one holds it still");
	cr_assert_eq(release(&mac_a), 0);
	cr_assert_eq(nic.n, 0);
	cr_assert_str_eq(row(), "");
	cr_assert_eq(release(&mac_a), 0, "once more is harmless");
}

Test(fdb, somebody_elses_entry_serves_and_stays)
{
	nic.mac[nic.n++] = mac_a; /* a macvtap's */
	cr_assert_eq(hold(&mac_a, NULL), 0);
	cr_assert_str_eq(row(), "pf0 7 theirs it was in the filter already");
	cr_assert_eq(release(&mac_a), 0);
	cr_assert_eq(nic.n, 1);
	cr_assert_str_eq(row(), "");
}

Test(fdb, no_room)
{
	struct sfh_error err = { 0 };

	nic.room = 0;
	cr_assert_eq(hold(&mac_a, &err), -ENOSPC);
	cr_assert(strstr(err.text, "the filter of 'pf0' does not take 52:54:00:00:00:0a: the NIC has no "
				   "room for one more address"),
		  "%s", err.text);
	cr_assert_str_eq(row(), "pf0 7 refused the NIC has no room for one more address");
	nic.room = 8; /* room again: the next one who wants it gets it for both */
	cr_assert_eq(hold(&mac_a, NULL), 0);
	cr_assert_str_eq(row(), "pf0 7 ours ");
	cr_assert_eq(release(&mac_a), 0);
	cr_assert_eq(nic.n, 1);
	cr_assert_eq(release(&mac_a), 0);
	cr_assert_eq(nic.n, 0);
}

Test(fdb, a_driver_that_lies_is_found_out)
{
	struct sfh_error err = { 0 };

	nic.deaf = true;
	cr_assert_eq(hold(&mac_a, &err), -EIO);
	cr_assert(strncmp(row(), "pf0 7 refused", 13) == 0, "%s", row());
	nic.deaf = false;
	cr_assert_eq(sfh_fdb_mend(fdb, "pf0", PF, &mac_a, NULL), 0);
	nic.deaf = true;
	cr_assert_eq(release(&mac_a), -EBUSY, "it is still there");
	cr_assert_str_eq(row(), "pf0 7 ours ", "fsck is to find it");
}

Test(fdb, the_next_agent_takes_over_what_is_held_and_takes_out_the_rest)
{
	cr_assert_eq(hold(&mac_a, NULL), 0);
	cr_assert_eq(hold(&mac_b, NULL), 0);
	sfh_fdb_free(&fdb);
	start();
	cr_assert_eq(hold(&mac_a, NULL), 0);
	cr_assert_str_neq(row(), "");
	cr_assert_eq(sfh_fdb_sweep(fdb, NULL, NULL, NULL), 1);
	cr_assert_eq(nic.n, 1);
	cr_assert(place(&mac_a) >= 0);
	cr_assert_str_eq(row(), "pf0 7 ours ", "it was there, and it is ours");
	cr_assert_eq(release(&mac_a), 0);
	cr_assert_eq(nic.n, 0);
}

/* The row is written first: an agent that dies between row and kernel leaves nothing
 * that nobody knows. */
Test(fdb, killed_between_row_and_kernel)
{
	nic.fail = -EINTR;
	cr_assert_eq(hold(&mac_a, NULL), -EINTR);
	nic.fail = 0;
	nic.mac[nic.n++] = mac_a;
	{
		struct sfh_ledger_fdb r = { .pf = "pf0", .mac = mac_a, .ifindex = PF, .state = "ours" };

		cr_assert_eq(sfh_ledger_fdb_put(l, &r, NULL), 0);
	}
	sfh_fdb_free(&fdb);
	start();
	cr_assert_eq(sfh_fdb_sweep(fdb, "pf0", NULL, NULL), 1);
	cr_assert_eq(nic.n, 0);
}

Test(fdb, taken_out_by_hand_and_mended)
{
	cr_assert_eq(hold(&mac_a, NULL), 0);
	nic.n = 0;
	cr_assert_eq(sfh_fdb_mend(fdb, "pf0", PF, &mac_a, NULL), 0);
	cr_assert_eq(nic.n, 1);
	nic.n = 0;
	cr_assert_eq(release(&mac_a), 0, "what is gone needs no taking out");
	cr_assert_str_eq(row(), "");
	cr_assert_eq(sfh_fdb_mend(fdb, "pf0", PF, &mac_a, NULL), -ENOENT);
}

/* The kernel counts who wants a group; the host itself may have come to be one of them. */
Test(fdb, a_group_that_the_host_has_joined_meanwhile_is_let_go)
{
	static const struct sfh_mac group = { { 0x01, 0, 0x5e, 0, 0, 0xfb } };

	cr_assert_eq(hold(&group, NULL), 0);
	cr_assert_str_eq(row(), "pf0 7 ours ");
	nic.deaf = true; /* it says yes and it stays */
	cr_assert_eq(release(&group), 0);
	cr_assert_str_eq(row(), "");
	cr_assert_eq(sfh_fdb_sweep(fdb, NULL, NULL, NULL), 0, "nor is it taken from the host later");
	cr_assert_eq(nic.n, 1);
}
