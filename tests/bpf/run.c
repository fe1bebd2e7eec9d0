// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

struct bench T;

void bench_init(void)
{
	sandbox_enter();
	sh("ip link add pf0 type veth peer name wire0 && ip link add pf1 type veth peer name wire1 "
	   "&& ip tuntap add tap0 mode tap && ip tuntap add tap1 mode tap");
	T.pf = ifindex_of("pf0");
	T.other_pf = ifindex_of("pf1");
	T.tap = ifindex_of("tap0");
	T.tap2 = ifindex_of("tap1");
	T.s = steer_open();
	T.key = mk_key(T.pf, MAC_GUEST, 0);
}

void bench_fini(void)
{
	sfh_steer_close(&T.s);
}

static void came_out_as(const struct frame *want, const uint8_t *out, uint32_t len)
{
	struct frame got = { .len = len };

	memcpy(got.b, out, len);
	cr_assert_frame(got, *want);
}

int run_skb_to(int prog, uint32_t ifindex, uint32_t gso_segs, const struct frame *f,
	       const struct frame *want)
{
	struct __sk_buff ctx = { .ifindex = ifindex, .gso_segs = gso_segs };
	uint8_t out[sizeof(f->b) + 64];
	int r;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	r = bpf_prog_test_run_opts(prog, &o);
	cr_assert_eq(r, 0, "test_run of %zu bytes: %s", f->len, strerror(-r));
	came_out_as(want, out, o.data_size_out);
	return (int)o.retval;
}

int run_skb(int prog, uint32_t ifindex, uint32_t gso_segs, const struct frame *f)
{
	return run_skb_to(prog, ifindex, gso_segs, f, f);
}

static enum verdict run_xdp(uint32_t ifindex, const struct frame *f, const struct frame *want)
{
	struct xdp_md ctx = { .data_end = (uint32_t)f->len, .ingress_ifindex = ifindex };
	uint8_t out[sizeof(f->b) + 64];
	int r;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	r = bpf_prog_test_run_opts(T.s->prog_pf_xdp, &o);
	cr_assert_eq(r, 0, "test_run of %zu bytes: %s", f->len, strerror(-r));
	came_out_as(want, out, o.data_size_out);
	switch (o.retval) {
	case XDP_PASS:
		return PASS;
	case XDP_DROP:
		return DROP;
	case XDP_REDIRECT:
		return REDIRECT;
	default:
		cr_assert_fail("XDP program returned %u", o.retval);
		abort();
	}
}

enum verdict run_pf(enum hook hook, uint32_t ifindex, const struct frame *f)
{
	return run_pf_to(hook, ifindex, f, f);
}

enum verdict run_pf_to(enum hook hook, uint32_t ifindex, const struct frame *f,
		       const struct frame *want)
{
	int r;

	if (hook == HOOK_XDP)
		return run_xdp(ifindex, f, want);
	r = run_skb_to(T.s->prog_pf_tc, ifindex, 0, f, want);
	switch (r) {
	case TC_ACT_UNSPEC:
		return PASS;
	case TC_ACT_SHOT:
		return DROP;
	case TC_ACT_REDIRECT:
		return REDIRECT;
	default:
		cr_assert_fail("tc program returned %d", r);
		abort();
	}
}

void run_from_guest(uint32_t ifindex, const struct frame *f)
{
	cr_assert_eq(run_skb(T.s->prog_from_guest, ifindex, 0, f), TC_ACT_UNSPEC);
}

pid_t flood_from_guest(uint32_t ifindex, const struct frame *f, int times)
{
	struct __sk_buff ctx = { .ifindex = ifindex };
	pid_t pid = fork();
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	cr_assert_geq(pid, 0, "fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	/* No assertion in here: Criterion's end of a test is not for a child of it. */
	for (int i = 0; i < times; i++)
		if (bpf_prog_test_run_opts(T.s->prog_from_guest, &o) < 0)
			_exit(1);
	_exit(0);
}

void run_to_guest(uint32_t ifindex, const struct frame *f)
{
	cr_assert_eq(run_skb(T.s->prog_to_guest, ifindex, 0, f), TC_ACT_UNSPEC);
}

void stage(const struct sfh_guest_key *key, uint32_t standby, enum sfh_standby_kind kind,
	   bool arm_on_first_frame)
{
	struct sfh_error err = {};
	int r = sfh_steer_stage(T.s, key, standby, kind, arm_on_first_frame, &err);

	cr_assert_eq(r, 0, "%s", err.text);
}

void stage_armed(const struct sfh_guest_key *key, uint32_t standby, enum sfh_standby_kind kind)
{
	stage(key, standby, kind, false);
	cr_assert_eq(sfh_steer_arm(T.s, key, NULL), 0);
}

uint64_t drops(enum sfh_drop reason)
{
	uint64_t n;

	cr_assert_eq(sfh_steer_drops(T.s, reason, &n), 0);
	return n;
}

void expect_counters(const struct sfh_guest_key *key, struct sfh_counters want)
{
	struct sfh_counters got = view_of(T.s, key).counters;

#define CHECK(field)                                                                               \
	cr_assert_eq(got.field, want.field, #field " is %llu, expected %llu",                      \
		     (unsigned long long)got.field, (unsigned long long)want.field)
	CHECK(from_wire_frames);
	CHECK(from_wire_bytes);
	CHECK(to_standby_frames);
	CHECK(to_standby_bytes);
	CHECK(from_standby_frames);
	CHECK(from_standby_bytes);
	CHECK(foreign_source_frames);
	CHECK(reflected_drops);
	CHECK(parked_drops);
	CHECK(spoofed_drops);
	CHECK(vlan_drops);
#undef CHECK
}
