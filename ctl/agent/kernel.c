// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine's kernel operations: rtnetlink, sysfs, the datapath. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/memory.h"
#include "ctl/core/nic/nic.h"
#include "ctl/core/probe.h"
#include "ctl/core/sysfs.h"

static const struct sfh_netdef *netdef_of_pf(const struct sfh_agent *a, const char *pf)
{
	for (const struct sfh_agent_network *n = a->networks; n; n = n->next)
		if (sfh_netdef_find_pf(n->def, pf) >= 0)
			return n->def;
	return NULL;
}

/* Why a VF with this driver is not ours to give; "" if it is. */
static void check_vf(const struct sfh_agent *a, const struct sfh_bdf *bdf, const char *driver,
		     char why[48])
{
	why[0] = '\0';
	if (!sfh_hostdevs_has(a, bdf, why) && strcmp(driver, "vfio-pci") != 0)
		(void)snprintf(why, 48, "bound to %s", driver[0] ? driver : "no driver");
}

/* One question to the kernel for all MACs, whatever the number of VFs. */
static int vf_list(void *ctx, const char *dev, struct sfh_vf_slot *slots, size_t n,
		   struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	const struct sfh_netdef *def = netdef_of_pf(a, dev);
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = NULL;
	_cleanup_free_ struct sfh_vf_config *cfgs = NULL;
	unsigned share, used = 0;
	int r = sfh_pf_read(&a->env, dev, &pf, err);

	if (r < 0)
		return r;
	cfgs = calloc(pf->num_vfs + 1, sizeof(*cfgs));
	if (!cfgs)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = pf->num_vfs ? sfh_nl_vf_list(a->nl, pf->ifindex, cfgs, pf->num_vfs, err) : 0;
	if (r < 0)
		return r;
	share = def ? sfh_netdef_pf_vfs(def, (size_t)sfh_netdef_find_pf(def, dev)) : 0;
	for (unsigned i = 0; i < pf->num_vfs && i < n; i++) {
		const struct sfh_vf *vf = &pf->vfs[i];
		char *why = slots[i].why_not;

		slots[i] = (struct sfh_vf_slot){ .vf = vf->index, .bdf = vf->bdf,
						 .mac = cfgs[i].mac };
		if (def && sfh_netdef_is_excluded(def, &vf->bdf))
			(void)sfh_strcpy(why, sizeof(slots[i].why_not), "excluded by address");
		else
			check_vf(a, &vf->bdf, vf->driver, why);
		if (!why[0] && share && used++ >= share)
			(void)sfh_strcpy(why, sizeof(slots[i].why_not),
					 "beyond the network's share");
	}
	return (int)(pf->num_vfs < n ? pf->num_vfs : n);
}

static int vf_check(void *ctx, const char *pf, const struct sfh_bdf *bdf, char why[48])
{
	struct sfh_agent *a = ctx;
	char driver[32] = "";

	(void)pf;
	(void)sfh_pci_driver(&a->env, bdf, driver, sizeof(driver));
	check_vf(a, bdf, driver, why);
	return why[0] != '\0';
}

static int vf_get(void *ctx, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		  struct sfh_error *err)
{
	struct sfh_agent *a = ctx;

	return sfh_nl_vf_get(a->nl, pf_ifindex, vf, ret, err);
}

static int vf_set(void *ctx, int pf_ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;

	return sfh_nl_vf_set(a->nl, pf_ifindex, vf, what, cfg, err);
}

static int port_able(void *ctx, int pf_ifindex, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;

	return sfh_port_able(a->nl, pf_ifindex, err);
}

static int port_ask(void *ctx, int pf_ifindex, const struct sfh_lease *lease, uint8_t request,
		    struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_port_request req = { .vf = lease->vf, .request = request };

	if (request != PORT_REQUEST_DISASSOCIATE) {
		(void)sfh_strcpy(req.profile, sizeof(req.profile), lease->profile);
		if (sfh_port_uuid(lease->domain, req.instance) < 0)
			return sfh_err(err, -EINVAL, "'%s' is not a UUID", lease->domain);
		req.has_host = sfh_port_host_uuid(&a->env, req.host) == 0;
	}
	return sfh_port_ask(a->nl, pf_ifindex, &req, err);
}

static int port_answer(void *ctx, int pf_ifindex, unsigned vf, uint8_t *request,
		       struct sfh_error *err)
{
	(void)ctx;
	return sfh_port_answer(pf_ifindex, vf, request, err);
}

static int match_driver(void *ctx, const struct sfh_ledger_pf *row)
{
	const char **want = ctx;

	if (want[0] && strcmp(row->dev, want[0]) == 0) {
		want[0] = NULL;
		return sfh_nic_method_for(row->driver)->park ? 1 : 0;
	}
	return 0;
}

static bool can_park(void *ctx, const char *pf)
{
	struct sfh_agent *a = ctx;

	return sfh_ledger_pfs(a->ledger, match_driver, &pf) == 1;
}

/* Runs `call` with the datapath locked; the network may have gone down meanwhile. */
#define WITH_STEER(a, err, call)                                                                   \
	({                                                                                         \
		int _r;                                                                            \
		(void)pthread_mutex_lock(&(a)->steer_lock);                                        \
		_r = (a)->steer ? (call)                                                           \
				: sfh_err(err, -ENOTCONN, "the datapath is not loaded");           \
		(void)pthread_mutex_unlock(&(a)->steer_lock);                                      \
		_r;                                                                                \
	})

static char *vlan_link_name(const struct sfh_pair *p, char buf[16])
{
	(void)snprintf(buf, 16, "sfhv%d.%u", p->standby_ifindex, p->vlan);
	return buf;
}

/* A NIC's switch hands frames of a VLAN to the PF only if the PF is a member. A VLAN link
 * on the PF itself would make it one and then swallow the frames; one on the macvtap
 * makes it one as well, and there our program has taken the tag before. It carries
 * nothing, stays down, and goes with the macvtap. */
static void join_vlan(struct sfh_agent *a, const struct sfh_pair *p)
{
	uint16_t proto = p->wish.what & SFH_VF_PROTO ? p->wish.cfg.proto : 0;
	struct sfh_error err = { 0 };
	char name[16];
	int r;

	if (!p->vlan)
		return;
	r = p->kind == SFH_STANDBY_TAP ?
		    sfh_nl_bridge_vlan_add(a->nl, p->pf_ifindex, p->vlan, &err) :
		    sfh_nl_vlan_add_proto(a->nl, vlan_link_name(p, name), p->standby_ifindex, p->vlan,
					  proto, &err);
	if (r < 0 && r != -EEXIST)
		sfh_agent_log(LOG_WARNING,
			      "%s may get nothing on its standby leg: '%s' cannot join VLAN %u: %s",
			      p->domain_name, p->pf, p->vlan, err.text);
}

/* The network may have got another one since the guest began. */
static void keep_vlan(struct sfh_agent *a, struct sfh_pair *p)
{
	struct sfh_guest_key now = sfh_agent_key_of(p), key;
	int r = WITH_STEER(a, NULL,
			   sfh_steer_standby_key(a->steer, (uint32_t)p->standby_ifindex, &key));

	if (r == 0 && key.pf_ifindex == now.pf_ifindex && memcmp(key.mac, now.mac, sizeof(key.mac)) == 0)
		p->vlan = key.vlan;
}

static int standby_find(void *ctx, const char *standby)
{
	struct sfh_agent *a = ctx;
	struct sfh_link link;
	int r = sfh_nl_link_get(a->nl, standby, &link, NULL);

	return r < 0 ? r : link.ifindex;
}

static int standby_attach(void *ctx, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_link link;
	int r = sfh_nl_link_get(a->nl, p->standby, &link, err);

	if (r < 0)
		return r;
	p->standby_ifindex = link.ifindex;
	keep_vlan(a, p);
	join_vlan(a, p);
	return WITH_STEER(a, err,
			  sfh_steer_standby_attach(a->steer, (uint32_t)link.ifindex, p->kind, err));
}

/* The standby leg enforces what the VF does. */
static struct sfh_standby_policy policy_of(const struct sfh_pair *p)
{
	struct sfh_standby_policy policy = { .spoofchk = sfh_pair_spoofchk(p) };

	if (p->wish.what & SFH_VF_QOS)
		policy.vlan_prio = (uint8_t)p->wish.cfg.qos;
	if (p->wish.what & SFH_VF_PROTO)
		policy.vlan_proto = p->wish.cfg.proto;
	return policy;
}

static int stage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);
	struct sfh_standby_policy policy = policy_of(p);

	return WITH_STEER(a, err,
			  sfh_steer_stage_as(a->steer, &key, (uint32_t)p->standby_ifindex,
					     p->standby_ifindex ? p->kind : SFH_STANDBY_NONE, true,
					     &policy, err));
}

static int arm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return WITH_STEER(a, err, sfh_steer_arm(a->steer, &key, err));
}

static int disarm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return WITH_STEER(a, err, sfh_steer_disarm(a->steer, &key, err));
}

static int on_vf(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return WITH_STEER(a, err, sfh_steer_on_vf(a->steer, &key, err));
}

static int unstage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);
	char name[16];

	sfh_warmer_forget(a, &key);
	sfh_agent_backlog_forget(a, &key);
	sfh_agent_inject_idle(a);
	if (p->vlan && p->standby_ifindex && p->kind != SFH_STANDBY_TAP)
		(void)sfh_nl_link_del(a->nl, vlan_link_name(p, name), NULL);
	if (p->standby_ifindex)
		(void)WITH_STEER(a, NULL,
				 sfh_steer_standby_detach(a->steer, (uint32_t)p->standby_ifindex,
							  NULL));
	return WITH_STEER(a, err, sfh_steer_unstage(a->steer, &key, err));
}

/* macvlan puts its devices' addresses there itself. */
static int filter_also(void *ctx, const struct sfh_pair *p, const struct sfh_mac *mac, bool there,
		       struct sfh_error *err)
{
	struct sfh_agent *a = ctx;

	if (p->kind != SFH_STANDBY_TAP)
		return 0;
	return there ? sfh_fdb_hold(a->fdb, p->pf, p->pf_ifindex, mac, err)
		     : sfh_fdb_release(a->fdb, p->pf, p->pf_ifindex, mac, err);
}

static int filter(void *ctx, const struct sfh_pair *p, bool there, struct sfh_error *err)
{
	return filter_also(ctx, p, &p->mac, there, err);
}

static int pf_macs(void *ctx, const struct sfh_pair *p, struct sfh_mac *macs, size_t n)
{
	struct sfh_agent *a = ctx;
	_cleanup_free_ struct sfh_vf_config *vfs = calloc(n, sizeof(*vfs));
	struct sfh_link pf;
	int r = vfs ? sfh_nl_vf_list(a->nl, p->pf_ifindex, vfs, (unsigned)n - 1, NULL) : -ENOMEM;

	if (r < 0 || sfh_nl_link_get(a->nl, p->pf, &pf, NULL) < 0)
		return -ENODEV;
	macs[0] = pf.mac;
	for (int i = 0; i < r; i++)
		macs[1 + i] = vfs[i].mac;
	return 1 + r;
}

int sfh_agent_pair_view(struct sfh_agent *a, const struct sfh_pair *p, struct sfh_pair_view *ret)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return WITH_STEER(a, NULL, sfh_steer_get(a->steer, &key, ret));
}

static int seen(void *ctx, const struct sfh_pair *p, struct sfh_pair_seen *ret)
{
	struct sfh_pair_view v;
	int r = sfh_agent_pair_view(ctx, p, &v);

	if (r == 0)
		*ret = (struct sfh_pair_seen){ .first_frame = v.last_frame_ns != 0,
					       .lately = sfh_now_ns() - v.last_frame_ns < 500000000ull,
					       .ip4 = v.ip4, .ip4_ns = v.ip4_ns };
	return r;
}

static int want_proof(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	struct sfh_agent *a = ctx;
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return WITH_STEER(a, err, sfh_steer_want_proof(a->steer, &key, on, err));
}

static int probe(void *ctx, const struct sfh_pair *p)
{
	struct sfh_agent *a = ctx;
	static const struct sfh_mac standby = { SFH_PROBE_MAC };
	uint8_t arp[SFH_PROBE_FRAME_LEN], ns[SFH_PROBE_NS_LEN];
	const struct sfh_mac *answer_to[2] = { NULL, &standby };
	struct sfh_pair_view v;
	struct sfh_link pf;
	int r = sfh_agent_pair_view(a, p, &v);

	if (r == 0)
		r = sfh_nl_link_get(a->nl, p->pf, &pf, NULL);
	if (r < 0)
		return r;
	answer_to[0] = &pf.mac;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(answer_to) && r == 0; i++) {
		if (v.ip4) {
			sfh_probe_frame(arp, &p->mac, &pf.mac, answer_to[i], SFH_PARK_VLAN, v.ip4);
			r = sfh_probe_send(a->probe_fd, p->pf_ifindex, arp, sizeof(arp));
		}
		if (r == 0 && (!v.ip4 || v.ip4_ns < p->negotiated_ns)) { /* it may have another */
			sfh_probe_ns_frame(ns, &p->mac, &pf.mac, answer_to[i], SFH_PARK_VLAN);
			r = sfh_probe_send(a->probe_fd, p->pf_ifindex, ns, sizeof(ns));
		}
	}
	return r;
}

/* libvirt keeps each QEMU's pid there (qemu_driver's stateDir). */
static int can_pin(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	char pidfile[SFH_NAME_MAX + 32];

	(void)ctx;
	(void)snprintf(pidfile, sizeof(pidfile), "/run/libvirt/qemu/%s.pid", p->domain_name);
	return sfh_memory_can_pin("/proc", p->memory_kib, sfh_memory_resident("/proc", pidfile),
				  err);
}

static int pf_mtu(void *ctx, const char *pf)
{
	struct sfh_agent *a = ctx;
	struct sfh_link link;
	int r = sfh_nl_link_get(a->nl, pf, &link, NULL);

	return r < 0 ? r : (int)link.mtu;
}

const struct sfh_kernel_ops sfh_agent_kernel_ops = {
	.vf_list = vf_list,
	.vf_check = vf_check,
	.vf_get = vf_get,
	.vf_set = vf_set,
	.port_able = port_able,
	.port_ask = port_ask,
	.port_answer = port_answer,
	.can_park = can_park,
	.vf_hold = sfh_hold_vf,
	.vf_loose = sfh_loose_vf,
	.standby_find = standby_find,
	.standby_attach = standby_attach,
	.stage = stage,
	.arm = arm,
	.disarm = disarm,
	.on_vf = on_vf,
	.unstage = unstage,
	.filter = filter,
	.filter_also = filter_also,
	.pf_macs = pf_macs,
	.seen = seen,
	.want_proof = want_proof,
	.can_pin = can_pin,
	.pf_mtu = pf_mtu,
	.probe = probe,
	.backlog = sfh_agent_backlog,
	.ask_standby = sfh_agent_ask_standby,
	.warm_begin = sfh_warmer_begin,
	.warm_send = sfh_warmer_send,
	.warm_check = sfh_warmer_check,
	.warm_why = sfh_warmer_why,
	.warm_tell = sfh_warmer_tell,
	.warm_stop = sfh_warmer_stop,
};

unsigned sfh_agent_sweep(struct sfh_agent *a)
{
	unsigned leases = sfh_engine_sweep(&a->engine);
	struct sfh_error err = { 0 };

	if (sfh_fdb_sweep(a->fdb, NULL, NULL, &err) < 0)
		sfh_agent_log(LOG_WARNING, "%s", err.text);
	return leases;
}

/* --- the datapath's own life ------------------------------------------------------------- */

int sfh_agent_steer_open(struct sfh_agent *a, struct sfh_error *err)
{
	struct sfh_steer_config cfg = { .bpffs = a->env.bpffs };
	int r = 0;

	(void)pthread_mutex_lock(&a->steer_lock);
	if (!a->steer)
		r = sfh_steer_open(&cfg, &a->steer, err);
	(void)pthread_mutex_unlock(&a->steer_lock);
	return r;
}

struct collected {
	struct sfh_event events[64];
	size_t n;
};

static int collect(const struct sfh_event *ev, void *ctx)
{
	struct collected *c = ctx;

	c->events[c->n++] = *ev;
	return c->n == SFH_ARRAY_SIZE(c->events) ? -EAGAIN : 0;
}

static enum sfh_pair_event engine_event(uint32_t type)
{
	switch (type) {
	case SFH_EVENT_PROOF:
		return SFH_EV_PROOF;
	case SFH_EVENT_LISTENS:
		return SFH_EV_LISTENS;
	default:
		return SFH_EV_FIRST_FRAME;
	}
}

/* Events are collected first: what the engine does in answer uses the datapath. */
static int on_steer_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_agent *a = userdata;
	struct collected c = { .n = 0 };

	(void)source;
	(void)fd;
	(void)revents;
	(void)WITH_STEER(a, NULL, sfh_steer_dispatch(a->steer, collect, &c));
	for (size_t i = 0; i < c.n; i++) {
		struct sfh_pair *p = sfh_engine_pair_by_key(&a->engine, &c.events[i].key);

		if (p)
			sfh_agent_log(LOG_DEBUG, "%s: event %u of generation %u, seen on ifindex %u, %llu us ago",
				      p->domain_name, c.events[i].type, c.events[i].generation,
				      c.events[i].ifindex,
				      (unsigned long long)(sfh_now_ns() - c.events[i].ktime_ns) / 1000);
		if (p)
			sfh_pair_dispatch(&a->engine, p, engine_event(c.events[i].type), NULL);
	}
	sfh_agent_rearm(a);
	return 0;
}

int sfh_agent_steer_watch(struct sfh_agent *a)
{
	if (!a->steer || a->steer_source)
		return 0;
	return sd_event_add_io(a->loop, &a->steer_source, sfh_steer_event_fd(a->steer), EPOLLIN,
			       on_steer_events, a);
}

void sfh_agent_steer_drop(struct sfh_agent *a)
{
	struct sfh_error err = { 0 };

	a->steer_source = sd_event_source_disable_unref(a->steer_source);
	sfh_warmer_close(a);
	sfh_agent_inject_close(a);
	(void)pthread_mutex_lock(&a->steer_lock);
	if (a->steer && sfh_steer_remove_pins(a->steer, &err) < 0)
		sfh_agent_log(LOG_ERR, "%s", err.text);
	sfh_steer_close(&a->steer);
	(void)pthread_mutex_unlock(&a->steer_lock);
}
