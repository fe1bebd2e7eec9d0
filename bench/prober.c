// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-prober: the measurement from outside a guest. Sends numbered ICMP echo
 * requests on a fixed schedule and logs each send and each reply; `analyse` says
 * what a log means for a stretch of time. Formats: bench/prober_analyse.h. */
#include "bench/prober_analyse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define LINGER_MS 1000 /* for the replies to the last requests */

/* Behind the ICMP header; host byte order, nobody else reads it. */
struct payload {
	char magic[8];
	uint64_t run; /* this process's, so that two probers of one target do not mix */
	uint64_t seq;
	uint64_t t_ns;
};
static const char magic[8] = "sfhprobe";

struct prober {
	struct sockaddr_in target;
	uint64_t interval_ns, count, duration_ns;
	const char *log_path, *until_file;
	bool json;

	int sock, timer, signals;
	bool raw;
	uint16_t ident;
	uint64_t run;
	FILE *out;
	struct sfh_probe_log log;
	uint64_t seq, answered, send_errors, skipped;
	uint64_t end_ns; /* CLOCK_MONOTONIC; 0: none */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static uint16_t checksum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int fail(const char *what)
{
	int code = errno;

	(void)fprintf(stderr, "sfh-prober: %s: %s\n", what, strerror(code));
	return -code;
}

static void log_event(struct prober *p, bool rx, uint64_t seq, uint64_t t_ns)
{
	/* out of memory: the file is still complete */
	(void)sfh_probe_log_add(&p->log, rx, seq, t_ns);
	if (p->out)
		(void)fprintf(p->out, "%s %" PRIu64 " %" PRIu64 "\n", rx ? "rx" : "tx", seq, t_ns);
}

/* --- the wire --------------------------------------------------------------------*/

static int open_socket(struct prober *p)
{
	int on = 1, buffer = 1 << 20;

	/* a raw socket needs root, a ping socket net.ipv4.ping_group_range */
	p->raw = true;
	p->sock = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (p->sock < 0) {
		p->raw = false;
		p->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	}
	if (p->sock < 0)
		return fail("cannot open an ICMP socket (be root, or set ping_group_range)");
	(void)setsockopt(p->sock, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	(void)setsockopt(p->sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	return 0;
}

static void send_probe(struct prober *p)
{
	struct {
		struct icmphdr icmp;
		struct payload payload;
	} packet = {0};
	uint64_t t;

	packet.icmp.type = ICMP_ECHO;
	packet.icmp.un.echo.id = htons(p->ident);
	packet.icmp.un.echo.sequence = htons((uint16_t)p->seq);
	memcpy(packet.payload.magic, magic, sizeof(magic));
	packet.payload.run = p->run;
	packet.payload.seq = p->seq;
	t = clock_ns(CLOCK_REALTIME);
	packet.payload.t_ns = t;
	packet.icmp.checksum = checksum(&packet, sizeof(packet));
	if (sendto(p->sock, &packet, sizeof(packet), 0, (struct sockaddr *)&p->target,
		   sizeof(p->target)) < 0)
		p->send_errors++;
	log_event(p, false, p->seq++, t);
}

/* The payload of a reply to this process, or NULL. */
static const struct payload *match(const struct prober *p, const char *packet, size_t n,
				   struct payload *buf)
{
	struct icmphdr icmp;

	if (p->raw) {
		size_t header;

		if (n < sizeof(struct iphdr))
			return NULL;
		header = (size_t)(packet[0] & 0xf) * 4;
		if (n < header)
			return NULL;
		packet += header;
		n -= header;
	}
	if (n < sizeof(icmp) + sizeof(*buf))
		return NULL;
	memcpy(&icmp, packet, sizeof(icmp));
	memcpy(buf, packet + sizeof(icmp), sizeof(*buf));
	if (icmp.type != ICMP_ECHOREPLY || memcmp(buf->magic, magic, sizeof(magic)) ||
	    buf->run != p->run || buf->seq >= p->seq)
		return NULL;
	return buf;
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
	return clock_ns(CLOCK_REALTIME);
}

static void receive_probes(struct prober *p)
{
	for (;;) {
		char packet[2048], control[256];
		struct sockaddr_in from = {0};
		struct iovec iov = {packet, sizeof(packet)};
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		struct payload buf;
		ssize_t n = recvmsg(p->sock, &msg, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* EAGAIN, or an ICMP error that the request already stands for */
		if (n < 0)
			return;
		if (from.sin_addr.s_addr != p->target.sin_addr.s_addr ||
		    !match(p, packet, (size_t)n, &buf))
			continue;
		p->answered++;
		log_event(p, true, buf.seq, stamp(&msg));
	}
}

/* --- the schedule ----------------------------------------------------------------*/

static int open_events(struct prober *p)
{
	struct itimerspec when = {0};
	uint64_t start = clock_ns(CLOCK_MONOTONIC) + 1000000;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return fail("cannot block signals");
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->signals < 0 || p->timer < 0)
		return fail("cannot open event descriptors");
	when.it_value = (struct timespec){(time_t)(start / NS), (long)(start % NS)};
	when.it_interval =
		(struct timespec){(time_t)(p->interval_ns / NS), (long)(p->interval_ns % NS)};
	if (timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return fail("cannot set the timer");
	if (p->duration_ns)
		p->end_ns = start + p->duration_ns;
	return 0;
}

static bool finished(const struct prober *p)
{
	return (p->count && p->seq >= p->count) ||
	       (p->end_ns && clock_ns(CLOCK_MONOTONIC) >= p->end_ns) ||
	       (p->until_file && access(p->until_file, F_OK) == 0);
}

static bool signalled(const struct prober *p)
{
	struct signalfd_siginfo info;

	return read(p->signals, &info, sizeof(info)) > 0;
}

static void probe(struct prober *p)
{
	struct pollfd fds[] = {
		{.fd = p->sock, .events = POLLIN},
		{.fd = p->timer, .events = POLLIN},
		{.fd = p->signals, .events = POLLIN},
	};

	for (;;) {
		uint64_t ticks = 0;

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		receive_probes(p);
		if (fds[2].revents && signalled(p))
			return;
		if (read(p->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		if (finished(p))
			return;
		/* slots missed while this process was held up are not made up
		 * for: a burst would not be the schedule either */
		p->skipped += ticks - 1;
		send_probe(p);
	}
}

static void linger(struct prober *p)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + LINGER_MS * 1000000ull;
	struct pollfd fds[] = {
		{.fd = p->sock, .events = POLLIN},
		{.fd = p->signals, .events = POLLIN},
	};

	while (p->answered < p->seq) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now >= end)
			return;
		(void)poll(fds, 2, (int)((end - now) / 1000000) + 1);
		receive_probes(p);
		if (fds[1].revents && signalled(p))
			return;
	}
}

/* --- commands ------------------------------------------------------------------- */

static int usage(FILE *f)
{
	(void)fputs(
		"sfh-prober --target A.B.C.D [--interval-us N] [--count N | --duration S]\n"
		"           [--log FILE] [--until-file FILE] [--json]\n"
		"sfh-prober analyse --log FILE [--from T_NS] [--to T_NS] [--json]\n"
		"\n"
		"Sends ICMP echo requests every N microseconds (default 20000) until the count,\n"
		"the duration, the file's appearance, SIGINT or SIGTERM, then prints a summary.\n"
		"The log has a line for each event: `tx SEQ T_NS`, `rx SEQ T_NS`; T_NS is\n"
		"CLOCK_REALTIME of this machine in nanoseconds. `analyse` looks at the requests\n"
		"sent in [from,to). Exit status: 0, 1 failed, 2 usage.\n",
		f);
	return f == stderr ? 2 : 0;
}

static bool number(const char *text, double min, double max, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && !*end && *ret >= min && *ret <= max;
}

static bool instant(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static int cmd_analyse(int argc, char **argv)
{
	static const struct option options[] = {
		{"log", required_argument, NULL, 'l'}, {"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},  {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},      {0},
	};
	struct sfh_probe_log log = {0};
	struct sfh_probe_result result;
	uint64_t from = 0, to = UINT64_MAX;
	const char *path = NULL;
	unsigned line = 0;
	bool json = false;
	FILE *f;
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'l')
			path = optarg;
		else if (c == 'j')
			json = true;
		else if ((c != 'f' || !instant(optarg, &from)) &&
			 (c != 't' || !instant(optarg, &to)))
			return usage(stderr);
	}
	if (!path || optind != argc || from >= to)
		return usage(stderr);
	f = fopen(path, "re");
	if (!f) {
		(void)fail(path);
		return 1;
	}
	r = sfh_probe_log_read(&log, f, &line);
	(void)fclose(f);
	if (r == -EINVAL)
		(void)fprintf(stderr, "sfh-prober: %s, line %u: not an event\n", path, line);
	if (r == 0)
		r = sfh_probe_analyse(&log, from, to, &result);
	if (r == 0)
		sfh_probe_print(stdout, &result, json);
	else if (r != -EINVAL)
		(void)fprintf(stderr, "sfh-prober: %s: %s\n", path, strerror(-r));
	sfh_probe_log_free(&log);
	return r < 0;
}

static int parse_options(struct prober *p, int argc, char **argv)
{
	static const struct option options[] = {
		{"target", required_argument, NULL, 't'},
		{"interval-us", required_argument, NULL, 'i'},
		{"count", required_argument, NULL, 'c'},
		{"duration", required_argument, NULL, 'd'},
		{"log", required_argument, NULL, 'l'},
		{"until-file", required_argument, NULL, 'u'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	bool target = false;
	double v;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		bool ok = true;

		switch (c) {
		case 't':
			ok = target = inet_pton(AF_INET, optarg, &p->target.sin_addr) == 1;
			break;
		case 'i':
			ok = number(optarg, 100, 3600e6, &v);
			p->interval_ns = ok ? (uint64_t)v * 1000 : 0;
			break;
		case 'c':
			ok = number(optarg, 1, 1e12, &v);
			p->count = ok ? (uint64_t)v : 0;
			break;
		case 'd':
			ok = number(optarg, 0.001, 1e8, &v);
			p->duration_ns = ok ? (uint64_t)(v * 1e9) : 0;
			break;
		case 'l':
			p->log_path = optarg;
			break;
		case 'u':
			p->until_file = optarg;
			break;
		case 'j':
			p->json = true;
			break;
		case 'h':
			exit(usage(stdout));
		default:
			return usage(stderr);
		}
		if (!ok) {
			(void)fprintf(stderr, "sfh-prober: '%s' is not possible here\n", optarg);
			return usage(stderr);
		}
	}
	if (!target || optind != argc || (p->count && p->duration_ns))
		return usage(stderr);
	return 0;
}

static int summary(const struct prober *p)
{
	struct sfh_probe_result result;

	if (sfh_probe_analyse(&p->log, 0, UINT64_MAX, &result) < 0)
		return 1;
	sfh_probe_print(stdout, &result, p->json);
	if (p->send_errors || p->skipped)
		(void)fprintf(stderr,
			      "sfh-prober: %" PRIu64
			      " sends refused by the kernel (count as lost), "
			      "%" PRIu64 " slots missed by the prober itself (not sent)\n",
			      p->send_errors, p->skipped);
	return 0;
}

int main(int argc, char **argv)
{
	struct prober p = {
		.target = {.sin_family = AF_INET},
		.interval_ns = 20000000,
		.sock = -1,
		.timer = -1,
		.signals = -1,
	};
	char address[INET_ADDRSTRLEN] = "";
	int r;

	if (argc > 1 && !strcmp(argv[1], "analyse"))
		return cmd_analyse(argc - 1, argv + 1);
	r = parse_options(&p, argc, argv);
	if (r)
		return r;
	p.run = clock_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40;
	p.ident = (uint16_t)getpid();
	p.log.interval_ns = p.interval_ns;
	if (p.log_path) {
		p.out = fopen(p.log_path, "we");
		if (!p.out) {
			(void)fail(p.log_path);
			return 1;
		}
		(void)setvbuf(p.out, NULL, _IOLBF, 0);
		(void)inet_ntop(AF_INET, &p.target.sin_addr, address, sizeof(address));
		(void)fprintf(p.out, "# sfh-prober 1 interval_ns=%" PRIu64 " target=%s\n",
			      p.interval_ns, address);
	}
	/* the schedule is what is measured with; best effort */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	if (open_socket(&p) < 0 || open_events(&p) < 0)
		return 1;
	probe(&p);
	linger(&p);
	r = summary(&p);
	if (p.out && (ferror(p.out) | fclose(p.out)) != 0) {
		(void)fprintf(stderr, "sfh-prober: %s: not everything could be written\n",
			      p.log_path);
		r = 1;
	}
	sfh_probe_log_free(&p.log);
	return r;
}
