// SPDX-License-Identifier: GPL-2.0-or-later
/* VFs that running guests have by other means than ours (<hostdev>, <interface
 * type='hostdev'>): the pool leaves them alone. */
#include <stdio.h>
#include <string.h>

#include "ctl/agent/agent.h"
#include "ctl/engine/inventory.h"
#include "libvirt-glue/domxml.h"

struct sfh_hostdev_user {
	struct sfh_hostdev_user *next;
	char uuid[SFH_UUID_STRLEN];
	char name[SFH_NAME_MAX];
	struct sfh_bdf bdf;
};

/* The PF that has it looks again before its next lease; `freed` wakes who waits. */
static void tell_pool(struct sfh_agent *a, const struct sfh_bdf *bdf, bool freed)
{
	for (struct sfh_inventory *inv = a->engine.inventory; inv; inv = inv->next)
		for (unsigned v = 0; v < inv->n; v++)
			if (sfh_bdf_equal(&inv->slots[v].bdf, bdf)) {
				inv->stale = true;
				if (freed)
					sfh_pool_freed(&a->engine, inv->pf);
				return;
			}
}

void sfh_hostdevs_forget(struct sfh_agent *a, const char *uuid)
{
	for (struct sfh_hostdev_user **at = &a->hostdev_users; *at;) {
		struct sfh_hostdev_user *dead = *at;

		if (strcmp(dead->uuid, uuid) != 0) {
			at = &dead->next;
			continue;
		}
		*at = dead->next;
		tell_pool(a, &dead->bdf, true);
		free(dead);
	}
}

static void add(struct sfh_agent *a, const struct sfh_domdesc *desc, const struct sfh_bdf *bdf)
{
	struct sfh_hostdev_user *u = calloc(1, sizeof(*u));

	if (!u)
		return;
	(void)sfh_strcpy(u->uuid, sizeof(u->uuid), desc->uuid);
	(void)sfh_strcpy(u->name, sizeof(u->name), desc->name);
	u->bdf = *bdf;
	u->next = a->hostdev_users;
	a->hostdev_users = u;
	tell_pool(a, bdf, false);
}

void sfh_hostdevs_note(struct sfh_agent *a, const char *xml, size_t len)
{
	static const struct sfh_bdf none;
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;

	if (sfh_domdesc_parse(xml, len, &desc, NULL) < 0)
		return;
	if (desc->nhostdevs || a->hostdev_users)
		sfh_hostdevs_forget(a, desc->uuid);
	for (size_t i = 0; i < desc->nhostdevs; i++)
		if (sfh_alias_parse(desc->hostdevs[i].alias, NULL) != SFH_ALIAS_VF)
			add(a, desc, &desc->hostdevs[i].bdf);
	for (size_t i = 0; i < desc->nnics; i++)
		if (desc->nics[i].type == SFH_NIC_HOSTDEV &&
		    !sfh_bdf_equal(&desc->nics[i].hostdev, &none))
			add(a, desc, &desc->nics[i].hostdev);
}

bool sfh_hostdevs_has(const struct sfh_agent *a, const struct sfh_bdf *bdf, char why[48])
{
	for (const struct sfh_hostdev_user *u = a->hostdev_users; u; u = u->next)
		if (sfh_bdf_equal(&u->bdf, bdf)) {
			char name[29];

			(void)sfh_strcpy(name, sizeof(name), u->name);
			(void)snprintf(why, 48, "in use by guest '%s'", name);
			return true;
		}
	return false;
}
