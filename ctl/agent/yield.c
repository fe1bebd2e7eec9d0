// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that libvirt saves, dumps or snapshots stands still while QEMU waits, without
 * a deadline, for it to let go of the VF: it is let run for that, and only for that.
 * After a snapshot it goes on here, and QEMU is brought to plug the VF in again. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

enum what { LET_RUN, STAND_STILL, REPLUG, ASK };

struct yield_job {
	struct sfh_job job;
	struct sfh_agent *a;
	char uuid[SFH_UUID_STRLEN];
	enum what what;
	bool paused_by_user, let_run, leaving;
	struct sfh_error err;
};

/* Domains that run although libvirt stopped them. */
struct sfh_let_run {
	struct sfh_let_run *next;
	char uuid[SFH_UUID_STRLEN];
};

static bool forget(struct sfh_agent *a, const char *uuid)
{
	for (struct sfh_let_run **at = &a->let_run; *at; at = &(*at)->next)
		if (strcmp((*at)->uuid, uuid) == 0) {
			struct sfh_let_run *dead = *at;

			*at = dead->next;
			free(dead);
			return true;
		}
	return false;
}

static void note(struct sfh_agent *a, const char *uuid)
{
	struct sfh_let_run *l;

	(void)forget(a, uuid);
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	(void)sfh_strcpy(l->uuid, sizeof(l->uuid), uuid);
	l->next = a->let_run;
	a->let_run = l;
}

static void run(struct sfh_job *job)
{
	struct yield_job *j = (struct yield_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	if (j->what == LET_RUN)
		(void)sfh_virt_let_run(v, j->uuid, &j->let_run, &j->paused_by_user, &j->err);
	else if (j->what == STAND_STILL)
		(void)sfh_virt_stand_still(v, j->uuid, &j->err);
	else if (j->what == ASK)
		(void)sfh_virt_is_leaving(v, j->uuid, &j->leaving, &j->err);
	else
		(void)sfh_virt_replug(v, j->uuid, &j->err);
	sfh_agent_virt_put(j->a);
}

static const char *name_of(const struct sfh_agent *a, const char *uuid)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0)
			return p->domain_name;
	return uuid;
}

static void done(struct sfh_job *job)
{
	struct yield_job *j = (struct yield_job *)job;

	if (j->err.code)
		sfh_agent_log(LOG_WARNING, "%s: %s", name_of(j->a, j->uuid), j->err.text);
	if (j->let_run)
		note(j->a, j->uuid);
	if (j->what == REPLUG && j->err.code) { /* then its VF has to prove itself, or goes */
		sfh_engine_guest_event(&j->a->engine, j->uuid, SFH_EV_STAYS, j->err.text);
		sfh_agent_rearm(j->a);
	}
	if (j->leaving) { /* what the last agent heard */
		sfh_engine_guest_event(&j->a->engine, j->uuid, SFH_EV_DEPART, NULL);
		sfh_engine_guest_event(&j->a->engine, j->uuid, SFH_EV_YIELD, NULL);
		sfh_engine_guest_event(&j->a->engine, j->uuid, SFH_EV_YIELDED, NULL);
		sfh_agent_rearm(j->a);
	}
	if (j->paused_by_user) {
		sfh_agent_log(LOG_WARNING,
			      "%s is paused and cannot let go of its VF: resume it first ('virsh resume')",
			      name_of(j->a, j->uuid));
		(void)j->a->engine.hv->abort(j->a, j->uuid);
	}
	free(j);
}

static int submit(struct sfh_agent *a, const char *uuid, enum what what)
{
	struct yield_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->a = a;
	j->what = what;
	(void)sfh_strcpy(j->uuid, sizeof(j->uuid), uuid);
	j->job.run = run;
	j->job.done = done;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}

void sfh_yield_asked(struct sfh_agent *a, const char *uuid)
{
	(void)submit(a, uuid, LET_RUN);
}

void sfh_yield_look(struct sfh_agent *a)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		(void)submit(a, p->domain, ASK);
}

void sfh_yield_over(struct sfh_agent *a, const char *uuid)
{
	if (forget(a, uuid))
		(void)submit(a, uuid, STAND_STILL);
}

void sfh_yield_forget(struct sfh_agent *a, const char *uuid)
{
	(void)forget(a, uuid);
}

int sfh_yield_replug(void *ctx, const char *uuid)
{
	return submit(ctx, uuid, REPLUG);
}
