/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One frame through one program, with BPF_PROG_TEST_RUN. */
#ifndef SFH_TESTS_BPF_RUN_H
#define SFH_TESTS_BPF_RUN_H

#include "ctl/core/steer_priv.h"
#include "tests/netns/sandbox.h"

enum hook { HOOK_TC, HOOK_XDP };
enum verdict { PASS, DROP, REDIRECT };

/* What every test has: two PFs, two taps (devices that exist, nothing more). */
struct bench {
	struct sfh_steer *s;
	uint32_t pf, other_pf, tap, tap2;
	struct sfh_guest_key key; /* MAC_GUEST, untagged, on pf */
};
extern struct bench T;
void bench_init(void);
void bench_fini(void);

/* The PF's program of this hook sees the frame on a device. Fails the test unless the
 * frame comes out as `want`. */
enum verdict run_pf_to(enum hook hook, uint32_t ifindex, const struct frame *f,
		       const struct frame *want);
/* Fails the test if the frame was changed. */
enum verdict run_pf(enum hook hook, uint32_t ifindex, const struct frame *f);
#define expect(hook, wanted, ...)                                                                  \
	do {                                                                                       \
		struct frame _f = __VA_ARGS__;                                                     \
		enum verdict _v = run_pf(hook, T.pf, &_f);                                         \
		cr_assert_eq(_v, wanted, "verdict %d, expected %d", (int)_v, (int)(wanted));       \
	} while (0)
/* The standby programs; they never change or stop a frame. */
void run_from_guest(uint32_t ifindex, const struct frame *f);
/* The same many times in a process of its own, which exits 0 then. */
pid_t flood_from_guest(uint32_t ifindex, const struct frame *f, int times);
void run_to_guest(uint32_t ifindex, const struct frame *f);
/* Raw: returns the program's value; the frame must come out as `want`. */
int run_skb_to(int prog, uint32_t ifindex, uint32_t gso_segs, const struct frame *f,
	       const struct frame *want);
int run_skb(int prog, uint32_t ifindex, uint32_t gso_segs, const struct frame *f);

void stage(const struct sfh_guest_key *key, uint32_t standby, enum sfh_standby_kind kind,
	   bool arm_on_first_frame);
void stage_armed(const struct sfh_guest_key *key, uint32_t standby, enum sfh_standby_kind kind);
uint64_t drops(enum sfh_drop reason);
/* All counters of the pair but those given are 0. */
void expect_counters(const struct sfh_guest_key *key, struct sfh_counters want);

#endif
