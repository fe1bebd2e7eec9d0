// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/steer_priv.h"
#include "tests/netns/sandbox.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static void mount_or_die(const char *type, const char *where)
{
	cr_assert_eq(mount(type, where, type, 0, NULL), 0, "mount %s on %s: %s", type, where,
		     strerror(errno));
}

void sandbox_enter(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		cr_skip_test("needs CAP_SYS_ADMIN (run as root): %s", strerror(errno));
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0, "%s", strerror(errno));
	mount_or_die("sysfs", "/sys");
	mount_or_die("bpf", "/sys/fs/bpf");
	mount_or_die("tmpfs", "/mnt");
	cr_assert_eq(mkdir("/mnt/bpf", 0700), 0);
	mount_or_die("bpf", "/mnt/bpf");
	/* No router solicitations among the frames that are compared. */
	(void)sh_status("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done");
	sh("ip link set lo up");
}

static int run(bool quiet, const char *fmt, va_list ap)
{
	char cmd[1024];
	int n = vsnprintf(cmd, sizeof(cmd) - 16, fmt, ap), st;

	cr_assert(n > 0 && (size_t)n < sizeof(cmd) - 16);
	if (quiet)
		(void)strcat(cmd, " >/dev/null 2>&1");
	st = system(cmd);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

void sh(const char *fmt, ...)
{
	va_list ap;
	int st;

	va_start(ap, fmt);
	st = run(false, fmt, ap);
	va_end(ap);
	cr_assert_eq(st, 0, "exit status %d: %s", st, fmt);
}

int sh_status(const char *fmt, ...)
{
	va_list ap;
	int st;

	va_start(ap, fmt);
	st = run(true, fmt, ap);
	va_end(ap);
	return st;
}

uint32_t ifindex_of(const char *name)
{
	uint32_t i = if_nametoindex(name);

	cr_assert_neq(i, 0, "no device %s", name);
	return i;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* --- frames -------------------------------------------------------------------------- */

static void put_mac(struct frame *f, const char *mac)
{
	struct sfh_mac m;

	cr_assert_eq(sfh_mac_parse(mac, &m), 0, "%s", mac);
	memcpy(f->b + f->len, m.b, 6);
	f->len += 6;
}

static void put16(struct frame *f, uint32_t v)
{
	f->b[f->len++] = (uint8_t)(v >> 8);
	f->b[f->len++] = (uint8_t)v;
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v & 0xffff);
}

struct frame mk_frame(const char *dst, const char *src, uint32_t tag1, uint32_t tag2)
{
	static uint8_t serial;
	struct frame f = {};

	put_mac(&f, dst);
	put_mac(&f, src);
	if (tag1)
		put32(&f, tag1);
	if (tag2)
		put32(&f, tag2);
	put16(&f, 0x88b5); /* local experimental: no stack answers it */
	serial++;
	for (; f.len < 60; f.len++)
		f.b[f.len] = (uint8_t)(serial + f.len);
	return f;
}

static uint32_t ip4(const char *text)
{
	struct in_addr a;

	cr_assert_eq(inet_pton(AF_INET, text, &a), 1);
	return ntohl(a.s_addr);
}

struct frame mk_arp(const char *src, const char *sender_mac, const char *sender_ip)
{
	struct frame f = {};

	put_mac(&f, MAC_BCAST);
	put_mac(&f, src);
	put16(&f, 0x0806);
	put16(&f, 1);
	put16(&f, 0x0800);
	put16(&f, 0x0604);
	put16(&f, 1);
	put_mac(&f, sender_mac);
	put32(&f, ip4(sender_ip));
	f.len += 6;
	put32(&f, ip4("192.0.2.254"));
	f.len = 60;
	return f;
}

struct frame mk_ipv4(const char *src, const char *source_ip)
{
	struct frame f = {};

	put_mac(&f, MAC_PEER);
	put_mac(&f, src);
	put16(&f, 0x0800);
	put32(&f, 0x45000014);
	put32(&f, 0);
	put32(&f, 0x40fd0000);
	put32(&f, ip4(source_ip));
	put32(&f, ip4("192.0.2.254"));
	f.len = 60;
	return f;
}

int packet_open(uint32_t ifindex)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0, "packet socket: %s", strerror(errno));
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0, "%s", strerror(errno));
	return fd;
}

void frame_send(int fd, const struct frame *f)
{
	ssize_t n = write(fd, f->b, f->len);

	cr_assert_eq(n, (ssize_t)f->len, "send: %s", strerror(errno));
}

/* The stack has taken the tag out of the data, and says so beside it. */
static void put_tag_back(struct frame *f, const struct tpacket_auxdata *aux)
{
	uint32_t tpid = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
	struct frame tag = {};

	put32(&tag, tpid << 16 | aux->tp_vlan_tci);
	memmove(f->b + 16, f->b + 12, f->len - 12);
	memcpy(f->b + 12, tag.b, 4);
	f->len += 4;
}

static ssize_t packet_read(int fd, struct frame *f)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = { f->b, sizeof(f->b) - 4 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return n;
	f->len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			put_tag_back(f, &aux);
	}
	return n;
}

struct frame frame_read(int fd, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct frame f = {};
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return f;
	n = packet_read(fd, &f);
	if (n < 0 && errno == ENOTSOCK) { /* a tap's or macvtap's */
		n = read(fd, f.b, sizeof(f.b));
		f.len = (size_t)n;
	}
	cr_assert_gt(n, 0, "read: %s", strerror(errno));
	return f;
}

void assert_frame(const struct frame *got, const struct frame *want, const char *file, int line)
{
	cr_assert_eq(got->len, want->len, "%s:%d: %zu bytes came, %zu expected", file, line,
		     got->len, want->len);
	for (size_t i = 0; i < want->len; i++)
		cr_assert_eq(got->b[i], want->b[i], "%s:%d: byte %zu is %02x, %02x expected", file,
			     line, i, got->b[i], want->b[i]);
}

/* --- devices ---------------------------------------------------------------------------- */

int tap_make(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("needs /dev/net/tun: %s", strerror(errno));
	(void)sfh_strcpy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0, "%s: %s", name, strerror(errno));
	sh("ip link set %s up", name);
	return fd;
}

int macvtap_make(const char *name, const char *pf, const char *mac)
{
	unsigned int major, minor;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char path[64];
	FILE *f;
	int fd;

	sh("ip link add link %s name %s address %s type macvtap mode bridge", pf, name, mac);
	sh("ip link set %s up", name);
	/* No udev in here. */
	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/tap%u/dev", name, ifindex_of(name));
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: %s", path, strerror(errno));
	cr_assert_eq(fscanf(f, "%u:%u", &major, &minor), 2);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "/mnt/%s", name);
	cr_assert_eq(mknod(path, S_IFCHR | 0600, makedev(major, minor)), 0, "%s", strerror(errno));
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	/* Without IFF_VNET_HDR the device gives plain frames. */
	cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0, "%s: %s", path, strerror(errno));
	return fd;
}

/* --- steering --------------------------------------------------------------------------- */

static struct sfh_steer *open_with(bool no_tcx)
{
	struct sfh_steer_config cfg = { .no_tcx = no_tcx };
	struct sfh_steer *s = NULL;
	struct sfh_error err = {};
	int r = sfh_steer_open(&cfg, &s, &err);

	cr_assert_eq(r, 0, "sfh_steer_open: %d, %s", r, err.text);
	return s;
}

struct sfh_steer *steer_open(void)
{
	return open_with(true);
}

struct sfh_steer *steer_open_tcx(void)
{
	return open_with(false);
}

void meter_is_over(struct sfh_steer *s, const struct sfh_guest_key *key)
{
	struct sfh_fast_bucket *b = &s->fast[sfh_fast_index(sfh_mac_word(key->mac))];

	for (size_t i = 0; i < SFH_FAST_WAYS; i++)
		b->way[i].meter_until = 0;
}

struct sfh_guest_key mk_key(uint32_t pf, const char *mac, uint16_t vlan)
{
	struct sfh_guest_key key = { .pf_ifindex = pf, .vlan = vlan };
	struct sfh_mac m;

	cr_assert_eq(sfh_mac_parse(mac, &m), 0);
	memcpy(key.mac, m.b, 6);
	return key;
}

struct sfh_pair_view view_of(struct sfh_steer *s, const struct sfh_guest_key *key)
{
	struct sfh_pair_view v;
	int r = sfh_steer_get(s, key, &v);

	cr_assert_eq(r, 0, "sfh_steer_get: %s", strerror(-r));
	return v;
}

static int keep_event(const struct sfh_event *ev, void *ctx)
{
	if (ctx)
		*(struct sfh_event *)ctx = *ev;
	return 0;
}

int take_events(struct sfh_steer *s, struct sfh_event *last)
{
	int n = sfh_steer_dispatch(s, keep_event, last);

	cr_assert_geq(n, 0, "dispatch: %s", strerror(-n));
	return n;
}

uint32_t pf_make(void)
{
	sh("ip link add pf0 type veth peer name wire0 && ip link set wire0 up && ip link set pf0 up");
	return ifindex_of("pf0");
}

void pf_attach(struct sfh_steer *s, uint32_t pf, bool xdp, struct sfh_steer_pf_info *ret)
{
	struct sfh_steer_pf_info info = {};
	struct sfh_error err = {};

	cr_assert_eq(sfh_steer_pf_attach(s, pf, xdp, &info, &err), 0, "%s", err.text);
	cr_assert_eq(info.xdp != SFH_XDP_NONE, xdp, "%s", info.xdp_why);
	if (ret)
		*ret = info;
}

void leg_make(struct leg *leg, const struct leg_kind *kind)
{
	struct sfh_error err = {};

	sandbox_enter();
	leg->pf = pf_make();
	leg->wire = packet_open(ifindex_of("wire0"));
	leg->s = steer_open();
	leg->key = mk_key(leg->pf, MAC_GUEST, kind->vlan);
	if (kind->kind == SFH_STANDBY_TAP) {
		sh("ip link add br0 type bridge mcast_snooping 0 && ip link set pf0 master br0 && "
		   "ip link set br0 up");
		leg->guest = tap_make("standby0");
		sh("ip link set standby0 master br0");
	} else {
		leg->guest = macvtap_make("standby0", "pf0", MAC_GUEST);
	}
	leg->standby = ifindex_of("standby0");
	pf_attach(leg->s, leg->pf, kind->xdp, NULL);
	cr_assert_eq(sfh_steer_standby_attach(leg->s, leg->standby, kind->kind, &err), 0, "%s",
		     err.text);
}
