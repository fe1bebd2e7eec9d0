// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames that a case sends and counts, in guests (static: they have no libraries) and
 * on the wire.
 *   labnet shout DEV PORT N MS     N numbered broadcast datagrams, MS apart
 *   labnet listen PORT MS          what a socket got of them: "DATAGRAMS NUMBERS"
 *   labnet frames DEV SOURCE N MS  N broadcast frames of our ethertype with that source
 *   labnet hear DEV SOURCE MS      how many of them passed the device, by VLAN:
 *                                  "untagged N" and "vlan ID N" lines
 * `listen` and `hear` say "ready" on stderr once they do. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ETHERTYPE 0x88b5 /* for local experiments */
#define MAGIC 0x6c61626eu
#define MOST 4096

struct payload {
	uint32_t magic, number;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void parse_mac(const char *text, uint8_t mac[6])
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6) {
		fprintf(stderr, "not a MAC address: %s\n", text);
		exit(2);
	}
}

/* The next message before the end: its length, or -1. */
static ssize_t next(int fd, struct msghdr *msg, long end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long left = end - now_ms();

	if (left <= 0 || poll(&p, 1, (int)left) <= 0)
		return -1;
	return recvmsg(fd, msg, 0);
}

static int shout(const char *dev, int port, long n, long ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = INADDR_BROADCAST };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev)) < 0)
		die(dev);
	for (long i = 0; i < n; i++) {
		struct payload p = { MAGIC, (uint32_t)i };

		if (sendto(fd, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			die("sendto");
		pause_ms(ms);
	}
	return 0;
}

static int listen_for(int port, long ms)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	static uint8_t seen[MOST];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned datagrams = 0, numbers = 0;
	long end = now_ms() + ms;
	struct payload p;
	struct iovec iov = { &p, sizeof(p) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	fprintf(stderr, "ready\n");
	while ((got = next(fd, &msg, end)) >= 0) {
		if (got != sizeof(p) || p.magic != MAGIC || p.number >= MOST)
			continue;
		datagrams++;
		numbers += !seen[p.number];
		seen[p.number] = 1;
	}
	printf("%u %u\n", datagrams, numbers);
	return 0;
}

static int packet_socket(const char *dev, int protocol)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol),
				  .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (!ll.sll_ifindex || fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0)
		die(dev);
	return fd;
}

static int frames(const char *dev, const char *source, long n, long ms)
{
	int fd = packet_socket(dev, 0);
	uint8_t f[60] = { [12] = ETHERTYPE >> 8, [13] = ETHERTYPE & 0xff };

	memset(f, 0xff, 6);
	parse_mac(source, f + 6);
	for (long i = 0; i < n; i++) {
		f[14] = (uint8_t)i;
		if (send(fd, f, sizeof(f), 0) < 0)
			die("send");
		pause_ms(ms);
	}
	return 0;
}

static int hear(const char *dev, const char *source, long ms)
{
	int fd = packet_socket(dev, ETH_P_ALL), on = 1;
	long end = now_ms() + ms;
	static unsigned by_vlan[4096];
	unsigned untagged = 0;
	uint8_t f[2048], mac[6];
	ssize_t got;

	parse_mac(source, mac);
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0)
		die("PACKET_AUXDATA");
	fprintf(stderr, "ready\n");
	for (;;) {
		char control[256];
		struct iovec iov = { f, sizeof(f) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *c;
		size_t at = 12;
		int vlan = -1;

		got = next(fd, &msg, end);
		if (got < 0)
			break;
		if (got < 20 || memcmp(f + 6, mac, 6) != 0)
			continue;
		for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			struct tpacket_auxdata aux;

			if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
				continue;
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
			if (aux.tp_status & TP_STATUS_VLAN_VALID)
				vlan = aux.tp_vlan_tci & 0xfff;
		}
		if (f[at] == 0x81 && f[at + 1] == 0) {
			vlan = (f[at + 2] << 8 | f[at + 3]) & 0xfff;
			at += 4;
		}
		if (f[at] != ETHERTYPE >> 8 || f[at + 1] != (ETHERTYPE & 0xff))
			continue;
		if (vlan < 0)
			untagged++;
		else
			by_vlan[vlan]++;
	}
	if (untagged)
		printf("untagged %u\n", untagged);
	for (int i = 0; i < 4096; i++)
		if (by_vlan[i])
			printf("vlan %d %u\n", i, by_vlan[i]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "shout") == 0 && argc == 6)
		return shout(argv[2], atoi(argv[3]), atol(argv[4]), atol(argv[5]));
	if (strcmp(verb, "listen") == 0 && argc == 4)
		return listen_for(atoi(argv[2]), atol(argv[3]));
	if (strcmp(verb, "frames") == 0 && argc == 6)
		return frames(argv[2], argv[3], atol(argv[4]), atol(argv[5]));
	if (strcmp(verb, "hear") == 0 && argc == 5)
		return hear(argv[2], argv[3], atol(argv[4]));
	fprintf(stderr, "usage: labnet shout|listen|frames|hear …: see tests/lab/labnet.c\n");
	return 2;
}
