// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests that run here or arrive: each of their NICs on a network that is up becomes
 * a pair. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine_priv.h"
#include "ctl/engine/filter.h"

static void fill_place(struct sfh_pair *p, const struct sfh_engine_network *net,
		       const struct sfh_guest_nic *nic)
{
	(void)sfh_strcpy(p->pf, sizeof(p->pf), nic->pf);
	(void)sfh_strcpy(p->standby, sizeof(p->standby), nic->standby);
	p->pf_ifindex = sfh_network_pf_ifindex(net, nic->pf);
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
	p->born_ns = e->now();
	p->next = e->pairs;
	e->pairs = p;
	sfh_engine_rx_begin(e, p);
	return p;
}

/* --- that run ---------------------------------------------------------------------------- */

/* Programs and an entry for its standby leg. The VLAN in which it is served already is that
 * of both its legs, whatever the network says now. */
static void serve(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };
	uint16_t vlan = p->vlan;
	int r = e->kernel->standby_attach(e->kernel_ctx, p, &err);

	if (p->vlan != vlan && p->vlan && p->wish.what & SFH_VF_VLAN)
		p->wish.cfg.vlan = p->vlan;
	else if (p->vlan != vlan)
		p->wish.what &= ~SFH_VF_VLAN_PARTS;
	if (r < 0 || e->kernel->stage(e->kernel_ctx, p, &err) < 0)
		sfh_engine_log(e, LOG_ERR, "%s has no steering: %s", p->domain_name, err.text);
}

static void come_back(struct sfh_engine *e, struct sfh_pair *p,
		      const struct sfh_engine_network *net, const struct sfh_guest_nic *nic)
{
	if (strcmp(p->pf, nic->pf) != 0)
		(void)e->kernel->unstage(e->kernel_ctx, p, NULL);
	p->nic_removed = p->negotiated = false;
	p->standby_ifindex = 0;
	fill_place(p, net, nic);
	serve(e, p);
	sfh_pair_save(e, p);
}

static void believe(struct sfh_engine *e, const char *uuid)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (strcmp(p->domain, uuid) == 0)
			p->doubted = false;
}

/* Its QEMU ended while libvirtd was away, and nobody was told: the VF is nobody's any more,
 * and the datapath knows a device that is gone. The standby device tells, since each run has
 * a new one. The domain's id does not: libvirtd goes on from the highest that it finds when
 * it starts, and a guest may have the same once more. One that arrives may have none yet; a
 * NIC that is plugged again has another in the same run; and a guest begins without a VF, so
 * one that has the pair's still runs as it did. */
static void end_former_run(struct sfh_engine *e, const struct sfh_guest_desc *guest,
			   const struct sfh_guest_nic *nic)
{
	struct sfh_pair *p = sfh_engine_pair(e, guest->uuid, &nic->mac);
	int now;

	if (!p || p->state == SFH_PAIR_ARRIVING || p->nic_removed || !p->standby_ifindex ||
	    !e->kernel->standby_find ||
	    (nic->has_vf && p->has_lease && sfh_bdf_equal(&nic->vf, &p->lease.bdf)))
		return;
	now = e->kernel->standby_find(e->kernel_ctx, nic->standby);
	if (now <= 0 || now == p->standby_ifindex)
		return;
	sfh_engine_log(e, LOG_NOTICE, "%s was started anew, and nobody said that it had stopped",
		       p->domain_name);
	sfh_pair_dispatch(e, p, SFH_EV_STOPPED, "it was started anew");
}

/* It let go of its VF while libvirtd was away: nobody heard that either, and whose doing it
 * was nobody knows. */
static bool let_go_unheard(const struct sfh_pair *p, const struct sfh_guest_nic *nic)
{
	return p->doubted && !nic->has_vf &&
	       (p->state == SFH_PAIR_VF || p->state == SFH_PAIR_PROVING ||
		p->state == SFH_PAIR_UNPLUGGING);
}

static void running(struct sfh_engine *e, const struct sfh_guest_desc *guest, bool found)
{
	for (size_t i = 0; i < guest->nnics; i++) /* all first: with the last its migration ends */
		end_former_run(e, guest, &guest->nics[i]);
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_engine_network *net = sfh_engine_network(e, nic->network);
		struct sfh_pair *p;

		if (!net || !sfh_network_pf_ifindex(net, nic->pf))
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
			if (found && let_go_unheard(p, nic)) {
				p->asked_late = true;
				sfh_pair_dispatch(e, p, SFH_EV_UNPLUGGED, NULL);
			}
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
		serve(e, p);
		if (found)
			sfh_guest_take_over(e, p, nic);
		else
			sfh_pair_filter(e, p, true);
		sfh_pair_save(e, p);
		sfh_pair_dispatch(e, p, SFH_EV_CONSIDER, found ? "agent-start" : "start");
		if (p->state == SFH_PAIR_VF && p->held) /* the last agent had begun it */
			sfh_pair_dispatch(e, p, SFH_EV_HOLD, "request");
	}
}

void sfh_engine_guest_running(struct sfh_engine *e, const struct sfh_guest_desc *guest, bool found)
{
	running(e, guest, found);
	believe(e, guest->uuid);
}

/* --- that arrive ------------------------------------------------------------------------- */

/* Its memory counts because our own hook has QEMU touch it before the copy begins. */
static uint64_t arrives_until(const struct sfh_engine *e, const struct sfh_guest_desc *guest)
{
	uint64_t gib = guest->memory_kib >> 20;

	return e->now() +
	       (SFH_ARRIVING_TTL_MS + (gib < 16384 ? gib : 16384) * SFH_ARRIVING_GIB_MS) * 1000000ull;
}

static void reserve(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_engine_network *net)
{
	struct sfh_error err = { 0 };

	if (!net->never && !p->never && !p->barred && p->adopted && sfh_pool_reserve(e, p, &err) < 0)
		sfh_engine_log(e, LOG_NOTICE, "%s arrives without a VF: %s", p->domain_name,
			       err.text);
}

/* Of the pair's PF if that has one; of any other of its network else: where libvirt will
 * put its standby leg is not known yet. */
static int reserve_any(struct sfh_engine *e, struct sfh_pair *p,
		       const struct sfh_engine_network *net, struct sfh_error *err)
{
	int ifindex = p->pf_ifindex, r = sfh_pool_reserve(e, p, err);
	char pf[sizeof(p->pf)];

	memcpy(pf, p->pf, sizeof(pf));
	for (size_t i = 0; !p->has_lease && i < net->npfs; i++) {
		(void)sfh_strcpy(p->pf, sizeof(p->pf), net->pfs[i]);
		p->pf_ifindex = net->pf_ifindex[i];
		if (p->pf_ifindex != ifindex)
			(void)sfh_pool_reserve(e, p, NULL);
	}
	memcpy(p->pf, pf, sizeof(p->pf));
	p->pf_ifindex = ifindex;
	return p->has_lease ? 0 : r;
}

/* Its XML brings a VF: libvirt demands one here. QEMU would open it in the pause, and
 * pin the guest's memory for it: it is kept shut, which costs QEMU a warning. */
static int carry(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_engine_network *net,
		 struct sfh_error *err)
{
	int r = p->has_lease ? 0 : reserve_any(e, p, net, err);

	if (r == 0 && !(p->carried && sfh_bdf_equal(&p->landing, &p->lease.bdf)) &&
	    e->kernel->vf_hold)
		r = e->kernel->vf_hold(e->kernel_ctx, &p->lease.bdf, err);
	if (r < 0)
		return r;
	p->landing = p->lease.bdf;
	p->carried = true;
	return 0;
}

/* It comes after its time: what its XML names was given back, and is reserved and kept shut
 * again if nobody has it. Else it lands without. */
static void carry_again(struct sfh_engine *e, struct sfh_pair *p,
			const struct sfh_engine_network *net, const struct sfh_bdf *vf)
{
	char pf[sizeof(p->pf)];
	int ifindex = p->pf_ifindex, r = -ENODEV;
	struct sfh_error err = { 0 };

	p->carried = true;
	memcpy(pf, p->pf, sizeof(pf));
	for (size_t i = 0; r == -ENODEV && i < net->npfs; i++) {
		(void)sfh_strcpy(p->pf, sizeof(p->pf), net->pfs[i]);
		p->pf_ifindex = net->pf_ifindex[i];
		err.code = 0;
		r = sfh_pool_reserve_vf(e, p, vf, &err);
	}
	memcpy(p->pf, pf, sizeof(p->pf));
	p->pf_ifindex = ifindex;
	if (r == 0)
		p->landing = *vf; /* else it is not ours to let loose */
	if (r == 0 && e->kernel->vf_hold)
		r = e->kernel->vf_hold(e->kernel_ctx, vf, &err);
	if (r < 0)
		sfh_engine_log(e, LOG_WARNING, "%s arrives with a VF that is not kept for it: %s",
			       p->domain_name, err.text);
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
		if (p && p->state == SFH_PAIR_ARRIVING) { /* again, and maybe in another way */
			p->deadline_ns = arrives_until(e, guest);
			p->doubted = false;
		}
		r = p && p->state == SFH_PAIR_ARRIVING && nic->has_vf ? carry(e, p, net, err) : 0;
		if (r < 0) {
			turn_away(e, guest);
			return r;
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
		p->deadline_ns = arrives_until(e, guest);
		r = nic->has_vf ? carry(e, p, net, err) : 0;
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
	believe(e, guest->uuid);
	for (size_t i = 0; i < guest->nnics; i++) {
		const struct sfh_guest_nic *nic = &guest->nics[i];
		const struct sfh_engine_network *net = sfh_engine_network(e, nic->network);
		struct sfh_pair *p = sfh_engine_pair(e, guest->uuid, &nic->mac);
		bool moved;

		if (!net || !sfh_network_pf_ifindex(net, nic->pf))
			continue;
		if (!p) { /* the hook did not reach us, or long ago */
			p = pair_new(e, guest, nic);
			if (!p)
				return;
			p->state = SFH_PAIR_ARRIVING;
			fill_place(p, net, nic);
			if (nic->has_vf)
				carry_again(e, p, net, &nic->vf);
		}
		if (p->state != SFH_PAIR_ARRIVING)
			continue;
		moved = p->pf[0] && strcmp(p->pf, nic->pf) != 0;
		if (moved) { /* libvirt picked another PF: what was staged there goes */
			(void)e->kernel->unstage(e->kernel_ctx, p, NULL);
			if (!p->carried) /* else its XML names that VF, until it lands */
				sfh_pool_release(e, p);
		}
		fill_place(p, net, nic);
		if (moved && !p->carried)
			reserve(e, p, net);
		sfh_pair_save(e, p); /* before its entry: the sweep finds that by the row */
		sfh_pair_dispatch(e, p, SFH_EV_DEVICES, NULL);
	}
}

/* --- that are gone ----------------------------------------------------------------------- */

void sfh_engine_doubt(struct sfh_engine *e)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		p->doubted = true;
}

static struct sfh_pair *any_doubted(const struct sfh_engine *e)
{
	struct sfh_pair *p = e->pairs;

	while (p && !p->doubted)
		p = p->next;
	return p;
}

/* Only pairs that were there when it went: one that began since is of a guest that was
 * started after the list was made that they are held against, and is not on it. Whatever else
 * the pair was at, in a migration or held by its user, it was that of a QEMU that is gone;
 * libvirt kills one that was on its way here when it starts again. */
unsigned sfh_engine_doubted_gone(struct sfh_engine *e)
{
	unsigned n = 0;

	/* From the beginning each time: a `down` that waited for one of them ends others. */
	for (struct sfh_pair *p; (p = any_doubted(e)); n++) {
		p->doubted = false;
		sfh_engine_log(e, LOG_NOTICE, p->state == SFH_PAIR_ARRIVING
						      ? "%s does not arrive: libvirtd was restarted"
						      : "%s stopped while libvirtd was away",
			       p->domain_name);
		sfh_pair_dispatch(e, p, SFH_EV_STOPPED, NULL);
	}
	return n;
}
