/*
 * Runs a command through a labd: in a host, or (-g) in a guest of that host.
 * stdin, stdout and stderr are the command's, and so is the exit status; 255
 * means the lab itself failed, and says why on stderr.
 *
 *   labx [-n] [-N NETNS] [-g DOMAIN] [-w SECONDS] [-t SECONDS] ADDRESS PORT CMD…
 *
 *   -n  stdin is empty          -w  keep trying to reach it for that long
 *   -t  give up after that long without a sign of life (20)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "labproto.h"

#define RETRY_MS 100
#define HELLO_MS 500
#define PING_MS 2000
#define SIGNAL_GRACE_MS 3000

struct caller {
	const char *address, *domain;
	uint16_t port;
	bool no_stdin;
	int64_t wait_until, silence_ms;
	int fd, signal_fd;
	uint32_t session;
	struct lab_rx rx;
	char why[1024];
};

static int fail(struct caller *c, int r, const char *why)
{
	snprintf(c->why, sizeof(c->why), "%s", why);
	return r;
}

static void enter_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		errx(LAB_EXIT_TRANSPORT, "%s: %s: is the lab up?", path, strerror(errno));
	if (setns(fd, CLONE_NEWNET) < 0)
		err(LAB_EXIT_TRANSPORT, "setns %s", path);
	close(fd);
}

static int tcp_connect(struct caller *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(c->port) };
	int one = 1, e = 0;
	socklen_t len = sizeof(e);
	struct pollfd pfd;

	inet_pton(AF_INET, c->address, &sa.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return fail(c, -errno, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno != EINPROGRESS)
		return fail(c, -errno, strerror(errno));
	pfd = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
	if (poll(&pfd, 1, 3000) <= 0)
		return fail(c, -ETIMEDOUT, "the host does not answer");
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e ? fail(c, -e, strerror(e)) : 0;
}

static int send_frame(struct caller *c, enum lab_type type, const void *data, size_t len)
{
	int r = lab_send(c->fd, c->session, type, data, len);

	return r < 0 ? fail(c, r, "the connection was lost") : 0;
}

/* The next frame of this session; 0 when there is none before the deadline. */
static int next_frame(struct caller *c, struct lab_header *ret, int64_t deadline)
{
	for (;;) {
		struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
		int64_t left = deadline - lab_now_ms();
		ssize_t n;

		while (lab_rx_peek(&c->rx, ret)) {
			if (ret->session == c->session)
				return 1;
			lab_rx_done(&c->rx, ret);
		}
		if (left <= 0)
			return 0;
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		n = lab_rx_fill(&c->rx, c->fd);
		if (n == 0)
			return fail(c, -EPIPE, "the connection was closed");
		if (n < 0 && n != -EAGAIN)
			return fail(c, (int)n, strerror((int)-n));
	}
}

/* Waits for one type of answer; LAB_FAIL carries the reason. */
static int expect(struct caller *c, enum lab_type type, int64_t deadline)
{
	struct lab_header h;
	int r;

	while ((r = next_frame(c, &h, deadline)) > 0) {
		if (h.type == LAB_FAIL) {
			snprintf(c->why, sizeof(c->why), "%.*s", (int)h.len,
				 (const char *)lab_rx_payload(&c->rx));
			r = -EHOSTUNREACH;
		}
		lab_rx_done(&c->rx, &h);
		if (r < 0 || h.type == type)
			return r;
	}
	return r;
}

static int hello(struct caller *c, int64_t deadline)
{
	static const uint8_t padding[sizeof(struct lab_header) + LAB_PAYLOAD_MAX];

	getrandom(&c->session, sizeof(c->session), 0);
	for (int tries = 0; lab_now_ms() < deadline; tries++) {
		int64_t until = lab_now_ms() + HELLO_MS;
		int r = 0;

		/*
		 * Padding once only: a guest that is merely slow must not find
		 * the port full of it.
		 */
		if (tries == 1 && lab_write_all(c->fd, padding, sizeof(padding)) < 0)
			return fail(c, -EPIPE, "the connection was lost");
		if (tries <= 2)
			r = send_frame(c, LAB_HELLO, NULL, 0);
		r = r ?: expect(c, LAB_WELCOME, until < deadline ? until : deadline);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return fail(c, -ETIMEDOUT, c->domain ? "nothing answers in the guest" : "nothing answers");
}

static int open_session(struct caller *c)
{
	int64_t deadline = lab_now_ms() + c->silence_ms;
	char request[300];
	int n, r;

	if (c->domain && c->wait_until > deadline)
		deadline = c->wait_until;
	c->rx.have = 0;
	r = tcp_connect(c) ?: hello(c, deadline);
	if (r < 0 || !c->domain)
		return r;
	n = snprintf(request, sizeof(request), "%lld %s", (long long)(c->silence_ms / 1000), c->domain);
	r = send_frame(c, LAB_PROXY, request, (size_t)n) ?: expect(c, LAB_PROXIED, deadline + 2000);
	if (r == 0)
		return fail(c, -ETIMEDOUT, "the host does not answer");
	c->rx.have = 0;
	return r < 0 ? r : hello(c, deadline);
}

static int open_session_waiting(struct caller *c)
{
	int r;

	while ((r = open_session(c)) < 0 && lab_now_ms() < c->wait_until) {
		close(c->fd);
		/* No event says when a host or a guest is there again. */
		usleep(RETRY_MS * 1000);
	}
	return r;
}

static int send_command(struct caller *c, char **argv)
{
	for (; *argv; argv++) {
		const char *p = *argv;
		size_t left = strlen(p) + 1;

		while (left > 0) {
			size_t n = left < LAB_PAYLOAD_MAX ? left : LAB_PAYLOAD_MAX;
			int r = send_frame(c, LAB_ARGS, p, n);

			if (r < 0)
				return r;
			p += n;
			left -= n;
		}
	}
	return send_frame(c, LAB_EXEC, NULL, 0);
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Until the command ends: its exit status, or -errno. */
static int relay(struct caller *c)
{
	int64_t last_rx = lab_now_ms(), last_ping = last_rx, quit_at = INT64_MAX;
	size_t unacked = 0, out_have = 0, out_sent = 0;
	uint8_t out[2 * (sizeof(struct lab_header) + LAB_PAYLOAD_MAX)], in[LAB_PAYLOAD_MAX];
	bool stdin_open = true;
	int quit_signal = 0;

	for (;;) {
		bool may_read = stdin_open && out_have == 0 && unacked + sizeof(in) <= LAB_STDIN_WINDOW;
		struct pollfd pfd[3] = {
			{ .fd = c->fd, .events = (short)(POLLIN | (out_have ? POLLOUT : 0)) },
			{ .fd = c->signal_fd, .events = POLLIN },
			{ .fd = may_read && !c->no_stdin ? STDIN_FILENO : -1, .events = POLLIN },
		};
		int64_t now;
		ssize_t n;

		if (c->no_stdin && may_read)
			pfd[2].revents = POLLIN;
		else if (poll(pfd, 3, 500) < 0 && errno != EINTR)
			return fail(c, -errno, strerror(errno));

		if (pfd[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			struct lab_header h;

			n = lab_rx_fill(&c->rx, c->fd);
			if (n == 0)
				return fail(c, -EPIPE, "the connection was closed");
			if (n < 0 && n != -EAGAIN && n != -EINTR)
				return fail(c, (int)n, strerror((int)-n));
			while (lab_rx_peek(&c->rx, &h)) {
				const uint8_t *data = lab_rx_payload(&c->rx);
				uint32_t v = 0;

				if (h.session != c->session) {
					lab_rx_done(&c->rx, &h);
					continue;
				}
				if (h.len == sizeof(v))
					memcpy(&v, data, sizeof(v));
				switch (h.type) {
				case LAB_STDOUT:
				case LAB_STDERR:
					/* Nobody reads any more: leaving ends the command. */
					if (lab_write_all(h.type == LAB_STDOUT ? 1 : 2, data, h.len) < 0)
						return 128 + SIGPIPE;
					break;
				case LAB_CREDIT:
					unacked -= v < unacked ? v : unacked;
					break;
				case LAB_EXIT:
					return (int)v;
				}
				lab_rx_done(&c->rx, &h);
			}
			last_rx = lab_now_ms();
		}
		now = lab_now_ms();
		if (pfd[1].revents) {
			struct signalfd_siginfo si;
			uint8_t sig;

			if (read(c->signal_fd, &si, sizeof(si)) == sizeof(si)) {
				sig = (uint8_t)si.ssi_signo;
				quit_signal = sig;
				if (quit_at == INT64_MAX)
					quit_at = now + SIGNAL_GRACE_MS;
				if (out_have + sizeof(struct lab_header) + 1 <= sizeof(out))
					out_have += lab_frame(out + out_have, c->session, LAB_SIGNAL, &sig, 1);
			}
		}
		if (now >= quit_at)
			return 128 + quit_signal;
		if (pfd[2].revents) {
			n = c->no_stdin ? 0 : read(STDIN_FILENO, in, sizeof(in));
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				stdin_open = false;
			n = n > 0 ? n : 0;
			if (n > 0 || !stdin_open)
				out_have += lab_frame(out + out_have, c->session, LAB_STDIN, in, (size_t)n);
			unacked += (size_t)n;
		}
		if (now - last_rx >= PING_MS && now - last_ping >= PING_MS && out_have == 0) {
			out_have += lab_frame(out, c->session, LAB_PING, NULL, 0);
			last_ping = now;
		}
		if (now - last_rx > c->silence_ms)
			return fail(c, -ETIMEDOUT, "no sign of life");
		if (out_have > 0) {
			n = write(c->fd, out + out_sent, out_have - out_sent);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return fail(c, -errno, "the connection was lost");
			out_sent += n > 0 ? (size_t)n : 0;
			if (out_sent == out_have)
				out_sent = out_have = 0;
		}
	}
}

int main(int argc, char **argv)
{
	static struct caller c = { .silence_ms = 20000, .fd = -1, .signal_fd = -1 };
	int opt, r;

	while ((opt = getopt(argc, argv, "+nN:g:w:t:")) != -1) {
		switch (opt) {
		case 'n':
			c.no_stdin = true;
			break;
		case 'N':
			enter_netns(optarg);
			break;
		case 'g':
			c.domain = optarg;
			break;
		case 'w':
			c.wait_until = lab_now_ms() + 1000 * atoll(optarg);
			break;
		case 't':
			c.silence_ms = 1000 * atoll(optarg);
			break;
		default:
			return 2;
		}
	}
	if (argc - optind < 3)
		errx(2, "usage: labx [-n] [-N NETNS] [-g DOMAIN] [-w SECONDS] [-t SECONDS] ADDRESS PORT CMD...");
	c.address = argv[optind];
	c.port = (uint16_t)atoi(argv[optind + 1]);
	signal(SIGPIPE, SIG_IGN);
	/* In the background of a terminal, reading stdin is an error, not a stop. */
	signal(SIGTTIN, SIG_IGN);
	r = open_session_waiting(&c);
	if (r == 0) {
		/* Only now: until here a signal simply ends the call. */
		c.signal_fd = catch_signals();
		r = send_command(&c, argv + optind + 2) ?: relay(&c);
	}
	if (r < 0) {
		fprintf(stderr, "lab: %s%s%s: %s\n", c.domain ? "guest " : "", c.domain ?: c.address,
			c.domain ? "" : " (host)", c.why);
		return LAB_EXIT_TRANSPORT;
	}
	return r;
}
