// SPDX-License-Identifier: GPL-2.0-or-later
/* What the engine asked of the fake host, a line for each call; and what it is refused. */
#include "tests/unit/fakes_priv.h"

#include <stdio.h>
#include <string.h>

void fake_record(struct fake *f, const char *fmt, ...)
{
	char line[256];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	(void)strcat(line, "\n");
	n = strlen(line);
	if (f->ncalls + n + 1 > f->cap) {
		f->cap = 2 * (f->cap + n + 1);
		f->calls = realloc(f->calls, f->cap);
		cr_assert(f->calls);
	}
	memcpy(f->calls + f->ncalls, line, n + 1);
	f->ncalls += n;
}

void fake_forget_calls(struct fake *f)
{
	f->ncalls = 0;
	if (f->calls)
		f->calls[0] = '\0';
}

static const char *next_line(const char *line)
{
	const char *end = line ? strchr(line, '\n') : NULL;

	return end && end[1] ? end + 1 : NULL;
}

unsigned fake_count(const struct fake *f, const char *prefix)
{
	unsigned n = 0;

	for (const char *l = f->ncalls ? f->calls : NULL; l; l = next_line(l))
		n += strncmp(l, prefix, strlen(prefix)) == 0;
	return n;
}

void fake_assert_order(const struct fake *f, ...)
{
	const char *at = f->ncalls ? f->calls : NULL, *prefix;
	va_list ap;

	va_start(ap, f);
	while ((prefix = va_arg(ap, const char *))) {
		while (at && strncmp(at, prefix, strlen(prefix)) != 0)
			at = next_line(at);
		cr_assert(at, "'%s' is missing, or not in its place, in:\n%s", prefix,
			  f->ncalls ? f->calls : "(no calls)");
		at = next_line(at);
	}
	va_end(ap);
}

void fake_fail(struct fake *f, enum fake_op op, int code, int skip, int times)
{
	f->fail[op].code = -code;
	f->fail[op].skip = skip;
	f->fail[op].times = times;
}

void fake_heal(struct fake *f)
{
	memset(f->fail, 0, sizeof(f->fail));
	f->lie = f->partial = false;
	f->refuse = f->deaf = 0;
	f->port_unable = false;
	f->port_delay = f->port_says = 0;
}

int fake_verdict(struct fake *f, enum fake_op op)
{
	if (f->fail[op].code == 0 || f->fail[op].times == 0)
		return 0;
	if (f->fail[op].skip > 0) {
		f->fail[op].skip--;
		return 0;
	}
	if (f->fail[op].times > 0)
		f->fail[op].times--;
	return f->fail[op].code;
}
