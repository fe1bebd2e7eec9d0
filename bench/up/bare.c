// SPDX-License-Identifier: GPL-2.0-or-later
/* The least that makes PFs ready for a hybrid network, as bare calls one after the
 * other and nothing else: link up, sriov_drivers_autoprobe, sriov_numvfs, the driver
 * of each VF, a tc filter, native XDP, the VLAN link. What `up` is measured against.
 *   bare up|down PF...
 * Runs on a host of the lab; the programs pass every frame. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vlan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VFS "7"
#define VLAN 4093

static struct nl_sock *sock;

static void check(int r, const char *pf, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bare: %s: %s: %d\n", pf, what, r);
	exit(1);
}

static int put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	int r;

	if (!f)
		return -errno;
	r = fputs(text, f) < 0 ? -EIO : 0;
	return fclose(f) == EOF ? -errno : r;
}

static int put_pf(const char *pf, const char *attr, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/%s", pf, attr);
	return put(path, text);
}

/* A program that returns `verdict`. */
static int program(enum bpf_prog_type type, int verdict)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(type, "bare", "GPL", insns, sizeof(insns) / sizeof(*insns), NULL);
}

static int bind_vfs(const char *pf)
{
	char path[160], target[160], *bdf;

	for (int i = 0; i < atoi(VFS); i++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/virtfn%d", pf, i);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		bdf = strrchr(target, '/') + 1;
		(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
		if (put(path, "vfio-pci") < 0 || put("/sys/bus/pci/drivers_probe", bdf) < 0)
			return -EIO;
	}
	return 0;
}

static int set_up(int ifindex, unsigned flags)
{
	struct rtnl_link *link = rtnl_link_alloc(), *change = rtnl_link_alloc();
	int r;

	rtnl_link_set_ifindex(link, ifindex);
	if (flags)
		rtnl_link_set_flags(change, IFF_UP);
	else
		rtnl_link_unset_flags(change, IFF_UP);
	r = rtnl_link_change(sock, link, change, 0);
	rtnl_link_put(link);
	rtnl_link_put(change);
	return r;
}

static char *vlan_name(int ifindex, char name[16])
{
	(void)snprintf(name, 16, "bare%d", ifindex);
	return name;
}

static void up(const char *pf, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1,
		    .prog_fd = program(BPF_PROG_TYPE_SCHED_CLS, -1));
	struct rtnl_link *vlan = rtnl_link_vlan_alloc();
	char name[16];

	check(set_up(ifindex, IFF_UP), pf, "link up");
	check(put_pf(pf, "sriov_drivers_autoprobe", "0"), pf, "autoprobe");
	check(put_pf(pf, "sriov_numvfs", VFS), pf, "sriov_numvfs");
	check(bind_vfs(pf), pf, "vfio-pci");
	check(bpf_tc_hook_create(&hook), pf, "clsact");
	check(bpf_tc_attach(&hook, &filter), pf, "filter");
	check(bpf_xdp_attach(ifindex, program(BPF_PROG_TYPE_XDP, XDP_PASS), XDP_FLAGS_DRV_MODE, NULL),
	      pf, "XDP");
	rtnl_link_set_name(vlan, vlan_name(ifindex, name));
	rtnl_link_set_link(vlan, ifindex);
	check(rtnl_link_vlan_set_id(vlan, VLAN), pf, "VLAN");
	check(rtnl_link_add(sock, vlan, NLM_F_CREATE | NLM_F_EXCL), pf, "VLAN");
	rtnl_link_put(vlan);
}

static void down(const char *pf, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct rtnl_link *vlan = rtnl_link_alloc();
	char name[16];

	rtnl_link_set_name(vlan, vlan_name(ifindex, name));
	check(rtnl_link_delete(sock, vlan), pf, "VLAN");
	rtnl_link_put(vlan);
	check(bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL), pf, "XDP");
	check(bpf_tc_hook_destroy(&hook), pf, "clsact");
	check(put_pf(pf, "sriov_numvfs", "0"), pf, "sriov_numvfs");
	check(put_pf(pf, "sriov_drivers_autoprobe", "1"), pf, "autoprobe");
}

int main(int argc, char **argv)
{
	if (argc < 3 || (strcmp(argv[1], "up") != 0 && strcmp(argv[1], "down") != 0)) {
		(void)fprintf(stderr, "usage: bare up|down PF...\n");
		return 2;
	}
	sock = nl_socket_alloc();
	check(sock ? nl_connect(sock, NETLINK_ROUTE) : -ENOMEM, "netlink", "connect");
	for (int i = 2; i < argc; i++) {
		int ifindex = (int)if_nametoindex(argv[i]);

		check(ifindex ? 0 : -ENODEV, argv[i], "no such device");
		if (argv[1][0] == 'u')
			up(argv[i], ifindex);
		else
			down(argv[i], ifindex);
	}
	nl_socket_free(sock);
	return 0;
}
