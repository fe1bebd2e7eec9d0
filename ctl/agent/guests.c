// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest verbs: accelerate, standby, migrate; and what the engine reports. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

/* --- the domain behind a name ------------------------------------------------------------ */

/* The agent's pairs know names and UUIDs: no question to libvirt is needed. */
static bool find_domain(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "domain");

	if (!name)
		return false;
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain_name, name) == 0 || strcmp(p->domain, name) == 0) {
			(void)sfh_strcpy(req->domain, sizeof(req->domain), p->domain);
			return true;
		}
	if (!a->resumed || a->resuming) {
		sfh_reply_error(req,
				"the agent has just started and does not know '%s' yet: it is asking "
				"libvirtd which guests run, or brings networks back; try again in a moment",
				name);
		return false;
	}
	sfh_reply_error(req,
			"no running domain '%s' has a NIC on a hybrid network that is up; 'sfhybrid-ctl "
			"status' lists those that have",
			name);
	return false;
}

/* --- waiting for pairs to come to rest ------------------------------------------------------ */

static json_t *pairs_json(const struct sfh_agent *a, const char *uuid)
{
	json_t *list = json_array();
	char mac[SFH_MAC_STRLEN];

	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0)
			(void)json_array_append_new(
				list,
				json_pack("{s:s, s:s, s:s}", "mac", sfh_mac_format(&p->mac, mac),
					  "state", sfh_pair_state_name(p->state), "reason",
					  sfh_reason_name(p->reason)));
	return list;
}

static bool undecided(const struct sfh_pair *p)
{
	if (!sfh_pair_at_rest(p))
		return true;
	/* A guest that has just begun to talk gets a moment to show its address. */
	return p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_SILENT && p->retry_ns &&
	       !p->wants_address;
}

static void answer_if_settled(struct sfh_agent *a, struct sfh_request *req)
{
	const struct sfh_pair *bad = NULL;
	bool any = false;

	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next) {
		if (strcmp(p->domain, req->domain) != 0)
			continue;
		any = true;
		if (undecided(p))
			return;
		if (p->state != (req->want_vf ? SFH_PAIR_VF : SFH_PAIR_STANDBY))
			bad = p;
	}
	if (!any)
		sfh_reply_error(req, "the domain stopped");
	else if (!bad)
		sfh_reply_ok(req, json_pack("{s:o}", "pairs", pairs_json(a, req->domain)));
	else if (req->want_vf)
		sfh_reply_error(req, "not accelerated: %s (%s)%s%s", sfh_reason_name(bad->reason),
				sfh_reason_text(bad->reason), bad->detail[0] ? ": " : "",
				bad->detail);
	else
		sfh_reply_error(req, "still on the VF leg: %s", bad->detail);
}

static void on_settled(void *ctx, const char *uuid)
{
	struct sfh_agent *a = ctx;
	char domain[SFH_UUID_STRLEN]; /* uuid may live in what goes */

	(void)sfh_strcpy(domain, sizeof(domain), uuid);
	for (struct sfh_request *req = a->requests, *next; req; req = next) {
		next = req->next;
		if (req->waiting && strcmp(req->domain, domain) == 0)
			answer_if_settled(a, req);
	}
	sfh_down_look(a);
}

static void begin_wait(struct sfh_agent *a, struct sfh_request *req, bool want_vf)
{
	char domain[SFH_UUID_STRLEN];

	if (!find_domain(a, req))
		return;
	(void)sfh_strcpy(domain, sizeof(domain), req->domain);
	req->want_vf = want_vf;
	/* First the events, then the wait: `req` is only answered below or later. */
	sfh_engine_guest_event(&a->engine, domain, want_vf ? SFH_EV_ACCELERATE : SFH_EV_HOLD,
			       "request");
	req->waiting = true;
	answer_if_settled(a, req);
	sfh_agent_rearm(a);
}

void sfh_verb_accelerate(struct sfh_agent *a, struct sfh_request *req)
{
	begin_wait(a, req, true);
}

void sfh_verb_standby(struct sfh_agent *a, struct sfh_request *req)
{
	begin_wait(a, req, false);
}

/* --- migrate ------------------------------------------------------------------------------------ */

static struct sfh_request *migrate_request(const struct sfh_agent *a, const char *uuid)
{
	for (struct sfh_request *req = a->requests; req; req = req->next)
		if (strcmp(req->verb, "migrate") == 0 && strcmp(req->domain, uuid) == 0)
			return req;
	return NULL;
}

unsigned sfh_migrate_flags(const struct sfh_agent *a, const char *uuid)
{
	struct sfh_request *req = migrate_request(a, uuid);

	if (!req)
		return 0;
	req->performed_ns = sfh_now_ns();
	return req->flags;
}

/* libvirtd works on five calls of one client at a time and leaves everything else unread, the
 * answers that keep the connection alive among it (max_client_requests); a migration is one
 * call for as long as it takes. */
static unsigned migrations(const struct sfh_agent *a)
{
	unsigned n = 0;

	for (const struct sfh_request *req = a->requests; req; req = req->next)
		n += strcmp(req->verb, "migrate") == 0 && req->begun_ns;
	return n;
}

static bool is_queued(const struct sfh_request *req)
{
	return strcmp(req->verb, "migrate") == 0 && !req->begun_ns && req->domain[0];
}

static void begin_migrate(struct sfh_agent *a, struct sfh_request *req)
{
	bool force = json_is_true(json_object_get(req->args, "force"));
	const char *uri = sfh_request_string(req, "uri");
	char domain[SFH_UUID_STRLEN];
	struct sfh_error err = { 0 };

	memcpy(domain, req->domain, sizeof(domain));
	req->begun_ns = sfh_now_ns();
	req->begun_wall_ms = sfh_wall_ms();
	/* It may be over, and `req` with it, when this returns. */
	if (sfh_engine_migrate(&a->engine, domain, uri, &err) < 0)
		sfh_reply_error(req, "%s", err.text);
	else if (force)
		sfh_engine_migrate_force(&a->engine, domain);
}

/* Those that asked first. */
static void begin_queued(void *arg)
{
	struct sfh_agent *a = arg;

	while (migrations(a) < a->migrations_most) {
		struct sfh_request *first = NULL;

		for (struct sfh_request *req = a->requests; req; req = req->next)
			if (is_queued(req))
				first = req;
		if (!first)
			break;
		begin_migrate(a, first);
	}
	sfh_agent_rearm(a);
}

void sfh_verb_migrate_cancel(struct sfh_agent *a, struct sfh_request *req)
{
	struct sfh_request *other;
	struct sfh_error err = { 0 };

	if (!find_domain(a, req))
		return;
	other = migrate_request(a, req->domain);
	if (other && is_queued(other)) {
		sfh_reply_error(other, "cancelled; the guest stays");
		sfh_reply_ok(req, NULL);
		return;
	}
	if (sfh_engine_migrate_cancel(&a->engine, req->domain, &err) < 0)
		sfh_reply_error(req, "%s", err.text);
	else
		sfh_reply_ok(req, NULL);
	sfh_agent_rearm(a);
}

void sfh_verb_migrate(struct sfh_agent *a, struct sfh_request *req)
{
	const char *uri = sfh_request_string(req, "uri");
	unsigned under_way = migrations(a);

	if (!uri)
		return;
	if (!strstr(uri, "://")) {
		sfh_reply_error(req, "'%s' is not a libvirt URI such as qemu+ssh://host2/system", uri);
		return;
	}
	if (!find_domain(a, req))
		return;
	for (const struct sfh_request *r = a->requests; r; r = r->next)
		if (r != req && strcmp(r->verb, "migrate") == 0 &&
		    strcmp(r->domain, req->domain) == 0) {
			sfh_reply_error(req, "the domain is migrating already");
			return;
		}
	if (json_is_true(json_object_get(req->args, "persistent")))
		req->flags |= SFH_MIGRATE_PERSISTENT;
	if (json_is_true(json_object_get(req->args, "undefinesource")))
		req->flags |= SFH_MIGRATE_UNDEFINE_SOURCE;
	if (under_way >= a->migrations_most)
		sfh_reply_progress(req, "waits for one of the migrations under way to end");
	else
		begin_migrate(a, req);
	sfh_agent_rearm(a);
}

/* When each stage began and what it took, and what left the VF leg for it. */
static json_t *report(const struct sfh_request *req)
{
	double begin = (double)(req->performed_ns - req->begun_ns) / 1e6;
	double perform = (double)(sfh_now_ns() - req->performed_ns) / 1e6;

	return json_pack("{s:b, s:I, s:[{s:s, s:f, s:f}, {s:s, s:f, s:f}], s:O*}", "migrated", 1, "wall_ms",
			 (json_int_t)req->begun_wall_ms, "stages", "stage", "Begin", "at_ms", 0.0, "ms",
			 begin, "stage", "Prepare, Perform, Confirm", "at_ms", begin, "ms", perform,
			 "switches", req->switches);
}

static void note_switch(const struct sfh_agent *a, const struct sfh_switch *sw)
{
	struct sfh_request *req = migrate_request(a, sw->domain);
	char mac[SFH_MAC_STRLEN], steps[SFH_SWITCH_STEPS_TEXT];

	if (!req || is_queued(req))
		return;
	if (!req->switches)
		req->switches = json_array();
	(void)json_array_append_new(
		req->switches,
		json_pack("{s:s, s:s, s:b, s:f, s:f, s:s}", "mac", sfh_mac_format(&sw->mac, mac),
			  "direction", sw->to_vf ? "to-vf" : "to-standby", "ok", sw->ok, "at_ms",
			  (double)(int64_t)(sw->begin_ns - req->begun_ns) / 1e6, "ms",
			  (double)(sw->end_ns - sw->begin_ns) / 1e6, "steps", sfh_switch_steps(sw, steps)));
}

static void on_migrated(void *ctx, const char *uuid, int result, const char *error)
{
	struct sfh_agent *a = ctx;
	struct sfh_request *req = migrate_request(a, uuid);

	sfh_worker_post(a->worker, begin_queued, a); /* pairs are being moved here */
	sfh_agent_log(result < 0 ? LOG_ERR : LOG_INFO, "migration of %s: %s", uuid,
		      result < 0 ? error : "done");
	if (!req)
		return;
	/* Before libvirt was asked: the guest has not answered the unplug. */
	if (result == -ETIMEDOUT && !req->performed_ns && !json_is_true(json_object_get(req->args, "force")))
		sfh_reply_error(req, "%s; --force resets a guest that keeps its VF", error);
	else if (result < 0)
		sfh_reply_error(req, "%s", error && *error ? error : "the migration failed");
	else
		sfh_reply_ok(req, report(req));
}

static void on_progress(void *ctx, const char *uuid, const char *text)
{
	struct sfh_agent *a = ctx;
	struct sfh_request *req = migrate_request(a, uuid);

	if (req)
		sfh_reply_progress(req, text);
}

/* --- history and log -------------------------------------------------------------------------------- */

static void on_switched(void *ctx, const struct sfh_switch *sw)
{
	struct sfh_agent *a = ctx;
	struct sfh_error err = { 0 };
	int64_t id = 0;

	sfh_agent_log(sw->ok ? LOG_INFO : LOG_WARNING, "%s: %s, cause %s, %.1f ms%s%s",
		      sw->domain_name, sw->to_vf ? "to-vf" : "to-standby", sw->cause,
		      (double)(sw->end_ns - sw->begin_ns) / 1e6, sw->ok ? "" : ", failed: ", sw->error);
	note_switch(a, sw);
	if (!a->history)
		return;
	if (sfh_history_add(a->history, sw, &id, &err) < 0)
		sfh_agent_log(LOG_WARNING, "history: %s", err.text);
	else if (sw->ok)
		sfh_agent_meter_later(a, id, sw);
}

static void on_log(void *ctx, int priority, const char *text)
{
	(void)ctx;
	sfh_agent_log(priority, "%s", text);
}

const struct sfh_engine_listener sfh_agent_listener = {
	.settled = on_settled,
	.progress = on_progress,
	.migrated = on_migrated,
	.switched = on_switched,
	.log = on_log,
};
