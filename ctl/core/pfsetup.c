// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/pfsetup.h"

#include <stdio.h>
#include <string.h>

#include "ctl/core/nic/nic.h"
#include "ctl/core/steps.h"

struct change {
	const struct sfh_pfsetup *s;
	struct sfh_pf *pf;
	struct sfh_ledger_pf row;
};

char *sfh_pf_parklink_name(int pf_ifindex, char buf[16])
{
	(void)snprintf(buf, 16, "sfhpark%d", pf_ifindex);
	return buf;
}

static void say(const struct change *c, const char *what)
{
	char text[192];

	if (!c->s->progress)
		return;
	(void)snprintf(text, sizeof(text), "%s: %s", c->row.dev, what);
	c->s->progress(c->s->progress_ctx, text);
}

static int reread(struct change *c, struct sfh_error *err)
{
	struct sfh_pf *now = NULL;
	int r = c->s->ops->pf_read(c->s->env, c->row.dev, &now, err);

	if (r < 0)
		return r; /* what is undone now needs the last view */
	sfh_pf_free(&c->pf);
	c->pf = now;
	return 0;
}

/* --- originals ------------------------------------------------------------------------ */

struct find_pf {
	const char *dev;
	struct sfh_ledger_pf row;
	bool found;
};

static int match_pf(void *ctx, const struct sfh_ledger_pf *row)
{
	struct find_pf *f = ctx;

	if (strcmp(row->dev, f->dev) == 0) {
		f->row = *row;
		f->found = true;
	}
	return 0;
}

static int step_save(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	struct sfh_link link;
	int r = c->s->ops->link_get(c->s->nl, c->row.dev, &link, err);

	if (r == 0)
		r = c->s->ops->get_autoprobe(c->s->env, c->pf, &c->row.orig_autoprobe, err);
	if (r < 0)
		return r;
	c->row.ifindex = c->pf->ifindex;
	c->row.bdf = c->pf->bdf;
	c->row.orig_num_vfs = c->pf->num_vfs;
	c->row.orig_up = link.up;
	c->row.mtu = link.mtu;
	(void)sfh_strcpy(c->row.driver, sizeof(c->row.driver), c->pf->driver);
	return sfh_ledger_pf_put(c->s->ledger, &c->row, err);
}

static int undo_save(void *ctx)
{
	struct change *c = ctx;
	int r = sfh_ledger_vf_del(c->s->ledger, c->row.dev, NULL);
	int r2 = sfh_ledger_pf_del(c->s->ledger, c->row.dev, NULL);

	return r < 0 ? r : r2;
}

/* --- link -------------------------------------------------------------------------------- */

static int step_link(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;

	return c->row.orig_up ? 0 : c->s->ops->link_set_up(c->s->nl, c->row.ifindex, true, err);
}

static int undo_link(void *ctx)
{
	struct change *c = ctx;

	if (c->row.orig_up || c->s->keep_path)
		return 0;
	return c->s->ops->link_set_up(c->s->nl, c->row.ifindex, false, NULL);
}

/* --- VFs ------------------------------------------------------------------------------------ */

static int step_autoprobe(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;

	return c->s->ops->set_autoprobe(c->s->env, c->pf, false, err);
}

static int undo_autoprobe(void *ctx)
{
	struct change *c = ctx;

	return c->s->ops->set_autoprobe(c->s->env, c->pf, c->row.orig_autoprobe, NULL);
}

/* VFs that were there before may be somebody's: their number is left as it is. */
static void tell_number(const struct change *c)
{
	unsigned have = c->pf->num_vfs, want = c->s->vfs;
	char text[160];

	if (!want || have >= want)
		return;
	(void)snprintf(text, sizeof(text),
		       "warning: it has %u VFs, the network asks for %u; their number can only be "
		       "changed from 0 (sriov_numvfs) and they may be in use",
		       have, want);
	say(c, text);
}

static int step_create(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	unsigned want = c->s->vfs ? c->s->vfs : c->pf->total_vfs;
	char text[48];
	int r;

	if (want > c->pf->total_vfs)
		return sfh_err(err, -ERANGE, "'%s' can have %u VFs, %u were asked for", c->row.dev,
			       c->pf->total_vfs, want);
	if (c->pf->num_vfs > 0) {
		tell_number(c);
		return 0;
	}
	(void)snprintf(text, sizeof(text), "creating %u VFs", want);
	say(c, text);
	r = c->s->ops->set_num_vfs(c->s->env, c->pf, want, err);
	if (r < 0)
		return r;
	r = reread(c, err);
	if (r < 0)
		(void)c->s->ops->set_num_vfs(c->s->env, c->pf, 0, NULL);
	return r;
}

static int undo_create(void *ctx)
{
	struct change *c = ctx;
	char text[160], bdf[SFH_BDF_STRLEN];

	if (c->row.orig_num_vfs > 0 || c->pf->num_vfs == 0)
		return 0;
	for (unsigned i = 0; i < c->pf->num_vfs; i++) {
		const struct sfh_vf *vf = &c->pf->vfs[i];
		bool foreign = vf->driver[0] && strcmp(vf->driver, "vfio-pci") != 0;

		if (!foreign && (strcmp(vf->driver, "vfio-pci") != 0 || !c->s->ops->in_use(c->s->env, &vf->bdf)))
			continue;
		(void)snprintf(text, sizeof(text),
			       "warning: its VFs stay: %s is in use by %s that is not sfhybrid's",
			       sfh_bdf_format(&vf->bdf, bdf), foreign ? vf->driver : "a program");
		say(c, text);
		return -EBUSY;
	}
	return c->s->ops->set_num_vfs(c->s->env, c->pf, 0, NULL);
}

static bool excluded(const struct change *c, const struct sfh_bdf *bdf)
{
	for (size_t i = 0; i < c->s->nexcluded; i++)
		if (sfh_bdf_equal(&c->s->excluded[i], bdf))
			return true;
	return false;
}

struct restore {
	const struct change *c;
	int result;
};

static int restore_driver(void *ctx, const struct sfh_ledger_vf *vf)
{
	struct restore *f = ctx;
	int r = strcmp(vf->pf, f->c->row.dev) == 0
			? f->c->s->ops->bind(f->c->s->env, &vf->bdf, vf->orig_driver, NULL)
			: 0;

	f->result = f->result ? f->result : r;
	return 0;
}

static int undo_bind(void *ctx)
{
	struct change *c = ctx;
	struct restore f = { .c = c };

	/* VFs that go away with sriov_numvfs need no driver first. */
	if (c->row.orig_num_vfs == 0)
		return 0;
	(void)sfh_ledger_vfs(c->s->ledger, restore_driver, &f);
	return f.result;
}

static int step_bind(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;

	say(c, "binding VFs to vfio-pci");
	for (unsigned i = 0; i < c->pf->num_vfs; i++) {
		const struct sfh_vf *vf = &c->pf->vfs[i];
		int r;

		/* A VF that a host driver holds was there before us and is somebody's. */
		if (excluded(c, &vf->bdf) || (vf->driver[0] && strcmp(vf->driver, "vfio-pci")))
			continue;
		r = sfh_ledger_vf_put(c->s->ledger, c->row.dev, vf->index, &vf->bdf, vf->driver,
				      err);
		if (r == 0)
			r = c->s->ops->bind(c->s->env, &vf->bdf, "vfio-pci", err);
		if (r < 0) {
			(void)undo_bind(c);
			return r;
		}
	}
	return 0;
}

/* --- programs ---------------------------------------------------------------------------------- */

static int step_attach(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	struct sfh_steer_pf_info info = { 0 };
	/* XDP takes a frame to a tap past the bridge. A macvtap takes none from XDP: there
	 * the program would look at every frame of the PF for nothing. */
	bool taps = c->s->bridge[0];
	int r;

	say(c, "attaching eBPF programs");
	(void)pthread_mutex_lock(c->s->steer_lock);
	r = c->s->ops->attach(c->s->steer, (uint32_t)c->row.ifindex, taps, &info, err);
	(void)pthread_mutex_unlock(c->s->steer_lock);
	if (r < 0)
		return r;
	if (!taps && info.xdp == SFH_XDP_NONE)
		(void)sfh_strcpy(info.xdp_why, sizeof(info.xdp_why),
				 "a network on macvtap has no use for XDP");
	(void)snprintf(c->row.xdp, sizeof(c->row.xdp), "%s%s%s", sfh_xdp_name(info.xdp),
		       info.xdp_why[0] ? ": " : "", info.xdp_why);
	return 0;
}

/* What the other steps found out. The generation says that the PF is set up. */
static int step_note(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;

	c->row.generation = c->pf->generation;
	return sfh_ledger_pf_put(c->s->ledger, &c->row, err);
}

static int undo_attach(void *ctx)
{
	struct change *c = ctx;
	int r;

	(void)pthread_mutex_lock(c->s->steer_lock);
	r = c->s->ops->detach(c->s->steer, (uint32_t)c->row.ifindex, NULL);
	(void)pthread_mutex_unlock(c->s->steer_lock);
	return r;
}

/* --- the parking VLAN ------------------------------------------------------------------------------- */

/* The NIC's switch hands frames of a VLAN to the PF only if the PF is a member:
 * a VLAN link makes it one. It carries nothing, so it stays down. */
static int step_park(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	char name[16];
	int r;

	if (!sfh_nic_method_for(c->row.driver)->park)
		return 0;
	/* Written first: who dies in between leaves no link that nobody knows of. */
	c->row.parklink = true;
	r = sfh_ledger_pf_put(c->s->ledger, &c->row, err);
	return r < 0 ? r
		     : c->s->ops->vlan_add(c->s->nl, sfh_pf_parklink_name(c->row.ifindex, name),
					   c->row.ifindex, SFH_PARK_VLAN, err);
}

static int undo_park(void *ctx)
{
	struct change *c = ctx;
	char name[16];

	if (!c->row.parklink)
		return 0;
	return c->s->ops->link_del(c->s->nl, sfh_pf_parklink_name(c->row.ifindex, name), NULL);
}

/* --- linux-bridge mode ---------------------------------------------------------------------------------- */

struct heir {
	const struct change *c;
	struct sfh_ledger_pf row;
};

static int find_heir(void *ctx, const struct sfh_ledger_pf *row)
{
	struct heir *h = ctx;

	if (strcmp(row->network, h->c->s->network) != 0 || strcmp(row->dev, h->c->row.dev) == 0 ||
	    !row->bridged)
		return 0;
	h->row = *row;
	return 1;
}

/* Another PF of the network has to remember that the bridge is ours. */
static void hand_on_bridge(const struct change *c)
{
	struct heir h = { .c = c };

	if (sfh_ledger_pfs(c->s->ledger, find_heir, &h) != 1)
		return;
	h.row.bridged = SFH_PF_BRIDGE_MADE;
	(void)sfh_ledger_pf_put(c->s->ledger, &h.row, NULL);
}

static int undo_bridge(void *ctx)
{
	struct change *c = ctx;
	struct sfh_link bridge, port;
	int r;

	if (!c->row.bridged || c->s->keep_path)
		return 0;
	r = c->s->ops->link_set_master(c->s->nl, c->row.ifindex, 0, NULL);
	if (r < 0 || c->row.bridged != SFH_PF_BRIDGE_MADE)
		return r;
	r = c->s->ops->link_get(c->s->nl, c->s->bridge, &bridge, NULL);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	/* Ours goes with its last port; guests' taps are ports too. */
	r = c->s->ops->ports(c->s->nl, bridge.ifindex, &port, 1, NULL);
	if (r > 0)
		hand_on_bridge(c);
	return r == 0 ? c->s->ops->link_del(c->s->nl, c->s->bridge, NULL) : r < 0 ? r : 0;
}

static int step_bridge(void *ctx, struct sfh_error *err)
{
	struct change *c = ctx;
	struct sfh_link bridge;
	unsigned addresses;
	int r;

	if (!c->s->bridge[0])
		return 0;
	r = c->s->ops->addr_count(c->s->nl, c->row.ifindex, &addresses, err);
	if (r < 0)
		return r;
	if (addresses)
		return sfh_err(err, -EBUSY,
			       "'%s' carries addresses of this host, which a bridge port cannot: move "
			       "them, or use a macvtap mode",
			       c->row.dev);
	if (c->row.bridged != SFH_PF_BRIDGE_MADE)
		c->row.bridged = SFH_PF_BRIDGE_PORT;
	if (c->s->ops->link_get(c->s->nl, c->s->bridge, &bridge, NULL) < 0)
		c->row.bridged = SFH_PF_BRIDGE_MADE;
	/* Written first, as the parking link is. */
	r = sfh_ledger_pf_put(c->s->ledger, &c->row, err);
	if (r == 0 && c->row.bridged == SFH_PF_BRIDGE_MADE) {
		r = c->s->ops->bridge_add(c->s->nl, c->s->bridge, err);
		if (r == 0)
			r = c->s->ops->link_get(c->s->nl, c->s->bridge, &bridge, err);
	}
	if (r == 0)
		r = c->s->ops->link_set_up(c->s->nl, bridge.ifindex, true, err);
	if (r == 0)
		r = c->s->ops->link_set_master(c->s->nl, c->row.ifindex, bridge.ifindex, err);
	if (r < 0)
		(void)undo_bridge(c);
	return r;
}

static const struct sfh_step steps[] = {
	{ "save the PF's settings", step_save, undo_save },
	{ "set the PF up", step_link, undo_link },
	{ "switch off the automatic driver", step_autoprobe, undo_autoprobe },
	{ "create VFs", step_create, undo_create },
	{ "bind VFs to vfio-pci", step_bind, undo_bind },
	{ "attach the eBPF programs", step_attach, undo_attach },
	{ "join the parking VLAN", step_park, undo_park },
	{ "make the PF a bridge port", step_bridge, undo_bridge },
	{ "note what was found", step_note, NULL },
};

/* The device that was set up, with the VFs that it had then. */
static bool is_same(const struct sfh_ledger_pf *row, const struct sfh_pf *pf)
{
	return row->generation && row->ifindex == pf->ifindex &&
	       row->generation == pf->generation;
}

int sfh_pf_up(const struct sfh_pfsetup *s, const char *dev, struct sfh_error *err)
{
	struct change c = { .s = s };
	struct find_pf known = { .dev = dev };
	struct sfh_pf *again = NULL;
	int r = s->ops->pf_read(s->env, dev, &c.pf, err);

	if (r == 0)
		r = s->ops->iommu_check(s->env, err);
	if (r == 0)
		r = sfh_ledger_pfs(s->ledger, match_pf, &known);
	if (r < 0)
		goto out;
	if (known.found && strcmp(known.row.network, s->network) != 0) {
		r = sfh_err(err, -EBUSY, "'%s' belongs to the network '%s'", dev, known.row.network);
		goto out;
	}
	if (known.found && is_same(&known.row, c.pf)) {
		/* Up already: the programs of this build, nothing else. */
		c.row = known.row;
		r = step_attach(&c, err);
		if (r == 0)
			r = step_note(&c, err);
		goto out;
	}
	if (known.found && !known.row.generation) { /* cut short: what it was is in the row */
		r = sfh_pf_down(s, dev, err);
		if (r == 0)
			r = s->ops->pf_read(s->env, dev, &again, err);
		if (r < 0)
			goto out;
		sfh_pf_free(&c.pf);
		c.pf = again;
	} else if (known.found) { /* it went and came back: what it had is gone with it */
		c.row = known.row;
		(void)undo_attach(&c);
		(void)sfh_ledger_vf_del(s->ledger, dev, NULL);
		c.row = (struct sfh_ledger_pf){ .bridged = known.row.bridged };
	}
	(void)sfh_strcpy(c.row.dev, sizeof(c.row.dev), dev);
	(void)sfh_strcpy(c.row.network, sizeof(c.row.network), s->network);
	r = sfh_steps_run(steps, SFH_ARRAY_SIZE(steps), &c, err);
out:
	sfh_pf_free(&c.pf);
	return r;
}

int sfh_pf_down(const struct sfh_pfsetup *s, const char *dev, struct sfh_error *err)
{
	struct change c = { .s = s };
	struct find_pf known = { .dev = dev };
	int r = sfh_ledger_pfs(s->ledger, match_pf, &known);

	if (r < 0 || !known.found)
		return r;
	c.row = known.row;
	r = s->ops->pf_read(s->env, dev, &c.pf, err);
	if (r < 0 && r != -ENODEV && r != -EOPNOTSUPP)
		return r;
	if (r < 0) {
		if (err)
			*err = (struct sfh_error){ 0 };
		/* Gone, and its VFs with it: only what we keep of it is left. */
		(void)undo_attach(&c);
		return undo_save(&c);
	}
	say(&c, "taking programs and VFs back");
	r = sfh_steps_undo(steps + 1, SFH_ARRAY_SIZE(steps) - 1, &c);
	sfh_pf_free(&c.pf);
	if (r == 0 || r == -EBUSY) {
		int r2 = undo_save(&c);

		r = r < 0 ? r : r2;
	}
	return r < 0 ? sfh_err(err, r, "'%s' is not quite as it was before: %s", dev,
			       strerrordesc_np(-r))
		     : 0;
}
