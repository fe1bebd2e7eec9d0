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
#include <string.h>

#include "ctl/core/netlink.h"

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
