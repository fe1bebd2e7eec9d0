// SPDX-License-Identifier: GPL-2.0-or-later
/* What the engine does to the world, watched: each call into kernel and hypervisor and
 * each commit is a boundary, at which it may end, and a refusal is noted against whoever
 * may disagree from then on. */
#include "tests/unit/world_priv.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const struct sfh_kernel_ops *kernel; /* the fake's own */
static const struct sfh_hypervisor_ops *hypervisor;

/* --- boundaries ------------------------------------------------------------------------- */

static void boundary(void)
{
	if (++world->boundary == world->die_at)
		world->die();
}

static int on_commit(void *ctx)
{
	(void)ctx;
	if (world)
		boundary();
	return 0;
}

/* Of each connection; whoever is killed loses nothing that the kernel has. */
static int on_open(sqlite3 *db, const char **err, const void *thunk)
{
	(void)err, (void)thunk;
	(void)sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
	(void)sqlite3_commit_hook(db, on_commit, NULL);
	return SQLITE_OK;
}

void world_watch_commits(bool on)
{
	void (*entry)(void) = (void (*)(void))on_open;

	if (on)
		(void)sqlite3_auto_extension(entry);
	else
		(void)sqlite3_cancel_auto_extension(entry);
}

/* --- operations, watched -------------------------------------------------------------------- */

static int steering(const struct sfh_pair *p, int r)
{
	struct world_nic *nic = world_nic_by_mac(&p->mac);

	if (r < 0 && nic)
		nic->steering_refused = true;
	boundary();
	return r;
}

static int w_vf_list(void *ctx, const char *pf, struct sfh_vf_slot *slots, size_t n,
		     struct sfh_error *err)
{
	return kernel->vf_list(ctx, pf, slots, n, err);
}

static int w_vf_get(void *ctx, int ifindex, unsigned vf, struct sfh_vf_config *ret,
		    struct sfh_error *err)
{
	int r;

	boundary();
	r = kernel->vf_get(ctx, ifindex, vf, ret, err);
	if (r < 0)
		world->unread[ifindex - 100][vf] = true;
	return r;
}

static int w_vf_set(void *ctx, int ifindex, unsigned vf, unsigned what,
		    const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	int r;

	boundary();
	r = kernel->vf_set(ctx, ifindex, vf, what, cfg, err);
	if (r < 0)
		world->refused[ifindex - 100][vf] = true;
	boundary();
	return r;
}

static int w_port_ask(void *ctx, int ifindex, const struct sfh_lease *lease, uint8_t request,
		      struct sfh_error *err)
{
	int r;

	boundary();
	r = kernel->port_ask(ctx, ifindex, lease, request, err);
	if (r < 0)
		world->refused[ifindex - 100][lease->vf] = true;
	boundary();
	return r;
}

static int w_port_answer(void *ctx, int ifindex, unsigned vf, uint8_t *request,
			 struct sfh_error *err)
{
	int r = kernel->port_answer(ctx, ifindex, vf, request, err);

	if (r < 0 && r != -EINPROGRESS)
		world->refused[ifindex - 100][vf] = true;
	return r;
}

static int w_standby_attach(void *ctx, struct sfh_pair *p, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->standby_attach(ctx, p, err));
}

static int w_stage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->stage(ctx, p, err));
}

static int w_arm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->arm(ctx, p, err));
}

static int w_disarm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->disarm(ctx, p, err));
}

static int w_on_vf(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->on_vf(ctx, p, err));
}

static int w_backlog(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	boundary();
	return steering(p, kernel->backlog(ctx, p, on, err));
}

static int w_unstage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	const struct fake_entry *entry = fake_entry_of(world->f, p);
	int r;

	boundary();
	r = kernel->unstage(ctx, p, err);
	for (size_t i = 0; r < 0 && entry && i < FAKE_ENTRIES; i++)
		if (!world->orphan[i].used) {
			world->orphan[i] = *entry;
			break;
		}
	boundary();
	return r;
}

static int w_seen(void *ctx, const struct sfh_pair *p, struct sfh_pair_seen *ret)
{
	const struct world_nic *nic = world_nic_by_mac(&p->mac);
	int r = kernel->seen(ctx, p, ret);

	if (r == 0 && nic)
		*ret = (struct sfh_pair_seen){.first_frame = nic->talks, .ip4 = nic->address, .ip4_ns = fake_now};
	return r;
}

static int w_want_proof(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	int r;

	boundary();
	r = kernel->want_proof(ctx, p, on, err);
	boundary();
	return r;
}

static int w_can_pin(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	(void)ctx, (void)p;
	return world->no_memory ? sfh_err(err, -ENOMEM, "no memory to spare") : 0;
}

static int w_plug(void *ctx, const struct sfh_pair *p)
{
	struct world_nic *nic = world_nic_by_mac(&p->mac);
	int r;

	boundary();
	r = hypervisor->plug(ctx, p);
	if (r == 0 && nic) {
		if ((nic->has_vf && !p->plug_lost) || nic->plugging)
			world_wrong("a second VF is plugged");
		nic->plugging = true;
		nic->vf = p->lease.bdf;
	}
	boundary();
	return r;
}

static int w_unplug(void *ctx, const struct sfh_pair *p)
{
	struct world_nic *nic = world_nic_by_mac(&p->mac);
	int r;

	boundary();
	r = hypervisor->unplug(ctx, p);
	if (r == 0 && nic) {
		if (!nic->has_vf && !nic->carried)
			world_wrong("what is not there is unplugged");
		nic->unplugging = !nic->carried || !nic->unplugging;
	}
	boundary();
	return r;
}

static int w_migrate(void *ctx, const char *uuid, const char *uri)
{
	int r = hypervisor->migrate(ctx, uuid, uri);

	for (size_t g = 0; r == 0 && g < WORLD_GUESTS; g++) {
		struct world_guest *guest = &world->guest[g];

		if (strcmp(guest->uuid, uuid) != 0)
			continue;
		guest->migrating = true;
		for (unsigned n = 0; n < guest->nnics; n++)
			if (guest->nic[n].has_vf || guest->nic[n].plugging)
				world_wrong("migrated with a VF in its XML");
	}
	boundary();
	return r;
}

static struct sfh_kernel_ops watched_kernel;
static const struct sfh_hypervisor_ops watched_hypervisor = {
	.plug = w_plug, .unplug = w_unplug, .migrate = w_migrate};

void world_watch(struct fake *f)
{
	if (f->e.kernel != &watched_kernel) {
		kernel = f->e.kernel;
		hypervisor = f->e.hv;
	}
	watched_kernel = *kernel;
	watched_kernel.vf_list = w_vf_list;
	watched_kernel.vf_get = w_vf_get;
	watched_kernel.vf_set = w_vf_set;
	watched_kernel.port_ask = w_port_ask;
	watched_kernel.port_answer = w_port_answer;
	watched_kernel.standby_attach = w_standby_attach;
	watched_kernel.stage = w_stage;
	watched_kernel.arm = w_arm;
	watched_kernel.disarm = w_disarm;
	watched_kernel.on_vf = w_on_vf;
	watched_kernel.unstage = w_unstage;
	watched_kernel.seen = w_seen;
	watched_kernel.want_proof = w_want_proof;
	watched_kernel.backlog = w_backlog;
	watched_kernel.can_pin = w_can_pin;
	f->e.kernel = &watched_kernel;
	f->e.hv = &watched_hypervisor;
}

/* --- what a refusal left ------------------------------------------------------------------- */

void world_repair(struct world *w)
{
	for (size_t i = 0; i < FAKE_ENTRIES; i++) {
		struct fake_entry *entry = &w->f->entry[i];

		if (entry->used && !sfh_engine_pair_by_key(&w->f->e, &entry->key))
			entry->used = false;
		w->orphan[i].used = false;
	}
	for (size_t g = 0; g < WORLD_GUESTS; g++)
		for (unsigned n = 0; n < w->guest[g].nnics; n++) {
			struct sfh_pair *p = world_pair(w, &w->guest[g], n);

			if (!w->guest[g].nic[n].steering_refused)
				continue;
			if (p && !sfh_pair_at_rest(p))
				continue;
			if (p && kernel->stage(w->f, p, NULL) < 0)
				continue;
			if (p && p->state == SFH_PAIR_VF && kernel->disarm(w->f, p, NULL) < 0)
				continue;
			w->guest[g].nic[n].steering_refused = false;
		}
}
