// SPDX-License-Identifier: GPL-2.0-or-later
/* Generator, sink and yardsticks of bench-datapath. One loaded copy a rival; all
 * of it runs on one CPU, so the counters need no atomics. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bench/datapath/frames.h"

#define CACHE_LINE __attribute__((aligned(128)))
/* Looks at the reader's counter in one wait; a bound for the verifier. */
#define WAIT_TURNS 20000

const volatile __u32 dp_out_ifindex; /* the wire's end of the PF's cable */
const volatile __u32 dp_pairs = 1;
const volatile __u32 dp_devices = 1;
const volatile __u32 dp_window; /* 0: never wait; else most frames on their way to the reader */

__u64 dp_random CACHE_LINE = 0x9e3779b97f4a7c15ull;
__u64 dp_sent;
__u64 dp_wait_ns;
__u64 dp_sunk CACHE_LINE;
volatile __u64 dp_read CACHE_LINE; /* written by the reader */

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, DP_MAX_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} dp_targets SEC(".maps");

/* Which pair is next: uniform, and the same work for one pair as for many. */
static __always_inline __u32 next_pair(void)
{
	__u64 x = dp_random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	dp_random = x;
	return (__u32)(((x >> 32) * dp_pairs) >> 32);
}

/* False if the reader has no room yet. What this takes is nobody's cost, see dp_wait_ns. */
static __always_inline bool has_room(void)
{
	__u64 from;
	bool room = false;

	if (!dp_window || dp_sent - dp_read < dp_window)
		return true;
	from = bpf_ktime_get_ns();
	for (int i = 0; i < WAIT_TURNS && !room; i++)
		room = dp_sent - dp_read < dp_window / 2;
	dp_wait_ns += bpf_ktime_get_ns() - from;
	return room;
}

SEC("xdp")
int dp_generate(struct xdp_md *xdp)
{
	__u8 *p = (void *)(long)xdp->data;
	__u32 id;

	if ((void *)(p + DP_FRAME_LEN) > (void *)(long)xdp->data_end)
		return XDP_ABORTED;
	if (!has_room())
		return XDP_DROP;
	id = next_pair() + 1;
	p[3] = id >> 16;
	p[4] = id >> 8;
	p[5] = id;
	dp_sent++;
	return (int)bpf_redirect(dp_out_ifindex, 0);
}

SEC("xdp")
int dp_sink(struct xdp_md *xdp)
{
	dp_sunk++;
	return XDP_DROP;
}

/* The ceiling: the frame leaves, nothing is looked up. With several devices the
 * frame itself says which. */
SEC("xdp")
int dp_ceiling(struct xdp_md *xdp)
{
	__u8 *p = (void *)(long)xdp->data;
	__u32 id = 0;

	if (dp_devices > 1) {
		if ((void *)(p + 14) > (void *)(long)xdp->data_end)
			return XDP_ABORTED;
		id = ((__u32)p[3] << 16 | (__u32)p[4] << 8 | p[5]) - 1;
	}
	return (int)bpf_redirect_map(&dp_targets, id, XDP_DROP);
}

/* So that a device takes frames from XDP. */
SEC("xdp")
int dp_pass(struct xdp_md *xdp)
{
	return XDP_PASS;
}

SEC("tc")
int dp_pass_tc(struct __sk_buff *skb)
{
	return -1;
}

char _license[] SEC("license") = "GPL";
