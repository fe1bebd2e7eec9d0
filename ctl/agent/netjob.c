// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "ctl/agent/netjob.h"

const struct sfh_agent_network *sfh_agent_network(const struct sfh_agent *a, const char *name)
{
	for (const struct sfh_agent_network *n = a->networks; n; n = n->next)
		if (strcmp(n->def->name, name) == 0)
			return n;
	return NULL;
}

struct sfh_netdef *sfh_network_take(struct sfh_agent *a, const char *name)
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

void sfh_network_drop(struct sfh_agent *a, const char *name)
{
	struct sfh_netdef *def = sfh_network_take(a, name);

	sfh_netdef_freep(&def);
}

struct sfh_netjob *sfh_netjob_new(struct sfh_agent *a, struct sfh_request *req, const char *name,
				   void (*run)(struct sfh_job *), void (*done)(struct sfh_job *))
{
	struct sfh_netjob *j = calloc(1, sizeof(*j));

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

static void sfh_netjob_free(struct sfh_netjob *j)
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

void sfh_netjob_progress(void *ctx, const char *text)
{
	struct sfh_netjob *j = ctx;
	struct progress_post *p;

	if (!j->req || !(p = calloc(1, sizeof(*p))))
		return;
	p->req = j->req;
	(void)sfh_strcpy(p->text, sizeof(p->text), text);
	sfh_worker_post(j->a->worker, deliver_progress, p);
}

int sfh_netjob_load(struct sfh_netjob *j, struct sfh_virt *v)
{
	_cleanup_free_ char *xml = NULL;
	int r = sfh_virt_network_xml(v, j->name, &xml, NULL, &j->err);

	return r < 0 ? r : sfh_netdef_from_libvirt(xml, strlen(xml), &j->def, &j->err);
}

void sfh_netjob_finish(struct sfh_netjob *j, const char *key)
{
	if (!j->req)
		;
	else if (j->confirm)
		sfh_reply_confirm(j->req, j->err.text);
	else if (j->result < 0)
		sfh_reply_error(j->req, "%s", j->err.text);
	else
		sfh_reply_ok(j->req, json_pack("{s:s, s:b}", "network", j->name, key, j->changed));
	sfh_netjob_free(j);
}

struct sfh_pfsetup sfh_netjob_pfsetup(struct sfh_netjob *j, struct sfh_nl *nl, size_t pf)
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
		.progress = sfh_netjob_progress,
		.progress_ctx = j,
	};

	return s;
}

int sfh_netjob_check_traffic(const struct sfh_netdef *def, struct sfh_nl *nl,
			     struct sfh_error *err)
{
	for (size_t i = 0; i < def->npfs; i++) {
		struct sfh_link link;
		unsigned addresses = 0;
		int r = sfh_nl_link_get(nl, def->pfs[i].dev, &link, err);

		if (r == 0)
			r = sfh_nl_addr_count(nl, link.ifindex, &addresses, err);
		if (r < 0)
			return r;
		if (addresses)
			return sfh_err(err, -EBUSY,
				       "PF '%s' carries %u address(es) of this host, whose traffic is "
				       "interrupted for a second or more",
				       def->pfs[i].dev, addresses);
	}
	return 0;
}
