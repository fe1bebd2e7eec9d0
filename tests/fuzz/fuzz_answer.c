// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent's answer, as the hook reads it; and the hook's request. */
#include "libvirt-glue/hook/answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_answer answer;
	char request[2048], *domain = strndup((const char *)data, size);
	int r;

	if (sfh_hook_parse_answer((const char *)data, size, &answer) == 0 && !answer.ok &&
	    strpbrk(answer.error, "\n\r\x1b"))
		__builtin_trap(); /* it goes to a log */
	r = domain ? sfh_hook_format_request("migrate", domain, 1, request, sizeof(request)) : -1;
	if (r > 0 && (request[r - 1] != '\n' || strcspn(request, "\n") != (size_t)r - 1))
		__builtin_trap(); /* one line */
	free(domain);
	return 0;
}
