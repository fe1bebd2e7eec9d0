// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs define and undefine: what libvirt keeps of a hybrid network. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"

static void note_adoption(void *ctx, const char *text)
{
	(void)ctx;
	sfh_agent_log(LOG_WARNING, "not adopted: %s", text);
}

static int define(struct sfh_netjob *j, struct sfh_virt *v)
{
	_cleanup_free_ char *old = NULL, *xml = NULL;
	struct sfh_error none = { 0 };
	int r = sfh_virt_network_xml(v, j->name, &old, NULL, &none);

	if (r == -ENOENT) {
		j->changed = true;
		r = sfh_netdef_to_libvirt(j->xml, strlen(j->xml), &xml, &j->err);
	} else if (r < 0) {
		return sfh_err(&j->err, r, "%s", none.text);
	} else { /* somebody else's must not turn into ours by its name: -EEXIST */
		r = sfh_netdef_redefine(j->xml, strlen(j->xml), old, &xml, &j->err);
		j->changed = r > 0;
	}
	/* Also if it is the same: what libvirt's has beside it may have been edited. */
	return r < 0 ? r : sfh_virt_network_define(v, xml, &j->err);
}

static void run_define(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&j->a->network_lock); /* `set` reads, edits and defines, too */
	j->result = define(j, v);
	(void)pthread_mutex_unlock(&j->a->network_lock);
	if (j->result == 0)
		(void)sfh_virt_adopt_all(v, sfh_agent_is_hybrid, v, note_adoption, NULL);
	sfh_agent_virt_put(j->a);
}

static void done_define(struct sfh_job *job)
{
	sfh_netjob_finish((struct sfh_netjob *)job, "defined");
}

void sfh_verb_define(struct sfh_agent *a, struct sfh_request *req)
{
	const char *xml = sfh_request_string(req, "xml");
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	_cleanup_free_ char *copy = NULL;
	struct sfh_error err = { 0 };
	struct sfh_netjob *j;

	if (!xml)
		return;
	copy = strdup(xml);
	if (!copy) {
		sfh_reply_error(req, "out of memory");
		return;
	}
	if (sfh_netdef_parse(xml, strlen(xml), &def, &err) < 0) {
		sfh_reply_error(req, "%s", err.text);
		return;
	}
	if (sfh_agent_network(a, def->name)) {
		sfh_reply_error(req, "'%s' is up: take it down before you change it", def->name);
		return;
	}
	j = sfh_netjob_new(a, req, def->name, run_define, done_define);
	if (!j)
		return;
	j->xml = TAKE_PTR(copy);
	sfh_worker_submit(a->worker, &j->job);
}

static void note_unadoption(void *ctx, const char *text)
{
	(void)ctx;
	sfh_agent_log(LOG_WARNING, "stays adopted: %s", text);
}

static enum sfh_hybrid is_that_network(void *ctx, const char *network, const char *portgroup)
{
	const struct sfh_netjob *j = ctx;

	(void)portgroup;
	return strcmp(network, j->name) == 0 ? SFH_HYBRID_FAILOVER : SFH_HYBRID_NO;
}

/* Guests that name it get back the definition that they came with. */
static void run_undefine(struct sfh_job *job)
{
	struct sfh_netjob *j = (struct sfh_netjob *)job;
	int nics;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	j->result = j->err.code;
	if (!v)
		return;
	j->result = sfh_netjob_load(j, v);
	if (j->result == 0)
		j->result = sfh_virt_network_undefine(v, j->name, &j->err);
	j->changed = j->result == 0;
	if (j->changed) {
		nics = sfh_virt_unadopt_all(v, is_that_network, j, note_unadoption, NULL);
		if (nics > 0)
			sfh_agent_log(LOG_INFO, "'%s' is undefined: %d NIC(s) are adopted no more",
				      j->name, nics);
	}
	sfh_agent_virt_put(j->a);
}

static void done_undefine(struct sfh_job *job)
{
	sfh_netjob_finish((struct sfh_netjob *)job, "undefined");
}

void sfh_verb_undefine(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	struct sfh_netjob *j;

	if (!name)
		return;
	if (sfh_agent_network(a, name)) {
		sfh_reply_error(req, "'%s' is up: take it down first", name);
		return;
	}
	j = sfh_netjob_new(a, req, name, run_undefine, done_undefine);
	if (j)
		sfh_worker_submit(a->worker, &j->job);
}
