/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few lines of SQLite that ledger and history share. */
#ifndef SFH_CORE_DB_H
#define SFH_CORE_DB_H

#include <sqlite3.h>

#include "sfhybrid/util.h"

/* Opens path; when writable creates it (0600) with `ddl` and stamps `schema`
 * as PRAGMA user_version. -ENOENT: not writable and absent. -EPROTO: stamped
 * with another version. `upgrade` (may be NULL) is what makes the previous schema
 * this one; a writer runs it. `what` names the database in sentences. */
int sfh_db_open(const char *path, bool writable, int schema, const char *ddl, const char *upgrade,
		const char *what, sqlite3 **ret, struct sfh_error *err);

/* Prepares sql and binds the arguments as `types` says: 's' const char *,
 * 'i' int, 'l' int64_t. Sets *ret; the caller finalizes. */
int sfh_db_prepare(sqlite3 *db, sqlite3_stmt **ret, struct sfh_error *err, const char *sql,
		   const char *types, va_list ap);
/* Runs a statement that returns no row. -EBUSY: a uniqueness rule is broken. */
int sfh_db_run(sqlite3 *db, struct sfh_error *err, const char *sql, const char *types, ...);

/* Column c as text into buf; "" for NULL. */
void sfh_db_text(sqlite3_stmt *stmt, int c, char *buf, size_t n);

static inline void sfh_db_closep(sqlite3 **db)
{
	(void)sqlite3_close(*db);
	*db = NULL;
}

static inline void sfh_db_finalizep(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt);
	*stmt = NULL;
}

#endif
