// SPDX-License-Identifier: GPL-2.0-or-later
/* clsact ingress of a PF: the base, works beside SR-IOV on every NIC. Sees what
 * the NIC gives to the PF, never what its switch gives to a VF. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib/steer.h"
#include "lib/skb.h"

SEC("tc")
int sfh_pf_tc(struct __sk_buff *skb)
{
	struct sfh_decision d = {};
	struct sfh_counters *c;
	struct sfh_frame f;

	/* From macvtap to macvtap: never was on the wire. */
	if (skb->mark == SFH_MARK_LOCAL)
		return SFH_TC_PASS;
	if (sfh_skb_parse(skb, &f) != SFH_PARSED)
		return SFH_TC_PASS;
	sfh_decide(&f, skb->ifindex, &d);
	if (d.verdict == SFH_PASS)
		return SFH_TC_PASS;
	if (d.verdict == SFH_DROP) {
		sfh_account_drop(&d);
		return SFH_TC_DROP;
	}

	c = sfh_counters_of(d.guest);
	if (c) {
		c->from_wire_frames += sfh_skb_frames(skb);
		c->from_wire_bytes += sfh_skb_bytes(skb);
	}
	if (d.verdict == SFH_REDIRECT)
		return (int)bpf_redirect(d.ifindex, 0);
	return SFH_TC_PASS;
}

char _license[] SEC("license") = "GPL";
