/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 802.1Qbh port profiles of VFs: the PF's driver asks the switch to give a VF's port the
 * settings that it knows by a name, and tells later whether it did.
 * Source: linux/if_link.h (IFLA_VF_PORTS), net/core/rtnetlink.c (do_setlink, rtnl_port_fill);
 * of the kernel's drivers enic alone has it. */
#ifndef SFH_CORE_PORTPROFILE_H
#define SFH_CORE_PORTPROFILE_H

#include <linux/if_link.h>

#include "ctl/core/env.h"
#include "ctl/core/netlink.h"

#define SFH_PORT_PROFILE_SIZE PORT_PROFILE_MAX /* with the terminating 0 */

struct nlmsghdr;

struct sfh_port_request {
	unsigned vf;
	uint8_t request;			/* PORT_REQUEST_… */
	char profile[SFH_PORT_PROFILE_SIZE];	/* "" in a DISASSOCIATE, and nothing below */
	uint8_t instance[PORT_UUID_MAX];	/* of the guest */
	uint8_t host[PORT_UUID_MAX];
	bool has_host;
};

/* "8-4-4-4-12" as 16 bytes, or -EINVAL. */
int sfh_port_uuid(const char *text, uint8_t ret[PORT_UUID_MAX]);
/* The host's, as the firmware says it; -ENOENT: it says none. */
int sfh_port_host_uuid(const struct sfh_env *env, uint8_t ret[PORT_UUID_MAX]);

/* Whether the driver of a PF knows of port profiles: 0, or -EOPNOTSUPP. Never reaches the
 * driver: rtnetlink itself answers, and changes nothing. One that knows of them may still
 * refuse (-EOPNOTSUPP) for this VF. */
int sfh_port_able(struct sfh_nl *nl, int pf_ifindex, struct sfh_error *err);
/* Asks; what becomes of it says sfh_port_answer(). */
int sfh_port_ask(struct sfh_nl *nl, int pf_ifindex, const struct sfh_port_request *req,
		 struct sfh_error *err);
/* Of the latest request, which goes to *request (0: not told): 0: done; -EINPROGRESS: not
 * yet; -EPROTO: refused, the sentence says how; -ENODATA: the driver tells nothing. */
int sfh_port_answer(int pf_ifindex, unsigned vf, uint8_t *request, struct sfh_error *err);

/* For tests: the message that is sent (NULL: out of memory), and what an answer says. */
struct nl_msg *sfh_port_msg(int pf_ifindex, const struct sfh_port_request *req);
int sfh_port_read(struct nlmsghdr *h, unsigned vf, uint8_t *request, uint16_t *response);
int sfh_port_judge(uint16_t response, unsigned vf, struct sfh_error *err);

#endif
