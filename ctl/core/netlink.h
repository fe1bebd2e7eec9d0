/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VF settings and links through rtnetlink (libnl). Synchronous; one request,
 * one answer. Not thread-safe: one struct sfh_nl a thread.
 * Source: linux/if_link.h (IFLA_VFINFO_LIST). */
#ifndef SFH_CORE_NETLINK_H
#define SFH_CORE_NETLINK_H

#include "sfhybrid/util.h"

struct nl_msg;
struct sfh_nl;

int sfh_nl_open(struct sfh_nl **ret, struct sfh_error *err);
void sfh_nl_close(struct sfh_nl **nl);

/* What a set writes, and what a get found: drivers leave out what they do not
 * know. SFH_VF_QOS and SFH_VF_PROTO are parts of a VLAN: they go with
 * SFH_VF_VLAN, and without them a VLAN has priority 0 and is 802.1Q. */
enum {
	SFH_VF_MAC = 1 << 0,
	SFH_VF_VLAN = 1 << 1,
	SFH_VF_QOS = 1 << 2,
	SFH_VF_PROTO = 1 << 3,
	SFH_VF_TRUST = 1 << 4,
	SFH_VF_SPOOFCHK = 1 << 5,
	SFH_VF_LINK_STATE = 1 << 6,
	SFH_VF_RATE = 1 << 7, /* min_tx and max_tx are one setting */
};

/* What the PF's driver was told about one VF. */
struct sfh_vf_config {
	struct sfh_mac mac;
	uint16_t vlan; /* 0: none */
	bool spoofchk;
	bool trust;
	uint8_t qos;	     /* 802.1p priority of the VLAN, 0..7 */
	uint16_t proto;	     /* its ethertype, host order; 0 stands for 802.1Q */
	uint32_t link_state; /* IFLA_VF_LINK_STATE_AUTO, _ENABLE, _DISABLE */
	uint32_t min_tx, max_tx; /* Mbit/s; 0: no limit */
	unsigned known; /* SFH_VF_… that a get found; a set does not look at it */
};

/* Reads what the kernel says of VF `vf`; of one whose driver tells nothing at all (enic)
 * `known` is 0. -ENODEV: no such PF or VF. */
int sfh_nl_vf_get(struct sfh_nl *nl, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		  struct sfh_error *err);
/* The first n VFs of a PF with one question; returns how many there are of them. */
int sfh_nl_vf_list(struct sfh_nl *nl, int pf_ifindex, struct sfh_vf_config *cfgs, unsigned n,
		   struct sfh_error *err);
/* All that `what` names in one message. The kernel hands the settings to the
 * driver one after the other and stops at the first refusal. */
int sfh_nl_vf_set(struct sfh_nl *nl, int pf_ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err);
/* The message that sfh_nl_vf_set sends, for tests; NULL: out of memory. */
struct nl_msg *sfh_nl_vf_msg(int pf_ifindex, unsigned vf, unsigned what,
			     const struct sfh_vf_config *cfg);

struct sfh_link {
	int ifindex;
	char name[16];
	char kind[16]; /* "macvtap", "tun", "bridge", "vlan", "" for hardware */
	struct sfh_mac mac;
	bool up;      /* administratively */
	bool carrier; /* IFF_LOWER_UP: the cable is in */
	unsigned mtu;
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
/* The same with the ethertype of its tags; 0: 802.1Q. */
int sfh_nl_vlan_add_proto(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
			  uint16_t proto, struct sfh_error *err);
/* Makes a bridge's port a member of a VLAN, and by that its NIC's filter. A bridge that
 * does not filter VLANs forwards as before. Idempotent. */
int sfh_nl_bridge_vlan_add(struct sfh_nl *nl, int port, uint16_t vid, struct sfh_error *err);
/* 0 also when the link is already gone. */
int sfh_nl_link_del(struct sfh_nl *nl, const char *name, struct sfh_error *err);
/* How many addresses (IPv4, IPv6 but link-local) each of n links carries: one dump. */
int sfh_nl_addr_counts(struct sfh_nl *nl, const int *ifindex, unsigned *ret, size_t n,
		       struct sfh_error *err);
/* Of one link. */
int sfh_nl_addr_count(struct sfh_nl *nl, int ifindex, unsigned *ret, struct sfh_error *err);

/* An address in the device's own filter (FDB `self`, permanent), in or out. Errors are
 * the kernel's: -EEXIST, -ENOENT, -ENOSPC or -ENOMEM (no room), -EOPNOTSUPP, … */
int sfh_nl_fdb_set(struct sfh_nl *nl, int ifindex, const struct sfh_mac *mac, bool there);
/* What is in that filter, unicast and multicast, whoever put it there. cb: 0 to go on. */
int sfh_nl_fdb_list(int ifindex, int (*cb)(void *ctx, const struct sfh_mac *mac), void *ctx);

/* Bridge ports that sit on `master`, at most n names; returns how many. */
int sfh_nl_ports(struct sfh_nl *nl, int master, struct sfh_link *ports, size_t n,
		 struct sfh_error *err);

#endif
