// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/ledger.h"
#include "ctl/core/db.h"

#include <stdio.h>
#include <string.h>

struct sfh_ledger {
	sqlite3 *db;
};

#define RX_TABLE                                                                                   \
	"CREATE TABLE rx (domain TEXT NOT NULL, nic TEXT NOT NULL, mac TEXT NOT NULL,"             \
	"  pf TEXT NOT NULL, PRIMARY KEY (domain, nic, mac));"

static const char ddl[] =
	"CREATE TABLE networks (name TEXT PRIMARY KEY, mode TEXT NOT NULL, policy TEXT NOT NULL,"
	"  bridge TEXT NOT NULL, phase INT NOT NULL, trouble TEXT NOT NULL);"
	"CREATE TABLE pfs (dev TEXT PRIMARY KEY, network TEXT NOT NULL, ifindex INT NOT NULL,"
	"  generation INT NOT NULL, bdf TEXT NOT NULL, driver TEXT NOT NULL, xdp TEXT NOT NULL,"
	"  orig_num_vfs INT NOT NULL, orig_autoprobe INT NOT NULL, orig_up INT NOT NULL,"
	"  bridged INT NOT NULL, parklink INT NOT NULL, mtu INT NOT NULL);"
	"CREATE TABLE vfs (pf TEXT NOT NULL, vf INT NOT NULL, bdf TEXT NOT NULL UNIQUE,"
	"  orig_driver TEXT NOT NULL, PRIMARY KEY (pf, vf));"
	"CREATE TABLE slots (pf TEXT NOT NULL, vf INT NOT NULL, bdf TEXT NOT NULL,"
	"  class TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (pf, vf));"
	"CREATE TABLE leases (pf TEXT NOT NULL, vf INT NOT NULL, bdf TEXT NOT NULL UNIQUE,"
	"  domain TEXT NOT NULL, mac TEXT NOT NULL, vlan INT NOT NULL, reserved INT NOT NULL,"
	"  changed INT NOT NULL, refused INT NOT NULL, profile TEXT NOT NULL,"
	"  orig_mac TEXT NOT NULL, orig_vlan INT NOT NULL, orig_qos INT NOT NULL,"
	"  orig_proto INT NOT NULL, orig_spoofchk INT NOT NULL, orig_trust INT NOT NULL,"
	"  orig_link_state INT NOT NULL, orig_min_tx INT NOT NULL, orig_max_tx INT NOT NULL,"
	"  orig_known INT NOT NULL, PRIMARY KEY (pf, vf), UNIQUE (pf, mac, vlan));"
	"CREATE TABLE pairs (domain TEXT NOT NULL, mac TEXT NOT NULL, domain_name TEXT NOT NULL,"
	"  vlan INT NOT NULL, network TEXT NOT NULL, pf TEXT NOT NULL, pf_ifindex INT NOT NULL,"
	"  standby TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, vf_bdf TEXT NOT NULL,"
	"  adopted INT NOT NULL, negotiated INT NOT NULL, held INT NOT NULL, profile TEXT NOT NULL,"
	"  PRIMARY KEY (domain, mac));"
	"CREATE TABLE fdb (pf TEXT NOT NULL, mac TEXT NOT NULL, ifindex INT NOT NULL,"
	"  state TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (pf, mac));" RX_TABLE;

int sfh_ledger_open(const char *path, bool writable, struct sfh_ledger **ret,
		    struct sfh_error *err)
{
	struct sfh_ledger *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_db_open(path, writable, SFH_LEDGER_SCHEMA, ddl, RX_TABLE, "ledger", &l->db, err);
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void sfh_ledger_close(struct sfh_ledger **ledger)
{
	if (!*ledger)
		return;
	sfh_db_closep(&(*ledger)->db);
	free(*ledger);
	*ledger = NULL;
}

/* Steps through every row of sql, bound as sfh_db_prepare() does; fill() turns one into a
 * struct and passes it to the caller's callback. */
static int walk_with(struct sfh_ledger *l, int (*fill)(sqlite3_stmt *stmt, void *arg), void *arg,
		     const char *sql, const char *types, ...)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *stmt = NULL;
	int rc, r;
	va_list ap;

	va_start(ap, types);
	r = sfh_db_prepare(l->db, &stmt, NULL, sql, types, ap);
	va_end(ap);
	if (r < 0)
		return -EIO;
	while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		r = fill(stmt, arg);
	return r != 0 ? r : rc == SQLITE_DONE ? 0 : -EIO;
}

static int walk(struct sfh_ledger *l, const char *sql,
		int (*fill)(sqlite3_stmt *stmt, void *arg), void *arg)
{
	return walk_with(l, fill, arg, sql, "");
}

int sfh_ledger_network_put(struct sfh_ledger *l, const struct sfh_ledger_network *row,
			   struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "INSERT OR REPLACE INTO networks VALUES (?,?,?,?,?,?)",
			  "ssssis",
			  row->name, row->mode, row->policy, row->bridge, (int)row->phase,
			  row->trouble);
}

int sfh_ledger_network_phase(struct sfh_ledger *l, const char *name, enum sfh_network_phase phase,
			     struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "UPDATE networks SET phase = ? WHERE name = ?", "is",
			  (int)phase, name);
}

int sfh_ledger_network_trouble(struct sfh_ledger *l, const char *name, const char *trouble,
			       struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "UPDATE networks SET trouble = ? WHERE name = ?", "ss",
			  trouble, name);
}

int sfh_ledger_network_del(struct sfh_ledger *l, const char *name, struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "DELETE FROM networks WHERE name = ?", "s", name);
}

int sfh_ledger_pf_put(struct sfh_ledger *l, const struct sfh_ledger_pf *row, struct sfh_error *err)
{
	char bdf[SFH_BDF_STRLEN];

	return sfh_db_run(l->db, err,
			  "INSERT OR REPLACE INTO pfs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
			  "ssilsssiiiiii", row->dev, row->network, row->ifindex,
			  (int64_t)row->generation, sfh_bdf_format(&row->bdf, bdf), row->driver,
			  row->xdp, (int)row->orig_num_vfs, row->orig_autoprobe, row->orig_up,
			  (int)row->bridged, row->parklink, (int)row->mtu);
}

int sfh_ledger_pf_del(struct sfh_ledger *l, const char *dev, struct sfh_error *err)
{
	int r = sfh_db_run(l->db, err, "DELETE FROM slots WHERE pf = ?", "s", dev);

	return r < 0 ? r : sfh_db_run(l->db, err, "DELETE FROM pfs WHERE dev = ?", "s", dev);
}

int sfh_ledger_vf_put(struct sfh_ledger *l, const char *pf, unsigned vf, const struct sfh_bdf *bdf,
		      const char *orig_driver, struct sfh_error *err)
{
	char text[SFH_BDF_STRLEN];

	return sfh_db_run(l->db, err, "INSERT OR IGNORE INTO vfs VALUES (?,?,?,?)", "siss", pf,
			  (int)vf, sfh_bdf_format(bdf, text), orig_driver);
}

int sfh_ledger_vf_del(struct sfh_ledger *l, const char *pf, struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "DELETE FROM vfs WHERE pf = ?", "s", pf);
}

struct network_walk {
	int (*cb)(void *, const struct sfh_ledger_network *);
	void *ctx;
};

static int fill_network(sqlite3_stmt *s, void *arg)
{
	struct network_walk *w = arg;
	struct sfh_ledger_network row = {
		.phase = (enum sfh_network_phase)sqlite3_column_int(s, 4),
	};

	sfh_db_text(s, 0, row.name, sizeof(row.name));
	sfh_db_text(s, 1, row.mode, sizeof(row.mode));
	sfh_db_text(s, 2, row.policy, sizeof(row.policy));
	sfh_db_text(s, 3, row.bridge, sizeof(row.bridge));
	sfh_db_text(s, 5, row.trouble, sizeof(row.trouble));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_networks(struct sfh_ledger *l,
			int (*cb)(void *ctx, const struct sfh_ledger_network *row), void *ctx)
{
	return walk(l, "SELECT * FROM networks ORDER BY name", fill_network,
		    &(struct network_walk){ cb, ctx });
}

struct network_find {
	const char *name;
	struct sfh_ledger_network *ret;
};

static int match_network(void *ctx, const struct sfh_ledger_network *row)
{
	struct network_find *f = ctx;

	if (strcmp(row->name, f->name) != 0)
		return 0;
	*f->ret = *row;
	return 1;
}

int sfh_ledger_network_get(struct sfh_ledger *l, const char *name, struct sfh_ledger_network *ret)
{
	int r = sfh_ledger_networks(l, match_network, &(struct network_find){ name, ret });

	return r == 0 ? -ENOENT : r > 0 ? 0 : r;
}

struct pf_walk {
	int (*cb)(void *, const struct sfh_ledger_pf *);
	void *ctx;
};

static int fill_pf(sqlite3_stmt *s, void *arg)
{
	struct pf_walk *w = arg;
	struct sfh_ledger_pf row = {
		.ifindex = sqlite3_column_int(s, 2),
		.generation = (uint64_t)sqlite3_column_int64(s, 3),
		.orig_num_vfs = (unsigned)sqlite3_column_int(s, 7),
		.orig_autoprobe = sqlite3_column_int(s, 8),
		.orig_up = sqlite3_column_int(s, 9),
		.bridged = (enum sfh_pf_bridged)sqlite3_column_int(s, 10),
		.parklink = sqlite3_column_int(s, 11),
		.mtu = (unsigned)sqlite3_column_int(s, 12),
	};
	char bdf[SFH_BDF_STRLEN];

	sfh_db_text(s, 0, row.dev, sizeof(row.dev));
	sfh_db_text(s, 1, row.network, sizeof(row.network));
	sfh_db_text(s, 4, bdf, sizeof(bdf));
	(void)sfh_bdf_parse(bdf, &row.bdf);
	sfh_db_text(s, 5, row.driver, sizeof(row.driver));
	sfh_db_text(s, 6, row.xdp, sizeof(row.xdp));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_pfs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_pf *row),
		   void *ctx)
{
	return walk(l, "SELECT * FROM pfs ORDER BY dev", fill_pf, &(struct pf_walk){ cb, ctx });
}

struct vf_walk {
	int (*cb)(void *, const struct sfh_ledger_vf *);
	void *ctx;
};

static int fill_vf(sqlite3_stmt *s, void *arg)
{
	struct vf_walk *w = arg;
	struct sfh_ledger_vf row = { .vf = (unsigned)sqlite3_column_int(s, 1) };
	char bdf[SFH_BDF_STRLEN];

	sfh_db_text(s, 0, row.pf, sizeof(row.pf));
	sfh_db_text(s, 2, bdf, sizeof(bdf));
	(void)sfh_bdf_parse(bdf, &row.bdf);
	sfh_db_text(s, 3, row.orig_driver, sizeof(row.orig_driver));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_vfs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_vf *row),
		   void *ctx)
{
	return walk(l, "SELECT * FROM vfs ORDER BY pf, vf", fill_vf, &(struct vf_walk){ cb, ctx });
}

/* --- slots ---------------------------------------------------------------------------- */

int sfh_ledger_slot_put(struct sfh_ledger *l, const struct sfh_ledger_slot *row,
			struct sfh_error *err)
{
	char bdf[SFH_BDF_STRLEN];

	return sfh_db_run(l->db, err, "INSERT OR REPLACE INTO slots VALUES (?,?,?,?,?)", "sisss",
			  row->pf, (int)row->vf, sfh_bdf_format(&row->bdf, bdf), row->class,
			  row->why);
}

int sfh_ledger_slots_put(struct sfh_ledger *l, const char *pf, const struct sfh_ledger_slot *rows,
			 size_t n, struct sfh_error *err)
{
	/* Another thread's rows may be in it as well: it is always committed. */
	int r = sfh_db_run(l->db, err, "BEGIN", "");

	if (r < 0)
		return r;
	r = sfh_db_run(l->db, err, "DELETE FROM slots WHERE pf = ?", "s", pf);
	for (size_t i = 0; i < n && r == 0; i++)
		r = sfh_ledger_slot_put(l, &rows[i], err);
	if (sfh_db_run(l->db, err, "COMMIT", "") < 0 && r == 0)
		r = -EIO;
	return r;
}

struct slot_walk {
	int (*cb)(void *, const struct sfh_ledger_slot *);
	void *ctx;
};

static int fill_slot(sqlite3_stmt *s, void *arg)
{
	struct slot_walk *w = arg;
	struct sfh_ledger_slot row = { .vf = (unsigned)sqlite3_column_int(s, 1) };
	char bdf[SFH_BDF_STRLEN];

	sfh_db_text(s, 0, row.pf, sizeof(row.pf));
	sfh_db_text(s, 2, bdf, sizeof(bdf));
	(void)sfh_bdf_parse(bdf, &row.bdf);
	sfh_db_text(s, 3, row.class, sizeof(row.class));
	sfh_db_text(s, 4, row.why, sizeof(row.why));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_slots(struct sfh_ledger *l,
		     int (*cb)(void *ctx, const struct sfh_ledger_slot *row), void *ctx)
{
	return walk(l, "SELECT * FROM slots ORDER BY pf, vf", fill_slot,
		    &(struct slot_walk){ cb, ctx });
}

/* --- leases ----------------------------------------------------------------------------- */

#define LEASE_COLUMNS                                                                              \
	"pf, vf, bdf, domain, mac, vlan, reserved, changed, refused, orig_mac, orig_vlan, "        \
	"orig_qos, orig_proto, orig_spoofchk, orig_trust, orig_link_state, orig_min_tx, "          \
	"orig_max_tx, orig_known, profile"
#define LEASE_INSERT                                                                               \
	"INSERT INTO leases (" LEASE_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
/* Not REPLACE: that would remove whoever else has the MAC. */
#define LEASE_UPSERT                                                                               \
	LEASE_INSERT " ON CONFLICT (pf, vf) DO UPDATE SET bdf = excluded.bdf, "                    \
		     "domain = excluded.domain, mac = excluded.mac, vlan = excluded.vlan, "        \
		     "reserved = excluded.reserved, changed = excluded.changed, "                  \
		     "refused = excluded.refused, orig_mac = excluded.orig_mac, "                  \
		     "orig_vlan = excluded.orig_vlan, orig_qos = excluded.orig_qos, "              \
		     "orig_proto = excluded.orig_proto, orig_spoofchk = excluded.orig_spoofchk, "  \
		     "orig_trust = excluded.orig_trust, "                                          \
		     "orig_link_state = excluded.orig_link_state, "                                \
		     "orig_min_tx = excluded.orig_min_tx, orig_max_tx = excluded.orig_max_tx, "    \
		     "orig_known = excluded.orig_known, profile = excluded.profile"

static int lease_write(struct sfh_ledger *l, const char *sql, const struct sfh_lease *lease,
		       struct sfh_error *err)
{
	char bdf[SFH_BDF_STRLEN], mac[SFH_MAC_STRLEN], orig[SFH_MAC_STRLEN], who[SFH_MAC_STRLEN];
	const struct sfh_vf_config *o = &lease->orig;
	struct sfh_error why = { 0 };
	int r = sfh_db_run(l->db, &why, sql, "sisssiiiisiiiiiillis", lease->pf, (int)lease->vf,
			   sfh_bdf_format(&lease->bdf, bdf), lease->domain,
			   sfh_mac_format(&lease->mac, mac), lease->vlan, lease->reserved,
			   (int)lease->changed, (int)lease->refused, sfh_mac_format(&o->mac, orig),
			   o->vlan, o->qos, o->proto, o->spoofchk, o->trust, (int)o->link_state,
			   (int64_t)o->min_tx, (int64_t)o->max_tx, (int)o->known, lease->profile);

	if (r == -EBUSY)
		return sfh_err(err, -EBUSY, "VF %u of '%s', or %s in VLAN %u on it, has a lease already",
			       lease->vf, lease->pf, sfh_mac_format(&lease->mac, who), lease->vlan);
	return r < 0 ? sfh_err(err, r, "%s", why.text) : 0;
}

int sfh_ledger_lease_add(struct sfh_ledger *l, const struct sfh_lease *lease,
			 struct sfh_error *err)
{
	return lease_write(l, LEASE_INSERT, lease, err);
}

int sfh_ledger_lease_update(struct sfh_ledger *l, const struct sfh_lease *lease,
			    struct sfh_error *err)
{
	return lease_write(l, LEASE_UPSERT, lease, err);
}

int sfh_ledger_lease_del(struct sfh_ledger *l, const char *pf, unsigned vf, struct sfh_error *err)
{
	return sfh_db_run(l->db, err, "DELETE FROM leases WHERE pf = ? AND vf = ?", "si", pf,
			  (int)vf);
}

struct lease_walk {
	int (*cb)(void *, const struct sfh_lease *);
	void *ctx;
};

static int fill_lease(sqlite3_stmt *s, void *arg)
{
	struct lease_walk *w = arg;
	struct sfh_lease lease = {
		.vf = (unsigned)sqlite3_column_int(s, 1),
		.vlan = (uint16_t)sqlite3_column_int(s, 5),
		.reserved = sqlite3_column_int(s, 6),
		.changed = (unsigned)sqlite3_column_int(s, 7),
		.refused = (unsigned)sqlite3_column_int(s, 8),
		.orig = { .vlan = (uint16_t)sqlite3_column_int(s, 10),
			  .qos = (uint8_t)sqlite3_column_int(s, 11),
			  .proto = (uint16_t)sqlite3_column_int(s, 12),
			  .spoofchk = sqlite3_column_int(s, 13),
			  .trust = sqlite3_column_int(s, 14),
			  .link_state = (uint32_t)sqlite3_column_int(s, 15),
			  .min_tx = (uint32_t)sqlite3_column_int64(s, 16),
			  .max_tx = (uint32_t)sqlite3_column_int64(s, 17),
			  .known = (unsigned)sqlite3_column_int(s, 18) },
	};
	char text[SFH_MAC_STRLEN];

	sfh_db_text(s, 0, lease.pf, sizeof(lease.pf));
	sfh_db_text(s, 2, text, sizeof(text));
	(void)sfh_bdf_parse(text, &lease.bdf);
	sfh_db_text(s, 3, lease.domain, sizeof(lease.domain));
	sfh_db_text(s, 4, text, sizeof(text));
	(void)sfh_mac_parse(text, &lease.mac);
	sfh_db_text(s, 9, text, sizeof(text));
	(void)sfh_mac_parse(text, &lease.orig.mac);
	sfh_db_text(s, 19, lease.profile, sizeof(lease.profile));
	return w->cb(w->ctx, &lease);
}

int sfh_ledger_leases(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_lease *lease),
		      void *ctx)
{
	return walk(l, "SELECT " LEASE_COLUMNS " FROM leases ORDER BY pf, vf", fill_lease,
		    &(struct lease_walk){ cb, ctx });
}

int sfh_ledger_pair_put(struct sfh_ledger *l, const struct sfh_ledger_pair *row,
			struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err,
			  "INSERT OR REPLACE INTO pairs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			  "sssississssiiis", row->domain, sfh_mac_format(&row->mac, mac),
			  row->domain_name, row->vlan, row->network, row->pf, row->pf_ifindex,
			  row->standby, row->state, row->reason, row->vf_bdf, row->adopted,
			  row->negotiated, row->held, row->profile);
}

int sfh_ledger_pair_del(struct sfh_ledger *l, const char *domain, const struct sfh_mac *mac,
			struct sfh_error *err)
{
	char text[SFH_MAC_STRLEN];

	(void)sfh_ledger_rx_clear(l, domain, mac, NULL);
	return sfh_db_run(l->db, err, "DELETE FROM pairs WHERE domain = ? AND mac = ?", "ss",
			  domain, sfh_mac_format(mac, text));
}

struct pair_walk {
	int (*cb)(void *, const struct sfh_ledger_pair *);
	void *ctx;
};

static int fill_pair(sqlite3_stmt *s, void *arg)
{
	struct pair_walk *w = arg;
	struct sfh_ledger_pair row = {
		.vlan = (uint16_t)sqlite3_column_int(s, 3),
		.pf_ifindex = sqlite3_column_int(s, 6),
		.adopted = sqlite3_column_int(s, 11),
		.negotiated = sqlite3_column_int(s, 12),
		.held = sqlite3_column_int(s, 13),
	};
	char mac[SFH_MAC_STRLEN];

	sfh_db_text(s, 0, row.domain, sizeof(row.domain));
	sfh_db_text(s, 1, mac, sizeof(mac));
	(void)sfh_mac_parse(mac, &row.mac);
	sfh_db_text(s, 2, row.domain_name, sizeof(row.domain_name));
	sfh_db_text(s, 4, row.network, sizeof(row.network));
	sfh_db_text(s, 5, row.pf, sizeof(row.pf));
	sfh_db_text(s, 7, row.standby, sizeof(row.standby));
	sfh_db_text(s, 8, row.state, sizeof(row.state));
	sfh_db_text(s, 9, row.reason, sizeof(row.reason));
	sfh_db_text(s, 10, row.vf_bdf, sizeof(row.vf_bdf));
	sfh_db_text(s, 14, row.profile, sizeof(row.profile));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_pairs(struct sfh_ledger *l,
		     int (*cb)(void *ctx, const struct sfh_ledger_pair *row), void *ctx)
{
	return walk(l, "SELECT * FROM pairs ORDER BY domain_name, mac", fill_pair,
		    &(struct pair_walk){ cb, ctx });
}

/* --- addresses in PFs' own filters ----------------------------------------------------- */

int sfh_ledger_fdb_put(struct sfh_ledger *l, const struct sfh_ledger_fdb *row,
		       struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err, "INSERT OR REPLACE INTO fdb VALUES (?,?,?,?,?)", "ssiss",
			  row->pf, sfh_mac_format(&row->mac, mac), row->ifindex, row->state,
			  row->why);
}

int sfh_ledger_fdb_del(struct sfh_ledger *l, const char *pf, const struct sfh_mac *mac,
		       struct sfh_error *err)
{
	char text[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err, "DELETE FROM fdb WHERE pf = ? AND mac = ?", "ss", pf,
			  sfh_mac_format(mac, text));
}

struct fdb_walk {
	int (*cb)(void *, const struct sfh_ledger_fdb *);
	void *ctx;
};

static int fill_fdb(sqlite3_stmt *s, void *arg)
{
	struct fdb_walk *w = arg;
	struct sfh_ledger_fdb row = { .ifindex = sqlite3_column_int(s, 2) };
	char mac[SFH_MAC_STRLEN];

	sfh_db_text(s, 0, row.pf, sizeof(row.pf));
	sfh_db_text(s, 1, mac, sizeof(mac));
	(void)sfh_mac_parse(mac, &row.mac);
	sfh_db_text(s, 3, row.state, sizeof(row.state));
	sfh_db_text(s, 4, row.why, sizeof(row.why));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_fdbs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_fdb *row),
		    void *ctx)
{
	return walk(l, "SELECT * FROM fdb ORDER BY pf, mac", fill_fdb, &(struct fdb_walk){ cb, ctx });
}

int sfh_ledger_rx_put(struct sfh_ledger *l, const struct sfh_ledger_rx *row,
		      struct sfh_error *err)
{
	char nic[SFH_MAC_STRLEN], mac[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err, "INSERT OR REPLACE INTO rx VALUES (?,?,?,?)", "ssss",
			  row->domain, sfh_mac_format(&row->nic, nic),
			  sfh_mac_format(&row->mac, mac), row->pf);
}

int sfh_ledger_rx_del(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
		      const struct sfh_mac *mac, struct sfh_error *err)
{
	char text[SFH_MAC_STRLEN], other[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err, "DELETE FROM rx WHERE domain = ? AND nic = ? AND mac = ?",
			  "sss", domain, sfh_mac_format(nic, text), sfh_mac_format(mac, other));
}

int sfh_ledger_rx_clear(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
			struct sfh_error *err)
{
	char text[SFH_MAC_STRLEN];

	return sfh_db_run(l->db, err, "DELETE FROM rx WHERE domain = ? AND nic = ?", "ss", domain,
			  sfh_mac_format(nic, text));
}

struct rx_walk {
	int (*cb)(void *, const struct sfh_ledger_rx *);
	void *ctx;
};

static int fill_rx(sqlite3_stmt *s, void *arg)
{
	struct rx_walk *w = arg;
	struct sfh_ledger_rx row = { .pf = "" };
	char nic[SFH_MAC_STRLEN], mac[SFH_MAC_STRLEN];

	sfh_db_text(s, 0, row.domain, sizeof(row.domain));
	sfh_db_text(s, 1, nic, sizeof(nic));
	sfh_db_text(s, 2, mac, sizeof(mac));
	(void)sfh_mac_parse(nic, &row.nic);
	(void)sfh_mac_parse(mac, &row.mac);
	sfh_db_text(s, 3, row.pf, sizeof(row.pf));
	return w->cb(w->ctx, &row);
}

int sfh_ledger_rxs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_rx *row),
		   void *ctx)
{
	return walk(l, "SELECT * FROM rx ORDER BY domain, nic, mac", fill_rx,
		    &(struct rx_walk){ cb, ctx });
}

int sfh_ledger_rxs_of(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
		      int (*cb)(void *ctx, const struct sfh_ledger_rx *row), void *ctx)
{
	char text[SFH_MAC_STRLEN];

	return walk_with(l, fill_rx, &(struct rx_walk){ cb, ctx },
			 "SELECT * FROM rx WHERE domain = ? AND nic = ? ORDER BY mac", "ss", domain,
			 sfh_mac_format(nic, text));
}
