// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-flow: how much a guest sends, and how long an answer of it takes. Linked
 * statically, for it also runs in a guest that has no libraries.
 *   sfh-flow serve PORT                    in the guest
 *   sfh-flow stream IP PORT SECONDS        at the client: the guest sends, the client counts
 *   sfh-flow ping IP PORT SECONDS          at the client: 64 bytes there and back, one after the other
 * The client's answers are one JSON object a line, by its own clock only. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE	  64
#define MAX_PINGS 1000000
/* What is under way before the counting starts: slow start is over. */
#define RAMP_NS 500000000ull
#define PATIENCE_MS 10000

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int die(const char *what)
{
	(void)fprintf(stderr, "sfh-flow: %s: %s\n", what, strerror(errno));
	return 1;
}

static bool all(int fd, char *buf, size_t len, bool out)
{
	while (len) {
		ssize_t n = out ? send(fd, buf, len, MSG_NOSIGNAL) : recv(fd, buf, len, 0);

		if (n <= 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

/* --- in the guest ----------------------------------------------------------------------- */

static void answer(int fd)
{
	static char block[65536];
	char message[MESSAGE];
	int one = 1;

	if (!all(fd, message, MESSAGE, false))
		return;
	if (message[0] == 'S')
		while (all(fd, block, sizeof(block), true))
			;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (all(fd, message, MESSAGE, true) && all(fd, message, MESSAGE, false))
		;
}

static int serve(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), client;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 4) < 0)
		return die("cannot listen");
	/* A child a client: one that went away without a word blocks nobody. */
	(void)signal(SIGCHLD, SIG_IGN);
	while ((client = accept(fd, NULL, NULL)) >= 0 || errno == EINTR || errno == ECONNABORTED) {
		if (client < 0)
			continue;
		if (fork() == 0) {
			answer(client);
			_exit(0);
		}
		(void)close(client);
	}
	return die("cannot accept");
}

/* --- at the client ------------------------------------------------------------------------ */

static int call(const char *ip, uint16_t port, char what)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	char message[MESSAGE] = { what };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (inet_pton(AF_INET, ip, &to.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || !all(fd, message, MESSAGE, true))
		return -1;
	return fd;
}

static int stream(const char *ip, uint16_t port, double seconds)
{
	static char buf[262144];
	int fd = call(ip, port, 'S');
	uint64_t begin, from = 0, now, bytes = 0;

	if (fd < 0)
		return die(ip);
	begin = now_ns();
	do {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			return die("the stream ended");
		now = now_ns();
		if (from)
			bytes += (uint64_t)n;
		else if (now - begin >= RAMP_NS)
			from = now;
	} while (!from || (double)(now - from) < seconds * 1e9);
	(void)printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"bits_per_second\": %.0f}\n", bytes,
		     (double)(now - from) / 1e9, (double)bytes * 8e9 / (double)(now - from));
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int ping(const char *ip, uint16_t port, double seconds)
{
	static uint64_t ns[MAX_PINGS];
	char message[MESSAGE];
	int fd = call(ip, port, 'P');
	uint64_t begin, sent;
	size_t n = 0;

	if (fd < 0 || !all(fd, message, MESSAGE, false))
		return die(ip);
	begin = now_ns();
	do {
		sent = now_ns();
		if (!all(fd, message, MESSAGE, true) || !all(fd, message, MESSAGE, false))
			return die("no answer");
		ns[n] = now_ns() - sent;
	} while (++n < MAX_PINGS && (double)(now_ns() - begin) < seconds * 1e9);
	qsort(ns, n, sizeof(*ns), compare);
	(void)printf("{\"exchanges\": %zu, \"median_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", n,
		     (double)ns[n / 2] / 1e3, (double)ns[n * 99 / 100] / 1e3, (double)ns[n - 1] / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	long port = argc > 2 ? strtol(argv[argc == 3 ? 2 : 3], NULL, 10) : 0;
	double seconds = argc == 5 ? strtod(argv[4], NULL) : 0;

	if (argc == 3 && strcmp(argv[1], "serve") == 0 && port > 0 && port < 65536)
		return serve((uint16_t)port);
	if (argc == 5 && strcmp(argv[1], "stream") == 0 && port > 0 && port < 65536 && seconds > 0)
		return stream(argv[2], (uint16_t)port, seconds);
	if (argc == 5 && strcmp(argv[1], "ping") == 0 && port > 0 && port < 65536 && seconds > 0)
		return ping(argv[2], (uint16_t)port, seconds);
	(void)fprintf(stderr, "usage: sfh-flow serve PORT | stream|ping IP PORT SECONDS\n");
	return 2;
}
