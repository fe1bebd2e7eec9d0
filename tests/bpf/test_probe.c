// SPDX-License-Identifier: GPL-2.0-or-later
/* Probes of the standby leg, program by program: verdict, bytes, and the note. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#define TOKEN 0x1122334455667788ull

static void init(void)
{
	const struct sfh_probe_want want = { .token = TOKEN };
	uint32_t zero = 0;

	bench_init();
	cr_assert_eq(bpf_map_update_elem(T.s->map[SFH_MAP_PROBE_WANT], &zero, &want, BPF_ANY), 0);
}

TestSuite(probe, .init = init, .fini = bench_fini, .timeout = 60);

static struct frame probe(const char *dst, uint64_t token, uint32_t seq, uint32_t tag)
{
	struct sfh_probe_body body = { .token = token, .seq = seq };
	struct frame f = mk_frame(dst, MAC_PEER, tag, 0);
	size_t type = tag ? 16 : 12;

	f.b[type] = SFH_PROBE_PROTO >> 8;
	f.b[type + 1] = SFH_PROBE_PROTO & 0xff;
	memcpy(f.b + type + 2, &body, sizeof(body));
	return f;
}

static struct sfh_probe_seen seen(const struct sfh_guest_key *key)
{
	struct sfh_probe_seen v;

	cr_assert_eq(bpf_map_lookup_elem(T.s->map[SFH_MAP_PROBE], key, &v), 0);
	return v;
}

/* Raw: the tc verdict of a program on a device; the frame becomes what came out. */
static int run_raw(int prog, uint32_t ifindex, struct frame *f)
{
	struct __sk_buff ctx = { .ifindex = ifindex };
	uint8_t out[9100];
	int r;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	r = bpf_prog_test_run_opts(prog, &o);
	cr_assert_eq(r, 0, "%s", strerror(-r));
	f->len = o.data_size_out;
	memcpy(f->b, out, f->len);
	return (int)o.retval;
}

static void pf_steers_it_unarmed(enum hook hook, uint32_t flags)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	expect(hook, REDIRECT, probe(MAC_GUEST, TOKEN, 7, 0));
	cr_assert_eq(seen(&T.key).seq, 7);
	cr_assert_eq(seen(&T.key).flags, flags);
	/* An ordinary frame is not. */
	expect(hook, PASS, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	expect_counters(&T.key, (struct sfh_counters){});
}

Test(probe, tc_steers_it_unarmed)
{
	pf_steers_it_unarmed(HOOK_TC, SFH_PROBE_TC | SFH_PROBE_ENTRY);
}

Test(probe, xdp_steers_it_unarmed)
{
	pf_steers_it_unarmed(HOOK_XDP, SFH_PROBE_XDP);
}

Test(probe, a_new_one_starts_from_nothing)
{
	stage(&T.key, T.tap, SFH_STANDBY_MACVTAP, false);
	expect(HOOK_XDP, PASS, probe(MAC_GUEST, TOKEN, 7, 0));
	expect(HOOK_TC, PASS, probe(MAC_GUEST, TOKEN, 7, 0));
	cr_assert_eq(seen(&T.key).flags, SFH_PROBE_XDP | SFH_PROBE_TC | SFH_PROBE_ENTRY);
	expect(HOOK_XDP, PASS, probe(MAC_GUEST, TOKEN, 8, 0));
	cr_assert_eq(seen(&T.key).flags, SFH_PROBE_XDP);
}

Test(probe, without_an_entry_it_ends_at_the_pf)
{
	expect(HOOK_TC, DROP, probe(MAC_OTHER, TOKEN, 7, 0));
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	expect(HOOK_TC, DROP, probe(MAC_GUEST, TOKEN, 7, TAG(5)));
	cr_assert_eq(seen(&T.key).flags, 0, "another VLAN is another pair");
}

Test(probe, wrong_token_is_an_ordinary_frame)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(HOOK_TC, REDIRECT, probe(MAC_GUEST, TOKEN + 1, 7, 0));
	expect(HOOK_TC, REDIRECT, probe(MAC_GUEST, 0, 7, 0));
	expect(HOOK_TC, PASS, probe(MAC_OTHER, TOKEN + 1, 7, 0));
	cr_assert_eq(seen(&T.key).flags, 0);
	cr_assert_eq(view_of(T.s, &T.key).counters.from_wire_frames, 2);
}

Test(probe, cut_short_it_is_an_ordinary_frame)
{
	struct frame f = probe(MAC_GUEST, TOKEN, 7, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	f.len = 14 + sizeof(struct sfh_probe_body) - 1;
	cr_assert_eq(run_pf(HOOK_TC, T.pf, &f), PASS);
	cr_assert_eq(run_pf(HOOK_XDP, T.pf, &f), PASS);
	cr_assert_eq(seen(&T.key).flags, 0);
}

Test(probe, standby_makes_it_harmless)
{
	const uint8_t dst[6] = SFH_PROBE_DST;
	struct frame f = probe(MAC_GUEST, TOKEN, 7, 0);
	struct frame want = probe(MAC_GUEST, 0, 0, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	memcpy(want.b, dst, 6);
	memcpy(want.b + 14 + sizeof(struct sfh_probe_body), f.b + 14 + sizeof(struct sfh_probe_body),
	       f.len - 14 - sizeof(struct sfh_probe_body));
	cr_assert_eq(run_raw(T.s->prog_to_guest, T.tap, &f), TC_ACT_UNSPEC);
	cr_assert_frame(f, want);
	cr_assert_eq(seen(&T.key).flags, SFH_PROBE_STANDBY);
	cr_assert_gt(seen(&T.key).standby_ns, 0);
	expect_counters(&T.key, (struct sfh_counters){});
}

Test(probe, somebody_elses_ends_at_the_standby_device)
{
	struct frame f = probe(MAC_OTHER, TOKEN, 7, 0);

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(run_raw(T.s->prog_to_guest, T.tap, &f), TC_ACT_SHOT);
	cr_assert_eq(seen(&T.key).flags, 0);
}

Test(probe, forgotten_with_the_pair)
{
	struct sfh_warm_view w = { .state = SFH_WARM_WARM };
	struct sfh_probe_seen v;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_warm_set(T.s, &T.key, &w), 0);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	cr_assert_neq(bpf_map_lookup_elem(T.s->map[SFH_MAP_PROBE], &T.key, &v), 0);
	cr_assert_eq(sfh_steer_warm_get(T.s, &T.key, &w), -ENOENT);
	cr_assert_eq(sfh_steer_warm_set(T.s, &T.key, &w), -ENOENT, "a verdict of nobody");
}
