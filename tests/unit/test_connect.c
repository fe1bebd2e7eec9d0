// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent's connection to libvirtd, that ends when it likes. */
#include <unistd.h>

#include "tests/unit/fake_agent.h"

static struct fake_agent *fa;

static void init(void)
{
	fa = fake_agent_new();
}

static void fini(void)
{
	fake_agent_free(fa);
}

TestSuite(connect, .init = init, .fini = fini, .timeout = 30);

/* The loop hears of it before the worker is done. */
static void dies_at_once(struct fake_agent *agent)
{
	if (agent->opened > 1)
		return;
	fake_agent_closed(agent);
	(void)usleep(100000);
}

Test(connect, libvirtd_goes_while_it_is_connected_to)
{
	fa->on_open = dies_at_once;
	sfh_agent_connect(&fa->a);
	fake_agent_turn(fa, 2, 5000);
	cr_assert_eq(fa->opened, 2, "the dead connection was kept");
	cr_assert_not(fa->a.reconnecting);
	cr_assert_not(fa->a.virt_lost);
}

Test(connect, libvirtd_goes_and_comes_back)
{
	sfh_agent_connect(&fa->a);
	fake_agent_turn(fa, 1, 5000);
	cr_assert_eq(fa->opened, 1);
	fake_agent_closed(fa);
	fake_agent_turn(fa, 2, 5000);
	cr_assert_eq(fa->opened, 2);
	cr_assert_not(fa->a.virt_lost);
	fake_agent_turn(fa, 3, 1500);
	cr_assert_eq(fa->opened, 2, "one connection is enough");
}

/* The test driver runs no such guest. */
Test(connect, a_guest_that_stops_while_libvirtd_is_away)
{
	fa->a.engine = fa->f->e;
	sfh_agent_connect(&fa->a);
	fake_agent_turn(fa, 1, 5000);
	fa->f->e = fa->a.engine;
	(void)fake_pair_in(fa->f, SFH_PAIR_VF);
	fa->a.engine = fa->f->e;
	fa->mute = "test"; /* half a list */
	fake_agent_closed(fa);
	fake_agent_turn(fa, 2, 5000);
	cr_assert_eq(fake_leases(fa->f), 1);
	fa->mute = NULL;
	fake_agent_closed(fa);
	fake_agent_turn(fa, 3, 5000);
	cr_assert_eq(fake_leases(fa->f), 0);
	cr_assert_null(fa->a.engine.pairs);
}

/* A guest that is not known to run may run all the same. */
Test(connect, half_a_list_of_guests_costs_nobody_a_lease)
{
	(void)fake_pair_in(fa->f, SFH_PAIR_VF);
	fake_restart(fa->f);
	fa->a.engine = fa->f->e;
	fa->mute = "test"; /* the driver's own domain */
	sfh_agent_connect(&fa->a);
	fake_agent_turn(fa, 1, 5000);
	cr_assert_eq(fake_leases(fa->f), 1);
	fa->mute = NULL;
	fake_agent_closed(fa);
	fake_agent_turn(fa, 2, 5000);
	cr_assert_eq(fake_leases(fa->f), 0, "now it is known that nobody has it");
}
