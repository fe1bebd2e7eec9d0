// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/survey.h"

#include <net/if.h>
#include <string.h>

/* Appends room for one element to an array and returns it, zeroed. */
static void *append(void **array, size_t *n, size_t size)
{
	char *more = realloc(*array, (*n + 1) * size);

	if (!more)
		return NULL;
	*array = more;
	return memset(more + (*n)++ * size, 0, size);
}

#define APPEND(array, n) ((__typeof__(*(array)) *)append((void **)&(array), &(n), sizeof(*(array))))

static int add_pf(void *ctx, const struct sfh_ledger_pf *row)
{
	struct sfh_survey *s = ctx;
	struct sfh_survey_pf *p = APPEND(s->pfs, s->npfs);

	if (!p)
		return -ENOMEM;
	p->row = *row;
	return 0;
}

static int add_network(void *ctx, const struct sfh_ledger_network *row)
{
	struct sfh_survey *s = ctx;
	struct sfh_ledger_network *n = APPEND(s->networks, s->nnetworks);

	if (!n)
		return -ENOMEM;
	*n = *row;
	return 0;
}

static int add_lease(void *ctx, const struct sfh_lease *lease)
{
	struct sfh_survey *s = ctx;
	struct sfh_lease *l = APPEND(s->leases, s->nleases);

	if (!l)
		return -ENOMEM;
	*l = *lease;
	return 0;
}

static int add_pair(void *ctx, const struct sfh_ledger_pair *row)
{
	struct sfh_survey *s = ctx;
	struct sfh_ledger_pair *p = APPEND(s->pairs, s->npairs);

	if (!p)
		return -ENOMEM;
	*p = *row;
	return 0;
}

static int add_fdb(void *ctx, const struct sfh_ledger_fdb *row)
{
	struct sfh_survey *s = ctx;
	struct sfh_ledger_fdb *f = APPEND(s->fdb, s->nfdb);

	if (!f)
		return -ENOMEM;
	*f = *row;
	return 0;
}

static int add_rx(void *ctx, const struct sfh_ledger_rx *row)
{
	struct sfh_survey *s = ctx;
	struct sfh_ledger_rx *r = APPEND(s->rx, s->nrx);

	if (!r)
		return -ENOMEM;
	*r = *row;
	return 0;
}

static int add_filter(void *ctx, const struct sfh_mac *mac)
{
	struct sfh_survey_pf *p = ctx;
	struct sfh_mac *m = APPEND(p->filter, p->nfilter);

	if (!m)
		return -ENOMEM;
	*m = *mac;
	return 0;
}

static int add_entry(const struct sfh_pair_view *view, void *ctx)
{
	struct sfh_survey *s = ctx;
	struct sfh_survey_entry *e = APPEND(s->entries, s->nentries);

	if (!e)
		return -ENOMEM;
	*e = (struct sfh_survey_entry){ view->key, view->armed, view->arm_on_first_frame,
					 view->standby_kind == SFH_STANDBY_TAP };
	return 0;
}

/* A NIC counts when it sits on a PF of ours (macvtap) or the ledger has a pair
 * for it (bridge). */
static bool is_ours(const struct sfh_survey *s, const struct sfh_domdesc *desc,
		    const struct sfh_dom_nic *nic)
{
	for (size_t i = 0; i < s->npfs; i++)
		if (strcmp(s->pfs[i].row.network, nic->network) == 0)
			return true;
	for (size_t i = 0; i < s->npairs; i++)
		if (strcmp(s->pairs[i].domain, desc->uuid) == 0 &&
		    sfh_mac_equal(&s->pairs[i].mac, &nic->mac))
			return true;
	return false;
}

static int add_guest(void *ctx, const char *xml)
{
	struct sfh_survey *s = ctx;
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;

	if (sfh_domdesc_parse(xml, strlen(xml), &desc, NULL) < 0)
		return 0;
	for (size_t i = 0; i < desc->nnics; i++) {
		const struct sfh_dom_nic *nic = &desc->nics[i];
		const struct sfh_dom_hostdev *vf;
		struct sfh_survey_guest *g;
		char alias[SFH_ALIAS_SIZE];

		if (nic->type == SFH_NIC_HOSTDEV || !is_ours(s, desc, nic))
			continue;
		g = APPEND(s->guests, s->nguests);
		if (!g)
			return -ENOMEM;
		g->mac = nic->mac;
		(void)sfh_strcpy(g->uuid, sizeof(g->uuid), desc->uuid);
		(void)sfh_strcpy(g->name, sizeof(g->name), desc->name);
		vf = sfh_domdesc_find_hostdev(desc, sfh_alias_vf(&nic->mac, alias));
		g->has_vf = vf != NULL;
		if (vf)
			g->vf = vf->bdf;
	}
	return 0;
}

static int look_at_pf(const struct sfh_env *env, struct sfh_nl *nl, struct sfh_survey_pf *p,
		      struct sfh_error *err)
{
	struct sfh_link link;
	int r;

	if (sfh_pf_read(env, p->row.dev, &p->pf, NULL) < 0) {
		/* That is a finding, not a failure. */
		if (if_indextoname((unsigned)p->row.ifindex, p->renamed) &&
		    strcmp(p->renamed, p->row.dev) == 0)
			p->renamed[0] = '\0';
		return 0;
	}
	p->present = true;
	if (sfh_nl_link_get(nl, p->row.dev, &link, NULL) == 0) {
		p->up = link.up;
		p->carrier = link.carrier;
		p->mtu = link.mtu;
	}
	p->vfs = calloc(p->pf->num_vfs ? p->pf->num_vfs : 1, sizeof(*p->vfs));
	if (!p->vfs)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_nl_vf_list(nl, p->pf->ifindex, p->vfs, p->pf->num_vfs, err);
	if (r < 0)
		return r;
	(void)sfh_nl_fdb_list(p->pf->ifindex, add_filter, p);
	return 0;
}

int sfh_survey_host(const struct sfh_env *env, struct sfh_ledger *ledger, struct sfh_survey *s,
		    struct sfh_error *err)
{
	struct sfh_nl *nl = NULL;
	int r = sfh_nl_open(&nl, err);

	if (r == 0 && (sfh_ledger_networks(ledger, add_network, s) < 0 ||
		       sfh_ledger_pfs(ledger, add_pf, s) < 0 ||
		       sfh_ledger_leases(ledger, add_lease, s) < 0 ||
		       sfh_ledger_pairs(ledger, add_pair, s) < 0 ||
		       sfh_ledger_fdbs(ledger, add_fdb, s) < 0 ||
		       sfh_ledger_rxs(ledger, add_rx, s) < 0))
		r = sfh_err(err, -EIO, "cannot read the ledger");
	for (size_t i = 0; r == 0 && i < s->npfs; i++)
		r = look_at_pf(env, nl, &s->pfs[i], err);
	sfh_nl_close(&nl);
	return r;
}

int sfh_survey_steering(struct sfh_steer *steer, struct sfh_survey *s, struct sfh_error *err)
{
	for (size_t i = 0; i < s->npfs; i++) {
		struct sfh_steer_port_state port = { .from = false };

		if (!s->pfs[i].present)
			continue;
		(void)sfh_steer_port_check(steer, (uint32_t)s->pfs[i].pf->ifindex,
					   SFH_STANDBY_NONE, &port);
		s->pfs[i].tc = port.from;
		s->pfs[i].xdp = port.xdp != SFH_XDP_NONE;
	}
	if (sfh_steer_foreach(steer, add_entry, s) < 0)
		return sfh_err(err, -EIO, "cannot read the steering maps");
	s->wrong_copies = sfh_steer_fast_check(steer);
	return 0;
}

int sfh_survey_guests(struct sfh_virt *virt, struct sfh_survey *s, struct sfh_error *err)
{
	return sfh_virt_running(virt, add_guest, s, err);
}

int sfh_survey_take(const struct sfh_env *env, struct sfh_ledger *ledger, struct sfh_steer *steer,
		    struct sfh_virt *virt, struct sfh_survey *ret, struct sfh_error *err)
{
	struct sfh_survey s = { .pfs = NULL };
	int r = sfh_survey_host(env, ledger, &s, err);

	if (r == 0 && steer)
		r = sfh_survey_steering(steer, &s, err);
	if (r == 0)
		r = sfh_survey_guests(virt, &s, err);
	if (r < 0) {
		sfh_survey_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}
