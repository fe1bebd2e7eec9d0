// SPDX-License-Identifier: GPL-2.0-or-later
/* Two guests of one PF in each standby mode: who reaches whom, and by which way. A veth
 * is the PF; its far end is the wire and, for what VFs send, the NIC's switch. */
#include "ctl/core/steer.h"
#include "tests/netns/sandbox.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#define SOON  1000
#define NEVER 100

struct mode {
	char name[24];
	char macvlan[12]; /* macvlan's mode; "": a bridge with taps */
	enum sfh_standby_kind kind;
	bool local;   /* guests on their standby legs reach each other on the host */
	bool hairpin; /* … by way of a switch that sends back */
	enum { BY_FILTERS, BY_XDP, BY_TCX } by;
};

#define MODE(name, macvlan, kind, local, hairpin)                                                  \
	{ name, macvlan, kind, local, hairpin, BY_FILTERS },                                       \
		{ name, macvlan, kind, local, hairpin, BY_XDP },                                   \
		{ name, macvlan, kind, local, hairpin, BY_TCX }

static const char *by(const struct mode *mode)
{
	return mode->by == BY_TCX ? ", tcx" : mode->by == BY_XDP ? ", xdp" : "";
}

static struct mode modes[] = {
	MODE("linux-bridge", "", SFH_STANDBY_TAP, true, false),
	MODE("macvtap-bridge", "bridge", SFH_STANDBY_MACVTAP, true, false),
	MODE("macvtap-private", "private", SFH_STANDBY_MACVTAP, false, false),
	MODE("macvtap-vepa", "vepa", SFH_STANDBY_MACVTAP_VEPA, false, true),
};

static struct {
	const struct mode *mode;
	struct sfh_steer *s;
	uint32_t pf;
	int wire;
	int guest[2];
	struct sfh_guest_key key[2];
} T;

static const char *const macs[2] = { MAC_GUEST, MAC_OTHER };

static void guest_make(int i)
{
	struct sfh_error err = {};
	char name[8];

	(void)snprintf(name, sizeof(name), "sb%d", i);
	if (T.mode->macvlan[0]) {
		T.guest[i] = macvtap_make(name, "pf0", macs[i]);
		sh("ip link set %s type macvtap mode %s", name, T.mode->macvlan);
	} else {
		T.guest[i] = tap_make(name);
		sh("ip link set %s master br0", name);
	}
	T.key[i] = mk_key(T.pf, macs[i], 0);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of(name), T.mode->kind, &err), 0, "%s",
		     err.text);
	cr_assert_eq(sfh_steer_stage(T.s, &T.key[i], ifindex_of(name), T.mode->kind, false, &err), 0,
		     "%s", err.text);
	cr_assert_eq(sfh_steer_arm(T.s, &T.key[i], &err), 0, "%s", err.text);
}

static void enter(const struct mode *mode)
{
	T.mode = mode;
	sandbox_enter();
	T.pf = pf_make();
	T.wire = packet_open(ifindex_of("wire0"));
	T.s = mode->by == BY_TCX ? steer_open_tcx() : steer_open();
	if (!mode->macvlan[0])
		sh("ip link add br0 type bridge mcast_snooping 0 && ip link set pf0 master br0 && "
		   "ip link set br0 up");
	pf_attach(T.s, T.pf, mode->by == BY_XDP, NULL);
	guest_make(0);
	guest_make(1);
	/* The bridge learns where they are. */
	for (int i = 0; !mode->macvlan[0] && i < 2; i++) {
		struct frame f = mk_frame(MAC_BCAST, macs[i], 0, 0);

		frame_send(T.guest[i], &f);
		cr_assert_neq(frame_read(T.wire, SOON).len, 0);
		cr_assert_neq(frame_read(T.guest[!i], SOON).len, 0);
	}
}

static void leave(void)
{
	sfh_steer_close(&T.s);
}

/* `copies` of it come to `to` and no more. */
static void gets(int to, const struct frame *f, int copies, const char *who)
{
	for (int i = 0; i < copies; i++) {
		struct frame got = frame_read(to, SOON);

		cr_assert_eq(got.len, f->len, "%s%s: %s did not get it", T.mode->name,
			     by(T.mode), who);
		cr_assert_frame(got, *f);
	}
	cr_assert_eq(frame_read(to, NEVER).len, 0, "%s%s: %s got it once too often", T.mode->name,
		     by(T.mode), who);
}

#define ModeTest(name)                                                                             \
	static void run_##name(void);                                                              \
	ParameterizedTestParameters(modes, name)                                                   \
	{                                                                                          \
		return cr_make_param_array(struct mode, modes, SFH_ARRAY_SIZE(modes));             \
	}                                                                                          \
	ParameterizedTest(struct mode *mode, modes, name, .timeout = 60)                           \
	{                                                                                          \
		enter(mode);                                                                       \
		run_##name();                                                                      \
		leave();                                                                           \
	}                                                                                          \
	static void run_##name(void)

ModeTest(from_the_wire_to_the_standby_leg_and_back)
{
	for (int i = 0; i < 2; i++) {
		struct frame in = mk_frame(macs[i], MAC_PEER, 0, 0), out = mk_frame(MAC_PEER, macs[i], 0, 0);

		frame_send(T.wire, &in);
		gets(T.guest[i], &in, 1, "the guest");
		gets(T.guest[!i], &in, 0, "the other guest");
		frame_send(T.guest[i], &out);
		gets(T.wire, &out, 1, "the wire");
		/* What is redirected passes the bridge by: it has not learned where the peer
		 * is, and floods. */
		if (!T.mode->macvlan[0])
			gets(T.guest[!i], &out, 1, "the other guest");
	}
}

ModeTest(standby_to_standby)
{
	struct frame f = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0);

	frame_send(T.guest[0], &f);
	gets(T.guest[1], &f, T.mode->local, "the other guest");
	gets(T.wire, &f, !T.mode->local, "the wire");
	if (T.mode->local)
		return;
	/* The switch sends it back: VEPA's way; to a private guest it stays closed. */
	frame_send(T.wire, &f);
	gets(T.guest[1], &f, T.mode->hairpin, "the other guest, by way of the switch");
}

/* The other guest is on its VF: the host must not swallow what is sent to it. */
ModeTest(standby_to_vf_and_back)
{
	struct frame to = mk_frame(MAC_OTHER, MAC_GUEST, 0, 0), from = mk_frame(MAC_GUEST, MAC_OTHER, 0, 0);

	cr_assert_eq(sfh_steer_disarm(T.s, &T.key[1], NULL), 0);
	frame_send(T.guest[0], &to);
	gets(T.wire, &to, 1, "the NIC's switch");
	frame_send(T.wire, &from);
	gets(T.guest[0], &from, 1, "the guest on its standby leg");
}

/* macvlan would take what a guest on its VF sends to everybody for its macvtap's own. */
ModeTest(broadcast_from_vf_to_standby)
{
	struct frame f = mk_frame(MAC_BCAST, MAC_OTHER, 0, 0);

	cr_assert_eq(sfh_steer_on_vf(T.s, &T.key[1], NULL), 0);
	frame_send(T.wire, &f);
	gets(T.guest[0], &f, 1, "the guest on its standby leg");
	gets(T.guest[1], &f, 0, "who sent it");
}

ModeTest(one_copy_of_a_broadcast)
{
	struct frame f = mk_frame(MAC_BCAST, MAC_PEER, 0, 0), g;

	frame_send(T.wire, &f);
	gets(T.guest[0], &f, 1, "a guest");
	gets(T.guest[1], &f, 1, "the other guest");
	g = mk_frame(MAC_BCAST, MAC_GUEST, 0, 0);
	frame_send(T.guest[0], &g);
	gets(T.wire, &g, 1, "the wire");
	gets(T.guest[1], &g, T.mode->local, "the other guest");
	frame_send(T.wire, &g); /* the NIC sends it back to the PF */
	gets(T.guest[0], &g, 0, "who sent it");
	gets(T.guest[1], &g, T.mode->hairpin, "the other guest, by way of the switch");
}
