// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/engine/filter.h"

#include <string.h>
#include <syslog.h>

#define MS 1000000ull
#define VFS_MAX 256 /* of one PF: more than any NIC has */

bool sfh_pair_spoofchk(const struct sfh_pair *p)
{
	if (p->wish.what & SFH_VF_SPOOFCHK)
		return p->wish.cfg.spoofchk;
	if (p->has_lease && p->lease.orig.known & SFH_VF_SPOOFCHK)
		return p->lease.orig.spoofchk;
	return true;
}

/* --- which addresses --------------------------------------------------------------------- */

static bool follows(const struct sfh_engine *e, const struct sfh_pair *p)
{
	return e->kernel->filter_also && p->kind == SFH_STANDBY_TAP && !sfh_pair_spoofchk(p);
}

static bool is_pairs(const struct sfh_engine *e, const struct sfh_mac *mac)
{
	for (const struct sfh_pair *p = e->pairs; p; p = p->next)
		if (sfh_mac_equal(&p->mac, mac))
			return true;
	return false;
}

/* Nothing for a filter: everybody gets a broadcast, nobody is zero, and no bridge passes
 * on what goes to 01:80:c2:00:00:00 to :0f (IEEE 802.1Q). */
static bool is_idle(const struct sfh_mac *mac)
{
	static const struct sfh_mac broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	static const uint8_t local[5] = { 0x01, 0x80, 0xc2, 0, 0 };

	return sfh_mac_is_zero(mac) || sfh_mac_equal(mac, &broadcast) ||
	       (memcmp(mac->b, local, sizeof(local)) == 0 && mac->b[5] <= 0x0f);
}

static bool is_in(const struct sfh_mac *macs, size_t n, const struct sfh_mac *mac)
{
	for (size_t i = 0; i < n; i++)
		if (sfh_mac_equal(&macs[i], mac))
			return true;
	return false;
}

/* --- in and out ---------------------------------------------------------------------------- */

static void let_go(struct sfh_engine *e, struct sfh_pair *p, struct sfh_rx_address *a)
{
	struct sfh_error err = { 0 };

	if (!a->held)
		return;
	a->held = a->refused = false;
	if (e->kernel->filter_also(e->kernel_ctx, p, &a->mac, false, &err) < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
	(void)sfh_ledger_rx_del(e->ledger, p->domain, &p->mac, &a->mac, NULL);
}

static void hold(struct sfh_engine *e, struct sfh_pair *p, struct sfh_rx_address *a,
		 struct sfh_error *err)
{
	struct sfh_ledger_rx row = { .nic = p->mac, .mac = a->mac };

	if (a->held)
		return;
	(void)sfh_strcpy(row.domain, sizeof(row.domain), p->domain);
	(void)sfh_strcpy(row.pf, sizeof(row.pf), p->pf);
	if (sfh_ledger_rx_put(e->ledger, &row, err) < 0)
		return;
	a->held = true;
	a->refused = e->kernel->filter_also(e->kernel_ctx, p, &a->mac, true, err) < 0;
}

/* A line when it gets worse: the guest may change its mind every second. */
static void tell_refused(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_error *err)
{
	unsigned refused = 0;

	for (size_t i = 0; i < p->rx.n; i++)
		refused += p->rx.address[i].refused;
	if (refused > p->rx.refused)
		sfh_engine_log(e, LOG_NOTICE, "%s: %u of its %zu further addresses refused: %s",
			       p->domain_name, refused, p->rx.n, err->text);
	p->rx.refused = refused;
}

static bool wanted(const struct sfh_engine *e, const struct sfh_pair *p,
		   const struct sfh_rx_address *a)
{
	return p->filtered && !a->crowded && follows(e, p) && !is_pairs(e, &a->mac);
}

static void sync_one(struct sfh_engine *e, struct sfh_pair *p, struct sfh_rx_address *a,
		     struct sfh_error *err)
{
	if (wanted(e, p, a))
		hold(e, p, a, err);
	else
		let_go(e, p, a);
}

static void sync_all(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };

	for (size_t i = 0; i < p->rx.n; i++)
		sync_one(e, p, &p->rx.address[i], &err);
	tell_refused(e, p, &err);
}

void sfh_engine_rx_owner(struct sfh_engine *e, const struct sfh_mac *mac)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		for (size_t i = 0; i < p->rx.n; i++)
			if (sfh_mac_equal(&p->rx.address[i].mac, mac))
				sync_one(e, p, &p->rx.address[i], NULL);
}

static int recall(void *ctx, const struct sfh_ledger_rx *row)
{
	struct sfh_pair *p = ctx;

	if (p->rx.n < SFH_RX_MAX)
		p->rx.address[p->rx.n++] = (struct sfh_rx_address){ .mac = row->mac };
	return 0;
}

void sfh_engine_rx_begin(struct sfh_engine *e, struct sfh_pair *p)
{
	(void)sfh_ledger_rxs_of(e->ledger, p->domain, &p->mac, recall, p);
	(void)sfh_ledger_rx_clear(e->ledger, p->domain, &p->mac, NULL);
	sfh_engine_rx_owner(e, &p->mac);
}

/* --- the guest's own address ------------------------------------------------------------------ */

static size_t taken(const struct sfh_pair *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->rx.n; i++)
		n += p->rx.address[i].held && !p->rx.address[i].refused &&
		     !sfh_mac_is_multicast(&p->rx.address[i].mac);
	return n;
}

/* One address less of whoever has the most of them on that PF; false: nobody has any. */
static bool make_room(struct sfh_engine *e, int pf_ifindex)
{
	struct sfh_pair *most = NULL;

	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->pf_ifindex == pf_ifindex && taken(p) > (most ? taken(most) : 0))
			most = p;
	for (size_t i = most ? most->rx.n : 0; i-- > 0;) {
		struct sfh_rx_address *a = &most->rx.address[i];

		if (!a->held || a->refused || sfh_mac_is_multicast(&a->mac))
			continue;
		let_go(e, most, a);
		a->crowded = true;
		sfh_engine_log(e, LOG_NOTICE,
			       "%s: a further address of it left the filter of '%s', for a guest's own",
			       most->domain_name, most->pf);
		return true;
	}
	return false;
}

void sfh_pair_filter(struct sfh_engine *e, struct sfh_pair *p, bool there)
{
	struct sfh_error err = { 0 };
	int r;

	if (!e->kernel->filter || p->filtered == there)
		return;
	p->filtered = there;
	r = e->kernel->filter(e->kernel_ctx, p, there, &err);
	while (there && (r == -ENOSPC || r == -ENOMEM) && make_room(e, p->pf_ifindex)) {
		err.code = 0;
		(void)e->kernel->filter(e->kernel_ctx, p, false, NULL); /* it was held all the same */
		r = e->kernel->filter(e->kernel_ctx, p, true, &err);
	}
	if (r < 0)
		sfh_engine_log(e, LOG_WARNING, "%s", err.text);
	sync_all(e, p);
}

/* --- QEMU's word ---------------------------------------------------------------------------------- */

static bool may_be_asked(const struct sfh_engine *e, const struct sfh_pair *p)
{
	return e->hv->ask_rx_filter && follows(e, p) && p->running && p->alias[0] &&
	       (p->state == SFH_PAIR_STANDBY || p->state == SFH_PAIR_VF);
}

void sfh_engine_rx_changed(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac)
{
	struct sfh_pair *p = sfh_engine_pair(e, uuid, mac);

	if (p)
		p->rx.stale = true;
}

void sfh_engine_rx_lost(struct sfh_engine *e)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		p->rx.stale = true;
}

void sfh_engine_rx_look(struct sfh_engine *e)
{
	uint64_t now = e->now();

	for (struct sfh_pair *p = e->pairs; p; p = p->next) {
		uint64_t next = p->rx.asked_ns + p->rx.gap_ms * MS;

		if ((p->rx.told && !p->rx.stale) || p->rx.asking || p->rx.due_ns ||
		    !may_be_asked(e, p))
			continue;
		p->rx.due_ns = next > now ? next : now;
	}
}

/* Again, soon after the last time? Then the next time is later. */
static void pace(struct sfh_rx *rx, uint64_t now)
{
	bool soon = rx->gap_ms && now - rx->asked_ns < 2 * rx->gap_ms * MS;

	rx->gap_ms = soon ? 2 * rx->gap_ms : SFH_RX_ASK_MS;
	if (rx->gap_ms > SFH_RX_ASK_MAX_MS)
		rx->gap_ms = SFH_RX_ASK_MAX_MS;
	rx->asked_ns = now;
}

static void failed(struct sfh_pair *p, uint64_t now)
{
	p->rx.asking = false;
	p->rx.stale = true;
	p->rx.due_ns = now + SFH_RX_RETRY_MS * MS;
}

void sfh_engine_rx_tick(struct sfh_engine *e, uint64_t now)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next) {
		if (!p->rx.due_ns || p->rx.due_ns > now)
			continue;
		p->rx.due_ns = 0;
		if (!may_be_asked(e, p)) /* looked at again when something happens */
			continue;
		pace(&p->rx, now);
		p->rx.asking = true;
		p->rx.stale = false;
		if (e->hv->ask_rx_filter(e->hv_ctx, p) < 0)
			failed(p, now);
	}
}

/* What of the guest's list may be its: keeps what is held of it as it is. */
static int take_list(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_mac *macs,
		     size_t n)
{
	struct sfh_mac hosts[1 + VFS_MAX];
	int nhosts = e->kernel->pf_macs
			     ? e->kernel->pf_macs(e->kernel_ctx, p, hosts, SFH_ARRAY_SIZE(hosts))
			     : 0;
	struct sfh_rx_address list[SFH_RX_MAX];
	size_t kept = 0;

	if (nhosts < 0) /* the PF is going, or gone */
		return nhosts;
	for (size_t i = 0; i < n && kept < SFH_RX_MAX; i++) {
		if (is_idle(&macs[i]) || sfh_mac_equal(&macs[i], &p->mac) ||
		    is_in(macs, i, &macs[i]) || is_in(hosts, (size_t)nhosts, &macs[i]))
			continue;
		list[kept++] = (struct sfh_rx_address){ .mac = macs[i] };
	}
	for (size_t i = 0; i < p->rx.n; i++) {
		struct sfh_rx_address *was = &p->rx.address[i];
		size_t at = 0;

		while (at < kept && !sfh_mac_equal(&list[at].mac, &was->mac))
			at++;
		if (at < kept && was->held)
			list[at] = *was;
		else
			let_go(e, p, was); /* before others go in: there may be little room */
	}
	memcpy(p->rx.address, list, kept * sizeof(list[0]));
	p->rx.n = kept;
	return 0;
}

void sfh_engine_rx_told(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac,
			int result, const struct sfh_mac *macs, size_t n)
{
	struct sfh_pair *p = sfh_engine_pair(e, uuid, mac);

	if (!p)
		return;
	if (result == -EOPNOTSUPP)
		result = n = 0;
	if (result < 0 || take_list(e, p, macs, n) < 0) {
		failed(p, e->now());
		return;
	}
	p->rx.asking = false;
	p->rx.told = true;
	sync_all(e, p);
}
