// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/linkwatch.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>

struct sfh_linkwatch {
	struct nl_sock *sock;
	void (*cb)(void *ctx, const struct sfh_link *link, bool gone);
	void *ctx;
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct sfh_linkwatch *w = arg;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	const struct ifinfomsg *ifi = nlmsg_data(hdr);
	struct nlattr *name, *mtu;
	struct sfh_link link = { 0 };

	if (hdr->nlmsg_type != RTM_NEWLINK && hdr->nlmsg_type != RTM_DELLINK)
		return NL_OK;
	/* A bridge's report of its port is not the port's own. */
	if (ifi->ifi_family != AF_UNSPEC)
		return NL_OK;
	link.ifindex = ifi->ifi_index;
	link.up = ifi->ifi_flags & IFF_UP;
	link.carrier = ifi->ifi_flags & IFF_LOWER_UP;
	name = nlmsg_find_attr(hdr, sizeof(*ifi), IFLA_IFNAME);
	mtu = nlmsg_find_attr(hdr, sizeof(*ifi), IFLA_MTU);
	if (name)
		(void)sfh_strcpy(link.name, sizeof(link.name), nla_get_string(name));
	link.mtu = mtu ? nla_get_u32(mtu) : 0;
	w->cb(w->ctx, &link, hdr->nlmsg_type == RTM_DELLINK);
	return NL_OK;
}

int sfh_linkwatch_open(struct sfh_linkwatch **ret, struct sfh_error *err)
{
	struct sfh_linkwatch *w = calloc(1, sizeof(*w));
	int r;

	if (!w || !(w->sock = nl_socket_alloc())) {
		free(w);
		return sfh_err(err, -ENOMEM, "out of memory");
	}
	nl_socket_disable_seq_check(w->sock);
	r = nl_connect(w->sock, NETLINK_ROUTE);
	if (r == 0)
		r = nl_socket_add_membership(w->sock, RTNLGRP_LINK);
	if (r == 0)
		r = nl_socket_set_nonblocking(w->sock);
	if (r == 0)
		r = nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
	if (r < 0) {
		sfh_linkwatch_close(&w);
		return sfh_err(err, -EIO, "cannot watch links: %s", nl_geterror(r));
	}
	*ret = w;
	return 0;
}

void sfh_linkwatch_close(struct sfh_linkwatch **w)
{
	if (!*w)
		return;
	nl_socket_free((*w)->sock);
	free(*w);
	*w = NULL;
}

int sfh_linkwatch_fd(const struct sfh_linkwatch *w)
{
	return nl_socket_get_fd(w->sock);
}

void sfh_linkwatch_read(struct sfh_linkwatch *w,
			void (*cb)(void *ctx, const struct sfh_link *link, bool gone),
			void *ctx)
{
	w->cb = cb;
	w->ctx = ctx;
	(void)nl_recvmsgs_default(w->sock); /* an overrun loses news; fsck looks anew */
}
