// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/engine/inventory.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define FIRST_GUESS 256 /* VFs of a PF, for the first question */
#define VFS_MAX 65536	/* what an SR-IOV capability can say */

const char *sfh_slot_state_name(enum sfh_slot_state state)
{
	static const char *const names[_SFH_SLOT_MAX] = {
		[SFH_SLOT_FREE] = "free",	  [SFH_SLOT_LANDING] = "landing",
		[SFH_SLOT_LEASED] = "leased",	  [SFH_SLOT_RESERVED] = "reserved",
		[SFH_SLOT_EXCLUDED] = "excluded",
	};

	return (unsigned)state < _SFH_SLOT_MAX ? names[state] : "unknown";
}

/* --- slots ------------------------------------------------------------------------------ */

static void set_bit(uint64_t *bits, unsigned i, bool on)
{
	if (on)
		bits[i / 64] |= 1ull << i % 64;
	else
		bits[i / 64] &= ~(1ull << i % 64);
}

static int first_bit(const uint64_t *bits, unsigned n)
{
	for (unsigned w = 0; w < (n + 63) / 64; w++)
		if (bits[w])
			return (int)(w * 64 + (unsigned)__builtin_ctzll(bits[w]));
	return -ENOSPC;
}

static int last_bit(const uint64_t *bits, unsigned n)
{
	for (unsigned w = (n + 63) / 64; w-- > 0;)
		if (bits[w])
			return (int)(w * 64 + 63 - (unsigned)__builtin_clzll(bits[w]));
	return -ENOSPC;
}

static void set_state(struct sfh_inventory *inv, unsigned vf, enum sfh_slot_state state)
{
	struct sfh_slot *s = &inv->slots[vf];

	inv->count[s->state]--;
	inv->count[state]++;
	s->state = state;
	set_bit(inv->free_bits, vf, state == SFH_SLOT_FREE);
	set_bit(inv->landing_bits, vf, state == SFH_SLOT_LANDING);
}

static void fill_row(const struct sfh_inventory *inv, unsigned vf, struct sfh_ledger_slot *row)
{
	const struct sfh_slot *s = &inv->slots[vf];

	*row = (struct sfh_ledger_slot){ .vf = vf, .bdf = s->bdf };
	(void)sfh_strcpy(row->pf, sizeof(row->pf), inv->pf);
	/* A lease has a row of its own; this one says what becomes of the VF after it. */
	(void)sfh_strcpy(row->class, sizeof(row->class),
			 s->state == SFH_SLOT_EXCLUDED ? "excluded"
			 : s->landing		       ? "landing"
						       : "free");
	(void)sfh_strcpy(row->why, sizeof(row->why), s->why);
}

/* The row is for `status` only; the pool works without it. */
static void tell(struct sfh_engine *e, const struct sfh_inventory *inv, unsigned vf)
{
	struct sfh_ledger_slot row;

	fill_row(inv, vf, &row);
	(void)sfh_ledger_slot_put(e->ledger, &row, NULL);
}

static void tell_all(struct sfh_engine *e, const struct sfh_inventory *inv)
{
	_cleanup_free_ struct sfh_ledger_slot *rows = calloc(inv->n ? inv->n : 1, sizeof(*rows));
	struct sfh_error err = { 0 };

	if (!rows)
		return;
	for (unsigned i = 0; i < inv->n; i++)
		fill_row(inv, i, &rows[i]);
	if (sfh_ledger_slots_put(e->ledger, inv->pf, rows, inv->n, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "status will not show the VFs of '%s': %s", inv->pf,
			       err.text);
}

/* --- landing VFs -------------------------------------------------------------------------- */

/* How many the network keeps back now, and how many VFs it could use at all. */
static unsigned kept_back(const struct sfh_engine *e, const char *network, unsigned *ret_usable)
{
	unsigned kept = 0, usable = 0;

	for (const struct sfh_inventory *i = e->inventory; i; i = i->next) {
		if (strcmp(i->network, network) != 0)
			continue;
		usable += i->n - i->count[SFH_SLOT_EXCLUDED];
		for (unsigned v = 0; v < i->n; v++)
			kept += i->slots[v].landing && i->slots[v].state != SFH_SLOT_EXCLUDED;
	}
	*ret_usable = usable;
	return kept;
}

/* How many it should keep: never the only one. */
static unsigned wanted(const struct sfh_engine *e, const char *network, unsigned usable)
{
	const struct sfh_engine_network *net = sfh_engine_network(e, network);

	if (!net || usable < 2)
		return 0;
	return net->landing < usable ? net->landing : usable - 1;
}

static unsigned landings_of(const struct sfh_inventory *inv)
{
	unsigned n = 0;

	for (unsigned v = 0; v < inv->n; v++)
		n += inv->slots[v].landing;
	return n;
}

/* The PF to keep the next one back of: the one with the fewest kept, then with
 * the most that are free. */
static struct sfh_inventory *next_landing_pf(const struct sfh_engine *e, const char *network)
{
	struct sfh_inventory *best = NULL;

	for (struct sfh_inventory *i = e->inventory; i; i = i->next) {
		unsigned mine, its;

		if (strcmp(i->network, network) != 0 || i->count[SFH_SLOT_FREE] == 0)
			continue;
		mine = landings_of(i);
		its = best ? landings_of(best) : 0;
		if (!best || mine < its ||
		    (mine == its && i->count[SFH_SLOT_FREE] > best->count[SFH_SLOT_FREE]))
			best = i;
	}
	return best;
}

static struct sfh_inventory *too_many_pf(const struct sfh_engine *e, const char *network)
{
	for (struct sfh_inventory *i = e->inventory; i; i = i->next)
		if (strcmp(i->network, network) == 0 && i->count[SFH_SLOT_LANDING])
			return i;
	return NULL;
}

/* After a look at the VFs. The last ones are kept back, since the first are given
 * out first; what is in use now is kept back when it frees. */
static void keep_back(struct sfh_engine *e, const char *network)
{
	unsigned usable, kept = kept_back(e, network, &usable), want = wanted(e, network, usable);
	struct sfh_inventory *inv;

	while (kept < want && (inv = next_landing_pf(e, network))) {
		unsigned vf = (unsigned)last_bit(inv->free_bits, inv->n);

		inv->slots[vf].landing = true;
		set_state(inv, vf, SFH_SLOT_LANDING);
		kept++;
	}
	while (kept > want && (inv = too_many_pf(e, network))) {
		unsigned vf = (unsigned)first_bit(inv->landing_bits, inv->n);

		inv->slots[vf].landing = false;
		set_state(inv, vf, SFH_SLOT_FREE);
		kept--;
	}
	for (inv = e->inventory; inv; inv = inv->next)
		if (strcmp(inv->network, network) == 0)
			inv->short_of_landing = kept < want;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct sfh_inventory *sfh_inventory_find(const struct sfh_engine *e, const char *pf)
{
	for (struct sfh_inventory *i = e->inventory; i; i = i->next)
		if (strcmp(i->pf, pf) == 0)
			return i;
	return NULL;
}

static void empty(struct sfh_inventory *inv)
{
	for (unsigned i = 0; i < inv->n; i++)
		free(inv->slots[i].stuck);
	free(inv->slots);
	free(inv->free_bits);
	free(inv->landing_bits);
	inv->slots = NULL;
	inv->free_bits = inv->landing_bits = NULL;
	inv->n = inv->nstuck = 0;
	memset(inv->count, 0, sizeof(inv->count));
}

static int list_vfs(struct sfh_engine *e, const char *pf, struct sfh_vf_slot **ret,
		    struct sfh_error *err)
{
	for (size_t n = FIRST_GUESS; n <= VFS_MAX; n *= 4) {
		_cleanup_free_ struct sfh_vf_slot *slots = calloc(n, sizeof(*slots));
		int got;

		if (!slots)
			return sfh_err(err, -ENOMEM, "out of memory");
		got = e->kernel->vf_list(e->kernel_ctx, pf, slots, n, err);
		if (got < 0 || (size_t)got < n || n == VFS_MAX) {
			*ret = TAKE_PTR(slots);
			return got;
		}
	}
	return 0;
}

static int mark_lease(void *ctx, const struct sfh_lease *lease)
{
	struct sfh_inventory *inv = ctx;
	struct sfh_slot *s;

	if (strcmp(lease->pf, inv->pf) != 0 || lease->vf >= inv->n)
		return 0;
	s = &inv->slots[lease->vf];
	s->why[0] = '\0';
	set_state(inv, lease->vf, lease->reserved ? SFH_SLOT_RESERVED : SFH_SLOT_LEASED);
	return 0;
}

/* What only the last view knew goes over to the new one. */
static void carry_over(struct sfh_inventory *inv, struct sfh_inventory *old)
{
	for (unsigned i = 0; i < inv->n && i < old->n; i++) {
		struct sfh_slot *s = &inv->slots[i];

		if (!sfh_bdf_equal(&s->bdf, &old->slots[i].bdf))
			continue;
		s->landing = old->slots[i].landing && s->state != SFH_SLOT_EXCLUDED;
		if (s->landing && s->state == SFH_SLOT_FREE)
			set_state(inv, i, SFH_SLOT_LANDING);
		if (s->state == SFH_SLOT_LEASED && old->slots[i].stuck) {
			s->stuck = TAKE_PTR(old->slots[i].stuck);
			inv->nstuck++;
		}
	}
}

static int fill(struct sfh_engine *e, struct sfh_inventory *inv, struct sfh_error *err)
{
	_cleanup_free_ struct sfh_vf_slot *list = NULL;
	struct sfh_inventory old = *inv;
	int n = list_vfs(e, inv->pf, &list, err);
	char mac[SFH_MAC_STRLEN];

	if (n < 0)
		return n;
	inv->n = 0;
	for (int i = 0; i < n; i++)
		if (list[i].vf < VFS_MAX && list[i].vf >= inv->n)
			inv->n = list[i].vf + 1;
	inv->nstuck = 0;
	memset(inv->count, 0, sizeof(inv->count));
	inv->slots = calloc(inv->n + 1, sizeof(*inv->slots));
	inv->free_bits = calloc(inv->n / 64 + 1, sizeof(uint64_t));
	inv->landing_bits = calloc(inv->n / 64 + 1, sizeof(uint64_t));
	if (!inv->slots || !inv->free_bits || !inv->landing_bits) {
		empty(inv);
		*inv = old;
		return sfh_err(err, -ENOMEM, "out of memory");
	}
	inv->count[SFH_SLOT_FREE] = inv->n;
	for (unsigned i = 0; i < inv->n; i++)
		set_state(inv, i, SFH_SLOT_EXCLUDED);
	for (int i = 0; i < n; i++) {
		struct sfh_slot *s = &inv->slots[list[i].vf];

		s->bdf = list[i].bdf;
		if (list[i].why_not[0])
			(void)sfh_strcpy(s->why, sizeof(s->why), list[i].why_not);
		else if (!sfh_mac_is_zero(&list[i].mac))
			(void)snprintf(s->why, sizeof(s->why), "carries MAC %s that is not ours",
				       sfh_mac_format(&list[i].mac, mac));
		else
			set_state(inv, list[i].vf, SFH_SLOT_FREE);
	}
	(void)sfh_ledger_leases(e->ledger, mark_lease, inv);
	carry_over(inv, &old);
	empty(&old);
	inv->stale = false;
	inv->read_ns = e->now();
	return 0;
}

static struct sfh_inventory *add(struct sfh_engine *e, const struct sfh_engine_network *net,
				 size_t pf)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, net->pfs[pf]), **at = &e->inventory;

	if (inv)
		return inv;
	inv = calloc(1, sizeof(*inv));
	if (!inv)
		return NULL;
	(void)sfh_strcpy(inv->pf, sizeof(inv->pf), net->pfs[pf]);
	(void)sfh_strcpy(inv->network, sizeof(inv->network), net->name);
	inv->pf_ifindex = net->pf_ifindex[pf];
	while (*at)
		at = &(*at)->next;
	*at = inv;
	return inv;
}

static const struct sfh_engine_network *network_of(const struct sfh_engine *e, const char *pf)
{
	for (const struct sfh_engine_network *n = e->networks; n; n = n->next)
		for (size_t i = 0; i < n->npfs; i++)
			if (strcmp(n->pfs[i], pf) == 0)
				return n;
	return NULL;
}

/* Landing VFs are the network's: the first look is at all its PFs. A PF that
 * cannot be read matters only to those who ask for it. */
static int load(struct sfh_engine *e, const char *pf, struct sfh_error *err)
{
	const struct sfh_engine_network *net = network_of(e, pf);
	int ret = 0;

	if (!net)
		return sfh_err(err, -ENODEV, "no network that is up has the PF '%s'", pf);
	for (size_t i = 0; i < net->npfs; i++) {
		bool asked = strcmp(net->pfs[i], pf) == 0;
		struct sfh_inventory *inv = add(e, net, i);
		int r;

		if (!inv)
			return sfh_err(err, -ENOMEM, "out of memory");
		if (!asked && inv->read_ns && !inv->stale)
			continue;
		r = fill(e, inv, asked ? err : NULL);
		if (r < 0) {
			inv->stale = true;
			ret = asked ? r : ret;
		}
	}
	keep_back(e, net->name);
	for (struct sfh_inventory *inv = e->inventory; inv; inv = inv->next)
		if (strcmp(inv->network, net->name) == 0)
			tell_all(e, inv);
	return ret;
}

int sfh_inventory_get(struct sfh_engine *e, const char *pf, struct sfh_inventory **ret,
		      struct sfh_error *err)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);
	int r;

	if (!inv || inv->stale || !inv->read_ns) {
		r = load(e, pf, err);
		if (r < 0)
			return r;
		inv = sfh_inventory_find(e, pf);
	}
	*ret = inv;
	return 0;
}

int sfh_inventory_refresh(struct sfh_engine *e, const char *pf, struct sfh_error *err)
{
	struct sfh_inventory *inv = sfh_inventory_find(e, pf);

	if (inv)
		inv->stale = true;
	return sfh_inventory_get(e, pf, &inv, err);
}

void sfh_inventory_forget(struct sfh_engine *e, const char *network)
{
	for (struct sfh_inventory **at = &e->inventory; *at;) {
		struct sfh_inventory *dead = *at;

		if (network && strcmp(dead->network, network) != 0) {
			at = &dead->next;
			continue;
		}
		*at = dead->next;
		empty(dead);
		free(dead);
	}
}

void sfh_inventory_free(struct sfh_engine *e)
{
	sfh_inventory_forget(e, NULL);
}

/* --- changing hands ------------------------------------------------------------------------------ */

int sfh_inventory_pick(const struct sfh_inventory *inv, bool landing)
{
	int vf = first_bit(inv->free_bits, inv->n);

	return vf < 0 && landing ? first_bit(inv->landing_bits, inv->n) : vf;
}

void sfh_inventory_take(struct sfh_inventory *inv, unsigned vf, bool reserved)
{
	if (vf < inv->n)
		set_state(inv, vf, reserved ? SFH_SLOT_RESERVED : SFH_SLOT_LEASED);
}

void sfh_inventory_give(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf)
{
	struct sfh_slot *s;

	if (vf >= inv->n)
		return;
	s = &inv->slots[vf];
	if (s->stuck) {
		free(s->stuck);
		s->stuck = NULL;
		inv->nstuck--;
	}
	if (!s->landing && inv->short_of_landing) {
		s->landing = true;
		set_state(inv, vf, SFH_SLOT_LANDING);
		keep_back(e, inv->network);
		tell(e, inv, vf);
		return;
	}
	set_state(inv, vf, s->landing ? SFH_SLOT_LANDING : SFH_SLOT_FREE);
}

void sfh_inventory_exclude(struct sfh_engine *e, struct sfh_inventory *inv, unsigned vf,
			   const char *why)
{
	if (vf >= inv->n)
		return;
	inv->slots[vf].landing = false;
	(void)sfh_strcpy(inv->slots[vf].why, sizeof(inv->slots[vf].why), why);
	set_state(inv, vf, SFH_SLOT_EXCLUDED);
	keep_back(e, inv->network);
	tell(e, inv, vf);
}
