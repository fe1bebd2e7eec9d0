// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that migrates here. */
#include <syslog.h>

#include "ctl/engine/pair_priv.h"

void sfh_act_devices(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	struct sfh_error err = { 0 };

	(void)why;
	sfh_pair_warn_if(e, e->kernel->standby_attach(e->kernel_ctx, p, &err), &err);
	sfh_pair_stage(e, p);
	/* It is here: from now on only its end ends the reservation. */
	sfh_pair_enter(e, p, SFH_PAIR_ARRIVING, 0);
}

/* QEMU announces it: it runs here, even before libvirt has said so. */
void sfh_act_announced(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	sfh_pair_filter(e, p, true);
}

void sfh_act_arrived(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	bool leaves = p->leaving;

	(void)why;
	p->running = true;
	sfh_pair_filter(e, p, true);
	if (p->carried) {
		sfh_pair_enter(e, p, SFH_PAIR_LANDING, 0);
		sfh_act_drop_carried(e, p, NULL);
		return;
	}
	if (p->nic_removed) {
		sfh_pair_gone_with_nic(e, p);
		return;
	}
	(void)sfh_strcpy(p->next_cause, sizeof(p->next_cause), "migration");
	sfh_pair_ask_negotiated(e, p); /* its first frame may be behind us */
	sfh_pair_rest_on_standby(e, p, SFH_REASON_SILENT, NULL);
	if (leaves)
		return; /* it has left, or that failed: then it was considered already */
	sfh_act_consider(e, p, NULL);
}

/* --- with a VF in its XML ---------------------------------------------------------------- */

/* Now anybody may open it. */
void sfh_pair_let_loose(struct sfh_engine *e, struct sfh_pair *p)
{
	if (p->carried && e->kernel->vf_loose)
		e->kernel->vf_loose(e->kernel_ctx, &p->landing);
	p->carried = false;
}

/* Its XML has a VF that QEMU could not open. Until libvirt has dropped it from
 * there, nothing can be plugged. */
void sfh_act_drop_carried(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	int r;

	(void)why;
	p->retry_ns = 0;
	r = e->hv->unplug(e->hv_ctx, p);
	if (r < 0)
		p->retry_ns = e->now() + SFH_LAND_RETRY_MS * MS;
}

void sfh_act_land_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	sfh_engine_log(e, LOG_INFO, "%s: its VF stays in the XML for now: %s", p->domain_name,
		       why ? why : "libvirt is busy");
	p->retry_ns = e->now() + SFH_LAND_RETRY_MS * MS;
}

/* What stood for a VF is gone from the XML; one that was kept back for arrivals is
 * so again. */
void sfh_act_landed(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	p->retry_ns = 0;
	sfh_pair_let_loose(e, p);
	sfh_pool_landed(e, p);
	sfh_act_arrived(e, p, why);
}
