// SPDX-License-Identifier: GPL-2.0-or-later
/* The verb down: guests off their VFs, PFs back as they were. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"

static void run_down(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);
	struct sfh_net_pf pfs[SFH_NET_PFS_MAX];
	struct sfh_netsetup s;

	j->result = j->err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&j->a->network_lock);
	j->result = sfh_netjob_setup(j, v, pfs, &s);
	if (j->result == 0) {
		j->result = sfh_net_down(&s, &j->err);
		sfh_netjob_setup_done(&s);
	}
	(void)pthread_mutex_unlock(&j->a->network_lock);
	sfh_agent_virt_put(j->a);
	j->changed = true;
}

static void done_down(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_agent *a = j->a;
	struct sfh_ledger_network row;
	bool left = sfh_ledger_network_get(a->ledger, j->name, &row) == 0;

	if (!a->networks && a->network_jobs == 1 && !sfh_networks_any(a))
		sfh_agent_steer_drop(a);
	a->network_jobs--;
	if (left && row.phase == SFH_NETWORK_UP) {
		sfh_agent_log(LOG_ERR, "network '%s' stays up: %s", j->name, j->err.text);
		sfh_network_again(a, j->name);
	} else {
		sfh_agent_log(j->result < 0 ? LOG_ERR : LOG_INFO, "network '%s' is down%s%s", j->name,
			      j->result < 0 ? ", but: " : "", j->err.text);
	}
	sfh_netjob_finish(j, "down");
}

static void done_trouble(struct sfh_job *job)
{
	struct sfh_agent *a = ((struct sfh_netjob *)job)->a;

	(void)sfh_engine_sweep(&a->engine); /* its leases and pairs are nobody's now */
	done_down(job);
}

/* Every pair of the network is on its standby leg, or gone. */
static void start_down(struct sfh_agent *a, struct sfh_request *req)
{
	struct sfh_netjob *j = sfh_netjob_new(a, req, req->network, run_down, done_down);

	if (!j)
		return;
	for (struct sfh_pair *p = a->engine.pairs, *next; p; p = next) {
		next = p->next;
		if (strcmp(p->network, req->network) == 0) {
			j->keep_path = true;
			sfh_pair_dispatch(&a->engine, p, SFH_EV_STOPPED, "network-down");
		}
	}
	j->def = sfh_network_take(a, j->name);
	sfh_require_unmark(a, j->name);
	a->network_jobs++;
	sfh_worker_submit(a->worker, &j->job);
}

/* `down` of a network that is not up: harmless if there is such a network. */
static void run_check(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	j->result = sfh_netjob_load(j, v);
	sfh_agent_virt_put(j->a);
}

static void done_check(struct sfh_job *job)
{
	sfh_netjob_finish((struct sfh_netjob *)job, "down");
}

static void check_only(struct sfh_agent *a, struct sfh_request *req, const char *name)
{
	struct sfh_netjob *j = sfh_netjob_new(a, req, name, run_check, done_check);

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
	(void)sfh_utf8_mend(buf);
}

struct trouble {
	struct sfh_agent *a;
	const char *network;
	unsigned pairs;
	const struct sfh_ledger_pf *pf;
	struct sfh_lease leases[256];
	size_t n;
};

static int count_pair(void *ctx, const struct sfh_ledger_pair *row)
{
	struct trouble *t = ctx;

	t->pairs += strcmp(row->network, t->network) == 0;
	return 0;
}

static int note_lease(void *ctx, const struct sfh_lease *lease)
{
	struct trouble *t = ctx;

	if (strcmp(lease->pf, t->pf->dev) == 0 && t->n < SFH_ARRAY_SIZE(t->leases))
		t->leases[t->n++] = *lease;
	return 0;
}

/* A VF that was there before `up` outlives `down`: it gets back what it was. */
static int end_leases(void *ctx, const struct sfh_ledger_pf *row)
{
	struct trouble *t = ctx;

	if (strcmp(row->network, t->network) != 0)
		return 0;
	t->pf = row;
	t->n = 0;
	(void)sfh_ledger_leases(t->a->ledger, note_lease, t);
	for (size_t i = 0; i < t->n; i++)
		if (sfh_pool_end(&t->a->engine, row->ifindex, &t->leases[i], NULL) < 0)
			(void)sfh_ledger_lease_del(t->a->ledger, row->dev, t->leases[i].vf, NULL);
	return 0;
}

/* A network that could not be brought back: what is left of it goes. Guests that run
 * on it are not the engine's; their leases and rows are given up. */
static void down_of_trouble(struct sfh_agent *a, struct sfh_request *req, const char *name)
{
	struct trouble t = { .a = a, .network = name };
	struct sfh_netjob *j;

	(void)sfh_ledger_pairs(a->ledger, count_pair, &t);
	if (t.pairs && !json_is_true(json_object_get(req->args, "force"))) {
		sfh_reply_error(req,
				"'%s' could not be brought back and %u guest NIC(s) were on it when it was "
				"up: mend it (fsck --repair), or use --force to give them up",
				name, t.pairs);
		return;
	}
	(void)sfh_ledger_pfs(a->ledger, end_leases, &t);
	j = sfh_netjob_new(a, req, name, run_down, done_trouble);
	if (!j)
		return;
	j->keep_path = t.pairs > 0;
	sfh_require_unmark(a, name);
	a->network_jobs++;
	sfh_worker_submit(a->worker, &j->job);
}

/* One request whose guests have all moved, or one of them will not. Ending pairs may answer
 * other requests: the list is another one then. */
static bool advance_one(struct sfh_agent *a)
{
	for (struct sfh_request *req = a->requests; req; req = req->next) {
		bool ready = true, stuck = false;

		if (!req->waiting || !req->network[0])
			continue;
		for (const struct sfh_pair *p = a->engine.pairs; p; p = p->next)
			if (strcmp(p->network, req->network) == 0) {
				ready &= p->state == SFH_PAIR_STANDBY;
				stuck |= p->state == SFH_PAIR_VF && !p->held;
			}
		if (!stuck && !ready)
			continue;
		req->waiting = false;
		if (stuck)
			sfh_reply_error(req, "a guest on '%s' does not let go of its VF; the network "
					     "stays up",
					req->network);
		else
			start_down(a, req);
		return true;
	}
	return false;
}

static void advance(struct sfh_agent *a)
{
	while (advance_one(a))
		;
}

static void advance_posted(void *arg)
{
	struct sfh_agent *a = arg;

	a->down_posted = false;
	advance(a);
	sfh_agent_rearm(a);
}

/* Whoever says that a pair moved is in the middle of moving it; `down` ends all pairs of its
 * network. */
void sfh_down_look(struct sfh_agent *a)
{
	bool waits = false;

	for (const struct sfh_request *req = a->requests; req; req = req->next)
		waits |= req->waiting && req->network[0];
	if (!waits || a->down_posted)
		return;
	a->down_posted = true;
	sfh_worker_post(a->worker, advance_posted, a);
}

void sfh_verb_down(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	struct sfh_ledger_network row;
	struct sfh_error err = { 0 };
	char domains[256];

	if (!name)
		return;
	if (!sfh_agent_network(a, name) && sfh_ledger_network_get(a->ledger, name, &row) == 0) {
		down_of_trouble(a, req, name);
		return;
	}
	if (!sfh_agent_network(a, name)) {
		check_only(a, req, name);
		return;
	}
	if (!json_is_true(json_object_get(req->args, "yes")) &&
	    sfh_netjob_check_traffic(sfh_agent_network(a, name)->def, a->nl, &err) == -EBUSY) {
		sfh_reply_confirm(req, err.text);
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
	advance(a);
	sfh_agent_rearm(a);
}
