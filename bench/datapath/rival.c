// SPDX-License-Identifier: GPL-2.0-or-later
/* Who runs, and what each has: a cable whose near end is the PF, its way of
 * forwarding, and a sink that counts. */
#include "bench/datapath/datapath.h"
#include "bench/datapath/reader.h"
#include "ctl/core/steer_priv.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "datapath.skel.h"

/* The reader may be this many frames behind: below a tap's queue of 1000 and a
 * macvtap's of 500, so nothing is lost for want of room. */
#define READER_WINDOW 384
#define SCRATCH	      "/tmp"

const struct dp_plan dp_plans[] = {
	{ "generator", "generator alone, dropped at the PF", DP_SINK_PF, DP_DROP, 1, 0, false, false },
	{ "bridge", "Linux bridge", DP_SINK_VETH, DP_BRIDGE, 1, 1, false, false },
	{ "ceiling", "XDP redirect, no lookup", DP_SINK_VETH, DP_CEILING, 1, 1, false, false },
	{ "ours-1", "sfhybrid, 1 pair", DP_SINK_VETH, DP_OURS, 1, 1, false, false },
	{ "ours-127", "sfhybrid, 127 pairs", DP_SINK_VETH, DP_OURS, 127, 1, false, false },
	{ "ours-1016", "sfhybrid, 1016 pairs", DP_SINK_VETH, DP_OURS, 1016, 1, false, false },
	{ "ours-10000", "sfhybrid, 10,000 pairs", DP_SINK_VETH, DP_OURS, 10000, 1, false, false },
	{ "metered-ours", "sfhybrid, 1 pair, switch meter running", DP_SINK_VETH, DP_OURS, 1, 1, true, false },
	{ "fan-bridge", "Linux bridge, 127 devices", DP_SINK_VETH, DP_BRIDGE, 127, 127, false, false },
	{ "fan-ceiling", "XDP redirect, no lookup, 127 devices", DP_SINK_VETH, DP_CEILING, 127, 127, false, false },
	{ "fan-ours", "sfhybrid, 127 pairs on 127 devices", DP_SINK_VETH, DP_OURS, 127, 127, false, false },
	{ "tap-bridge", "Linux bridge", DP_SINK_TAP, DP_BRIDGE, 1, 1, false, false },
	{ "tap-ceiling", "XDP redirect, no lookup", DP_SINK_TAP, DP_CEILING, 1, 1, false, false },
	{ "tap-ours", "sfhybrid", DP_SINK_TAP, DP_OURS, 1, 1, false, false },
	{ "macvtap-bare", "macvtap", DP_SINK_MACVTAP, DP_MACVTAP, 1, 1, false, false },
	{ "macvtap-hooks", "macvtap, empty programs at our hooks", DP_SINK_MACVTAP, DP_HOOKS, 1, 1, false, false },
	{ "macvtap-filters", "macvtap, the same as filters on a clsact", DP_SINK_MACVTAP, DP_HOOKS, 1, 1, false, true },
	{ "macvtap-ours", "sfhybrid on macvtap", DP_SINK_MACVTAP, DP_OURS, 1, 1, false, false },
	{ "macvtap-ours-filters", "sfhybrid on macvtap, filters on a clsact", DP_SINK_MACVTAP, DP_OURS, 1, 1, false, true },
};
const size_t dp_plan_count = SFH_ARRAY_SIZE(dp_plans);

/* --- small things ------------------------------------------------------------------- */

static int sh(struct sfh_error *err, const char *fmt, ...) SFH_PRINTF(2, 3);
static int sh(struct sfh_error *err, const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd) == 0 ? 0 : sfh_err(err, -EIO, "this failed: %s", cmd);
}

static void pair_mac(uint32_t pair, uint8_t mac[6])
{
	uint32_t id = pair + 1;

	mac[0] = DP_MAC_HEAD_0;
	mac[1] = DP_MAC_HEAD_1;
	mac[2] = DP_MAC_HEAD_2;
	mac[3] = (uint8_t)(id >> 16);
	mac[4] = (uint8_t)(id >> 8);
	mac[5] = (uint8_t)id;
}

static const char *mac_text(uint32_t pair, char buf[SFH_MAC_STRLEN])
{
	struct sfh_mac m;

	pair_mac(pair, m.b);
	(void)sfh_mac_format(&m, buf);
	return buf;
}

static uint32_t index_of(const char *base, unsigned int i)
{
	char name[IF_NAMESIZE];

	(void)snprintf(name, sizeof(name), "%s%u", base, i);
	return if_nametoindex(name);
}

/* UDP from an address that is nobody's, with a right header checksum: where bridges
 * call iptables (br_netfilter) they drop a wrong one. */
static void make_frame(uint8_t f[DP_FRAME_LEN])
{
	static const uint8_t source[6] = { 0x02, 0, 0, 0, 0, 0x99 };
	static const uint8_t ip[20] = { 0x45, 0, 0, DP_FRAME_LEN - 14, 0, 0, 0, 0, 64, 17, 0, 0,
					198,  18, 0, 1,			198, 18, 0, 2 };
	uint32_t sum = 0;

	memset(f, 0, DP_FRAME_LEN);
	pair_mac(0, f);
	memcpy(f + 6, source, 6);
	f[12] = ETH_P_IP >> 8;
	f[13] = ETH_P_IP & 0xff;
	memcpy(f + 14, ip, sizeof(ip));
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
	f[35] = 9; /* ports 9, discard */
	f[37] = 9;
	f[39] = DP_FRAME_LEN - 34;
}

int dp_enter(struct sfh_error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		return sfh_err(err, -errno, "cannot make namespaces: %s; run as root",
			       strerror(errno));
	/* libxdp keeps its pins in the usual place, whatever bpffs we use. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", SCRATCH, "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
		return sfh_err(err, -errno, "cannot mount a tmpfs and a bpffs: %s", strerror(errno));
	return 0;
}

int dp_rival_enter(const struct dp_rival *r, struct sfh_error *err)
{
	if (setns(r->netns, CLONE_NEWNET) < 0)
		return sfh_err(err, -errno, "cannot enter the namespace of %s: %s", r->plan->name,
			       strerror(errno));
	return 0;
}

/* --- devices ------------------------------------------------------------------------- */

static int new_netns(struct dp_rival *r, struct sfh_error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return sfh_err(err, -errno, "cannot make a network namespace: %s", strerror(errno));
	r->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (r->netns < 0)
		return sfh_err(err, -errno, "cannot open a network namespace: %s", strerror(errno));
	/* Else neighbour discovery is among the frames that are counted. */
	return sh(err, "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do "
		       "[ ! -e $f ] || echo 1 >$f; done; ip link set lo up");
}

/* With GRO (or XDP) the PF has a ring that takes frames from XDP, as a NIC has. */
static int make_cable(struct dp_rival *r, struct sfh_error *err)
{
	int rc = sh(err, "ip link add pf0 type veth peer name wire0 && ethtool -K pf0 gro on && "
			 "ip link set pf0 promisc on up && ip link set wire0 up");

	r->pf = if_nametoindex("pf0");
	r->wire = if_nametoindex("wire0");
	return rc;
}

static int attach_xdp(uint32_t ifindex, const struct bpf_program *prog, struct sfh_error *err)
{
	int rc = bpf_xdp_attach((int)ifindex, bpf_program__fd(prog), XDP_FLAGS_DRV_MODE, NULL);

	return rc < 0 ? sfh_err(err, rc, "cannot attach %s: %s", bpf_program__name(prog),
				strerror(-rc)) :
			0;
}

static int make_veth_sinks(struct dp_rival *r, struct sfh_error *err)
{
	int rc = sh(err,
		    "i=0; while [ $i -lt %u ]; do "
		    "echo \"link add sink$i type veth peer name end$i\"; "
		    "echo \"link set sink$i up\"; echo \"link set end$i up\"; i=$((i + 1)); done | "
		    "ip -batch -", r->plan->devices);

	for (uint32_t i = 0; i < r->plan->devices && rc == 0; i++)
		rc = attach_xdp(index_of("end", i), r->bpf->progs.dp_sink, err);
	return rc;
}

static int open_tap(struct dp_rival *r, const char *path, struct sfh_error *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "sink0" };

	r->reader_fd = open(path, O_RDWR | O_CLOEXEC);
	if (r->reader_fd < 0 || ioctl(r->reader_fd, TUNSETIFF, &ifr) < 0)
		return sfh_err(err, -errno, "cannot open %s: %s", path, strerror(errno));
	return sh(err, "ip link set sink0 up");
}

static int make_macvtap(struct dp_rival *r, struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN], path[128];
	unsigned int major, minor;
	FILE *f;
	int rc;

	rc = sh(err,
		"ip link add link pf0 name sink0 address %s type macvtap mode bridge && "
		"mkdir -p " SCRATCH "/sys && mount -t sysfs sysfs " SCRATCH "/sys",
		mac_text(0, mac));
	if (rc < 0)
		return rc;
	(void)snprintf(path, sizeof(path), SCRATCH "/sys/class/net/sink0/tap%u/dev",
		       if_nametoindex("sink0"));
	f = fopen(path, "re");
	rc = f && fscanf(f, "%u:%u", &major, &minor) == 2 ? 0 : -ENODEV;
	if (f)
		(void)fclose(f);
	(void)umount(SCRATCH "/sys");
	(void)snprintf(path, sizeof(path), SCRATCH "/%s", r->plan->name);
	if (rc == 0 && mknod(path, S_IFCHR | 0600, makedev(major, minor)) < 0)
		rc = -errno;
	return rc < 0 ? sfh_err(err, rc, "cannot find the macvtap's device node: %s", strerror(-rc)) :
			open_tap(r, path, err);
}

static int make_sink(struct dp_rival *r, struct sfh_error *err)
{
	int rc;

	switch (r->plan->sink) {
	case DP_SINK_VETH:
		return make_veth_sinks(r, err);
	case DP_SINK_TAP:
		rc = open_tap(r, "/dev/net/tun", err);
		break;
	case DP_SINK_MACVTAP:
		rc = make_macvtap(r, err);
		break;
	default:
		return 0;
	}
	return rc < 0 ? rc : dp_reader_start(r, err);
}

/* --- ways ------------------------------------------------------------------------------ */

/* Static entries: nothing is flooded, nothing ages in the middle. */
static int way_bridge(struct dp_rival *r, struct sfh_error *err)
{
	char mac[SFH_MAC_STRLEN];
	int rc = sh(err, "ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up && "
			 "ip link set pf0 master br0");

	if (rc == 0)
		rc = sh(err,
			"i=0; while [ $i -lt %u ]; do echo \"link set sink$i master br0\"; "
			"i=$((i + 1)); done | ip -batch -", r->plan->devices);
	for (uint32_t i = 0; i < r->plan->pairs && rc == 0; i++)
		rc = sh(err, "bridge fdb add %s dev sink%u master static", mac_text(i, mac),
			i % r->plan->devices);
	return rc;
}

static int way_ceiling(struct dp_rival *r, struct sfh_error *err)
{
	for (uint32_t i = 0; i < r->plan->devices; i++) {
		uint32_t ifindex = index_of("sink", i);

		if (bpf_map_update_elem(bpf_map__fd(r->bpf->maps.dp_targets), &i, &ifindex, 0) < 0)
			return sfh_err(err, -errno, "cannot fill the devmap: %s", strerror(errno));
	}
	return attach_xdp(r->pf, r->bpf->progs.dp_ceiling, err);
}

/* Two things that the API does not do, but what is behind it. A standby device belongs to
 * one pair (sfh_steer_stage() insists): for what thousands of entries cost by
 * themselves those beyond the devices there are, are lent one of them. And the switch
 * meter runs for half a minute after arming: a pair that has been on its standby leg
 * for longer is what is measured, but for the rival that says otherwise. */
static int settle(struct dp_rival *r, const struct sfh_guest_key *key, uint32_t ifindex,
		  enum sfh_standby_kind kind, struct sfh_error *err)
{
	const int *map = r->steer->map;
	struct sfh_guest guest;

	if (bpf_map_lookup_elem(map[SFH_MAP_GUESTS], key, &guest) < 0)
		return sfh_err(err, -errno, "cannot read sfh_guests: %s", strerror(errno));
	guest.standby_ifindex = ifindex;
	guest.standby_kind = (uint8_t)kind;
	guest.meter_until_ns = r->plan->metered ? UINT64_MAX : 1;
	if (sfh_steer_put_guest(r->steer, key, &guest) < 0)
		return sfh_err(err, -errno, "cannot write sfh_guests: %s", strerror(errno));
	if (kind == SFH_STANDBY_TAP &&
	    bpf_map_update_elem(map[SFH_MAP_DEVMAP], &guest.slot, &ifindex, BPF_ANY) < 0)
		return sfh_err(err, -errno, "cannot write sfh_devmap: %s", strerror(errno));
	return 0;
}

static int way_ours(struct dp_rival *r, struct sfh_error *err)
{
	enum sfh_standby_kind kind = r->plan->sink == DP_SINK_MACVTAP ? SFH_STANDBY_MACVTAP :
									SFH_STANDBY_TAP;
	struct sfh_steer_config cfg = { .bpffs = r->bpffs, .max_pairs = 16384, .no_tcx = r->plan->filters };
	bool xdp = kind == SFH_STANDBY_TAP; /* as `up` does it */
	struct sfh_steer_pf_info info;
	int rc;

	(void)snprintf(r->bpffs, sizeof(r->bpffs), SCRATCH "/bpf-%s", r->plan->name);
	if (mkdir(r->bpffs, 0700) < 0 || mount("bpf", r->bpffs, "bpf", 0, NULL) < 0)
		return sfh_err(err, -errno, "cannot mount a bpffs: %s", strerror(errno));
	rc = sfh_steer_open(&cfg, &r->steer, err);
	if (rc == 0)
		rc = sfh_steer_pf_attach(r->steer, r->pf, xdp, &info, err);
	if (rc == 0 && xdp && info.xdp == SFH_XDP_NONE)
		rc = sfh_err(err, info.xdp_error, "no XDP on the PF: %s", info.xdp_why);
	if (rc == 0)
		r->xdp = info.xdp;
	for (uint32_t i = 0; i < r->plan->devices && rc == 0; i++)
		rc = sfh_steer_standby_attach(r->steer, index_of("sink", i), kind, err);
	for (uint32_t i = 0; i < r->plan->pairs && rc == 0; i++) {
		struct sfh_guest_key key = { .pf_ifindex = r->pf };
		uint32_t ifindex = index_of("sink", i % r->plan->devices);
		bool lent = i >= r->plan->devices;

		pair_mac(i, key.mac);
		rc = sfh_steer_stage(r->steer, &key, lent ? 0 : ifindex, kind, false, err);
		if (rc == 0)
			rc = sfh_steer_arm(r->steer, &key, err);
		if (rc == 0)
			rc = settle(r, &key, ifindex, kind, err);
	}
	return rc;
}

/* What it costs that there are programs at all, at the hooks where ours are for a macvtap. */
static int way_hooks(struct dp_rival *r, struct sfh_error *err)
{
	const uint32_t at[] = { r->pf, index_of("sink", 0) };

	for (size_t i = 0; i < SFH_ARRAY_SIZE(at); i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)at[i], .attach_point = BPF_TC_INGRESS);
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(r->bpf->progs.dp_pass_tc));
		int rc;

		if (!r->plan->filters && sfh_steer_tcx_is_there()) {
			rc = sfh_steer_tcx_attach(at[i], BPF_TC_INGRESS, opts.prog_fd, err);
			if (rc < 0)
				return rc;
			continue;
		}
		rc = bpf_tc_hook_create(&hook);
		if (rc == 0)
			rc = bpf_tc_attach(&hook, &opts);
		if (rc < 0)
			return sfh_err(err, rc, "cannot attach dp_pass_tc: %s", strerror(-rc));
	}
	return 0;
}

static int make_way(struct dp_rival *r, struct sfh_error *err)
{
	switch (r->plan->way) {
	case DP_DROP:
		return attach_xdp(r->pf, r->bpf->progs.dp_sink, err);
	case DP_BRIDGE:
		return way_bridge(r, err);
	case DP_CEILING:
		return way_ceiling(r, err);
	case DP_OURS:
		return way_ours(r, err);
	case DP_HOOKS:
		return way_hooks(r, err);
	case DP_MACVTAP:
		break; /* the sink is the way */
	}
	return 0;
}

static int load(struct dp_rival *r, struct sfh_error *err)
{
	int rc;

	r->bpf = datapath__open();
	if (!r->bpf)
		return sfh_err(err, -errno, "cannot open the bench's programs: %s", strerror(errno));
	r->bpf->rodata->dp_out_ifindex = r->wire;
	r->bpf->rodata->dp_pairs = r->plan->pairs;
	r->bpf->rodata->dp_devices = r->plan->devices;
	if (r->plan->sink == DP_SINK_TAP || r->plan->sink == DP_SINK_MACVTAP)
		r->bpf->rodata->dp_window = READER_WINDOW;
	rc = datapath__load(r->bpf);
	return rc < 0 ? sfh_err(err, rc, "cannot load the bench's programs: %s", strerror(-rc)) : 0;
}

int dp_rival_new(const struct dp_plan *plan, struct dp_rival **ret, struct sfh_error *err)
{
	struct dp_rival *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->plan = plan;
	r->netns = r->reader_fd = -1;
	make_frame(r->frame);
	rc = new_netns(r, err);
	if (rc == 0)
		rc = make_cable(r, err);
	if (rc == 0)
		rc = load(r, err);
	if (rc == 0)
		rc = make_sink(r, err);
	if (rc == 0)
		rc = make_way(r, err);
	if (rc < 0) {
		/* Whoever cannot build a rival ends; what was made ends with the namespaces. */
		(void)sfh_err_prefix(err, "%s", plan->name);
		free(r);
		return rc;
	}
	*ret = r;
	return 0;
}
