// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/portprofile.h"
#include "ctl/core/netlink-internal.h"

#include <ctype.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>

static void msg_freep(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

static void sock_freep(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

int sfh_port_uuid(const char *text, uint8_t ret[PORT_UUID_MAX])
{
	unsigned byte;

	for (size_t i = 0; i < PORT_UUID_MAX; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (*text++ != '-')
				return -EINVAL;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    sscanf(text, "%2x", &byte) != 1)
			return -EINVAL;
		ret[i] = (uint8_t)byte;
		text += 2;
	}
	return *text ? -EINVAL : 0;
}

int sfh_port_host_uuid(const struct sfh_env *env, uint8_t ret[PORT_UUID_MAX])
{
	char path[256], text[37] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/class/dmi/id/product_uuid", env->sysfs);
	f = fopen(path, "re");
	if (!f)
		return -ENOENT;
	(void)!fgets(text, sizeof(text), f);
	(void)fclose(f);
	return sfh_port_uuid(text, ret) < 0 ? -ENOENT : 0;
}

/* --- asking --------------------------------------------------------------------------- */

/* The profile with all its room: enic copies so much whatever the length, and since Linux
 * 6.10 refuses any other. */
static int put_port(struct nl_msg *msg, const struct sfh_port_request *req)
{
	int r = nla_put_u32(msg, IFLA_PORT_VF, req->vf);

	if (r == 0 && req->profile[0])
		r = nla_put(msg, IFLA_PORT_PROFILE, sizeof(req->profile), req->profile);
	if (r == 0 && req->profile[0])
		r = nla_put(msg, IFLA_PORT_INSTANCE_UUID, sizeof(req->instance), req->instance);
	if (r == 0 && req->profile[0] && req->has_host)
		r = nla_put(msg, IFLA_PORT_HOST_UUID, sizeof(req->host), req->host);
	return r < 0 ? r : nla_put_u8(msg, IFLA_PORT_REQUEST, req->request);
}

/* Without a request: a port of no type. */
static struct nl_msg *ports_msg(int pf_ifindex, const struct sfh_port_request *req)
{
	_cleanup_(msg_freep) struct nl_msg *msg = sfh_nl_setlink_msg(pf_ifindex);
	struct nlattr *ports, *port;

	if (!msg || !(ports = nla_nest_start(msg, IFLA_VF_PORTS)) ||
	    !(port = nla_nest_start(msg, req ? IFLA_VF_PORT : IFLA_VF_PORT_MAX + 1)) ||
	    (req ? put_port(msg, req) : nla_put_u32(msg, IFLA_PORT_VF, 0)) < 0)
		return NULL;
	nla_nest_end(msg, port);
	nla_nest_end(msg, ports);
	return TAKE_PTR(msg);
}

struct nl_msg *sfh_port_msg(int pf_ifindex, const struct sfh_port_request *req)
{
	return ports_msg(pf_ifindex, req);
}

/* do_setlink() looks for the driver's function first, and at the ports after that: one of
 * an unknown type is -EINVAL then. */
int sfh_port_able(struct sfh_nl *nl, int pf_ifindex, struct sfh_error *err)
{
	_cleanup_(msg_freep) struct nl_msg *msg = ports_msg(pf_ifindex, NULL);
	int r;

	if (!msg)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = pf_ifindex > 0 ? sfh_nl_talk(nl, msg) : -ENODEV; /* 0 is -EINVAL, too */
	if (r == 0 || r == -EINVAL)
		return 0;
	if (r == -EOPNOTSUPP)
		return sfh_err(err, r, "the PF's driver knows no 802.1Qbh port profiles");
	return sfh_err(err, r, "cannot ask the PF's driver about port profiles: %s",
		       strerrordesc_np(-r));
}

static const char *request_name(uint8_t request)
{
	return request == PORT_REQUEST_DISASSOCIATE	 ? "to disassociate"
	       : request == PORT_REQUEST_PREASSOCIATE_RR ? "to pre-associate"
							 : "to associate";
}

int sfh_port_ask(struct sfh_nl *nl, int pf_ifindex, const struct sfh_port_request *req,
		 struct sfh_error *err)
{
	_cleanup_(msg_freep) struct nl_msg *msg = sfh_port_msg(pf_ifindex, req);
	int r;

	if (!msg)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_nl_talk(nl, msg);
	return r < 0 ? sfh_err(err, r, "the PF's driver refused %s VF %u: %s",
			       request_name(req->request), req->vf, strerrordesc_np(-r))
		     : 0;
}

/* --- the answer ------------------------------------------------------------------------- */

/* enic tells its request in 16 bits; linux/if_link.h has it in 8. */
static uint8_t request_in(const struct nlattr *port)
{
	const struct nlattr *v = nla_find(nla_data(port), nla_len(port), IFLA_PORT_REQUEST);

	if (!v || nla_len(v) < 1)
		return 0;
	return nla_len(v) == 1 ? nla_get_u8(v) : (uint8_t)nla_get_u16(v);
}

int sfh_port_read(struct nlmsghdr *h, unsigned vf, uint8_t *request, uint16_t *response)
{
	struct nlattr *ports, *port, *v;
	int rest;

	if (!nlmsg_valid_hdr(h, sizeof(struct ifinfomsg)))
		return -ENODATA;
	ports = nlmsg_find_attr(h, sizeof(struct ifinfomsg), IFLA_VF_PORTS);
	if (!ports)
		return -ENODATA;
	nla_for_each_nested(port, ports, rest) {
		v = nla_find(nla_data(port), nla_len(port), IFLA_PORT_VF);
		if (!v || nla_len(v) < 4 || nla_get_u32(v) != vf)
			continue;
		v = nla_find(nla_data(port), nla_len(port), IFLA_PORT_RESPONSE);
		if (!v || nla_len(v) < 2)
			return -ENODATA;
		*response = nla_get_u16(v);
		*request = request_in(port);
		return 0;
	}
	return -ENODATA;
}

int sfh_port_judge(uint16_t response, unsigned vf, struct sfh_error *err)
{
	static const char *const words[] = { "the profile is not known or not valid",
					     "the port is in a state that forbids it",
					     "it has not the resources", "it failed" };
	unsigned n = response - (unsigned)PORT_PROFILE_RESPONSE_INVALID;

	if (response == PORT_PROFILE_RESPONSE_SUCCESS)
		return 0;
	if (response == PORT_PROFILE_RESPONSE_INPROGRESS)
		return -EINPROGRESS;
	return sfh_err(err, -EPROTO, "the switch refused the port profile of VF %u: %s", vf,
		       n < SFH_ARRAY_SIZE(words) ? words[n] : "an answer that is not known");
}

struct look {
	unsigned vf;
	int result;
	uint8_t request;
	uint16_t response;
};

static int on_link(struct nl_msg *msg, void *arg)
{
	struct look *look = arg;

	look->result = sfh_port_read(nlmsg_hdr(msg), look->vf, &look->request,
				     &look->response);
	return NL_OK;
}

static struct nl_msg *getlink_msg(int ifindex)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	_cleanup_(msg_freep) struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);

	if (!msg || nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_VF) < 0)
		return NULL;
	return TAKE_PTR(msg);
}

/* A socket of its own: the callback of the other one stays what it is. */
int sfh_port_answer(int pf_ifindex, unsigned vf, uint8_t *request, struct sfh_error *err)
{
	struct look look = { .vf = vf, .result = -ENODATA };
	_cleanup_(msg_freep) struct nl_msg *msg = getlink_msg(pf_ifindex);
	_cleanup_(sock_freep) struct nl_sock *sock = nl_socket_alloc();
	int r = -NLE_NOMEM;

	if (sock && msg)
		r = nl_connect(sock, NETLINK_ROUTE);
	if (r == 0) {
		nl_socket_enable_msg_peek(sock);
		nl_socket_disable_auto_ack(sock);
		(void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_link, &look);
		r = nl_send_auto(sock, msg);
	}
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	if (r < 0)
		return sfh_err(err, sfh_nl_errno(r), "cannot ask what became of the port profile: %s",
			       nl_geterror(r));
	if (look.result < 0)
		return sfh_err(err, look.result,
			       "the PF's driver does not tell what became of the port profile of VF %u",
			       vf);
	*request = look.request;
	return sfh_port_judge(look.response, vf, err);
}
