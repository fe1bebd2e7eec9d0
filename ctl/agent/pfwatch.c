// SPDX-License-Identifier: GPL-2.0-or-later
/* The PF is alive: what somebody else does to a PF that is in use is noticed,
 * said, and leaves guests where they are; `fsck` says it again. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/linkwatch.h"

struct known_pf {
	int ifindex;
	char name[16];
	unsigned mtu;
	bool up;
};

struct sfh_pfwatch {
	struct sfh_agent *a;
	struct sfh_linkwatch *links;
	struct known_pf pfs[512];
	size_t n;
};

static const char *network_of(const struct sfh_agent *a, int ifindex)
{
	for (const struct sfh_engine_network *n = a->engine.networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (n->pf_ifindex[i] == ifindex)
				return n->name;
	return NULL;
}

static struct known_pf *known(struct sfh_pfwatch *w, int ifindex)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->pfs[i].ifindex == ifindex)
			return &w->pfs[i];
	return NULL;
}

static void on_link(void *ctx, const struct sfh_link *link, unsigned mtu, bool gone)
{
	struct sfh_pfwatch *w = ctx;
	const char *network = network_of(w->a, link->ifindex);
	struct known_pf *k = known(w, link->ifindex);

	if (!network)
		return;
	if (!k) {
		if (w->n == SFH_ARRAY_SIZE(w->pfs))
			return;
		k = &w->pfs[w->n++];
	} else if (!gone) {
		if (strcmp(k->name, link->name) != 0)
			sfh_agent_log(LOG_WARNING,
				      "PF '%s' of network '%s' is called '%s' now: no new guest can "
				      "start on it; name it back, or take the network down and define it "
				      "anew",
				      k->name, network, link->name);
		if (k->up != link->up)
			sfh_agent_log(link->up ? LOG_NOTICE : LOG_WARNING,
				      "PF '%s' of network '%s' was set %s", link->name, network,
				      link->up ? "up" : "down: its guests have no network on either leg");
		if (k->mtu != mtu)
			sfh_agent_log(LOG_WARNING,
				      "the MTU of PF '%s' changed from %u to %u: guests take a VF with "
				      "another MTU than their virtio NIC's no more",
				      link->name, k->mtu, mtu);
	}
	if (gone) {
		sfh_agent_log(LOG_ERR,
			      "PF '%s' of network '%s' is gone: unbound, or its driver was reloaded; take "
			      "the network down and up again when it is back",
			      link->name, network);
		*k = w->pfs[--w->n];
		return;
	}
	*k = (struct known_pf){ .ifindex = link->ifindex, .mtu = mtu, .up = link->up };
	(void)sfh_strcpy(k->name, sizeof(k->name), link->name);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_pfwatch *w = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	sfh_linkwatch_read(w->links, on_link, w);
	return 0;
}

int sfh_pfwatch_start(struct sfh_agent *a, struct sfh_error *err)
{
	struct sfh_pfwatch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return sfh_err(err, -ENOMEM, "out of memory");
	w->a = a;
	r = sfh_linkwatch_open(&w->links, err);
	if (r == 0)
		r = sd_event_add_io(a->loop, NULL, sfh_linkwatch_fd(w->links), EPOLLIN, on_readable,
				    w);
	if (r < 0) {
		sfh_linkwatch_close(&w->links);
		free(w);
		return r;
	}
	return 0; /* lives as long as the process */
}
