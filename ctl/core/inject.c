// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/inject.h"
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "inject_tc.skel.h"

/* The most that a tap can be set to; a packet socket refuses what is larger. */
#define INJECT_MTU 65521
/* What is released stays charged to the socket until a guest has taken it. */
#define RELEASE_BYTES (64 << 20)
/* Frames that may wait for the next turn of the caller's loop. */
#define INJECT_QUEUE 4096

struct sfh_inject {
	int tap_fd, release_fd;
	uint32_t ifindex;
	struct inject_tc *skel;
};

static int set_up(struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	ifr->ifr_mtu = INJECT_MTU;
	if (ioctl(fd, SIOCSIFMTU, ifr) < 0)
		r = -errno;
	ifr->ifr_qlen = INJECT_QUEUE;
	if (r == 0 && ioctl(fd, SIOCSIFTXQLEN, ifr) < 0)
		r = -errno;
	/* Nothing of the host's own has business there. */
	ifr->ifr_flags = IFF_UP | IFF_NOARP;
	if (r == 0 && ioctl(fd, SIOCSIFFLAGS, ifr) < 0)
		r = -errno;
	sfh_closep(&fd);
	return r;
}

static int make_tap(struct sfh_inject *in, struct sfh_error *err)
{
	struct ifreq ifr = { .ifr_name = "sfhprobe%d", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int r;

	in->tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (in->tap_fd < 0 || ioctl(in->tap_fd, TUNSETIFF, &ifr) < 0)
		return sfh_err(err, -errno, "cannot make the tap that frames are injected by: %s",
			       strerror(errno));
	in->ifindex = if_nametoindex(ifr.ifr_name);
	r = in->ifindex ? set_up(&ifr) : -errno;
	return r < 0 ? sfh_err(err, r, "cannot set %s up: %s", ifr.ifr_name, strerror(-r)) : 0;
}

static int attach(struct sfh_inject *in, struct sfh_error *err)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int r;

	memset(&hook, 0, sizeof(hook));
	hook.sz = sizeof(hook);
	hook.ifindex = (int)in->ifindex;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	(void)sfh_steer_libbpf_says();
	in->skel = inject_tc__open_and_load();
	r = in->skel ? bpf_tc_hook_create(&hook) : -errno;
	if (r == 0) {
		memset(&opts, 0, sizeof(opts));
		opts.sz = sizeof(opts);
		opts.prog_fd = bpf_program__fd(in->skel->progs.sfh_inject);
		hook.attach_point = BPF_TC_EGRESS;
		r = bpf_tc_attach(&hook, &opts);
	}
	if (r < 0)
		return sfh_err(err, r, "cannot attach the program that injects frames: %s %s",
			       strerror(-r), sfh_steer_libbpf_says());
	return 0;
}

/* Protocol 0: it only sends. */
static int packet_socket(const struct sfh_inject *in)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_ifindex = (int)in->ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0) {
		int r = -errno;

		sfh_closep(&fd);
		return r;
	}
	return fd;
}

int sfh_inject_open(struct sfh_inject **ret, struct sfh_error *err)
{
	_cleanup_(sfh_inject_close) struct sfh_inject *in = calloc(1, sizeof(*in));
	const int room = RELEASE_BYTES;
	int r;

	if (!in)
		return -ENOMEM;
	in->tap_fd = in->release_fd = -1;
	r = make_tap(in, err);
	if (r == 0)
		r = attach(in, err);
	if (r < 0)
		return r;
	in->release_fd = packet_socket(in);
	if (in->release_fd < 0)
		return sfh_err(err, in->release_fd, "cannot open a packet socket: %s",
			       strerror(-in->release_fd));
	if (setsockopt(in->release_fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		return sfh_err(err, -errno, "cannot enlarge a socket's buffer: %s", strerror(errno));
	*ret = TAKE_PTR(in);
	return 0;
}

void sfh_inject_close(struct sfh_inject **inject)
{
	struct sfh_inject *in = *inject;

	if (!in)
		return;
	inject_tc__destroy(in->skel);
	sfh_closep(&in->release_fd);
	sfh_closep(&in->tap_fd);
	free(in);
	*inject = NULL;
}

uint32_t sfh_inject_ifindex(const struct sfh_inject *in)
{
	return in->ifindex;
}

int sfh_inject_fd(const struct sfh_inject *in)
{
	return in->tap_fd;
}

static int set_mark(int fd, uint32_t mark)
{
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ? -errno : 0;
}

int sfh_inject_socket(const struct sfh_inject *in, uint32_t pf_ifindex)
{
	int fd = packet_socket(in), r;

	if (fd < 0)
		return fd;
	r = set_mark(fd, pf_ifindex);
	if (r < 0) {
		sfh_closep(&fd);
		return r;
	}
	return fd;
}

ssize_t sfh_inject_read(struct sfh_inject *in, void *frame, size_t size)
{
	ssize_t n = read(in->tap_fd, frame, size);

	return n < 0 ? -errno : n;
}

int sfh_inject_release(struct sfh_inject *in, uint32_t pf_ifindex, const void *frame, size_t len)
{
	int r = set_mark(in->release_fd, pf_ifindex | SFH_INJECT_RELEASED);

	if (r == 0 && send(in->release_fd, frame, len, 0) < 0)
		r = -errno;
	return r;
}
