// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/engine/engine.h"
#include "ctl/engine/inventory.h"
#include "ctl/engine/warm.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

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

/* --- networks ------------------------------------------------------------------------ */

void sfh_engine_network_changed(struct sfh_engine *e, const char *name, bool never,
				unsigned landing)
{
	for (struct sfh_engine_network *n = e->networks; n; n = n->next)
		if (strcmp(n->name, name) == 0) {
			n->never = never;
			n->landing = landing;
		}
	(void)sfh_pool_refresh(e, name, NULL); /* what is kept back, and who waits for it */
}

void sfh_engine_nic_changed(struct sfh_engine *e, const char *uuid,
			    const struct sfh_guest_nic *nic)
{
	struct sfh_pair *p = sfh_engine_pair(e, uuid, &nic->mac);

	if (!p)
		return;
	p->never = nic->never;
	p->priority = nic->priority;
	p->next_wish = nic->wish;
	p->has_next_wish = true;
	if (p->state == SFH_PAIR_STANDBY)
		sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, NULL);
}

void sfh_engine_pf_trouble(struct sfh_engine *e, int ifindex, enum sfh_reason trouble)
{
	for (struct sfh_engine_network *n = e->networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (n->pf_ifindex[i] == ifindex)
				n->pf_trouble[i] = trouble;
	for (struct sfh_pair *p = e->pairs, *next; p; p = next) {
		next = p->next;
		/* One on its VF stays there: what it has works, or nothing does. */
		if (p->pf_ifindex == ifindex && p->state == SFH_PAIR_STANDBY)
			sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, trouble ? NULL : "pf-back");
	}
}

enum sfh_reason sfh_engine_pf_trouble_of(const struct sfh_engine *e, int ifindex)
{
	for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (n->pf_ifindex[i] == ifindex)
				return n->pf_trouble[i];
	return SFH_REASON_NONE;
}

const struct sfh_engine_network *sfh_engine_network(const struct sfh_engine *e, const char *name)
{
	for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

void sfh_engine_network_remove(struct sfh_engine *e, const char *name)
{
	sfh_inventory_forget(e, name);
	for (struct sfh_engine_network **at = &e->networks; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct sfh_engine_network *dead = *at;

			*at = dead->next;
			free(dead);
			return;
		}
}

int sfh_engine_network_add(struct sfh_engine *e, const struct sfh_engine_network *network)
{
	struct sfh_engine_network *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	sfh_engine_network_remove(e, network->name);
	*copy = *network;
	copy->next = e->networks;
	e->networks = copy;
	return 0;
}

unsigned sfh_engine_network_pairs(const struct sfh_engine *e, const char *name)
{
	unsigned n = 0;

	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		n += strcmp(p->network, name) == 0;
	return n;
}

static int pf_ifindex(const struct sfh_engine_network *net, const char *pf)
{
	for (size_t i = 0; i < net->npfs; i++)
		if (strcmp(net->pfs[i], pf) == 0)
			return net->pf_ifindex[i];
	return 0;
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

static struct sfh_migration *migration_of(const struct sfh_engine *e, const char *uuid)
{
	for (struct sfh_migration *m = e->migrations; m; m = m->next)
		if (strcmp(m->domain, uuid) == 0)
			return m;
	return NULL;
}

/* A guest that stops before libvirt was asked to migrate it ends the migration.
 * Once libvirt was asked, libvirt says how it ended. */
static void end_migration_of_nobody(struct sfh_engine *e, const char *uuid)
{
	const struct sfh_migration *m = migration_of(e, uuid);

	if (!m || m->performing)
		return;
	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0)
			return;
	sfh_engine_migrated(e, uuid, -ESRCH, "the guest stopped before it was migrated");
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
	free(p);
	e->listener->settled(e->listener_ctx, uuid);
	end_migration_of_nobody(e, uuid);
}

static void fill_place(struct sfh_pair *p, const struct sfh_engine_network *net,
		       const struct sfh_guest_nic *nic)
{
	(void)sfh_strcpy(p->pf, sizeof(p->pf), nic->pf);
	(void)sfh_strcpy(p->standby, sizeof(p->standby), nic->standby);
	p->pf_ifindex = pf_ifindex(net, nic->pf);
	(void)sfh_strcpy(p->alias, sizeof(p->alias), nic->alias);
	p->kind = nic->kind;
	p->adopted = nic->adopted;
	p->never = nic->never;
	p->priority = nic->priority;
	p->wish = nic->wish;
	p->barred = nic->barred;
	p->bond = nic->bond;
	p->mtu = nic->mtu;
	(void)sfh_strcpy(p->profile, sizeof(p->profile), nic->profile);
}

static struct sfh_pair *pair_new(struct sfh_engine *e, const struct sfh_guest_desc *guest,
				 const struct sfh_guest_nic *nic)
{
	struct sfh_pair *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	(void)sfh_strcpy(p->domain, sizeof(p->domain), guest->uuid);
	(void)sfh_strcpy(p->domain_name, sizeof(p->domain_name), guest->name);
	(void)sfh_strcpy(p->network, sizeof(p->network), nic->network);
	p->mac = nic->mac;
	p->vlan = nic->vlan;
	p->memory_kib = guest->memory_kib;
	p->next = e->pairs;
	e->pairs = p;
	return p;
}

/* --- guests that were here before this agent ------------------------------------------------- */

struct remembered {
	const struct sfh_pair *pair;
	bool lease_found;
	struct sfh_lease lease;
	bool negotiated, held, arrived;
};

static int recall_lease(void *ctx, const struct sfh_lease *lease)
{
	struct remembered *r = ctx;

	/* One of another PF is what its last run here left: swept. */
	if (strcmp(lease->domain, r->pair->domain) == 0 && strcmp(lease->pf, r->pair->pf) == 0 &&
	    sfh_mac_equal(&lease->mac, &r->pair->mac)) {
		r->lease = *lease;
		r->lease_found = true;
	}
	return 0;
}

static int recall_pair(void *ctx, const struct sfh_ledger_pair *row)
{
	struct remembered *r = ctx;

	if (strcmp(row->domain, r->pair->domain) == 0 && sfh_mac_equal(&row->mac, &r->pair->mac)) {
		r->negotiated = row->negotiated;
		r->held = row->held;
		r->arrived = strcmp(row->state, sfh_pair_state_name(SFH_PAIR_ARRIVING)) == 0 ||
			     strcmp(row->state, sfh_pair_state_name(SFH_PAIR_LANDING)) == 0;
	}
	return 0;
}

/* The live XML says whether there is a VF; the ledger, what it was before. */
static void take_over(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_guest_nic *nic)
{
	struct remembered known = { .pair = p };
	struct sfh_vf_config now = { .vlan = 0 };
	struct sfh_error err = { 0 };
	int r;

	(void)sfh_ledger_leases(e->ledger, recall_lease, &known);
	(void)sfh_ledger_pairs(e->ledger, recall_pair, &known);
	p->negotiated = known.negotiated;
	p->held = known.held;
	if (known.lease_found) {
		p->lease = known.lease;
		p->has_lease = true;
	}
	if (!nic->has_vf) {
		sfh_pool_release(e, p);
		p->state = SFH_PAIR_STANDBY;
		if (e->kernel->arm(e->kernel_ctx, p, &err) < 0)
			sfh_engine_log(e, LOG_WARNING, "%s", err.text);
		sfh_pair_filter(e, p, true);
		return;
	}
	if (known.arrived) { /* and the last agent ended then: QEMU may have no VF */
		p->landing = nic->vf;
		p->carried = true;
		p->state = SFH_PAIR_LANDING; /* whoever called considers next */
		return;
	}
	p->negotiated = true;
	p->state = SFH_PAIR_VF;
	if (!p->has_lease && sfh_pool_adopt(e, p, &nic->vf, &err) < 0) {
		sfh_engine_log(e, LOG_WARNING, "%s has a VF without a lease: %s", p->domain_name,
			       err.text);
		return;
	}
	/* A VF that is still parked was never proven: that goes on where it was. */
	r = e->kernel->vf_get(e->kernel_ctx, p->pf_ifindex, p->lease.vf, &now, &err);
	if (r == 0 && !(now.known & SFH_VF_MAC)) /* a driver that tells nothing */
		now.mac = p->mac;
	if (r == 0 && sfh_mac_equal(&now.mac, &p->mac))
		sfh_port_resume(e, p);
	if (r == 0 && now.vlan == SFH_PARK_VLAN) {
		p->parked = true;
		sfh_pair_prove(e, p);
		return;
	}
	/* One whose MAC is gone was being taken from a guest that had let go; as long as
	 * the guest has it, it is its own. */
	if (r == 0 && !sfh_mac_equal(&now.mac, &p->mac) && sfh_pool_unquiet(e, p, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
	if (e->kernel->disarm(e->kernel_ctx, p, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
}

static void come_back(struct sfh_engine *e, struct sfh_pair *p,
		      const struct sfh_engine_network *net, const struct sfh_guest_nic *nic)
{
	struct sfh_error err = { 0 };

	p->nic_removed = p->negotiated = false;
	p->standby_ifindex = 0;
	fill_place(p, net, nic);
	if (e->kernel->standby_attach(e->kernel_ctx, p, &err) < 0 ||
	    e->kernel->stage(e->kernel_ctx, p, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "%s has no steering: %s", p->domain_name, err.text);
	sfh_pair_save(e, p);
}

void sfh_engine_guest_running(struct sfh_engine *e, const struct sfh_guest_desc *guest, bool found)
{
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_engine_network *net = sfh_engine_network(e, nic->network);
		struct sfh_error err = { 0 };
		struct sfh_pair *p;

		if (!net || !pf_ifindex(net, nic->pf))
			continue;
		p = sfh_engine_pair(e, guest->uuid, &nic->mac);
		if (p && p->state == SFH_PAIR_ARRIVING && !found) { /* restored with a VF */
			sfh_engine_guest_devices(e, guest);
			sfh_pair_dispatch(e, p, SFH_EV_RESUMED, NULL);
			continue;
		}
		if (p) { /* known: libvirtd came back, or said it twice */
			p->adopted = nic->adopted;
			if (p->nic_removed) /* and plugged again before its VF was let go */
				come_back(e, p, net, nic);
			continue;
		}
		p = pair_new(e, guest, nic);
		if (!p)
			return;
		fill_place(p, net, nic);
		p->state = SFH_PAIR_STANDBY;
		p->running = true;
		if (!found) /* before its entry: the sweep finds that by the row */
			sfh_pair_save(e, p);
		if (e->kernel->standby_attach(e->kernel_ctx, p, &err) < 0 ||
		    e->kernel->stage(e->kernel_ctx, p, &err) < 0)
			sfh_engine_log(e, LOG_ERR, "%s has no steering: %s", p->domain_name,
				       err.text);
		if (found)
			take_over(e, p, nic);
		else
			sfh_pair_filter(e, p, true);
		sfh_pair_save(e, p);
		sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, found ? "agent-start" : "start");
		if (p->state == SFH_PAIR_VF && p->held) /* the last agent had begun it */
			sfh_pair_dispatch(e, p, SFH_EV_HOLD, "request");
	}
}

static void reserve(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_engine_network *net)
{
	struct sfh_error err = { 0 };

	if (!net->never && !p->never && !p->barred && p->adopted && sfh_pool_reserve(e, p, &err) < 0)
		sfh_engine_log(e, LOG_NOTICE, "%s arrives without a VF: %s", p->domain_name,
			       err.text);
}

/* Its XML brings a VF: libvirt demands one here. QEMU would open it in the pause, and
 * pin the guest's memory for it: it is kept shut, which costs QEMU a warning. */
static int carry(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	int r = p->has_lease ? 0 : sfh_pool_reserve(e, p, err);

	if (r == 0 && !p->carried && e->kernel->vf_hold)
		r = e->kernel->vf_hold(e->kernel_ctx, &p->lease.bdf, err);
	if (r < 0)
		return r;
	p->landing = p->lease.bdf;
	p->carried = true;
	return 0;
}

static void turn_away(struct sfh_engine *e, const struct sfh_guest_desc *guest)
{
	for (struct sfh_pair *p = e->pairs, *next; p; p = next) {
		next = p->next;
		if (strcmp(p->domain, guest->uuid) == 0 && p->state == SFH_PAIR_ARRIVING)
			sfh_pair_dispatch(e, p, SFH_EV_STOPPED, NULL);
	}
}

int sfh_engine_guest_arriving(struct sfh_engine *e, const struct sfh_guest_desc *guest,
			      struct sfh_error *err)
{
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_engine_network *net = sfh_engine_network(e, nic->network);
		struct sfh_error why = { 0 };
		struct sfh_pair *p;
		int r;

		if (!net || net->npfs == 0)
			continue;
		p = sfh_engine_pair(e, guest->uuid, &nic->mac);
		if (p && p->state == SFH_PAIR_ARRIVING) /* again, and maybe in another way */
			p->deadline_ns = e->now() + SFH_ARRIVING_TTL_MS * 1000000ull;
		if (p && p->state == SFH_PAIR_ARRIVING && nic->has_vf && carry(e, p, err) < 0) {
			turn_away(e, guest);
			return -ENOSPC;
		}
		if (p)
			continue;
		p = pair_new(e, guest, nic);
		if (!p)
			return sfh_err(err, -ENOMEM, "out of memory");
		/* libvirt picks the PF later; with one PF there is nothing to pick. */
		fill_place(p, net, nic);
		(void)sfh_strcpy(p->pf, sizeof(p->pf), net->pfs[0]);
		p->pf_ifindex = net->pf_ifindex[0];
		p->state = SFH_PAIR_ARRIVING;
		p->deadline_ns = e->now() + SFH_ARRIVING_TTL_MS * 1000000ull;
		r = nic->has_vf ? carry(e, p, err) : 0;
		if (r < 0) {
			turn_away(e, guest);
			return r;
		}
		if (!p->carried)
			reserve(e, p, net);
		sfh_pair_save(e, p); /* before its entry: the sweep finds that by the row */
		if (e->kernel->stage(e->kernel_ctx, p, &why) < 0)
			sfh_engine_log(e, LOG_WARNING, "%s", why.text);
	}
	return 0;
}

bool sfh_engine_guest_pins(struct sfh_engine *e, const struct sfh_guest_desc *guest)
{
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_pair *p = sfh_engine_pair(e, guest->uuid, &guest->nics[i].mac);

		if (p && p->has_lease &&
		    (!e->kernel->can_pin || e->kernel->can_pin(e->kernel_ctx, p, NULL) == 0))
			return true;
	}
	return false;
}

void sfh_engine_guest_devices(struct sfh_engine *e, const struct sfh_guest_desc *guest)
{
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_engine_network *net = sfh_engine_network(e, nic->network);
		struct sfh_pair *p = sfh_engine_pair(e, guest->uuid, &nic->mac);
		bool moved;

		if (!net || !pf_ifindex(net, nic->pf))
			continue;
		if (!p) { /* the hook did not reach us */
			p = pair_new(e, guest, nic);
			if (!p)
				return;
			p->state = SFH_PAIR_ARRIVING;
			p->carried = nic->has_vf;
			p->landing = nic->vf;
		}
		if (p->state != SFH_PAIR_ARRIVING)
			continue;
		moved = p->pf[0] && strcmp(p->pf, nic->pf) != 0;
		if (moved) { /* libvirt picked another PF: what was staged there goes */
			(void)e->kernel->unstage(e->kernel_ctx, p, NULL);
			sfh_pool_release(e, p);
		}
		fill_place(p, net, nic);
		if (moved)
			reserve(e, p, net);
		sfh_pair_save(e, p); /* before its entry: the sweep finds that by the row */
		sfh_pair_dispatch(e, p, SFH_EV_DEVICES, NULL);
	}
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

/* --- the sweep --------------------------------------------------------------------------------- */

struct sweep {
	struct sfh_engine *e;
	char absent[64][SFH_NAME_MAX]; /* networks that could not be brought back */
	size_t nabsent;
	struct sfh_lease leases[1024];
	size_t nleases;
	struct sfh_ledger_pair rows[1024];
	size_t nrows;
};

static int collect_lease(void *ctx, const struct sfh_lease *lease)
{
	struct sweep *s = ctx;
	const struct sfh_pair *p = sfh_engine_pair(s->e, lease->domain, &lease->mac);

	if ((!p || !p->has_lease || p->lease.vf != lease->vf ||
	     strcmp(p->lease.pf, lease->pf) != 0) &&
	    s->nleases < SFH_ARRAY_SIZE(s->leases))
		s->leases[s->nleases++] = *lease;
	return 0;
}

static int collect_row(void *ctx, const struct sfh_ledger_pair *row)
{
	struct sweep *s = ctx;

	for (size_t i = 0; i < s->nabsent; i++)
		if (strcmp(s->absent[i], row->network) == 0)
			return 0; /* its guests may well run: what they have is left alone */
	if (!sfh_engine_pair(s->e, row->domain, &row->mac) && s->nrows < SFH_ARRAY_SIZE(s->rows))
		s->rows[s->nrows++] = *row;
	return 0;
}

static int collect_absent(void *ctx, const struct sfh_ledger_network *row)
{
	struct sweep *s = ctx;

	if (!sfh_engine_network(s->e, row->name) && s->nabsent < SFH_ARRAY_SIZE(s->absent))
		(void)sfh_strcpy(s->absent[s->nabsent++], SFH_NAME_MAX, row->name);
	return 0;
}

unsigned sfh_engine_sweep(struct sfh_engine *e)
{
	_cleanup_free_ struct sweep *s = calloc(1, sizeof(*s));
	unsigned given_back = 0;

	if (!s)
		return 0;
	s->e = e;
	(void)sfh_ledger_networks(e->ledger, collect_absent, s);
	(void)sfh_ledger_leases(e->ledger, collect_lease, s);
	(void)sfh_ledger_pairs(e->ledger, collect_row, s);
	for (size_t i = 0; i < s->nleases; i++) {
		const struct sfh_lease *lease = &s->leases[i];
		struct sfh_pair ghost = { .lease = *lease, .has_lease = true, .mac = lease->mac };

		for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
			if (pf_ifindex(n, lease->pf))
				ghost.pf_ifindex = pf_ifindex(n, lease->pf);
		if (!ghost.pf_ifindex)
			continue;
		(void)sfh_strcpy(ghost.pf, sizeof(ghost.pf), lease->pf);
		sfh_pool_release(e, &ghost);
		given_back++;
	}
	for (size_t i = 0; i < s->nrows; i++) {
		struct sfh_pair ghost = { .mac = s->rows[i].mac, .vlan = s->rows[i].vlan,
					  .pf_ifindex = s->rows[i].pf_ifindex };

		(void)e->kernel->unstage(e->kernel_ctx, &ghost, NULL);
		(void)sfh_ledger_pair_del(e->ledger, s->rows[i].domain, &s->rows[i].mac, NULL);
	}
	return given_back;
}

/* --- migration (source) ----------------------------------------------------------------------------- */

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

/* --- time ----------------------------------------------------------------------------------------------- */

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t sfh_engine_next(const struct sfh_engine *e)
{
	uint64_t next = UINT64_MAX;

	for (const struct sfh_pair *p = e->pairs; p; p = p->next) {
		next = earliest(next, p->deadline_ns);
		next = earliest(next, p->next_probe_ns);
		next = earliest(next, p->retry_ns);
		next = earliest(next, p->port_look_ns);
		next = earliest(next, p->warm_wake_ns);
	}
	return next;
}

void sfh_engine_tick(struct sfh_engine *e)
{
	uint64_t now = e->now();
	struct sfh_pair *next;

	sfh_engine_warm_tick(e, now);
	for (struct sfh_pair *p = e->pairs; p; p = next) {
		next = p->next;
		if (p->next_probe_ns && p->next_probe_ns <= now) {
			p->next_probe_ns = now + SFH_PROBE_INTERVAL_MS * 1000000ull;
			(void)e->kernel->probe(e->kernel_ctx, p);
		}
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
