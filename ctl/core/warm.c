// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/warm.h"
#include "ctl/core/inject.h"
#include "ctl/core/steer_priv.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#define FRAME_LEN 64
/* Unread probes that a tap gets before they become rare: its count does not tell
 * whether one that was not read is still there. */
#define TAP_UNREAD_MAX 4
#define TAP_UNREAD_EVERY 16
/* How old the knowledge of a PF's XDP program may be: to ask costs a netlink question. */
#define PF_LOOK_NS 200000000

/* A PF's XDP program, as it is attached now. */
struct pf {
	uint32_t ifindex;
	bool wanted;  /* ours should be there */
	uint32_t id;
	int fd;
	uint64_t looked_ns;
	struct pf *next;
};

struct sfh_warm {
	struct sfh_steer *steer;
	char sysfs[128];
	const struct sfh_inject *inject;
	int ioctl_fd, nl_fd;
	uint64_t token;
	struct pf *pfs;
};

struct sfh_warm_leg {
	struct sfh_warm *w;
	struct sfh_guest_key key;
	uint32_t standby_ifindex;
	bool tap;
	uint16_t vlan_proto; /* of the tag that its frames have on the wire */
	int fd, counter_fd;
	uint32_t seq;
	uint64_t sent_ns;
	int sent;	 /* 0, or why not */
	bool by_xdp;	 /* the PF's XDP program was run on it, too */
	uint32_t xdp_id; /* the program that saw the latest such probe; 0: none did */
	bool waits;	 /* sent, not known to be read */
	unsigned unread; /* probes in a row that were not read */
	bool dropped;	 /* the macvtap's queue was full */
	uint64_t count;	 /* tap: tx_packets, macvtap: rx_dropped; at the last look */
};

/* What was recorded on the wire while a program was missing is worth nothing. */
static int new_token(struct sfh_warm *w)
{
	struct sfh_probe_want want;
	uint32_t zero = 0;

	do {
		if (getrandom(&want.token, sizeof(want.token), 0) != sizeof(want.token))
			return -EIO;
	} while (!want.token);
	if (bpf_map_update_elem(w->steer->map[SFH_MAP_PROBE_WANT], &zero, &want, BPF_ANY) < 0)
		return -errno;
	w->token = want.token;
	return 0;
}

/* A socket a pair: more than the usual 1024 descriptors. */
static void want_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int sfh_warm_open(struct sfh_steer *s, const struct sfh_inject *inject, const char *sysfs,
		  struct sfh_warm **ret, struct sfh_error *err)
{
	_cleanup_(sfh_warm_close) struct sfh_warm *w = calloc(1, sizeof(*w));
	int r = sfh_steer_writable(s, err);

	if (!w)
		return -ENOMEM;
	w->steer = s;
	w->inject = inject;
	w->ioctl_fd = w->nl_fd = -1;
	if (r == 0)
		r = sfh_strcpy(w->sysfs, sizeof(w->sysfs), sysfs);
	if (r < 0)
		return r;
	w->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	w->nl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (w->ioctl_fd < 0 || w->nl_fd < 0)
		return sfh_err(err, -errno, "cannot open a socket: %s", strerror(errno));
	want_descriptors();
	r = new_token(w);
	if (r < 0)
		return sfh_err(err, r, "cannot set the probes' token: %s", strerror(-r));
	*ret = TAKE_PTR(w);
	return 0;
}

void sfh_warm_close(struct sfh_warm **wp)
{
	struct sfh_warm *w = *wp;
	struct sfh_probe_want none = {};
	uint32_t zero = 0;
	struct pf *pf;

	if (!w)
		return;
	if (w->token)
		(void)bpf_map_update_elem(w->steer->map[SFH_MAP_PROBE_WANT], &zero, &none, BPF_ANY);
	while ((pf = w->pfs)) {
		w->pfs = pf->next;
		sfh_closep(&pf->fd);
		free(pf);
	}
	sfh_closep(&w->ioctl_fd);
	sfh_closep(&w->nl_fd);
	free(w);
	*wp = NULL;
}

/* --- the PF's XDP program ------------------------------------------------------------------ */

/* The id of the XDP program that is attached, 0 if none is. libbpf's own question for
 * it is a dump of every device of the host. */
static uint32_t attached_xdp(const struct sfh_warm *w, uint32_t ifindex)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
		struct rtattr attr;
		uint32_t mask;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETLINK,
		       .nlmsg_flags = NLM_F_REQUEST },
		.ifi = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex },
		.attr = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_EXT_MASK },
		.mask = RTEXT_FILTER_SKIP_STATS,
	};
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	const struct nlattr *xdp, *id;
	ssize_t n;

	if (send(w->nl_fd, &req, sizeof(req), 0) < 0)
		return 0;
	n = recv(w->nl_fd, buf, sizeof(buf), 0);
	if (n < 0 || !nlmsg_ok(h, (int)n) || h->nlmsg_type != RTM_NEWLINK)
		return 0;
	xdp = nlmsg_find_attr(h, sizeof(struct ifinfomsg), IFLA_XDP);
	id = xdp ? nla_find(nla_data(xdp), nla_len(xdp), IFLA_XDP_PROG_ID) : NULL;
	return id ? nla_get_u32(id) : 0;
}

static void look_at_pf(struct sfh_warm *w, struct pf *pf)
{
	uint32_t id = 0;

	pf->looked_ns = sfh_now_ns();
	pf->wanted = sfh_steer_xdp_wanted(w->steer, pf->ifindex);
	if (pf->wanted)
		id = attached_xdp(w, pf->ifindex);
	if (id == pf->id && (pf->fd >= 0 || !id))
		return;
	sfh_closep(&pf->fd);
	pf->id = id;
	pf->fd = id ? bpf_prog_get_fd_by_id(id) : -1;
}

void sfh_warm_begin(struct sfh_warm *w)
{
	uint64_t now = sfh_now_ns();

	for (struct pf *pf = w->pfs; pf; pf = pf->next)
		if (now - pf->looked_ns >= PF_LOOK_NS)
			look_at_pf(w, pf);
}

static struct pf *pf_of(struct sfh_warm *w, uint32_t ifindex)
{
	struct pf *pf = w->pfs;

	while (pf && pf->ifindex != ifindex)
		pf = pf->next;
	if (pf)
		return pf;
	pf = calloc(1, sizeof(*pf));
	if (!pf)
		return NULL;
	pf->ifindex = ifindex;
	pf->fd = -1;
	pf->next = w->pfs;
	w->pfs = pf;
	look_at_pf(w, pf);
	return pf;
}

static void run_xdp(const struct pf *pf, const uint8_t *frame)
{
	struct xdp_md ctx = { .data_end = FRAME_LEN, .ingress_ifindex = pf->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME_LEN,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	/* What it did is in sfh_probe; a foreign program leaves nothing there. */
	if (pf->fd >= 0)
		(void)bpf_prog_test_run_opts(pf->fd, &opts);
}

/* --- a device's counter ----------------------------------------------------------------------- */

/* sysfs, kept open: a netlink question would take the lock under which devices are made
 * and removed, a thousand times a second. */
static int open_counter(const struct sfh_warm *w, uint32_t ifindex, const char *name)
{
	char dev[IF_NAMESIZE], path[256];
	int fd;

	if (!if_indextoname(ifindex, dev))
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "%s/class/net/%s/statistics/%s", w->sysfs, dev, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Whether the counter that matters has moved since the last look. */
static bool counter_moved(struct sfh_warm_leg *leg)
{
	char text[32];
	ssize_t n = pread(leg->counter_fd, text, sizeof(text) - 1, 0);
	uint64_t count;
	bool moved;

	if (n <= 0)
		return false;
	text[n] = '\0';
	count = strtoull(text, NULL, 10);
	moved = count != leg->count;
	leg->count = count;
	return moved;
}

/* --- legs --------------------------------------------------------------------------------------- */

int sfh_warm_leg_new(struct sfh_warm *w, const struct sfh_guest_key *key, uint32_t standby_ifindex,
		     enum sfh_standby_kind kind, struct sfh_warm_leg **ret, struct sfh_error *err)
{
	_cleanup_(sfh_warm_leg_free) struct sfh_warm_leg *leg = calloc(1, sizeof(*leg));
	struct sfh_guest guest = {};

	if (!leg)
		return -ENOMEM;
	leg->w = w;
	leg->fd = leg->counter_fd = -1;
	leg->key = *key;
	leg->standby_ifindex = standby_ifindex;
	leg->tap = kind == SFH_STANDBY_TAP;
	(void)bpf_map_lookup_elem(w->steer->map[SFH_MAP_GUESTS], key, &guest);
	leg->vlan_proto = guest.vlan_proto ? guest.vlan_proto : ETH_P_8021Q;
	leg->fd = sfh_inject_socket(w->inject, key->pf_ifindex);
	if (leg->fd < 0)
		return sfh_err(err, leg->fd, "cannot open a probe's socket: %s", strerror(-leg->fd));
	/* A restarted agent goes on where no stamp of its predecessor can be. */
	if (getrandom(&leg->seq, sizeof(leg->seq), 0) != sizeof(leg->seq))
		return -EIO;
	leg->counter_fd = open_counter(w, standby_ifindex, leg->tap ? "tx_packets" : "rx_dropped");
	if (leg->counter_fd < 0)
		return sfh_err(err, leg->counter_fd, "cannot read the counters of ifindex %u: %s",
			       standby_ifindex, strerror(-leg->counter_fd));
	(void)counter_moved(leg);
	*ret = TAKE_PTR(leg);
	return 0;
}

void sfh_warm_leg_free(struct sfh_warm_leg **leg)
{
	if (!*leg)
		return;
	sfh_closep(&(*leg)->fd);
	sfh_closep(&(*leg)->counter_fd);
	free(*leg);
	*leg = NULL;
}

const struct sfh_guest_key *sfh_warm_leg_key(const struct sfh_warm_leg *leg)
{
	return &leg->key;
}

uint32_t sfh_warm_leg_device(const struct sfh_warm_leg *leg)
{
	return leg->standby_ifindex;
}

static void build(const struct sfh_warm_leg *leg, uint8_t frame[FRAME_LEN])
{
	const uint8_t src[6] = SFH_PROBE_SRC;
	struct sfh_probe_body body = { .token = leg->w->token, .seq = leg->seq };
	const uint16_t tag[] = { htons(leg->vlan_proto), htons(leg->key.vlan) };
	const uint16_t type = htons(SFH_PROBE_PROTO);
	size_t n = 12;

	memset(frame, 0, FRAME_LEN);
	memcpy(frame, leg->key.mac, 6);
	memcpy(frame + 6, src, 6);
	if (leg->key.vlan) {
		memcpy(frame + n, tag, sizeof(tag));
		n += sizeof(tag);
	}
	memcpy(frame + n, &type, sizeof(type));
	memcpy(frame + n + sizeof(type), &body, sizeof(body));
}

/* Whether the macvtap's reader, or somebody on the way, still has it. */
static bool charged(const struct sfh_warm_leg *leg)
{
	int bytes = 0;

	return ioctl(leg->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

static bool may_send(const struct sfh_warm_leg *leg)
{
	if (!leg->waits)
		return true;
	if (!leg->tap)
		return !charged(leg);
	return leg->unread < TAP_UNREAD_MAX || leg->unread % TAP_UNREAD_EVERY == 0;
}

void sfh_warm_send(struct sfh_warm_leg *leg)
{
	struct pf *pf = pf_of(leg->w, leg->key.pf_ifindex);
	uint8_t frame[FRAME_LEN];

	leg->unread += leg->waits;
	if (!may_send(leg))
		return;
	leg->seq = leg->seq + 1 ? leg->seq + 1 : 1;
	leg->waits = true;
	leg->dropped = false;
	build(leg, frame);
	/* While it is the program that saw the latest one, every other probe will do: its maps
	 * are tc's. */
	leg->by_xdp = pf && pf->wanted && (!pf->id || pf->id != leg->xdp_id || leg->seq & 1);
	if (leg->by_xdp)
		run_xdp(pf, frame);
	leg->sent_ns = sfh_now_ns();
	leg->sent = send(leg->fd, frame, sizeof(frame), 0) < 0 ? -errno : 0;
	/* Gone already: read at once, or not queued because there was no room. */
	if (!leg->tap && !charged(leg))
		leg->dropped = counter_moved(leg);
}

static uint32_t seen_flags(const struct sfh_warm_leg *leg, struct sfh_probe_seen *seen)
{
	*seen = (struct sfh_probe_seen){};
	if (bpf_map_lookup_elem(leg->w->steer->map[SFH_MAP_PROBE], &leg->key, seen) < 0 ||
	    seen->seq != leg->seq)
		return 0;
	return seen->flags;
}

static uint32_t wanted_flags(const struct sfh_warm_leg *leg)
{
	return SFH_PROBE_TC | SFH_PROBE_ENTRY | SFH_PROBE_STANDBY |
	       (leg->by_xdp ? SFH_PROBE_XDP : 0);
}

int sfh_warm_check(struct sfh_warm_leg *leg, uint32_t *latency_ns, uint32_t *ring_us)
{
	uint32_t want = wanted_flags(leg);
	struct sfh_probe_seen seen;
	bool taken;

	if (!leg->waits)
		return 0;
	taken = leg->tap ? counter_moved(leg) : !charged(leg) && !leg->dropped;
	if (!taken || (seen_flags(leg, &seen) & want) != want)
		return 0;
	leg->waits = false;
	leg->unread = 0;
	if (leg->by_xdp)
		leg->xdp_id = pf_of(leg->w, leg->key.pf_ifindex)->id;
	*latency_ns = (uint32_t)(seen.standby_ns - leg->sent_ns);
	*ring_us = (uint32_t)((sfh_now_ns() - leg->sent_ns) / 1000);
	return 1;
}

/* --- why not ---------------------------------------------------------------------------------------- */

/* Flags of the device; negative if it is gone. */
static int device_flags(const struct sfh_warm *w, uint32_t ifindex)
{
	struct ifreq ifr = {};

	if (!if_indextoname(ifindex, ifr.ifr_name) || ioctl(w->ioctl_fd, SIOCGIFFLAGS, &ifr) < 0)
		return -ENODEV;
	return (unsigned short)ifr.ifr_flags;
}

/* The cause that is nearest to the wire; what is down explains all that follows. */
enum sfh_cold sfh_warm_why(struct sfh_warm_leg *leg)
{
	struct sfh_warm *w = leg->w;
	struct sfh_steer_port_state port = {};
	struct sfh_probe_seen seen;
	uint32_t want = wanted_flags(leg), flags = seen_flags(leg, &seen);
	int pf = device_flags(w, leg->key.pf_ifindex);
	int standby = device_flags(w, leg->standby_ifindex);

	leg->xdp_id = 0;
	if (!(flags & SFH_PROBE_STANDBY))
		(void)new_token(w); /* it may have gone anywhere */
	if (pf < 0 || (pf & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING))
		return SFH_COLD_PF_DOWN;
	if (standby < 0)
		return SFH_COLD_STANDBY_GONE;
	if ((standby & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING))
		return SFH_COLD_STANDBY_DOWN;
	if (leg->sent < 0)
		return SFH_COLD_NOT_SENT;
	if ((want & ~flags) & SFH_PROBE_XDP)
		return SFH_COLD_PF_XDP;
	if (!(flags & SFH_PROBE_TC))
		return SFH_COLD_PF_TC;
	if (!(flags & SFH_PROBE_ENTRY))
		return SFH_COLD_ENTRY;
	if (!(flags & SFH_PROBE_STANDBY)) {
		(void)sfh_steer_port_check(w->steer, leg->standby_ifindex,
					   leg->tap ? SFH_STANDBY_TAP : SFH_STANDBY_MACVTAP, &port);
		return port.to ? SFH_COLD_LOST : SFH_COLD_STANDBY_TC;
	}
	return leg->dropped ? SFH_COLD_RING_FULL : SFH_COLD_RING_STUCK;
}
