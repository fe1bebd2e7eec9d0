// SPDX-License-Identifier: GPL-2.0-or-later
/* Probes of the standby leg on real devices. The guest is whoever reads the tap's or
 * macvtap's descriptor; one that does not read is a guest whose ring is stuck. */
#include "ctl/core/steer_priv.h"
#include "ctl/core/inject.h"
#include "ctl/core/warm.h"
#include "sfhybrid/cold.h"
#include "tests/netns/sandbox.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOON 1000 /* ms in which what should come has come */
#define NEVER 50  /* ms after which what should not is not coming */

static struct leg L;

static struct {
	struct sfh_inject *inject;
	struct sfh_warm *w;
	struct sfh_warm_leg *leg;
	uint32_t latency_ns, ring_us;
} T;

/* The pair is on its VF leg: staged, not armed. */
static void begin(const struct leg_kind *k)
{
	struct sfh_error err = {};

	leg_make(&L, k);
	cr_assert_eq(sfh_steer_stage(L.s, &L.key, L.standby, k->kind, false, &err), 0, "%s",
		     err.text);
	cr_assert_eq(sfh_inject_open(&T.inject, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_warm_open(L.s, T.inject, "/sys", &T.w, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_warm_leg_new(T.w, &L.key, L.standby, k->kind, &T.leg, &err), 0, "%s",
		     err.text);
}

static void end(void)
{
	sfh_warm_leg_free(&T.leg);
	sfh_warm_close(&T.w);
	sfh_inject_close(&T.inject);
	sfh_steer_close(&L.s);
}

static void send_probe(void)
{
	(void)usleep(210000); /* a PF's XDP program is looked at five times a second */
	sfh_warm_begin(T.w);
	sfh_warm_send(T.leg);
}

static int check(void)
{
	return sfh_warm_check(T.leg, &T.latency_ns, &T.ring_us);
}

/* The next probe frame that the guest gets; length 0 if none comes. */
static struct frame guest_probe(int fd, int ms)
{
	struct frame f;

	do {
		f = frame_read(fd, ms);
	} while (f.len && (f.b[12] != 0x88 || f.b[13] != 0xb6) &&
		 (f.b[12] != 0x81 || f.b[16] != 0x88 || f.b[17] != 0xb6));
	return f;
}

#define expect_cold(wanted)                                                                        \
	do {                                                                                       \
		enum sfh_cold _c;                                                                  \
		cr_assert_eq(check(), 0, "believed to be warm");                                   \
		_c = sfh_warm_why(T.leg);                                                          \
		cr_assert_eq(_c, wanted, "cold because of %s, expected %s", sfh_cold_name(_c),     \
			     sfh_cold_name(wanted));                                               \
	} while (0)

static void expect_warm(void)
{
	struct frame f;

	send_probe();
	f = guest_probe(L.guest, SOON);
	cr_assert_gt(f.len, 0, "no probe came (%s)", sfh_cold_name(sfh_warm_why(T.leg)));
	cr_assert_eq(check(), 1, "not warm: %s", sfh_cold_name(sfh_warm_why(T.leg)));
}

/* --- what every kind does ------------------------------------------------------------ */

static struct leg_kind kinds[] = {
	{ SFH_STANDBY_MACVTAP, false, 0 }, { SFH_STANDBY_MACVTAP, true, 0 },
	{ SFH_STANDBY_TAP, false, 0 },	   { SFH_STANDBY_TAP, true, 0 },
	{ SFH_STANDBY_MACVTAP, false, 42 }, { SFH_STANDBY_TAP, true, 42 },
};

static struct leg_kind untagged[] = {
	{ SFH_STANDBY_MACVTAP, false, 0 }, { SFH_STANDBY_MACVTAP, true, 0 },
	{ SFH_STANDBY_TAP, false, 0 },	   { SFH_STANDBY_TAP, true, 0 },
};

#define KINDS(suite, name, table)                                                                  \
	ParameterizedTestParameters(suite, name)                                                   \
	{                                                                                          \
		return cr_make_param_array(struct leg_kind, table, SFH_ARRAY_SIZE(table));             \
	}                                                                                          \
	static void name(const struct leg_kind *k);                                                    \
	ParameterizedTest(struct leg_kind *k, suite, name, .timeout = 30)                              \
	{                                                                                          \
		begin(k);                                                                          \
		name(k);                                                                           \
		end();                                                                             \
	}                                                                                          \
	static void name(CR_UNUSED const struct leg_kind *k)

/* Proven only once the guest took it, and the guest cannot take it for its own. */
KINDS(warm, proven_when_it_was_read, kinds)
{
	const uint8_t dst[6] = SFH_PROBE_DST;
	const uint8_t blank[sizeof(struct sfh_probe_body)] = {};
	struct frame f;

	send_probe();
	(void)usleep(NEVER * 1000);
	cr_assert_eq(check(), 0, "proven before anybody read it");
	f = guest_probe(L.guest, SOON);
	cr_assert_gt(f.len, 0);
	cr_assert_eq(memcmp(f.b, dst, 6), 0, "the guest's own address is still in it");
	cr_assert_eq(memcmp(f.b + (f.b[12] == 0x81 ? 18 : 14), blank, sizeof(blank)), 0,
		     "the guest can read the token");
	cr_assert_eq(check(), 1, "%s", sfh_cold_name(sfh_warm_why(T.leg)));
	cr_assert(T.latency_ns > 0 && T.latency_ns < 100000000, "%u ns", T.latency_ns);
	cr_assert_geq(T.ring_us, NEVER * 1000);
	cr_assert_eq(check(), 0, "one probe, one proof");
	expect_warm();
}

/* No traffic, no arming, no first frame, no address, no event. */
KINDS(warm, leaves_no_trace, kinds)
{
	struct sfh_pair_view v;
	struct sfh_event ev;

	cr_assert_eq(sfh_steer_stage(L.s, &L.key, L.standby, k->kind, true, NULL), 0);
	for (int i = 0; i < 3; i++)
		expect_warm();
	v = view_of(L.s, &L.key);
	cr_assert(!v.armed && v.arm_on_first_frame);
	cr_assert_eq(v.first_frame_ns, 0);
	cr_assert_eq(v.last_frame_ns, 0);
	cr_assert_eq(v.ip4, 0);
	cr_assert_eq(v.counters.from_wire_frames, 0);
	cr_assert_eq(v.counters.to_standby_frames, 0);
	cr_assert_eq(v.counters.from_standby_frames, 0);
	cr_assert_eq(take_events(L.s, &ev), 0);
	cr_assert_eq(frame_read(L.wire, NEVER).len, 0, "a probe went out on the wire");
}

KINDS(warm, armed_pairs_too, untagged)
{
	cr_assert_eq(sfh_steer_arm(L.s, &L.key, NULL), 0);
	expect_warm();
	cr_assert_eq(view_of(L.s, &L.key).counters.from_wire_frames, 0);
}

/* --- what goes wrong -------------------------------------------------------------------- */

KINDS(cold, standby_down_and_up_again, untagged)
{
	expect_warm();
	sh("ip link set standby0 down");
	send_probe();
	expect_cold(SFH_COLD_STANDBY_DOWN);
	sh("ip link set standby0 up");
	expect_warm();
}

KINDS(cold, standby_gone, untagged)
{
	expect_warm();
	cr_assert_eq(close(L.guest), 0);
	(void)sh_status("ip link del standby0");
	send_probe();
	expect_cold(SFH_COLD_STANDBY_GONE);
}

KINDS(cold, pf_down_and_up_again, untagged)
{
	sh("ip link set pf0 down");
	send_probe();
	expect_cold(SFH_COLD_PF_DOWN);
	sh("ip link set pf0 up");
	expect_warm();
}

KINDS(cold, pf_tc_program_removed, untagged)
{
	expect_warm();
	sh("tc filter del dev pf0 ingress");
	send_probe();
	(void)guest_probe(L.guest, NEVER); /* macvlan and bridge deliver it all the same */
	expect_cold(SFH_COLD_PF_TC);
	cr_assert_eq(sfh_steer_pf_attach(L.s, L.pf, k->xdp, NULL, NULL), 0);
	expect_warm();
}

/* A filter in front that ends the chain: ours is there, and sees nothing. */
KINDS(cold, pf_tc_program_shadowed, untagged)
{
	sh("tc filter add dev pf0 ingress prio 5 protocol all bpf da bytecode '1,6 0 0 0,'");
	send_probe();
	(void)guest_probe(L.guest, NEVER);
	expect_cold(SFH_COLD_PF_TC);
}

KINDS(cold, steering_entry_removed, untagged)
{
	struct sfh_guest g;

	expect_warm();
	cr_assert_eq(bpf_map_lookup_elem(L.s->map[SFH_MAP_GUESTS], &L.key, &g), 0);
	cr_assert_eq(bpf_map_delete_elem(L.s->map[SFH_MAP_GUESTS], &L.key), 0);
	send_probe();
	cr_assert_eq(guest_probe(L.guest, NEVER).len, 0, "a probe without an entry was flooded");
	expect_cold(SFH_COLD_ENTRY);
	cr_assert_eq(bpf_map_update_elem(L.s->map[SFH_MAP_GUESTS], &L.key, &g, BPF_ANY), 0);
	expect_warm();
}

KINDS(cold, standby_program_removed, untagged)
{
	expect_warm();
	sh("tc filter del dev standby0 %s", k->kind == SFH_STANDBY_TAP ? "egress" : "ingress");
	send_probe();
	(void)guest_probe(L.guest, NEVER);
	expect_cold(SFH_COLD_STANDBY_TC);
	cr_assert_eq(sfh_steer_standby_attach(L.s, L.standby, k->kind, NULL), 0);
	expect_warm();
}

/* Stuck: few probes are piled up, and it is warm as soon as it reads again. */
KINDS(cold, ring_stuck_and_loose_again, untagged)
{
	int piled = 0;

	expect_warm();
	for (int i = 0; i < 10; i++) {
		send_probe();
		expect_cold(SFH_COLD_RING_STUCK);
	}
	while (guest_probe(L.guest, NEVER).len)
		piled++;
	cr_assert(piled >= 1 && piled <= 5, "%d probes piled up in a stuck guest", piled);
	cr_assert_eq(check(), 1, "it reads, and is still cold");
	expect_warm();
}

/* The queue to the guest has no room: the probe that is dropped is no proof. */
KINDS(cold, ring_full, untagged)
{
	const struct frame f = mk_frame(MAC_BCAST, MAC_PEER, 0, 0);

	expect_warm();
	for (int i = 0; i < 1200; i++)
		frame_send(L.wire, &f);
	send_probe();
	cr_assert_eq(check(), 0, "dropped, yet believed");
	(void)sfh_warm_why(T.leg);
	while (frame_read(L.guest, NEVER).len)
		;
	(void)check();
	expect_warm();
}

static void cut_xdp(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "/sys/fs/bpf/sfhybrid/links/xdp-%u", L.pf);
	fd = bpf_obj_get(path);
	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(bpf_link_detach(fd), 0);
	(void)close(fd);
}

static struct leg_kind xdp_kinds[] = {
	{ SFH_STANDBY_MACVTAP, true, 0 }, { SFH_STANDBY_TAP, true, 0 },
};

KINDS(cold, xdp_program_removed, xdp_kinds)
{
	expect_warm();
	cut_xdp();
	send_probe();
	(void)guest_probe(L.guest, NEVER);
	expect_cold(SFH_COLD_PF_XDP);
	cr_assert_eq(sfh_steer_pf_attach(L.s, L.pf, true, NULL, NULL), 0);
	expect_warm();
}

/* --- who may say that it is a probe -------------------------------------------------------- */

static struct frame forged(uint64_t token, uint32_t seq)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct sfh_probe_body body = { .token = token, .seq = seq };

	f.b[13] = 0xb6;
	memcpy(f.b + 14, &body, sizeof(body));
	return f;
}

static struct sfh_probe_seen seen(void)
{
	struct sfh_probe_seen v;

	cr_assert_eq(bpf_map_lookup_elem(L.s->map[SFH_MAP_PROBE], &L.key, &v), 0);
	return v;
}

/* From the wire it is a frame like any other: delivered as it is, and no proof. */
KINDS(forgery, wrong_token_is_an_ordinary_frame, untagged)
{
	const struct frame f = forged(0x1234567812345678, 7);
	struct frame got;

	cr_assert_eq(sfh_steer_arm(L.s, &L.key, NULL), 0);
	frame_send(L.wire, &f);
	got = guest_probe(L.guest, SOON);
	cr_assert_frame(got, f);
	cr_assert_eq(seen().flags, 0);
	cr_assert_eq(view_of(L.s, &L.key).counters.from_wire_frames, 1);
}

/* Even with the token: what the agent waits for is its own sequence number. */
KINDS(forgery, old_probe_proves_nothing, untagged)
{
	struct sfh_probe_want want;
	uint32_t zero = 0, seq;

	expect_warm();
	seq = seen().seq;
	cr_assert_eq(bpf_map_lookup_elem(L.s->map[SFH_MAP_PROBE_WANT], &zero, &want), 0);
	cr_assert_eq(bpf_map_delete_elem(L.s->map[SFH_MAP_GUESTS], &L.key), 0);
	send_probe(); /* lost: there is no entry */
	sh("ip link set standby0 up");
	cr_assert_eq(sfh_steer_stage(L.s, &L.key, L.standby, k->kind, false, NULL), 0);
	for (int i = 0; i < 3; i++) {
		const struct frame f = forged(want.token, seq);

		frame_send(L.wire, &f);
		(void)guest_probe(L.guest, SOON);
	}
	cr_assert_eq(check(), 0, "a replayed probe was believed");
}

/* Nothing probes: no token is right, 0 least of all. */
KINDS(forgery, no_token_no_probe, untagged)
{
	const struct frame f = forged(0, 7);
	struct frame got;

	sfh_warm_leg_free(&T.leg);
	sfh_warm_close(&T.w);
	cr_assert_eq(sfh_steer_arm(L.s, &L.key, NULL), 0);
	frame_send(L.wire, &f);
	got = guest_probe(L.guest, SOON);
	cr_assert_frame(got, f);
	cr_assert_eq(seen().flags, 0);
}

/* The PF's program is not there and the bridge floods: a guest next door gets none. */
Test(warm, neighbour_gets_no_probe, .timeout = 30)
{
	struct leg_kind k = { SFH_STANDBY_TAP, false, 0 };
	struct sfh_guest_key other;
	int guest2;

	begin(&k);
	guest2 = tap_make("standby1");
	sh("ip link set standby1 master br0");
	other = mk_key(L.pf, MAC_OTHER, 0);
	cr_assert_eq(sfh_steer_standby_attach(L.s, ifindex_of("standby1"), k.kind, NULL), 0);
	cr_assert_eq(sfh_steer_stage(L.s, &other, ifindex_of("standby1"), k.kind, false, NULL), 0);
	sh("tc filter del dev pf0 ingress");
	send_probe();
	cr_assert_gt(guest_probe(L.guest, SOON).len, 0, "the bridge did not flood: test is blind");
	cr_assert_eq(guest_probe(guest2, NEVER).len, 0, "a probe reached a guest next door");
	end();
}
