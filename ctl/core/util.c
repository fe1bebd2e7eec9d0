// SPDX-License-Identifier: GPL-2.0-or-later
#include "sfhybrid/util.h"
#include "sfhybrid/cold.h"
#include "sfhybrid/reasons.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int sfh_err(struct sfh_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->code)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	(void)sfh_utf8_mend(err->text);
	return code;
}

int sfh_err_prefix(struct sfh_error *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	size_t n;
	va_list ap;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s", old);
	(void)sfh_utf8_mend(err->text);
	return err->code;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `digits` hex digits at p; -1 if one is missing. */
static long hex_field(const char *p, int digits)
{
	long v = 0;

	for (int i = 0; i < digits; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

int sfh_mac_parse(const char *text, struct sfh_mac *ret)
{
	struct sfh_mac mac;

	if (!text || strlen(text) != SFH_MAC_STRLEN - 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		long v = hex_field(text + 3 * i, 2);

		if (v < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac.b[i] = (uint8_t)v;
	}
	*ret = mac;
	return 0;
}

char *sfh_mac_format(const struct sfh_mac *m, char *buf)
{
	(void)snprintf(buf, SFH_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1],
		       m->b[2], m->b[3], m->b[4], m->b[5]);
	return buf;
}

bool sfh_mac_is_zero(const struct sfh_mac *mac)
{
	static const struct sfh_mac zero;

	return sfh_mac_equal(mac, &zero);
}

bool sfh_mac_equal(const struct sfh_mac *a, const struct sfh_mac *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool sfh_mac_is_multicast(const struct sfh_mac *mac)
{
	return mac->b[0] & 1;
}

int sfh_bdf_parse(const char *text, struct sfh_bdf *ret)
{
	long domain, bus, slot, function;

	if (!text || strlen(text) != 12 || text[4] != ':' || text[7] != ':' || text[10] != '.')
		return -EINVAL;
	domain = hex_field(text, 4);
	bus = hex_field(text + 5, 2);
	slot = hex_field(text + 8, 2);
	function = hex_field(text + 11, 1);
	if (domain < 0 || bus < 0 || slot < 0 || slot > 0x1f || function < 0 || function > 7)
		return -EINVAL;
	*ret = (struct sfh_bdf){ (uint16_t)domain, (uint8_t)bus, (uint8_t)slot,
				 (uint8_t)function };
	return 0;
}

char *sfh_bdf_format(const struct sfh_bdf *b, char *buf)
{
	(void)snprintf(buf, SFH_BDF_STRLEN, "%04x:%02x:%02x.%x", b->domain, b->bus, b->slot & 0x1f,
		       b->function & 7);
	return buf;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t sfh_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sfh_wall_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

/* How many bytes the character at p has; 0: none begins there, -1: the text ends in it. */
static int utf8_char(const unsigned char *p)
{
	int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
	/* What has a shorter form, surrogates, and what is beyond U+10FFFF. */
	unsigned char least = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
	unsigned char most = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;

	for (int i = 1; i < n; i++) {
		if (!p[i])
			return -1;
		if (p[i] < least || p[i] > most)
			return 0;
		least = 0x80;
		most = 0xbf;
	}
	return n;
}

char *sfh_utf8_mend(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		int n = utf8_char(p);

		if (n < 0)
			*p = '\0';
		else if (n == 0)
			*p++ = '?';
		else
			p += n;
	}
	return text;
}

int sfh_strcpy(char *dst, size_t n, const char *src)
{
	size_t len = strlen(src);

	if (len >= n) {
		memcpy(dst, src, n - 1);
		dst[n - 1] = '\0';
		(void)sfh_utf8_mend(dst);
		return -ENAMETOOLONG;
	}
	memcpy(dst, src, len + 1);
	return 0;
}

const char *sfh_reason_name(enum sfh_reason reason)
{
	switch (reason) {
#define X(num, id, name, text)                                                                     \
	case SFH_REASON_##id:                                                                      \
		return name;
		SFH_REASONS(X)
#undef X
	default:
		return "unknown";
	}
}

const char *sfh_reason_text(enum sfh_reason reason)
{
	switch (reason) {
#define X(num, id, name, text)                                                                     \
	case SFH_REASON_##id:                                                                      \
		return text;
		SFH_REASONS(X)
#undef X
	default:
		return "";
	}
}

const char *sfh_cold_name(enum sfh_cold cold)
{
	switch (cold) {
#define X(num, id, name, text)                                                                     \
	case SFH_COLD_##id:                                                                        \
		return name;
		SFH_COLDS(X)
#undef X
	default:
		return "unknown";
	}
}

const char *sfh_cold_text(enum sfh_cold cold)
{
	switch (cold) {
#define X(num, id, name, text)                                                                     \
	case SFH_COLD_##id:                                                                        \
		return text;
		SFH_COLDS(X)
#undef X
	default:
		return "";
	}
}
