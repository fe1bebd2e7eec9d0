// SPDX-License-Identifier: GPL-2.0-or-later
/* The world's life: guests come and go, libvirt and QEMU answer. */
#include "tests/unit/world_priv.h"

#include <stdio.h>
#include <string.h>

struct world *world;

struct world_nic *world_nic_by_mac(const struct sfh_mac *mac)
{
	for (size_t g = 0; g < WORLD_GUESTS; g++)
		for (unsigned n = 0; n < world->guest[g].nnics; n++)
			if (sfh_mac_equal(&world->guest[g].nic[n].mac, mac))
				return &world->guest[g].nic[n];
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

void world_init(struct world *w, bool can_park, unsigned landing)
{
	struct fake *f;

	*w = (struct world){.f = NULL};
	world = NULL;
	world_watch_commits(true);
	f = w->f = fake_new();
	world = w;
	f->pf[0].nvfs = 3;
	f->pf[0].can_park = f->pf[1].can_park = can_park;
	for (unsigned pf = 0; pf < FAKE_PFS; pf++)
		for (unsigned vf = 0; vf < f->pf[pf].nvfs; vf++) {
			f->pf[pf].vf[vf].trust = vf == 1;
			f->pf[pf].vf[vf].spoofchk = true;
			f->pf[pf].vf[vf].max_tx = vf == 2 ? 100 : 0;
			w->orig[pf][vf] = f->pf[pf].vf[vf];
		}
	f->landing = landing;
	fake_restart(f);
	world_watch(f);
	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		struct world_guest *guest = &w->guest[g];

		(void)snprintf(guest->uuid, sizeof(guest->uuid), "%08u-2222-3333-4444-555555555555",
			       g);
		guest->nnics = g == 0 ? 2 : 1;
		guest->wishes = g % 2;
		guest->priority = (int)g % 3;
		guest->profile = g >= 4;
		for (unsigned n = 0; n < guest->nnics; n++) {
			guest->nic[n].mac = mac_a;
			guest->nic[n].mac.b[4] = (uint8_t)(g + 1);
			guest->nic[n].mac.b[5] = (uint8_t)n;
			guest->nic[n].pf = n;
		}
	}
}

void world_done(struct world *w)
{
	world = NULL;
	fake_free(w->f);
	world_watch_commits(false);
}

static struct sfh_guest_desc describe(const struct world_guest *g, struct sfh_guest_nic nics[])
{
	for (unsigned n = 0; n < g->nnics; n++) {
		const struct world_nic *nic = &g->nic[n];

		nics[n] = fake_nic(&nic->mac);
		(void)snprintf(nics[n].pf, sizeof(nics[n].pf), "pf%u", nic->pf);
		(void)snprintf(nics[n].standby, sizeof(nics[n].standby), "macvtap%u", nic->run);
		nics[n].has_vf = nic->has_vf || nic->carried;
		nics[n].vf = nic->vf;
		nics[n].priority = g->priority;
		if (g->profile)
			(void)strcpy(nics[n].profile, "tenants");
		if (!g->wishes)
			continue;
		nics[n].kind = SFH_STANDBY_TAP; /* and spoofchk off: see world_rx() */
		nics[n].wish.what = SFH_VF_VLAN | SFH_VF_QOS | SFH_VF_EXTRAS;
		nics[n].wish.optional = SFH_VF_LINK_STATE | SFH_VF_RATE;
		nics[n].wish.cfg = (struct sfh_vf_config){
			.vlan = 42, .qos = 5, .trust = true, .max_tx = 1000, .link_state = 1};
	}
	return fake_guest(g->uuid, nics, g->nnics);
}

struct sfh_pair *world_pair(const struct world *w, const struct world_guest *g, unsigned nic)
{
	return sfh_engine_pair(&w->f->e, g->uuid, &g->nic[nic].mac);
}

void world_start(struct world *w, struct world_guest *g, bool found)
{
	struct sfh_guest_nic nics[WORLD_NICS];
	struct sfh_guest_desc desc = describe(g, nics);

	g->life = GUEST_RUNS;
	sfh_engine_guest_running(&w->f->e, &desc, found);
}

bool world_arriving(struct world *w, struct world_guest *g, bool carried)
{
	struct sfh_guest_nic nics[WORLD_NICS];
	struct sfh_guest_desc desc = describe(g, nics);

	for (unsigned n = 0; n < g->nnics; n++) {
		nics[n].pf[0] = nics[n].standby[0] = '\0';
		nics[n].has_vf = carried;
	}
	if (sfh_engine_guest_arriving(&w->f->e, &desc, NULL) < 0)
		return false;
	g->life = GUEST_COMING;
	for (unsigned n = 0; n < g->nnics; n++)
		g->nic[n].carried = carried;
	return true;
}

void world_devices(struct world *w, struct world_guest *g)
{
	struct sfh_guest_nic nics[WORLD_NICS];
	struct sfh_guest_desc desc = describe(g, nics);

	g->life = GUEST_DEVICES;
	sfh_engine_guest_devices(&w->f->e, &desc);
}

void world_stop(struct world *w, struct world_guest *g, bool tell)
{
	g->life = GUEST_OFF;
	g->migrating = g->yields = false;
	for (unsigned n = 0; n < g->nnics; n++) {
		struct world_nic *nic = &g->nic[n];

		nic->talks = nic->address = nic->plugging = nic->unplugging = nic->has_vf = false;
		nic->carried = false;
		nic->run++;
	}
	if (tell)
		sfh_engine_guest_event(&w->f->e, g->uuid, SFH_EV_STOPPED, NULL);
}

void world_restart(struct world *w)
{
	bool negotiated[WORLD_GUESTS] = {false};

	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		struct sfh_ledger_pair row;

		negotiated[g] = w->guest[g].nnics == 1 && fake_row(w->f, w->guest[g].uuid, &row) &&
				row.negotiated;
	}
	fake_restart(w->f);
	world_watch(w->f);
	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		const struct sfh_pair *p;

		if (w->guest[g].life != GUEST_RUNS)
			continue;
		w->guest[g].yields = false; /* it is over by now, and the guest stayed */
		world_start(w, &w->guest[g], true);
		p = world_pair(w, &w->guest[g], 0);
		if (negotiated[g] && p && !p->negotiated)
			world_wrong("a restart forgets that guest %u has negotiated", g);
	}
	(void)sfh_engine_sweep(&w->f->e);
}

/* --- what happens ------------------------------------------------------------------------------
 */

void world_frame(struct world *w, struct world_guest *g, unsigned nic)
{
	struct sfh_pair *p = world_pair(w, g, nic);

	g->nic[nic].talks = true;
	if (p)
		fake_first_frame(w->f, p);
}

void world_plug_lost(struct world *w, struct world_guest *g, unsigned nic, bool done)
{
	g->nic[nic].plugging = false;
	g->nic[nic].has_vf |= done;
	sfh_engine_pair_event(&w->f->e, g->uuid, &g->nic[nic].mac, SFH_EV_PLUG_LOST, NULL);
}

void world_plug_answer(struct world *w, struct world_guest *g, unsigned nic, bool ok)
{
	ok |= g->nic[nic].has_vf; /* by an earlier plug, whose answer was lost */
	g->nic[nic].plugging = false;
	g->nic[nic].has_vf = ok;
	sfh_engine_pair_event(&w->f->e, g->uuid, &g->nic[nic].mac,
			      ok ? SFH_EV_PLUGGED : SFH_EV_PLUG_FAILED, NULL);
}

void world_unplug_answer(struct world *w, struct world_guest *g, unsigned nic, bool ok)
{
	g->nic[nic].unplugging = false;
	g->nic[nic].has_vf &= !ok;
	g->nic[nic].carried &= !ok;
	sfh_engine_pair_event(&w->f->e, g->uuid, &g->nic[nic].mac,
			      ok ? SFH_EV_UNPLUGGED : SFH_EV_UNPLUG_FAILED, NULL);
}

bool world_can_prove(const struct world *w, const struct world_guest *g, unsigned nic)
{
	const struct sfh_pair *p = world_pair(w, g, nic);
	const struct fake_entry *entry = p ? fake_entry_of(w->f, p) : NULL;

	return entry && entry->proof && p->has_lease &&
	       (g->nic[nic].has_vf || g->nic[nic].plugging) &&
	       w->f->pf[g->nic[nic].pf].vf[p->lease.vf].vlan == SFH_PARK_VLAN;
}

/* The guest answers over its VF, if that is asked and it can. */
bool world_proof(struct world *w, struct world_guest *g, unsigned nic)
{
	struct sfh_pair *p = world_pair(w, g, nic);

	if (!world_can_prove(w, g, nic))
		return false;
	((struct fake_entry *)fake_entry_of(w->f, p))->proof = false;
	sfh_pair_dispatch(&w->f->e, p, SFH_EV_PROOF, NULL);
	return true;
}

/* As fake_sleep(), but a probe every 2 ms is too much. */
void world_sleep(struct world *w, uint64_t ms)
{
	uint64_t end = fake_now + ms * FAKE_MS;

	for (int i = 0;; i++) {
		uint64_t next = UINT64_MAX;

		for (const struct sfh_pair *p = w->f->e.pairs; p; p = p->next) {
			if (p->deadline_ns && p->deadline_ns < next)
				next = p->deadline_ns;
			if (p->retry_ns && p->retry_ns < next)
				next = p->retry_ns;
			if (p->port_look_ns && p->port_look_ns < next)
				next = p->port_look_ns;
		}
		if (next > end)
			break;
		if (i > 20000) {
			world_wrong("the engine turns without end");
			break;
		}
		if (next > fake_now)
			fake_now = next;
		sfh_engine_tick(&w->f->e);
	}
	fake_now = end;
	sfh_engine_tick(&w->f->e);
}

/* QEMU tells what a guest's NIC is to receive: groups, addresses that others may have,
 * too, and another guest's own. */
void world_rx(struct world *w, struct world_guest *g, unsigned nic, uint32_t arg)
{
	const struct sfh_pair *p = world_pair(w, g, nic);
	struct sfh_mac macs[9];
	size_t n = 0;

	if (!p || p->state == SFH_PAIR_ARRIVING)
		return;
	for (uint8_t i = 0; i < 8; i++)
		if (arg >> i & 1)
			macs[n++] = (struct sfh_mac){ { i % 2 ? 0x33 : 0x02, 0x33, 0, 0, 9, i } };
	if (arg & 0x100)
		macs[n++] = w->guest[arg >> 9 & 3].nic[0].mac;
	sfh_engine_rx_told(&w->f->e, g->uuid, &p->mac, 0, macs, n);
}
