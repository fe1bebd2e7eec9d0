// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine itself: its beginning and end, its list of pairs, and its clock. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine_priv.h"
#include "ctl/engine/filter.h"
#include "ctl/engine/inventory.h"
#include "ctl/engine/warm.h"

void sfh_engine_log(struct sfh_engine *e, int priority, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->listener->log(e->listener_ctx, priority, text);
}

void sfh_engine_init(struct sfh_engine *e, const struct sfh_kernel_ops *kernel, void *kernel_ctx,
		     const struct sfh_hypervisor_ops *hv, void *hv_ctx,
		     const struct sfh_engine_listener *listener, void *listener_ctx,
		     struct sfh_ledger *ledger)
{
	*e = (struct sfh_engine){
		.kernel = kernel,
		.kernel_ctx = kernel_ctx,
		.hv = hv,
		.hv_ctx = hv_ctx,
		.listener = listener,
		.listener_ctx = listener_ctx,
		.ledger = ledger,
		.now = sfh_now_ns,
	};
}

void sfh_engine_done(struct sfh_engine *e)
{
	struct sfh_engine_network *n;
	struct sfh_migration *m;
	struct sfh_pair *p;

	sfh_inventory_free(e);
	while ((p = e->pairs)) {
		e->pairs = p->next;
		free(p);
	}
	while ((n = e->networks)) {
		e->networks = n->next;
		free(n);
	}
	while ((m = e->migrations)) {
		e->migrations = m->next;
		free(m);
	}
}

/* --- pairs ------------------------------------------------------------------------------- */

struct sfh_pair *sfh_engine_pair(const struct sfh_engine *e, const char *uuid,
				 const struct sfh_mac *mac)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0 && sfh_mac_equal(&p->mac, mac))
			return p;
	return NULL;
}

struct sfh_pair *sfh_engine_pair_by_key(const struct sfh_engine *e, const struct sfh_guest_key *key)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if ((__u32)p->pf_ifindex == key->pf_ifindex && p->vlan == key->vlan &&
		    memcmp(p->mac.b, key->mac, 6) == 0)
			return p;
	return NULL;
}

void sfh_pair_save(struct sfh_engine *e, const struct sfh_pair *p)
{
	struct sfh_ledger_pair row = { .mac = p->mac, .vlan = p->vlan, .adopted = p->adopted,
				       .pf_ifindex = p->pf_ifindex, .negotiated = p->negotiated,
				       .held = p->held };
	struct sfh_error err = { 0 };

	(void)sfh_strcpy(row.domain, sizeof(row.domain), p->domain);
	(void)sfh_strcpy(row.domain_name, sizeof(row.domain_name), p->domain_name);
	(void)sfh_strcpy(row.network, sizeof(row.network), p->network);
	(void)sfh_strcpy(row.pf, sizeof(row.pf), p->pf);
	(void)sfh_strcpy(row.standby, sizeof(row.standby), p->standby);
	(void)sfh_strcpy(row.state, sizeof(row.state), sfh_pair_state_name(p->state));
	(void)sfh_strcpy(row.reason, sizeof(row.reason), sfh_reason_name(p->reason));
	if (p->has_lease)
		sfh_bdf_format(&p->lease.bdf, row.vf_bdf);
	(void)sfh_strcpy(row.profile, sizeof(row.profile), p->profile);
	if (sfh_ledger_pair_put(e->ledger, &row, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "the ledger misses %s: %s", p->domain_name, err.text);
}

void sfh_pair_forget(struct sfh_engine *e, struct sfh_pair *p)
{
	char uuid[SFH_UUID_STRLEN];

	memcpy(uuid, p->domain, sizeof(uuid));
	(void)sfh_ledger_pair_del(e->ledger, p->domain, &p->mac, NULL);
	for (struct sfh_pair **at = &e->pairs; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	sfh_engine_rx_owner(e, &p->mac);
	free(p);
	e->listener->settled(e->listener_ctx, uuid);
	sfh_migration_end_of_nobody(e, uuid);
}

void sfh_engine_pair_event(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac,
			   enum sfh_pair_event event, const char *why)
{
	struct sfh_pair *next;

	for (struct sfh_pair *p = e->pairs; p; p = next) {
		next = p->next;
		if (strcmp(p->domain, uuid) == 0 && (!mac || sfh_mac_equal(&p->mac, mac)))
			sfh_pair_dispatch(e, p, event, why);
	}
}

void sfh_engine_guest_event(struct sfh_engine *e, const char *uuid, enum sfh_pair_event event,
			    const char *why)
{
	sfh_engine_pair_event(e, uuid, NULL, event, why);
}

/* --- time -------------------------------------------------------------------------------- */

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t sfh_engine_next(const struct sfh_engine *e)
{
	uint64_t next = earliest(UINT64_MAX, sfh_pool_next(e));

	for (const struct sfh_pair *p = e->pairs; p; p = p->next) {
		next = earliest(next, p->deadline_ns);
		next = earliest(next, p->next_probe_ns);
		next = earliest(next, p->backlog_until_ns);
		next = earliest(next, p->next_ask_ns);
		next = earliest(next, p->retry_ns);
		next = earliest(next, p->port_look_ns);
		next = earliest(next, p->warm_wake_ns);
		next = earliest(next, p->rx.due_ns);
	}
	return next;
}

void sfh_engine_tick(struct sfh_engine *e)
{
	uint64_t now = e->now();
	struct sfh_pair *next;

	sfh_engine_warm_tick(e, now);
	sfh_engine_rx_tick(e, now);
	sfh_pool_tick(e, now);
	for (struct sfh_pair *p = e->pairs; p; p = next) {
		next = p->next;
		if (p->next_probe_ns && p->next_probe_ns <= now) {
			p->next_probe_ns = now + SFH_PROBE_INTERVAL_MS * 1000000ull;
			(void)e->kernel->probe(e->kernel_ctx, p);
		}
		if (p->next_ask_ns && p->next_ask_ns <= now) {
			p->next_ask_ns = now + (p->backlog ? SFH_PROBE_INTERVAL_MS : SFH_ASK_INTERVAL_MS) * 1000000ull;
			(void)e->kernel->ask_standby(e->kernel_ctx, p);
		}
		if (p->backlog_until_ns && p->backlog_until_ns <= now)
			sfh_pair_backlog_end(e, p);
		if (p->port_look_ns && p->port_look_ns <= now) {
			sfh_port_look(e, p);
		} else if (p->retry_ns && p->retry_ns <= now) {
			p->retry_ns = 0;
			sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, NULL);
		} else if (p->deadline_ns && p->deadline_ns <= now) {
			p->deadline_ns = 0;
			sfh_pair_dispatch(e, p, SFH_EV_DEADLINE, NULL);
		}
	}
}
