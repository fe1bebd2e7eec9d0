/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tc's view of a frame. */
#ifndef SFH_BPF_SKB_H
#define SFH_BPF_SKB_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include "lib/frame.h"

/* Pass, and let the filters behind ours have their say: TC_ACT_OK would end the
 * chain. */
#define SFH_TC_PASS (-1) /* TC_ACT_UNSPEC */
#define SFH_TC_DROP 2	 /* TC_ACT_SHOT */

static __always_inline enum sfh_parsed sfh_skb_parse(struct __sk_buff *skb, struct sfh_frame *f)
{
	__u16 tpid = 0, tci = 0;

	/* The stack takes the outer tag out of the data before tc runs. */
	if (skb->vlan_present) {
		tpid = bpf_ntohs((__u16)skb->vlan_proto);
		tci = (__u16)skb->vlan_tci;
	}
	return sfh_frame_parse((void *)(long)skb->data, (void *)(long)skb->data_end, tpid, tci, f);
}

/* GRO and GSO carry many frames of the wire in one skb. */
static __always_inline __u64 sfh_skb_frames(const struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

static __always_inline __u64 sfh_skb_bytes(const struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? SFH_VLAN_HLEN : 0);
}

#endif
