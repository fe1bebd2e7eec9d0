// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-echo: the guest's end of the two-way prober (static: the guest has no
 * libraries), and the clock of a host that the client asks for its time. Sends to
 * whoever sent last, at the rate it was told, until told to stop or nobody has
 * spoken for a minute. Everything that comes over TCP goes back. */
#include "bench/failover/duplex.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define SILENCE_NS (60 * NS)
#define LIST_MAX 2000000u
#define TCP_MAX 8
#define LEG_NS (40 * NS / 1000) /* between two looks at the standby leg */

struct entry {
	uint32_t seq;
	uint64_t t_ns;
};

struct echo {
	int udp, tcp, timer;
	int peers[TCP_MAX];
	struct sockaddr_in client;
	uint32_t run, seq, interval_us, acked;
	uint64_t heard_ns;
	bool sending;
	int leg_sent, leg_received; /* counters of the standby leg, as files; -1: there is none */
	uint64_t leg_looked_ns;
	uint32_t leg_sent_then, leg_received_then;
	struct entry *list;
	uint32_t nlist, size;
};

static uint64_t now_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static int fail(const char *what)
{
	(void)fprintf(stderr, "sfh-echo: %s: %s\n", what, strerror(errno));
	return 1;
}

static void schedule(struct echo *e, uint32_t interval_us)
{
	struct itimerspec when = {0};

	when.it_interval = (struct timespec){interval_us / 1000000,
					     (long)(interval_us % 1000000) * 1000};
	when.it_value = when.it_interval;
	(void)timerfd_settime(e->timer, 0, &when, NULL);
	e->interval_us = interval_us;
	e->sending = interval_us != 0;
}

/* --- the standby leg, whose counters tell by which leg the guest sends ----------------- */

static int leg_file(const char *dev, const char *file)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", dev, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Of net_failover's devices the one that is virtio's own. */
static bool is_standby(const char *dev)
{
	char path[128], driver[128] = "";

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/master", dev);
	if (access(path, F_OK) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", dev);
	return readlink(path, driver, sizeof(driver) - 1) > 0 && strstr(driver, "/virtio_net");
}

static void leg_open(struct echo *e)
{
	DIR *dir = opendir("/sys/class/net");
	const struct dirent *d;

	while (dir && (d = readdir(dir)) && e->leg_sent < 0) {
		if (d->d_name[0] == '.' || strlen(d->d_name) > 15 || !is_standby(d->d_name))
			continue;
		e->leg_sent = leg_file(d->d_name, "statistics/tx_packets");
		e->leg_received = leg_file(d->d_name, "statistics/rx_packets");
	}
	if (dir)
		(void)closedir(dir);
}

static bool leg_count(int fd, uint32_t *ret)
{
	char text[32] = "";

	if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return false;
	*ret = (uint32_t)strtoull(text, NULL, 10);
	return true;
}

/* Looking takes an emulated guest more than a ms: not before each frame, and what it receives
 * by that leg is of interest only while it sends by it. */
static void leg_look(struct echo *e, struct sfh_duplex_frame *f)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	uint32_t sent;

	if (e->leg_sent < 0 || now - e->leg_looked_ns < LEG_NS)
		return;
	e->leg_looked_ns = now;
	if (!leg_count(e->leg_sent, &sent))
		return;
	if (sent != e->leg_sent_then)
		(void)leg_count(e->leg_received, &e->leg_received_then);
	e->leg_sent_then = sent;
	f->has_leg = htonl(1);
	f->leg_sent = htonl(sent);
	f->leg_received = htonl(e->leg_received_then);
}

static void begin(struct echo *e, uint32_t run)
{
	if (e->leg_sent < 0)
		leg_open(e);
	e->run = run;
	e->seq = 0;
	e->acked = 0;
	e->nlist = 0;
}

static void note(struct echo *e, uint32_t seq, uint64_t t_ns)
{
	if (e->nlist == e->size) {
		uint32_t size = e->size ? 2 * e->size : 4096;
		struct entry *list = size > LIST_MAX ? NULL : reallocarray(e->list, size, sizeof(*list));

		if (!list) /* the client sees it as lost */
			return;
		e->list = list;
		e->size = size;
	}
	e->list[e->nlist++] = (struct entry){seq, t_ns};
}

static void send_frame(struct echo *e)
{
	struct {
		struct sfh_duplex_frame f;
		struct sfh_duplex_entry entries[SFH_DUPLEX_ENTRIES];
	} out;
	uint32_t n = e->nlist - e->acked;
	uint64_t t;

	if (n > SFH_DUPLEX_ENTRIES)
		n = SFH_DUPLEX_ENTRIES;
	out.f = (struct sfh_duplex_frame){
		.magic = htonl(SFH_DUPLEX_MAGIC),
		.kind = htonl(SFH_DUPLEX_GUEST),
		.run = htonl(e->run),
		.seq = htonl(e->seq++),
		.acked = htonl(e->acked),
		.nentries = htonl(n),
	};
	for (uint32_t i = 0; i < n; i++) {
		const struct entry *from = &e->list[e->acked + i];

		out.entries[i] = (struct sfh_duplex_entry){htonl(from->seq),
							   htonl((uint32_t)(from->t_ns >> 32)),
							   htonl((uint32_t)from->t_ns)};
	}
	leg_look(e, &out.f);
	t = now_ns(CLOCK_REALTIME);
	out.f.t_hi = htonl((uint32_t)(t >> 32));
	out.f.t_lo = htonl((uint32_t)t);
	/* a frame that the kernel refuses is a lost one: its number is used up */
	(void)sendto(e->udp, &out, sizeof(out.f) + n * sizeof(out.entries[0]), 0,
		     (struct sockaddr *)&e->client, sizeof(e->client));
}

static uint64_t stamp(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
	}
	return now_ns(CLOCK_REALTIME);
}

static void tell_time(struct echo *e, struct sfh_duplex_frame *f, const struct sockaddr_in *to)
{
	uint64_t t = now_ns(CLOCK_REALTIME);

	f->kind = htonl(SFH_DUPLEX_TIME);
	f->t_hi = htonl((uint32_t)(t >> 32));
	f->t_lo = htonl((uint32_t)t);
	(void)sendto(e->udp, f, sizeof(*f), 0, (const struct sockaddr *)to, sizeof(*to));
}

static void handle(struct echo *e, struct sfh_duplex_frame *f, const struct sockaddr_in *from,
		   uint64_t t_ns)
{
	uint32_t acked = ntohl(f->acked), interval = ntohl(f->interval_us);
	uint32_t kind = ntohl(f->kind);

	if (kind == SFH_DUPLEX_CLOCK) {
		tell_time(e, f, from);
		return;
	}
	if (kind == SFH_DUPLEX_BYE && ntohl(f->run) == e->run) {
		schedule(e, 0);
		return;
	}
	if (kind != SFH_DUPLEX_PROBE && kind != SFH_DUPLEX_ACK)
		return;
	if (ntohl(f->run) != e->run)
		begin(e, ntohl(f->run));
	e->client = *from;
	e->heard_ns = now_ns(CLOCK_MONOTONIC);
	if (interval && (!e->sending || interval != e->interval_us))
		schedule(e, interval);
	if (kind == SFH_DUPLEX_PROBE)
		note(e, ntohl(f->seq), t_ns);
	if (acked > e->acked && acked <= e->nlist)
		e->acked = acked;
}

static void receive_frames(struct echo *e)
{
	for (;;) {
		char control[128];
		struct sfh_duplex_frame f;
		struct sockaddr_in from;
		struct iovec iov = {&f, sizeof(f)};
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(e->udp, &msg, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (n == sizeof(f) && ntohl(f.magic) == SFH_DUPLEX_MAGIC)
			handle(e, &f, &from, stamp(&msg));
	}
}

static void tcp_accept(struct echo *e)
{
	int fd = accept4(e->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1, slot = 0;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (int i = 0; i < TCP_MAX; i++)
		if (e->peers[i] < 0)
			slot = i;
	if (e->peers[slot] >= 0) /* the oldest of a client that went without a word */
		(void)close(e->peers[slot]);
	e->peers[slot] = fd;
}

static void tcp_back(struct echo *e, int i)
{
	char buf[4096];
	ssize_t n = recv(e->peers[i], buf, sizeof(buf), 0);

	if (n > 0 && send(e->peers[i], buf, (size_t)n, MSG_NOSIGNAL) == n)
		return;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	(void)close(e->peers[i]);
	e->peers[i] = -1;
}

static int open_sockets(struct echo *e, uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, buffer = 1 << 20;

	e->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	e->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	e->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (e->udp < 0 || e->tcp < 0 || e->timer < 0)
		return fail("cannot open sockets");
	(void)setsockopt(e->udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	(void)setsockopt(e->udp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	(void)setsockopt(e->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(e->udp, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    bind(e->tcp, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(e->tcp, TCP_MAX) < 0)
		return fail("cannot listen");
	return 0;
}

int main(int argc, char **argv)
{
	struct echo e = {.udp = -1, .tcp = -1, .timer = -1, .leg_sent = -1, .leg_received = -1};
	long port = argc > 1 ? strtol(argv[1], NULL, 10) : SFH_DUPLEX_PORT;

	if (argc > 2 || port < 1 || port > 65535) {
		(void)fprintf(stderr, "usage: sfh-echo [PORT]\n");
		return 2;
	}
	for (int i = 0; i < TCP_MAX; i++)
		e.peers[i] = -1;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setpriority(PRIO_PROCESS, 0, -20);
	if (open_sockets(&e, (uint16_t)port))
		return 1;
	for (;;) {
		struct pollfd fds[3 + TCP_MAX] = {
			{.fd = e.udp, .events = POLLIN},
			{.fd = e.tcp, .events = POLLIN},
			{.fd = e.timer, .events = POLLIN},
		};
		uint64_t ticks;

		for (int i = 0; i < TCP_MAX; i++)
			fds[3 + i] = (struct pollfd){.fd = e.peers[i], .events = POLLIN};
		if (poll(fds, 3 + TCP_MAX, -1) < 0 && errno != EINTR)
			return fail("poll");
		receive_frames(&e);
		if (fds[1].revents)
			tcp_accept(&e);
		for (int i = 0; i < TCP_MAX; i++)
			if (e.peers[i] >= 0 && fds[3 + i].fd == e.peers[i] && fds[3 + i].revents)
				tcp_back(&e, i);
		if (read(e.timer, &ticks, sizeof(ticks)) != sizeof(ticks) || !e.sending)
			continue;
		if (now_ns(CLOCK_MONOTONIC) - e.heard_ns > SILENCE_NS)
			schedule(&e, 0);
		else
			send_frame(&e);
	}
}
