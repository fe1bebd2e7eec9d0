/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every switch of a pair between its legs, kept across reboots. SQLite under
 * /var/lib/sfhybrid. */
#ifndef SFH_CORE_HISTORY_H
#define SFH_CORE_HISTORY_H

#include "ctl/core/ledger.h"

#define SFH_HISTORY_SCHEMA 2
#define SFH_SWITCH_STEPS 12

struct sfh_switch_step {
	const char *name; /* a literal */
	uint64_t at_ns;	  /* CLOCK_MONOTONIC */
};

struct sfh_switch {
	uint64_t wall_ms; /* CLOCK_REALTIME when it began */
	char domain[SFH_UUID_STRLEN];
	char domain_name[SFH_NAME_MAX];
	char network[SFH_NAME_MAX];
	struct sfh_mac mac;
	bool to_vf;
	char cause[24]; /* start, request, migration, network-down, … */
	char vf_bdf[SFH_BDF_STRLEN];
	bool ok;
	char error[256]; /* why not, if !ok */
	uint64_t begin_ns, end_ns;
	struct sfh_switch_step steps[SFH_SWITCH_STEPS];
	unsigned nsteps;
};

/* "name=ms name=ms …": offsets from the switch's begin, in ms. Returns `buf`. */
#define SFH_SWITCH_STEPS_TEXT 512
const char *sfh_switch_steps(const struct sfh_switch *sw, char buf[SFH_SWITCH_STEPS_TEXT]);

struct sfh_history;

/* Returns 1 if what was there was damaged: it is PATH.damaged now, and a new one begun. */
int sfh_history_open(const char *path, bool writable, struct sfh_history **ret,
		     struct sfh_error *err);
void sfh_history_close(struct sfh_history **history);
/* ret_id may be NULL. */
int sfh_history_add(struct sfh_history *h, const struct sfh_switch *sw, int64_t *ret_id,
		    struct sfh_error *err);
/* What the datapath's meter saw of that switch, as JSON; it is known some time after
 * the switch. An id that is not there is success. */
int sfh_history_meter(struct sfh_history *h, int64_t id, const char *json, struct sfh_error *err);

/* A row as read back: `steps` as sfh_switch_steps() writes them. */
struct sfh_history_row {
	int64_t id;
	uint64_t wall_ms;
	char domain[SFH_UUID_STRLEN];
	char domain_name[SFH_NAME_MAX];
	char network[SFH_NAME_MAX];
	struct sfh_mac mac;
	bool to_vf;
	char cause[24];
	char vf_bdf[SFH_BDF_STRLEN];
	bool ok;
	char error[256];
	double total_ms;
	char steps[512];
	const char *meter; /* JSON, "" if there is none; valid during the callback */
};
/* The newest `limit` rows (0: all), oldest of them first; of one domain (name
 * or UUID) if `domain` is not NULL. */
int sfh_history_rows(struct sfh_history *h, const char *domain, unsigned limit,
		     int (*cb)(void *ctx, const struct sfh_history_row *row), void *ctx);

#endif
