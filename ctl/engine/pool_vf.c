// SPDX-License-Identifier: GPL-2.0-or-later
/* What a VF is told, and told again: its MAC, its VLAN, what was asked for beside
 * them, and what it had before. */
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine_priv.h"
#include "ctl/engine/pool_priv.h"

/* --- telling a VF ------------------------------------------------------------------------ */

static const struct sfh_mac zero_mac;

/* A driver that knows no VLANs of VFs, and tells none, has none to take off. */
static bool has_no_vlans(struct sfh_engine *e, int ifindex, unsigned vf, unsigned what,
			 const struct sfh_vf_config *cfg)
{
	struct sfh_vf_config now;

	return (what & SFH_VF_VLAN_PARTS) == SFH_VF_VLAN && !cfg->vlan &&
	       e->kernel->vf_get(e->kernel_ctx, ifindex, vf, &now, NULL) == 0 &&
	       !(now.known & SFH_VF_VLAN);
}

int sfh_pool_set_vf(struct sfh_engine *e, int ifindex, unsigned vf, unsigned what,
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

int sfh_pool_silence(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		     struct sfh_error *err)
{
	struct sfh_vf_config back = lease->orig;
	unsigned what = SFH_VF_MAC | SFH_VF_VLAN;

	back.mac = zero_mac;
	if (back.qos)
		what |= SFH_VF_QOS;
	if (tagged_otherwise(&back))
		what |= SFH_VF_PROTO;
	return sfh_pool_set_vf(e, ifindex, lease->vf, what, &back, err);
}

int sfh_pool_quiet_lease(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
			 struct sfh_error *err)
{
	int r = sfh_port_end(e, ifindex, lease, err);
	int q = sfh_pool_silence(e, ifindex, lease, r < 0 ? NULL : err);

	return r < 0 ? r : q;
}

/* What release puts back where the driver never said what it was before. */
static struct sfh_vf_config originals(const struct sfh_lease *lease)
{
	struct sfh_vf_config cfg = { .spoofchk = true, .link_state = IFLA_VF_LINK_STATE_AUTO };

	sfh_vf_config_copy(&cfg, &lease->orig, lease->orig.known & SFH_VF_EXTRAS);
	return cfg;
}

int sfh_pool_put_back(struct sfh_engine *e, int ifindex, const struct sfh_lease *lease,
		      unsigned what, struct sfh_error *err)
{
	struct sfh_vf_config orig = originals(lease);
	int ret = 0;

	for (unsigned bit = 1; bit <= SFH_VF_EXTRAS; bit <<= 1)
		if (what & SFH_VF_EXTRAS & bit) {
			int r = sfh_pool_set_vf(e, ifindex, lease->vf, bit, &orig,
						ret ? NULL : err);

			ret = ret ? ret : r;
		}
	return ret;
}

/* --- the VLAN of a pair ------------------------------------------------------------------ */

uint16_t sfh_pool_vlan_of(const struct sfh_pair *p)
{
	return p->wish.what & SFH_VF_VLAN ? p->wish.cfg.vlan : p->vlan;
}

unsigned sfh_pool_final_vlan(const struct sfh_pair *p, struct sfh_vf_config *cfg)
{
	*cfg = (struct sfh_vf_config){ .vlan = sfh_pool_vlan_of(p) };
	if (p->wish.what & SFH_VF_VLAN)
		sfh_vf_config_copy(cfg, &p->wish.cfg, p->wish.what & SFH_VF_VLAN_PARTS);
	return SFH_VF_VLAN | (p->wish.what & (SFH_VF_QOS | SFH_VF_PROTO));
}

/* A NIC that is plugged again onto another PF has its old VF until that is let go. */
int sfh_pool_ifindex(const struct sfh_engine *e, const struct sfh_pair *p)
{
	const struct sfh_engine_network *net;

	if (strcmp(p->lease.pf, p->pf) == 0)
		return p->pf_ifindex;
	net = sfh_engine_network(e, p->network);
	return net ? sfh_network_pf_ifindex(net, p->lease.pf) : 0;
}

/* --- a VF that its guest has ------------------------------------------------------------- */

/* vfio resets a VF when it is opened: what the reset took is written again. */
static void check_again(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_vf_config got, want;
	unsigned what = sfh_pool_final_vlan(p, &want) | SFH_VF_MAC, lost;
	struct sfh_error err = { 0 };
	char names[96];
	int r;

	what |= p->wish.what & SFH_VF_EXTRAS & ~p->lease.refused;
	sfh_vf_config_copy(&want, &p->wish.cfg, what & SFH_VF_EXTRAS);
	want.mac = p->mac;
	r = e->kernel->vf_get(e->kernel_ctx, sfh_pool_ifindex(e, p), p->lease.vf, &got, &err);
	lost = r == 0 ? sfh_vf_config_differs(&got, &want, what) : 0;
	if (lost & SFH_VF_VLAN_PARTS)
		lost |= what & SFH_VF_VLAN_PARTS;
	if (lost) {
		r = sfh_pool_set_vf(e, sfh_pool_ifindex(e, p), p->lease.vf, lost, &want, &err);
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
	unsigned what = sfh_pool_final_vlan(p, &cfg);
	int r = sfh_pool_set_vf(e, sfh_pool_ifindex(e, p), p->lease.vf, what, &cfg, err);

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
	r = sfh_pool_quiet_lease(e, sfh_pool_ifindex(e, p), &p->lease, err);
	if (r == 0)
		p->parked = false;
	return r;
}

int sfh_pool_unquiet(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	struct sfh_vf_config cfg;
	unsigned what = SFH_VF_MAC | sfh_pool_final_vlan(p, &cfg);
	int r;

	if (!p->has_lease)
		return 0;
	if (e->kernel->can_park(e->kernel_ctx, p->lease.pf)) {
		cfg = (struct sfh_vf_config){ .vlan = SFH_PARK_VLAN };
		what = SFH_VF_MAC | SFH_VF_VLAN;
		p->parked = true; /* refused, too: nothing is proven by that */
	}
	cfg.mac = p->mac;
	r = sfh_pool_set_vf(e, sfh_pool_ifindex(e, p), p->lease.vf, what, &cfg, err);
	return r < 0 ? r : sfh_port_again(e, p, err);
}
