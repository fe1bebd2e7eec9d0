// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client may write to the agent's socket: lines of JSON, and the hook's XML
 * behind its line. The verbs do nothing here; the XML is read as the hook's answer
 * reads it. */
#include "ctl/agent/server.c"

#include <libxml/xmlerror.h>

#include "libvirt-glue/domxml.h"

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

int sfh_hook_answer(struct sfh_agent *a, const char *op, const char *xml, size_t len,
		    struct sfh_error *err)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;

	(void)a;
	(void)op;
	return sfh_domdesc_parse(xml, len, &desc, err);
}

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
VERB(repair, "what")

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
	xmlResetLastError();
	if (agent.requests)
		__builtin_trap(); /* every request was answered */
	return 0;
}
