/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the datapath counted of a pair, as JSON (docs/json.md). */
#ifndef SFH_CORE_METER_H
#define SFH_CORE_METER_H

#include <jansson.h>

#include "ctl/core/steer.h"

/* The switch meter: {"to_guest": {...}, "from_guest": {...}}, times in milliseconds
 * from origin_ns (CLOCK_MONOTONIC). NULL when no frame was metered. */
json_t *sfh_meter_json(const struct sfh_meter *m, uint64_t origin_ns);
/* All counters of a pair, by the names of include/sfhybrid/abi.h. */
json_t *sfh_counters_json(const struct sfh_counters *c);
/* {"reflected": 3}: frames dropped on this host for each reason that occurred. */
json_t *sfh_drops_json(struct sfh_steer *s);

#endif
