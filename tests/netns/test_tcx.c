// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the kernel has tcx our programs are there: put in place, found again, beside others'
 * and gone without a trace. What they do with frames: test_modes.c. */
#include "ctl/core/steer_priv.h"
#include "tests/netns/sandbox.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <unistd.h>

#define SOON  1000
#define NEVER 100
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS  ((enum bpf_attach_type)47)
#define FULL	    63 /* programs at one hook (kernel/bpf/mprog.c) */

static struct {
	struct sfh_steer *s;
	uint32_t pf;
	int wire, guest;
	struct sfh_guest_key key;
} T;

static void init(void)
{
	sandbox_enter();
	if (!sfh_steer_tcx_is_there())
		cr_skip_test("this kernel has no tcx");
	T.pf = pf_make();
	T.wire = packet_open(ifindex_of("wire0"));
	T.s = steer_open_tcx();
	T.key = mk_key(T.pf, MAC_GUEST, 0);
}

static void fini(void)
{
	sfh_steer_close(&T.s);
}

TestSuite(tcx, .init = init, .fini = fini, .timeout = 30);

static uint32_t count_at(const char *dev, enum bpf_attach_type type)
{
	uint32_t n = 0;

	cr_assert_eq(bpf_prog_query((int)ifindex_of(dev), type, 0, NULL, NULL, &n), 0);
	return n;
}

static void attach_macvtap(const char *name)
{
	struct sfh_error err = {};
	uint32_t ifindex = ifindex_of(name);

	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex, SFH_STANDBY_MACVTAP, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_steer_stage(T.s, &T.key, ifindex, SFH_STANDBY_MACVTAP, false, &err), 0, "%s",
		     err.text);
	cr_assert_eq(sfh_steer_arm(T.s, &T.key, &err), 0, "%s", err.text);
}

static uint64_t to_guest(void)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

	frame_send(T.wire, &f);
	cr_assert_eq(frame_read(T.guest, SOON).len, f.len);
	cr_assert_eq(frame_read(T.guest, NEVER).len, 0);
	return view_of(T.s, &T.key).counters.to_standby_frames;
}

static bool has_clsact(const char *dev)
{
	return sh_status("tc qdisc show dev %s | grep clsact", dev) == 0;
}

/* Passes everything on; returns its fd. */
static int somebody_elses(const char *dev, enum bpf_attach_type type)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "theirs", "GPL", pass, SFH_ARRAY_SIZE(pass), NULL);

	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_prog_attach(fd, (int)ifindex_of(dev), type, 0), 0);
	return fd;
}

Test(tcx, put_in_place_once_and_taken_away)
{
	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	for (int i = 0; i < 2; i++) {
		pf_attach(T.s, T.pf, false, NULL);
		attach_macvtap("mv0");
	}
	cr_assert_eq(count_at("pf0", TCX_INGRESS), 1);
	cr_assert_eq(count_at("mv0", TCX_INGRESS), 1);
	cr_assert_eq(count_at("mv0", TCX_EGRESS), 1);
	cr_assert_not(has_clsact("pf0") || has_clsact("mv0"));
	cr_assert_eq(to_guest(), 1);
	cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("mv0"), NULL), 0);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(count_at("pf0", TCX_INGRESS) + count_at("mv0", TCX_INGRESS) + count_at("mv0", TCX_EGRESS), 0);
}

Test(tcx, the_next_agent_finds_and_replaces_it)
{
	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(to_guest(), 1);
	sfh_steer_close(&T.s);
	{
		struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);

		frame_send(T.wire, &f);
		cr_assert_eq(frame_read(T.guest, SOON).len, f.len, "without an agent");
	}
	T.s = steer_open_tcx();
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(count_at("pf0", TCX_INGRESS), 1);
	cr_assert_eq(to_guest(), 3);
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
	cr_assert_eq(count_at("pf0", TCX_INGRESS) + count_at("mv0", TCX_INGRESS) + count_at("mv0", TCX_EGRESS), 0);
}

Test(tcx, what_others_have_there_stays_and_sees_our_frames)
{
	int before, behind;

	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	before = somebody_elses("pf0", TCX_INGRESS);
	pf_attach(T.s, T.pf, false, NULL);
	behind = somebody_elses("pf0", TCX_INGRESS);
	attach_macvtap("mv0");
	cr_assert_eq(to_guest(), 1);
	pf_attach(T.s, T.pf, false, NULL);
	cr_assert_eq(count_at("pf0", TCX_INGRESS), 3);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(count_at("pf0", TCX_INGRESS), 2);
	cr_assert_eq(bpf_prog_detach2(before, (int)T.pf, TCX_INGRESS), 0);
	cr_assert_eq(bpf_prog_detach2(behind, (int)T.pf, TCX_INGRESS), 0);
}

Test(tcx, no_room_is_an_error_and_leaves_nothing)
{
	struct sfh_error err = {};
	int r;

	for (int i = 0; i < FULL; i++)
		(void)somebody_elses("pf0", TCX_INGRESS);
	r = sfh_steer_pf_attach(T.s, T.pf, false, NULL, &err);
	cr_assert_lt(r, 0);
	cr_assert(strstr(err.text, "tcx ingress of pf0"), "%s", err.text);
	cr_assert_eq(count_at("pf0", TCX_INGRESS), FULL);
	cr_assert_not(has_clsact("pf0"));
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
}

/* Filters of others come after it. */
Test(tcx, a_filter_still_sees_what_we_pass)
{
	pf_attach(T.s, T.pf, false, NULL);
	sh("tc qdisc add dev pf0 clsact && "
	   "tc filter add dev pf0 ingress prio 5 protocol all bpf da bytecode '1,6 0 0 2,'");
	frame_send(T.wire, &(struct frame){ .len = 60, .b = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } });
	usleep(50000);
	sh("tc -s qdisc show dev pf0 | grep -A1 clsact | grep -q 'dropped 1'");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert(has_clsact("pf0"), "it is theirs");
}

/* libvirt's <bandwidth> on a macvtap: with filters the guest's frames could not be seen. */
Test(tcx, an_ingress_qdisc_does_not_matter)
{
	struct frame out = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);

	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	sh("tc qdisc add dev mv0 ingress && tc qdisc add dev pf0 ingress");
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(to_guest(), 1);
	frame_send(T.guest, &out);
	cr_assert_eq(frame_read(T.wire, SOON).len, out.len);
	cr_assert_eq(view_of(T.s, &T.key).counters.from_standby_frames, 1);
	cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("mv0"), NULL), 0);
	sh("tc qdisc show dev mv0 | grep -q ingress");
}

/* An agent before this one knew filters only: a program in both places would count twice. */
Test(tcx, filters_that_are_there_are_kept)
{
	sfh_steer_close(&T.s);
	T.s = steer_open();
	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(to_guest(), 1);
	sfh_steer_close(&T.s);
	T.s = steer_open_tcx();
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(count_at("pf0", TCX_INGRESS) + count_at("mv0", TCX_INGRESS) + count_at("mv0", TCX_EGRESS), 0);
	cr_assert_eq(to_guest(), 2);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_not(has_clsact("pf0"));
	pf_attach(T.s, T.pf, false, NULL);
	cr_assert_eq(count_at("pf0", TCX_INGRESS), 1, "once it was down");
}

Test(tcx, what_somebody_took_away_is_missed)
{
	struct sfh_steer_port_state state;
	uint32_t id, n = 1;
	int fd;

	T.guest = macvtap_make("mv0", "pf0", MAC_GUEST);
	pf_attach(T.s, T.pf, false, NULL);
	attach_macvtap("mv0");
	cr_assert_eq(sfh_steer_port_check(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, &state), 0);
	cr_assert(state.from && state.to);
	cr_assert_eq(bpf_prog_query((int)ifindex_of("mv0"), TCX_EGRESS, 0, NULL, &id, &n), 0);
	fd = bpf_prog_get_fd_by_id(id);
	cr_assert_eq(bpf_prog_detach2(fd, (int)ifindex_of("mv0"), TCX_EGRESS), 0);
	cr_assert_eq(sfh_steer_port_check(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, &state), 0);
	cr_assert(!state.from && state.to);
	attach_macvtap("mv0");
	cr_assert_eq(sfh_steer_port_check(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, &state), 0);
	cr_assert(state.from && state.to);
}
