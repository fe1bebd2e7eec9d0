// SPDX-License-Identifier: GPL-2.0-or-later
/* `sfhybrid-ctl migrate` on the source: Begin until all pairs have left, then libvirt,
 * then Confirm. */
#include <string.h>

#include "ctl/engine/engine_priv.h"

static struct sfh_migration *migration_of(const struct sfh_engine *e, const char *uuid)
{
	for (struct sfh_migration *m = e->migrations; m; m = m->next)
		if (strcmp(m->domain, uuid) == 0)
			return m;
	return NULL;
}

int sfh_engine_migrate(struct sfh_engine *e, const char *uuid, const char *uri,
		       struct sfh_error *err)
{
	char m_uuid[SFH_UUID_STRLEN]; /* outlives the migration and its pairs */
	struct sfh_migration *m;
	bool any = false, arriving = false, yielded = false;

	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0) {
			any = true;
			arriving |= p->state == SFH_PAIR_ARRIVING;
			yielded |= p->yielded;
		}
	if (arriving)
		return sfh_err(err, -EBUSY, "the domain is still arriving here; try again when it runs");
	if (yielded)
		return sfh_err(err, -EBUSY,
			       "libvirt migrates or saves the domain already ('virsh domjobinfo')");
	if (!any)
		return sfh_err(err, -ENOENT,
			       "the domain has no NIC on a hybrid network that is up here; use 'virsh "
			       "migrate'");
	if (migration_of(e, uuid))
		return sfh_err(err, -EALREADY, "the domain is migrating already");
	m = calloc(1, sizeof(*m));
	if (!m)
		return sfh_err(err, -ENOMEM, "out of memory");
	if (sfh_strcpy(m->uri, sizeof(m->uri), uri) < 0) {
		free(m);
		return sfh_err(err, -EINVAL, "the destination's URI is too long");
	}
	(void)sfh_strcpy(m->domain, sizeof(m->domain), uuid);
	(void)sfh_strcpy(m_uuid, sizeof(m_uuid), uuid);
	m->next = e->migrations;
	e->migrations = m;
	e->listener->progress(e->listener_ctx, uuid, "Begin: the guest goes to its standby leg");
	/* One pair that cannot leave ends it for all, here and now. */
	for (struct sfh_pair *p = e->pairs, *next; p && migration_of(e, m_uuid); p = next) {
		next = p->next;
		if (strcmp(p->domain, m_uuid) == 0)
			sfh_pair_dispatch(e, p, SFH_EV_LEAVE, "migration");
	}
	return 0;
}

void sfh_engine_migrate_force(struct sfh_engine *e, const char *uuid)
{
	struct sfh_migration *m = migration_of(e, uuid);

	if (m)
		m->force = true;
}

uint64_t sfh_migration_reset(struct sfh_engine *e, const char *uuid)
{
	struct sfh_migration *m = migration_of(e, uuid);
	uint64_t now = e->now(), until;

	if (!m || !m->force || !e->hv->reset)
		return 0;
	if (!m->reset_ns) {
		if (e->hv->reset(e->hv_ctx, uuid) < 0)
			return 0;
		m->reset_ns = now;
		e->listener->progress(e->listener_ctx, uuid,
				      "Begin: the guest does not let go of its VF and is reset");
	}
	until = m->reset_ns + SFH_UNPLUG_DEADLINE_MS * 1000000ull;
	return until > now ? until : 0;
}

int sfh_engine_migrate_cancel(struct sfh_engine *e, const char *uuid, struct sfh_error *err)
{
	const struct sfh_migration *m = migration_of(e, uuid);
	int r;

	if (!m)
		return sfh_err(err, -ENOENT, "the domain is not migrating");
	if (!m->performing) {
		sfh_engine_migrated(e, uuid, -ECANCELED, "cancelled; the guest stays");
		return 0;
	}
	r = e->hv->abort ? e->hv->abort(e->hv_ctx, uuid) : -EOPNOTSUPP;
	return r < 0 ? sfh_err(err, r, "libvirt cannot be told to stop: %s", strerrordesc_np(-r)) : 0;
}

void sfh_migration_advance(struct sfh_engine *e, const char *uuid)
{
	struct sfh_migration *m = migration_of(e, uuid);
	int r;

	if (!m || m->performing)
		return;
	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0 && p->state != SFH_PAIR_LEAVING)
			return;
	m->performing = true;
	e->listener->progress(e->listener_ctx, uuid,
			      "Prepare and Perform: libvirt migrates the guest");
	r = e->hv->migrate(e->hv_ctx, uuid, m->uri);
	if (r < 0)
		sfh_engine_migrated(e, uuid, r, strerrordesc_np(-r));
}

void sfh_engine_migrated(struct sfh_engine *e, const char *uuid, int result, const char *error)
{
	char domain[SFH_UUID_STRLEN];

	(void)sfh_strcpy(domain, sizeof(domain), uuid); /* uuid may live in a pair that goes */
	for (struct sfh_migration **at = &e->migrations; *at; at = &(*at)->next)
		if (strcmp((*at)->domain, domain) == 0) {
			struct sfh_migration *dead = *at;

			*at = dead->next;
			free(dead);
			break;
		}
	e->listener->progress(e->listener_ctx, domain,
			      result == 0 ? "Confirm: it runs there; the VF here is free again"
					  : "Confirm: it failed; the guest stays and gets its VF back");
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, domain) == 0)
			p->leaving = false;
	sfh_engine_guest_event(e, domain, result == 0 ? SFH_EV_CONFIRMED : SFH_EV_MIGRATE_FAILED,
			       error);
	e->listener->migrated(e->listener_ctx, domain, result, error);
}

void sfh_migration_end_of_nobody(struct sfh_engine *e, const char *uuid)
{
	const struct sfh_migration *m = migration_of(e, uuid);

	if (!m || m->performing)
		return;
	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0)
			return;
	sfh_engine_migrated(e, uuid, -ESRCH, "the guest stopped before it was migrated");
}
