// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <time.h>

#include "ctl/cli/cli.h"
#include "ctl/core/history.h"

static int add_row(void *ctx, const struct sfh_history_row *row)
{
	char mac[SFH_MAC_STRLEN];
	json_t *o = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:f, s:s}",
			      "id", (json_int_t)row->id, "wall_ms", (json_int_t)row->wall_ms,
			      "domain", row->domain_name, "uuid", row->domain, "network",
			      row->network, "mac", sfh_mac_format(&row->mac, mac), "direction",
			      row->to_vf ? "to-vf" : "to-standby", "cause", row->cause, "vf",
			      row->vf_bdf, "ok", row->ok, "error", row->error, "total_ms",
			      row->total_ms, "steps", row->steps);
	json_t *meter = json_loads(row->meter ? row->meter : "", 0, NULL);

	if (meter)
		(void)json_object_set_new(o, "meter", meter);
	(void)json_array_append_new(ctx, o);
	return 0;
}

static const char *str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* "to 1203 (20.4), from 1190 (21.0)": frames on the standby leg and the longest gap. */
static void print_meter(const json_t *o)
{
	static const char *const legs[][2] = { { "to_guest", "to the guest" },
					       { "from_guest", "from it" } };
	const json_t *meter = json_object_get(o, "meter");
	const json_t *vf = json_object_get(meter, "vf_leg");
	unsigned shown = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(legs); i++) {
		const json_t *leg = json_object_get(meter, legs[i][0]);
		const json_t *first = json_object_get(leg, "first_ms");

		if (!first)
			continue;
		(void)printf("%s %s first at %.1f ms, longest gap %.1f ms",
			     shown++ ? ";" : "                    standby leg:", legs[i][1],
			     json_number_value(first),
			     json_number_value(json_object_get(leg, "longest_gap_ms")));
	}
	if (vf && json_is_number(json_object_get(vf, "first_frame_ms")))
		(void)printf("%s VF leg: first frame at %.1f ms (%s, +-%d ms)",
			     shown++ ? ";" : "                   ",
			     json_number_value(json_object_get(vf, "first_frame_ms")),
			     str(vf, "source"),
			     (int)json_integer_value(json_object_get(vf, "resolution_ms")));
	else if (vf)
		(void)printf("%s VF leg: first frame unknown", shown++ ? ";" : "                   ");
	if (shown)
		(void)printf("\n");
}

int sfh_cli_history(struct sfh_cli *cli)
{
	struct sfh_history *h = NULL;
	struct sfh_error err = { 0 };
	json_t *rows = json_array(), *o;
	char path[256];
	size_t i;
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SFH_HISTORY_NAME, cli->env.lib_dir);
	r = sfh_history_open(path, false, &h, &err);
	if (r == 0)
		r = sfh_history_rows(h, cli->nargs ? cli->args[0] : NULL, cli->limit, add_row, rows);
	sfh_history_close(&h);
	if (r < 0 && r != -ENOENT) { /* no history yet is an empty one */
		json_decref(rows);
		return sfh_cli_fail(cli, "%s", err.text[0] ? err.text : "cannot read the history");
	}
	if (cli->json)
		return sfh_cli_print_json(json_pack("{s:o}", "switches", rows));
	(void)printf("%-19s %-16s %-17s %-10s %-14s %-12s %9s  %s\n", "TIME", "DOMAIN", "MAC",
		     "DIRECTION", "CAUSE", "VF", "MS", "STEPS (ms from the start)");
	json_array_foreach(rows, i, o) {
		time_t t = (time_t)(json_integer_value(json_object_get(o, "wall_ms")) / 1000);
		struct tm tm;
		char when[32] = "";

		if (localtime_r(&t, &tm))
			(void)strftime(when, sizeof(when), "%F %T", &tm);
		(void)printf("%-19s %-16s %-17s %-10s %-14s %-12s %9.1f  %s%s%s\n", when,
			     str(o, "domain"), str(o, "mac"), str(o, "direction"), str(o, "cause"),
			     str(o, "vf"), json_real_value(json_object_get(o, "total_ms")),
			     str(o, "steps"), json_is_true(json_object_get(o, "ok")) ? "" : " FAILED: ",
			     str(o, "error"));
		print_meter(o);
	}
	json_decref(rows);
	return SFH_EXIT_OK;
}
