// SPDX-License-Identifier: GPL-2.0-or-later
/* fsck --repair: the survey takes its time, and the agent goes on meanwhile. */
#include <string.h>

#include "ctl/engine/check.h"
#include "tests/unit/fake_agent.h"

static struct fake_agent *fa;
static bool was_locked;
static unsigned asked;

static void init(void)
{
	fa = fake_agent_new();
	asked = 0;
}

static void fini(void)
{
	fake_agent_free(fa);
}

TestSuite(repair, .init = init, .fini = fini, .timeout = 30);

static void repair(void (*on_xml)(struct fake_agent *agent))
{
	fa->a.engine = fa->f->e;
	sfh_agent_connect(&fa->a);
	fake_agent_turn(fa, 1, 5000);
	fa->on_xml = on_xml;
	sfh_request_own(&fa->a, "repair", "");
	for (int i = 0; i < 500 && !fa->a.repaired; i++)
		(void)sd_event_run(fa->a.loop, 10000);
	cr_assert(fa->a.repaired);
	cr_assert_gt(asked, 0);
}

static void look_at_the_lock(struct fake_agent *agent)
{
	asked++;
	was_locked = pthread_mutex_trylock(&agent->a.steer_lock) != 0;
	if (!was_locked)
		(void)pthread_mutex_unlock(&agent->a.steer_lock);
}

Test(repair, the_loop_has_the_datapath_while_libvirt_is_asked)
{
	repair(look_at_the_lock);
	cr_assert_not(was_locked);
}

/* On the loop, while the survey runs. */
static void starts_anew(void *arg)
{
	struct fake_agent *agent = arg;
	struct sfh_guest_nic nic = fake_nic(&mac_a);
	struct sfh_guest_desc g = fake_guest(GUEST, &nic, 1);

	sfh_engine_guest_event(&agent->a.engine, GUEST, SFH_EV_STOPPED, NULL);
	sfh_engine_guest_running(&agent->a.engine, &g, false);
}

static void post_start(struct fake_agent *agent)
{
	if (asked++ == 0)
		sfh_worker_post(agent->a.worker, starts_anew, agent);
}

static void nothing_happens(struct fake_agent *agent)
{
	(void)agent;
	asked++;
}

/* libvirt did not run it when it was asked. */
Test(repair, a_guest_that_starts_meanwhile_keeps_its_pair)
{
	for (int starts = 0; starts < 2; starts++) {
		if (starts) {
			fini();
			init();
		}
		fa->f->e.now = sfh_now_ns; /* as the survey's */
		(void)fake_pair_in(fa->f, SFH_PAIR_STANDBY);
		repair(starts ? post_start : nothing_happens);
		cr_assert_eq(sfh_engine_pair(&fa->a.engine, GUEST, &mac_a) != NULL, starts);
		cr_assert_eq(fake_rows(fa->f), starts);
	}
}

/* --- what is still so ------------------------------------------------------------------ */

static struct sfh_finding about(enum sfh_finding_kind kind, const char *uuid,
				const struct sfh_mac *mac)
{
	struct sfh_finding f = { .kind = kind, .pf = "pf0", .pf_ifindex = 100, .mac = *mac };

	(void)strcpy(f.domain, uuid);
	return f;
}

static int holds(const struct sfh_finding *f)
{
	return sfh_finding_holds(&fa->f->e, f, fake_now, NULL);
}

Test(repair, a_vf_that_was_nobodys_and_is_a_guests_now)
{
	static const enum sfh_finding_kind kinds[] = { SFH_FINDING_LEAKED_VF,
						       SFH_FINDING_DUPLICATE_MAC,
						       SFH_FINDING_STALE_SETTING,
						       SFH_FINDING_STALE_VLAN,
						       SFH_FINDING_LEASE_MISSING };

	for (int leased = 0; leased < 2; leased++) {
		if (leased)
			(void)fake_pair_in(fa->f, SFH_PAIR_VF);
		for (size_t i = 0; i < SFH_ARRAY_SIZE(kinds); i++) {
			struct sfh_finding f = about(kinds[i], "", &mac_b);

			cr_assert_eq(holds(&f), leased ? -EAGAIN : 0, "%s",
				     sfh_finding_name(kinds[i]));
		}
	}
	fa->a.engine = fa->f->e;
}

Test(repair, a_vf_that_was_a_guests_and_is_anothers_now)
{
	struct sfh_finding f = about(SFH_FINDING_WRONG_MAC, GUEST, &mac_a);

	(void)fake_pair_in(fa->f, SFH_PAIR_VF);
	cr_assert_eq(holds(&f), 0);
	fake_event(fa->f, SFH_EV_HOLD);
	cr_assert_eq(holds(&f), -EAGAIN, "it is about to let go of it");
	f.kind = SFH_FINDING_LEASE_OF_NOBODY;
	cr_assert_eq(holds(&f), 0);
	fake_event(fa->f, SFH_EV_STOPPED);
	cr_assert_eq(holds(&f), -EAGAIN, "it was given back");
	(void)fake_second_in(fa->f, OTHER, &mac_b, SFH_PAIR_VF);
	cr_assert_eq(holds(&f), -EAGAIN);
	fa->a.engine = fa->f->e;
}
