/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the standby legs are probed and what the answers mean: a probe a network's
 * interval, on whichever leg the pair is; one that is not proven within half of it
 * makes the leg cold. */
#ifndef SFH_ENGINE_WARM_H
#define SFH_ENGINE_WARM_H

#include "ctl/engine/engine.h"

/* An interval is cut into so many turns, and pairs spread over them: nobody's
 * netlink request waits behind a thousand probes. */
#define SFH_WARM_TURNS 4
/* When a probe is looked for, after it was sent. The last look is the deadline: half
 * of the interval, but no less than this. */
#define SFH_WARM_LOOK_MS 2
#define SFH_WARM_LOOK_AGAIN_MS 20
#define SFH_WARM_DEADLINE_MS 40

/* Begins with pairs that are to be probed, ends with those that are not any more.
 * Call after engine calls, before sfh_engine_next(). */
void sfh_engine_warm_look(struct sfh_engine *e);
/* The network's interval is another one: its pairs begin with it at the next look. */
void sfh_engine_warm_anew(struct sfh_engine *e, const char *network);

/* For engine.c: sends and looks, where it is time. */
void sfh_engine_warm_tick(struct sfh_engine *e, uint64_t now);

#endif
