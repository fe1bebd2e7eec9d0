// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/db.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int db_fail(sqlite3 *db, int rc, struct sfh_error *err)
{
	int code = rc == SQLITE_CONSTRAINT				     ? -EBUSY
		   : (rc & 0xff) == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? -EUCLEAN
									     : -EIO;

	return sfh_err(err, code, "%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

static int user_version(sqlite3 *db, int *ret)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return rc;
	*ret = sqlite3_column_int(stmt, 0);
	return SQLITE_OK;
}

/* Runs `ddl` and stamps the schema. */
static int create_schema(sqlite3 *db, int schema, const char *ddl)
{
	char stamp[64];
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	/* One transaction: tables without a stamp could never be opened again. */
	(void)snprintf(stamp, sizeof(stamp), "PRAGMA user_version = %d; COMMIT", schema);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, ddl, NULL, NULL, NULL);
	return rc == SQLITE_OK ? sqlite3_exec(db, stamp, NULL, NULL, NULL) : rc;
}

int sfh_db_open(const char *path, bool writable, int schema, const char *ddl, const char *upgrade,
		const char *what, sqlite3 **ret, struct sfh_error *err)
{
	_cleanup_(sfh_db_closep) sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_FULLMUTEX, version = 0, rc;
	mode_t mask;

	if (!writable && access(path, F_OK) != 0)
		return sfh_err(err, -ENOENT, "there is no %s at %s", what, path);
	flags |= writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	mask = umask(0077);
	rc = sqlite3_open_v2(path, &db, flags, NULL);
	(void)umask(mask);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(db, 2000);
	/* Readers (`status`) must never hold up the agent: write-ahead log. */
	if (rc == SQLITE_OK && writable)
		rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", NULL,
				  NULL, NULL);
	if (rc == SQLITE_OK)
		rc = user_version(db, &version);
	if (rc == SQLITE_OK && version == 0 && writable)
		rc = create_schema(db, schema, ddl);
	else if (rc == SQLITE_OK && version == schema - 1 && writable && upgrade)
		rc = create_schema(db, schema, upgrade);
	else if (rc == SQLITE_OK && version != schema)
		return sfh_err(err, -EPROTO,
			       "the %s at %s has schema %d, this version knows %d: use the version "
			       "that wrote it, or stop the agent and remove the file",
			       what, path, version, schema);
	if (rc != SQLITE_OK) {
		(void)db_fail(db, rc, err);
		return sfh_err_prefix(err, "cannot open the %s at %s", what, path);
	}
	*ret = TAKE_PTR(db);
	return 0;
}

int sfh_db_prepare(sqlite3 *db, sqlite3_stmt **ret, struct sfh_error *err, const char *sql,
		   const char *types, va_list ap)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	for (int i = 0; rc == SQLITE_OK && types[i]; i++) {
		switch (types[i]) {
		case 's':
			rc = sqlite3_bind_text(stmt, i + 1, va_arg(ap, const char *), -1,
					       SQLITE_TRANSIENT);
			break;
		case 'i':
			rc = sqlite3_bind_int(stmt, i + 1, va_arg(ap, int));
			break;
		default:
			rc = sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
			break;
		}
	}
	if (rc != SQLITE_OK)
		return db_fail(db, rc, err);
	*ret = TAKE_PTR(stmt);
	return 0;
}

int sfh_db_run(sqlite3 *db, struct sfh_error *err, const char *sql, const char *types, ...)
{
	_cleanup_(sfh_db_finalizep) sqlite3_stmt *stmt = NULL;
	va_list ap;
	int r;

	va_start(ap, types);
	r = sfh_db_prepare(db, &stmt, err, sql, types, ap);
	va_end(ap);
	if (r < 0)
		return r;
	r = sqlite3_step(stmt);
	return r == SQLITE_DONE ? 0 : db_fail(db, r, err);
}

void sfh_db_text(sqlite3_stmt *stmt, int c, char *buf, size_t n)
{
	const char *text = (const char *)sqlite3_column_text(stmt, c);

	(void)sfh_strcpy(buf, n, text ? text : "");
	(void)sfh_utf8_mend(buf); /* an earlier agent may have cut it anywhere */
}
