/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership helpers and small types that every layer of user space may use.
 *
 * Rules (docs/ARCHITECTURE.md, "Ownership and errors"): functions return 0 or
 * a negative errno; `struct sfh_error` carries the one sentence a person will
 * read; destructors take `T **`, accept NULL and null it. */
#ifndef SFHYBRID_UTIL_H
#define SFHYBRID_UTIL_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SFH_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SFH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Hands over an owning local: the local becomes NULL (or -1). */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *_pp = &(p);                                                         \
		__typeof__(p) _p = *_pp;                                                           \
		*_pp = NULL;                                                                       \
		_p;                                                                                \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *_fdp = &(fd);                                                                 \
		int _fd = *_fdp;                                                                   \
		*_fdp = -1;                                                                        \
		_fd;                                                                               \
	})

static inline void sfh_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void sfh_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

#define _cleanup_free_ _cleanup_(sfh_freep)
#define _cleanup_close_ _cleanup_(sfh_closep)

/* One sentence for a person: what failed, on what, what to do next. */
struct sfh_error {
	int code; /* negative errno, 0 while nothing failed */
	char text[512];
};

/* Fills *err (may be NULL; the first sentence wins unless the caller clears
 * it) and returns `code`, so that `return sfh_err(err, -ENOENT, "…")` works. */
int sfh_err(struct sfh_error *err, int code, const char *fmt, ...) SFH_PRINTF(3, 4);
/* Puts "context: " in front of what *err says already; returns err->code. */
int sfh_err_prefix(struct sfh_error *err, const char *fmt, ...) SFH_PRINTF(2, 3);

/* --- MAC addresses --------------------------------------------------------- */
#define SFH_MAC_STRLEN 18
struct sfh_mac {
	uint8_t b[6];
};
/* Accepts aa:bb:cc:dd:ee:ff in either case; -EINVAL otherwise. */
int sfh_mac_parse(const char *text, struct sfh_mac *ret);
/* Writes lower-case text into buf (SFH_MAC_STRLEN bytes) and returns buf. */
char *sfh_mac_format(const struct sfh_mac *mac, char *buf);
bool sfh_mac_is_zero(const struct sfh_mac *mac);
bool sfh_mac_equal(const struct sfh_mac *a, const struct sfh_mac *b);
bool sfh_mac_is_multicast(const struct sfh_mac *mac);

/* --- PCI addresses ---------------------------------------------------------- */
#define SFH_BDF_STRLEN 16
struct sfh_bdf {
	uint16_t domain;
	uint8_t bus, slot, function;
};
/* Not memcmp(): the struct ends in a byte of padding that nobody sets. */
static inline bool sfh_bdf_equal(const struct sfh_bdf *a, const struct sfh_bdf *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot &&
	       a->function == b->function;
}
/* Accepts dddd:bb:ss.f; -EINVAL otherwise. */
int sfh_bdf_parse(const char *text, struct sfh_bdf *ret);
char *sfh_bdf_format(const struct sfh_bdf *bdf, char *buf);

/* --- time --------------------------------------------------------------------*/
uint64_t sfh_now_ns(void);  /* CLOCK_MONOTONIC: deadlines, durations */
uint64_t sfh_wall_ms(void); /* CLOCK_REALTIME: what history shows */

/* --- text ---------------------------------------------------------------------*/
/* Copies src into dst (size n, always terminated); -ENAMETOOLONG if cut, which it is
 * between two characters. */
int sfh_strcpy(char *dst, size_t n, const char *src);
/* Makes UTF-8 of any bytes, in place, for JSON has no room for others: a character that is
 * cut off at the end goes, each byte that is of none becomes a '?'. Returns text. */
char *sfh_utf8_mend(char *text);

#endif
