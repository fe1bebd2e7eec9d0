// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/engine/check.h"

#include <stdio.h>
#include <string.h>

struct checker {
	const struct sfh_survey *s;
	int (*cb)(void *ctx, const struct sfh_finding *f);
	void *ctx;
	int result;
};

static const struct {
	const char *name;
	bool repairable;
} kinds[] = {
#define X(id, name, repairable) [SFH_FINDING_##id] = { name, repairable },
	SFH_FINDINGS(X)
#undef X
};

const char *sfh_finding_name(enum sfh_finding_kind kind)
{
	return (unsigned)kind < _SFH_FINDING_MAX ? kinds[kind].name : "unknown";
}

bool sfh_finding_repairable(enum sfh_finding_kind kind)
{
	return (unsigned)kind < _SFH_FINDING_MAX && kinds[kind].repairable;
}

void sfh_survey_done(struct sfh_survey *s)
{
	for (size_t i = 0; i < s->npfs; i++) {
		sfh_pf_free(&s->pfs[i].pf);
		free(s->pfs[i].vfs);
		free(s->pfs[i].filter);
	}
	free(s->pfs);
	free(s->networks);
	free(s->leases);
	free(s->pairs);
	free(s->entries);
	free(s->fdb);
	free(s->rx);
	free(s->guests);
	*s = (struct sfh_survey){ .pfs = NULL };
}

SFH_PRINTF(3, 4)
static void report(struct checker *c, struct sfh_finding *f, const char *fmt, ...)
{
	va_list ap;

	if (c->result)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	(void)sfh_utf8_mend(f->text);
	c->result = c->cb(c->ctx, f);
}

/* --- look-ups ------------------------------------------------------------------------- */

static const struct sfh_lease *lease_of_vf(const struct sfh_survey *s, const char *pf, unsigned vf)
{
	for (size_t i = 0; i < s->nleases; i++)
		if (s->leases[i].vf == vf && strcmp(s->leases[i].pf, pf) == 0)
			return &s->leases[i];
	return NULL;
}

static const struct sfh_survey_guest *guest_with_vf(const struct sfh_survey *s,
						    const struct sfh_bdf *bdf)
{
	for (size_t i = 0; i < s->nguests; i++)
		if (s->guests[i].has_vf && sfh_bdf_equal(&s->guests[i].vf, bdf))
			return &s->guests[i];
	return NULL;
}

static const struct sfh_survey_guest *guest_nic(const struct sfh_survey *s, const char *uuid,
						const struct sfh_mac *mac)
{
	for (size_t i = 0; i < s->nguests; i++)
		if (strcmp(s->guests[i].uuid, uuid) == 0 && sfh_mac_equal(&s->guests[i].mac, mac))
			return &s->guests[i];
	return NULL;
}

static const struct sfh_ledger_pair *pair_row(const struct sfh_survey *s, const char *uuid,
					      const struct sfh_mac *mac)
{
	for (size_t i = 0; i < s->npairs; i++)
		if (strcmp(s->pairs[i].domain, uuid) == 0 && sfh_mac_equal(&s->pairs[i].mac, mac))
			return &s->pairs[i];
	return NULL;
}

static bool key_is(const struct sfh_guest_key *key, const struct sfh_ledger_pair *row)
{
	return key->pf_ifindex == (__u32)row->pf_ifindex && key->vlan == row->vlan &&
	       memcmp(key->mac, row->mac.b, 6) == 0;
}

static bool state_is(const struct sfh_ledger_pair *row, const char *state)
{
	return strcmp(row->state, state) == 0;
}

/* The agent is about to bring the network up or down: its PFs are in between. */
static bool in_change(const struct sfh_survey *s, const char *network)
{
	for (size_t i = 0; i < s->nnetworks; i++)
		if (strcmp(s->networks[i].name, network) == 0)
			return !s->agent_gone && !s->networks[i].trouble[0] &&
			       s->networks[i].phase != SFH_NETWORK_UP;
	return false;
}

/* --- PFs and VFs ------------------------------------------------------------------------ */

static void check_pf(struct checker *c, const struct sfh_survey_pf *p)
{
	struct sfh_finding f = { .pf_ifindex = p->row.ifindex };

	(void)sfh_strcpy(f.pf, sizeof(f.pf), p->row.dev);
	if (p->renamed[0]) {
		f.kind = SFH_FINDING_PF_RENAMED;
		report(c, &f,
		       "PF '%s' of network '%s' is called '%s' now: no guest starts on it or gets a VF of "
		       "it; name it back: ip link set %s name %s",
		       p->row.dev, p->row.network, p->renamed, p->renamed, p->row.dev);
		return;
	}
	if (!p->present) {
		f.kind = SFH_FINDING_PF_MISSING;
		report(c, &f,
		       "PF '%s' of network '%s' is gone or has no SR-IOV any more: unbound from its "
		       "driver? It is set up again when it is back",
		       p->row.dev, p->row.network);
		return;
	}
	if (p->pf->ifindex != p->row.ifindex || p->pf->generation != p->row.generation) {
		f.kind = SFH_FINDING_VFS_CHANGED;
		report(c, &f,
		       "the VFs of '%s' are not those that 'up' found or made (there are %u now): "
		       "somebody changed sriov_numvfs or reloaded the driver; --repair sets it up again "
		       "for network '%s'",
		       p->row.dev, p->pf->num_vfs, p->row.network);
	}
	if (!p->up) {
		f.kind = SFH_FINDING_PF_DOWN;
		report(c, &f, "PF '%s' of network '%s' is down: its guests have no network on either leg",
		       p->row.dev, p->row.network);
	}
	if (p->up && !p->carrier) {
		f.kind = SFH_FINDING_PF_NO_CARRIER;
		report(c, &f,
		       "PF '%s' of network '%s' has no carrier: its guests reach nobody outside; look at "
		       "the cable and the switch",
		       p->row.dev, p->row.network);
	}
	if (p->row.mtu && p->mtu != p->row.mtu) {
		f.kind = SFH_FINDING_MTU_CHANGED;
		report(c, &f,
		       "the MTU of PF '%s' is %u and was %u when network '%s' came up: guests on their "
		       "standby leg stay there; set it back (ip link set %s mtu %u), or take the network "
		       "down and up",
		       p->row.dev, p->mtu, p->row.mtu, p->row.network, p->row.dev, p->row.mtu);
	}
	if (!p->tc || (!p->xdp && strncmp(p->row.xdp, "tc-only", 7) != 0)) {
		f.kind = SFH_FINDING_PROGRAM_MISSING;
		report(c, &f, "the %s program is not attached to '%s' any more",
		       p->tc ? "XDP" : "tc", p->row.dev);
	}
}

/* What a VF that `up` made is like before anybody told it anything: the kernel's
 * defaults. NULL if it is like that, else the setting that is not. */
static const char *left_behind(const struct sfh_vf_config *cfg)
{
	if ((cfg->known & SFH_VF_TRUST) && cfg->trust)
		return "trusted";
	if ((cfg->known & SFH_VF_SPOOFCHK) && !cfg->spoofchk)
		return "not checked for spoofing";
	if ((cfg->known & SFH_VF_RATE) && (cfg->min_tx || cfg->max_tx))
		return "limited in its rate";
	return NULL;
}

static void check_vf(struct checker *c, const struct sfh_survey_pf *p, unsigned i)
{
	const struct sfh_vf *vf = &p->pf->vfs[i];
	const struct sfh_vf_config *cfg = &p->vfs[i];
	const struct sfh_lease *lease = lease_of_vf(c->s, p->row.dev, i);
	const struct sfh_survey_guest *guest = guest_with_vf(c->s, &vf->bdf);
	const struct sfh_ledger_pair *row;
	struct sfh_finding f = { .pf_ifindex = p->row.ifindex, .vf = i, .mac = cfg->mac };
	char mac[SFH_MAC_STRLEN], is[SFH_MAC_STRLEN];

	(void)sfh_strcpy(f.pf, sizeof(f.pf), p->row.dev);
	/* A VF that a host driver holds was never ours. */
	if (vf->driver[0] && strcmp(vf->driver, "vfio-pci") != 0)
		return;
	if (!lease && guest) {
		f.kind = SFH_FINDING_LEASE_MISSING;
		f.mac = guest->mac;
		f.lease = (struct sfh_lease){ .vf = i, .bdf = vf->bdf, .mac = guest->mac };
		(void)sfh_strcpy(f.lease.pf, sizeof(f.lease.pf), p->row.dev);
		(void)sfh_strcpy(f.lease.domain, sizeof(f.lease.domain), guest->uuid);
		(void)sfh_strcpy(f.domain, sizeof(f.domain), guest->uuid);
		report(c, &f, "guest '%s' has VF %u of '%s' and the ledger has no lease for it",
		       guest->name, i, p->row.dev);
		return;
	}
	if (!lease) {
		if (!sfh_mac_is_zero(&cfg->mac)) {
			f.kind = SFH_FINDING_LEAKED_VF;
			report(c, &f, "VF %u of '%s' carries MAC %s and nobody has a lease for it", i,
			       p->row.dev, sfh_mac_format(&cfg->mac, mac));
		} else if (cfg->vlan && p->row.orig_num_vfs == 0) {
			f.kind = SFH_FINDING_STALE_VLAN;
			report(c, &f, "VF %u of '%s' is in VLAN %u and nobody has a lease for it", i,
			       p->row.dev, cfg->vlan);
		} else if (left_behind(cfg) && p->row.orig_num_vfs == 0) {
			f.kind = SFH_FINDING_STALE_SETTING;
			f.settings = cfg->known;
			report(c, &f, "VF %u of '%s' is %s and nobody has a lease for it", i, p->row.dev,
			       left_behind(cfg));
		}
		return;
	}
	row = pair_row(c->s, lease->domain, &lease->mac);
	if (!row || !state_is(row, "vf") || !(cfg->known & SFH_VF_MAC))
		return; /* nothing to say, or a driver that tells nothing */
	f.lease = *lease;
	f.mac = lease->mac;
	f.vlan = lease->vlan;
	(void)sfh_strcpy(f.domain, sizeof(f.domain), lease->domain);
	if (!sfh_mac_equal(&cfg->mac, &lease->mac)) {
		f.kind = SFH_FINDING_WRONG_MAC;
		report(c, &f, "VF %u of '%s' carries MAC %s, its lease for '%s' says %s", i,
		       p->row.dev, sfh_mac_format(&cfg->mac, is), row->domain_name,
		       sfh_mac_format(&lease->mac, mac));
	}
	if (cfg->vlan != lease->vlan) {
		f.kind = SFH_FINDING_STALE_VLAN;
		report(c, &f, "VF %u of '%s' is in VLAN %u, its lease for '%s' says %u", i, p->row.dev,
		       cfg->vlan, row->domain_name, lease->vlan);
	}
}

static void check_duplicates(struct checker *c, const struct sfh_survey_pf *p)
{
	for (unsigned i = 0; i < p->pf->num_vfs; i++)
		for (unsigned k = i + 1; k < p->pf->num_vfs; k++) {
			struct sfh_finding f = { .kind = SFH_FINDING_DUPLICATE_MAC,
						 .pf_ifindex = p->row.ifindex,
						 .mac = p->vfs[i].mac };
			char mac[SFH_MAC_STRLEN];

			if (sfh_mac_is_zero(&p->vfs[i].mac) ||
			    !sfh_mac_equal(&p->vfs[i].mac, &p->vfs[k].mac) ||
			    p->vfs[i].vlan != p->vfs[k].vlan)
				continue;
			/* The one without a lease has to go. */
			f.vf = lease_of_vf(c->s, p->row.dev, i) ? k : i;
			(void)sfh_strcpy(f.pf, sizeof(f.pf), p->row.dev);
			report(c, &f, "VFs %u and %u of '%s' both carry MAC %s", i, k, p->row.dev,
			       sfh_mac_format(&p->vfs[i].mac, mac));
		}
}

/* --- leases and pairs ---------------------------------------------------------------------- */

static void check_lease(struct checker *c, const struct sfh_lease *lease)
{
	const struct sfh_ledger_pair *row = pair_row(c->s, lease->domain, &lease->mac);
	struct sfh_finding f = { .kind = SFH_FINDING_LEASE_OF_NOBODY, .vf = lease->vf,
				 .mac = lease->mac, .lease = *lease };
	char mac[SFH_MAC_STRLEN];

	if ((row && state_is(row, "arriving")) || guest_nic(c->s, lease->domain, &lease->mac))
		return;
	(void)sfh_strcpy(f.pf, sizeof(f.pf), lease->pf);
	(void)sfh_strcpy(f.domain, sizeof(f.domain), lease->domain);
	report(c, &f, "VF %u of '%s' is leased for %s of domain %s, which does not run here", lease->vf,
	       lease->pf, sfh_mac_format(&lease->mac, mac), lease->domain);
}

static const struct sfh_survey_entry *entry_of(const struct sfh_survey *s,
					       const struct sfh_ledger_pair *row)
{
	for (size_t i = 0; i < s->nentries; i++)
		if (key_is(&s->entries[i].key, row))
			return &s->entries[i];
	return NULL;
}

static void check_pair(struct checker *c, const struct sfh_ledger_pair *row)
{
	const struct sfh_survey_entry *entry = entry_of(c->s, row);
	bool on_vf = state_is(row, "vf"), on_standby = state_is(row, "standby");
	struct sfh_finding f = { .mac = row->mac, .vlan = row->vlan, .pf_ifindex = row->pf_ifindex };
	char mac[SFH_MAC_STRLEN];

	(void)sfh_strcpy(f.domain, sizeof(f.domain), row->domain);
	(void)sfh_strcpy(f.pf, sizeof(f.pf), row->pf);
	sfh_mac_format(&row->mac, mac);
	if (!state_is(row, "arriving") && !guest_nic(c->s, row->domain, &row->mac)) {
		f.kind = SFH_FINDING_PAIR_OF_NOBODY;
		report(c, &f, "the ledger knows %s of '%s', which does not run here", mac,
		       row->domain_name);
		return;
	}
	if (!on_vf && !on_standby) {
		f.kind = SFH_FINDING_SWITCH_CUT;
		if (c->s->agent_gone && !state_is(row, "arriving") && !state_is(row, "leaving"))
			report(c, &f,
			       "%s of '%s' was in the middle of a switch ('%s') when the agent ended: the "
			       "next one, or --repair, ends or undoes it",
			       mac, row->domain_name, row->state);
		return;
	}
	if (!entry) {
		f.kind = SFH_FINDING_ENTRY_MISSING;
		report(c, &f, "%s of '%s' has no steering entry", mac, row->domain_name);
	} else if (on_vf ? entry->armed : !entry->armed && !entry->waits) {
		f.kind = SFH_FINDING_ENTRY_WRONG;
		report(c, &f, "%s of '%s' is on its %s leg and its steering entry is %s", mac,
		       row->domain_name, row->state, entry->armed ? "armed" : "not armed");
	}
}

static void check_entry(struct checker *c, const struct sfh_survey_entry *entry)
{
	struct sfh_finding f = { .kind = SFH_FINDING_ENTRY_OF_NOBODY, .key = entry->key };
	struct sfh_mac m;
	char mac[SFH_MAC_STRLEN];

	for (size_t i = 0; i < c->s->npairs; i++)
		if (key_is(&entry->key, &c->s->pairs[i]))
			return;
	memcpy(m.b, entry->key.mac, 6);
	report(c, &f, "there is a steering entry for %s (PF ifindex %u, VLAN %u) and no pair for it",
	       sfh_mac_format(&m, mac), entry->key.pf_ifindex, entry->key.vlan);
}

static void check_copies(struct checker *c)
{
	struct sfh_finding f = { .kind = SFH_FINDING_ENTRY_COPY_WRONG };

	if (c->s->wrong_copies)
		report(c, &f, "%u entries of the map sfh_fast are not what sfh_guests says",
		       c->s->wrong_copies);
}

static void check_network(struct checker *c, const struct sfh_ledger_network *row)
{
	struct sfh_finding f = { .kind = SFH_FINDING_NETWORK_FAILED };

	(void)sfh_strcpy(f.network, sizeof(f.network), row->name);
	if (row->trouble[0])
		report(c, &f, "network '%s' is not what it should be (%s): %s", row->name,
		       row->phase == SFH_NETWORK_UP ? "up" : "down", row->trouble);
	else if (c->s->agent_gone && row->phase != SFH_NETWORK_UP)
		report(c, &f, "'%s' of network '%s' was cut short when the agent ended",
		       row->phase == SFH_NETWORK_COMING ? "up" : "down", row->name);
}

/* --- the PF's own filter --------------------------------------------------------------------- */

static bool in_filter(const struct sfh_survey_pf *p, const struct sfh_mac *mac)
{
	for (size_t i = 0; i < p->nfilter; i++)
		if (sfh_mac_equal(&p->filter[i], mac))
			return true;
	return false;
}

static const struct sfh_survey_pf *pf_named(const struct sfh_survey *s, const char *dev)
{
	for (size_t i = 0; i < s->npfs; i++)
		if (strcmp(s->pfs[i].row.dev, dev) == 0)
			return &s->pfs[i];
	return NULL;
}

static const struct sfh_ledger_fdb *fdb_row(const struct sfh_survey *s, const char *pf,
					    const struct sfh_mac *mac)
{
	for (size_t i = 0; i < s->nfdb; i++)
		if (strcmp(s->fdb[i].pf, pf) == 0 && sfh_mac_equal(&s->fdb[i].mac, mac))
			return &s->fdb[i];
	return NULL;
}

static void check_address(struct checker *c, const struct sfh_ledger_pair *row,
			  const struct sfh_mac *address)
{
	const struct sfh_survey_pf *p = pf_named(c->s, row->pf);
	const struct sfh_ledger_fdb *fdb = fdb_row(c->s, row->pf, address);
	struct sfh_finding f = { .kind = SFH_FINDING_FDB_MISSING, .mac = *address,
				 .pf_ifindex = row->pf_ifindex };
	char mac[SFH_MAC_STRLEN];

	if (!p || !p->present || in_filter(p, address) ||
	    (fdb && strcmp(fdb->state, SFH_FDB_REFUSED) == 0))
		return;
	(void)sfh_strcpy(f.pf, sizeof(f.pf), row->pf);
	(void)sfh_strcpy(f.domain, sizeof(f.domain), row->domain);
	report(c, &f,
	       "%s of '%s' is on its standby leg and not in the filter of '%s': guests on its VFs "
	       "may not reach it",
	       sfh_mac_format(address, mac), row->domain_name, row->pf);
}

/* On a bridge, a guest that talks on its standby leg is in the PF's filter, with what
 * else it is to receive. A NIC that refused that is no disagreement: `status` says so. */
static void check_filter_of(struct checker *c, const struct sfh_ledger_pair *row)
{
	const struct sfh_survey_entry *entry = entry_of(c->s, row);

	if (!state_is(row, "standby") || !entry || !entry->on_bridge || !entry->armed)
		return;
	check_address(c, row, &row->mac);
	for (size_t i = 0; i < c->s->nrx; i++)
		if (strcmp(c->s->rx[i].domain, row->domain) == 0 &&
		    sfh_mac_equal(&c->s->rx[i].nic, &row->mac))
			check_address(c, row, &c->s->rx[i].mac);
}

/* Whether a pair that is not on its VF has the address, as its own or a further one. */
static bool has_address(const struct sfh_survey *s, const struct sfh_ledger_pair *row,
			const struct sfh_mac *address)
{
	if (state_is(row, "vf"))
		return false;
	if (sfh_mac_equal(&row->mac, address))
		return true;
	for (size_t i = 0; i < s->nrx; i++)
		if (sfh_mac_equal(&s->rx[i].mac, address) &&
		    strcmp(s->rx[i].domain, row->domain) == 0 &&
		    sfh_mac_equal(&s->rx[i].nic, &row->mac))
			return true;
	return false;
}

/* Ours, in the filter, and every pair with that address is on its VF or gone. */
static void check_fdb(struct checker *c, const struct sfh_ledger_fdb *fdb)
{
	const struct sfh_survey_pf *p = pf_named(c->s, fdb->pf);
	struct sfh_finding f = { .kind = SFH_FINDING_FDB_OF_NOBODY, .mac = fdb->mac,
				 .pf_ifindex = fdb->ifindex };
	char mac[SFH_MAC_STRLEN];

	if (strcmp(fdb->state, SFH_FDB_OURS) != 0 || !p || !in_filter(p, &fdb->mac))
		return;
	for (size_t i = 0; i < c->s->npairs; i++)
		if (strcmp(c->s->pairs[i].pf, fdb->pf) == 0 &&
		    has_address(c->s, &c->s->pairs[i], &fdb->mac))
			return;
	(void)sfh_strcpy(f.pf, sizeof(f.pf), fdb->pf);
	report(c, &f, "%s is in the filter of '%s' and no guest here uses it on its standby leg",
	       sfh_mac_format(&fdb->mac, mac), fdb->pf);
}

int sfh_check(const struct sfh_survey *s, int (*cb)(void *ctx, const struct sfh_finding *f),
	      void *ctx)
{
	struct checker c = { .s = s, .cb = cb, .ctx = ctx };

	for (size_t i = 0; i < s->nnetworks; i++)
		check_network(&c, &s->networks[i]);
	for (size_t i = 0; i < s->npfs; i++) {
		if (in_change(s, s->pfs[i].row.network))
			continue;
		check_pf(&c, &s->pfs[i]);
		for (unsigned v = 0; s->pfs[i].present && v < s->pfs[i].pf->num_vfs; v++)
			check_vf(&c, &s->pfs[i], v);
		if (s->pfs[i].present)
			check_duplicates(&c, &s->pfs[i]);
	}
	for (size_t i = 0; i < s->nleases; i++)
		check_lease(&c, &s->leases[i]);
	for (size_t i = 0; i < s->npairs; i++)
		check_pair(&c, &s->pairs[i]);
	for (size_t i = 0; i < s->npairs; i++)
		check_filter_of(&c, &s->pairs[i]);
	for (size_t i = 0; i < s->nfdb; i++)
		check_fdb(&c, &s->fdb[i]);
	for (size_t i = 0; i < s->nentries; i++)
		check_entry(&c, &s->entries[i]);
	check_copies(&c);
	return c.result;
}
