// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client may write to the agent's socket: lines of JSON, and the hook's XML
 * behind its line. The verbs do nothing here. */
#include "ctl/agent/server.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void sfh_agent_log(int priority, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
}

void sfh_agent_rearm(struct sfh_agent *a)
{
	(void)a;
}

/* The answer itself is fuzz_domxml's: here it is always no. By its symbol, since what
 * it is handed does not matter. */
int refuse(void) __asm__("sfh_hook_answer");
int refuse(void)
{
	return -EINVAL;
}

/* Every verb of the server's table has a line here. */
#define VERB(name, key)                                                                            \
	void sfh_verb_##name(struct sfh_agent *a, struct sfh_request *req)                         \
	{                                                                                          \
		(void)a;                                                                           \
		if (sfh_request_string(req, key))                                                  \
			sfh_reply_ok(req, NULL);                                                   \
	}
VERB(define, "xml")
VERB(undefine, "network")
VERB(up, "network")
VERB(down, "network")
VERB(accelerate, "domain")
VERB(standby, "domain")
VERB(migrate, "uri")
VERB(migrate_cancel, "domain")
VERB(repair, "what")
VERB(set, "network")

/* In pieces, as a socket would hand them over: the first byte says how large. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sfh_server server = { .fd = -1 };
	struct sfh_agent agent = { .server = &server };
	struct sfh_client *c = calloc(1, sizeof(*c));
	size_t step = size ? (size_t)data[0] + 1 : 1;

	if (!c)
		return 0;
	c->agent = &agent;
	c->fd = -1;
	server.clients = c;
	c->buf = malloc(size ? size : 1);
	for (size_t at = 1; c->buf && at < size; at += step) {
		size_t n = size - at < step ? size - at : step;

		memcpy(c->buf + c->len, data + at, n);
		c->len += n;
		if (!process(c))
			break;
	}
	client_free(c);
	if (agent.requests)
		__builtin_trap(); /* every request was answered */
	return 0;
}
