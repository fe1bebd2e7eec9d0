// SPDX-License-Identifier: GPL-2.0-or-later
/* Connecting to libvirtd, at start and again after it went; and taking over what
 * runs. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

#define RECONNECT_US (1000 * 1000)

struct connect_job {
	struct sfh_job job;
	struct sfh_agent *a;
	struct sfh_virt *virt;
	char **xmls;
	size_t n;
	bool all; /* that run here are among them */
	json_t *autostart; /* names of hybrid networks */
	struct sfh_error err;
};

static int collect_autostart(void *ctx, const char *name, const char *xml, bool active)
{
	struct connect_job *j = ctx;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;

	(void)active;
	if (sfh_netdef_from_libvirt(xml, strlen(xml), &def, NULL) == 0 &&
	    sfh_virt_network_autostart(j->virt, name))
		(void)json_array_append_new(j->autostart, json_string(name));
	return 0;
}

static int collect_xml(void *ctx, const char *xml)
{
	struct connect_job *j = ctx;
	char **more = realloc(j->xmls, (j->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->xmls = more;
	more[j->n] = strdup(xml);
	return more[j->n] ? (j->n++, 0) : -ENOMEM;
}

static void note_adoption(void *ctx, const char *text)
{
	(void)ctx;
	sfh_agent_log(LOG_WARNING, "not adopted: %s", text);
}

static void run_connect(struct sfh_job *job)
{
	struct connect_job *j = (struct connect_job *)job;
	struct sfh_virt *old;

	if (sfh_virt_open(j->a->libvirt_uri, sfh_agent_queue_event, j->a, &j->virt, &j->err) < 0)
		return;
	j->all = sfh_virt_running(j->virt, collect_xml, j, &j->err) == 0;
	if (!j->all)
		sfh_agent_log(LOG_WARNING, "not every guest that runs is known: %s", j->err.text);
	(void)sfh_virt_adopt_all(j->virt, sfh_agent_is_hybrid, j->virt, note_adoption, NULL);
	(void)sfh_virt_networks(j->virt, collect_autostart, j, NULL);
	(void)pthread_rwlock_wrlock(&j->a->virt_lock);
	old = j->a->virt;
	j->a->virt = j->virt;
	__atomic_store_n(&j->a->virt_lost, false, __ATOMIC_RELEASE);
	(void)pthread_rwlock_unlock(&j->a->virt_lock);
	sfh_virt_close(&old);
}

static void job_free(struct connect_job *j)
{
	for (size_t i = 0; i < j->n; i++)
		free(j->xmls[i]);
	free(j->xmls);
	json_decref(j->autostart);
	free(j);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct sfh_agent *a = userdata;

	(void)usec;
	(void)sd_event_source_unref(source);
	a->reconnecting = false;
	sfh_agent_connect(a);
	return 0;
}

static void retry_later(struct sfh_agent *a)
{
	if (sd_event_add_time_relative(a->loop, &(sd_event_source *){ NULL }, CLOCK_MONOTONIC,
				       RECONNECT_US, 0, on_retry, a) < 0)
		sfh_agent_log(LOG_ERR, "no timer to reconnect with");
}

/* It was made, and libvirtd went again before the loop heard of it. */
static bool is_dead(const struct sfh_agent *a, const struct connect_job *j)
{
	return a->lost_again || !sfh_virt_is_alive(j->virt);
}

/* After those that run here were reported: the others do not. */
static void drop_gone(struct sfh_agent *a)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (p->doubted) {
			sfh_hostdevs_forget(a, p->domain);
			sfh_yield_forget(a, p->domain);
		}
	(void)sfh_engine_doubted_gone(&a->engine);
}

/* What failed for want of libvirtd. */
static void try_again(struct sfh_agent *a)
{
	for (struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_PLUG_FAILED)
			sfh_pair_dispatch(&a->engine, p, SFH_EV_CONSIDER, NULL);
}

static void done_connect(struct sfh_job *job)
{
	struct connect_job *j = (struct connect_job *)job;
	struct sfh_agent *a = j->a;
	unsigned swept;

	if (!j->virt || is_dead(a, j)) {
		if (j->virt) /* the next connection takes its place, and closes it */
			__atomic_store_n(&a->virt_lost, true, __ATOMIC_RELEASE);
		retry_later(a);
		job_free(j);
		return;
	}
	a->reconnecting = false;
	if (!a->resumed) { /* each network takes its own guests in */
		a->resumed = true;
		sfh_networks_resume(a, j->autostart);
	} else {
		(void)sfh_networks_retry(a);
	}
	for (size_t i = 0; i < j->n; i++) {
		struct sfh_described d = { .nics = NULL };

		sfh_hostdevs_note(a, j->xmls[i], strlen(j->xmls[i]));
		if (sfh_describe(a, j->xmls[i], strlen(j->xmls[i]), &d, &j->err) == 0)
			sfh_engine_guest_running(&a->engine, &d.guest, true);
		sfh_described_done(&d);
	}
	if (j->all) /* else those that are missing are in doubt until the next connection */
		drop_gone(a);
	try_again(a);
	sfh_agent_ask_negotiated(a);
	sfh_engine_rx_lost(&a->engine);
	sfh_yield_look(a);
	/* One that is not known to run may all the same use what would be given back. */
	swept = j->all && !a->resuming ? sfh_agent_sweep(a) : 0;
	if (!a->resuming)
		sfh_repair_goes_on(a);
	sfh_agent_log(LOG_INFO, "connected to libvirtd; %zu guest(s) run, %u stale lease(s) given back",
		      j->n, swept);
	sfh_agent_rearm(a);
	job_free(j);
}

void sfh_agent_reconnect(struct sfh_agent *a)
{
	sfh_engine_doubt(&a->engine);
	/* Whose end it was nobody says: perhaps of the connection that is being made. At worst
	 * one more is made than was needed. */
	a->lost_again = a->reconnecting;
	sfh_agent_connect(a);
}

void sfh_agent_connect(struct sfh_agent *a)
{
	struct connect_job *j;

	if (a->reconnecting)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	a->reconnecting = true;
	a->lost_again = false;
	j->a = a;
	j->autostart = json_array();
	j->job.run = run_connect;
	j->job.done = done_connect;
	sfh_worker_submit(a->worker, &j->job);
}
