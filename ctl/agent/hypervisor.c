// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine's hypervisor operations as jobs, and libvirt's events as the
 * engine's. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "libvirt-glue/hostdevxml.h"

/* --- the connection ------------------------------------------------------------------------ */

struct sfh_virt *sfh_agent_virt_get(struct sfh_agent *a, struct sfh_error *err)
{
	(void)pthread_rwlock_rdlock(&a->virt_lock);
	if (a->virt && !__atomic_load_n(&a->virt_lost, __ATOMIC_ACQUIRE))
		return a->virt;
	(void)pthread_rwlock_unlock(&a->virt_lock);
	(void)sfh_err(err, -ENOTCONN, "libvirtd is not running (the agent has no connection to it)");
	return NULL;
}

void sfh_agent_virt_put(struct sfh_agent *a)
{
	(void)pthread_rwlock_unlock(&a->virt_lock);
}

enum sfh_hybrid sfh_agent_is_hybrid(void *ctx, const char *network, const char *portgroup)
{
	_cleanup_free_ char *xml = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	struct sfh_net_settings set;

	if (sfh_virt_network_xml(ctx, network, &xml, NULL, NULL) < 0 ||
	    sfh_netdef_from_libvirt(xml, strlen(xml), &def, NULL) < 0)
		return SFH_HYBRID_NO;
	sfh_netdef_settings(def, portgroup, &set);
	return set.bond ? SFH_HYBRID_BOND : SFH_HYBRID_FAILOVER;
}

/* --- plug, unplug, migrate ------------------------------------------------------------------- */

/* Why QEMU is asked whether STANDBY is negotiated. */
enum asked_why {
	ASKED_UNHEARD = 0, /* nobody heard it; a yes counts */
	ASKED_CLAIMED,	   /* QEMU's event said so; if it cannot be asked that counts */
	ASKED_DOUBTED,	   /* it is on its VF; a no says that it was reset while nobody looked */
};

struct guest_job {
	struct sfh_job job;
	struct sfh_agent *a;
	char uuid[SFH_UUID_STRLEN];
	struct sfh_mac mac;
	struct sfh_bdf vf; /* plug: what is plugged */
	bool again;	   /* plug: an earlier one had no answer */
	bool asked;	   /* plug: libvirt was, now or then */
	char text[512]; /* alias or URI */
	char *xml;
	unsigned flags;
	bool yes;
	enum asked_why why;
	int (*call)(struct sfh_virt *v, const char *uuid, struct sfh_error *err);
	int result;
	struct sfh_error err;
};

static struct guest_job *guest_job_new(struct sfh_agent *a, const char *uuid,
				       const struct sfh_mac *mac)
{
	struct guest_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->a = a;
	if (mac)
		j->mac = *mac;
	(void)sfh_strcpy(j->uuid, sizeof(j->uuid), uuid);
	return j;
}

static void guest_job_free(struct guest_job *j)
{
	free(j->xml);
	free(j);
}

static void run_plug(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);
	char vf[SFH_ALIAS_SIZE];

	if (!v) {
		j->result = j->err.code;
		return;
	}
	j->asked = true;
	sfh_alias_vf(&j->mac, vf);
	if (j->text[0])
		sfh_virt_decoy(v, j->uuid, vf, j->text);
	j->result = sfh_virt_plug(v, j->uuid, j->xml, vf, &j->vf, &j->err);
	sfh_agent_virt_put(j->a);
}

/* The connection broke first, or libvirt has the first one in hand still. */
static bool no_answer(const struct guest_job *j)
{
	return (j->asked && j->result == -ENOTCONN) || (j->again && j->result == -ETIMEDOUT);
}

static void done_plug(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;

	sfh_engine_pair_event(&j->a->engine, j->uuid, &j->mac,
			      no_answer(j)	   ? SFH_EV_PLUG_LOST
			      : j->result == -ENOSPC ? SFH_EV_NO_PORT
			      : j->result < 0	     ? SFH_EV_PLUG_FAILED
						     : SFH_EV_PLUGGED, j->err.text);
	sfh_agent_rearm(j->a);
	guest_job_free(j);
}

static int hv_plug(void *ctx, const struct sfh_pair *p)
{
	struct sfh_agent *a = ctx;
	struct guest_job *j = guest_job_new(a, p->domain, &p->mac);
	char vf[SFH_ALIAS_SIZE];
	int r;

	if (!j)
		return -ENOMEM;
	r = sfh_hostdev_xml(&p->lease.bdf, sfh_alias_vf(&p->mac, vf), p->bond ? NULL : p->alias,
			    &j->xml, &j->err);
	if (r < 0) {
		guest_job_free(j);
		return r;
	}
	j->vf = p->lease.bdf;
	j->again = j->asked = p->plug_lost;
	if (!p->bond) /* nothing is hidden from a guest that bonds by itself */
		(void)sfh_strcpy(j->text, sizeof(j->text), p->alias);
	j->job.run = run_plug;
	j->job.done = done_plug;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}

static void run_unplug(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v) {
		j->result = j->err.code;
		return;
	}
	j->result = sfh_virt_unplug(v, j->uuid, j->text, &j->err);
	sfh_agent_virt_put(j->a);
}

static void done_unplug(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;

	/* Success is not the end: the guest's own release is, and it is an event. */
	if (j->result == -ENODEV)
		sfh_engine_pair_event(&j->a->engine, j->uuid, &j->mac, SFH_EV_UNPLUGGED, NULL);
	else if (j->result < 0)
		sfh_engine_pair_event(&j->a->engine, j->uuid, &j->mac, SFH_EV_UNPLUG_FAILED,
				      j->err.text);
	sfh_agent_rearm(j->a);
	guest_job_free(j);
}

static int hv_unplug(void *ctx, const struct sfh_pair *p)
{
	struct sfh_agent *a = ctx;
	struct guest_job *j = guest_job_new(a, p->domain, &p->mac);

	if (!j)
		return -ENOMEM;
	sfh_alias_vf(&p->mac, j->text);
	j->job.run = run_unplug;
	j->job.done = done_unplug;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}

static void run_told(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	(void)j->call(v, j->uuid, &j->err);
	sfh_agent_virt_put(j->a);
}

/* What came of it, QEMU tells. */
static void done_told(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;

	if (j->err.code)
		sfh_agent_log(LOG_WARNING, "%s: %s", j->uuid, j->err.text);
	guest_job_free(j);
}

static int tell(struct sfh_agent *a, const char *uuid,
		int (*call)(struct sfh_virt *v, const char *uuid, struct sfh_error *err))
{
	struct guest_job *j = guest_job_new(a, uuid, NULL);

	if (!j)
		return -ENOMEM;
	j->call = call;
	j->job.run = run_told;
	j->job.done = done_told;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}

static int hv_abort(void *ctx, const char *uuid)
{
	return tell(ctx, uuid, sfh_virt_abort);
}

static int hv_reset(void *ctx, const char *uuid)
{
	return tell(ctx, uuid, sfh_virt_reset);
}

static void run_migrate(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v) {
		j->result = j->err.code;
		return;
	}
	j->result = sfh_virt_migrate(v, j->uuid, j->text, j->flags, &j->err);
	sfh_agent_virt_put(j->a);
}

static void done_migrate(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;

	sfh_engine_migrated(&j->a->engine, j->uuid, j->result, j->err.text);
	sfh_agent_rearm(j->a);
	guest_job_free(j);
}

static int hv_migrate(void *ctx, const char *uuid, const char *uri)
{
	struct sfh_agent *a = ctx;
	struct guest_job *j = guest_job_new(a, uuid, NULL);

	if (!j)
		return -ENOMEM;
	(void)sfh_strcpy(j->text, sizeof(j->text), uri);
	j->flags = sfh_migrate_flags(a, uuid);
	j->job.run = run_migrate;
	j->job.done = done_migrate;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}

static void run_negotiated(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	j->result = sfh_virt_negotiated(v, j->uuid, j->text, &j->yes, &j->err);
	sfh_agent_virt_put(j->a);
}

static void ask_negotiated(struct sfh_agent *a, const struct sfh_pair *p, enum asked_why why);

static void done_negotiated(struct sfh_job *job)
{
	struct guest_job *j = (struct guest_job *)job;
	struct sfh_engine *e = &j->a->engine;
	const struct sfh_pair *p = sfh_engine_pair(e, j->uuid, &j->mac);

	if (j->err.code)
		sfh_agent_log(LOG_NOTICE, "%s: %s", j->uuid, j->err.text);
	if (j->why == ASKED_DOUBTED) {
		if (!j->err.code && !j->yes && p && p->state == SFH_PAIR_VF) {
			sfh_agent_log(LOG_INFO, "%s was reset while nobody looked", p->domain_name);
			sfh_engine_pair_event(e, j->uuid, &j->mac, SFH_EV_RESET, NULL);
			/* It may have negotiated again since the question. */
			ask_negotiated(j->a, p, ASKED_UNHEARD);
		}
	} else if (j->yes || (j->err.code && j->why == ASKED_CLAIMED)) {
		sfh_engine_pair_event(e, j->uuid, &j->mac, SFH_EV_NEGOTIATED, NULL);
	}
	sfh_agent_rearm(j->a);
	guest_job_free(j);
}

static void ask_negotiated(struct sfh_agent *a, const struct sfh_pair *p, enum asked_why why)
{
	struct guest_job *j = guest_job_new(a, p->domain, &p->mac);

	if (!j)
		return;
	(void)sfh_strcpy(j->text, sizeof(j->text), p->alias);
	j->why = why;
	j->job.run = run_negotiated;
	j->job.done = done_negotiated;
	sfh_worker_submit(a->worker, &j->job);
}

static void hv_ask_negotiated(void *ctx, const struct sfh_pair *p, bool claimed)
{
	ask_negotiated(ctx, p, claimed ? ASKED_CLAIMED : ASKED_UNHEARD);
}

void sfh_agent_ask_negotiated(struct sfh_agent *a)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next) {
		if (!p->adopted || p->bond)
			continue;
		if (p->state == SFH_PAIR_VF)
			ask_negotiated(a, p, ASKED_DOUBTED);
		else if (!p->negotiated && (p->state == SFH_PAIR_STANDBY || sfh_pair_boots(p)))
			ask_negotiated(a, p, ASKED_UNHEARD);
	}
}

const struct sfh_hypervisor_ops sfh_agent_hypervisor_ops = {
	.plug = hv_plug,
	.unplug = hv_unplug,
	.migrate = hv_migrate,
	.ask_negotiated = hv_ask_negotiated,
	.ask_rx_filter = sfh_rxfilter_ask,
	.abort = hv_abort,
	.reset = hv_reset,
	.replug = sfh_yield_replug,
};

/* --- looking at one domain, then going on ------------------------------------------------------- */

struct look_job {
	struct sfh_job job;
	struct sfh_agent *a;
	struct sfh_virt_event ev;
	char *xml;
	struct sfh_error err;
};

static void run_look(struct sfh_job *job)
{
	struct look_job *j = (struct look_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	(void)sfh_virt_domain_xml(v, j->ev.uuid, &j->xml, &j->err);
	sfh_agent_virt_put(j->a);
}

static const struct sfh_pair *pair_by_alias(const struct sfh_agent *a, const char *uuid,
					    const char *alias)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0 && strcmp(p->alias, alias) == 0)
			return p;
	return NULL;
}

static void adopt(struct sfh_agent *a, const struct sfh_virt_event *ev);

static void negotiated(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	const struct sfh_pair *p = pair_by_alias(a, ev->uuid, ev->device);

	if (p)
		sfh_engine_negotiated(&a->engine, ev->uuid, &p->mac);
}

static void done_look(struct sfh_job *job)
{
	struct look_job *j = (struct look_job *)job;
	struct sfh_agent *a = j->a;
	struct sfh_described d = { .nics = NULL };

	if (j->xml)
		sfh_hostdevs_note(a, j->xml, strlen(j->xml));
	if (!j->xml || sfh_describe(a, j->xml, strlen(j->xml), &d, &j->err) < 0) {
		sfh_agent_log(LOG_NOTICE, "cannot look at '%s': %s", j->ev.name, j->err.text);
	} else if (j->ev.kind == SFH_VIRT_INCOMING || j->ev.kind == SFH_VIRT_ARRIVED) {
		sfh_engine_guest_devices(&a->engine, &d.guest);
		if (j->ev.kind == SFH_VIRT_ARRIVED)
			sfh_engine_guest_event(&a->engine, j->ev.uuid, SFH_EV_RESUMED, NULL);
	} else {
		sfh_engine_guest_running(&a->engine, &d.guest, false);
		/* Whatever put the NIC there, by the next start it is adopted. */
		for (size_t i = 0; i < d.guest.nnics; i++)
			if (!d.guest.nics[i].adopted) {
				adopt(a, &j->ev);
				break;
			}
		if (j->ev.kind == SFH_VIRT_NEGOTIATED)
			negotiated(a, &j->ev);
	}
	sfh_described_done(&d);
	sfh_agent_rearm(a);
	free(j->xml);
	free(j);
}

static void look(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	struct look_job *j = calloc(1, sizeof(*j));

	if (!j)
		return;
	j->a = a;
	j->ev = *ev;
	j->job.run = run_look;
	j->job.done = done_look;
	sfh_worker_submit(a->worker, &j->job);
}

/* --- adoption ---------------------------------------------------------------------------------------- */

struct adopt_job {
	struct sfh_job job;
	struct sfh_agent *a;
	struct sfh_virt_event ev;
	struct sfh_adoption what;
	struct sfh_error err;
};

static void run_adopt(struct sfh_job *job)
{
	struct adopt_job *j = (struct adopt_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	(void)sfh_virt_adopt(v, j->ev.uuid, sfh_agent_is_hybrid, v, &j->what, &j->err);
	sfh_agent_virt_put(j->a);
}

static void done_adopt(struct sfh_job *job)
{
	struct adopt_job *j = (struct adopt_job *)job;

	if (j->err.code)
		sfh_agent_log(LOG_WARNING, "'%s' is not adopted: %s", j->ev.name, j->err.text);
	else if (j->what.skipped)
		sfh_agent_log(LOG_NOTICE, "'%s' is not adopted: %s", j->ev.name,
			      sfh_reason_text(j->what.skipped));
	else if (j->what.adopted)
		sfh_agent_log(LOG_INFO, "adopted %u NIC(s) of '%s', %u PCIe root port(s) added",
			      j->what.adopted, j->ev.name, j->what.ports_added);
	free(j);
}

static void adopt(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	struct adopt_job *j = calloc(1, sizeof(*j));

	if (!j)
		return;
	j->a = a;
	j->ev = *ev;
	j->job.run = run_adopt;
	j->job.done = done_adopt;
	sfh_worker_submit(a->worker, &j->job);
}

/* --- events ---------------------------------------------------------------------------------------------- */

struct sfh_queued_event {
	struct sfh_queued_event *next;
	struct sfh_virt_event ev;
};

void sfh_agent_queue_event(void *ctx, const struct sfh_virt_event *ev)
{
	struct sfh_agent *a = ctx;
	struct sfh_queued_event *q = calloc(1, sizeof(*q));
	uint64_t one = 1;

	if (!q)
		return;
	q->ev = *ev;
	(void)pthread_mutex_lock(&a->event_lock);
	*a->events_tail = q;
	a->events_tail = &q->next;
	(void)pthread_mutex_unlock(&a->event_lock);
	(void)!write(a->event_fd, &one, sizeof(one));
}

static void vf_event(struct sfh_agent *a, const struct sfh_virt_event *ev,
		     enum sfh_pair_event event, const char *why)
{
	struct sfh_mac mac;

	if (sfh_alias_parse(ev->device, &mac) == SFH_ALIAS_VF)
		sfh_engine_pair_event(&a->engine, ev->uuid, &mac, event, why);
}

/* A guest's own NIC was unplugged. */
static void standby_removed(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	const struct sfh_pair *p = pair_by_alias(a, ev->uuid, ev->device);

	if (p)
		sfh_engine_pair_event(&a->engine, ev->uuid, &p->mac, SFH_EV_NIC_REMOVED, NULL);
}

static void rx_filter_changed(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	const struct sfh_pair *p = pair_by_alias(a, ev->uuid, ev->device);

	if (p)
		sfh_engine_rx_changed(&a->engine, ev->uuid, &p->mac);
}

static bool expected(const struct sfh_agent *a, const char *uuid)
{
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0 && p->state == SFH_PAIR_ARRIVING)
			return true;
	return false;
}

static bool devices_known(const struct sfh_agent *a, const char *uuid)
{
	bool any = false;

	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0) {
			if (!p->standby_ifindex)
				return false;
			any = true;
		}
	return any;
}

static void handle(struct sfh_agent *a, const struct sfh_virt_event *ev)
{
	switch (ev->kind) {
	case SFH_VIRT_DEFINED:
		adopt(a, ev);
		break;
	case SFH_VIRT_STARTED:
	case SFH_VIRT_INCOMING:
		look(a, ev);
		break;
	case SFH_VIRT_ARRIVED:
		if (devices_known(a, ev->uuid))
			sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_RESUMED, NULL);
		else
			look(a, ev);
		break;
	case SFH_VIRT_RESUMED:
		/* Its definition alone came (--offline), and it is started now. */
		if (expected(a, ev->uuid) && !devices_known(a, ev->uuid))
			look(a, ev);
		else
			sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_RESUMED, NULL);
		break;
	case SFH_VIRT_STOPPED:
		sfh_hostdevs_forget(a, ev->uuid);
		sfh_yield_forget(a, ev->uuid);
		sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_STOPPED, NULL);
		break;
	case SFH_VIRT_NEGOTIATED:
		if (pair_by_alias(a, ev->uuid, ev->device))
			negotiated(a, ev);
		else
			look(a, ev);
		break;
	case SFH_VIRT_RESET:
		sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_RESET, NULL);
		break;
	case SFH_VIRT_DEVICE_ADDED:
		look(a, ev); /* a NIC, perhaps */
		break;
	case SFH_VIRT_DEVICE_REMOVED:
		vf_event(a, ev, SFH_EV_UNPLUGGED, NULL);
		standby_removed(a, ev);
		break;
	case SFH_VIRT_DEVICE_KEPT:
		vf_event(a, ev, SFH_EV_UNPLUG_FAILED, "the guest refused to let go of the VF");
		break;
	case SFH_VIRT_VF_ASKED:
		vf_event(a, ev, SFH_EV_YIELD, NULL);
		sfh_yield_asked(a, ev->uuid);
		break;
	case SFH_VIRT_DEPARTING:
		sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_DEPART, NULL);
		break;
	case SFH_VIRT_VF_YIELDED:
		sfh_yield_over(a, ev->uuid);
		sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_YIELDED, NULL);
		break;
	case SFH_VIRT_STAYS:
		sfh_yield_forget(a, ev->uuid); /* libvirt lets it run itself */
		sfh_engine_guest_event(&a->engine, ev->uuid, SFH_EV_STAYS, NULL);
		break;
	case SFH_VIRT_RX_FILTER:
		rx_filter_changed(a, ev);
		break;
	case SFH_VIRT_NETWORK_STARTED:
		sfh_netwatch_started(a, ev->name);
		break;
	case SFH_VIRT_NETWORK_STOPPED:
		sfh_netwatch_stopped(a, ev->name);
		break;
	case SFH_VIRT_CLOSED:
		sfh_agent_log(LOG_WARNING, "libvirtd is gone; guests run on, reconnecting");
		__atomic_store_n(&a->virt_lost, true, __ATOMIC_RELEASE);
		sfh_agent_reconnect(a);
		break;
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_agent *a = userdata;
	struct sfh_queued_event *list;
	uint64_t count;

	(void)source;
	(void)revents;
	(void)!read(fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&a->event_lock);
	list = a->events;
	a->events = NULL;
	a->events_tail = &a->events;
	(void)pthread_mutex_unlock(&a->event_lock);
	while (list) {
		struct sfh_queued_event *q = list;

		list = q->next;
		handle(a, &q->ev);
		free(q);
	}
	sfh_agent_rearm(a);
	return 0;
}

int sfh_agent_events_init(struct sfh_agent *a)
{
	a->events_tail = &a->events;
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return a->event_fd < 0
		       ? -errno
		       : sd_event_add_io(a->loop, NULL, a->event_fd, EPOLLIN, on_events, a);
}
