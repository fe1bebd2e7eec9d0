// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/netlink-internal.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/sriov.h>
#include <netlink/route/link/vlan.h>
#include <stdio.h>
#include <string.h>

struct sfh_nl {
	struct nl_sock *sock;
};

static void link_putp(struct rtnl_link **link)
{
	if (*link)
		rtnl_link_put(*link);
}

static void msg_freep(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

static void sock_freep(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static void cache_freep(struct nl_cache **cache)
{
	if (*cache)
		nl_cache_free(*cache);
}

int sfh_nl_errno(int nlerr)
{
	switch (-nlerr) {
	case NLE_SUCCESS:
		return 0;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND:
		return -ENODEV;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_INVAL:
	case NLE_RANGE:
		return -EINVAL;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_PROTO_MISMATCH: /* what libnl makes of it */
		return -EPROTONOSUPPORT;
	default:
		return -EIO;
	}
}

int sfh_nl_open(struct sfh_nl **ret, struct sfh_error *err)
{
	struct sfh_nl *nl = calloc(1, sizeof(*nl));
	int r;

	if (!nl)
		return sfh_err(err, -ENOMEM, "out of memory");
	nl->sock = nl_socket_alloc();
	r = nl->sock ? nl_connect(nl->sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (r < 0) {
		sfh_nl_close(&nl);
		return sfh_err(err, sfh_nl_errno(r), "cannot open rtnetlink: %s", nl_geterror(r));
	}
	/* 127 VFs make an answer longer than libnl's default buffer. */
	nl_socket_enable_msg_peek(nl->sock);
	*ret = nl;
	return 0;
}

void sfh_nl_close(struct sfh_nl **nl)
{
	if (!*nl)
		return;
	nl_socket_free((*nl)->sock);
	free(*nl);
	*nl = NULL;
}

/* libnl hands the kernel's big-endian ethertype through, but says
 * ETH_P_8021Q in host order where the kernel says nothing. */
static uint16_t vlan_proto(uint16_t v)
{
	if (v == htons(ETH_P_8021Q) || v == htons(ETH_P_8021AD))
		v = ntohs(v);
	return v ? v : ETH_P_8021Q;
}

static void fill_vf(struct rtnl_link_vf *info, struct sfh_vf_config *ret)
{
	struct nl_addr *addr;
	struct nl_vf_rate rate;
	nl_vf_vlans_t *vlans;
	uint32_t v;

	*ret = (struct sfh_vf_config){ 0 };
	if (rtnl_link_vf_get_addr(info, &addr) == 0 && nl_addr_get_len(addr) == 6) {
		memcpy(ret->mac.b, nl_addr_get_binary_addr(addr), 6);
		ret->known |= SFH_VF_MAC;
	}
	if (rtnl_link_vf_get_vlans(info, &vlans) == 0) {
		if (vlans->size > 0) {
			ret->vlan = (uint16_t)vlans->vlans[0].vf_vlan;
			ret->qos = (uint8_t)vlans->vlans[0].vf_vlan_qos;
			ret->proto = vlan_proto(vlans->vlans[0].vf_vlan_proto);
			ret->known |= SFH_VF_VLAN | SFH_VF_QOS | SFH_VF_PROTO;
		}
		rtnl_link_vf_vlan_put(vlans);
	}
	if (rtnl_link_vf_get_spoofchk(info, &v) == 0) {
		ret->spoofchk = v != 0;
		ret->known |= SFH_VF_SPOOFCHK;
	}
	if (rtnl_link_vf_get_trust(info, &v) == 0) {
		ret->trust = v != 0;
		ret->known |= SFH_VF_TRUST;
	}
	if (rtnl_link_vf_get_linkstate(info, &v) == 0) {
		ret->link_state = v;
		ret->known |= SFH_VF_LINK_STATE;
	}
	/* The kernel always tells; libnl leaves out a rate that is 0 (no limit). */
	ret->known |= SFH_VF_RATE;
	if (rtnl_link_vf_get_rate(info, &rate) == 0 && rate.api == RTNL_LINK_VF_RATE_API_NEW) {
		ret->min_tx = rate.min_tx_rate;
		ret->max_tx = rate.max_tx_rate;
	}
}

int sfh_nl_vf_get(struct sfh_nl *nl, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		  struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = NULL;
	struct rtnl_link_vf *info;
	uint32_t count = 0;
	int r = rtnl_link_get_kernel(nl->sock, pf_ifindex, NULL, &link);

	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "the PF with ifindex %d is gone: %s", pf_ifindex,
			       nl_geterror(r));
	info = rtnl_link_vf_get(link, vf);
	*ret = (struct sfh_vf_config){ 0 };
	if (!info && rtnl_link_get_num_vf(link, &count) == 0 && vf < count)
		return 0;
	if (!info)
		return sfh_err(err, -ENODEV, "'%s' has no VF %u", rtnl_link_get_name(link), vf);
	fill_vf(info, ret);
	rtnl_link_vf_put(info);
	return 0;
}

int sfh_nl_vf_list(struct sfh_nl *nl, int pf_ifindex, struct sfh_vf_config *cfgs, unsigned n,
		   struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = NULL;
	int r = rtnl_link_get_kernel(nl->sock, pf_ifindex, NULL, &link);

	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "the PF with ifindex %d is gone: %s", pf_ifindex,
			       nl_geterror(r));
	for (unsigned i = 0; i < n; i++) {
		struct rtnl_link_vf *info = rtnl_link_vf_get(link, i);

		if (!info)
			return (int)i;
		fill_vf(info, &cfgs[i]);
		rtnl_link_vf_put(info);
	}
	return (int)n;
}

int sfh_nl_talk(struct sfh_nl *nl, struct nl_msg *msg)
{
	int r = nl_send_auto(nl->sock, msg);

	return sfh_nl_errno(r < 0 ? r : nl_wait_for_ack(nl->sock));
}

struct nl_msg *sfh_nl_setlink_msg(int ifindex)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_SETLINK, 0);

	if (msg && nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* IFLA_VF_VLAN knows no ethertype; IFLA_VF_VLAN_LIST does, since Linux 4.9. */
static int put_vlan(struct nl_msg *msg, unsigned vf, unsigned what, const struct sfh_vf_config *cfg)
{
	uint32_t qos = what & SFH_VF_QOS ? cfg->qos : 0;
	struct ifla_vf_vlan v = { .vf = vf, .vlan = cfg->vlan, .qos = qos };
	struct ifla_vf_vlan_info info = { .vf = vf,
					  .vlan = cfg->vlan,
					  .qos = qos,
					  .vlan_proto = htons(cfg->proto ? cfg->proto
									 : ETH_P_8021Q) };
	struct nlattr *list;

	if (!(what & SFH_VF_PROTO))
		return nla_put(msg, IFLA_VF_VLAN, sizeof(v), &v);
	list = nla_nest_start(msg, IFLA_VF_VLAN_LIST);
	if (!list || nla_put(msg, IFLA_VF_VLAN_INFO, sizeof(info), &info) < 0)
		return -NLE_NOMEM;
	return nla_nest_end(msg, list);
}

static int put_settings(struct nl_msg *msg, unsigned vf, unsigned what,
			const struct sfh_vf_config *cfg)
{
	struct ifla_vf_mac mac = { .vf = vf };
	struct ifla_vf_trust trust = { .vf = vf, .setting = cfg->trust };
	struct ifla_vf_spoofchk spoofchk = { .vf = vf, .setting = cfg->spoofchk };
	struct ifla_vf_link_state state = { .vf = vf, .link_state = cfg->link_state };
	struct ifla_vf_rate rate = { .vf = vf,
				     .min_tx_rate = cfg->min_tx,
				     .max_tx_rate = cfg->max_tx };
	int r = 0;

	memcpy(mac.mac, cfg->mac.b, 6);
	if (what & SFH_VF_MAC)
		r = nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	if (r == 0 && (what & SFH_VF_VLAN))
		r = put_vlan(msg, vf, what, cfg);
	if (r == 0 && (what & SFH_VF_TRUST))
		r = nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	if (r == 0 && (what & SFH_VF_SPOOFCHK))
		r = nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoofchk), &spoofchk);
	if (r == 0 && (what & SFH_VF_LINK_STATE))
		r = nla_put(msg, IFLA_VF_LINK_STATE, sizeof(state), &state);
	if (r == 0 && (what & SFH_VF_RATE))
		r = nla_put(msg, IFLA_VF_RATE, sizeof(rate), &rate);
	return r;
}

struct nl_msg *sfh_nl_vf_msg(int pf_ifindex, unsigned vf, unsigned what,
			     const struct sfh_vf_config *cfg)
{
	_cleanup_(msg_freep) struct nl_msg *msg = sfh_nl_setlink_msg(pf_ifindex);
	struct nlattr *list, *info;

	if (!msg || !(list = nla_nest_start(msg, IFLA_VFINFO_LIST)) ||
	    !(info = nla_nest_start(msg, IFLA_VF_INFO)) || put_settings(msg, vf, what, cfg) < 0)
		return NULL;
	nla_nest_end(msg, info);
	nla_nest_end(msg, list);
	return TAKE_PTR(msg);
}

/* "MAC 52:…, VLAN 42 and trust on": the settings of one message. */
static void describe(unsigned what, const struct sfh_vf_config *cfg, char *buf, size_t n)
{
	static const char *const states[] = { "auto", "enable", "disable" };
	char parts[6][48], mac[SFH_MAC_STRLEN];
	size_t count = 0, len = 0;

	if (what & SFH_VF_MAC)
		(void)snprintf(parts[count++], sizeof(parts[0]), "MAC %s",
			       sfh_mac_format(&cfg->mac, mac));
	if (what & SFH_VF_VLAN) {
		int m = snprintf(parts[count], sizeof(parts[0]), "VLAN %u", cfg->vlan);

		if (what & SFH_VF_QOS)
			m += snprintf(parts[count] + m, sizeof(parts[0]) - (size_t)m, " QoS %u",
				      cfg->qos);
		if ((what & SFH_VF_PROTO) && cfg->proto == ETH_P_8021AD)
			(void)snprintf(parts[count] + m, sizeof(parts[0]) - (size_t)m, " 802.1ad");
		count++;
	}
	if (what & SFH_VF_TRUST)
		(void)snprintf(parts[count++], sizeof(parts[0]), "trust %s",
			       cfg->trust ? "on" : "off");
	if (what & SFH_VF_SPOOFCHK)
		(void)snprintf(parts[count++], sizeof(parts[0]), "spoofchk %s",
			       cfg->spoofchk ? "on" : "off");
	if (what & SFH_VF_LINK_STATE)
		(void)snprintf(parts[count++], sizeof(parts[0]), "link-state %s",
			       cfg->link_state < SFH_ARRAY_SIZE(states) ? states[cfg->link_state]
									: "?");
	if (what & SFH_VF_RATE)
		(void)snprintf(parts[count++], sizeof(parts[0]), "rate %u to %u Mbit/s",
			       cfg->min_tx, cfg->max_tx);
	buf[0] = '\0';
	for (size_t i = 0; i < count && len < n; i++)
		len += (size_t)snprintf(buf + len, n - len, "%s%s", i ? ", " : "", parts[i]);
}

int sfh_nl_vf_set(struct sfh_nl *nl, int pf_ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	_cleanup_(msg_freep) struct nl_msg *msg = sfh_nl_vf_msg(pf_ifindex, vf, what, cfg);
	char text[256];
	int r;

	if (!msg)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_nl_talk(nl, msg);
	if (r == 0)
		return 0;
	describe(what, cfg, text, sizeof(text));
	return sfh_err(err, r, "the PF's driver refused %s for VF %u: %s", text, vf,
		       strerrordesc_np(-r));
}

static void fill_link(struct rtnl_link *link, struct sfh_link *ret)
{
	const char *kind = rtnl_link_get_type(link);
	struct nl_addr *addr = rtnl_link_get_addr(link);

	*ret = (struct sfh_link){
		.ifindex = rtnl_link_get_ifindex(link),
		.up = rtnl_link_get_flags(link) & IFF_UP,
		.carrier = rtnl_link_get_flags(link) & IFF_LOWER_UP,
		.mtu = rtnl_link_get_mtu(link),
		.lower = rtnl_link_get_link(link),
		.master = rtnl_link_get_master(link),
	};
	(void)sfh_strcpy(ret->name, sizeof(ret->name), rtnl_link_get_name(link));
	(void)sfh_strcpy(ret->kind, sizeof(ret->kind), kind ? kind : "");
	if (addr && nl_addr_get_len(addr) == 6)
		memcpy(ret->mac.b, nl_addr_get_binary_addr(addr), 6);
}

int sfh_nl_link_get(struct sfh_nl *nl, const char *name, struct sfh_link *ret,
		    struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = NULL;
	int r = rtnl_link_get_kernel(nl->sock, 0, name, &link);

	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "there is no network device '%s'", name);
	fill_link(link, ret);
	return 0;
}

int sfh_nl_link_set_up(struct sfh_nl *nl, int ifindex, bool up, struct sfh_error *err)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC,
				 .ifi_index = ifindex,
				 .ifi_flags = up ? IFF_UP : 0,
				 .ifi_change = IFF_UP };
	_cleanup_(msg_freep) struct nl_msg *msg = nlmsg_alloc_simple(RTM_SETLINK, 0);
	int r = -ENOMEM;

	if (msg && nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) == 0)
		r = sfh_nl_talk(nl, msg);
	return r < 0 ? sfh_err(err, r, "cannot set the link %s: %s", up ? "up" : "down",
			       strerrordesc_np(-r))
		     : 0;
}

int sfh_nl_link_set_master(struct sfh_nl *nl, int ifindex, int master, struct sfh_error *err)
{
	_cleanup_(msg_freep) struct nl_msg *msg = sfh_nl_setlink_msg(ifindex);
	int r = -ENOMEM;

	if (msg && nla_put_u32(msg, IFLA_MASTER, (uint32_t)master) == 0)
		r = sfh_nl_talk(nl, msg);
	return r < 0 ? sfh_err(err, r, "cannot change the bridge of the link: %s",
			       strerrordesc_np(-r))
		     : 0;
}

static int link_add(struct sfh_nl *nl, struct rtnl_link *link, const char *name,
		    struct sfh_error *err)
{
	int r;

	if (!link)
		return sfh_err(err, -ENOMEM, "out of memory");
	rtnl_link_set_name(link, name);
	r = sfh_nl_errno(rtnl_link_add(nl->sock, link, NLM_F_CREATE | NLM_F_EXCL));
	return r < 0 ? sfh_err(err, r, "cannot create the link '%s': %s", name, strerrordesc_np(-r))
		     : 0;
}

int sfh_nl_bridge_add(struct sfh_nl *nl, const char *name, struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = rtnl_link_bridge_alloc();

	return link_add(nl, link, name, err);
}

int sfh_nl_vlan_add_proto(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
			  uint16_t proto, struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = rtnl_link_vlan_alloc();

	if (link) {
		rtnl_link_set_link(link, lower);
		rtnl_link_vlan_set_id(link, vid);
		if (proto)
			rtnl_link_vlan_set_protocol(link, htons(proto));
	}
	return link_add(nl, link, name, err);
}

int sfh_nl_vlan_add(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
		    struct sfh_error *err)
{
	return sfh_nl_vlan_add_proto(nl, name, lower, vid, 0, err);
}

int sfh_nl_bridge_vlan_add(struct sfh_nl *nl, int port, uint16_t vid, struct sfh_error *err)
{
	struct bridge_vlan_info info = { .vid = vid };
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = port };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK);
	struct nlattr *spec = NULL;
	int r = -ENOMEM;

	if (msg && nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) == 0)
		spec = nla_nest_start(msg, IFLA_AF_SPEC);
	if (spec && nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info) == 0) {
		(void)nla_nest_end(msg, spec);
		r = sfh_nl_errno(nl_send_sync(nl->sock, msg)); /* frees it */
		msg = NULL;
	}
	nlmsg_free(msg);
	return r < 0 ? sfh_err(err, r, "cannot make ifindex %d a member of VLAN %u: %s", port, vid,
			       strerrordesc_np(-r))
		     : 0;
}

int sfh_nl_link_del(struct sfh_nl *nl, const char *name, struct sfh_error *err)
{
	_cleanup_(link_putp) struct rtnl_link *link = rtnl_link_alloc();
	int r;

	if (!link)
		return sfh_err(err, -ENOMEM, "out of memory");
	rtnl_link_set_name(link, name);
	r = sfh_nl_errno(rtnl_link_delete(nl->sock, link));
	if (r < 0 && r != -ENODEV)
		return sfh_err(err, r, "cannot delete the link '%s': %s", name, strerrordesc_np(-r));
	return 0;
}

int sfh_nl_addr_counts(struct sfh_nl *nl, const int *ifindex, unsigned *ret, size_t n,
		       struct sfh_error *err)
{
	_cleanup_(cache_freep) struct nl_cache *cache = NULL;
	int r = rtnl_addr_alloc_cache(nl->sock, &cache);

	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "cannot list addresses: %s", nl_geterror(r));
	memset(ret, 0, n * sizeof(*ret));
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;

		if (rtnl_addr_get_scope(a) == RT_SCOPE_LINK)
			continue;
		for (size_t i = 0; i < n; i++)
			ret[i] += rtnl_addr_get_ifindex(a) == ifindex[i];
	}
	return 0;
}

int sfh_nl_addr_count(struct sfh_nl *nl, int ifindex, unsigned *ret, struct sfh_error *err)
{
	return sfh_nl_addr_counts(nl, &ifindex, ret, 1, err);
}

int sfh_nl_ports(struct sfh_nl *nl, int master, struct sfh_link *ports, size_t n,
		 struct sfh_error *err)
{
	_cleanup_(cache_freep) struct nl_cache *cache = NULL;
	int r = rtnl_link_alloc_cache(nl->sock, AF_UNSPEC, &cache), found = 0;

	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "cannot list links: %s", nl_geterror(r));
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;

		if (rtnl_link_get_master(link) == master && (size_t)found < n)
			fill_link(link, &ports[found++]);
	}
	return found;
}

/* --- the device's own filter -------------------------------------------------------------- */

/* libnl's error numbers do not tell "no room" from other failures: the kernel's do. */
static int keep_errno(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	(void)who;
	*(int *)arg = e->error;
	return NL_STOP;
}

static struct nl_msg *fdb_msg(int ifindex, const struct sfh_mac *mac, bool there)
{
	struct ndmsg ndm = { .ndm_family = AF_BRIDGE,
			     .ndm_ifindex = ifindex,
			     .ndm_state = NUD_PERMANENT,
			     .ndm_flags = NTF_SELF };
	_cleanup_(msg_freep) struct nl_msg *msg =
		nlmsg_alloc_simple(there ? RTM_NEWNEIGH : RTM_DELNEIGH,
				   there ? NLM_F_CREATE | NLM_F_EXCL : 0);

	if (!msg || nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, NDA_LLADDR, sizeof(mac->b), mac->b) < 0)
		return NULL;
	return TAKE_PTR(msg);
}

int sfh_nl_fdb_set(struct sfh_nl *nl, int ifindex, const struct sfh_mac *mac, bool there)
{
	_cleanup_(msg_freep) struct nl_msg *msg = fdb_msg(ifindex, mac, there);
	int code = 0, r;

	if (!msg)
		return -ENOMEM;
	(void)nl_socket_modify_err_cb(nl->sock, NL_CB_CUSTOM, keep_errno, &code);
	r = sfh_nl_talk(nl, msg);
	(void)nl_socket_modify_err_cb(nl->sock, NL_CB_DEFAULT, NULL, NULL);
	return code < 0 ? code : r;
}

struct fdb_walk {
	int ifindex;
	int (*cb)(void *ctx, const struct sfh_mac *mac);
	void *ctx;
	int result;
};

static int on_fdb(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct ndmsg *ndm = nlmsg_data(h);
	struct fdb_walk *w = arg;
	struct sfh_mac mac;
	struct nlattr *addr;

	if (h->nlmsg_type != RTM_NEWNEIGH || !nlmsg_valid_hdr(h, sizeof(*ndm)) ||
	    ndm->ndm_ifindex != w->ifindex || !(ndm->ndm_flags & NTF_SELF) || w->result)
		return NL_OK;
	addr = nlmsg_find_attr(h, sizeof(*ndm), NDA_LLADDR);
	if (!addr || nla_len(addr) != sizeof(mac.b))
		return NL_OK;
	memcpy(mac.b, nla_data(addr), sizeof(mac.b));
	w->result = w->cb(w->ctx, &mac);
	return NL_OK;
}

/* The header is a link's, not a neighbour's: so the kernel filters by device in all
 * versions (rtnl_fdb_dump). */
int sfh_nl_fdb_list(int ifindex, int (*cb)(void *ctx, const struct sfh_mac *mac), void *ctx)
{
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct fdb_walk w = { .ifindex = ifindex, .cb = cb, .ctx = ctx };
	_cleanup_(sock_freep) struct nl_sock *sock = nl_socket_alloc();
	int r = -NLE_DUMP_INTR;

	/* A socket of its own: the callback of the other one stays what it is. */
	if (!sock)
		return -ENOMEM;
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r < 0)
		return sfh_nl_errno(r);
	(void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_fdb, &w);
	if (nl_send_simple(sock, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, &ifi, sizeof(ifi)) < 0)
		return -EIO;
	r = nl_recvmsgs_default(sock);
	return r < 0 && r != -NLE_DUMP_INTR ? sfh_nl_errno(r) : w.result;
}
