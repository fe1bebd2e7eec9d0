// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/hook/answer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct cursor {
	const char *p, *end;
};

static void blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r'))
		c->p++;
}

/* The token `text`, blanks before it allowed. */
static bool token(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	blanks(c);
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n))
		return false;
	c->p += n;
	return true;
}

static bool number(struct cursor *c, size_t *ret)
{
	size_t v = 0;
	const char *start;

	blanks(c);
	for (start = c->p; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		if (v > (SIZE_MAX - 9) / 10)
			return false;
		v = v * 10 + (size_t)(*c->p - '0');
	}
	/* JSON has no leading zeros */
	if (c->p == start || (*start == '0' && c->p - start > 1))
		return false;
	*ret = v;
	return true;
}

static bool hex4(struct cursor *c, uint32_t *ret)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++, c->p++) {
		char ch = c->p < c->end ? *c->p : '\0';

		if (ch >= '0' && ch <= '9')
			v = v << 4 | (uint32_t)(ch - '0');
		else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((ch | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

struct text {
	char *buf;
	size_t n, size;
	bool full; /* the rest is cut, never in the middle of a character */
};

static void put(struct text *t, const char *bytes, size_t n)
{
	if (t->full || t->n + n >= t->size) {
		t->full = true;
		return;
	}
	memcpy(t->buf + t->n, bytes, n);
	t->n += n;
}

static void put_code_point(struct text *t, uint32_t u)
{
	char b[4];

	/* a sentence for a log: nothing that could fake a line or move a cursor */
	if (u < 0x20 || (u >= 0x7f && u < 0xa0)) {
		put(t, " ", 1);
	} else if (u < 0x80) {
		b[0] = (char)u;
		put(t, b, 1);
	} else if (u < 0x800) {
		b[0] = (char)(0xc0 | u >> 6);
		b[1] = (char)(0x80 | (u & 0x3f));
		put(t, b, 2);
	} else if (u < 0x10000) {
		b[0] = (char)(0xe0 | u >> 12);
		b[1] = (char)(0x80 | (u >> 6 & 0x3f));
		b[2] = (char)(0x80 | (u & 0x3f));
		put(t, b, 3);
	} else {
		b[0] = (char)(0xf0 | u >> 18);
		b[1] = (char)(0x80 | (u >> 12 & 0x3f));
		b[2] = (char)(0x80 | (u >> 6 & 0x3f));
		b[3] = (char)(0x80 | (u & 0x3f));
		put(t, b, 4);
	}
}

/* Behind "\u": one code point, of two escapes if the first is a surrogate. */
static bool unicode_escape(struct cursor *c, struct text *t)
{
	uint32_t u, low;

	if (!hex4(c, &u))
		return false;
	if (u >= 0xdc00 && u <= 0xdfff)
		return false;
	if (u >= 0xd800 && u <= 0xdbff) {
		if (c->end - c->p < 2 || c->p[0] != '\\' || c->p[1] != 'u')
			return false;
		c->p += 2;
		if (!hex4(c, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
	}
	put_code_point(t, u);
	return true;
}

/* How many bytes the UTF-8 character at p has; 0: it is none. */
static size_t utf8_length(const char *p, const char *end)
{
	unsigned char b = (unsigned char)*p;
	size_t n = b < 0x80		   ? 1
		   : b >= 0xc2 && b < 0xe0 ? 2
		   : b >= 0xe0 && b < 0xf0 ? 3
		   : b >= 0xf0 && b < 0xf5 ? 4
					   : 0;

	if ((size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static bool string(struct cursor *c, char *buf, size_t size)
{
	static const char escapes[] = "\"\\/bfnrt", means[] = "\"\\/     ";
	struct text t = {buf, 0, size, false};

	if (!token(c, "\""))
		return false;
	while (c->p < c->end && *c->p != '"') {
		const char *which;
		size_t n;

		if ((unsigned char)*c->p < 0x20)
			return false;
		if (*c->p != '\\') {
			n = utf8_length(c->p, c->end);
			if (!n)
				return false;
			if (*c->p == 0x7f)
				put(&t, " ", 1);
			else
				put(&t, c->p, n);
			c->p += n;
			continue;
		}
		if (++c->p == c->end)
			return false;
		if (*c->p == 'u') {
			c->p++;
			if (!unicode_escape(c, &t))
				return false;
			continue;
		}
		which = *c->p ? strchr(escapes, *c->p) : NULL;
		if (!which)
			return false;
		put(&t, &means[which - escapes], 1);
		c->p++;
	}
	buf[t.n] = '\0';
	return token(c, "\"");
}

int sfh_hook_parse_answer(const char *line, size_t len, struct hook_answer *ret)
{
	struct cursor c = {line, line + len};
	struct hook_answer a = {0};
	bool has_ok = false, has_length = false, has_error = false;

	if (!token(&c, "{"))
		return -EINVAL;
	do {
		if (!has_ok && token(&c, "\"ok\"")) {
			has_ok = true;
			if (!token(&c, ":"))
				return -EINVAL;
			a.ok = token(&c, "true");
			if (!a.ok && !token(&c, "false"))
				return -EINVAL;
		} else if (!has_length && token(&c, "\"length\"")) {
			has_length = true;
			if (!token(&c, ":") || !number(&c, &a.length))
				return -EINVAL;
		} else if (!has_error && token(&c, "\"error\"")) {
			has_error = true;
			if (!token(&c, ":") || !string(&c, a.error, sizeof(a.error)))
				return -EINVAL;
		} else {
			return -EINVAL;
		}
	} while (token(&c, ","));
	if (!token(&c, "}"))
		return -EINVAL;
	blanks(&c);
	if (c.p != c.end || !has_ok || has_length != a.ok || has_error == a.ok)
		return -EINVAL;
	*ret = a;
	return 0;
}

int sfh_hook_format_request(const char *op, const char *domain, size_t length, char *buf,
			    size_t size)
{
	char escaped[1024];
	size_t n = 0;
	int r;

	for (const char *p = domain; *p; p++) {
		unsigned char ch = (unsigned char)*p;

		if (n + 7 > sizeof(escaped))
			return -ENAMETOOLONG;
		if (ch == '"' || ch == '\\' || ch < 0x20 || ch == 0x7f)
			n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, "\\u%04x", ch);
		else
			escaped[n++] = (char)ch;
	}
	escaped[n] = '\0';
	r = snprintf(buf, size,
		     "{\"verb\":\"hook\",\"op\":\"%s\",\"domain\":\"%s\",\"length\":%zu}\n", op,
		     escaped, length);
	return r < 0 || (size_t)r >= size ? -ENAMETOOLONG : r;
}
