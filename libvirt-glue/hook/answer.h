/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's answer to the hook: one line of JSON, one of
 *   {"ok":true,"length":M}   M bytes of XML follow; 0: pass through unchanged
 *   {"ok":false,"error":"sentence"}
 * Strict: exactly these keys, in any order, blanks between the tokens allowed,
 * nothing after the closing brace. libc only. */
#ifndef SFHYBRID_HOOK_ANSWER_H
#define SFHYBRID_HOOK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#define HOOK_ERROR_SIZE 1024

struct hook_answer {
	bool ok;
	size_t length;		     /* ok only */
	char error[HOOK_ERROR_SIZE]; /* not ok only; cut to fit, control characters are blanks */
};

/* `line` without its newline. 0, or -EINVAL for anything else than the above. */
int sfh_hook_parse_answer(const char *line, size_t len, struct hook_answer *ret);

/* The header line that goes to the agent, with its newline, into buf. Returns
 * its length, or -ENAMETOOLONG. */
int sfh_hook_format_request(const char *op, const char *domain, size_t length, char *buf,
			    size_t size);

#endif
