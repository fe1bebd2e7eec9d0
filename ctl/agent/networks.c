// SPDX-License-Identifier: GPL-2.0-or-later
/* The network verbs: define, undefine, up, down. Each is a job, one at a time. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/pfsetup.h"
#include "ctl/core/sysfs.h"

const struct sfh_agent_network *sfh_agent_network(const struct sfh_agent *a, const char *name)
{
	for (const struct sfh_agent_network *n = a->networks; n; n = n->next)
		if (strcmp(n->def->name, name) == 0)
			return n;
	return NULL;
}

/* Takes the network off the lists; its definition is the caller's. */
static struct sfh_netdef *network_take(struct sfh_agent *a, const char *name)
{
	sfh_engine_network_remove(&a->engine, name);
	for (struct sfh_agent_network **at = &a->networks; *at; at = &(*at)->next)
		if (strcmp((*at)->def->name, name) == 0) {
			struct sfh_agent_network *dead = *at;
			struct sfh_netdef *def = dead->def;

			*at = dead->next;
			free(dead);
			return def;
		}
	return NULL;
}

static void network_drop(struct sfh_agent *a, const char *name)
{
	struct sfh_netdef *def = network_take(a, name);

	sfh_netdef_freep(&def);
}

/* --- the job ------------------------------------------------------------------------------ */

struct network_job {
	struct sfh_job job;
	struct sfh_agent *a;
	struct sfh_request *req;
	char name[SFH_NAME_MAX];
	char *xml; /* define: what to tell libvirt */
	struct sfh_netdef *def;
	int pf_ifindex[SFH_NET_PFS_MAX];
	bool keep_path;
	bool half; /* the last agent ended in the middle of it */
	bool changed;
	char **guests; /* live XML of what runs */
	size_t nguests;
	int result;
	struct sfh_error err;
};

static struct network_job *job_new(struct sfh_agent *a, struct sfh_request *req, const char *name,
				   void (*run)(struct sfh_job *), void (*done)(struct sfh_job *))
{
	struct network_job *j = calloc(1, sizeof(*j));

	if (!j) {
		if (req)
			sfh_reply_error(req, "out of memory");
		return NULL;
	}
	j->a = a;
	j->req = req;
	(void)sfh_strcpy(j->name, sizeof(j->name), name);
	j->job.run = run;
	j->job.done = done;
	return j;
}

static void job_free(struct network_job *j)
{
	for (size_t i = 0; i < j->nguests; i++)
		free(j->guests[i]);
	free(j->guests);
	free(j->xml);
	sfh_netdef_freep(&j->def);
	free(j);
}

/* Progress comes from a worker; the request lives on the loop. */
struct progress_post {
	struct sfh_request *req;
	char text[192];
};

static void deliver_progress(void *arg)
{
	struct progress_post *p = arg;

	sfh_reply_progress(p->req, p->text);
	free(p);
}

static void job_progress(void *ctx, const char *text)
{
	struct network_job *j = ctx;
	struct progress_post *p;

	if (!j->req || !(p = calloc(1, sizeof(*p))))
		return;
	p->req = j->req;
	(void)sfh_strcpy(p->text, sizeof(p->text), text);
	sfh_worker_post(j->a->worker, deliver_progress, p);
}

static int load_def(struct network_job *j, struct sfh_virt *v)
{
	_cleanup_free_ char *xml = NULL;
	int r = sfh_virt_network_xml(v, j->name, &xml, NULL, &j->err);

	return r < 0 ? r : sfh_netdef_from_libvirt(xml, strlen(xml), &j->def, &j->err);
}

static void finish(struct network_job *j, const char *key)
{
	if (!j->req)
		;
	else if (j->result < 0)
		sfh_reply_error(j->req, "%s", j->err.text);
	else
		sfh_reply_ok(j->req, json_pack("{s:s, s:b}", "network", j->name, key, j->changed));
	job_free(j);
}

/* --- define, undefine ------------------------------------------------------------------------ */

static void note_adoption(void *ctx, const char *text)
{
	(void)ctx;
	sfh_agent_log(LOG_WARNING, "not adopted: %s", text);
}

static void run_define(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);
	_cleanup_free_ char *old = NULL;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *old_def = NULL;

	j->result = j->err.code;
	if (!v)
		return;
	/* A network that is somebody else's must not turn into ours by its name. */
	if (sfh_virt_network_xml(v, j->name, &old, NULL, NULL) == 0 &&
	    sfh_netdef_from_libvirt(old, strlen(old), &old_def, NULL) < 0)
		j->result = sfh_err(&j->err, -EEXIST,
				    "there is a libvirt network '%s' that is not a hybrid network; "
				    "choose another name or undefine it first",
				    j->name);
	else
		j->result = sfh_virt_network_define(v, j->xml, &j->err);
	if (j->result == 0)
		(void)sfh_virt_adopt_all(v, sfh_agent_is_hybrid, v, note_adoption, NULL);
	j->changed = j->result == 0;
	sfh_agent_virt_put(j->a);
}

static void done_define(struct sfh_job *job)
{
	finish((struct network_job *)job, "defined");
}

void sfh_verb_define(struct sfh_agent *a, struct sfh_request *req)
{
	const char *xml = sfh_request_string(req, "xml");
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	_cleanup_free_ char *libvirt_xml = NULL;
	struct sfh_error err = { 0 };
	struct network_job *j;

	if (!xml)
		return;
	if (sfh_netdef_parse(xml, strlen(xml), &def, &err) < 0 ||
	    sfh_netdef_to_libvirt(xml, strlen(xml), &libvirt_xml, &err) < 0) {
		sfh_reply_error(req, "%s", err.text);
		return;
	}
	if (sfh_agent_network(a, def->name)) {
		sfh_reply_error(req, "'%s' is up: take it down before you change it", def->name);
		return;
	}
	j = job_new(a, req, def->name, run_define, done_define);
	if (!j)
		return;
	j->xml = TAKE_PTR(libvirt_xml);
	sfh_worker_submit(a->worker, &j->job);
}

static void run_undefine(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	j->result = load_def(j, v);
	if (j->result == 0)
		j->result = sfh_virt_network_undefine(v, j->name, &j->err);
	j->changed = j->result == 0;
	sfh_agent_virt_put(j->a);
}

static void done_undefine(struct sfh_job *job)
{
	finish((struct network_job *)job, "undefined");
}

void sfh_verb_undefine(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	struct network_job *j;

	if (!name)
		return;
	if (sfh_agent_network(a, name)) {
		sfh_reply_error(req, "'%s' is up: take it down first", name);
		return;
	}
	j = job_new(a, req, name, run_undefine, done_undefine);
	if (j)
		sfh_worker_submit(a->worker, &j->job);
}

/* --- up ------------------------------------------------------------------------------------------ */

static struct sfh_pfsetup pfsetup(struct network_job *j, struct sfh_nl *nl, size_t pf)
{
	struct sfh_pfsetup s = {
		.env = &j->a->env,
		.nl = nl,
		.steer = j->a->steer,
		.steer_lock = &j->a->steer_lock,
		.ledger = j->a->ledger,
		.network = j->name,
		.bridge = j->def->bridge,
		.vfs = sfh_netdef_pf_vfs(j->def, pf),
		.excluded = j->def->excluded,
		.nexcluded = j->def->nexcluded,
		.keep_path = j->keep_path,
		.progress = job_progress,
		.progress_ctx = j,
	};

	return s;
}

static int collect_guest(void *ctx, const char *xml)
{
	struct network_job *j = ctx;
	char **more = realloc(j->guests, (j->nguests + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->guests = more;
	more[j->nguests] = strdup(xml);
	return more[j->nguests] ? (j->nguests++, 0) : -ENOMEM;
}

static int network_row(struct network_job *j, bool complete)
{
	struct sfh_ledger_network row = { .complete = complete };

	(void)sfh_strcpy(row.name, sizeof(row.name), j->name);
	(void)sfh_strcpy(row.mode, sizeof(row.mode), sfh_standby_mode_name(j->def->mode));
	(void)sfh_strcpy(row.policy, sizeof(row.policy), sfh_net_policy_name(j->def->policy));
	(void)sfh_strcpy(row.bridge, sizeof(row.bridge), j->def->bridge);
	return sfh_ledger_network_put(j->a->ledger, &row, &j->err);
}

static void pfs_down(struct network_job *j, struct sfh_nl *nl, size_t n)
{
	while (n-- > 0) {
		struct sfh_pfsetup s = pfsetup(j, nl, n);

		(void)sfh_pf_down(&s, j->def->pfs[n].dev, NULL);
	}
}

static int pfs_check(struct network_job *j)
{
	for (size_t i = 0; i < j->def->npfs; i++) {
		struct sfh_pf *pf = NULL;
		int r = sfh_pf_read(&j->a->env, j->def->pfs[i].dev, &pf, &j->err);

		if (r == 0)
			j->pf_ifindex[i] = pf->ifindex;
		sfh_pf_free(&pf);
		if (r < 0)
			return r;
	}
	return sfh_iommu_check(&j->a->env, &j->err);
}

static int bring_up(struct network_job *j, struct sfh_virt *v)
{
	struct sfh_nl *nl = NULL;
	size_t done = 0;
	int r = load_def(j, v);

	if (r == 0)
		r = pfs_check(j);
	if (r == 0)
		r = sfh_agent_steer_open(j->a, &j->err);
	if (r == 0)
		r = sfh_nl_open(&nl, &j->err);
	if (r == 0 && j->half)
		pfs_down(j, nl, j->def->npfs);
	if (r == 0)
		r = network_row(j, false);
	for (; r == 0 && done < j->def->npfs; done++) {
		struct sfh_pfsetup s = pfsetup(j, nl, done);

		r = sfh_pf_up(&s, j->def->pfs[done].dev, &j->err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = sfh_virt_network_start(v, j->name, &j->err);
	if (r == 0)
		r = network_row(j, true);
	if (r == 0)
		r = sfh_virt_running(v, collect_guest, j, &j->err);
	if (r < 0 && nl) {
		pfs_down(j, nl, done);
		(void)sfh_ledger_network_del(j->a->ledger, j->name, NULL);
	}
	sfh_nl_close(&nl);
	return r;
}

static void run_up(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&j->a->network_lock);
	j->result = bring_up(j, v);
	(void)pthread_mutex_unlock(&j->a->network_lock);
	j->changed = j->result == 0;
	sfh_agent_virt_put(j->a);
}

static void take_in(struct network_job *j)
{
	struct sfh_agent *a = j->a;
	/* Where a portgroup says otherwise it is each NIC's own matter (describe.c). */
	struct sfh_engine_network net = { .never = j->def->policy == SFH_NET_POLICY_NEVER &&
						   !sfh_netdef_has_policy(j->def,
									  SFH_NET_POLICY_PREFER) &&
						   !sfh_netdef_has_policy(j->def,
									  SFH_NET_POLICY_REQUIRE),
					  .landing = sfh_netdef_landing(j->def),
					  .npfs = j->def->npfs };
	struct sfh_agent_network *n = calloc(1, sizeof(*n));
	struct sfh_error err = { 0 };

	if (!n)
		return;
	(void)sfh_strcpy(net.name, sizeof(net.name), j->name);
	for (size_t i = 0; i < j->def->npfs; i++) {
		(void)sfh_strcpy(net.pfs[i], sizeof(net.pfs[i]), j->def->pfs[i].dev);
		net.pf_ifindex[i] = j->pf_ifindex[i];
	}
	network_drop(a, j->name);
	n->def = TAKE_PTR(j->def);
	n->next = a->networks;
	a->networks = n;
	(void)sfh_engine_network_add(&a->engine, &net);
	for (size_t i = 0; i < j->nguests; i++)
		sfh_hostdevs_note(a, j->guests[i], strlen(j->guests[i]));
	if (sfh_pool_refresh(&a->engine, j->name, &err) < 0)
		sfh_agent_log(LOG_WARNING, "%s", err.text);
	for (size_t i = 0; i < j->nguests; i++) {
		struct sfh_described d = { .nics = NULL };

		if (sfh_describe(a, j->guests[i], strlen(j->guests[i]), &d, NULL) == 0)
			sfh_engine_guest_running(&a->engine, &d.guest, true);
		sfh_described_done(&d);
	}
	sfh_agent_ask_negotiated(a);
}

static void done_up(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_agent *a = j->a;

	if (j->result == 0) {
		if (sfh_agent_steer_watch(a) < 0)
			sfh_agent_log(LOG_ERR, "the datapath's events cannot be watched");
		if (sfh_netdef_has_policy(j->def, SFH_NET_POLICY_REQUIRE))
			sfh_require_mark(a, j->name);
		take_in(j);
		sfh_agent_log(LOG_INFO, "network '%s' is up", j->name);
	} else {
		sfh_agent_log(LOG_ERR, "network '%s' is not up: %s", j->name, j->err.text);
		if (!a->networks && a->network_jobs == 1)
			sfh_agent_steer_drop(a);
	}
	a->network_jobs--;
	if (!j->req && --a->resuming == 0)
		sfh_agent_log(LOG_INFO, "networks resumed; %u stale lease(s) given back",
			      sfh_engine_sweep(&a->engine));
	sfh_agent_rearm(a);
	finish(j, "up");
}

void sfh_verb_up(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	struct network_job *j;

	if (!name)
		return;
	if (sfh_agent_network(a, name)) {
		sfh_reply_ok(req, json_pack("{s:s, s:b}", "network", name, "up", 0));
		return;
	}
	j = job_new(a, req, name, run_up, done_up);
	if (!j)
		return;
	a->network_jobs++;
	sfh_worker_submit(a->worker, &j->job);
}

/* --- down ------------------------------------------------------------------------------------------- */

static void run_down(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);
	struct sfh_nl *nl = NULL;
	int r;

	j->result = j->err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&j->a->network_lock);
	j->result = sfh_virt_network_stop(v, j->name, &j->err);
	if (j->result == 0)
		j->result = sfh_nl_open(&nl, &j->err);
	for (size_t i = 0; nl && i < j->def->npfs; i++) {
		struct sfh_pfsetup s = pfsetup(j, nl, i);

		r = sfh_pf_down(&s, j->def->pfs[i].dev, &j->err);
		if (r < 0 && j->result == 0)
			j->result = r;
	}
	if (nl)
		(void)sfh_ledger_network_del(j->a->ledger, j->name, NULL);
	sfh_nl_close(&nl);
	(void)pthread_mutex_unlock(&j->a->network_lock);
	sfh_agent_virt_put(j->a);
	j->changed = true;
}

static void done_down(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_agent *a = j->a;

	if (!a->networks && a->network_jobs == 1)
		sfh_agent_steer_drop(a);
	a->network_jobs--;
	sfh_agent_log(j->result < 0 ? LOG_ERR : LOG_INFO, "network '%s' is down%s%s", j->name,
		      j->result < 0 ? ", but: " : "", j->err.text);
	finish(j, "down");
}

/* Every pair of the network is on its standby leg, or gone. */
static void start_down(struct sfh_agent *a, struct sfh_request *req)
{
	struct network_job *j = job_new(a, req, req->network, run_down, done_down);

	if (!j)
		return;
	for (struct sfh_pair *p = a->engine.pairs, *next; p; p = next) {
		next = p->next;
		if (strcmp(p->network, req->network) == 0) {
			j->keep_path = true;
			sfh_pair_dispatch(&a->engine, p, SFH_EV_STOPPED, "network-down");
		}
	}
	j->def = network_take(a, j->name);
	sfh_require_unmark(a, j->name);
	a->network_jobs++;
	sfh_worker_submit(a->worker, &j->job);
}

/* `down` of a network that is not up: harmless if there is such a network. */
static void run_check(struct sfh_job *job)
{
	struct network_job *j = (struct network_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	j->result = load_def(j, v);
	sfh_agent_virt_put(j->a);
}

static void done_check(struct sfh_job *job)
{
	finish((struct network_job *)job, "down");
}

static void check_only(struct sfh_agent *a, struct sfh_request *req, const char *name)
{
	struct network_job *j = job_new(a, req, name, run_check, done_check);

	if (j)
		sfh_worker_submit(a->worker, &j->job);
}

/* "a, b" of the domains on a network. */
static void list_domains(const struct sfh_agent *a, const char *network, char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = '\0';
	for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
		if (strcmp(p->network, network) == 0 && used < n - 1) {
			int m = snprintf(buf + used, n - used, "%s%s", used ? ", " : "",
					 p->domain_name);

			used += m > 0 ? (size_t)m : 0;
		}
}

void sfh_verb_down(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	char domains[256];

	if (!name)
		return;
	if (!sfh_agent_network(a, name)) {
		check_only(a, req, name);
		return;
	}
	(void)sfh_strcpy(req->network, sizeof(req->network), name);
	if (sfh_engine_network_pairs(&a->engine, name) == 0) {
		start_down(a, req);
		return;
	}
	list_domains(a, name, domains, sizeof(domains));
	if (!json_is_true(json_object_get(req->args, "force"))) {
		sfh_reply_error(req,
				"guests run on '%s': %s; shut them down or migrate them, or use --force "
				"to move them to their standby leg",
				name, domains);
		return;
	}
	req->waiting = true;
	sfh_reply_progress(req, "moving guests to their standby leg");
	for (struct sfh_pair *p = a->engine.pairs, *next; p; p = next) {
		next = p->next;
		if (strcmp(p->network, name) == 0)
			sfh_pair_dispatch(&a->engine, p, SFH_EV_HOLD, "network-down");
	}
	sfh_down_advance(a);
	sfh_agent_rearm(a);
}

void sfh_down_advance(struct sfh_agent *a)
{
	struct sfh_request *next;

	for (struct sfh_request *req = a->requests; req; req = next) {
		bool ready = true, stuck = false;

		next = req->next;
		if (!req->waiting || !req->network[0])
			continue;
		for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
			if (strcmp(p->network, req->network) == 0) {
				ready &= p->state == SFH_PAIR_STANDBY;
				stuck |= p->state == SFH_PAIR_VF && !p->held;
			}
		if (stuck) {
			sfh_reply_error(req, "a guest on '%s' does not let go of its VF; the network "
					     "stays up",
					req->network);
		} else if (ready) {
			req->waiting = false;
			start_down(a, req);
		}
	}
}

/* --- at start --------------------------------------------------------------------------------------------- */

struct resume {
	struct sfh_ledger_network rows[64];
	size_t n;
};

static int note_network(void *ctx, const struct sfh_ledger_network *row)
{
	struct resume *r = ctx;

	if (r->n < SFH_ARRAY_SIZE(r->rows))
		r->rows[r->n++] = *row;
	return 0;
}

static void resume_one(struct sfh_agent *a, const char *name, bool half)
{
	struct network_job *j;

	if (sfh_agent_network(a, name))
		return;
	j = job_new(a, NULL, name, run_up, done_up);
	if (!j)
		return;
	j->half = half;
	a->network_jobs++;
	a->resuming++;
	sfh_worker_submit(a->worker, &j->job);
}

static bool in_ledger(const struct resume *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->rows[i].name, name) == 0)
			return true;
	return false;
}

/* `up` is idempotent and finishes what the last agent had begun. */
void sfh_networks_resume(struct sfh_agent *a, const json_t *autostart)
{
	_cleanup_free_ struct resume *r = calloc(1, sizeof(*r));
	size_t i;
	json_t *name;

	if (!r || sfh_ledger_networks(a->ledger, note_network, r) < 0)
		return;
	for (i = 0; i < r->n; i++)
		resume_one(a, r->rows[i].name, !r->rows[i].complete);
	json_array_foreach((json_t *)autostart, i, name)
		if (!in_ledger(r, json_string_value(name)))
			resume_one(a, json_string_value(name), false);
}
