// SPDX-License-Identifier: GPL-2.0-or-later
/* tcx, the kernel's own place for several programs where tc has its filters (6.6 and
 * newer): no qdisc, no classifier around each run, and a program stays without a pin, as a
 * filter does. Ours stands behind those of others. */
#include "ctl/core/steer_priv.h"

#include <stdio.h>
#include <unistd.h>

/* Newer than the headers that this is built with. */
#define BPF_TCX_INGRESS_TYPE ((enum bpf_attach_type)46)
#define BPF_TCX_EGRESS_TYPE  ((enum bpf_attach_type)47)

#define LOOPBACK_IFINDEX 1
#define MAX_THERE	 64 /* the kernel lets 63 be at one hook */

static enum bpf_attach_type type_of(enum bpf_tc_attach_point at)
{
	return at == BPF_TC_INGRESS ? BPF_TCX_INGRESS_TYPE : BPF_TCX_EGRESS_TYPE;
}

bool sfh_steer_tcx_is_there(void)
{
	uint32_t n = 0;

	return bpf_prog_query(LOOPBACK_IFINDEX, BPF_TCX_INGRESS_TYPE, 0, NULL, NULL, &n) == 0;
}

/* An fd of ours at the hook; -ENOENT, or why it cannot be said (-EINVAL: no tcx). */
static int ours_at(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	uint32_t ids[MAX_THERE], n = MAX_THERE;
	int fd = -ENOENT;

	if (bpf_prog_query((int)ifindex, type_of(at), 0, NULL, ids, &n) < 0)
		return -errno;
	for (uint32_t i = 0; i < n && fd < 0; i++)
		fd = sfh_steer_our_prog(ids[i]);
	return fd;
}

bool sfh_steer_tcx_has_ours(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	_cleanup_close_ int fd = ours_at(ifindex, at);

	return fd >= 0;
}

int sfh_steer_tcx_attach(uint32_t ifindex, enum bpf_tc_attach_point at, int prog, struct sfh_error *err)
{
	_cleanup_close_ int old = ours_at(ifindex, at);
	LIBBPF_OPTS(bpf_prog_attach_opts, opts);
	char name[32];
	int r;

	if (old >= 0) {
		opts.flags = BPF_F_REPLACE;
		opts.replace_prog_fd = old;
	}
	r = bpf_prog_attach_opts(prog, (int)ifindex, type_of(at), &opts);
	if (r == -EEXIST && old >= 0) /* it is this very program */
		r = 0;
	return r < 0 ? sfh_err(err, r, "cannot attach to tcx %s of %s: %s",
			       at == BPF_TC_INGRESS ? "ingress" : "egress",
			       sfh_steer_ifname(ifindex, name), strerror(-r)) :
		       0;
}

int sfh_steer_tcx_detach(uint32_t ifindex, enum bpf_tc_attach_point at)
{
	_cleanup_close_ int fd = ours_at(ifindex, at);

	if (fd < 0)
		return fd == -ENOENT || fd == -EINVAL ? 0 : fd;
	return bpf_prog_detach2(fd, (int)ifindex, type_of(at)) < 0 && errno != ENOENT ? -errno : 0;
}
