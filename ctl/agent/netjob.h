/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the network verbs have in common: a job that a worker runs and that ends
 * with the answer to a request. For networks.c, definitions.c and down.c. */
#ifndef SFH_AGENT_NETJOB_H
#define SFH_AGENT_NETJOB_H

#include "ctl/agent/agent.h"
#include "ctl/core/netsetup.h"

struct sfh_netjob {
	struct sfh_job job;
	struct sfh_agent *a;
	struct sfh_request *req;
	char name[SFH_NAME_MAX];
	char *xml; /* define: the user's */
	struct sfh_netdef *def;
	int pf_ifindex[SFH_NET_PFS_MAX];
	bool keep_path;
	bool ended; /* it was a `down` that was cut short */
	bool yes;     /* go on although a PF carries this host's traffic */
	bool confirm; /* that is why it was refused */
	bool changed;
	struct sfh_virt *virt; /* worker, while it runs */
	char **guests; /* live XML of what runs */
	size_t nguests;
	int result;
	struct sfh_error err;
};

/* Answers the request (may be NULL) when memory is short; NULL then. */
struct sfh_netjob *sfh_netjob_new(struct sfh_agent *a, struct sfh_request *req, const char *name,
				  void (*run)(struct sfh_job *), void (*done)(struct sfh_job *));
/* Worker: a progress line for whoever waits; ctx is the job. */
void sfh_netjob_progress(void *ctx, const char *text);
/* Worker: reads the network's definition from libvirt into j->def. */
int sfh_netjob_load(struct sfh_netjob *j, struct sfh_virt *v);
/* Worker: how the network comes up or goes down; j->def may be NULL (only down then).
 * `pfs` has room for SFH_NET_PFS_MAX. Opens what it needs; sfh_netjob_setup_done(). */
int sfh_netjob_setup(struct sfh_netjob *j, struct sfh_virt *v, struct sfh_net_pf *pfs,
		     struct sfh_netsetup *ret);
void sfh_netjob_setup_done(struct sfh_netsetup *s);
/* Loop: answers the request as j->result says; `key` is true if it changed
 * something. Frees the job. */
void sfh_netjob_finish(struct sfh_netjob *j, const char *key);

/* -EBUSY and a sentence that names the PF of `def` that carries addresses of this
 * host: attaching and detaching programs interrupts them for a second or more. */
int sfh_netjob_check_traffic(const struct sfh_netdef *def, struct sfh_nl *nl,
			     struct sfh_error *err);

/* Loop: whether the ledger knows any network: then programs and pins are needed. */
bool sfh_networks_any(const struct sfh_agent *a);

/* Takes the network off the agent's lists; its definition is the caller's. */
struct sfh_netdef *sfh_network_take(struct sfh_agent *a, const char *name);
void sfh_network_drop(struct sfh_agent *a, const char *name);

#endif
