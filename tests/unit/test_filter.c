// SPDX-License-Identifier: GPL-2.0-or-later
/* Further addresses of guests in the PF's filter: whose, when, how many, and what a
 * hostile guest gets out of it. */
#include <string.h>

#include "tests/unit/fakes.h"

static struct fake *f;

static const struct sfh_mac uni_1 = { { 0x52, 0x54, 0, 0, 1, 1 } };
static const struct sfh_mac uni_2 = { { 0x52, 0x54, 0, 0, 1, 2 } };
static const struct sfh_mac mdns = { { 0x01, 0, 0x5e, 0, 0, 0xfb } };
static const struct sfh_mac all_nodes = { { 0x33, 0x33, 0, 0, 0, 1 } };

static void init(void)
{
	f = fake_new();
}

static void fini(void)
{
	fake_free(f);
}

TestSuite(rx, .init = init, .fini = fini, .timeout = 30);

static struct sfh_guest_nic bridged(const struct sfh_mac *mac)
{
	struct sfh_guest_nic nic = fake_nic(mac);

	nic.kind = SFH_STANDBY_TAP;
	nic.wish.what = SFH_VF_SPOOFCHK; /* off */
	return nic;
}

static struct sfh_pair *run(const char *uuid, const struct sfh_guest_nic *nic, bool found)
{
	struct sfh_guest_desc g = fake_guest(uuid, nic, 1);
	struct sfh_pair *p;

	sfh_engine_guest_running(&f->e, &g, found);
	p = sfh_engine_pair(&f->e, uuid, &nic->mac);
	cr_assert(p);
	return p;
}

static struct sfh_pair *start(const char *uuid, const struct sfh_mac *mac)
{
	struct sfh_guest_nic nic = bridged(mac);
	struct sfh_pair *p = run(uuid, &nic, false);

	fake_sleep(f, 0);
	return p;
}

static void told(const struct sfh_pair *p, const struct sfh_mac *macs, size_t n)
{
	sfh_engine_rx_told(&f->e, p->domain, &p->mac, 0, macs, n);
	fake_sleep(f, 0);
}

#define TOLD(p, ...)                                                                               \
	told(p, (const struct sfh_mac[]){ __VA_ARGS__ },                                           \
	     sizeof((const struct sfh_mac[]){ __VA_ARGS__ }) / sizeof(struct sfh_mac))

static void changed(const struct sfh_pair *p)
{
	sfh_engine_rx_changed(&f->e, p->domain, &p->mac);
	fake_sleep(f, 0);
}

static void to_vf(struct sfh_pair *p)
{
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUGGED, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PROOF, NULL);
	assert_state(p, VF);
}

static void to_standby(struct sfh_pair *p)
{
	sfh_pair_dispatch(&f->e, p, SFH_EV_HOLD, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	assert_state(p, STANDBY);
}

/* --- asked, told, followed -------------------------------------------------------------- */

Test(rx, what_qemu_tells_goes_in_and_what_it_tells_no_more_goes_out)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	cr_assert_eq(fake_count(f, "ask-rx 52:54:00:00:00:0a"), 1);
	TOLD(p, uni_1, mdns);
	cr_assert_eq(fake_holders(f, &uni_1), 1);
	cr_assert_eq(fake_holders(f, &mdns), 1);
	cr_assert_eq(fake_rx_rows(f), 2);
	fake_sleep(f, 60000);
	cr_assert_eq(fake_count(f, "ask-rx"), 1, "nothing changed");
	changed(p);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
	fake_forget_calls(f);
	TOLD(p, uni_2, mdns);
	/* out first: there may be room for one only */
	fake_assert_order(f, "no-more 52:54:00:00:01:01", "also 52:54:00:00:01:02", NULL);
	cr_assert_eq(fake_count(f, "also"), 1, "what was held stays as it is");
	cr_assert_eq(fake_rx_rows(f), 2);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
	cr_assert_str_eq(f->log, "");
}

/* Each question costs libvirt and QEMU something, and the guest decides how often its
 * filter changes. */
Test(rx, a_guest_that_changes_its_mind_all_the_time_is_asked_now_and_then)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	for (int ms = 0; ms < 80000; ms += 10) {
		changed(p);
		if (p->rx.asking)
			TOLD(p, ms % 20 ? uni_1 : uni_2);
		fake_sleep(f, 10);
	}
	/* after 0, 1, 3, 7, 15, 23, … s */
	cr_assert_eq(fake_count(f, "ask-rx"), 4 + (80 - 7) / 8, "%u", fake_count(f, "ask-rx"));
	cr_assert_eq(fake_holders(f, &uni_1) + fake_holders(f, &uni_2), 1);
	fake_forget_calls(f);
	fake_sleep(f, 2 * SFH_RX_ASK_MAX_MS); /* quiet again: */
	TOLD(p, uni_1);
	fake_forget_calls(f);
	fake_sleep(f, 2 * SFH_RX_ASK_MAX_MS);
	changed(p);
	cr_assert_eq(fake_count(f, "ask-rx"), 1, "the next one counts at once");
	TOLD(p, uni_2);
	changed(p);
	fake_sleep(f, SFH_RX_ASK_MS);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
}

/* QEMU tells of one change and of no more until it is asked: an event that comes while a
 * question is under way may be about what the answer does not have yet. */
Test(rx, a_change_while_the_question_is_under_way_is_asked_for_again)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	changed(p);
	cr_assert_eq(fake_count(f, "ask-rx"), 1);
	TOLD(p, uni_1);
	fake_sleep(f, SFH_RX_ASK_MS);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
}

Test(rx, no_answer_is_asked_again_and_one_that_cannot_answer_is_not)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	changed(p);
	fake_sleep(f, SFH_RX_ASK_MS);
	sfh_engine_rx_told(&f->e, GUEST, &mac_a, -ENOTCONN, NULL, 0);
	cr_assert_eq(fake_holders(f, &uni_1), 1, "what is known stays");
	fake_sleep(f, SFH_RX_RETRY_MS - 1);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
	fake_sleep(f, 1);
	cr_assert_eq(fake_count(f, "ask-rx"), 3);
	sfh_engine_rx_told(&f->e, GUEST, &mac_a, -EOPNOTSUPP, NULL, 0);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	fake_sleep(f, 100000);
	cr_assert_eq(fake_count(f, "ask-rx"), 3);
	/* events may have been lost with libvirtd */
	sfh_engine_rx_lost(&f->e);
	fake_sleep(f, 0);
	cr_assert_eq(fake_count(f, "ask-rx"), 4);
	/* no thread to ask with: as no answer */
	fake_fail(f, OP_ASK_RX, ENOMEM, 0, 1);
	TOLD(p, uni_1);
	changed(p);
	fake_sleep(f, SFH_RX_ASK_MS + SFH_RX_RETRY_MS);
	cr_assert_eq(fake_count(f, "ask-rx"), 6);
}

Test(rx, with_spoofchk_or_on_a_macvtap_nobody_is_asked)
{
	struct sfh_guest_nic nic = bridged(&mac_a), other = bridged(&mac_b);
	struct sfh_pair *p;

	nic.wish.cfg.spoofchk = true;
	p = run(GUEST, &nic, false);
	other.kind = SFH_STANDBY_MACVTAP;
	(void)run(OTHER, &other, false);
	fake_sleep(f, 10000);
	cr_assert_eq(fake_count(f, "ask-rx"), 0);
	/* not even if somebody (libvirt) asked and QEMU speaks */
	changed(p);
	TOLD(p, uni_1);
	cr_assert_eq(fake_count(f, "ask-rx"), 0);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	cr_assert(sfh_pair_spoofchk(p));
}

/* libvirt does one thing at a time with a guest, and a question would wait for it. */
Test(rx, nobody_is_asked_in_the_middle_of_a_switch)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	fake_sleep(f, SFH_RX_ASK_MS);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_state(p, PLUGGING);
	changed(p);
	cr_assert_eq(fake_count(f, "ask-rx"), 1);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUGGED, NULL);
	sfh_pair_dispatch(&f->e, p, SFH_EV_PROOF, NULL);
	fake_sleep(f, 0);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
	TOLD(p, uni_1);
	cr_assert_eq(sfh_engine_migrate(&f->e, GUEST, "qemu+ssh://there/system", NULL), 0);
	sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	assert_state(p, LEAVING);
	changed(p);
	fake_sleep(f, 10000);
	cr_assert_eq(fake_count(f, "ask-rx"), 2);
	cr_assert_eq(fake_holders(f, &uni_1), 1, "it still runs here, on its standby leg");
	sfh_engine_migrated(&f->e, GUEST, 0, NULL);
	fake_assert_nothing_left(f);
}

/* --- with the legs ------------------------------------------------------------------------- */

Test(rx, on_its_vf_they_are_out_and_back_at_once)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1, mdns);
	fake_forget_calls(f);
	to_vf(p);
	fake_assert_order(f, "vf_set 100 0 mac=- vlan=0", "unfilter", "no-more 52:54:00:00:01:01",
			  "no-more 01:00:5e:00:00:fb", NULL);
	cr_assert_eq(fake_rx_rows(f), 0);
	/* What changes meanwhile is known when it comes back. */
	fake_sleep(f, SFH_RX_ASK_MS);
	changed(p);
	TOLD(p, uni_2);
	cr_assert_eq(fake_holders(f, &uni_2), 0);
	fake_forget_calls(f);
	to_standby(p);
	fake_assert_order(f, "vf_set 100 0 mac=00:00:00:00:00:00 vlan=0", "filter",
			  "also 52:54:00:00:01:02", NULL);
	cr_assert_eq(fake_count(f, "ask-rx"), 0);
	cr_assert_eq(fake_holders(f, &uni_2), 1);
}

Test(rx, one_that_arrives_is_asked_when_it_runs_here)
{
	struct sfh_guest_nic nic = bridged(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);
	struct sfh_pair *p;

	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
	sfh_engine_guest_devices(&f->e, &g);
	p = sfh_engine_pair(&f->e, GUEST, &mac_a);
	fake_first_frame(f, p);
	fake_sleep(f, 0);
	cr_assert_eq(f->nfiltered, 1);
	cr_assert_eq(fake_count(f, "ask-rx"), 0, "libvirt would keep the question back");
	fake_event(f, SFH_EV_RESUMED);
	fake_sleep(f, 0);
	assert_state(p, STANDBY);
	cr_assert_eq(fake_count(f, "ask-rx"), 1);
}

/* `set … spoofchk=on` holds from the next lease on: back on its standby leg the guest
 * has its own address, and no more. */
Test(rx, spoofchk_that_is_switched_on_takes_them_out)
{
	struct sfh_guest_nic nic = bridged(&mac_a);
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	nic.wish.cfg.spoofchk = true;
	sfh_engine_nic_changed(&f->e, GUEST, &nic);
	to_vf(p);
	to_standby(p);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	cr_assert_eq(f->nfiltered, 1);
}

/* --- after a restart ----------------------------------------------------------------------- */

Test(rx, the_next_agent_holds_what_the_last_one_did_until_qemu_is_heard)
{
	struct sfh_guest_nic nic = bridged(&mac_a);
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1, mdns);
	fake_restart(f);
	p = run(GUEST, &nic, true);
	(void)sfh_engine_sweep(&f->e);
	cr_assert_eq(fake_holders(f, &uni_1), 1, "no moment without it");
	cr_assert_eq(fake_holders(f, &mdns), 1);
	fake_sleep(f, 0);
	cr_assert_eq(fake_count(f, "ask-rx"), 1);
	TOLD(p, mdns, uni_2);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	cr_assert_eq(fake_holders(f, &uni_2), 1);
	cr_assert_eq(fake_rx_rows(f), 2);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

/* The last agent ended while libvirt plugged the VF: nothing is held for the guest now,
 * and what was is known when it comes back. */
Test(rx, found_on_its_vf_it_has_no_rows)
{
	struct sfh_guest_nic nic = bridged(&mac_a);
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	assert_state(p, PLUGGING);
	nic.has_vf = true;
	nic.vf = p->lease.bdf;
	fake_restart(f);
	f->pf[0].vf[0].vlan = 0; /* unparked */
	p = run(GUEST, &nic, true);
	assert_state(p, VF);
	cr_assert_eq(fake_rx_rows(f), 0);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	to_standby(p);
	cr_assert_eq(fake_holders(f, &uni_1), 1);
}

Test(rx, rows_of_a_guest_that_is_gone_are_swept)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	fake_restart(f);
	(void)sfh_engine_sweep(&f->e);
	fake_assert_nothing_left(f);
}

Test(rx, rows_of_a_guest_that_may_have_them_no_more_go)
{
	struct sfh_guest_nic nic = bridged(&mac_a);
	struct sfh_pair *p = start(GUEST, &mac_a);

	TOLD(p, uni_1);
	fake_restart(f);
	nic.wish.cfg.spoofchk = true;
	(void)run(GUEST, &nic, true);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	cr_assert_eq(fake_rx_rows(f), 0);
}

/* --- several guests -------------------------------------------------------------------------- */

Test(rx, a_group_of_two_guests_stays_for_the_second)
{
	struct sfh_pair *a = start(GUEST, &mac_a), *b = start(OTHER, &mac_b);

	TOLD(a, all_nodes, uni_1);
	TOLD(b, all_nodes, uni_1);
	cr_assert_eq(fake_holders(f, &all_nodes), 2);
	cr_assert_eq(fake_holders(f, &uni_1), 2, "as of two routers");
	fake_event(f, SFH_EV_STOPPED);
	cr_assert_eq(fake_holders(f, &all_nodes), 1);
	cr_assert_eq(fake_holders(f, &uni_1), 1);
	sfh_engine_guest_event(&f->e, OTHER, SFH_EV_STOPPED, NULL);
	fake_assert_nothing_left(f);
}

/* On its VF B would hear nothing any more, were its address in the PF's filter for A. */
Test(rx, nobody_gets_the_address_of_another_guest)
{
	struct sfh_pair *a = start(GUEST, &mac_a), *b = start(OTHER, &mac_b);

	TOLD(a, mac_b, uni_1);
	cr_assert_eq(fake_holders(f, &mac_b), 0);
	cr_assert_eq(fake_holders(f, &uni_1), 1);
	to_vf(b);
	cr_assert_eq(fake_holders(f, &mac_b), 0);
	/* nor does it keep one whose owner comes later, as long as it is here */
	TOLD(a, mac_c);
	cr_assert_eq(fake_holders(f, &mac_c), 1);
	(void)start("77777777-2222-3333-4444-555555555555", &mac_c);
	cr_assert_eq(fake_holders(f, &mac_c), 0);
	sfh_engine_guest_event(&f->e, "77777777-2222-3333-4444-555555555555", SFH_EV_STOPPED, NULL);
	cr_assert_eq(fake_holders(f, &mac_c), 1);
}

/* --- a hostile guest -------------------------------------------------------------------------- */

Test(rx, what_is_no_further_address_of_a_guest)
{
	static const struct sfh_mac zero, everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	static const struct sfh_mac pause = { { 0x01, 0x80, 0xc2, 0, 0, 1 } };
	static const struct sfh_mac garp = { { 0x01, 0x80, 0xc2, 0, 0, 0x20 } };
	struct sfh_pair *p = start(GUEST, &mac_a);

	f->pf[0].vf[1].mac = mac_c; /* somebody else's VF */
	TOLD(p, mac_a, zero, everybody, pause, fake_pf_mac, mac_c, uni_1, uni_1, all_nodes, garp);
	cr_assert_eq(fake_count(f, "also"), 3, "%s", f->calls);
	cr_assert_eq(fake_holders(f, &uni_1), 1);
	cr_assert_eq(fake_holders(f, &all_nodes), 1);
	cr_assert_eq(fake_holders(f, &garp), 1);
	cr_assert_eq(fake_rx_rows(f), 3);
}

Test(rx, so_many_and_no_more)
{
	struct sfh_pair *p = start(GUEST, &mac_a);
	struct sfh_mac many[3 * SFH_RX_MAX] = {};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(many); i++)
		many[i] = (struct sfh_mac){ { 2, 0, 0, 0, 7, (uint8_t)i } };
	told(p, many, SFH_ARRAY_SIZE(many));
	cr_assert_eq(fake_count(f, "also"), SFH_RX_MAX);
	told(p, many + SFH_RX_MAX, 2 * SFH_RX_MAX);
	cr_assert_eq(fake_rx_rows(f), SFH_RX_MAX);
	cr_assert_eq(fake_holders(f, &many[0]), 0);
	fake_event(f, SFH_EV_STOPPED);
	fake_assert_nothing_left(f);
}

Test(rx, a_nic_that_refuses_is_no_failure)
{
	struct sfh_pair *p = start(GUEST, &mac_a);

	fake_fail(f, OP_FILTER_ALSO, EOPNOTSUPP, 0, -1);
	TOLD(p, uni_1, uni_2);
	TOLD(p, uni_1, uni_2);
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	cr_assert_eq(fake_rx_rows(f), 2, "status tells");
	cr_assert_str_eq(f->log, "", "a notice, no warning");
	fake_heal(f);
	to_vf(p);
	to_standby(p); /* it is tried again when it is needed again */
	cr_assert_eq(fake_holders(f, &uni_1), 1);
}

/* One guest's further addresses fill the NIC; another's own one has to go in. */
Test(rx, a_guests_own_address_comes_first)
{
	struct sfh_pair *a = start(GUEST, &mac_a), *b;

	f->room = 3;
	TOLD(a, uni_1, uni_2, mdns, mac_c);
	cr_assert_eq(fake_holders(f, &uni_2), 1);
	cr_assert_eq(fake_holders(f, &mac_c), 0, "full: own, uni_1, uni_2");
	b = start(OTHER, &mac_b);
	assert_state(b, STANDBY);
	cr_assert_eq(fake_holders(f, &uni_2), 0, "gave way");
	cr_assert_eq(fake_holders(f, &uni_1), 1);
	cr_assert_eq(fake_holders(f, &mdns), 1, "groups need no room");
	cr_assert_eq(f->nfiltered, 2);
	cr_assert_str_eq(f->log, "");
	/* when nobody has any more, it is as without this */
	(void)start("77777777-2222-3333-4444-555555555555", &mac_c);
	cr_assert_str_eq(f->log, "");
	cr_assert_eq(fake_holders(f, &uni_1), 0);
	(void)start("88888888-2222-3333-4444-555555555555", &uni_1);
	cr_assert(strstr(f->log, "no room"), "%s", f->log);
}

Test(rx, an_answer_for_nobody_is_dropped)
{
	sfh_engine_rx_changed(&f->e, GUEST, &mac_a);
	sfh_engine_rx_told(&f->e, GUEST, &mac_a, 0, &uni_1, 1);
	cr_assert_eq(fake_count(f, ""), 0);
}
