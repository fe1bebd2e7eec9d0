/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ethernet and its outer VLAN tag, if any. Pure: no map, no helper, so that a
 * user-space test includes it too (lengths that test_run refuses). */
#ifndef SFH_BPF_FRAME_H
#define SFH_BPF_FRAME_H

#include "sfhybrid/abi.h"

#define SFH_ETH_HLEN	14
#define SFH_VLAN_HLEN	4
#define SFH_ETH_P_IP	0x0800
#define SFH_ETH_P_ARP	0x0806
#define SFH_ETH_P_IPV6	0x86dd
#define SFH_ETH_P_8021Q 0x8100
#define SFH_ETH_P_8021AD 0x88a8
#define SFH_VID_MASK	0x0fff

struct sfh_frame {
	__u64 dst, src; /* sfh_mac_word() */
	__u16 tpid;  /* of the outer tag: 0x8100, 0x88a8; 0: untagged */
	__u16 vlan;  /* of the outer tag; 0: untagged, or tagged with a priority only */
	__u16 proto; /* what follows the outer tag; may be another tag */
	__u32 l3;    /* offset of it in the data */
};

static __always_inline __u16 sfh_be16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

static __always_inline int sfh_is_vlan(__u16 proto)
{
	return proto == SFH_ETH_P_8021Q || proto == SFH_ETH_P_8021AD;
}

/* The beginning of a frame in the loads that it takes: a byte at a time is three times
 * the instructions. Packet data is aligned as the NIC left it, which x86 does not mind. */
struct sfh_eth {
	__u32 dst_lo;
	__u16 dst_hi, src_lo;
	__u32 src_hi;
	__u16 type, tci, inner; /* network order */
} __attribute__((__may_alias__));

_Static_assert(sizeof(struct sfh_eth) == 20, "two bytes of padding at the end");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sfh_mac_word() of struct sfh_eth");

static __always_inline __u16 sfh_swap16(__u16 be)
{
	return (__u16)(be << 8 | be >> 8);
}

enum sfh_parsed {
	SFH_PARSED = 0,
	SFH_PARSED_CUT,	  /* addresses only: the frame ends within its tag */
	SFH_PARSED_SHORT, /* nothing */
};

/* tpid, tci: the tag that was taken out of the data already (tc), or 0, 0.
 * Only a frame that is SFH_PARSED is ever steered, all others pass untouched. */
static __always_inline enum sfh_parsed sfh_frame_parse(const void *data, const void *data_end,
						       __u16 tpid, __u16 tci, struct sfh_frame *f)
{
	const struct sfh_eth *eth = data;

	if (data + SFH_ETH_HLEN > data_end)
		return SFH_PARSED_SHORT;
	f->dst = eth->dst_lo | (__u64)eth->dst_hi << 32;
	f->src = eth->src_lo | (__u64)eth->src_hi << 16;
	f->tpid = tpid;
	f->vlan = tci & SFH_VID_MASK;
	f->proto = sfh_swap16(eth->type);
	f->l3 = SFH_ETH_HLEN;
	if (tpid || !sfh_is_vlan(f->proto))
		return SFH_PARSED;
	if (data + SFH_ETH_HLEN + SFH_VLAN_HLEN > data_end)
		return SFH_PARSED_CUT;
	f->tpid = f->proto;
	f->vlan = sfh_swap16(eth->tci) & SFH_VID_MASK;
	f->proto = sfh_swap16(eth->inner);
	f->l3 += SFH_VLAN_HLEN;
	return SFH_PARSED;
}

static __always_inline int sfh_is_multicast(__u64 mac)
{
	return mac & 1;
}

/* `mac` of a key, or of a frame's field. */
static __always_inline void sfh_mac_store(__u8 *to, __u64 mac)
{
	for (int i = 0; i < 6; i++)
		to[i] = (__u8)(mac >> 8 * i);
}

#endif
