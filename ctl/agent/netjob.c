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

static bool hv_active(void *ctx, const char *name)
{
	struct sfh_netjob *j = ctx;

	return sfh_virt_network_active(j->virt, name);
}

static int hv_start(void *ctx, const char *name, struct sfh_error *err)
{
	struct sfh_netjob *j = ctx;

	return sfh_virt_network_start(j->virt, name, err);
}

static int hv_stop(void *ctx, const char *name, struct sfh_error *err)
{
	struct sfh_netjob *j = ctx;

	return sfh_virt_network_stop(j->virt, name, err);
}

static int collect_guest(void *ctx, const char *xml)
{
	struct sfh_netjob *j = ctx;
	char **more = realloc(j->guests, (j->nguests + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->guests = more;
	more[j->nguests] = strdup(xml);
	return more[j->nguests] ? (j->nguests++, 0) : -ENOMEM;
}

static int hv_guests(void *ctx, struct sfh_error *err)
{
	struct sfh_netjob *j = ctx;

	return sfh_virt_running(j->virt, collect_guest, j, err);
}

static const struct sfh_net_hv net_hv = { hv_active, hv_start, hv_stop, hv_guests };

int sfh_netjob_setup(struct sfh_netjob *j, struct sfh_virt *v, struct sfh_net_pf *pfs,
		     struct sfh_netsetup *ret)
{
	struct sfh_agent *a = j->a;
	struct sfh_nl *nl = NULL;
	int r = sfh_agent_steer_open(a, &j->err);

	if (r == 0)
		r = sfh_nl_open(&nl, &j->err);
	if (r < 0)
		return r;
	j->virt = v;
	*ret = (struct sfh_netsetup){
		.pf = {
			.ops = &sfh_pf_system,
			.env = &a->env,
			.nl = nl,
			.steer = a->steer,
			.steer_lock = &a->steer_lock,
			.ledger = a->ledger,
			.network = j->name,
			.bridge = "",
			.keep_path = j->keep_path,
			.progress = sfh_netjob_progress,
			.progress_ctx = j,
		},
		.pfs = pfs,
		.hv = &net_hv,
		.hv_ctx = j,
	};
	(void)sfh_strcpy(ret->row.name, sizeof(ret->row.name), j->name);
	if (!j->def)
		return 0;
	(void)sfh_strcpy(ret->row.mode, sizeof(ret->row.mode), sfh_standby_mode_name(j->def->mode));
	(void)sfh_strcpy(ret->row.policy, sizeof(ret->row.policy),
			 sfh_net_policy_name(j->def->policy));
	(void)sfh_strcpy(ret->row.bridge, sizeof(ret->row.bridge), j->def->bridge);
	ret->pf.bridge = j->def->bridge;
	ret->pf.excluded = j->def->excluded;
	ret->pf.nexcluded = j->def->nexcluded;
	ret->npfs = j->def->npfs;
	for (size_t i = 0; i < j->def->npfs; i++) {
		(void)sfh_strcpy(pfs[i].dev, sizeof(pfs[i].dev), j->def->pfs[i].dev);
		pfs[i].vfs = sfh_netdef_pf_vfs(j->def, i);
	}
	return 0;
}

void sfh_netjob_setup_done(struct sfh_netsetup *s)
{
	sfh_nl_close(&s->pf.nl);
}

int sfh_netjob_check_traffic(const struct sfh_netdef *def, struct sfh_nl *nl,
			     struct sfh_error *err)
{
	unsigned addresses[SFH_NET_PFS_MAX];
	int ifindex[SFH_NET_PFS_MAX], r;

	for (size_t i = 0; i < def->npfs; i++) {
		struct sfh_link link;

		r = sfh_nl_link_get(nl, def->pfs[i].dev, &link, err);
		if (r < 0)
			return r;
		ifindex[i] = link.ifindex;
	}
	r = sfh_nl_addr_counts(nl, ifindex, addresses, def->npfs, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < def->npfs; i++)
		if (addresses[i])
			return sfh_err(err, -EBUSY,
				       "PF '%s' carries %u address(es) of this host, whose traffic is "
				       "interrupted for a second or more",
				       def->pfs[i].dev, addresses[i]);
	return 0;
}

static int any_network(void *ctx, const struct sfh_ledger_network *row)
{
	(void)row;
	*(bool *)ctx = true;
	return 1;
}

bool sfh_networks_any(const struct sfh_agent *a)
{
	bool any = false;

	(void)sfh_ledger_networks(a->ledger, any_network, &any);
	return any;
}
