/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VF settings and links through rtnetlink (libnl). Synchronous; one request,
 * one answer. Not thread-safe: one struct sfh_nl a thread.
 * Source: linux/if_link.h (IFLA_VFINFO_LIST). */
#ifndef SFH_CORE_NETLINK_H
#define SFH_CORE_NETLINK_H

#include "sfhybrid/util.h"

struct sfh_nl;

int sfh_nl_open(struct sfh_nl **ret, struct sfh_error *err);
void sfh_nl_close(struct sfh_nl **nl);

/* What the PF's driver was told about one VF. */
struct sfh_vf_config {
	struct sfh_mac mac;
	uint16_t vlan; /* 0: none */
	bool spoofchk;
	bool trust;
};

/* Reads what the kernel says of VF `vf`. -ENODEV: no such PF or VF. */
int sfh_nl_vf_get(struct sfh_nl *nl, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		  struct sfh_error *err);
/* What a set writes; both in one message when both bits are given. */
enum { SFH_VF_MAC = 1 << 0, SFH_VF_VLAN = 1 << 1 };
int sfh_nl_vf_set(struct sfh_nl *nl, int pf_ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err);

struct sfh_link {
	int ifindex;
	char name[16];
	char kind[16]; /* "macvtap", "tun", "bridge", "vlan", "" for hardware */
	struct sfh_mac mac;
	bool up;
	int lower;  /* ifindex of IFLA_LINK, 0 if none */
	int master; /* ifindex of the bridge it is a port of, 0 if none */
};

/* By name. -ENODEV if there is none. */
int sfh_nl_link_get(struct sfh_nl *nl, const char *name, struct sfh_link *ret,
		    struct sfh_error *err);
int sfh_nl_link_set_up(struct sfh_nl *nl, int ifindex, bool up, struct sfh_error *err);
/* master 0 releases the port. */
int sfh_nl_link_set_master(struct sfh_nl *nl, int ifindex, int master, struct sfh_error *err);
/* A link of `kind` "bridge" or (with lower and vid) "vlan"; -EEXIST if there. */
int sfh_nl_bridge_add(struct sfh_nl *nl, const char *name, struct sfh_error *err);
int sfh_nl_vlan_add(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
		    struct sfh_error *err);
/* 0 also when the link is already gone. */
int sfh_nl_link_del(struct sfh_nl *nl, const char *name, struct sfh_error *err);
/* How many addresses (IPv4, IPv6 but link-local) the link carries. */
int sfh_nl_addr_count(struct sfh_nl *nl, int ifindex, unsigned *ret, struct sfh_error *err);

/* Bridge ports that sit on `master`, at most n names; returns how many. */
int sfh_nl_ports(struct sfh_nl *nl, int master, struct sfh_link *ports, size_t n,
		 struct sfh_error *err);

#endif
