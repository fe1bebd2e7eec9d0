// SPDX-License-Identifier: GPL-2.0-or-later
/* Pins, restarts, and what the API refuses. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(api, .init = bench_init, .fini = bench_fini, .timeout = 60);

#define PINS "/sys/fs/bpf/sfhybrid"

static int try_open(const struct sfh_steer_config *cfg, struct sfh_error *err)
{
	struct sfh_steer *s = NULL;
	int r = sfh_steer_open(cfg, &s, err);

	cr_assert_eq(r == 0, s != NULL);
	sfh_steer_close(&s);
	return r;
}

static void reopen(void)
{
	sfh_steer_close(&T.s);
	cr_assert_null(T.s);
	T.s = steer_open();
}

Test(api, restart_keeps_pairs_and_counters)
{
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	expect(HOOK_TC, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	reopen();
	cr_assert(view_of(T.s, &T.key).armed);
	expect(HOOK_TC, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	cr_assert_eq(view_of(T.s, &T.key).counters.from_wire_frames, 2);
}

Test(api, restart_keeps_the_size_of_the_maps)
{
	struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf", .max_pairs = 5 };
	struct sfh_steer *s = NULL;

	cr_assert_eq(sfh_steer_open(&cfg, &s, NULL), 0);
	sfh_steer_close(&s);
	cfg.max_pairs = 7;
	cr_assert_eq(sfh_steer_open(&cfg, &s, NULL), 0);
	cr_assert_eq(sfh_steer_max_pairs(s), 5);
	sfh_steer_close(&s);
}

Test(api, events_wait_for_the_next_agent)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	expect(HOOK_TC, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	reopen();
	cr_assert_eq(take_events(T.s, NULL), 1);
}

Test(api, event_fd_polls)
{
	struct pollfd p = { sfh_steer_event_fd(T.s), POLLIN, 0 };

	cr_assert_eq(poll(&p, 1, 0), 0);
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	expect(HOOK_TC, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(poll(&p, 1, 1000), 1);
	cr_assert_eq(take_events(T.s, NULL), 1);
	cr_assert_eq(poll(&p, 1, 0), 0);
}

static int refuse(const struct sfh_event *ev, void *ctx)
{
	(void)ev;
	(void)ctx;
	return -ECANCELED;
}

Test(api, dispatch_returns_what_the_callback_said)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), 0);
	expect(HOOK_TC, DROP, mk_frame(MAC_PEER, MAC_GUEST, TAG(4094), 0));
	cr_assert_eq(sfh_steer_dispatch(T.s, refuse, NULL), -ECANCELED);
	cr_assert_eq(take_events(T.s, NULL), 0);
}

Test(api, not_a_bpffs)
{
	struct sfh_steer_config cfg = { .bpffs = "/mnt" };
	struct sfh_error err = {};

	cr_assert_eq(try_open(&cfg, &err), -ENOTDIR);
	cr_assert_str_eq(err.text, "no bpffs at /mnt: run 'mount -t bpf bpf /mnt'");
	cr_assert_not(file_exists("/mnt/sfhybrid"));
}

Test(api, one_writer)
{
	struct sfh_steer_config cfg = {};
	struct sfh_error err = {};

	cr_assert_eq(try_open(&cfg, &err), -EBUSY);
	cr_assert(strstr(err.text, PINS), "%s", err.text);
	cr_assert(file_exists(PINS "/sfh_guests"));
}

Test(api, failure_leaves_nothing)
{
	/* More than the kernel gives to one map. */
	struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf", .max_pairs = UINT32_MAX };
	struct sfh_error err = {};

	cr_assert_lt(try_open(&cfg, &err), 0);
	cr_assert(strstr(err.text, "sfh_"), "%s", err.text);
	cr_assert_not(file_exists("/mnt/bpf/sfhybrid"));
}

/* The kernel refuses a pin: every one made before it goes again. */
Test(api, failed_pin_leaves_nothing)
{
	struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf" };

	cr_assert_eq(mkdir("/mnt/bpf/sfhybrid", 0700), 0);
	cr_assert_eq(mkdir("/mnt/bpf/sfhybrid/sfh_events", 0700), 0);
	cr_assert_lt(try_open(&cfg, NULL), 0);
	cr_assert_not(file_exists("/mnt/bpf/sfhybrid/sfh_guests"));
}

static void write_meta(uint32_t magic, uint32_t version)
{
	struct sfh_meta meta = { magic, version, 1, 1 };
	int fd = bpf_obj_get(PINS "/sfh_meta");
	uint32_t zero = 0;

	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_map_update_elem(fd, &zero, &meta, BPF_ANY), 0);
	(void)close(fd);
}

Test(api, other_schema_version_is_refused)
{
	struct sfh_steer_config cfg = {}, reader = { .read_only = true };
	struct sfh_error err = {};

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	sfh_steer_close(&T.s);
	write_meta(SFH_ABI_MAGIC, 99);
	cr_assert_eq(try_open(&cfg, &err), -EPROTO);
	cr_assert(strstr(err.text, "99"), "%s", err.text);
	cr_assert_eq(try_open(&reader, NULL), -EPROTO);
	cr_assert(file_exists(PINS "/sfh_guests"), "a running datapath stays");
	write_meta(SFH_ABI_MAGIC, SFH_ABI_VERSION);
	T.s = steer_open();
	cr_assert(view_of(T.s, &T.key).armed);
}

Test(api, unfinished_start_is_begun_anew)
{
	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	sfh_steer_close(&T.s);
	write_meta(0, 0);
	T.s = steer_open();
	cr_assert_eq(sfh_steer_get(T.s, &T.key, &(struct sfh_pair_view){}), -ENOENT);
	sfh_steer_close(&T.s);
	cr_assert_eq(unlink(PINS "/sfh_meta"), 0);
	T.s = steer_open();
}

Test(api, missing_pin_is_refused)
{
	struct sfh_steer_config cfg = {};

	sfh_steer_close(&T.s);
	cr_assert_eq(unlink(PINS "/sfh_state"), 0);
	cr_assert_eq(try_open(&cfg, NULL), -EPROTO);
}

Test(api, remove_pins_leaves_nothing)
{
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
	cr_assert_not(file_exists(PINS));
	reopen();
}

Test(api, reader_looks_and_changes_nothing)
{
	struct sfh_steer_config cfg = { .read_only = true, .bpffs = "/mnt/bpf" };
	struct sfh_steer *s = NULL;
	struct sfh_pair_view v;

	cr_assert_eq(try_open(&cfg, NULL), -ENOENT);
	cfg.bpffs = NULL;
	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	cr_assert_eq(sfh_steer_open(&cfg, &s, NULL), 0);
	cr_assert_eq(sfh_steer_get(s, &T.key, &v), 0);
	cr_assert(v.armed);
	cr_assert_eq(sfh_steer_park_vlan(s), 4094);
	cr_assert_eq(sfh_steer_disarm(s, &T.key, NULL), -EROFS);
	cr_assert_eq(sfh_steer_stage(s, &T.key, 0, SFH_STANDBY_NONE, false, NULL), -EROFS);
	cr_assert_eq(sfh_steer_unstage(s, &T.key, NULL), -EROFS);
	cr_assert_eq(sfh_steer_pf_attach(s, T.pf, false, NULL, NULL), -EROFS);
	cr_assert_eq(sfh_steer_pf_detach(s, T.pf, NULL), -EROFS);
	cr_assert_eq(sfh_steer_remove_pins(s, NULL), -EROFS);
	cr_assert_eq(sfh_steer_event_fd(s), -EROFS);
	sfh_steer_close(&s);
	cr_assert(view_of(T.s, &T.key).armed);
}

Test(api, keys_that_are_none)
{
	struct sfh_guest_key bad[] = {
		mk_key(0, MAC_GUEST, 0),     mk_key(T.pf, "00:00:00:00:00:00", 0),
		mk_key(T.pf, MAC_BCAST, 0),  mk_key(T.pf, MAC_MCAST, 0),
		mk_key(T.pf, MAC_GUEST, 4094), mk_key(T.pf, MAC_GUEST, 4095),
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++)
		cr_assert_eq(sfh_steer_stage(T.s, &bad[i], 0, SFH_STANDBY_NONE, false, NULL),
			     -EINVAL, "row %zu", i);
	cr_assert_eq(sfh_steer_stage(T.s, &T.key, 0, 9, false, NULL), -EINVAL);
}

Test(api, not_staged)
{
	struct sfh_error err = {};

	cr_assert_eq(sfh_steer_arm(T.s, &T.key, &err), -ENOENT);
	cr_assert_str_eq(err.text, MAC_GUEST " on pf0 has no steering entry");
	cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), -ENOENT);
	cr_assert_eq(sfh_steer_want_proof(T.s, &T.key, true, NULL), -ENOENT);
	cr_assert_eq(sfh_steer_get(T.s, &T.key, &(struct sfh_pair_view){}), -ENOENT);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
}

Test(api, standby_of_another_pair)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);
	struct sfh_error err = {};

	stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
	cr_assert_eq(sfh_steer_stage(T.s, &other, T.tap, SFH_STANDBY_TAP, false, &err), -EEXIST);
	cr_assert_str_eq(err.text, "tap0 is the standby device of " MAC_GUEST " on pf0 already");
	cr_assert_eq(sfh_steer_get(T.s, &other, &(struct sfh_pair_view){}), -ENOENT);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	stage(&other, T.tap, SFH_STANDBY_TAP, false);
}

Test(api, standby_that_does_not_exist)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0);

	cr_assert_lt(sfh_steer_stage(T.s, &T.key, 9999, SFH_STANDBY_TAP, false, NULL), 0);
	cr_assert_eq(sfh_steer_get(T.s, &T.key, &(struct sfh_pair_view){}), -ENOENT);
	/* And it holds nothing back for the next. */
	stage(&other, T.tap, SFH_STANDBY_TAP, false);
	stage(&T.key, T.tap2, SFH_STANDBY_TAP, false);
	cr_assert_lt(sfh_steer_stage(T.s, &T.key, 9999, SFH_STANDBY_TAP, false, NULL), 0);
	cr_assert_eq(view_of(T.s, &T.key).standby_ifindex, T.tap2);
}

static int count(const struct sfh_pair_view *v, void *ctx)
{
	(void)v;
	return (*(int *)ctx)++ == 99 ? -ECANCELED : 0;
}

static int forget(const struct sfh_pair_view *v, void *ctx)
{
	return sfh_steer_unstage(ctx, &v->key, NULL);
}

Test(api, as_many_pairs_as_asked_for)
{
	struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf", .max_pairs = 200 };
	struct sfh_steer *s = NULL;
	struct sfh_error err = {};
	char mac[SFH_MAC_STRLEN];
	int n = 0;

	cr_assert_eq(sfh_steer_open(&cfg, &s, NULL), 0);
	for (int i = 0; i < 200; i++) {
		struct sfh_guest_key key;

		(void)snprintf(mac, sizeof(mac), "52:54:00:01:00:%02x", i);
		key = mk_key(T.pf, mac, 0);
		cr_assert_eq(sfh_steer_stage(s, &key, 0, SFH_STANDBY_NONE, false, &err), 0, "%s",
			     err.text);
	}
	cr_assert_eq(sfh_steer_stage(s, &T.key, 0, SFH_STANDBY_NONE, false, &err), -E2BIG);
	cr_assert(strstr(err.text, "all 200"), "%s", err.text);
	cr_assert_eq(sfh_steer_foreach(s, count, &n), -ECANCELED);
	cr_assert_eq(n, 100);
	cr_assert_eq(sfh_steer_foreach(s, forget, s), 0);
	n = 0;
	cr_assert_eq(sfh_steer_foreach(s, count, &n), 0);
	cr_assert_eq(n, 0);
	sfh_steer_close(&s);
}

/* Counters are found by slot: each pair has its own, also beside pairs of an earlier
 * agent, and begins at zero in one that had another owner. */
Test(api, every_pair_counts_for_itself)
{
	struct sfh_guest_key other = mk_key(T.pf, MAC_OTHER, 0), third = mk_key(T.pf, MAC_GUEST, 9);

	stage_armed(&T.key, T.tap, SFH_STANDBY_TAP);
	stage_armed(&other, T.tap2, SFH_STANDBY_TAP);
	expect(HOOK_TC, REDIRECT, mk_frame(MAC_GUEST, MAC_PEER, 0, 0));
	reopen();
	stage_armed(&third, ifindex_of("wire1"), SFH_STANDBY_TAP);
	expect(HOOK_TC, REDIRECT, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	expect(HOOK_TC, REDIRECT, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	cr_assert_eq(view_of(T.s, &T.key).counters.from_wire_frames, 1);
	cr_assert_eq(view_of(T.s, &other).counters.from_wire_frames, 2);
	cr_assert_eq(view_of(T.s, &third).counters.from_wire_frames, 0);
	for (uint32_t i = 0; i < sfh_steer_max_pairs(T.s); i++) {
		cr_assert_eq(sfh_steer_unstage(T.s, &other, NULL), 0);
		stage_armed(&other, T.tap2, SFH_STANDBY_TAP);
		cr_assert_eq(view_of(T.s, &other).counters.from_wire_frames, 0);
		expect(HOOK_TC, REDIRECT, mk_frame(MAC_OTHER, MAC_PEER, 0, 0));
	}
	cr_assert_eq(view_of(T.s, &T.key).counters.from_wire_frames, 1);
}

Test(api, drop_names_are_stable)
{
	cr_assert_str_eq(sfh_drop_name(SFH_DROP_REFLECTED), "reflected");
	cr_assert_str_eq(sfh_drop_name(SFH_DROP_PARKED), "parked");
	cr_assert_str_eq(sfh_drop_name(SFH_DROP_EVENT_LOST), "event-lost");
	cr_assert_str_eq(sfh_drop_name(31), "unknown");
	cr_assert_eq(SFH_DROP_REFLECTED, 1);
}

/* Guest frames on one CPU while the agent stages, arms and disarms on another:
 * what BPF wrote last is never put back to something older. */
Test(api, writers_on_both_sides)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	uint64_t last = 0;
	int st;
	pid_t pid;

	stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
	pid = flood_from_guest(T.tap, &f, 20000);
	while (waitpid(pid, &st, WNOHANG) == 0) {
		uint64_t now;

		stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
		stage(&T.key, T.tap, SFH_STANDBY_TAP, false);
		(void)sfh_steer_disarm(T.s, &T.key, NULL);
		(void)sfh_steer_arm(T.s, &T.key, NULL);
		now = view_of(T.s, &T.key).last_frame_ns;
		cr_assert_geq(now, last);
		last = now;
		(void)take_events(T.s, NULL);
	}
	cr_assert_eq(st, 0);
	cr_assert_eq(view_of(T.s, &T.key).counters.from_standby_frames, 20000);
}

/* Two CPUs see the guest's frames at once: one of them is the first. */
Test(api, one_event_for_each_generation)
{
	struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	const int rounds = 300;
	int events = 0;
	pid_t pid[2];

	for (int i = 0; i < 2; i++)
		pid[i] = flood_from_guest(T.tap, &f, INT_MAX);
	for (int i = 0; i < rounds; i++) {
		stage(&T.key, T.tap, SFH_STANDBY_TAP, true);
		while (!view_of(T.s, &T.key).armed)
			;
		cr_assert_eq(sfh_steer_disarm(T.s, &T.key, NULL), 0);
		events += take_events(T.s, NULL);
	}
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(kill(pid[i], SIGKILL), 0);
		cr_assert_eq(waitpid(pid[i], NULL, 0), pid[i]);
	}
	events += take_events(T.s, NULL);
	cr_assert_eq(events, rounds);
}
