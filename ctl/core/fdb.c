// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/fdb.h"

#include <stdio.h>
#include <string.h>

struct entry {
	struct entry *next;
	struct sfh_ledger_fdb row;
	unsigned holders;
};

struct sfh_fdb {
	struct sfh_ledger *ledger;
	const struct sfh_fdb_ops *ops;
	void *ctx;
	struct entry *entries;
};

static int set_netlink(void *ctx, int ifindex, const struct sfh_mac *mac, bool there)
{
	return sfh_nl_fdb_set(ctx, ifindex, mac, there);
}

struct search {
	const struct sfh_mac *mac;
	bool found;
};

static int match(void *ctx, const struct sfh_mac *mac)
{
	struct search *s = ctx;

	s->found |= sfh_mac_equal(mac, s->mac);
	return 0;
}

static int has_netlink(void *ctx, int ifindex, const struct sfh_mac *mac)
{
	struct search s = { .mac = mac };
	int r;

	(void)ctx;
	r = sfh_nl_fdb_list(ifindex, match, &s);

	return r < 0 ? r : s.found;
}

const struct sfh_fdb_ops sfh_fdb_netlink = { .set = set_netlink, .has = has_netlink };

/* --- entries ----------------------------------------------------------------------- */

static struct entry *find(const struct sfh_fdb *fdb, const char *pf, const struct sfh_mac *mac)
{
	for (struct entry *e = fdb->entries; e; e = e->next)
		if (sfh_mac_equal(&e->row.mac, mac) && strcmp(e->row.pf, pf) == 0)
			return e;
	return NULL;
}

static struct entry *entry_new(struct sfh_fdb *fdb, const struct sfh_ledger_fdb *row)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->row = *row;
	e->next = fdb->entries;
	fdb->entries = e;
	return e;
}

static void entry_forget(struct sfh_fdb *fdb, struct entry *e)
{
	for (struct entry **at = &fdb->entries; *at; at = &(*at)->next)
		if (*at == e) {
			*at = e->next;
			break;
		}
	free(e);
}

static int recall(void *ctx, const struct sfh_ledger_fdb *row)
{
	return entry_new(ctx, row) ? 0 : -ENOMEM;
}

int sfh_fdb_new(struct sfh_ledger *ledger, const struct sfh_fdb_ops *ops, void *ctx,
		struct sfh_fdb **ret, struct sfh_error *err)
{
	struct sfh_fdb *fdb = calloc(1, sizeof(*fdb));

	if (!fdb)
		return sfh_err(err, -ENOMEM, "out of memory");
	fdb->ledger = ledger;
	fdb->ops = ops;
	fdb->ctx = ctx;
	if (sfh_ledger_fdbs(ledger, recall, fdb) < 0) {
		sfh_fdb_free(&fdb);
		return sfh_err(err, -EIO, "cannot read the filters from the ledger");
	}
	*ret = fdb;
	return 0;
}

void sfh_fdb_free(struct sfh_fdb **fdb)
{
	struct entry *next;

	if (!*fdb)
		return;
	for (struct entry *e = (*fdb)->entries; e; e = next) {
		next = e->next;
		free(e);
	}
	free(*fdb);
	*fdb = NULL;
}

/* --- the NIC ------------------------------------------------------------------------- */

static const char *meaning(int r)
{
	switch (r) {
	case -ENOSPC:
	case -ENOMEM:
		return "the NIC has no room for one more address";
	case -EOPNOTSUPP:
	case -EINVAL:
		return "the driver takes no addresses for the PF";
	default:
		return strerrordesc_np(-r);
	}
}

static int save(struct sfh_fdb *fdb, struct entry *e, const char *state, const char *why,
		struct sfh_error *err)
{
	(void)sfh_strcpy(e->row.state, sizeof(e->row.state), state);
	(void)sfh_strcpy(e->row.why, sizeof(e->row.why), why);
	return sfh_ledger_fdb_put(fdb->ledger, &e->row, err);
}

static int refused(struct sfh_fdb *fdb, struct entry *e, int code, struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN];

	(void)save(fdb, e, SFH_FDB_REFUSED, meaning(code), NULL);
	return sfh_err(err, code,
		       "the filter of '%s' does not take %s: %s; guests on VFs of this PF may not "
		       "reach it",
		       e->row.pf, sfh_mac_format(&e->row.mac, mac), e->row.why);
}

/* The row says `ours` before the kernel is asked: who dies in between leaves an entry
 * that the next agent knows. */
static int put_in(struct sfh_fdb *fdb, struct entry *e, struct sfh_error *err)
{
	bool was_ours = strcmp(e->row.state, SFH_FDB_OURS) == 0;
	int r = save(fdb, e, SFH_FDB_OURS, "", err);

	if (r < 0)
		return r;
	r = fdb->ops->set(fdb->ctx, e->row.ifindex, &e->row.mac, true);
	if (r == -EEXIST)
		return was_ours ? 0
				: save(fdb, e, SFH_FDB_THEIRS, "it was in the filter already", err);
	if (r == 0) {
		r = fdb->ops->has(fdb->ctx, e->row.ifindex, &e->row.mac);
		r = r > 0 ? 0 : r < 0 ? r : -EIO;
	}
	return r < 0 ? refused(fdb, e, r, err) : 0;
}

static int take_out(struct sfh_fdb *fdb, struct entry *e, struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN];
	int r = 0;

	if (strcmp(e->row.state, SFH_FDB_OURS) == 0) {
		r = fdb->ops->set(fdb->ctx, e->row.ifindex, &e->row.mac, false);
		/* The kernel counts too: a group may still be the host's own. */
		if (r == 0 && !sfh_mac_is_multicast(&e->row.mac))
			r = fdb->ops->has(fdb->ctx, e->row.ifindex, &e->row.mac) > 0 ? -EBUSY : 0;
		if (r == -ENOENT || r == -ENODEV) /* it, or the PF, went by itself */
			r = 0;
	}
	if (r < 0)
		return sfh_err(err, r, "%s stays in the filter of '%s': %s",
			       sfh_mac_format(&e->row.mac, mac), e->row.pf, strerrordesc_np(-r));
	r = sfh_ledger_fdb_del(fdb->ledger, e->row.pf, &e->row.mac, err);
	entry_forget(fdb, e);
	return r;
}

/* --- holders --------------------------------------------------------------------------- */

int sfh_fdb_hold(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		 struct sfh_error *err)
{
	struct sfh_ledger_fdb row = { .ifindex = ifindex, .mac = *mac };
	struct entry *e = find(fdb, pf, mac);

	(void)sfh_strcpy(row.pf, sizeof(row.pf), pf);
	if (e && e->row.ifindex != ifindex) { /* that device went, and its filter with it */
		e->row.ifindex = ifindex;
		e->row.state[0] = '\0';
	}
	if (!e)
		e = entry_new(fdb, &row);
	if (!e)
		return sfh_err(err, -ENOMEM, "out of memory");
	if (e->holders++ > 0 && strcmp(e->row.state, SFH_FDB_REFUSED) != 0)
		return 0;
	return put_in(fdb, e, err);
}

int sfh_fdb_release(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		    struct sfh_error *err)
{
	struct entry *e = find(fdb, pf, mac);

	(void)ifindex;
	if (!e || (e->holders && --e->holders > 0))
		return 0;
	return take_out(fdb, e, err);
}

int sfh_fdb_mend(struct sfh_fdb *fdb, const char *pf, int ifindex, const struct sfh_mac *mac,
		 struct sfh_error *err)
{
	struct entry *e = find(fdb, pf, mac);
	char text[SFH_MAC_STRLEN];

	(void)ifindex;
	if (!e || !e->holders)
		return sfh_err(err, -ENOENT, "%s need not be in the filter of '%s' any more",
			       sfh_mac_format(mac, text), pf);
	return put_in(fdb, e, err);
}

int sfh_fdb_sweep(struct sfh_fdb *fdb, const char *pf, const struct sfh_mac *mac,
		  struct sfh_error *err)
{
	struct entry *next;
	int n = 0, first = 0;

	for (struct entry *e = fdb->entries; e; e = next) {
		int r;

		next = e->next;
		if (e->holders || (pf && strcmp(e->row.pf, pf) != 0) ||
		    (mac && !sfh_mac_equal(&e->row.mac, mac)))
			continue;
		r = take_out(fdb, e, err);
		first = first < 0 ? first : r;
		n++;
	}
	return first < 0 ? first : n;
}
