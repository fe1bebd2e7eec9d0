// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/netsetup.h"

#include <string.h>

#include "ctl/core/steps.h"

#define PFS_MAX 64

struct change {
	const struct sfh_netsetup *s;
	size_t done; /* PFs that were set up */
	bool started;
};

static const char *name_of(const struct change *c)
{
	return c->s->row.name;
}

/* --- what the ledger has of it ---------------------------------------------------------- */

struct pf_names {
	const char *network;
	char dev[PFS_MAX][16];
	size_t n;
};

static int note_pf(void *ctx, const struct sfh_ledger_pf *row)
{
	struct pf_names *f = ctx;

	if (strcmp(row->network, f->network) == 0 && f->n < PFS_MAX)
		(void)sfh_strcpy(f->dev[f->n++], sizeof(f->dev[0]), row->dev);
	return 0;
}

/* The last first: the PF that made a bridge is the last to leave it. */
static int pfs_down(const struct sfh_netsetup *s, struct sfh_error *err)
{
	struct pf_names f = { .network = s->row.name };
	int ret = sfh_ledger_pfs(s->pf.ledger, note_pf, &f);

	while (f.n-- > 0) {
		struct sfh_error why = { 0 };
		int r = sfh_pf_down(&s->pf, f.dev[f.n], &why);

		if (r < 0 && (ret == 0 || ret == -EBUSY)) {
			if (err)
				*err = why;
			ret = r;
		}
	}
	return ret;
}

/* --- up as steps ------------------------------------------------------------------------- */

static int put_phase(const struct change *c, enum sfh_network_phase phase, struct sfh_error *err)
{
	struct sfh_ledger_network row = c->s->row;

	row.phase = phase;
	row.trouble[0] = '\0';
	return sfh_ledger_network_put(c->s->pf.ledger, &row, err);
}

static int step_row(void *ctx, struct sfh_error *err)
{
	return put_phase(ctx, SFH_NETWORK_COMING, err);
}

static int undo_row(void *ctx)
{
	struct change *c = ctx;
	struct pf_names left = { .network = name_of(c) };

	/* A PF that could not be put back keeps its network: for the next try. */
	(void)sfh_ledger_pfs(c->s->pf.ledger, note_pf, &left);
	return left.n ? -EBUSY : sfh_ledger_network_del(c->s->pf.ledger, name_of(c), NULL);
}

static int undo_pfs(void *ctx)
{
	struct change *c = ctx;
	int ret = 0;

	while (c->done > 0) {
		int r = sfh_pf_down(&c->s->pf, c->s->pfs[--c->done].dev, NULL);

		ret = ret ? ret : r;
	}
	return ret;
}

static int pf_up(const struct change *c, size_t i, struct sfh_error *err)
{
	struct sfh_pfsetup pf = c->s->pf;

	pf.vfs = c->s->pfs[i].vfs;
	return sfh_pf_up(&pf, c->s->pfs[i].dev, err);
}

static int step_pfs(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	int r = 0;

	while (c->done < c->s->npfs && (r = pf_up(c, c->done, err)) == 0)
		c->done++;
	if (r < 0)
		(void)undo_pfs(c);
	return r;
}

static int step_start(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	int r;

	c->started = !c->s->hv->active(c->s->hv_ctx, name_of(c));
	r = c->started ? c->s->hv->start(c->s->hv_ctx, name_of(c), err) : 0;
	return r;
}

static int undo_start(void *ctx)
{
	struct change *c = ctx;

	return c->started ? c->s->hv->stop(c->s->hv_ctx, name_of(c), NULL) : 0;
}

static int step_guests(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;

	return c->s->hv->guests(c->s->hv_ctx, err);
}

static int step_done(void *ctx, struct sfh_error *err)
{
	return put_phase(ctx, SFH_NETWORK_UP, err);
}

static const struct sfh_step steps[] = {
	{ "write the network down", step_row, undo_row },
	{ "set up its PFs", step_pfs, undo_pfs },
	{ "start libvirt's network", step_start, undo_start },
	{ "look for its guests", step_guests, NULL },
	{ "write the network down", step_done, NULL },
};

/* It is up, or was when the last agent ended: guests may run on it, so nothing of
 * it is taken away. */
static int refresh(struct change *c, struct sfh_error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->s->npfs && r == 0; i++)
		r = pf_up(c, i, err);
	if (r == 0)
		r = step_start(c, err);
	if (r == 0)
		r = step_guests(c, err);
	if (r == 0)
		return step_done(c, err);
	(void)sfh_ledger_network_trouble(c->s->pf.ledger, name_of(c), err ? err->text : "", NULL);
	return r;
}

int sfh_net_up(const struct sfh_netsetup *s, struct sfh_error *err)
{
	struct change c = { .s = s };
	struct sfh_ledger_network row;
	struct sfh_error own = { 0 };
	int r = sfh_ledger_network_get(s->pf.ledger, s->row.name, &row);

	err = err ? err : &own;
	if (r < 0 && r != -ENOENT)
		return sfh_err(err, r, "cannot read the ledger");
	if (r == 0 && row.phase == SFH_NETWORK_UP)
		return refresh(&c, err);
	if (r == 0) { /* cut short */
		struct sfh_netsetup back = *s;

		back.pf.keep_path = row.phase == SFH_NETWORK_GOING_KEEP;
		r = sfh_net_down(&back, err);
		if (r < 0)
			return r;
	}
	return sfh_steps_run(steps, SFH_ARRAY_SIZE(steps), &c, err);
}

/* --- down ---------------------------------------------------------------------------------- */

int sfh_net_down(const struct sfh_netsetup *s, struct sfh_error *err)
{
	struct sfh_ledger *l = s->pf.ledger;
	const char *name = s->row.name;
	struct sfh_ledger_network row;
	struct sfh_error own = { 0 };
	int r = sfh_ledger_network_get(l, name, &row), busy = 0;

	err = err ? err : &own;
	if (r < 0 && r != -ENOENT)
		return sfh_err(err, r, "cannot read the ledger");
	if (r == 0 && row.phase == SFH_NETWORK_UP) {
		r = sfh_ledger_network_phase(l, name, s->pf.keep_path ? SFH_NETWORK_GOING_KEEP
								      : SFH_NETWORK_GOING,
					     err);
		if (r < 0)
			return r;
	}
	r = s->hv->stop(s->hv_ctx, name, err);
	if (r < 0) {
		(void)sfh_ledger_network_phase(l, name, row.phase, NULL);
		return r;
	}
	r = pfs_down(s, err);
	if (r == -EBUSY) { /* VFs that are another's stay, nothing of ours does */
		busy = r;
		r = 0;
	}
	if (r < 0) {
		(void)sfh_ledger_network_trouble(l, name, err->text, NULL);
		return r;
	}
	r = sfh_ledger_network_del(l, name, busy ? NULL : err);
	return busy ? busy : r;
}
