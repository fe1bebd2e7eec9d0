// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent's socket: one JSON object a line in, progress lines and one final
 * line out. The hook's request has its XML right behind its line. Root only. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

#define MAX_INPUT (4u << 20)

struct sfh_client {
	struct sfh_client *next;
	struct sfh_agent *agent;
	int fd;
	sd_event_source *source;
	char *buf;
	size_t len, cap;
	size_t hook_length; /* XML bytes that the hook announced */
	char hook_op[16];
	bool in_hook;
	bool busy; /* a request is under way */
};

struct sfh_server {
	int fd;
	sd_event_source *source;
	struct sfh_client *clients;
	char path[108];
};

/* --- answers ---------------------------------------------------------------------------- */

/* Answers are small and the socket buffer is not: a client that does not read
 * loses its answer, never the agent its time. */
static void send_all(struct sfh_client *c, const char *data, size_t n)
{
	(void)!send(c->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* NULL (jansson packs no text that is not UTF-8) is answered, too: somebody waits. */
static void send_json(struct sfh_client *c, json_t *json)
{
	static const char no_json[] = "{\"ok\":false,\"error\":\"the agent's answer cannot be "
				      "written as JSON\"}\n";
	char *text = json_dumps(json, JSON_COMPACT);

	if (text) {
		size_t n = strlen(text);

		text[n] = '\n'; /* in the place of the terminator */
		send_all(c, text, n + 1);
		free(text);
	} else {
		send_all(c, no_json, sizeof(no_json) - 1);
	}
	json_decref(json);
}

static void request_end(struct sfh_request *req)
{
	struct sfh_agent *a = req->agent;

	for (struct sfh_request **at = &a->requests; *at; at = &(*at)->next)
		if (*at == req) {
			*at = req->next;
			break;
		}
	if (req->client)
		req->client->busy = false;
	json_decref(req->args);
	json_decref(req->switches);
	free(req);
}

void sfh_reply_progress(struct sfh_request *req, const char *text)
{
	char line[256];

	(void)sfh_strcpy(line, sizeof(line), text);
	if (req->client)
		send_json(req->client, json_pack("{s:s}", "progress", sfh_utf8_mend(line)));
}

void sfh_reply_ok(struct sfh_request *req, json_t *result)
{
	json_t *answer = result ? result : json_object();

	(void)json_object_set_new(answer, "ok", json_true());
	if (req->client)
		send_json(req->client, answer);
	else
		json_decref(answer);
	request_end(req);
}

void sfh_reply_error(struct sfh_request *req, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (req->client)
		send_json(req->client,
			  json_pack("{s:b, s:s}", "ok", 0, "error", sfh_utf8_mend(text)));
	request_end(req);
}

void sfh_reply_confirm(struct sfh_request *req, const char *text)
{
	if (req->client)
		send_json(req->client, json_pack("{s:b, s:b, s:s}", "ok", 0, "confirm", 1, "error",
						 text));
	request_end(req);
}

const char *sfh_request_string(struct sfh_request *req, const char *key)
{
	const char *value = json_string_value(json_object_get(req->args, key));

	if (!value || !*value) {
		sfh_reply_error(req, "the request has no '%s'", key);
		return NULL;
	}
	return value;
}

/* --- requests ------------------------------------------------------------------------------ */

static void verb_ping(struct sfh_agent *a, struct sfh_request *req)
{
	(void)a;
	sfh_reply_ok(req, json_pack("{s:i}", "pid", (int)getpid()));
}

static const struct {
	const char *name;
	void (*handle)(struct sfh_agent *a, struct sfh_request *req);
} verbs[] = {
	{ "ping", verb_ping },
	{ "define", sfh_verb_define },
	{ "undefine", sfh_verb_undefine },
	{ "up", sfh_verb_up },
	{ "down", sfh_verb_down },
	{ "accelerate", sfh_verb_accelerate },
	{ "standby", sfh_verb_standby },
	{ "migrate", sfh_verb_migrate },
	{ "migrate-cancel", sfh_verb_migrate_cancel },
	{ "repair", sfh_verb_repair },
	{ "set", sfh_verb_set },
};

static void begin(struct sfh_agent *a, struct sfh_client *c, json_t *args)
{
	const char *verb = json_string_value(json_object_get(args, "verb"));
	struct sfh_request *req = calloc(1, sizeof(*req));

	if (!req) {
		json_decref(args);
		return;
	}
	req->agent = a;
	req->client = c;
	req->args = args;
	req->verb = "";
	req->next = a->requests;
	a->requests = req;
	if (c)
		c->busy = true;
	for (size_t i = 0; verb && i < SFH_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0) {
			req->verb = verbs[i].name;
			verbs[i].handle(a, req);
			return;
		}
	sfh_reply_error(req, "the agent does not know the verb '%s'", verb ? verb : "");
}

void sfh_request_own(struct sfh_agent *a, const char *verb, const char *network)
{
	begin(a, NULL, json_pack("{s:s, s:s, s:b}", "verb", verb, "network", network, "yes", 1));
}

static void answer_hook(struct sfh_client *c, const char *xml, size_t len)
{
	_cleanup_free_ char *answer = NULL;
	struct sfh_error err = { 0 };
	int room = 2 * MAX_INPUT; /* the XML must fit at once: nobody waits for the hook */

	if (sfh_hook_answer(c->agent, c->hook_op, xml, len, &answer, &err) < 0) {
		send_json(c, json_pack("{s:b, s:s}", "ok", 0, "error", err.text));
		return;
	}
	if (answer)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	send_json(c, json_pack("{s:b, s:I}", "ok", 1, "length",
			       (json_int_t)(answer ? strlen(answer) : 0)));
	if (answer)
		send_all(c, answer, strlen(answer));
}

static bool begin_hook(struct sfh_client *c, const json_t *args)
{
	json_int_t length = json_integer_value(json_object_get(args, "length"));
	const char *op = json_string_value(json_object_get(args, "op"));

	if (!op || length <= 0 || length > (json_int_t)MAX_INPUT / 2)
		return false;
	(void)sfh_strcpy(c->hook_op, sizeof(c->hook_op), op);
	c->hook_length = (size_t)length;
	c->in_hook = true;
	return true;
}

static void client_free(struct sfh_client *c)
{
	for (struct sfh_request *req = c->agent->requests; req; req = req->next)
		if (req->client == c)
			req->client = NULL; /* what was begun goes on */
	for (struct sfh_client **at = &c->agent->server->clients; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	(void)sd_event_source_disable_unref(c->source);
	sfh_closep(&c->fd);
	free(c->buf);
	free(c);
}

static void consume(struct sfh_client *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->len - n);
	c->len -= n;
}

/* Handles what is complete in the buffer; false: the client talks nonsense. */
static bool process(struct sfh_client *c)
{
	while (c->len && !c->busy) {
		json_error_t error;
		json_t *args;
		char *end;

		if (c->in_hook) {
			if (c->len < c->hook_length)
				return true;
			answer_hook(c, c->buf, c->hook_length);
			c->in_hook = false;
			consume(c, c->hook_length);
			continue;
		}
		end = memchr(c->buf, '\n', c->len);
		if (!end)
			return c->len < MAX_INPUT;
		args = json_loadb(c->buf, (size_t)(end - c->buf), JSON_REJECT_DUPLICATES, &error);
		consume(c, (size_t)(end - c->buf) + 1);
		if (!json_is_object(args)) {
			json_decref(args);
			send_json(c, json_pack("{s:b, s:s}", "ok", 0, "error",
					       "the request is not a JSON object"));
			return false;
		}
		if (strcmp("hook", json_string_value(json_object_get(args, "verb")) ?: "") == 0) {
			bool ok = begin_hook(c, args);

			json_decref(args);
			if (!ok)
				return false;
			continue;
		}
		begin(c->agent, c, args);
	}
	return true;
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_client *c = userdata;
	struct sfh_agent *agent;
	ssize_t got;

	(void)source;
	(void)revents;
	if (c->cap - c->len < 65536) {
		char *more = c->cap < 2 * MAX_INPUT ? realloc(c->buf, c->cap + (1u << 18)) : NULL;

		if (!more) {
			client_free(c);
			return 0;
		}
		c->buf = more;
		c->cap += 1u << 18;
	}
	got = recv(fd, c->buf + c->len, c->cap - c->len, MSG_DONTWAIT);
	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			client_free(c);
		return 0;
	}
	c->len += (size_t)got;
	agent = c->agent;
	if (!process(c))
		client_free(c);
	sfh_agent_rearm(agent);
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_agent *a = userdata;
	_cleanup_close_ int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct sfh_client *c;

	(void)source;
	(void)revents;
	if (conn < 0 || getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != 0)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	c->agent = a;
	if (sd_event_add_io(a->loop, &c->source, conn, EPOLLIN, on_client, c) < 0) {
		free(c);
		return 0;
	}
	c->fd = TAKE_FD(conn);
	c->next = a->server->clients;
	a->server->clients = c;
	return 0;
}

int sfh_server_start(struct sfh_agent *a, struct sfh_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct sfh_server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return sfh_err(err, -ENOMEM, "out of memory");
	(void)snprintf(s->path, sizeof(s->path), "%s/" SFH_SOCKET_NAME, a->env.run_dir);
	(void)sfh_strcpy(addr.sun_path, sizeof(addr.sun_path), s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The ledger's lock says that we are the only agent: a socket that is there
	 * is a dead one's. */
	(void)unlink(s->path);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(s->path, 0600) < 0 || listen(s->fd, 64) < 0)
		r = -errno;
	if (r == 0)
		r = sd_event_add_io(a->loop, &s->source, s->fd, EPOLLIN, on_accept, a);
	if (r < 0) {
		sfh_closep(&s->fd);
		r = sfh_err(err, r, "cannot listen on %s: %s", s->path, strerrordesc_np(-r));
		free(s);
		return r;
	}
	a->server = s;
	return 0;
}

void sfh_server_stop(struct sfh_agent *a)
{
	if (!a->server)
		return;
	while (a->server->clients)
		client_free(a->server->clients);
	(void)sd_event_source_disable_unref(a->server->source);
	sfh_closep(&a->server->fd);
	(void)unlink(a->server->path);
	free(a->server);
	a->server = NULL;
}
