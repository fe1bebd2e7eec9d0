// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/history.h"
#include "ctl/core/db.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct sfh_history {
	sqlite3 *db;
};

static const char ddl[] =
	"CREATE TABLE switches (id INTEGER PRIMARY KEY, wall_ms INT NOT NULL, domain TEXT NOT NULL,"
	"  domain_name TEXT NOT NULL, network TEXT NOT NULL, mac TEXT NOT NULL,"
	"  direction TEXT NOT NULL, cause TEXT NOT NULL, vf_bdf TEXT NOT NULL, ok INT NOT NULL,"
	"  error TEXT NOT NULL, total_us INT NOT NULL, steps TEXT NOT NULL,"
	"  meter TEXT NOT NULL DEFAULT '');"
	"CREATE INDEX switches_domain ON switches (domain_name);";

/* Schema 1 had no meter. */
static const char upgrade[] = "ALTER TABLE switches ADD COLUMN meter TEXT NOT NULL DEFAULT '';";

static bool is_damaged(sqlite3 *db)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	return rc == SQLITE_ROW ? strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0
				: (rc & 0xff) == SQLITE_CORRUPT;
}

/* The file as it is goes aside; its log, which is of no use without it, goes. */
static int put_aside(const char *path)
{
	char other[512];

	(void)snprintf(other, sizeof(other), "%s-wal", path);
	(void)unlink(other);
	(void)snprintf(other, sizeof(other), "%s-shm", path);
	(void)unlink(other);
	(void)snprintf(other, sizeof(other), "%s.damaged", path);
	return rename(path, other) < 0 ? -errno : 0;
}

int sfh_history_open(const char *path, bool writable, struct sfh_history **ret,
		     struct sfh_error *err)
{
	struct sfh_history *h = calloc(1, sizeof(*h));
	struct sfh_error first = { 0 };
	int r, damaged = 0;

	if (!h)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_db_open(path, writable, SFH_HISTORY_SCHEMA, ddl, upgrade, "history", &h->db, &first);
	if (writable && (r == -EUCLEAN || (r == 0 && is_damaged(h->db)))) {
		sfh_db_closep(&h->db);
		damaged = put_aside(path) == 0;
		if (damaged)
			r = sfh_db_open(path, writable, SFH_HISTORY_SCHEMA, ddl, upgrade, "history",
					&h->db, err);
	}
	if (r < 0) {
		free(h);
		return sfh_err(err, r, "%s", first.text);
	}
	*ret = h;
	return damaged;
}

void sfh_history_close(struct sfh_history **history)
{
	if (!*history)
		return;
	sfh_db_closep(&(*history)->db);
	free(*history);
	*history = NULL;
}

const char *sfh_switch_steps(const struct sfh_switch *sw, char buf[SFH_SWITCH_STEPS_TEXT])
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sw->nsteps && used < SFH_SWITCH_STEPS_TEXT; i++) {
		double ms = (double)(sw->steps[i].at_ns - sw->begin_ns) / 1e6;
		int n = snprintf(buf + used, SFH_SWITCH_STEPS_TEXT - used, "%s%s=%.1f", i ? " " : "",
				 sw->steps[i].name, ms);

		used += n > 0 ? (size_t)n : 0;
	}
	return buf;
}

int sfh_history_add(struct sfh_history *h, const struct sfh_switch *sw, int64_t *ret_id,
		    struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN], steps[SFH_SWITCH_STEPS_TEXT];
	int r;

	r = sfh_db_run(h->db, err, "INSERT INTO switches VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,'')",
		       "lsssssssisls", (int64_t)sw->wall_ms, sw->domain, sw->domain_name,
		       sw->network, sfh_mac_format(&sw->mac, mac),
		       sw->to_vf ? "to-vf" : "to-standby", sw->cause, sw->vf_bdf, sw->ok, sw->error,
		       (int64_t)((sw->end_ns - sw->begin_ns) / 1000),
		       sfh_switch_steps(sw, steps));
	if (r == 0 && ret_id)
		*ret_id = sqlite3_last_insert_rowid(h->db);
	return r;
}

int sfh_history_meter(struct sfh_history *h, int64_t id, const char *json, struct sfh_error *err)
{
	return sfh_db_run(h->db, err, "UPDATE switches SET meter = ? WHERE id = ?", "sl", json, id);
}

int sfh_history_rows(struct sfh_history *h, const char *domain, unsigned limit,
		     int (*cb)(void *ctx, const struct sfh_history_row *row), void *ctx)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(h->db,
				    "SELECT * FROM (SELECT * FROM switches WHERE ?1 IS NULL OR"
				    " domain_name = ?1 OR domain = ?1 ORDER BY id DESC LIMIT ?2)"
				    " ORDER BY id",
				    -1, &s, NULL);
	int r = 0;

	if (rc == SQLITE_OK && domain)
		rc = sqlite3_bind_text(s, 1, domain, -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(s, 2, limit ? (int64_t)limit : -1);
	if (rc != SQLITE_OK)
		return -EIO;
	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct sfh_history_row row = {
			.id = sqlite3_column_int64(s, 0),
			.wall_ms = (uint64_t)sqlite3_column_int64(s, 1),
			.ok = sqlite3_column_int(s, 9),
			.total_ms = (double)sqlite3_column_int64(s, 11) / 1000,
		};
		char text[SFH_MAC_STRLEN];

		sfh_db_text(s, 2, row.domain, sizeof(row.domain));
		sfh_db_text(s, 3, row.domain_name, sizeof(row.domain_name));
		sfh_db_text(s, 4, row.network, sizeof(row.network));
		sfh_db_text(s, 5, text, sizeof(text));
		(void)sfh_mac_parse(text, &row.mac);
		sfh_db_text(s, 6, text, sizeof(text));
		row.to_vf = strcmp(text, "to-vf") == 0;
		sfh_db_text(s, 7, row.cause, sizeof(row.cause));
		sfh_db_text(s, 8, row.vf_bdf, sizeof(row.vf_bdf));
		sfh_db_text(s, 10, row.error, sizeof(row.error));
		sfh_db_text(s, 12, row.steps, sizeof(row.steps));
		row.meter = (const char *)sqlite3_column_text(s, 13);
		r = cb(ctx, &row);
	}
	return r != 0 ? r : rc == SQLITE_DONE ? 0 : -EIO;
}
