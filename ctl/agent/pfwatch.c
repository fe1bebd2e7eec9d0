// SPDX-License-Identifier: GPL-2.0-or-later
/* The PF is alive: what somebody else does to a PF that is in use is noticed and
 * said, its guests are kept where they are (the engine knows the reason), and `fsck`
 * says it again. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/linkwatch.h"
#include "ctl/core/sysfs.h"

struct known_pf {
	int ifindex;
	char name[16]; /* as the network calls it */
	struct sfh_link now;
	unsigned mtu; /* when the network came up */
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

/* The gravest first. */
static enum sfh_reason trouble_of(const struct known_pf *k)
{
	if (!k->now.up || !k->now.carrier)
		return SFH_REASON_PF_DOWN;
	if (strcmp(k->now.name, k->name) != 0)
		return SFH_REASON_PF_RENAMED;
	return k->mtu && k->now.mtu != k->mtu ? SFH_REASON_MTU_MISMATCH : SFH_REASON_NONE;
}

static void say_changes(const struct known_pf *k, const struct sfh_link *now, const char *network)
{
	const struct sfh_link *was = &k->now;

	if (strcmp(was->name, now->name) != 0 && strcmp(now->name, k->name) != 0)
		sfh_agent_log(LOG_WARNING,
			      "PF '%s' of network '%s' is called '%s' now: no guest starts on it or gets a "
			      "VF of it; name it back: ip link set %s name %s",
			      k->name, network, now->name, now->name, k->name);
	else if (strcmp(was->name, now->name) != 0)
		sfh_agent_log(LOG_NOTICE, "PF '%s' of network '%s' has its name back", k->name,
			      network);
	if (was->up != now->up)
		sfh_agent_log(now->up ? LOG_NOTICE : LOG_WARNING, "PF '%s' of network '%s' was set %s",
			      now->name, network,
			      now->up ? "up" : "down: its guests have no network on either leg");
	else if (now->up && was->carrier != now->carrier)
		sfh_agent_log(now->carrier ? LOG_NOTICE : LOG_WARNING,
			      "PF '%s' of network '%s' has %s", now->name, network,
			      now->carrier ? "its carrier back"
					   : "no carrier: its guests reach nobody outside");
	if (was->mtu != now->mtu)
		sfh_agent_log(LOG_WARNING,
			      "the MTU of PF '%s' of network '%s' changed from %u to %u%s", now->name,
			      network, was->mtu, now->mtu,
			      now->mtu == k->mtu
				      ? ""
				      : ": guests on their standby leg stay there until it is set back, or "
					"the network is taken down and up");
}

static void tell_engine(struct sfh_agent *a, int ifindex, enum sfh_reason trouble)
{
	if (sfh_engine_pf_trouble_of(&a->engine, ifindex) == trouble)
		return;
	sfh_engine_pf_trouble(&a->engine, ifindex, trouble);
	sfh_agent_rearm(a);
}

static bool is_sriov(const struct sfh_agent *a, const char *name)
{
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = NULL;

	return sfh_pf_read(&a->env, name, &pf, NULL) == 0;
}

static void on_link(void *ctx, const struct sfh_link *link, bool gone)
{
	struct sfh_pfwatch *w = ctx;
	const char *network = network_of(w->a, link->ifindex);
	struct known_pf *k = known(w, link->ifindex);

	if (!link->name[0])
		return;
	if (!network || !k) {
		if (!gone && is_sriov(w->a, link->name)) /* one that is missed, perhaps */
			(void)sfh_networks_retry(w->a);
		return;
	}
	if (gone) {
		sfh_agent_log(LOG_ERR,
			      "PF '%s' of network '%s' is gone: unbound, or its driver was reloaded; it "
			      "is set up again when it is back",
			      k->name, network);
		tell_engine(w->a, link->ifindex, SFH_REASON_PF_GONE);
		*k = w->pfs[--w->n];
		return;
	}
	say_changes(k, link, network);
	k->now = *link;
	tell_engine(w->a, link->ifindex, trouble_of(k));
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

struct find_mtu {
	const char *dev;
	unsigned mtu;
};

static int match_mtu(void *ctx, const struct sfh_ledger_pf *row)
{
	struct find_mtu *f = ctx;

	if (strcmp(row->dev, f->dev) == 0)
		f->mtu = row->mtu;
	return 0;
}

void sfh_pfwatch_learn(struct sfh_agent *a, const char *network)
{
	const struct sfh_engine_network *net = sfh_engine_network(&a->engine, network);
	struct sfh_pfwatch *w = a->pfwatch;

	for (size_t i = 0; net && w && i < net->npfs; i++) {
		struct find_mtu f = { .dev = net->pfs[i] };
		struct known_pf *k = known(w, net->pf_ifindex[i]);
		struct sfh_link now;

		if (sfh_nl_link_get(a->nl, net->pfs[i], &now, NULL) < 0)
			continue;
		if (!k && w->n < SFH_ARRAY_SIZE(w->pfs))
			k = &w->pfs[w->n++];
		if (!k)
			return;
		(void)sfh_ledger_pfs(a->ledger, match_mtu, &f);
		*k = (struct known_pf){ .ifindex = net->pf_ifindex[i], .now = now, .mtu = f.mtu };
		(void)sfh_strcpy(k->name, sizeof(k->name), net->pfs[i]);
		tell_engine(a, k->ifindex, trouble_of(k));
	}
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
	a->pfwatch = w; /* lives as long as the process */
	return 0;
}
