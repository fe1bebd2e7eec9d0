// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent's verbs over its socket, in this process: all of it but main.c (fake_agent.c has
 * what is needed of that), with libvirt's test driver in libvirtd's place. Needs root, as its
 * socket does. */
#include <dlfcn.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/agent/agent.h"
#include "libvirt-glue/virt-internal.h"
#include "tests/unit/glue_helpers.h"
#include "tests/unit/tree.h"

#define ANSWER_MS 10000

static struct sfh_agent A = {
	.libvirt_uri = "test:///default",
	.network_lock = PTHREAD_MUTEX_INITIALIZER,
	.virt_lock = PTHREAD_RWLOCK_INITIALIZER,
};
static struct sfh_virt V;
static char dir[64];

/* The test driver has one XML of a network, and refuses to be asked for the inactive one. */
char *virNetworkGetXMLDesc(virNetworkPtr net, unsigned int flags)
{
	char *(*get)(virNetworkPtr, unsigned int) = dlsym(RTLD_NEXT, "virNetworkGetXMLDesc");

	return get(net, flags & ~(unsigned int)VIR_NETWORK_XML_INACTIVE);
}

static void quiet(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static void init(void)
{
	struct sfh_error err = { 0 };
	char path[128];

	if (geteuid() != 0)
		cr_skip("needs root");
	virSetErrorFunc(NULL, quiet);
	V.conn = virConnectOpen(A.libvirt_uri);
	cr_assert(V.conn, "%s", virGetLastErrorMessage());
	A.virt = &V;
	tree_init(dir);
	A.env.run_dir = dir;
	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, dir);
	cr_assert_eq(sfh_ledger_open(path, true, &A.ledger, &err), 0, "%s", err.text);
	cr_assert_geq(sd_event_new(&A.loop), 0);
	cr_assert_eq(sfh_worker_start(A.loop, 1, &A.worker), 0);
	cr_assert_eq(sfh_server_start(&A, &err), 0, "%s", err.text);
}

static void fini(void)
{
	sfh_server_stop(&A);
	sfh_ledger_close(&A.ledger);
	tree_done(dir);
}

TestSuite(agent, .init = init, .fini = fini, .timeout = 60);

/* All that comes until the final line; "" if that does not come. */
static void read_answer(int fd, char *buf, size_t n)
{
	uint64_t until = sfh_now_ns() + ANSWER_MS * 1000000ull;
	size_t used = 0;

	buf[0] = '\0';
	while (sfh_now_ns() < until && used < n - 1) {
		ssize_t got = recv(fd, buf + used, n - 1 - used, MSG_DONTWAIT);

		if (got > 0) {
			used += (size_t)got;
			buf[used] = '\0';
			if (strstr(buf, "\"ok\":") && buf[used - 1] == '\n')
				return;
		}
		cr_assert_geq(sd_event_run(A.loop, 10000), 0);
	}
	buf[0] = '\0';
}

/* Asks the agent (steals the request); where its answer comes. */
static int say(json_t *request)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);

	cr_assert(text, "no request");
	json_decref(request);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" SFH_SOCKET_NAME, dir);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(dprintf(fd, "%s\n", text), (int)strlen(text) + 1);
	return fd;
}

/* The answer, the caller's. */
static json_t *hear(int fd)
{
	static char line[1 << 16];
	json_t *answer;

	read_answer(fd, line, sizeof(line));
	(void)close(fd);
	answer = json_loads(line, 0, NULL);
	cr_assert(answer, "no answer, or none in JSON: '%s'", line);
	return answer;
}

static json_t *answer_to(json_t *request)
{
	return hear(say(request));
}

static const char *error_of(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	return error ? error : "";
}

static bool flag(const json_t *answer, const char *key)
{
	cr_assert(json_is_boolean(json_object_get(answer, key)), "no '%s': %s", key,
		  error_of(answer));
	return json_is_true(json_object_get(answer, key));
}

/* --- define -------------------------------------------------------------------------------- */

#define NETWORK(name, inside)                                                                      \
	"<network><name>" name "</name><forward mode='pci-passthrough-hybrid'><pf dev='eth2'/>"     \
	inside "</forward></network>"

static json_t *define(const char *xml)
{
	return answer_to(json_pack("{s:s, s:s}", "verb", "define", "xml", xml));
}

/* Defines, and returns whether that changed something. */
static bool defines(const char *xml)
{
	json_t *answer = define(xml);
	bool changed;

	cr_assert(flag(answer, "ok"), "%s", error_of(answer));
	changed = flag(answer, "defined");
	json_decref(answer);
	return changed;
}

static void refuses(const char *xml, const char *why)
{
	json_t *answer = define(xml);

	cr_assert_not(flag(answer, "ok"));
	cr_assert(strstr(error_of(answer), why), "%s", error_of(answer));
	json_decref(answer);
}

/* What libvirt has of a network. */
static struct sfh_netdef *defined(const char *name)
{
	_cleanup_free_ char *xml = NULL;
	struct sfh_netdef *def = NULL;
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_virt_network_xml(&V, name, &xml, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_netdef_from_libvirt(xml, strlen(xml), &def, &err), 0, "%s", err.text);
	return def;
}

Test(agent, a_network_is_defined_again_without_its_uuid)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *first = NULL, *then = NULL;

	cr_assert(defines(NETWORK("n", "")));
	first = defined("n");
	cr_assert(defines(NETWORK("n", "<landing vfs='3'/>")));
	then = defined("n");
	cr_assert_eq(then->landing, 3);
	cr_assert_str_eq(then->uuid, first->uuid);
}

Test(agent, defined_says_whether_it_changed_something)
{
	cr_assert(defines(NETWORK("n", "<landing vfs='3'/>")));
	cr_assert_not(defines(NETWORK("n", "<landing vfs='3'/>")));
	cr_assert_not(defines(NETWORK("n", "\n  <landing vfs=\"3\"></landing>\n")), "blanks, quotes");
	cr_assert(defines(NETWORK("n", "<landing vfs='4'/>")));
}

/* The same definition; what is derived from it was edited in libvirt. */
Test(agent, defined_again_mends_what_is_derived)
{
	_cleanup_free_ char *xml = NULL, *other = NULL, *back = NULL;
	virNetworkPtr net;

	cr_assert(defines(NETWORK("n", "")));
	cr_assert_eq(sfh_virt_network_xml(&V, "n", &xml, NULL, NULL), 0);
	other = replaced(xml, " mode='bridge'", " mode='vepa'");
	net = virNetworkDefineXML(V.conn, other);
	cr_assert(net, "%s", virGetLastErrorMessage());
	(void)virNetworkFree(net);
	cr_assert_not(defines(NETWORK("n", "")));
	cr_assert_eq(sfh_virt_network_xml(&V, "n", &back, NULL, NULL), 0);
	cr_assert_null(strstr(back, "vepa"), "%s", back);
}

/* virsh net-dumpxml n | sed s/n/copy/ | virsh net-define: 'define' is what mends it. */
Test(agent, a_copy_by_hand_is_defined_again)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	_cleanup_free_ char *xml = NULL, *copy = NULL;
	virNetworkPtr net;
	char uuid[VIR_UUID_STRING_BUFLEN];

	cr_assert_eq(sfh_netdef_to_libvirt(NETWORK("n", ""), strlen(NETWORK("n", "")), &xml, NULL), 0);
	copy = replaced(xml, "<name>n<", "<name>copy<");
	net = virNetworkDefineXML(V.conn, copy);
	cr_assert(net, "%s", virGetLastErrorMessage());
	cr_assert_eq(virNetworkGetUUIDString(net, uuid), 0);
	(void)virNetworkFree(net);
	cr_assert(defines(NETWORK("copy", "")));
	def = defined("copy");
	cr_assert_str_eq(def->uuid, uuid);
}

Test(agent, somebody_elses_network_does_not_become_ours)
{
	refuses(NETWORK("default", ""),
		"libvirt's network 'default' is not a hybrid network: choose another name");
}

Test(agent, another_uuid_is_refused_by_libvirt)
{
	cr_assert(defines(NETWORK("n", "")));
	refuses("<network><name>n</name><uuid>0d1f0d52-8d5c-4f4d-9c3c-2f6a1f0c9f01</uuid>"
		"<forward mode='pci-passthrough-hybrid'><pf dev='eth2'/></forward></network>",
		"already exists with uuid");
}

/* What the user's comments say is no element. */
Test(agent, set_keeps_the_uuid_whatever_a_comment_says)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *first = NULL, *then = NULL;
	json_t *answer;

	cr_assert(defines(NETWORK("n", "<!-- no <uuid> here -->")));
	first = defined("n");
	answer = answer_to(json_pack("{s:s, s:s, s:[s]}", "verb", "set", "network", "n", "changes",
			       "policy=never"));
	cr_assert(flag(answer, "ok"), "%s", error_of(answer));
	json_decref(answer);
	then = defined("n");
	cr_assert_eq(then->policy, SFH_NET_POLICY_NEVER);
	cr_assert_str_eq(then->uuid, first->uuid);
}

/* --- texts that are cut ----------------------------------------------------------------------- */

/* n times a character of two bytes. */
static const char *umlauts(char *buf, size_t n)
{
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		(void)strcat(buf, "\u00e4");
	return buf;
}

Test(agent, an_error_that_is_cut_within_a_character_is_answered)
{
	char verb[1024];
	json_t *answer = answer_to(json_pack("{s:s}", "verb", umlauts(verb, 400)));

	cr_assert_not(flag(answer, "ok"));
	cr_assert(strstr(error_of(answer), "does not know the verb"));
	json_decref(answer);
}

Test(agent, down_names_guests_whose_list_is_cut_within_a_character)
{
	static struct sfh_agent_network net;
	static struct sfh_pair pairs[3];
	json_t *answer;

	cr_assert_eq(sfh_netdef_parse(NETWORK("n", ""), strlen(NETWORK("n", "")), &net.def, NULL), 0);
	A.networks = &net;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(pairs); i++) {
		(void)strcpy(pairs[i].network, "n");
		(void)umlauts(pairs[i].domain_name, 100);
		pairs[i].next = A.engine.pairs;
		A.engine.pairs = &pairs[i];
	}
	answer = answer_to(json_pack("{s:s, s:s, s:b}", "verb", "down", "network", "n", "yes", 1));
	cr_assert_not(flag(answer, "ok"));
	cr_assert(strstr(error_of(answer), "guests run on 'n': \u00e4\u00e4"));
	cr_assert(strstr(error_of(answer), "\u00e4; shut them down"), "%s", error_of(answer));
	A.engine.pairs = NULL;
	json_decref(answer);
}

Test(agent, what_is_no_json_is_answered_all_the_same)
{
	int fd = say(json_pack("{s:s, s:s}", "verb", "define", "xml", NETWORK("n", "")));
	json_t *answer;

	while (!A.requests)
		cr_assert_geq(sd_event_run(A.loop, UINT64_MAX), 0);
	sfh_reply_confirm(A.requests, "\xff"); /* instead of the worker, which is not heard any more */
	answer = hear(fd);
	cr_assert_not(flag(answer, "ok"));
	cr_assert(strstr(error_of(answer), "JSON"), "%s", error_of(answer));
	json_decref(answer);
}
