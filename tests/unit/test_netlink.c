// SPDX-License-Identifier: GPL-2.0-or-later
/* The bytes that tell a PF's driver about a VF. No SR-IOV NIC needed: the
 * message is looked at before it is sent. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/core/portprofile.h"
#include "tests/unit/tree.h"

#define MAX_ATTRS 8

/* The attributes inside IFLA_VFINFO_LIST / IFLA_VF_INFO, in their order. */
struct sent {
	struct nl_msg *msg;
	struct nlattr *attr[MAX_ATTRS];
	size_t n;
};

static struct sent build(unsigned what, const struct sfh_vf_config *cfg)
{
	struct sent s = {.msg = sfh_nl_vf_msg(7, 3, what, cfg)};
	struct nlmsghdr *h;
	struct ifinfomsg *ifi;
	struct nlattr *list, *info, *a;
	int rest;

	cr_assert(s.msg);
	h = nlmsg_hdr(s.msg);
	cr_assert_eq(h->nlmsg_type, RTM_SETLINK);
	ifi = nlmsg_data(h);
	cr_assert_eq(ifi->ifi_index, 7);
	list = nlmsg_find_attr(h, sizeof(*ifi), IFLA_VFINFO_LIST);
	cr_assert(list);
	info = nla_find(nla_data(list), nla_len(list), IFLA_VF_INFO);
	cr_assert(info);
	nla_for_each_nested(a, info, rest)
	{
		cr_assert(s.n < MAX_ATTRS);
		s.attr[s.n++] = a;
	}
	return s;
}

static const void *only(const struct sent *s, int type, int len)
{
	cr_assert_eq(s->n, 1, "%zu attributes", s->n);
	cr_assert_eq(nla_type(s->attr[0]), type);
	cr_assert_eq(nla_len(s->attr[0]), len);
	return nla_data(s->attr[0]);
}

Test(netlink, mac_and_vlan_are_one_message_in_that_order)
{
	struct sfh_vf_config cfg = {.mac = {{0x52, 0x54, 0, 1, 2, 3}}, .vlan = 42, .qos = 5};
	struct sent s = build(SFH_VF_MAC | SFH_VF_VLAN, &cfg);
	const struct ifla_vf_mac *m;
	const struct ifla_vf_vlan *v;

	cr_assert_eq(s.n, 2);
	cr_assert_eq(nla_type(s.attr[0]), IFLA_VF_MAC);
	m = nla_data(s.attr[0]);
	cr_assert_eq(m->vf, 3);
	cr_assert_arr_eq(m->mac, cfg.mac.b, 6);
	cr_assert_eq(nla_type(s.attr[1]), IFLA_VF_VLAN);
	v = nla_data(s.attr[1]);
	cr_assert_eq(v->vf, 3);
	cr_assert_eq(v->vlan, 42);
	cr_assert_eq(v->qos, 0, "a priority that was not asked for");
	nlmsg_free(s.msg);
}

Test(netlink, qos_goes_with_the_vlan)
{
	struct sfh_vf_config cfg = {.vlan = 42, .qos = 5};
	struct sent s = build(SFH_VF_VLAN | SFH_VF_QOS, &cfg);
	const struct ifla_vf_vlan *v = only(&s, IFLA_VF_VLAN, sizeof(*v));

	cr_assert_eq(v->vlan, 42);
	cr_assert_eq(v->qos, 5);
	nlmsg_free(s.msg);
}

Test(netlink, an_ethertype_needs_the_vlan_list)
{
	struct sfh_vf_config cfg = {.vlan = 42, .qos = 5, .proto = ETH_P_8021AD};
	struct sent s = build(SFH_VF_VLAN | SFH_VF_QOS | SFH_VF_PROTO, &cfg);
	const struct ifla_vf_vlan_info *v;
	struct nlattr *a;

	cr_assert_eq(s.n, 1);
	cr_assert_eq(nla_type(s.attr[0]), IFLA_VF_VLAN_LIST);
	a = nla_find(nla_data(s.attr[0]), nla_len(s.attr[0]), IFLA_VF_VLAN_INFO);
	cr_assert(a);
	v = nla_data(a);
	cr_assert_eq(v->vf, 3);
	cr_assert_eq(v->vlan, 42);
	cr_assert_eq(v->qos, 5);
	cr_assert_eq(ntohs(v->vlan_proto), ETH_P_8021AD);
	nlmsg_free(s.msg);
}

Test(netlink, switches_and_rates)
{
	struct sfh_vf_config cfg = {.trust = true,
				    .spoofchk = true,
				    .link_state = IFLA_VF_LINK_STATE_DISABLE,
				    .min_tx = 100,
				    .max_tx = 2000};
	struct sent s = build(SFH_VF_TRUST, &cfg);
	const struct ifla_vf_trust *t = only(&s, IFLA_VF_TRUST, sizeof(*t));
	const struct ifla_vf_spoofchk *c;
	const struct ifla_vf_link_state *l;
	const struct ifla_vf_rate *r;

	cr_assert_eq(t->vf, 3);
	cr_assert_eq(t->setting, 1);
	nlmsg_free(s.msg);
	s = build(SFH_VF_SPOOFCHK, &cfg);
	c = only(&s, IFLA_VF_SPOOFCHK, sizeof(*c));
	cr_assert_eq(c->setting, 1);
	nlmsg_free(s.msg);
	s = build(SFH_VF_LINK_STATE, &cfg);
	l = only(&s, IFLA_VF_LINK_STATE, sizeof(*l));
	cr_assert_eq(l->link_state, IFLA_VF_LINK_STATE_DISABLE);
	nlmsg_free(s.msg);
	s = build(SFH_VF_RATE, &cfg);
	r = only(&s, IFLA_VF_RATE, sizeof(*r));
	cr_assert_eq(r->min_tx_rate, 100);
	cr_assert_eq(r->max_tx_rate, 2000);
	nlmsg_free(s.msg);
}

/* --- port profiles: IFLA_VF_PORTS / IFLA_VF_PORT -------------------------------------------- */

static struct nlattr *port_attr(struct nlattr *port, int type, int len)
{
	struct nlattr *a = nla_find(nla_data(port), nla_len(port), type);

	cr_assert(a, "attribute %d is missing", type);
	cr_assert_eq(nla_len(a), len, "attribute %d has %d bytes", type, nla_len(a));
	return a;
}

static struct nlattr *port_of(struct nl_msg *msg)
{
	struct nlattr *ports = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct ifinfomsg),
					       IFLA_VF_PORTS), *port;

	cr_assert(ports);
	port = nla_find(nla_data(ports), nla_len(ports), IFLA_VF_PORT);
	cr_assert(port);
	return port;
}

Test(netlink, a_port_profile_is_sent_with_all_its_room)
{
	struct sfh_port_request req = {.vf = 3, .request = PORT_REQUEST_ASSOCIATE,
				       .profile = "tenants", .has_host = true};
	static const char zero[PORT_PROFILE_MAX];
	struct nl_msg *msg;
	struct nlattr *port;
	const char *name;

	cr_assert_eq(sfh_port_uuid("00112233-4455-6677-8899-aabbccDDEEFF", req.instance), 0);
	memset(req.host, 0x5a, sizeof(req.host));
	msg = sfh_port_msg(7, &req);
	cr_assert(msg);
	cr_assert_eq(nlmsg_hdr(msg)->nlmsg_type, RTM_SETLINK);
	cr_assert_eq(((struct ifinfomsg *)nlmsg_data(nlmsg_hdr(msg)))->ifi_index, 7);
	port = port_of(msg);
	cr_assert_eq(nla_get_u32(port_attr(port, IFLA_PORT_VF, 4)), 3);
	/* enic since Linux 6.10 refuses any other length */
	name = nla_data(port_attr(port, IFLA_PORT_PROFILE, PORT_PROFILE_MAX));
	cr_assert_str_eq(name, "tenants");
	cr_assert_arr_eq(name + 7, zero, PORT_PROFILE_MAX - 7);
	cr_assert_arr_eq(nla_data(port_attr(port, IFLA_PORT_INSTANCE_UUID, 16)),
			 "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
	cr_assert_arr_eq(nla_data(port_attr(port, IFLA_PORT_HOST_UUID, 16)), req.host, 16);
	cr_assert_eq(nla_get_u8(port_attr(port, IFLA_PORT_REQUEST, 1)), PORT_REQUEST_ASSOCIATE);
	nlmsg_free(msg);
	req = (struct sfh_port_request){.vf = 3, .request = PORT_REQUEST_DISASSOCIATE};
	msg = sfh_port_msg(7, &req);
	port = port_of(msg);
	cr_assert_eq(nla_get_u32(port_attr(port, IFLA_PORT_VF, 4)), 3);
	cr_assert_eq(nla_get_u8(port_attr(port, IFLA_PORT_REQUEST, 1)), PORT_REQUEST_DISASSOCIATE);
	cr_assert_null(nla_find(nla_data(port), nla_len(port), IFLA_PORT_PROFILE));
	cr_assert_null(nla_find(nla_data(port), nla_len(port), IFLA_PORT_INSTANCE_UUID));
	nlmsg_free(msg);
}

/* As rtnl_vf_ports_fill() and enic_get_vf_port() write it: VF 0 says nothing, VF 2 is done. */
static struct nl_msg *ports_answer(uint16_t response, bool wide)
{
	struct ifinfomsg ifi = {.ifi_index = 7};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	struct nlattr *ports, *port;

	cr_assert(msg && nlmsg_append(msg, &ifi, sizeof(ifi), NLMSG_ALIGNTO) == 0);
	ports = nla_nest_start(msg, IFLA_VF_PORTS);
	for (uint32_t vf = 0; vf < 3; vf += 2) {
		port = nla_nest_start(msg, IFLA_VF_PORT);
		cr_assert_eq(nla_put_u32(msg, IFLA_PORT_VF, vf), 0);
		if (vf && wide)
			cr_assert_eq(nla_put_u16(msg, IFLA_PORT_REQUEST, PORT_REQUEST_ASSOCIATE), 0);
		else if (vf)
			cr_assert_eq(nla_put_u8(msg, IFLA_PORT_REQUEST, PORT_REQUEST_ASSOCIATE), 0);
		if (vf)
			cr_assert_eq(nla_put_u16(msg, IFLA_PORT_RESPONSE, response), 0);
		nla_nest_end(msg, port);
	}
	nla_nest_end(msg, ports);
	return msg;
}

Test(netlink, what_became_of_a_port_profile)
{
	for (int wide = 0; wide < 2; wide++) {
		struct nl_msg *msg = ports_answer(PORT_PROFILE_RESPONSE_INPROGRESS, wide);
		uint8_t request = 0;
		uint16_t response = 0;

		cr_assert_eq(sfh_port_read(nlmsg_hdr(msg), 2, &request, &response), 0);
		cr_assert_eq(request, PORT_REQUEST_ASSOCIATE);
		cr_assert_eq(response, PORT_PROFILE_RESPONSE_INPROGRESS);
		cr_assert_eq(sfh_port_read(nlmsg_hdr(msg), 0, &request, &response), -ENODATA);
		cr_assert_eq(sfh_port_read(nlmsg_hdr(msg), 1, &request, &response), -ENODATA);
		nlmsg_free(msg);
	}
}

Test(netlink, answers_about_port_profiles)
{
	struct sfh_error err = {0};

	cr_assert_eq(sfh_port_judge(PORT_PROFILE_RESPONSE_SUCCESS, 2, NULL), 0);
	cr_assert_eq(sfh_port_judge(PORT_PROFILE_RESPONSE_INPROGRESS, 2, NULL), -EINPROGRESS);
	cr_assert_eq(sfh_port_judge(PORT_PROFILE_RESPONSE_INVALID, 2, &err), -EPROTO);
	cr_assert(strstr(err.text, "VF 2") && strstr(err.text, "not known"), "%s", err.text);
	for (uint16_t bad = PORT_PROFILE_RESPONSE_BADSTATE; bad < 0x110; bad++)
		cr_assert_eq(sfh_port_judge(bad, 2, NULL), -EPROTO);
	cr_assert_eq(sfh_port_judge(0, 2, NULL), -EPROTO, "of 802.1Qbg, not ours");
	cr_assert_eq(sfh_port_judge(UINT16_MAX, 2, NULL), -EPROTO);
}

Test(netlink, uuids)
{
	static const char *const bad[] = {"", "00112233-4455-6677-8899-aabbccddeef",
					  "00112233-4455-6677-8899-aabbccddeeff0",
					  "00112233445566778899aabbccddeeff    ",
					  "00112233-4455-6677-8899-aabbccddee+f"};
	uint8_t id[PORT_UUID_MAX];

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_expect_eq(sfh_port_uuid(bad[i], id), -EINVAL, "'%s'", bad[i]);
}

Test(netlink, the_hosts_uuid)
{
	char dir[64], sysfs[80];
	struct sfh_env env = {.sysfs = sysfs};
	uint8_t id[PORT_UUID_MAX];

	tree_init(dir);
	(void)snprintf(sysfs, sizeof(sysfs), "%s/sys", dir);
	cr_expect_eq(sfh_port_host_uuid(&env, id), -ENOENT);
	tree_write(dir, "sys/class/dmi/id/product_uuid", "Not Settable\n");
	cr_expect_eq(sfh_port_host_uuid(&env, id), -ENOENT);
	tree_write(dir, "sys/class/dmi/id/product_uuid", "4c4c4544-0051-4a10-8039-b7c04f303258\n");
	cr_expect_eq(sfh_port_host_uuid(&env, id), 0);
	cr_expect_eq(id[15], 0x58);
	tree_done(dir);
}
