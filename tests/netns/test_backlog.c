// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes for a guest that sends on its standby leg and does not listen there yet, on
 * real devices. */
#include "ctl/core/backlog.h"
#include "tests/netns/sandbox.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SOON 1000 /* ms in which what should come has come */
#define NEVER 50  /* ms after which what should not is not coming */

static struct leg L;

static struct {
	struct sfh_inject *inject;
	struct sfh_backlogs *bl;
} T;

static void begin(const struct leg_kind *k)
{
	struct sfh_error err = {};

	leg_make(&L, k);
	cr_assert_eq(sfh_inject_open(&T.inject, &err), 0, "%s", err.text);
	cr_assert_eq(sfh_backlogs_new(T.inject, &T.bl), 0);
	/* As the agent does when it asks the guest to let go of its VF. */
	cr_assert_eq(sfh_steer_stage(L.s, &L.key, L.standby, k->kind, true, &err), 0, "%s",
		     err.text);
	cr_assert_eq(sfh_backlog_begin(T.bl, L.s, &L.key, &err), 0, "%s", err.text);
}

static void end(void)
{
	sfh_backlogs_free(&T.bl);
	sfh_inject_close(&T.inject);
	sfh_steer_close(&L.s);
}

static struct frame from_wire(uint16_t vlan)
{
	return mk_frame(MAC_GUEST, MAC_PEER, vlan ? TAG(vlan) : 0, 0);
}

/* The next frame that the peer sent; length 0 if none comes. A bridge and the kernel's own
 * devices have things to say, too. */
static struct frame guest_gets(int ms)
{
	const struct frame any = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct frame f;

	do {
		f = frame_read(L.guest, ms);
	} while (f.len && memcmp(f.b, any.b, 12) != 0);
	return f;
}

static void guest_lets_go(void)
{
	const struct frame f = mk_frame(MAC_PEER, MAC_GUEST, 0, 0);
	struct sfh_event ev;

	cr_assert_eq(write(L.guest, f.b, f.len), (ssize_t)f.len);
	for (int i = 0; take_events(L.s, &ev) == 0; i++) {
		cr_assert_lt(i, SOON, "no event");
		(void)usleep(1000);
	}
	cr_assert_eq(ev.type, SFH_EVENT_ARMED);
}

static void taken(void)
{
	struct pollfd p = { .fd = sfh_inject_fd(T.inject), .events = POLLIN };

	cr_assert_eq(poll(&p, 1, SOON), 1, "nothing was handed over");
	sfh_backlogs_take(T.bl);
}

static void expect_guest_gets(const struct frame *want)
{
	struct frame got = guest_gets(SOON);

	cr_assert_gt(got.len, 0, "it does not come");
	cr_assert_frame(got, *want);
}

static struct leg_kind kinds[] = {
	{ SFH_STANDBY_MACVTAP, false, 0 },  { SFH_STANDBY_TAP, false, 0 },
	{ SFH_STANDBY_TAP, true, 0 },	    { SFH_STANDBY_MACVTAP, false, 42 },
	{ SFH_STANDBY_TAP, true, 42 },
};

#define KINDS(name)                                                                                \
	ParameterizedTestParameters(backlog, name)                                                 \
	{                                                                                          \
		return cr_make_param_array(struct leg_kind, kinds, SFH_ARRAY_SIZE(kinds));             \
	}                                                                                          \
	static void name(const struct leg_kind *k);                                                    \
	ParameterizedTest(struct leg_kind *k, backlog, name, .timeout = 30)                            \
	{                                                                                          \
		begin(k);                                                                          \
		name(k);                                                                           \
		end();                                                                             \
	}                                                                                          \
	static void name(CR_UNUSED const struct leg_kind *k)

KINDS(waits_in_its_order_and_is_delivered)
{
	const struct frame sent[] = { from_wire(k->vlan), from_wire(k->vlan), from_wire(k->vlan) };
	struct frame untagged[3], last = from_wire(k->vlan), got;
	struct sfh_backlog_count count;

	for (int i = 0; i < 3; i++) {
		untagged[i] = sent[i];
		if (k->vlan) {
			memmove(untagged[i].b + 12, untagged[i].b + 16, untagged[i].len - 16);
			untagged[i].len -= 4;
		}
	}
	guest_lets_go();
	frame_send(L.wire, &sent[0]);
	frame_send(L.wire, &sent[1]);
	taken();
	frame_send(L.wire, &sent[2]); /* still on its way here when the guest listens */
	cr_assert_eq(guest_gets(NEVER).len, 0, "it did not wait");
	cr_assert_eq(view_of(L.s, &L.key).counters.from_wire_frames, 0, "counted before it went on");
	cr_assert_eq(sfh_backlog_end(T.bl, L.s, &L.key, &count, NULL), 0);
	cr_assert_eq(count.released, 3);
	cr_assert_eq(count.lost, 0);
	for (int i = 0; i < 3; i++)
		expect_guest_gets(&untagged[i]);
	cr_assert_eq(view_of(L.s, &L.key).counters.from_wire_frames, 3);
	frame_send(L.wire, &last);
	got = guest_gets(SOON);
	cr_assert_gt(got.len, 0, "after that nothing waits");
	cr_assert_eq(sfh_backlog_end(T.bl, L.s, &L.key, &count, NULL), 0);
	cr_assert_eq(count.released, 0, "once");
}

/* Until the guest's first frame it may well be on its VF. */
KINDS(nothing_waits_before_the_guest_lets_go)
{
	struct frame f = from_wire(k->vlan);
	struct pollfd p = { .fd = sfh_inject_fd(T.inject), .events = POLLIN };

	frame_send(L.wire, &f);
	cr_assert_eq(poll(&p, 1, NEVER), 0);
}

/* The agent is gone, or too late. */
KINDS(nothing_waits_for_ever)
{
	struct frame f = from_wire(k->vlan);

	guest_lets_go();
	(void)usleep(SFH_BACKLOG_NS / 1000);
	frame_send(L.wire, &f);
	cr_assert_gt(guest_gets(SOON).len, 0);
}

KINDS(what_still_comes_after_the_end_goes_on)
{
	struct frame f = from_wire(k->vlan);
	struct sfh_backlog_count count;

	guest_lets_go();
	cr_assert_eq(sfh_backlog_end(T.bl, L.s, &L.key, &count, NULL), 0);
	/* As of a program that looked before that. */
	cr_assert_eq(sfh_steer_backlog(L.s, &L.key, sfh_inject_ifindex(T.inject), NULL), 0);
	frame_send(L.wire, &f);
	taken();
	cr_assert_gt(guest_gets(SOON).len, 0);
}

KINDS(others_do_not_wait)
{
	struct frame group = mk_frame(MAC_BCAST, MAC_PEER, k->vlan ? TAG(k->vlan) : 0, 0);
	struct pollfd p = { .fd = sfh_inject_fd(T.inject), .events = POLLIN };

	guest_lets_go();
	frame_send(L.wire, &group);
	cr_assert_eq(poll(&p, 1, NEVER), 0);
}

/* One that is gone has no frames any more, and its address may be another's. */
KINDS(goes_with_its_pair)
{
	struct frame f = from_wire(k->vlan);
	struct sfh_backlog_count count;

	guest_lets_go();
	frame_send(L.wire, &f);
	taken();
	cr_assert_eq(sfh_steer_unstage(L.s, &L.key, NULL), 0);
	sfh_backlog_forget(T.bl, &L.key);
	cr_assert_eq(sfh_backlog_end(T.bl, L.s, &L.key, &count, NULL), 0);
	cr_assert_eq(count.released, 0);
}

Test(backlog, a_pair_that_is_not_staged_has_none, .timeout = 30)
{
	const struct leg_kind k = { SFH_STANDBY_MACVTAP, false, 0 };
	struct sfh_guest_key other;
	struct sfh_error err = {};

	begin(&k);
	other = mk_key(L.pf, MAC_OTHER, 0);
	cr_assert_eq(sfh_backlog_begin(T.bl, L.s, &other, &err), -ENOENT);
	cr_assert_neq(strstr(err.text, "no steering entry"), NULL, "%s", err.text);
	end();
}

/* What the agent hears of it: it must not go on reading. */
Test(backlog, a_device_that_somebody_removed_says_so, .timeout = 30)
{
	const struct leg_kind k = { SFH_STANDBY_MACVTAP, false, 0 };
	struct pollfd p = { .events = POLLIN };
	uint8_t buf[64];

	begin(&k);
	p.fd = sfh_inject_fd(T.inject);
	cr_assert_eq(sfh_inject_read(T.inject, buf, sizeof(buf)), -EAGAIN);
	cr_assert_eq(poll(&p, 1, 0), 0);
	sh("ip link del sfhprobe0");
	cr_assert_eq(poll(&p, 1, SOON), 1);
	cr_assert(p.revents & (POLLERR | POLLHUP), "%x", p.revents);
	cr_assert_eq(sfh_inject_read(T.inject, buf, sizeof(buf)), -EBADFD);
	end();
}

/* A guest cannot be made to hold without end what a neighbour sends it. */
Test(backlog, has_an_end, .timeout = 60)
{
	const struct leg_kind k = { SFH_STANDBY_MACVTAP, false, 0 };
	struct frame f = from_wire(0);
	struct sfh_backlog_count count;

	begin(&k);
	guest_lets_go();
	f.len = 1500;
	for (int i = 0; i < 6000; i++) {
		/* The time that limits it is not what is tested here. */
		if (i % 50 == 0) {
			cr_assert_eq(sfh_steer_disarm(L.s, &L.key, NULL), 0);
			cr_assert_eq(sfh_steer_stage(L.s, &L.key, L.standby, k.kind, true, NULL), 0);
			cr_assert_eq(sfh_steer_backlog(L.s, &L.key, sfh_inject_ifindex(T.inject), NULL), 0);
			guest_lets_go();
		}
		frame_send(L.wire, &f);
		sfh_backlogs_take(T.bl);
	}
	cr_assert_eq(sfh_backlog_end(T.bl, L.s, &L.key, &count, NULL), 0);
	cr_assert_eq(count.released, 4096);
	cr_assert_eq(count.lost, 6000 - 4096);
	end();
}
