// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices: our programs at tcx (steer_tcx.c), or as filters on a clsact where the kernel
 * has none; steer_xdp.c has XDP. sfh_ports remembers across restarts what we changed on a
 * device. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* Where our filter sits in a clsact: after a host's own filters with a small
 * number, before those that let tc choose (49152 and below). */
#define SFH_TC_PRIORITY 1000
#define SFH_TC_HANDLE	0x5f48

/* --- what rtnetlink knows ------------------------------------------------------------ */

static void nl_socketp(struct nl_sock **p)
{
	nl_socket_free(*p);
	*p = NULL;
}

struct tc_question {
	uint32_t ifindex;
	char kind[16];	      /* of the qdisc on the ingress side, "" if none */
	unsigned int filters; /* how many */
	bool place_taken;     /* one of them has our priority and handle, */
	uint32_t prog_id;     /* and this program, or 0 */
};

static int on_qdisc(struct nl_msg *msg, void *ctx)
{
	const struct tcmsg *tcm = nlmsg_data(nlmsg_hdr(msg));
	struct tc_question *q = ctx;
	struct nlattr *kind;

	/* The kernel answers with the qdiscs of every device. */
	if (tcm->tcm_ifindex != (int)q->ifindex || tcm->tcm_parent != TC_H_INGRESS)
		return NL_OK;
	kind = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct tcmsg), TCA_KIND);
	if (kind)
		(void)nla_strlcpy(q->kind, kind, sizeof(q->kind));
	return NL_OK;
}

static int on_filter(struct nl_msg *msg, void *ctx)
{
	const struct tcmsg *tcm = nlmsg_data(nlmsg_hdr(msg));
	struct tc_question *q = ctx;
	struct nlattr *opts, *id;

	q->filters++;
	if (tcm->tcm_handle != SFH_TC_HANDLE || TC_H_MAJ(tcm->tcm_info) >> 16 != SFH_TC_PRIORITY)
		return NL_OK;
	q->place_taken = true;
	opts = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(*tcm), TCA_OPTIONS);
	id = opts ? nla_find(nla_data(opts), nla_len(opts), TCA_BPF_ID) : NULL;
	if (id)
		q->prog_id = nla_get_u32(id);
	return NL_OK;
}

/* Asks for a dump; what the kernel refuses (no such device) has no answers. */
static int tc_dump(int type, uint32_t parent, nl_recvmsg_msg_cb_t cb, struct tc_question *q)
{
	_cleanup_(nl_socketp) struct nl_sock *sock = nl_socket_alloc();
	struct tcmsg tcm = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)q->ifindex,
		.tcm_parent = parent,
	};
	int r = -NLE_DUMP_INTR;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) < 0)
		return -EIO;
	(void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, cb, q);
	/* Somebody else's change in the middle may have hidden an entry. */
	for (int i = 0; i < 5 && r == -NLE_DUMP_INTR; i++) {
		if (nl_send_simple(sock, type, NLM_F_REQUEST | NLM_F_DUMP, &tcm, sizeof(tcm)) < 0)
			return -EIO;
		r = nl_recvmsgs_default(sock);
	}
	return r == -NLE_DUMP_INTR ? -EAGAIN : 0;
}

/* What occupies the place that clsact and ingress share: "clsact", "ingress", "". */
static int ingress_qdisc(uint32_t ifindex, char kind[16])
{
	struct tc_question q = { .ifindex = ifindex };
	int r = tc_dump(RTM_GETQDISC, 0, on_qdisc, &q);

	memcpy(kind, q.kind, sizeof(q.kind));
	return r;
}

static uint32_t parent_of(enum bpf_tc_attach_point at)
{
	return TC_H_MAKE(TC_H_CLSACT, at == BPF_TC_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

/* Filters of anybody on both sides of a clsact. */
static int count_filters(uint32_t ifindex, unsigned int *ret)
{
	const uint32_t parents[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				     TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) };

	struct tc_question q = { .ifindex = ifindex };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(parents); i++) {
		int r = tc_dump(RTM_GETTFILTER, parents[i], on_filter, &q);

		if (r < 0)
			return r;
	}
	*ret = q.filters;
	return 0;
}

static bool device_exists(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	return if_indextoname(ifindex, name) != NULL;
}

/* --- our filter --------------------------------------------------------------------- */

/* libbpf refuses structs whose padding is not 0, and an initializer promises
 * nothing about padding: hence memset. */
static void hook_init(struct bpf_tc_hook *hook, uint32_t ifindex, unsigned int at)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = (int)ifindex;
	hook->attach_point = at;
}

static void our_place(struct bpf_tc_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	opts->sz = sizeof(*opts);
	opts->handle = SFH_TC_HANDLE;
	opts->priority = SFH_TC_PRIORITY;
}

enum whose { WHOSE_NOBODYS, WHOSE_OURS, WHOSE_FOREIGN };

/* Who has our priority and handle? */
static enum whose filter_there(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	struct tc_question q = { .ifindex = ifindex };
	_cleanup_close_ int fd = -1;

	if (tc_dump(RTM_GETTFILTER, parent_of(at), on_filter, &q) == 0 && !q.place_taken)
		return WHOSE_NOBODYS;
	fd = q.prog_id ? sfh_steer_our_prog(q.prog_id) : -ENOENT;
	return fd >= 0 ? WHOSE_OURS : WHOSE_FOREIGN;
}

static int filter_attach(uint32_t ifindex, enum bpf_tc_attach_point at, int prog,
			 struct sfh_error *err)
{
	struct bpf_tc_opts opts;
	struct bpf_tc_hook hook;
	const char *side = at == BPF_TC_INGRESS ? "ingress" : "egress", *said;
	char name[32];
	int r;

	our_place(&opts);
	opts.prog_fd = prog;
	opts.flags = BPF_TC_F_REPLACE;
	hook_init(&hook, ifindex, at);
	if (filter_there(ifindex, at) == WHOSE_FOREIGN)
		return sfh_err(err, -EEXIST,
			       "somebody else's tc filter has priority %d, handle %#x on %s of %s: "
			       "move it",
			       SFH_TC_PRIORITY, SFH_TC_HANDLE, side,
			       sfh_steer_ifname(ifindex, name));
	(void)sfh_steer_libbpf_says();
	r = bpf_tc_attach(&hook, &opts);
	if (r < 0) {
		said = sfh_steer_libbpf_says();
		return sfh_err(err, r, "cannot attach to tc %s of %s: %s%s%s%s", side,
			       sfh_steer_ifname(ifindex, name), strerror(-r), said[0] ? " (" : "",
			       said, said[0] ? ")" : "");
	}
	return 0;
}

static int filter_detach(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	struct bpf_tc_opts opts;
	struct bpf_tc_hook hook;

	our_place(&opts);
	hook_init(&hook, ifindex, at);
	if (filter_there(ifindex, at) != WHOSE_OURS)
		return 0;
	return bpf_tc_detach(&hook, &opts);
}

/* --- either ------------------------------------------------------------------------------ */

/* What has our filters keeps them, and what has them not gets none where there is tcx: a
 * program in both places would see each frame twice. */
static bool takes_tcx(const struct sfh_steer *s, uint32_t ifindex)
{
	return s->tcx && filter_there(ifindex, BPF_TC_INGRESS) != WHOSE_OURS &&
	       filter_there(ifindex, BPF_TC_EGRESS) != WHOSE_OURS;
}

static int hook_attach(uint32_t ifindex, enum bpf_tc_attach_point at, bool tcx, int prog,
		       struct sfh_error *err)
{
	return tcx ? sfh_steer_tcx_attach(ifindex, at, prog, err) : filter_attach(ifindex, at, prog, err);
}

static int hook_detach(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	int first = sfh_steer_tcx_detach(ifindex, at), r = filter_detach(ifindex, at);

	return first ? first : r;
}

static bool hook_is_ours(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	return sfh_steer_tcx_has_ours(ifindex, at) || filter_there(ifindex, at) == WHOSE_OURS;
}

/* --- sfh_ports ------------------------------------------------------------------------ */

static int port_read(const struct sfh_steer *s, uint32_t ifindex, struct sfh_port *port)
{
	return bpf_map_lookup_elem(s->map[SFH_MAP_PORTS], &ifindex, port) < 0 ? -errno : 0;
}

static int port_write(struct sfh_steer *s, uint32_t ifindex, const struct sfh_port *port,
		      struct sfh_error *err)
{
	char name[32];

	if (bpf_map_update_elem(s->map[SFH_MAP_PORTS], &ifindex, port, BPF_ANY) == 0)
		return 0;
	return sfh_err(err, -errno, "cannot note that %s is ours: %s",
		       sfh_steer_ifname(ifindex, name), strerror(errno));
}

static int port_forget(struct sfh_steer *s, uint32_t ifindex)
{
	return bpf_map_delete_elem(s->map[SFH_MAP_PORTS], &ifindex) < 0 && errno != ENOENT ?
		       -errno :
		       0;
}

int sfh_steer_foreach_port(struct sfh_steer *s,
			   int (*cb)(uint32_t ifindex, const struct sfh_port *port, void *ctx),
			   void *ctx)
{
	uint32_t key, next;
	uint64_t limit = 2ull * SFH_MAX_PORTS;
	int first = 0, more = bpf_map_get_next_key(s->map[SFH_MAP_PORTS], NULL, &next);

	while (more == 0 && limit-- && first == 0) {
		struct sfh_port port;

		key = next;
		more = bpf_map_get_next_key(s->map[SFH_MAP_PORTS], &key, &next);
		if (port_read(s, key, &port) == 0)
			first = cb(key, &port, ctx);
	}
	return first;
}

/* --- clsact ------------------------------------------------------------------------------ */

/* Makes a clsact if there is none. *kind: what there is afterwards. The note that
 * it is ours is written before the deed: after a crash in between we may remove
 * an empty qdisc of somebody else, but leave none of ours behind. */
static int clsact_ensure(struct sfh_steer *s, uint32_t ifindex, struct sfh_port *port,
			 char kind[16], struct sfh_error *err)
{
	struct bpf_tc_hook hook;
	char name[32];
	int r = ingress_qdisc(ifindex, kind);

	if (r < 0)
		return sfh_err(err, r, "cannot ask for the qdiscs of %s",
			       sfh_steer_ifname(ifindex, name));
	if (kind[0]) {
		/* Pins were lost, our filter was not: then the qdisc was ours, too. */
		if (filter_there(ifindex, BPF_TC_INGRESS) == WHOSE_OURS && !port->role &&
		    strcmp(kind, "clsact") == 0)
			port->flags |= SFH_PORT_CLSACT_OURS;
		return 0;
	}
	port->flags |= SFH_PORT_CLSACT_OURS;
	r = port_write(s, ifindex, port, err);
	if (r < 0)
		return r;
	hook_init(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	r = bpf_tc_hook_create(&hook);
	if (r < 0) {
		port->flags &= ~(uint32_t)SFH_PORT_CLSACT_OURS;
		return sfh_err(err, r, "cannot add a clsact qdisc to %s: %s",
			       sfh_steer_ifname(ifindex, name), strerror(-r));
	}
	memcpy(kind, "clsact", 7);
	return 0;
}

static int clsact_release(uint32_t ifindex, const struct sfh_port *port)
{
	struct bpf_tc_hook hook;
	unsigned int filters;
	char kind[16];
	int r;

	if (!(port->flags & SFH_PORT_CLSACT_OURS))
		return 0;
	r = ingress_qdisc(ifindex, kind);
	if (r < 0 || strcmp(kind, "clsact") != 0)
		return r;
	r = count_filters(ifindex, &filters);
	if (r < 0 || filters)
		return r;
	hook_init(&hook, ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	r = bpf_tc_hook_destroy(&hook);
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* --- RX VLAN stripping ------------------------------------------------------------------ */

static int ethtool_flags(uint32_t ifindex, uint32_t cmd, uint32_t *flags)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_value ev = { .cmd = cmd, .data = *flags };
	struct ifreq ifr = { .ifr_data = (char *)&ev };

	if (fd < 0)
		return -errno;
	if (!if_indextoname(ifindex, ifr.ifr_name))
		return -ENODEV;
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return -errno;
	*flags = ev.data;
	return 0;
}

/* Returns 1 if the setting was changed. */
static int rxvlan_set(uint32_t ifindex, bool on)
{
	uint32_t flags = 0, want;
	int r = ethtool_flags(ifindex, ETHTOOL_GFLAGS, &flags);

	if (r < 0)
		return r == -EOPNOTSUPP ? 0 : r;
	want = on ? flags | ETH_FLAG_RXVLAN : flags & ~(uint32_t)ETH_FLAG_RXVLAN;
	if (want == flags)
		return 0;
	r = ethtool_flags(ifindex, ETHTOOL_SFLAGS, &want);
	if (r < 0)
		return r;
	r = ethtool_flags(ifindex, ETHTOOL_GFLAGS, &flags);
	return r < 0 ? r : !!(flags & ETH_FLAG_RXVLAN) == on ? 1 : -EOPNOTSUPP;
}

/* --- XDP --------------------------------------------------------------------------------- */

/* Native XDP, unless it is there: then only this build's program is put in place. */
static void xdp_attach(struct sfh_steer *s, uint32_t ifindex, struct sfh_port *port,
		       struct sfh_steer_pf_info *info)
{
	int r;

	if (sfh_steer_xdp_keep(s, ifindex, info))
		return;
	r = rxvlan_set(ifindex, false);
	if (r < 0) {
		info->xdp_error = r;
		(void)snprintf(info->xdp_why, sizeof(info->xdp_why),
			       "cannot switch RX VLAN stripping off: %s", strerror(-r));
		return;
	}
	if (r > 0)
		port->flags |= SFH_PORT_RXVLAN_WAS_ON;
	r = port_write(s, ifindex, port, NULL);
	if (r == 0)
		r = sfh_steer_xdp_attach(s, ifindex, info);
	info->xdp_error = r;
	if (r < 0 && (port->flags & SFH_PORT_RXVLAN_WAS_ON)) {
		(void)rxvlan_set(ifindex, true);
		port->flags &= ~(uint32_t)SFH_PORT_RXVLAN_WAS_ON;
	}
}

/* --- attach and detach --------------------------------------------------------------------- */

static int start(struct sfh_steer *s, uint32_t ifindex, struct sfh_port *port,
		 struct sfh_error *err)
{
	int r = sfh_steer_writable(s, err);

	if (r < 0)
		return r;
	if (!ifindex || !device_exists(ifindex))
		return sfh_err(err, -ENODEV, "there is no device with ifindex %u", ifindex);
	*port = (struct sfh_port){};
	(void)port_read(s, ifindex, port);
	return 0;
}

static int detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err)
{
	struct sfh_port port = {};
	char name[32];
	int r = sfh_steer_writable(s, err), first = 0;

	if (r < 0)
		return r;
	r = port_read(s, ifindex, &port);
	if (r == -ENOENT || port.role == SFH_PORT_PF)
		first = sfh_steer_xdp_detach(s, ifindex);
	if (r == -ENOENT)
		return first;
	if (device_exists(ifindex)) {
		r = hook_detach(ifindex, BPF_TC_INGRESS);
		first = first ? first : r;
		r = hook_detach(ifindex, BPF_TC_EGRESS);
		first = first ? first : r;
		r = clsact_release(ifindex, &port);
		first = first ? first : r;
		if (port.flags & SFH_PORT_RXVLAN_WAS_ON) {
			r = rxvlan_set(ifindex, true);
			first = first ? first : r < 0 ? r : 0;
		}
		/* Whatever failed because the device went away meanwhile is done. */
		if (first && !device_exists(ifindex))
			first = 0;
	}
	if (first < 0)
		return sfh_err(err, first, "cannot detach from %s: %s",
			       sfh_steer_ifname(ifindex, name), strerror(-first));
	return port_forget(s, ifindex);
}

/* Attaching failed: leave the device as it was, unless it was attached before. */
static int give_up(struct sfh_steer *s, uint32_t ifindex, bool was_attached, int code)
{
	if (!was_attached)
		(void)detach(s, ifindex, NULL);
	return code;
}

int sfh_steer_pf_attach(struct sfh_steer *s, uint32_t ifindex, bool want_xdp,
			struct sfh_steer_pf_info *ret, struct sfh_error *err)
{
	struct sfh_steer_pf_info info = {};
	struct sfh_port port;
	bool was_attached, tcx;
	char kind[16];
	int r = start(s, ifindex, &port, err);

	if (r < 0)
		return r;
	was_attached = port.role != 0;
	tcx = takes_tcx(s, ifindex);
	if (!tcx)
		r = clsact_ensure(s, ifindex, &port, kind, err);
	port.role = SFH_PORT_PF;
	if (r == 0)
		r = port_write(s, ifindex, &port, err);
	/* Ingress works on libvirt's `ingress` qdisc as well as on clsact. */
	if (r == 0)
		r = hook_attach(ifindex, BPF_TC_INGRESS, tcx, s->prog_pf_tc, err);
	if (r < 0)
		return give_up(s, ifindex, was_attached, r);
	if (want_xdp) {
		xdp_attach(s, ifindex, &port, &info);
		port.flags &= ~(uint32_t)SFH_PORT_XDP;
		if (info.xdp != SFH_XDP_NONE)
			port.flags |= SFH_PORT_XDP;
		r = port_write(s, ifindex, &port, err);
		if (r < 0)
			return give_up(s, ifindex, was_attached, r);
	} else {
		info.xdp = sfh_steer_xdp_look(s, ifindex);
	}
	info.clsact_ours = port.flags & SFH_PORT_CLSACT_OURS;
	if (ret)
		*ret = info;
	return 0;
}

int sfh_steer_pf_detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err)
{
	return detach(s, ifindex, err);
}

int sfh_steer_standby_attach(struct sfh_steer *s, uint32_t ifindex, enum sfh_standby_kind kind,
			     struct sfh_error *err)
{
	/* Seen from the host: a tap receives what the guest sends, a macvtap transmits it. */
	bool tap = kind == SFH_STANDBY_TAP;
	bool macvtap = kind == SFH_STANDBY_MACVTAP || kind == SFH_STANDBY_MACVTAP_VEPA;
	enum bpf_tc_attach_point from = tap ? BPF_TC_INGRESS : BPF_TC_EGRESS;
	enum bpf_tc_attach_point to = tap ? BPF_TC_EGRESS : BPF_TC_INGRESS;
	struct sfh_port port;
	bool was_attached, tcx, both;
	char kind_there[16] = "", name[32];
	int r = start(s, ifindex, &port, err);

	if (r < 0)
		return r;
	if (!tap && !macvtap)
		return sfh_err(err, -EINVAL, "%d is no kind of standby device", (int)kind);
	was_attached = port.role != 0;
	tcx = takes_tcx(s, ifindex);
	if (!tcx)
		r = clsact_ensure(s, ifindex, &port, kind_there, err);
	port.role = SFH_PORT_STANDBY;
	port.standby_kind = (uint8_t)kind;
	if (r == 0)
		r = port_write(s, ifindex, &port, err);
	if (r < 0)
		return give_up(s, ifindex, was_attached, r);
	/* An `ingress` qdisc would take an egress filter, and run it on ingress. */
	both = tcx || strcmp(kind_there, "clsact") == 0;
	if (!both && from == BPF_TC_EGRESS)
		return give_up(s, ifindex, was_attached,
			       sfh_err(err, -EBUSY,
				       "%s has a qdisc `%s` (libvirt's <bandwidth>?) where clsact "
				       "is needed: remove it",
				       sfh_steer_ifname(ifindex, name), kind_there));
	r = hook_attach(ifindex, from, tcx, s->prog_from_guest, err);
	if (r == 0 && (both || to == BPF_TC_INGRESS))
		r = hook_attach(ifindex, to, tcx, s->prog_to_guest, err);
	return r < 0 ? give_up(s, ifindex, was_attached, r) : 0;
}

int sfh_steer_standby_detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err)
{
	return detach(s, ifindex, err);
}

bool sfh_steer_xdp_wanted(const struct sfh_steer *s, uint32_t ifindex)
{
	struct sfh_port port;

	return port_read(s, ifindex, &port) == 0 && port.flags & SFH_PORT_XDP;
}

int sfh_steer_port_check(struct sfh_steer *s, uint32_t ifindex, enum sfh_standby_kind kind,
			 struct sfh_steer_port_state *ret)
{
	bool macvtap = kind == SFH_STANDBY_MACVTAP || kind == SFH_STANDBY_MACVTAP_VEPA;
	enum bpf_tc_attach_point from = macvtap ? BPF_TC_EGRESS : BPF_TC_INGRESS;
	enum bpf_tc_attach_point to = macvtap ? BPF_TC_INGRESS : BPF_TC_EGRESS;

	if (!device_exists(ifindex))
		return -ENODEV;
	ret->from = hook_is_ours(ifindex, from);
	ret->to = hook_is_ours(ifindex, to);
	ret->xdp = sfh_steer_xdp_look(s, ifindex);
	return 0;
}
