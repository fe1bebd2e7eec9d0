// SPDX-License-Identifier: GPL-2.0-or-later
/* A lease, and what its VF is told for it: a table of steps with undo. */
#include <linux/if_ether.h>
#include <syslog.h>

#include "ctl/core/steps.h"
#include "ctl/engine/pool_priv.h"

/* An optional setting that the driver puts off is waited for so many times. */
#define OPTIONAL_TRIES 3

struct sfh_lease_change sfh_lease_change_of(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_lease_change c = { .e = e, .p = p };

	c.want = p->wish.cfg;
	c.vlan_parts = sfh_pool_final_vlan(p, &c.want);
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

/* --- the row ----------------------------------------------------------------------------- */

static int step_save(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
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
	struct sfh_lease_change *c = ctx;

	return sfh_ledger_lease_add(c->e->ledger, &c->lease, err);
}

static int undo_row(void *ctx)
{
	struct sfh_lease_change *c = ctx;

	/* A VF with a MAC and no lease is what must not be. */
	return c->dirty ? -EBUSY
			: sfh_ledger_lease_del(c->e->ledger, c->lease.pf, c->lease.vf, NULL);
}

static int step_row_again(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;

	return sfh_ledger_lease_update(c->e->ledger, &c->lease, err);
}

static int undo_row_again(void *ctx)
{
	struct sfh_lease_change *c = ctx;

	return c->dirty ? -EBUSY : sfh_ledger_lease_update(c->e->ledger, &c->before, NULL);
}

/* --- the VF ------------------------------------------------------------------------------ */

/* A VF that cannot be quieted keeps its row: see sfh_pool_stick(). */
static int undo_program(void *ctx)
{
	struct sfh_lease_change *c = ctx;
	int r = sfh_pool_silence(c->e, c->p->pf_ifindex, &c->lease, NULL);

	c->dirty |= r < 0;
	return r;
}

/* Most drivers know nothing of port profiles: that is asked before the VF is touched. */
static int step_port_able(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
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
	struct sfh_lease_change *c = ctx;
	struct sfh_vf_config cfg;
	unsigned what = sfh_pool_final_vlan(c->p, &cfg);

	if (what == SFH_VF_VLAN)
		return 0;
	return sfh_pool_set_vf(c->e, c->p->pf_ifindex, c->lease.vf, what, &cfg, err);
}

static int undo_try_vlan(void *ctx)
{
	struct sfh_lease_change *c = ctx;
	struct sfh_vf_config cfg;

	return sfh_pool_final_vlan(c->p, &cfg) == SFH_VF_VLAN ? 0 : undo_program(ctx);
}

static int step_program(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
	struct sfh_vf_config now;
	int r = sfh_pool_set_vf(c->e, c->p->pf_ifindex, c->lease.vf, SFH_VF_MAC | c->vlan_parts,
				&c->want, err);

	/* The kernel applies one setting after the other: a refusal may be half a set. */
	if (r < 0 && (c->e->kernel->vf_get(c->e->kernel_ctx, c->p->pf_ifindex, c->lease.vf, &now,
					   NULL) < 0 ||
		      sfh_mac_equal(&now.mac, &c->want.mac)))
		(void)undo_program(c);
	return r;
}

static int undo_extras(void *ctx)
{
	struct sfh_lease_change *c = ctx;
	int r = sfh_pool_put_back(c->e, c->p->pf_ifindex, &c->lease, c->done, NULL);

	c->dirty |= r < 0;
	return r;
}

/* One message each, so that a refusal names its setting and is not half a set. */
static int step_required(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
	unsigned must = c->p->wish.what & ~c->p->wish.optional & SFH_VF_EXTRAS;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1) {
		int r = must & bit ? sfh_pool_set_vf(c->e, c->p->pf_ifindex, c->lease.vf, bit,
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
	struct sfh_lease_change *c = ctx;
	unsigned may = c->p->wish.what & c->p->wish.optional & SFH_VF_EXTRAS;
	unsigned before = c->done;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1) {
		struct sfh_error why = { 0 };
		int r = may & bit ? sfh_pool_set_vf(c->e, c->p->pf_ifindex, c->lease.vf, bit,
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
	struct sfh_lease_change *c = ctx;
	int r = sfh_port_end(c->e, c->p->pf_ifindex, &c->lease, NULL);

	sfh_port_forget(c->p);
	c->dirty |= r < 0;
	return r;
}

/* After everything else: with it the port is the guest's. The answer may come later. */
static int step_port(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
	int r = sfh_port_begin(c->e, c->p, &c->lease, err);

	if (r == 0 || r == -EINPROGRESS)
		return 0;
	(void)undo_port(c); /* it may be half a one */
	c->p->port_refused = !sfh_port_host_trouble(r);
	return r;
}

static int step_read_back(void *ctx, struct sfh_error *err)
{
	struct sfh_lease_change *c = ctx;
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

/* --- the tables -------------------------------------------------------------------------- */

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

static void leased(struct sfh_lease_change *c)
{
	c->p->lease = c->lease;
	c->p->has_lease = true;
	c->p->parked = !c->lease.reserved && c->want.vlan != sfh_pool_vlan_of(c->p);
}

int sfh_lease_run(struct sfh_lease_change *c, struct sfh_error *err)
{
	size_t n = c->lease.reserved ? RESERVE_STEPS : SFH_ARRAY_SIZE(lease_steps);
	int r = sfh_steps_run(lease_steps, n, c, err);

	if (r == 0)
		leased(c);
	return r;
}

int sfh_lease_run_again(struct sfh_lease_change *c, struct sfh_error *err)
{
	int r = sfh_steps_run(again_steps, SFH_ARRAY_SIZE(again_steps), c, err);

	if (r == 0)
		leased(c);
	return r;
}
