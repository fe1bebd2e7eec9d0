// SPDX-License-Identifier: GPL-2.0-or-later
/* kill -9 at every step boundary: a child process goes through a story and ends at the
 * n'th side of a call into kernel or hypervisor, or before the n'th commit of the ledger;
 * nothing of it is left but the (fake) kernel's state, the ledger's file and the live XML.
 * A new engine takes over and sweeps. Then nothing may be wrong, and once the guests have
 * stopped nothing left; n goes on until the story comes to its end. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/world.h"

/* What outlives the process. */
struct remains {
	struct fake_pf pf[FAKE_PFS];
	struct fake_entry entry[FAKE_ENTRIES];
	struct world_guest guest[WORLD_GUESTS];
	bool killed;
};

static struct remains *remains; /* shared with the child */

struct story {
	const char *name;
	void (*before)(struct world *w);
	void (*run)(struct world *w);
	bool can_park;
	unsigned landing;
};

static void leave(bool killed)
{
	memcpy(remains->pf, world->f->pf, sizeof(remains->pf));
	memcpy(remains->entry, world->f->entry, sizeof(remains->entry));
	memcpy(remains->guest, world->guest, sizeof(remains->guest));
	remains->killed = killed;
	_exit(0);
}

static void die(void)
{
	leave(true);
}

static void open_ledger(struct fake *f)
{
	struct sfh_error err = {0};
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/ledger.db", f->dir);
	cr_assert_eq(sfh_ledger_open(path, true, &f->ledger, &err), 0, "%s", err.text);
	f->e.ledger = f->ledger;
}

/* --- the stories ----------------------------------------------------------------------- */

/* Guest 0 has two NICs, guest 1 one that wishes for a VLAN, trust and a rate. */
static void event(struct world *w, unsigned g, enum sfh_pair_event ev)
{
	sfh_engine_guest_event(&w->f->e, w->guest[g].uuid, ev, NULL);
}

static void plugged(struct world *w, unsigned g)
{
	for (unsigned n = 0; n < w->guest[g].nnics; n++)
		if (w->guest[g].nic[n].plugging)
			world_plug_answer(w, &w->guest[g], n, true);
	for (unsigned n = 0; n < w->guest[g].nnics; n++)
		(void)world_proof(w, &w->guest[g], n);
}

static void unplugged(struct world *w, unsigned g)
{
	for (unsigned n = 0; n < w->guest[g].nnics; n++)
		if (w->guest[g].nic[n].unplugging)
			world_unplug_answer(w, &w->guest[g], n, true);
}

static void talk(struct world *w, unsigned g)
{
	for (unsigned n = 0; n < w->guest[g].nnics; n++) {
		w->guest[g].nic[n].address = true;
		world_frame(w, &w->guest[g], n);
	}
}

static void nothing(struct world *w)
{
	(void)w;
}

static void lease(struct world *w, unsigned g)
{
	world_start(w, &w->guest[g], false);
	talk(w, g);
	event(w, g, SFH_EV_NEGOTIATED);
	plugged(w, g);
}

static void lease_0(struct world *w)
{
	lease(w, 0);
}

static void lease_1(struct world *w)
{
	lease(w, 1);
}

static void lease_both(struct world *w)
{
	lease(w, 0);
	lease(w, 1);
}

static void release_1(struct world *w)
{
	event(w, 1, SFH_EV_HOLD);
	unplugged(w, 1);
}

static void let_go_0(struct world *w)
{
	event(w, 0, SFH_EV_HOLD);
	talk(w, 0);
	unplugged(w, 0);
}

/* Nobody holds it afterwards: whoever takes over finds a guest that keeps its VF. */
static void let_go_to_migrate(struct world *w)
{
	(void)sfh_engine_migrate(&w->f->e, w->guest[0].uuid, "qemu+ssh://there/system", NULL);
	talk(w, 0);
	unplugged(w, 0);
}

static void keeps_it(struct world *w)
{
	event(w, 1, SFH_EV_HOLD);
	talk(w, 1);
	world_unplug_answer(w, &w->guest[1], 0, false);
}

static void stop_1(struct world *w)
{
	world_stop(w, &w->guest[1], true);
}

static void arrive_1(struct world *w)
{
	(void)world_arriving(w, &w->guest[1], false);
	world_devices(w, &w->guest[1]);
	w->guest[1].life = GUEST_RUNS;
	event(w, 1, SFH_EV_RESUMED);
	event(w, 1, SFH_EV_NEGOTIATED);
	talk(w, 1);
	plugged(w, 1);
}

static void migrate_0(struct world *w)
{
	(void)sfh_engine_migrate(&w->f->e, w->guest[0].uuid, "qemu+ssh://there/system", NULL);
	unplugged(w, 0);
	w->guest[0].migrating = false;
	w->guest[0].life = GUEST_OFF; /* libvirt has it there now, whatever becomes of us */
	sfh_engine_migrated(&w->f->e, w->guest[0].uuid, 0, NULL);
}

static void migrate_1_in_vain(struct world *w)
{
	(void)sfh_engine_migrate(&w->f->e, w->guest[1].uuid, "qemu+ssh://there/system", NULL);
	unplugged(w, 1);
	w->guest[1].migrating = false;
	sfh_engine_migrated(&w->f->e, w->guest[1].uuid, -EIO, "no route");
	plugged(w, 1);
}

/* One is on its VF, one in the middle of a plug, one has gone without a word. */
static void a_dead_agent(struct world *w)
{
	lease(w, 0);
	lease(w, 1);
	world_start(w, &w->guest[3], false);
	talk(w, 3);
	event(w, 3, SFH_EV_NEGOTIATED);
	world_stop(w, &w->guest[1], false);
}

static void take_over(struct world *w)
{
	w->guest[3].nic[0].plugging = false;
	world_restart(w);
}

static void look_at_the_pfs(struct world *w)
{
	(void)sfh_pool_refresh(&w->f->e, "blue", NULL);
	lease(w, 1);
}

/* One that waits gets what another gives back. */
static void three_for_two(struct world *w)
{
	for (unsigned g = 2; g < WORLD_GUESTS; g++)
		lease(w, g);
}

static void handed_on(struct world *w)
{
	world_stop(w, &w->guest[2], true);
	world_sleep(w, 1);
	for (unsigned g = 2; g < WORLD_GUESTS; g++)
		plugged(w, g);
}

/* What else its NIC is to receive: told, told anew, out on the VF and in again after it. */
static void further_addresses(struct world *w)
{
	world_start(w, &w->guest[1], false);
	talk(w, 1);
	world_rx(w, &w->guest[1], 0, 0x0f);
	world_rx(w, &w->guest[1], 0, 0xf5);
	event(w, 1, SFH_EV_NEGOTIATED);
	plugged(w, 1);
	world_rx(w, &w->guest[1], 0, 0x3c);
	release_1(w);
	world_rx(w, &w->guest[1], 0, 0);
}

/* --- with a port profile, whose switch answers late ---------------------------------------- */

static void profiles(struct world *w)
{
	w->guest[0].profile = w->guest[1].profile = true;
	w->f->port_delay = 3;
}

static void lease_profile(struct world *w)
{
	world_start(w, &w->guest[1], false);
	talk(w, 1);
	event(w, 1, SFH_EV_NEGOTIATED);
	world_sleep(w, 1000);
	plugged(w, 1);
}

static void profile_before(struct world *w)
{
	profiles(w);
	lease_profile(w);
}

static void keeps_it_slowly(struct world *w)
{
	keeps_it(w);
	world_sleep(w, 1000);
}

static void stop_profile(struct world *w)
{
	world_stop(w, &w->guest[1], true);
}

static void switch_refuses(struct world *w)
{
	w->f->port_says = PORT_PROFILE_RESPONSE_INVALID;
	lease_profile(w);
}

static const struct story stories[] = {
	{ "lease two NICs", nothing, lease_0, true, 0 },
	{ "lease with settings", nothing, lease_1, true, 1 },
	{ "lease without parking", nothing, lease_1, false, 0 },
	{ "release", lease_1, release_1, true, 0 },
	{ "the guest lets go first", lease_0, let_go_0, true, 0 },
	{ "the guest lets go first, to migrate", lease_0, let_go_to_migrate, true, 0 },
	{ "the guest keeps the VF", lease_1, keeps_it, true, 0 },
	{ "stop", lease_both, stop_1, true, 1 },
	{ "arrive", nothing, arrive_1, true, 1 },
	{ "migrate away", lease_both, migrate_0, true, 0 },
	{ "migrate away in vain", lease_1, migrate_1_in_vain, true, 0 },
	{ "take over", a_dead_agent, take_over, true, 0 },
	{ "look at the PFs", nothing, look_at_the_pfs, true, 1 },
	{ "handed on", three_for_two, handed_on, true, 0 },
	{ "further addresses", nothing, further_addresses, true, 0 },
	{ "lease with a port profile", profiles, lease_profile, true, 0 },
	{ "a port profile without parking", profiles, lease_profile, false, 0 },
	{ "the switch refuses the port profile", profiles, switch_refuses, true, 0 },
	{ "release with a port profile", profile_before, release_1, true, 0 },
	{ "the guest keeps VF and port profile", profile_before, keeps_it_slowly, true, 0 },
	{ "stop with a port profile", profile_before, stop_profile, true, 0 },
	{ "migrate in vain with a port profile", profile_before, migrate_1_in_vain, true, 0 },
};

/* --- killed at the n'th boundary ----------------------------------------------------------- */

static void in_the_child(struct world *w, const struct story *s, unsigned n)
{
	open_ledger(w->f);
	s->before(w);
	w->boundary = 0;
	w->die = die;
	w->die_at = n;
	s->run(w);
	leave(false);
}

/* What libvirt had begun comes to its end, well or not. */
static void settle(struct world *w, bool well)
{
	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		struct world_guest *guest = &w->guest[g];

		for (unsigned n = 0; n < guest->nnics; n++) {
			guest->nic[n].has_vf |= guest->nic[n].plugging && well;
			guest->nic[n].has_vf &= !(guest->nic[n].unplugging && well);
			guest->nic[n].plugging = guest->nic[n].unplugging = false;
		}
		if (guest->migrating && well)
			world_stop(w, guest, false);
		guest->migrating = false;
	}
}

/* False once the story has come to its end before. */
static bool killed_at(const struct story *s, unsigned n, bool well)
{
	struct world w;
	const char *bad;
	int status = -1;
	pid_t pid;

	world_init(&w, s->can_park, s->landing);
	sfh_ledger_close(&w.f->ledger);
	pid = fork();
	if (pid == 0)
		in_the_child(&w, s, n);
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s, %u: the child failed",
		  s->name, n);
	open_ledger(w.f);
	memcpy(w.f->pf, remains->pf, sizeof(w.f->pf));
	memcpy(w.f->entry, remains->entry, sizeof(w.f->entry));
	memcpy(w.guest, remains->guest, sizeof(w.guest));
	settle(&w, well);
	world_restart(&w);
	for (unsigned g = 0; g < WORLD_GUESTS; g++)
		if (w.guest[g].life == GUEST_DEVICES)
			world_devices(&w, &w.guest[g]);
	w.f->port_delay = 0;
	world_sleep(&w, 1);
	bad = world_check(&w);
	cr_assert_null(bad, "%s, killed at %u, libvirt's work %s: %s", s->name, n,
		       well ? "done" : "undone", bad);
	for (unsigned g = 0; g < WORLD_GUESTS; g++)
		if (w.guest[g].life != GUEST_OFF)
			world_stop(&w, &w.guest[g], true);
	bad = world_check(&w);
	cr_assert_null(bad, "%s, killed at %u, stopped: %s", s->name, n, bad);
	cr_assert_eq(fake_leases(w.f), 0, "%s, killed at %u: a lease is left", s->name, n);
	cr_assert_eq(fake_entries(w.f), 0, "%s, killed at %u: an entry is left", s->name, n);
	cr_assert_eq(fake_rows(w.f), 0, "%s, killed at %u: a row is left", s->name, n);
	world_done(&w);
	return remains->killed;
}

TestSuite(kill, .timeout = 120);

Test(kill, at_every_boundary_nothing_leaks)
{
	unsigned total = 0;

	remains = mmap(NULL, sizeof(*remains), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	cr_assert_neq(remains, MAP_FAILED);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(stories); i++) {
		unsigned n = 1;

		while (killed_at(&stories[i], n, true) && killed_at(&stories[i], n, false))
			n++;
		cr_expect_gt(n, 5, "'%s' has few boundaries", stories[i].name);
		total += n - 1;
	}
	(void)fprintf(stderr, "kill: %zu stories, %u boundaries, twice each\n",
		      SFH_ARRAY_SIZE(stories), total);
	(void)munmap(remains, sizeof(*remains));
}
