// SPDX-License-Identifier: GPL-2.0-or-later
/* Somebody else's XDP program: counts what reaches it, and passes it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} others_count SEC(".maps");

SEC("xdp")
int others_prog(struct xdp_md *xdp)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&others_count, &zero);

	(void)xdp;
	if (n)
		__sync_fetch_and_add(n, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
