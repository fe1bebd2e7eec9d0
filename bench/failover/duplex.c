// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-duplex: the client's end of the two-way prober. Logs every frame of both
 * directions and every arrival of a TCP stream that the guest sends back;
 * formats: bench/failover/frames.h. `clock` asks a host for its time. */
#include "bench/failover/duplex.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define DRAIN_NS (NS / 2)	 /* for what is on its way at the end */
#define TCP_INTERVAL_NS 5000000ull /* between the stream's records of 64 bytes */
#define CLOCK_ASKS 40

struct client {
	struct sockaddr_in target;
	uint64_t interval_ns;
	const char *log_path;
	int udp, tcp, timer, signals;
	uint32_t run, seq, acked;
	uint64_t skipped, refused, tcp_bytes, tcp_next_ns;
	FILE *out;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static int fail(const char *what)
{
	(void)fprintf(stderr, "sfh-duplex: %s: %s\n", what, strerror(errno));
	return 1;
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
	return now_ns();
}

static ssize_t receive(int fd, void *buf, size_t size, uint64_t *ret_t)
{
	char control[128];
	struct iovec iov = {buf, size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		*ret_t = stamp(&msg);
	return n;
}

static int open_udp(struct client *c)
{
	int on = 1, buffer = 4 << 20;

	c->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->udp < 0)
		return fail("cannot open a socket");
	(void)setsockopt(c->udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	(void)setsockopt(c->udp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (connect(c->udp, (struct sockaddr *)&c->target, sizeof(c->target)) < 0)
		return fail("cannot connect");
	return 0;
}

/* --- frames ----------------------------------------------------------------------- */

static int send_frame(struct client *c, enum sfh_duplex_kind kind, uint32_t seq, uint64_t t)
{
	struct sfh_duplex_frame f = {
		.magic = htonl(SFH_DUPLEX_MAGIC),
		.kind = htonl(kind),
		.run = htonl(c->run),
		.seq = htonl(seq),
		.interval_us = htonl((uint32_t)(c->interval_ns / 1000)),
		.acked = htonl(c->acked),
		.t_hi = htonl((uint32_t)(t >> 32)),
		.t_lo = htonl((uint32_t)t),
	};

	return send(c->udp, &f, sizeof(f), 0) < 0 ? -errno : 0;
}

static void probe(struct client *c)
{
	uint64_t t = now_ns();

	if (send_frame(c, SFH_DUPLEX_PROBE, c->seq, t) < 0)
		c->refused++; /* an ICMP error of before, or no route: a lost frame */
	(void)fprintf(c->out, "s %" PRIu32 " %" PRIu64 "\n", c->seq++, t);
}

static void take(struct client *c, const struct sfh_duplex_frame *f,
		 const struct sfh_duplex_entry *entries, uint64_t t)
{
	uint64_t sent = (uint64_t)ntohl(f->t_hi) << 32 | ntohl(f->t_lo);
	uint32_t first = ntohl(f->acked), n = ntohl(f->nentries);

	(void)fprintf(c->out, "g %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", ntohl(f->seq), t, sent);
	if (f->has_leg)
		(void)fprintf(c->out, "l %" PRIu64 " %" PRIu32 " %" PRIu32 "\n", sent,
			      ntohl(f->leg_sent), ntohl(f->leg_received));
	for (uint32_t i = 0; i < n; i++) {
		if (first + i != c->acked)
			continue;
		(void)fprintf(c->out, "r %" PRIu32 " %" PRIu64 "\n", ntohl(entries[i].seq),
			      (uint64_t)ntohl(entries[i].t_hi) << 32 | ntohl(entries[i].t_lo));
		c->acked++;
	}
}

static void receive_frames(struct client *c)
{
	for (;;) {
		struct {
			struct sfh_duplex_frame f;
			struct sfh_duplex_entry entries[SFH_DUPLEX_ENTRIES];
		} in;
		uint64_t t;
		ssize_t n = receive(c->udp, &in, sizeof(in), &t);

		if (n < 0 && errno != EAGAIN) /* an ICMP error that a send stands for */
			continue;
		if (n < 0)
			return;
		if ((size_t)n < sizeof(in.f) || ntohl(in.f.magic) != SFH_DUPLEX_MAGIC ||
		    ntohl(in.f.kind) != SFH_DUPLEX_GUEST || ntohl(in.f.run) != c->run ||
		    ntohl(in.f.nentries) > SFH_DUPLEX_ENTRIES ||
		    (size_t)n != sizeof(in.f) + ntohl(in.f.nentries) * sizeof(in.entries[0]))
			continue;
		take(c, &in.f, in.entries, t);
	}
}

/* --- the TCP stream --------------------------------------------------------------- */

static void tcp_open(struct client *c)
{
	int on = 1;

	c->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->tcp < 0)
		return;
	(void)setsockopt(c->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->tcp, (struct sockaddr *)&c->target, sizeof(c->target)) < 0 &&
	    errno != EINPROGRESS) {
		(void)close(c->tcp);
		c->tcp = -1;
	}
}

/* What does not fit into the socket's buffer while nothing moves is not made up for. */
static void tcp_send(struct client *c, uint64_t now)
{
	char record[64] = "sfhybrid";

	if (now < c->tcp_next_ns)
		return;
	c->tcp_next_ns = now + TCP_INTERVAL_NS;
	if (c->tcp >= 0)
		(void)!send(c->tcp, record, sizeof(record), MSG_NOSIGNAL);
}

static void tcp_receive(struct client *c)
{
	char buf[16384];
	ssize_t n;

	while (c->tcp >= 0 && (n = recv(c->tcp, buf, sizeof(buf), 0)) != 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
			return;
		if (n < 0) {
			(void)fprintf(c->out, "# the TCP stream broke: %s\n", strerror(errno));
			(void)close(c->tcp);
			c->tcp = -1;
			return;
		}
		c->tcp_bytes += (uint64_t)n;
		(void)fprintf(c->out, "t %" PRIu64 " %" PRIu64 "\n", now_ns(), c->tcp_bytes);
	}
}

/* --- the schedule ----------------------------------------------------------------- */

static int open_events(struct client *c)
{
	struct itimerspec when = {0};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	when.it_interval =
		(struct timespec){(time_t)(c->interval_ns / NS), (long)(c->interval_ns % NS)};
	when.it_value = when.it_interval;
	if (c->signals < 0 || c->timer < 0 || timerfd_settime(c->timer, 0, &when, NULL) < 0)
		return fail("cannot open event descriptors");
	return 0;
}

static void run(struct client *c, uint64_t duration_ns)
{
	uint64_t end = duration_ns ? now_ns() + duration_ns : UINT64_MAX;
	uint64_t drained = 0, now;

	do {
		struct pollfd fds[] = {
			{.fd = c->udp, .events = POLLIN},
			{.fd = c->timer, .events = POLLIN},
			{.fd = c->signals, .events = POLLIN},
			{.fd = c->tcp, .events = POLLIN},
		};
		struct signalfd_siginfo info;
		uint64_t ticks = 0;

		(void)poll(fds, 4, -1);
		receive_frames(c);
		tcp_receive(c);
		now = now_ns();
		if (!drained && (now >= end || read(c->signals, &info, sizeof(info)) > 0)) {
			drained = now + DRAIN_NS;
			(void)fprintf(c->out, "# end %" PRIu64 "\n", now);
		}
		if (read(c->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		/* slots missed while this process was held up are not made up for: a
		 * burst would not be the schedule either */
		c->skipped += ticks - 1;
		if (drained) {
			(void)send_frame(c, SFH_DUPLEX_ACK, 0, now);
		} else {
			probe(c);
			tcp_send(c, now);
		}
	} while (!drained || now < drained);
	for (int i = 0; i < 3; i++)
		(void)send_frame(c, SFH_DUPLEX_BYE, 0, now);
	(void)fprintf(c->out, "# skipped %" PRIu64 " refused %" PRIu64 "\n", c->skipped, c->refused);
}

/* --- a host's clock --------------------------------------------------------------- */

/* The answer with the shortest way there and back bounds the error: half of it. */
static int ask_clock(struct client *c)
{
	uint64_t best = UINT64_MAX, at = 0;
	int64_t offset = 0;

	for (uint32_t i = 0; i < CLOCK_ASKS; i++) {
		struct pollfd fd = {.fd = c->udp, .events = POLLIN};
		struct sfh_duplex_frame f;
		uint64_t t0 = now_ns(), t1 = 0, theirs;

		if (send_frame(c, SFH_DUPLEX_CLOCK, i, t0) < 0)
			continue;
		while (poll(&fd, 1, 200) > 0) {
			if (receive(c->udp, &f, sizeof(f), &t1) != sizeof(f) ||
			    ntohl(f.kind) != SFH_DUPLEX_TIME || ntohl(f.run) != c->run ||
			    ntohl(f.seq) != i)
				continue;
			theirs = (uint64_t)ntohl(f.t_hi) << 32 | ntohl(f.t_lo);
			if (t1 - t0 < best) {
				best = t1 - t0;
				at = t0 + (t1 - t0) / 2;
				offset = (int64_t)(at - theirs);
			}
			break;
		}
	}
	if (best == UINT64_MAX) {
		(void)fprintf(stderr, "sfh-duplex: no answer: does sfh-echo run there?\n");
		return 1;
	}
	(void)printf("{\"at_ns\":%" PRIu64 ",\"offset_ns\":%" PRId64 ",\"error_ns\":%" PRIu64 "}\n",
		     at, offset, best / 2);
	return 0;
}

/* --- command line ----------------------------------------------------------------- */

static int usage(FILE *f)
{
	(void)fputs("sfh-duplex --target A.B.C.D --log FILE [--interval-us N] [--duration S]\n"
		    "sfh-duplex clock --target A.B.C.D\n"
		    "\n"
		    "Probes the sfh-echo there in both directions, one frame every N microseconds\n"
		    "(default 1000) each way, until the duration is over, SIGINT or SIGTERM.\n"
		    "clock: what to add to the clock there to get this machine's, as JSON.\n",
		    f);
	return f == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"target", required_argument, NULL, 't'},
		{"interval-us", required_argument, NULL, 'i'},
		{"duration", required_argument, NULL, 'd'},
		{"log", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct client c = {
		.target = {.sin_family = AF_INET, .sin_port = htons(SFH_DUPLEX_PORT)},
		.interval_ns = 1000000,
		.udp = -1,
		.tcp = -1,
	};
	bool clock = argc > 1 && !strcmp(argv[1], "clock"), target = false;
	struct sched_param fifo = {.sched_priority = 10};
	double seconds = 0;
	int o, r;

	if (clock) {
		argc--;
		argv++;
	}
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (o) {
		case 't':
			target = inet_pton(AF_INET, optarg, &c.target.sin_addr) == 1;
			break;
		case 'i':
			c.interval_ns = strtoull(optarg, NULL, 10) * 1000;
			break;
		case 'd':
			seconds = strtod(optarg, NULL);
			break;
		case 'l':
			c.log_path = optarg;
			break;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	if (!target || optind != argc || (!clock && !c.log_path) || seconds < 0 ||
	    c.interval_ns < 100000 || c.interval_ns > NS)
		return usage(stderr);
	c.run = (uint32_t)(now_ns() / 1000) ^ (uint32_t)getpid() << 20;
	/* the schedule is what is measured with; best effort */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	(void)sched_setscheduler(0, SCHED_FIFO, &fifo);
	if (open_udp(&c))
		return 1;
	if (clock)
		return ask_clock(&c);
	c.out = fopen(c.log_path, "we");
	if (!c.out)
		return fail(c.log_path);
	(void)setvbuf(c.out, NULL, _IOFBF, 1 << 18);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	(void)fprintf(c.out, "# sfh-duplex 1 interval_ns=%" PRIu64 " tcp_interval_ns=%" PRIu64 "\n",
		      c.interval_ns, (uint64_t)TCP_INTERVAL_NS);
	(void)fflush(c.out);
	if (open_events(&c))
		return 1;
	tcp_open(&c);
	run(&c, (uint64_t)(seconds * 1e9));
	r = ferror(c.out);
	if (fclose(c.out) != 0 || r) {
		(void)fprintf(stderr, "sfh-duplex: %s: not everything could be written\n",
			      c.log_path);
		return 1;
	}
	return 0;
}
