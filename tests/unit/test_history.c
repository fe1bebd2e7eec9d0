// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/history.h"

#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes.h"
#include "tests/unit/tree.h"

static char dir[64], path[128];
static struct sfh_history *h;

static void init(void)
{
	struct sfh_error err = { 0 };

	tree_init(dir);
	(void)snprintf(path, sizeof(path), "%s/history.db", dir);
	cr_assert_eq(sfh_history_open(path, true, &h, &err), 0, "%s", err.text);
}

static void fini(void)
{
	sfh_history_close(&h);
	cr_assert_null(h);
	tree_done(dir);
}

TestSuite(history, .init = init, .fini = fini, .timeout = 20);

static struct sfh_switch a_switch(const char *uuid, const char *name, const char *cause)
{
	struct sfh_switch sw = { .wall_ms = 1700000000123ull, .mac = mac_a, .to_vf = true, .ok = true,
				 .begin_ns = 5000000000ull, .end_ns = 5012345678ull };

	(void)strcpy(sw.domain, uuid);
	(void)strcpy(sw.domain_name, name);
	(void)strcpy(sw.network, "blue");
	(void)strcpy(sw.cause, cause);
	(void)strcpy(sw.vf_bdf, "0000:04:10.2");
	return sw;
}

struct rows {
	size_t n;
	struct sfh_history_row row[16];
};

static int add(void *ctx, const struct sfh_history_row *row)
{
	struct rows *r = ctx;

	cr_assert_lt(r->n, SFH_ARRAY_SIZE(r->row));
	r->row[r->n++] = *row;
	return 0;
}

static struct rows *rows(const char *domain, unsigned limit)
{
	static struct rows r;

	r.n = 0;
	cr_assert_eq(sfh_history_rows(h, domain, limit, add, &r), 0);
	return &r;
}

/* As a power cut may leave it. */
static void damage(long offset, const char *bytes)
{
	FILE *file = fopen(path, "r+b");

	cr_assert(file);
	cr_assert_eq(fseek(file, offset, SEEK_SET), 0);
	for (int i = 0; i < 256; i++)
		cr_assert_gt(fputs(bytes, file), 0);
	cr_assert_eq(fclose(file), 0);
}

static void damaged_is_put_aside(long offset)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");
	struct sfh_error err = { 0 };
	char aside[160];

	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	sfh_history_close(&h);
	damage(offset, "\xff\xee\xdd");
	cr_assert_eq(sfh_history_open(path, true, &h, &err), 1, "%s", err.text);
	(void)snprintf(aside, sizeof(aside), "%s.damaged", path);
	cr_assert_eq(access(aside, F_OK), 0);
	cr_assert_eq(rows(NULL, 0)->n, 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(rows(NULL, 0)->n, 1);
	sfh_history_close(&h);
	cr_assert_eq(sfh_history_open(path, true, &h, &err), 0);
}

Test(history, a_damaged_page)
{
	damaged_is_put_aside(4096);
}

Test(history, what_is_no_database)
{
	damaged_is_put_aside(0);
}

Test(history, every_field_there_and_back)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "migration");
	const struct sfh_history_row *row;

	sw.to_vf = false;
	sw.ok = false;
	(void)strcpy(sw.error, "the guest did not let go");
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(rows(NULL, 0)->n, 1);
	row = &rows(NULL, 0)->row[0];
	cr_assert_eq(row->id, 1);
	cr_assert_eq(row->wall_ms, 1700000000123ull);
	cr_assert_str_eq(row->domain, GUEST);
	cr_assert_str_eq(row->domain_name, "web");
	cr_assert_str_eq(row->network, "blue");
	cr_assert(sfh_mac_equal(&row->mac, &mac_a));
	cr_assert_not(row->to_vf);
	cr_assert_str_eq(row->cause, "migration");
	cr_assert_str_eq(row->vf_bdf, "0000:04:10.2");
	cr_assert_not(row->ok);
	cr_assert_str_eq(row->error, "the guest did not let go");
	cr_assert_float_eq(row->total_ms, 12.345, 0.0001);
	cr_assert_str_eq(row->steps, "");
}

Test(history, steps_are_offsets_from_the_start)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");

	sw.steps[0] = (struct sfh_switch_step){ "leased", sw.begin_ns + 1500000 };
	sw.steps[1] = (struct sfh_switch_step){ "plugged", sw.begin_ns + 950000000 };
	sw.nsteps = 2;
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_str_eq(rows(NULL, 0)->row[0].steps, "leased=1.5 plugged=950.0");
	cr_assert(rows(NULL, 0)->row[0].to_vf && rows(NULL, 0)->row[0].ok);
}

Test(history, more_steps_than_the_row_has_room_for)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");

	for (unsigned i = 0; i < SFH_SWITCH_STEPS; i++)
		sw.steps[i] = (struct sfh_switch_step){
			"a-step-whose-name-is-much-longer-than-those-that-we-really-have",
			sw.begin_ns + i
		};
	sw.nsteps = SFH_SWITCH_STEPS;
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(strlen(rows(NULL, 0)->row[0].steps), 511);
}

Test(history, by_name_or_uuid)
{
	struct sfh_switch web = a_switch(GUEST, "web", "start"), db = a_switch(OTHER, "db", "start");

	cr_assert_eq(sfh_history_add(h, &web, NULL, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &db, NULL, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &web, NULL, NULL), 0);
	cr_assert_eq(rows(NULL, 0)->n, 3);
	cr_assert_eq(rows("web", 0)->n, 2);
	cr_assert_eq(rows(OTHER, 0)->n, 1);
	cr_assert_str_eq(rows(OTHER, 0)->row[0].domain_name, "db");
	cr_assert_eq(rows("we", 0)->n, 0, "no part of a name");
	cr_assert_eq(rows("%", 0)->n, 0, "no pattern");
}

Test(history, limit_takes_the_newest_oldest_first)
{
	char cause[8] = "c0";

	for (int i = 0; i < 5; i++, cause[1]++) {
		struct sfh_switch sw = a_switch(i % 2 ? OTHER : GUEST, i % 2 ? "db" : "web", cause);

		cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	}
	cr_assert_eq(rows(NULL, 2)->n, 2);
	cr_assert_str_eq(rows(NULL, 2)->row[0].cause, "c3");
	cr_assert_str_eq(rows(NULL, 2)->row[1].cause, "c4");
	cr_assert_eq(rows("web", 2)->n, 2);
	cr_assert_str_eq(rows("web", 2)->row[0].cause, "c2");
	cr_assert_str_eq(rows("web", 2)->row[1].cause, "c4");
	cr_assert_eq(rows(NULL, 99)->n, 5);
}

static int stop(void *ctx, const struct sfh_history_row *row)
{
	(void)row;
	++*(int *)ctx;
	return -ECANCELED;
}

Test(history, callback_stops)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");
	int calls = 0;

	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(sfh_history_rows(h, NULL, 0, stop, &calls), -ECANCELED);
	cr_assert_eq(calls, 1);
}

Test(history, survives_and_is_read_beside_the_writer)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");
	struct sfh_history *reader = NULL;
	struct rows r = { 0 };

	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	sfh_history_close(&h);
	cr_assert_eq(sfh_history_open(path, true, &h, NULL), 0);
	cr_assert_eq(sfh_history_open(path, false, &reader, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	cr_assert_eq(sfh_history_rows(reader, NULL, 0, add, &r), 0);
	cr_assert_eq(r.n, 2);
	cr_assert_eq(r.row[1].id, 2, "numbers go on");
	cr_assert_lt(sfh_history_add(reader, &sw, NULL, NULL), 0);
	sfh_history_close(&reader);
}

Test(history, there_is_none_yet)
{
	struct sfh_history *none = NULL;
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_history_open("/nonexistent/history.db", false, &none, &err), -ENOENT);
	cr_assert(strstr(err.text, "there is no history at "), "%s", err.text);
	err = (struct sfh_error){ 0 };
	cr_assert_eq(sfh_history_open("/nonexistent/history.db", true, &none, &err), -EIO);
	cr_assert_null(none);
	cr_assert(strstr(err.text, "cannot open the history at "), "%s", err.text);
}

/* --- what the datapath saw ------------------------------------------------------------------- */

static char last_meter[128];

static int note_meter(void *ctx, const struct sfh_history_row *row)
{
	(void)ctx;
	(void)sfh_strcpy(last_meter, sizeof(last_meter), row->meter);
	return 0;
}

Test(history, the_meter_comes_later)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");
	int64_t first = 0, second = 0;

	cr_assert_eq(sfh_history_add(h, &sw, &first, NULL), 0);
	cr_assert_eq(sfh_history_add(h, &sw, &second, NULL), 0);
	cr_assert_eq(second, first + 1);
	cr_assert_eq(sfh_history_rows(h, NULL, 1, note_meter, NULL), 0);
	cr_assert_str_eq(last_meter, "");
	cr_assert_eq(sfh_history_meter(h, second, "{\"to_guest\":{}}", NULL), 0);
	cr_assert_eq(sfh_history_rows(h, NULL, 1, note_meter, NULL), 0);
	cr_assert_str_eq(last_meter, "{\"to_guest\":{}}");
	cr_assert_eq(sfh_history_meter(h, second + 7, "{}", NULL), 0, "nobody's");
}

/* A history of schema 1 is taken over, with what is in it. */
Test(history, schema_1_is_upgraded)
{
	struct sfh_switch sw = a_switch(GUEST, "web", "start");
	sqlite3 *db = NULL;

	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
	sfh_history_close(&h);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db,
				  "ALTER TABLE switches DROP COLUMN meter;"
				  "PRAGMA user_version = 1",
				  NULL, NULL, NULL),
		     SQLITE_OK);
	(void)sqlite3_close(db);
	cr_assert_eq(sfh_history_open(path, true, &h, NULL), 0);
	cr_assert_eq(rows(NULL, 0)->n, 1);
	cr_assert_eq(sfh_history_rows(h, NULL, 1, note_meter, NULL), 0);
	cr_assert_str_eq(last_meter, "");
	cr_assert_eq(sfh_history_add(h, &sw, NULL, NULL), 0);
}

/* --- what docs/json.md says of it ----------------------------------------------------------- */

#define TOP SFH_TEST_DATA "/../../../"

/* Each literal of the line that is one word, or several with hyphens. */
static unsigned look_up_words(const char *line, const char *doc, const char *file)
{
	unsigned n = 0;

	for (const char *p = line; (p = strchr(p, '"')); ) {
		size_t len = strspn(++p, "abcdefghijklmnopqrstuvwxyz-");
		char word[64];

		if (len && p[len] == '"') {
			(void)snprintf(word, sizeof(word), "`%.*s`", (int)len, p);
			cr_expect(strstr(doc, word), "docs/json.md does not name %s (%s)", word, file);
			n++;
		}
		p = strchr(p, '"');
		if (!p)
			break;
		p++;
	}
	return n;
}

static bool is_of_a_switch(const char *line)
{
	static const char *const calls[] = {
		"sfh_pair_unplug(", "sfh_pair_switch_begin(", "sfh_pair_switch_step(",
		"next_cause, sizeof", "SFH_EV_CONSIDER,", "SFH_EV_HOLD,", "SFH_EV_LEAVE,",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(calls); i++)
		if (strstr(line, calls[i]))
			return true;
	return false;
}

Test(history_docs, every_cause_and_every_step_is_named)
{
	static char doc[1 << 16];
	FILE *f = fopen(TOP "docs/json.md", "re");
	unsigned n = 0;
	glob_t files;
	char line[512];

	cr_assert(f, "no " TOP "docs/json.md");
	doc[fread(doc, 1, sizeof(doc) - 1, f)] = '\0';
	(void)fclose(f);
	cr_assert_eq(glob(TOP "ctl/engine/*.c", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		f = fopen(files.gl_pathv[i], "re");
		cr_assert(f);
		while (fgets(line, sizeof(line), f))
			if (is_of_a_switch(line))
				n += look_up_words(line, doc, files.gl_pathv[i]);
		(void)fclose(f);
	}
	globfree(&files);
	cr_assert_gt(n, 25, "the calls have other names now");
	cr_expect(strstr(doc, "`port-profile`"), "a reason's name that is a cause");
}
