// SPDX-License-Identifier: GPL-2.0-or-later
/* What the datapath saw of a switch, added to its record some time after it: the gaps
 * around a switch are known when frames flow again. */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/meter.h"

#define METER_AFTER_US (5 * 1000000ull)

struct pending {
	struct sfh_agent *a;
	int64_t id; /* of its record */
	struct sfh_switch sw;
};

/* The host sees no frame of the VF leg but those in the parking VLAN: the one that
 * proved it, as fine as it was asked for. */
static json_t *vf_leg(const struct sfh_switch *sw)
{
	for (unsigned i = 0; i < sw->nsteps; i++)
		if (strcmp(sw->steps[i].name, "proved") == 0)
			return json_pack("{s:f, s:s, s:i}", "first_frame_ms",
					 (double)(sw->steps[i].at_ns - sw->begin_ns) / 1e6, "source",
					 "parking-vlan", "resolution_ms", SFH_PROBE_INTERVAL_MS);
	return json_pack("{s:n, s:s}", "first_frame_ms", "source", "unknown");
}

static void record(const struct pending *p, const struct sfh_pair_view *view)
{
	json_t *o = sfh_meter_json(&view->meter, p->sw.begin_ns);
	struct sfh_error err = { 0 };
	char *text;

	if (!o)
		o = json_object();
	if (p->sw.to_vf)
		(void)json_object_set_new(o, "vf_leg", vf_leg(&p->sw));
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(o);
	if (text && sfh_history_meter(p->a->history, p->id, text, &err) < 0)
		sfh_agent_log(LOG_WARNING, "history: %s", err.text);
	free(text);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct pending *p = userdata;
	struct sfh_agent *a = p->a;
	const struct sfh_pair *pair = sfh_engine_pair(&a->engine, p->sw.domain, &p->sw.mac);
	struct sfh_pair_view view;

	(void)usec;
	if (pair && sfh_agent_pair_view(a, pair, &view) == 0)
		record(p, &view);
	(void)sd_event_source_unref(source);
	free(p);
	return 0;
}

void sfh_agent_meter_later(struct sfh_agent *a, int64_t id, const struct sfh_switch *sw)
{
	struct pending *p = malloc(sizeof(*p));
	sd_event_source *timer = NULL;

	if (!p)
		return;
	*p = (struct pending){ a, id, *sw };
	if (sd_event_add_time_relative(a->loop, &timer, CLOCK_MONOTONIC, METER_AFTER_US, 0, on_time,
				       p) < 0)
		free(p);
}
