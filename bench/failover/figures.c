// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-figures: what a round's frames say, as JSON.
 *	sfh-figures MARKS <FRAMES	the figures
 *	sfh-figures --bins MS MARKS <FRAMES	delivered frames a bin: MS TX RX
 * MARKS is JSON: begin_ns, end_ns, stop_ns and resume_ns (may be null), phases[] of
 * name, from_ns, to_ns, switches[] of direction, from_ns; anything else in it is left alone. */
#include "bench/failover/frames.h"
#include "bench/failover/guestclock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static double ms(uint64_t ns)
{
	/* three digits are below any error here */
	return (double)(ns / 1000) / 1000;
}

static uint64_t instant(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	/* jq writes what is as long as a time in ns with an exponent; it keeps 256 ns */
	return json_is_real(v) ? (uint64_t)json_real_value(v) : (uint64_t)json_integer_value(v);
}

/* Each is looked for until the next begins. */
static void read_switches(const json_t *list, struct sfh_marks *m)
{
	const json_t *s;
	size_t i;

	json_array_foreach(list, i, s)
	{
		const char *direction = json_string_value(json_object_get(s, "direction"));

		if (m->nswitches == SFH_SWITCHES_MAX)
			break;
		if (i)
			m->switches[i - 1].to_ns = instant(s, "from_ns");
		m->switches[m->nswitches++] = (struct sfh_switch_mark){
			.to_vf = direction && !strcmp(direction, "to-vf"),
			.from_ns = instant(s, "from_ns"),
			.to_ns = m->end_ns,
		};
	}
}

static int read_marks(const char *path, struct sfh_marks *m)
{
	json_error_t e;
	json_t *doc = json_load_file(path, 0, &e), *phase;
	size_t i;

	if (!doc) {
		(void)fprintf(stderr, "sfh-figures: %s: %s\n", path, e.text);
		return -EINVAL;
	}
	m->begin_ns = instant(doc, "begin_ns");
	m->end_ns = instant(doc, "end_ns");
	m->stop_ns = instant(doc, "stop_ns");
	m->resume_ns = instant(doc, "resume_ns");
	json_array_foreach(json_object_get(doc, "phases"), i, phase)
	{
		struct sfh_phase *p = &m->phases[m->nphases];
		const char *name = json_string_value(json_object_get(phase, "name"));

		if (m->nphases == SFH_PHASES_MAX)
			break;
		(void)snprintf(p->name, sizeof(p->name), "%s", name ? name : "");
		p->from_ns = instant(phase, "from_ns");
		p->to_ns = instant(phase, "to_ns");
		m->nphases++;
	}
	read_switches(json_object_get(doc, "switches"), m);
	json_decref(doc);
	return 0;
}

static json_t *way_json(const struct sfh_way_figures f[SFH_WAYS])
{
	const struct sfh_way_figures *tx = &f[SFH_TX], *rx = &f[SFH_RX];

	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I}",
			 "sent_tx", (json_int_t)tx->sent, "sent_rx", (json_int_t)rx->sent,
			 "lost_tx", (json_int_t)tx->lost, "lost_rx", (json_int_t)rx->lost,
			 "gap_tx_ms", ms(tx->gap_ns), "gap_rx_ms", ms(rx->gap_ns),
			 "gap_beyond_pause_tx_ms", ms(tx->beyond_ns),
			 "gap_beyond_pause_rx_ms", ms(rx->beyond_ns),
			 "dup", (json_int_t)(tx->dup + rx->dup),
			 "reorder", (json_int_t)(tx->reordered + rx->reordered));
}

/* In ms from begin_ns on. */
static json_t *seen_json(const struct sfh_leg_seen *s, uint64_t begin_ns)
{
	if (!s->from_ns)
		return json_null();
	return json_pack("[f, f]", ((double)(int64_t)(s->from_ns - begin_ns)) / 1e6,
			 ((double)(int64_t)(s->to_ns - begin_ns)) / 1e6);
}

static int print_figures(const struct sfh_marks *m, const struct sfh_figures *f)
{
	json_t *doc = way_json(f->whole), *phases = json_array(), *seen = json_array();
	uint64_t beyond = f->whole[SFH_TX].beyond_ns;
	int r;

	if (f->whole[SFH_RX].beyond_ns > beyond)
		beyond = f->whole[SFH_RX].beyond_ns;
	for (unsigned i = 0; i < m->nphases; i++) {
		json_t *p = way_json(f->phase[i]);

		(void)json_object_set_new(p, "name", json_string(m->phases[i].name));
		(void)json_object_set_new(p, "ms", json_real(ms(m->phases[i].to_ns - m->phases[i].from_ns)));
		(void)json_array_append_new(phases, p);
	}
	(void)json_object_set_new(doc, "pause_ms", m->stop_ns ? json_real(ms(m->resume_ns - m->stop_ns))
							      : json_null());
	(void)json_object_set_new(doc, "total_gap_ms", json_real(ms(f->total_gap_ns)));
	(void)json_object_set_new(doc, "long_gap_ms", json_real(ms(f->long_gap_ns)));
	(void)json_object_set_new(doc, "gap_beyond_pause_ms", json_real(ms(beyond)));
	(void)json_object_set_new(doc, "tcp_stall_ms", json_real(ms(f->tcp_stall_ns)));
	(void)json_object_set_new(doc, "client_held_up_ms", json_real(ms(f->client_held_up_ns)));
	(void)json_object_set_new(doc, "guest_clock_error_ms", json_real(ms(f->clock_error_ns)));
	(void)json_object_set_new(doc, "quiet_gap_ms_per_s",
				  m->begin_ns > f->quiet_from_ns
					  ? json_real(ms(f->quiet_gap_ns) * 1e9 /
						      (double)(m->begin_ns - f->quiet_from_ns))
					  : json_null());
	(void)json_object_set_new(doc, "rate_tx_hz", json_real(f->rate_hz[SFH_TX]));
	(void)json_object_set_new(doc, "rate_rx_hz", json_real(f->rate_hz[SFH_RX]));
	(void)json_object_set_new(doc, "interval_ms", json_real(ms(f->interval_ns)));
	(void)json_object_set_new(doc, "phases", phases);
	for (unsigned i = 0; i < m->nswitches; i++)
		(void)json_array_append_new(seen, json_pack("{s:o, s:o}", "sent", seen_json(&f->sent[i], m->begin_ns),
							     "received", seen_json(&f->received[i], m->begin_ns)));
	(void)json_object_set_new(doc, "legs", seen);
	r = json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_SORT_KEYS);
	(void)putchar('\n');
	json_decref(doc);
	return r;
}

/* For the picture: times from begin_ns on, in ms. */
static int print_bins(struct sfh_frame_log *log, const struct sfh_marks *m, uint64_t bin_ns)
{
	uint64_t n = (m->end_ns - m->begin_ns) / bin_ns + 1;
	unsigned (*bins)[SFH_WAYS] = calloc(n, sizeof(*bins));
	const struct sfh_frame_list *lists[SFH_WAYS] = {&log->at_guest, &log->at_client};

	if (!bins)
		return -ENOMEM;
	for (int way = 0; way < SFH_WAYS; way++)
		for (size_t i = 0; i < lists[way]->n; i++) {
			uint64_t t = lists[way]->v[i].t_ns;

			if (t >= m->begin_ns && t < m->end_ns)
				bins[(t - m->begin_ns) / bin_ns][way]++;
		}
	for (uint64_t i = 0; i < n; i++)
		(void)printf("%.1f %u %u\n", (double)(i * bin_ns) / 1e6, bins[i][SFH_TX], bins[i][SFH_RX]);
	free(bins);
	return 0;
}

int main(int argc, char **argv)
{
	struct sfh_frame_log log = {0};
	struct sfh_marks marks = {0};
	struct sfh_figures figures;
	unsigned line = 0;
	double bin = 0;
	int r;

	if (argc == 4 && !strcmp(argv[1], "--bins")) {
		bin = strtod(argv[2], NULL);
		argv += 2;
		argc -= 2;
	}
	if (argc != 2 || argv[1][0] == '-' || bin < 0) {
		(void)fprintf(stderr, "usage: sfh-figures [--bins MS] MARKS <FRAMES\n");
		return 2;
	}
	if (read_marks(argv[1], &marks) < 0)
		return 1;
	r = sfh_frames_read(&log, stdin, &line);
	if (r == -EINVAL)
		(void)fprintf(stderr, "sfh-figures: line %u is not an event\n", line);
	if (r == 0) {
		r = sfh_frames_figures(&log, &marks, &figures);
		if (r < 0)
			(void)fprintf(stderr, "sfh-figures: the log and the marks do not fit together: %s\n",
				      strerror(-r));
	}
	if (r == 0)
		r = bin > 0 ? print_bins(&log, &marks, (uint64_t)(bin * 1e6)) : print_figures(&marks, &figures);
	sfh_frames_free(&log);
	return r < 0;
}
