// SPDX-License-Identifier: GPL-2.0-or-later
/* clsact egress of the agent's injection device: what it sends there with the
 * ifindex of a PF as mark comes in at that PF, as if from the wire. The frame stays
 * charged to the agent's socket until somebody frees it: that is how the agent
 * knows that a macvtap's reader took it. What a PF's program sends here waits for the
 * agent to read it. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "sfhybrid/abi.h"

SEC("tc")
int sfh_inject(struct __sk_buff *skb)
{
	__u32 mark = skb->mark, pf_ifindex = mark & ~SFH_INJECT_RELEASED;

	if (mark == SFH_MARK_BACKLOG)
		return 0; /* TC_ACT_OK */
	if (!pf_ifindex) /* the host's own: neighbour discovery and the like */
		return 2; /* TC_ACT_SHOT */
	skb->mark = mark & SFH_INJECT_RELEASED ? SFH_MARK_RELEASED : 0;
	return (int)bpf_redirect(pf_ifindex, BPF_F_INGRESS);
}

char _license[] SEC("license") = "GPL";
