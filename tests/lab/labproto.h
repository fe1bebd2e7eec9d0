/*
 * Framing between labx (caller) and labd (in a host, or in a guest behind a
 * virtio-serial port).
 *
 * A serial port keeps no boundary between one caller and the next: what an
 * earlier caller left half sent or half read is still in there. So every frame
 * carries a magic and its session's number; a receiver hunts for the magic and
 * drops what is not of its session, and a caller that gets no answer to HELLO
 * sends more padding than any frame can swallow, and HELLO again.
 */
#ifndef LABPROTO_H
#define LABPROTO_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LAB_MAGIC 0x314c4653u /* "SFL1", little endian */
#define LAB_PAYLOAD_MAX 16384u
#define LAB_STDIN_WINDOW (64u * 1024u) /* stdin the server holds at most */
#define LAB_EXIT_TRANSPORT 255

enum lab_type {
	/* caller to server */
	LAB_HELLO = 'h',
	LAB_ARGS = 'a',   /* a piece of argv, each string with its NUL */
	LAB_EXEC = 'e',   /* argv is complete: run it */
	LAB_STDIN = 'i',  /* empty: end of file */
	LAB_SIGNAL = 's', /* one byte: to the command's process group */
	LAB_PING = 'p',
	LAB_PROXY = 'x', /* "SECONDS DOMAIN": become a pipe to that guest's labd */
	/* server to caller */
	LAB_WELCOME = 'H',
	LAB_STDOUT = 'o',
	LAB_STDERR = 'r',
	LAB_CREDIT = 'c', /* u32: bytes of stdin the command has taken */
	LAB_EXIT = 'q',   /* u32: exit status, 128+n for signal n */
	LAB_FAIL = 'f',   /* text: why there is nothing to run or to talk to */
	LAB_PONG = 'P',
	LAB_PROXIED = 'X', /* from here on the stream is the guest's */
};

struct lab_header {
	uint32_t magic;
	uint32_t session;
	uint8_t type;
	uint8_t zero;
	uint16_t len;
};
_Static_assert(sizeof(struct lab_header) == 12, "both ends are little endian and unpadded");

struct lab_rx {
	size_t have;
	uint8_t buf[sizeof(struct lab_header) + 2 * LAB_PAYLOAD_MAX];
};

static inline void lab_rx_drop(struct lab_rx *rx, size_t n)
{
	rx->have -= n;
	memmove(rx->buf, rx->buf + n, rx->have);
}

/* One read(); what read() returned, or -errno. */
static inline ssize_t lab_rx_fill(struct lab_rx *rx, int fd)
{
	ssize_t n = read(fd, rx->buf + rx->have, sizeof(rx->buf) - rx->have);

	if (n < 0)
		return -errno;
	rx->have += (size_t)n;
	return n;
}

/*
 * True and *ret filled if a whole frame is there: its payload lies behind the
 * header in rx->buf until lab_rx_done().
 */
static inline int lab_rx_peek(struct lab_rx *rx, struct lab_header *ret)
{
	size_t skip = 0;

	for (;;) {
		if (rx->have - skip < sizeof(*ret))
			break;
		memcpy(ret, rx->buf + skip, sizeof(*ret));
		if (ret->magic == LAB_MAGIC && ret->zero == 0 && ret->len <= LAB_PAYLOAD_MAX)
			break;
		skip++;
	}
	if (skip > 0)
		lab_rx_drop(rx, skip);
	return rx->have >= sizeof(*ret) && rx->have >= sizeof(*ret) + ret->len;
}

static inline const uint8_t *lab_rx_payload(const struct lab_rx *rx)
{
	return rx->buf + sizeof(struct lab_header);
}

static inline void lab_rx_done(struct lab_rx *rx, const struct lab_header *h)
{
	lab_rx_drop(rx, sizeof(*h) + h->len);
}

static inline int64_t lab_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All of it, waiting while a non-blocking fd is full. 0 or -errno. */
static inline int lab_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return -EPIPE;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
				return -errno;
			/* A virtio port without a peer is never writable. */
			if (pfd.revents & (POLLHUP | POLLERR))
				return -EPIPE;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static inline size_t lab_frame(uint8_t *out, uint32_t session, enum lab_type type,
			       const void *data, size_t len)
{
	struct lab_header h = {
		.magic = LAB_MAGIC, .session = session, .type = (uint8_t)type, .len = (uint16_t)len,
	};

	memcpy(out, &h, sizeof(h));
	if (len > 0)
		memcpy(out + sizeof(h), data, len);
	return sizeof(h) + len;
}

static inline int lab_send(int fd, uint32_t session, enum lab_type type, const void *data, size_t len)
{
	uint8_t out[sizeof(struct lab_header) + LAB_PAYLOAD_MAX];

	return lab_write_all(fd, out, lab_frame(out, session, type, data, len));
}

#endif
