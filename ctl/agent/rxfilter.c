// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking QEMU which addresses a guest's NIC is to receive. */
#include <syslog.h>

#include "ctl/agent/agent.h"

struct rx_job {
	struct sfh_job job;
	struct sfh_agent *a;
	char uuid[SFH_UUID_STRLEN];
	char alias[SFH_DOM_ALIAS_SIZE];
	struct sfh_mac nic;
	struct sfh_mac macs[SFH_RX_MAX];
	int result; /* how many, or -errno */
	struct sfh_error err;
};

static void run_rx(struct sfh_job *job)
{
	struct rx_job *j = (struct rx_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(j->a, &j->err);

	if (!v) {
		j->result = j->err.code;
		return;
	}
	j->result = sfh_virt_rx_filter(v, j->uuid, j->alias, j->macs, SFH_ARRAY_SIZE(j->macs),
				       &j->err);
	sfh_agent_virt_put(j->a);
}

static void done_rx(struct sfh_job *job)
{
	struct rx_job *j = (struct rx_job *)job;

	if (j->result < 0)
		sfh_agent_log(LOG_INFO, "%s: %s", j->uuid, j->err.text);
	sfh_engine_rx_told(&j->a->engine, j->uuid, &j->nic, j->result < 0 ? j->result : 0, j->macs,
			   j->result < 0 ? 0 : (size_t)j->result);
	sfh_agent_rearm(j->a);
	free(j);
}

int sfh_rxfilter_ask(void *ctx, const struct sfh_pair *p)
{
	struct sfh_agent *a = ctx;
	struct rx_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->a = a;
	j->nic = p->mac;
	(void)sfh_strcpy(j->uuid, sizeof(j->uuid), p->domain);
	(void)sfh_strcpy(j->alias, sizeof(j->alias), p->alias);
	j->job.run = run_rx;
	j->job.done = done_rx;
	sfh_worker_submit(a->worker, &j->job);
	return 0;
}
