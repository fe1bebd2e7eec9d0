// SPDX-License-Identifier: GPL-2.0-or-later
/* docs/inspection.md: every command in it runs, and its output has the fields that the
 * document shows. The scene is the document's. SFH_SHOW_INSPECTION=1 prints what comes
 * out, to bring the document up to date. */
#include "ctl/core/steer.h"
#include "tests/netns/sandbox.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#define DOC "docs/inspection.md"
#define OUT_MAX (1 << 20)

static void scene(void)
{
	struct sfh_standby_policy policy = { .spoofchk = true, .vlan_prio = 3 };
	struct frame arp = mk_arp(MAC_GUEST, MAC_GUEST, "192.0.2.1"), back = arp;
	struct sfh_guest_key key;
	struct sfh_error err = {};
	struct sfh_steer *s;
	int guest, wire, r;

	sandbox_enter();
	sh("ip link add pf0 type veth peer name wire0 && ip link set wire0 up && ip link set pf0 up && "
	   "ip link add br0 type bridge mcast_snooping 0 && ip link set pf0 master br0 && "
	   "ip link set br0 up");
	guest = tap_make("vnet0");
	sh("ip link set vnet0 master br0");
	wire = packet_open(ifindex_of("wire0"));
	s = steer_open();
	key = mk_key(ifindex_of("pf0"), MAC_GUEST, 42);
	r = sfh_steer_pf_attach(s, key.pf_ifindex, true, NULL, &err);
	if (r == 0)
		r = sfh_steer_standby_attach(s, ifindex_of("vnet0"), SFH_STANDBY_TAP, &err);
	if (r == 0)
		r = sfh_steer_stage_as(s, &key, ifindex_of("vnet0"), SFH_STANDBY_TAP, true, &policy,
				       &err);
	cr_assert_eq(r, 0, "%s", err.text);
	frame_send(guest, &arp);
	cr_assert_eq(frame_read(wire, 1000).len, arp.len + 4);
	cr_assert_eq(take_events(s, NULL), 1);
	memmove(back.b + 16, back.b + 12, back.len - 12);
	memcpy(back.b + 12, "\x81\x00\x00\x2a", 4);
	frame_send(wire, &back); /* the network sends it back */
	for (int i = 0; i < 3; i++) {
		struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(42), 0);

		frame_send(wire, &f);
		cr_assert_eq(frame_read(guest, 1000).len, f.len - 4);
	}
	arp = mk_frame(MAC_PEER, MAC_OTHER, 0, 0);
	frame_send(guest, &arp); /* a source that is not its own */
	sfh_steer_close(&s);
}

static char *run(const char *cmd)
{
	char *out = calloc(1, OUT_MAX);
	FILE *f = popen(cmd, "re");
	size_t n = 0;

	cr_assert(out && f);
	while (n < OUT_MAX - 1 && !feof(f) && !ferror(f))
		n += fread(out + n, 1, OUT_MAX - 1 - n, f);
	cr_assert_eq(pclose(f), 0, "%s: %s", cmd, out);
	if (getenv("SFH_SHOW_INSPECTION"))
		(void)fprintf(stderr, "# %s\n%s\n", cmd, out);
	return out;
}

/* Each "name": of the line is in the output. */
static void has_fields(const char *line, const char *out, const char *cmd)
{
	char name[64];

	for (const char *p = strchr(line, '"'); p; p = strchr(p, '"')) {
		const char *end = strchr(++p, '"');
		size_t n = end ? (size_t)(end - p) : 0;

		if (!end)
			return;
		if (end[1] == ':' && n + 4 < sizeof(name)) {
			(void)snprintf(name, sizeof(name), "\"%.*s\":", (int)n, p);
			cr_expect(strstr(out, name), "%s does not show %s", cmd, name);
		}
		p = end + 1;
	}
}

Test(inspection, what_the_document_shows_is_there, .timeout = 60)
{
	FILE *doc = fopen(DOC, "re");
	_cleanup_free_ char *out = NULL;
	char line[1024], cmd[1024] = "";
	bool block = false;
	int commands = 0;

	cr_assert_not_null(doc, DOC " is missing (the tests run in the top directory)");
	scene();
	while (fgets(line, sizeof(line), doc)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "```", 3) == 0) {
			block = !block;
			cmd[0] = '\0';
		} else if (block && strncmp(line, "# ", 2) == 0) {
			(void)snprintf(cmd, sizeof(cmd), "%s", line + 2);
			free(out);
			out = run(cmd);
			commands++;
		} else if (block && cmd[0]) {
			has_fields(line, out, cmd);
		}
	}
	(void)fclose(doc);
	cr_assert_geq(commands, 7);
}

/* And the other way round: what a pair has is in the document. */
Test(inspection, every_field_is_in_the_document, .timeout = 60)
{
	static const char *const maps[] = { "sfh_guests", "sfh_state" };
	_cleanup_free_ char *doc = calloc(1, OUT_MAX);
	FILE *f = fopen(DOC, "re");

	cr_assert(doc && f);
	(void)!fread(doc, 1, OUT_MAX - 1, f);
	(void)fclose(f);
	scene();
	for (size_t i = 0; i < SFH_ARRAY_SIZE(maps) + 2; i++) {
		_cleanup_free_ char *out = NULL;
		char cmd[128];

		if (i < SFH_ARRAY_SIZE(maps))
			(void)snprintf(cmd, sizeof(cmd),
				       "bpftool map dump pinned /sys/fs/bpf/sfhybrid/%s", maps[i]);
		else
			(void)snprintf(cmd, sizeof(cmd),
				       "bpftool map lookup pinned /sys/fs/bpf/sfhybrid/%s key 0 0 0 0",
				       i == SFH_ARRAY_SIZE(maps) ? "sfh_counters" : "sfh_meter");
		out = run(cmd);
		has_fields(out, doc, DOC);
	}
}
