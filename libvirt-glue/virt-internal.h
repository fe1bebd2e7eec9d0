/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files behind virt.h share (virt.c, virtevents.c, virtnetwork.c,
 * virtdomain.c, virtadopt.c, virtmonitor.c); for nobody else. */
#ifndef SFHYBRID_GLUE_VIRT_INTERNAL_H
#define SFHYBRID_GLUE_VIRT_INTERNAL_H

#include "libvirt-glue/virt.h"

#include <libvirt/libvirt.h>

struct sfh_virt {
	virConnectPtr conn;
	sfh_virt_event_fn fn; /* NULL: no events, and conn is read-only */
	void *ctx;
};

static inline void sfh_virt_net_freep(virNetworkPtr *net)
{
	if (*net)
		(void)virNetworkFree(*net);
}

static inline void sfh_virt_dom_freep(virDomainPtr *dom)
{
	if (*dom)
		(void)virDomainFree(*dom);
}

#define _cleanup_net_ _cleanup_(sfh_virt_net_freep) virNetworkPtr
#define _cleanup_dom_ _cleanup_(sfh_virt_dom_freep) virDomainPtr

/* libvirt's last error of this thread as ours, behind `what`: -ENOTCONN, -ENOENT,
 * -ETIMEDOUT, -ENODEV, else -EIO. Never 0. */
int sfh_virt_fail(struct sfh_error *err, const char *what);

/* --- virtevents.c ---------------------------------------------------------------------- */
/* Starts the thread that events come on, the process's only one; again: nothing. To be
 * called before the first connection that wants events is opened. */
void sfh_virt_events_start(void);
/* From then on v->fn is called. 0 or -EIO; libvirt knows why. */
int sfh_virt_events_subscribe(struct sfh_virt *v);

/* --- virtdomain.c ---------------------------------------------------------------------- */
/* The caller's to free; NULL: *err says why. */
virDomainPtr sfh_virt_find_domain(struct sfh_virt *v, const char *uuid, struct sfh_error *err);

#endif
