// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VF a pair gets, and what it is told: a table of steps with undo. */
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/core/steps.h"
#include "ctl/engine/inventory.h"

/* VFs that one lease tries when it finds that somebody else took them. */
#define CANDIDATES 4
/* A PF without a free VF is looked at again, but not more often than that. */
#define REREAD_NS 1000000000ull
/* An optional setting that the driver puts off is waited for so many times. */
#define OPTIONAL_TRIES 3

static const struct sfh_mac zero_mac;

/* --- telling a VF --------------------------------------------------------------------- */

/* A driver that knows no VLANs of VFs, and tells none, has none to take off. */
static bool has_no_vlans(struct sfh_engine *e, int ifindex, unsigned vf, unsigned what,
			 const struct sfh_vf_config *cfg)
{
	struct sfh_vf_config now;

	return (what & SFH_VF_VLAN_PARTS) == SFH_VF_VLAN && !cfg->vlan &&
	       e->kernel->vf_get(e->kernel_ctx, ifindex, vf, &now, NULL) == 0 &&
	       !(now.known & SFH_VF_VLAN);
}

static int set_vf(struct sfh_engine *e, int ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	struct sfh_error why = { 0 };
	int r = e->kernel->vf_set(e->kernel_ctx, ifindex, vf, what, cfg, &why);

	if (r == -EOPNOTSUPP && has_no_vlans(e, ifindex, vf, what, cfg)) {
		what &= ~SFH_VF_VLAN;
		why.code = 0;
		r = what ? e->kernel->vf_set(e->kernel_ctx, ifindex, vf, what, cfg, &why) : 0;
	}
	if (r < 0)
		(void)sfh_err(err, r, "%s", why.text);

	/* -EBUSY is the ledger's word for a VF that is taken; a driver's means later. */
	return r == -EBUSY ? -EAGAIN : r;
}

static bool tagged_otherwise(const struct sfh_vf_config *cfg)
{
	return cfg->proto && cfg->proto != ETH_P_8021Q;
}

/* MAC zero, and the VLAN as it was. */
static int silence(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err)
{
	struct sfh_vf_config back = lease->orig;
	unsigned what = SFH_VF_MAC | SFH_VF_VLAN;

	back.mac = zero_mac;
	if (back.qos)
		what |= SFH_VF_QOS;
	if (tagged_otherwise(&back))
		what |= SFH_VF_PROTO;
	return set_vf(e, ifindex, lease->vf, what, &back, err);
}

/* The VF has its port profile while it has the MAC. One failure does not keep the other
 * half back. */
static int quiet(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err)
{
	int r = sfh_port_end(e, ifindex, lease, err);
	int q = silence(e, ifindex, lease, r < 0 ? NULL : err);

	return r < 0 ? r : q;
}

/* What release puts back where the driver never said what it was before. */
static struct sfh_vf_config originals(const struct sfh_lease *lease)
{
	struct sfh_vf_config cfg = { .spoofchk = true, .link_state = IFLA_VF_LINK_STATE_AUTO };

	sfh_vf_config_copy(&cfg, &lease->orig, lease->orig.known & SFH_VF_EXTRAS);
	return cfg;
}

/* One message each: one that is refused must not keep the others back. Tries all
 * and returns the first failure. */
static int put_back(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		    unsigned what, struct sfh_error *err)
{
	struct sfh_vf_config orig = originals(lease);
	int ret = 0;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1)
		if (what & SFH_VF_EXTRAS & bit) {
			int r = set_vf(e, ifindex, lease->vf, bit, &orig, ret ? NULL : err);

			ret = ret ? ret : r;
		}
	return ret;
}

/* --- the VLAN of a pair ------------------------------------------------------------------ */

static uint16_t vlan_of(const struct sfh_pair *p)
{
	return p->wish.what & SFH_VF_VLAN ? p->wish.cfg.vlan : p->vlan;
}

/* The VLAN's settings as the guest's frames need them, and which they are. */
static unsigned final_vlan(const struct sfh_pair *p, struct sfh_vf_config *cfg)
{
	*cfg = (struct sfh_vf_config){ .vlan = vlan_of(p) };
	if (p->wish.what & SFH_VF_VLAN)
		sfh_vf_config_copy(cfg, &p->wish.cfg, p->wish.what & SFH_VF_VLAN_PARTS);
	return SFH_VF_VLAN | (p->wish.what & (SFH_VF_QOS | SFH_VF_PROTO));
}

/* --- a lease as steps ---------------------------------------------------------------------- */

struct lease_change {
	struct sfh_engine *e;
	struct sfh_pair *p;
	struct sfh_lease lease, before; /* before: of a VF that was reserved or held */
	struct sfh_vf_config want;	/* MAC, VLAN for now, and what must be */
	unsigned vlan_parts;		/* SFH_VF_VLAN and what goes with it */
	unsigned done;			/* settings beside MAC and VLAN that were written */
	unsigned kept;			/* those that the VF has had since before */
	bool foreign;			/* the VF has a MAC of somebody else */
	bool dirty;			/* it could not be put back: the row must stay */
};

static int step_save(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	char mac[SFH_MAC_STRLEN];
	int r = c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf,
				     &c->lease.orig, err);

	if (r == 0 && !sfh_mac_is_zero(&c->lease.orig.mac)) {
		c->foreign = true;
		return sfh_err(err, -EADDRINUSE, "VF %u carries MAC %s, which is not ours",
			       c->lease.vf, sfh_mac_format(&c->lease.orig.mac, mac));
	}
	return r;
}

static int step_row(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;

	return sfh_ledger_lease_add(c->e->ledger, &c->lease, err);
}

static int undo_row(void *ctx)
{
	struct lease_change *c = ctx;

	/* A VF with a MAC and no lease is what must not be. */
	return c->dirty ? -EBUSY
			: sfh_ledger_lease_del(c->e->ledger, c->lease.pf, c->lease.vf, NULL);
}

static int step_row_again(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;

	return sfh_ledger_lease_update(c->e->ledger, &c->lease, err);
}

static int undo_row_again(void *ctx)
{
	struct lease_change *c = ctx;

	return c->dirty ? -EBUSY : sfh_ledger_lease_update(c->e->ledger, &c->before, NULL);
}

/* A VF that cannot be quieted keeps its row: see stick(). */
static int undo_program(void *ctx)
{
	struct lease_change *c = ctx;
	int r = silence(c->e, c->p->pf_ifindex, &c->lease, NULL);

	c->dirty |= r < 0;
	return r;
}

/* Most drivers know nothing of port profiles: that is asked before the VF is touched. */
static int step_port_able(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	int r;

	if (!c->lease.profile[0])
		return 0;
	r = c->e->kernel->port_able
		    ? c->e->kernel->port_able(c->e->kernel_ctx, c->p->pf_ifindex, err)
		    : sfh_err(err, -EOPNOTSUPP, "port profiles are not supported");
	c->p->port_refused = r == -EOPNOTSUPP;
	return r;
}

/* A VLAN that is more than a number is tried while the VF has no MAC yet: the
 * unpark, when the guest's traffic hangs on it, is too late to be refused. */
static int step_try_vlan(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	struct sfh_vf_config cfg;
	unsigned what = final_vlan(c->p, &cfg);

	if (what == SFH_VF_VLAN)
		return 0;
	return set_vf(c->e, c->p->pf_ifindex, c->lease.vf, what, &cfg, err);
}

static int undo_try_vlan(void *ctx)
{
	struct lease_change *c = ctx;
	struct sfh_vf_config cfg;

	return final_vlan(c->p, &cfg) == SFH_VF_VLAN ? 0 : undo_program(ctx);
}

static int step_program(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	struct sfh_vf_config now;
	int r = set_vf(c->e, c->p->pf_ifindex, c->lease.vf, SFH_VF_MAC | c->vlan_parts, &c->want,
		       err);

	/* The kernel applies one setting after the other: a refusal may be half a set. */
	if (r < 0 && (c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf, &now,
					   NULL) < 0 ||
		      sfh_mac_equal(&now.mac, &c->want.mac)))
		(void)undo_program(c);
	return r;
}

static int undo_extras(void *ctx)
{
	struct lease_change *c = ctx;
	int r = put_back(c->e, c->p->pf_ifindex, &c->lease, c->done, NULL);

	c->dirty |= r < 0;
	return r;
}

/* One message each, so that a refusal names its setting and is not half a set. */
static int step_required(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	unsigned must = c->p->wish.what & ~c->p->wish.optional & SFH_VF_EXTRAS;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1) {
		int r = must & bit ? set_vf(c->e, c->p->pf_ifindex, c->lease.vf, bit,
					    &c->p->wish.cfg, err)
				   : 0;

		if (r < 0) {
			(void)undo_extras(c);
			return r;
		}
		c->done |= must & bit;
	}
	return 0;
}

static int step_optional(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	unsigned may = c->p->wish.what & c->p->wish.optional & SFH_VF_EXTRAS;
	unsigned before = c->done;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1) {
		struct sfh_error why = { 0 };
		int r = may & bit ? set_vf(c->e, c->p->pf_ifindex, c->lease.vf, bit,
					   &c->p->wish.cfg, &why)
				  : 0;

		if (r == -EAGAIN && c->p->lease_tries < OPTIONAL_TRIES) {
			c->done &= ~before; /* the required ones have an undo of their own */
			(void)undo_extras(c);
			c->done = before;
			return sfh_err(err, r, "%s", why.text);
		}
		if (r < 0 && !(c->kept & bit)) { /* else it has it, and must lose it later */
			c->lease.refused |= bit;
			sfh_engine_log(c->e, LOG_NOTICE, "%s does without: %s", c->p->domain_name,
				       why.text);
		}
		c->done |= r == 0 ? may & bit : 0;
	}
	return c->lease.refused ? sfh_ledger_lease_update(c->e->ledger, &c->lease, err) : 0;
}

static int undo_port(void *ctx)
{
	struct lease_change *c = ctx;
	int r = sfh_port_end(c->e, c->p->pf_ifindex, &c->lease, NULL);

	sfh_port_forget(c->p);
	c->dirty |= r < 0;
	return r;
}

/* After everything else: with it the port is the guest's. The answer may come later. */
static int step_port(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	int r = sfh_port_begin(c->e, c->p, &c->lease, err);

	if (r == 0 || r == -EINPROGRESS)
		return 0;
	(void)undo_port(c); /* it may be half a one */
	c->p->port_refused = r != -EAGAIN;
	return r;
}

static int step_read_back(void *ctx, struct sfh_error *err)
{
	struct lease_change *c = ctx;
	unsigned what = SFH_VF_MAC | c->vlan_parts | (c->done & ~c->p->wish.optional), differs;
	struct sfh_vf_config got;
	char mac[SFH_MAC_STRLEN], names[96];
	int r = c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf, &got, err);

	if (r < 0)
		return r;
	differs = sfh_vf_config_differs(&got, &c->want, what);
	if (differs & (SFH_VF_MAC | SFH_VF_VLAN))
		return sfh_err(err, -EIO, "VF %u says MAC %s, VLAN %u after it was told otherwise",
			       c->lease.vf, sfh_mac_format(&got.mac, mac), got.vlan);
	if (differs)
		return sfh_err(err, -EIO, "VF %u took %s without a word and kept what it had",
			       c->lease.vf, sfh_vf_settings_format(differs, names, sizeof(names)));
	return 0;
}

#define PROGRAM_STEPS                                                                              \
	{ "give the VF its port profile", step_port_able, NULL },                                  \
		{ "give the VF its VLAN", step_try_vlan, undo_try_vlan },                          \
		{ "program the VF", step_program, undo_program },                                  \
		{ "program the VF", step_required, undo_extras },                                  \
		{ "program the VF", step_optional, NULL },                                         \
		{ "give the VF its port profile", step_port, undo_port },                          \
		{ "read the VF back", step_read_back, NULL }

static const struct sfh_step lease_steps[] = {
	{ "read the VF's settings", step_save, NULL },
	{ "write the lease", step_row, undo_row },
	PROGRAM_STEPS,
};

/* A reservation is a row only: a VF that was active before takes the MAC's
 * frames away from the PF the moment it is programmed (research/lab.md). */
#define RESERVE_STEPS 2

/* Of a VF that was reserved, or held through a migration that failed. */
static const struct sfh_step again_steps[] = {
	{ "write the lease", step_row_again, undo_row_again },
	PROGRAM_STEPS,
};

static struct lease_change change(struct sfh_engine *e, struct sfh_pair *p)
{
	struct lease_change c = { .e = e, .p = p };

	c.want = p->wish.cfg;
	c.vlan_parts = final_vlan(p, &c.want);
	sfh_vf_config_copy(&c.want, &p->wish.cfg, p->wish.what & SFH_VF_EXTRAS);
	c.want.mac = p->mac;
	if (e->kernel->can_park(e->kernel_ctx, p->pf)) {
		c.want.vlan = SFH_PARK_VLAN;
		c.want.qos = 0;
		c.want.proto = ETH_P_8021Q;
		c.vlan_parts = SFH_VF_VLAN;
	}
	return c;
}

static void leased(struct lease_change *c)
{
	c->p->lease = c->lease;
	c->p->has_lease = true;
	c->p->parked = !c->lease.reserved && c->want.vlan != vlan_of(c->p);
}

/* --- which VF -------------------------------------------------------------------------------- */

static int give_back(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		     struct sfh_error *err)
{
	int r = lease->reserved ? 0 : quiet(e, ifindex, lease, err);

	if (r == 0 && !lease->reserved)
		r = put_back(e, ifindex, lease, lease->changed & ~lease->refused, err);
	return r < 0 ? r : sfh_ledger_lease_del(e->ledger, lease->pf, lease->vf, err);
}

/* A VF that could not be given back is remembered with its lease. */
static void stick(struct sfh_inventory *inv, const struct sfh_lease *lease)
{
	struct sfh_slot *s = inv && lease->vf < inv->n ? &inv->slots[lease->vf] : NULL;

	if (!s)
		return;
	sfh_inventory_take(inv, lease->vf, false);
	if (!s->stuck && (s->stuck = malloc(sizeof(*s->stuck))))
		inv->nstuck++;
	if (s->stuck)
		*s->stuck = *lease;
}

/* Tries them again when a VF is wanted; true if one came free. */
static bool unstick(struct sfh_engine *e, struct sfh_inventory *inv)
{
	unsigned tries = CANDIDATES;
	bool any = false;

	for (unsigned v = 0; v < inv->n && inv->nstuck && tries; v++) {
		struct sfh_slot *s = &inv->slots[v];

		if (!s->stuck)
			continue;
		tries--;
		if (give_back(e, inv->pf_ifindex, s->stuck, NULL) < 0)
			continue;
		sfh_inventory_give(e, inv, v);
		any = true;
	}
	return any;
}

/* The number of a VF to try, or -ENOSPC. */
static int pick(struct sfh_engine *e, const char *pf, bool landing, struct sfh_inventory **ret,
		struct sfh_error *err)
{
	struct sfh_inventory *inv = NULL;
	int r = sfh_inventory_get(e, pf, &inv, err);

	if (r < 0)
		return r;
	*ret = inv;
	r = sfh_inventory_pick(inv, landing);
	if (r < 0 && inv->nstuck && unstick(e, inv))
		r = sfh_inventory_pick(inv, landing);
	if (r < 0 && e->now() - inv->read_ns >= REREAD_NS) {
		r = sfh_inventory_refresh(e, pf, err);
		if (r < 0)
			return r;
		r = sfh_inventory_pick(inv, landing);
	}
	if (r >= 0)
		return r;
	if (inv->count[SFH_SLOT_LANDING])
		return sfh_err(err, -ENOSPC, "no VF of '%s' is free but those kept back for arrivals",
			       pf);
	return sfh_err(err, -ENOSPC, "no VF of '%s' is free", pf);
}

/* Somebody else took what was free at the last look? Then it is left out. */
static bool still_ours(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf)
{
	char why[48] = "";

	if (!e->kernel->vf_check ||
	    e->kernel->vf_check(e->kernel_ctx, inv->pf, &inv->slots[vf].bdf, why) == 0)
		return true;
	sfh_inventory_exclude(e, inv, vf, why);
	return false;
}

/* Whether the failure was about this VF alone, and another one may do. */
static bool another_may_do(struct lease_change *c, struct sfh_inventory *inv, int r)
{
	unsigned vf = c->lease.vf;
	char why[48], mac[SFH_MAC_STRLEN];

	if (c->foreign) {
		(void)snprintf(why, sizeof(why), "carries MAC %s that is not ours",
			       sfh_mac_format(&c->lease.orig.mac, mac));
		sfh_inventory_exclude(c->e, inv, vf, why);
		return true;
	}
	if (r != -EBUSY) /* the ledger's word: this VF, or this MAC */
		return false;
	if (inv->nstuck && unstick(c->e, inv))
		return true;
	return sfh_inventory_refresh(c->e, inv->pf, NULL) == 0 &&
	       (vf >= inv->n || inv->slots[vf].state != SFH_SLOT_FREE);
}

static int begin_lease(struct sfh_engine *e, struct sfh_pair *p, bool reserved,
		       struct sfh_error *err)
{
	struct sfh_inventory *inv = NULL;

	for (int i = 0; i < CANDIDATES; i++) {
		struct lease_change c = change(e, p);
		struct sfh_error why = { 0 };
		int r, vf = pick(e, p->pf, reserved, &inv, &why);

		if (vf == -ENOSPC)
			inv->waiting = true;
		if (vf < 0)
			return sfh_err(err, vf, "%s", why.text);
		if (!still_ours(e, inv, (unsigned)vf))
			continue;
		c.lease = (struct sfh_lease){ .vf = (unsigned)vf, .bdf = inv->slots[vf].bdf,
					      .mac = p->mac, .vlan = vlan_of(p),
					      .reserved = reserved, .changed = p->wish.what };
		(void)sfh_strcpy(c.lease.pf, sizeof(c.lease.pf), p->pf);
		(void)sfh_strcpy(c.lease.domain, sizeof(c.lease.domain), p->domain);
		(void)sfh_strcpy(c.lease.profile, sizeof(c.lease.profile), p->profile);
		r = sfh_steps_run(lease_steps, reserved ? RESERVE_STEPS : SFH_ARRAY_SIZE(lease_steps),
				  &c, &why);
		if (r == 0) {
			sfh_inventory_take(inv, (unsigned)vf, reserved);
			leased(&c);
			return 0;
		}
		if (c.dirty)
			stick(inv, &c.lease);
		if (!another_may_do(&c, inv, r))
			return sfh_err(err, r, "%s", why.text);
	}
	return sfh_err(err, -EAGAIN, "others take the VFs of '%s' as fast as they are found", p->pf);
}

int sfh_pool_peek(struct sfh_engine *e, const char *pf, struct sfh_error *err)
{
	struct sfh_inventory *inv;

	/* As a lease would look: what others did since the last look counts. */
	for (int i = 0; i < CANDIDATES; i++) {
		struct sfh_vf_config now;
		int vf = pick(e, pf, false, &inv, err);

		if (vf < 0)
			return vf;
		if (!still_ours(e, inv, (unsigned)vf))
			continue;
		if (e->kernel->vf_get(e->kernel_ctx, inv->pf_ifindex, (unsigned)vf, &now, NULL) ==
			    0 &&
		    sfh_mac_is_zero(&now.mac))
			return 0;
		sfh_inventory_exclude(e, inv, (unsigned)vf, "carries a MAC that is not ours");
	}
	return sfh_err(err, -ENOSPC, "no VF of '%s' is free", pf);
}

int sfh_pool_reserve(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	return begin_lease(e, p, true, err);
}

/* The VF that an arriving guest was promised is one of those kept back for the
 * next arrival: it gets one of its own, or waits for one. */
static bool is_landing(const struct sfh_engine *e, const struct sfh_pair *p)
{
	const struct sfh_inventory *inv = sfh_inventory_find(e, p->pf);

	return p->lease.reserved && inv && p->lease.vf < inv->n &&
	       inv->slots[p->lease.vf].landing;
}

void sfh_pool_landed(struct sfh_engine *e, struct sfh_pair *p)
{
	if (p->has_lease && is_landing(e, p))
		sfh_pool_release(e, p);
}

int sfh_pool_lease(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct lease_change c;
	int r;

	if (p->has_lease && is_landing(e, p))
		sfh_pool_release(e, p);
	if (!p->has_lease && p->has_next_wish) {
		p->wish = p->next_wish;
		p->has_next_wish = false;
	}
	if (!p->has_lease)
		return begin_lease(e, p, false, err);
	c = change(e, p);
	c.lease = c.before = p->lease;
	c.kept = p->lease.reserved ? 0 : p->lease.changed & ~p->lease.refused;
	c.lease.reserved = false;
	c.lease.changed = p->wish.what | c.kept;
	c.lease.refused = 0;
	(void)sfh_strcpy(c.lease.profile, sizeof(c.lease.profile), p->profile);
	r = sfh_steps_run(again_steps, SFH_ARRAY_SIZE(again_steps), &c, err);
	if (r == 0) {
		struct sfh_inventory *inv = sfh_inventory_find(e, p->pf);

		if (inv)
			sfh_inventory_take(inv, p->lease.vf, false);
		leased(&c);
	} else if (c.dirty) { /* it has to be cleaned when it is released */
		p->lease.reserved = false;
		p->lease.changed = c.lease.changed;
		(void)sfh_strcpy(p->lease.profile, sizeof(p->lease.profile), c.lease.profile);
	}
	return r;
}

/* vfio resets a VF when it is opened: what the reset took is written again. */
static void check_again(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_vf_config got, want;
	unsigned what = final_vlan(p, &want) | SFH_VF_MAC, lost;
	struct sfh_error err = { 0 };
	char names[96];
	int r;

	what |= p->wish.what & SFH_VF_EXTRAS & ~p->lease.refused;
	sfh_vf_config_copy(&want, &p->wish.cfg, what & SFH_VF_EXTRAS);
	want.mac = p->mac;
	r = e->kernel->vf_get(e->kernel_ctx, p->pf_ifindex, p->lease.vf, &got, &err);
	lost = r == 0 ? sfh_vf_config_differs(&got, &want, what) : 0;
	if (lost & SFH_VF_VLAN_PARTS)
		lost |= what & SFH_VF_VLAN_PARTS;
	if (lost) {
		r = set_vf(e, p->pf_ifindex, p->lease.vf, lost, &want, &err);
		sfh_engine_log(e, LOG_NOTICE, "VF %u of '%s' lost %s, %s", p->lease.vf, p->lease.pf,
			       sfh_vf_settings_format(lost, names, sizeof(names)),
			       r == 0 ? "told again" : "and does not take it");
	}
	if (r < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
}

int sfh_pool_unpark(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_vf_config cfg;
	unsigned what = final_vlan(p, &cfg);
	int r = set_vf(e, p->pf_ifindex, p->lease.vf, what, &cfg, err);

	if (r == 0)
		p->parked = false;
	if (r == 0 && p->wish.what)
		check_again(e, p);
	return r;
}

int sfh_pool_quiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	int r;

	if (!p->has_lease || p->lease.reserved)
		return 0;
	sfh_port_forget(p);
	r = quiet(e, p->pf_ifindex, &p->lease, err);
	if (r == 0)
		p->parked = false;
	return r;
}

int sfh_pool_unquiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_vf_config cfg;
	unsigned what = SFH_VF_MAC | final_vlan(p, &cfg);
	int r;

	if (!p->has_lease)
		return 0;
	cfg.mac = p->mac;
	r = set_vf(e, p->pf_ifindex, p->lease.vf, what, &cfg, err);
	return r < 0 ? r : sfh_port_again(e, p, err);
}

int sfh_pool_adopt(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_bdf *vf,
		   struct sfh_error *err)
{
	struct sfh_lease lease = { .bdf = *vf, .mac = p->mac, .vlan = vlan_of(p),
				   .changed = p->wish.what };
	struct sfh_inventory *inv = NULL;
	int r = sfh_inventory_get(e, p->pf, &inv, err);

	for (unsigned v = 0; r == 0 && v < inv->n; v++) {
		if (!sfh_bdf_equal(&inv->slots[v].bdf, vf))
			continue;
		lease.vf = v;
		(void)sfh_strcpy(lease.pf, sizeof(lease.pf), p->pf);
		(void)sfh_strcpy(lease.domain, sizeof(lease.domain), p->domain);
		(void)sfh_strcpy(lease.profile, sizeof(lease.profile), p->profile);
		r = sfh_ledger_lease_add(e->ledger, &lease, err);
		if (r == 0) {
			inv->slots[v].why[0] = '\0';
			sfh_inventory_take(inv, v, false);
			p->lease = lease;
			p->has_lease = true;
		}
		return r;
	}
	return r < 0 ? r : sfh_err(err, -ENODEV, "its VF is not one of '%s'", p->pf);
}

/* --- giving back --------------------------------------------------------------------------------- */

/* Calls the first of those that wait; of equals the one that waits longest, since
 * the list has the newest first. One that is called already has its own VF coming. */
static void wake(struct sfh_engine *e, const char *pf)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);
	struct sfh_pair *best = NULL;
	uint64_t now = e->now();
	unsigned waiting = 0;

	if (inv && !inv->waiting)
		return;
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->state == SFH_PAIR_STANDBY && p->reason == SFH_REASON_NO_FREE_VF &&
		    strcmp(p->pf, pf) == 0 && (!p->retry_ns || p->retry_ns > now)) {
			waiting++;
			if (!best || p->priority >= best->priority)
				best = p;
		}
	if (inv)
		inv->waiting = waiting > 1;
	if (!best)
		return;
	best->retry_ns = now;
	(void)sfh_strcpy(best->next_cause, sizeof(best->next_cause), "vf-freed");
}

void sfh_pool_freed(struct sfh_engine *e, const char *pf)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);

	if (inv)
		inv->stale = inv->waiting = true;
	wake(e, pf);
}

int sfh_pool_end(struct sfh_engine *e, int pf_ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, lease->pf);
	int r = give_back(e, pf_ifindex, lease, err);

	if (r < 0) {
		stick(inv, lease);
		return r;
	}
	if (inv)
		sfh_inventory_give(e, inv, lease->vf);
	if (!inv || inv->count[SFH_SLOT_FREE])
		wake(e, lease->pf);
	return 0;
}

void sfh_pool_release(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	if (!p->has_lease)
		return;
	p->has_lease = p->parked = false;
	sfh_port_forget(p);
	/* The row stays: a VF with a MAC and no lease is what must not be. */
	if (sfh_pool_end(e, p->pf_ifindex, &p->lease, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "VF %u of '%s' keeps its lease: %s", p->lease.vf,
			       p->lease.pf, err.text);
}

int sfh_pool_refresh(struct sfh_engine *e, const char *network, struct sfh_error *err)
{
	const struct sfh_engine_network *net = sfh_engine_network(e, network);
	int ret = 0;

	for (size_t i = 0; net && i < net->npfs; i++) {
		struct sfh_inventory *inv = sfh_inventory_find(e, net->pfs[i]);

		if (inv)
			inv->stale = true;
	}
	for (size_t i = 0; net && i < net->npfs; i++) {
		struct sfh_inventory *inv;
		int r = sfh_inventory_get(e, net->pfs[i], &inv, ret ? NULL : err);

		if (r == 0 && inv->count[SFH_SLOT_FREE])
			wake(e, net->pfs[i]); /* found what somebody waits for */
		ret = ret ? ret : r;
	}
	return ret;
}
