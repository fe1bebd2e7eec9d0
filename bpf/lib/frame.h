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
#define SFH_ETH_P_8021Q 0x8100
#define SFH_ETH_P_8021AD 0x88a8
#define SFH_VID_MASK	0x0fff

struct sfh_frame {
	__u8 dst[6];
	__u8 src[6];
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

static __always_inline int sfh_same_mac(const __u8 *a, const __u8 *b)
{
	__u8 diff = 0;

	for (int i = 0; i < 6; i++)
		diff |= a[i] ^ b[i];
	return !diff;
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
	const __u8 *p = data;

	if ((const void *)(p + SFH_ETH_HLEN) > data_end)
		return SFH_PARSED_SHORT;
	__builtin_memcpy(f->dst, p, 6);
	__builtin_memcpy(f->src, p + 6, 6);
	f->tpid = tpid;
	f->vlan = tci & SFH_VID_MASK;
	f->proto = sfh_be16(p + 12);
	f->l3 = SFH_ETH_HLEN;
	if (tpid || !sfh_is_vlan(f->proto))
		return SFH_PARSED;
	if ((const void *)(p + SFH_ETH_HLEN + SFH_VLAN_HLEN) > data_end)
		return SFH_PARSED_CUT;
	f->tpid = f->proto;
	f->vlan = sfh_be16(p + 14) & SFH_VID_MASK;
	f->proto = sfh_be16(p + 16);
	f->l3 += SFH_VLAN_HLEN;
	return SFH_PARSED;
}

static __always_inline int sfh_is_multicast(const __u8 *mac)
{
	return mac[0] & 1;
}

#endif
