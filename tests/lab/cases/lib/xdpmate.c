// SPDX-License-Identifier: GPL-2.0-or-later
/* Somebody else's XDP program on a PF, for the case that wants one.
 *   xdpmate join DEV     /run/others.bpf.o through the dispatcher
 *   xdpmate leave DEV
 *   xdpmate alone DEV    without it; `ip link set DEV xdp off` takes it off */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

static int join(int ifindex)
{
	struct xdp_program *p = xdp_program__open_file("/run/others.bpf.o", "xdp", NULL);

	if (libxdp_get_error(p))
		return (int)libxdp_get_error(p);
	return xdp_program__attach(p, ifindex, XDP_MODE_NATIVE, 0);
}

static int leave(int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *p = NULL;

	if (libxdp_get_error(mp))
		return (int)libxdp_get_error(mp);
	while ((p = xdp_multiprog__next_prog(p, mp)))
		if (strcmp(xdp_program__name(p), "others_prog") == 0)
			return xdp_program__detach(p, ifindex, XDP_MODE_NATIVE, 0);
	return -2;
}

static int alone(int ifindex)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "others_prog", "GPL", insns, 2, NULL);

	return fd < 0 ? fd : bpf_xdp_attach(ifindex, fd, 1u << 2 /* native */, NULL);
}

int main(int argc, char **argv)
{
	int ifindex = argc == 3 ? (int)if_nametoindex(argv[2]) : 0, r = -22;

	if (ifindex && strcmp(argv[1], "join") == 0)
		r = join(ifindex);
	else if (ifindex && strcmp(argv[1], "leave") == 0)
		r = leave(ifindex);
	else if (ifindex && strcmp(argv[1], "alone") == 0)
		r = alone(ifindex);
	if (r)
		fprintf(stderr, "xdpmate: %d\n", r);
	return r != 0;
}
