// SPDX-License-Identifier: GPL-2.0-or-later
/* `virsh net-start` and `net-destroy` of a hybrid network: they do what up and down
 * do; a network that guests use is started again, for libvirt cannot be told to
 * refuse. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

struct watch_job {
	struct sfh_job job;
	struct sfh_agent *a;
	char name[SFH_NAME_MAX];
	bool start, hybrid;
	struct sfh_error err;
};

static void run(struct sfh_job *job)
{
	struct watch_job *j = (struct watch_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v)
		return;
	if (j->start)
		(void)sfh_virt_network_start(v, j->name, &j->err);
	else
		j->hybrid = sfh_agent_is_hybrid(v, j->name, "") != SFH_HYBRID_NO;
	sfh_agent_virt_put(j->a);
}

/* Of a person, or of the agent's own start. */
static bool comes_up(const struct sfh_agent *a, const char *name)
{
	if (sfh_agent_network(a, name) || a->resuming)
		return true;
	for (const struct sfh_request *req = a->requests; req; req = req->next) {
		const char *network = json_string_value(json_object_get(req->args, "network"));

		if (strcmp(req->verb, "up") == 0 && network && strcmp(network, name) == 0)
			return true;
	}
	return false;
}

static void done(struct sfh_job *job)
{
	struct watch_job *j = (struct watch_job *)job;

	if (j->err.code)
		sfh_agent_log(LOG_ERR, "network '%s': %s", j->name, j->err.text);
	if (j->hybrid && !comes_up(j->a, j->name)) {
		sfh_agent_log(LOG_INFO, "libvirt started '%s': it is brought up", j->name);
		sfh_request_own(j->a, "up", j->name);
	}
	free(j);
}

static void look(struct sfh_agent *a, const char *name, bool start)
{
	struct watch_job *j = calloc(1, sizeof(*j));

	if (!j)
		return;
	j->a = a;
	j->start = start;
	(void)sfh_strcpy(j->name, sizeof(j->name), name);
	j->job.run = run;
	j->job.done = done;
	sfh_worker_submit(a->worker, &j->job);
}

void sfh_netwatch_started(struct sfh_agent *a, const char *name)
{
	if (!comes_up(a, name))
		look(a, name, false);
}

void sfh_netwatch_stopped(struct sfh_agent *a, const char *name)
{
	unsigned n;

	if (!sfh_agent_network(a, name))
		return;
	n = sfh_engine_network_pairs(&a->engine, name);
	if (n == 0) {
		sfh_agent_log(LOG_INFO, "libvirt stopped '%s': it is taken down", name);
		sfh_request_own(a, "down", name);
		return;
	}
	sfh_agent_log(LOG_WARNING,
		      "libvirt stopped '%s', which %u guest NIC(s) use: it is started again; 'sfhybrid-ctl "
		      "down --force %s' takes it from them",
		      name, n, name);
	look(a, name, true);
}
