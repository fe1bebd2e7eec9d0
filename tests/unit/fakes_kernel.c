// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake host's kernel: VFs, port profiles, steering entries, a PF's filter. */
#include "tests/unit/fakes_priv.h"

#include <stdio.h>
#include <string.h>

static struct fake_pf *pf_by_name(struct fake *f, const char *name)
{
	for (size_t i = 0; i < FAKE_PFS; i++)
		if (strcmp(f->pf[i].name, name) == 0)
			return &f->pf[i];
	return NULL;
}

static struct fake_pf *pf_by_ifindex(struct fake *f, int ifindex)
{
	for (size_t i = 0; i < FAKE_PFS; i++)
		if (f->pf[i].ifindex == ifindex)
			return &f->pf[i];
	return NULL;
}

static int k_vf_list(void *ctx, const char *name, struct sfh_vf_slot *slots, size_t n,
		     struct sfh_error *err)
{
	struct fake *f = ctx;
	const struct fake_pf *pf = pf_by_name(f, name);

	VERDICT(f, OP_VF_LIST, err);
	if (!pf)
		return sfh_err(err, -ENODEV, "no PF '%s'", name);
	for (unsigned i = 0; i < pf->nvfs && i < n; i++) {
		slots[i] = (struct sfh_vf_slot){
			.vf = i, .bdf = { .bus = (uint8_t)(pf->ifindex - 90), .slot = (uint8_t)i },
			.mac = pf->vf[i].mac
		};
		(void)strcpy(slots[i].why_not, pf->why_not[i]);
	}
	return (int)pf->nvfs;
}

static int k_vf_get(void *ctx, int ifindex, unsigned vf, struct sfh_vf_config *ret,
		    struct sfh_error *err)
{
	struct fake *f = ctx;
	const struct fake_pf *pf = pf_by_ifindex(f, ifindex);

	VERDICT(f, OP_VF_GET, err);
	if (!pf || vf >= pf->nvfs)
		return sfh_err(err, -ENODEV, "no VF %u on %d", vf, ifindex);
	*ret = pf->vf[vf];
	ret->known = f->known;
	f->gets++;
	return 0;
}

static int k_vf_check(void *ctx, const char *name, const struct sfh_bdf *bdf, char why_not[48])
{
	const struct fake_pf *pf = pf_by_name(ctx, name);

	if (!pf || bdf->slot >= pf->nvfs)
		return 0;
	(void)strcpy(why_not, pf->why_not[bdf->slot]);
	return why_not[0] != '\0';
}

static int k_vf_set(void *ctx, int ifindex, unsigned vf, unsigned what,
		    const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_pf *pf = pf_by_ifindex(f, ifindex);
	char mac[SFH_MAC_STRLEN], vlan[16], more[96] = "", names[96];
	int r;

	(void)snprintf(vlan, sizeof(vlan), "%u", cfg->vlan);
	if (what & (SFH_VF_QOS | SFH_VF_PROTO))
		(void)snprintf(more, sizeof(more), " qos=%u proto=%x", what & SFH_VF_QOS ? cfg->qos : 0,
			       what & SFH_VF_PROTO ? cfg->proto : 0);
	if (what & SFH_VF_EXTRAS)
		(void)snprintf(more, sizeof(more), " %s",
			       sfh_vf_settings_format(what & SFH_VF_EXTRAS, names, sizeof(names)));
	fake_record(f, "vf_set %d %u mac=%s vlan=%s%s", ifindex, vf,
	       what & SFH_VF_MAC ? sfh_mac_format(&cfg->mac, mac) : "-",
	       what & SFH_VF_VLAN ? vlan : "-", more);
	r = fake_verdict(f, OP_VF_SET);
	if (r == 0 && (what & f->refuse))
		r = -f->refuse_code;
	if (!pf || vf >= pf->nvfs)
		return sfh_err(err, -ENODEV, "no VF %u on %d", vf, ifindex);
	if ((r == 0 ? !f->lie : f->partial) && (what & SFH_VF_MAC))
		pf->vf[vf].mac = cfg->mac;
	if (r < 0)
		return sfh_err(err, r, "the fake said no to OP_VF_SET");
	if (f->lie)
		return 0;
	if (what & SFH_VF_VLAN) { /* a VLAN without them has none (struct ifla_vf_vlan) */
		pf->vf[vf].qos = 0;
		pf->vf[vf].proto = 0;
	}
	sfh_vf_config_copy(&pf->vf[vf], cfg, what & ~f->deaf);
	return 0;
}

static int k_port_able(void *ctx, int ifindex, struct sfh_error *err)
{
	struct fake *f = ctx;

	(void)ifindex;
	return f->port_unable ? sfh_err(err, -EOPNOTSUPP, "the fake knows no port profiles") : 0;
}

/* As enic: what a VF has is gone with the next request, and comes with the request. */
static int k_port_ask(void *ctx, int ifindex, const struct sfh_lease *lease, uint8_t request,
		      struct sfh_error *err)
{
	static const char *const names[] = { "preassociate", "preassociate", "associate",
					     "disassociate" };
	struct fake *f = ctx;
	struct fake_pf *pf = pf_by_ifindex(f, ifindex);

	fake_record(f, "port %d %u %s %s", ifindex, lease->vf, names[request], lease->profile);
	if (!pf || lease->vf >= pf->nvfs)
		return sfh_err(err, -ENODEV, "no VF %u on %d", lease->vf, ifindex);
	VERDICT(f, OP_PORT_ASK, err);
	if (f->port_unable)
		return sfh_err(err, -EOPNOTSUPP, "the fake knows no port profiles");
	if (request != PORT_REQUEST_DISASSOCIATE && sfh_mac_is_zero(&pf->vf[lease->vf].mac))
		return sfh_err(err, -EINVAL, "a VF without a MAC is associated");
	pf->port[lease->vf].request = request;
	(void)sfh_strcpy(pf->port[lease->vf].profile, sizeof(pf->port[0].profile),
			 request == PORT_REQUEST_DISASSOCIATE ? "" : lease->profile);
	return 0;
}

static int k_port_answer(void *ctx, int ifindex, unsigned vf, uint8_t *request,
			 struct sfh_error *err)
{
	struct fake *f = ctx;
	const struct fake_pf *pf = pf_by_ifindex(f, ifindex);

	VERDICT(f, OP_PORT_ANSWER, err);
	if (!pf || vf >= pf->nvfs || !pf->port[vf].request)
		return sfh_err(err, -ENODATA, "VF %u was not asked anything", vf);
	*request = pf->port[vf].request;
	if (*request == PORT_REQUEST_DISASSOCIATE)
		return 0;
	if (f->port_delay) {
		f->port_delay -= f->port_delay > 0;
		return -EINPROGRESS;
	}
	return f->port_says ? sfh_port_judge(f->port_says, vf, err) : 0;
}

static bool k_can_park(void *ctx, const char *name)
{
	const struct fake_pf *pf = pf_by_name(ctx, name);

	return pf && pf->can_park;
}

struct fake_entry *fake_find_entry(struct fake *f, const struct sfh_pair *p, bool make)
{
	struct sfh_guest_key key = { .pf_ifindex = (__u32)p->pf_ifindex, .vlan = p->vlan };

	memcpy(key.mac, p->mac.b, 6);
	for (size_t i = 0; i < FAKE_ENTRIES; i++)
		if (f->entry[i].used && memcmp(&f->entry[i].key, &key, sizeof(key)) == 0)
			return &f->entry[i];
	for (size_t i = 0; make && i < FAKE_ENTRIES; i++)
		if (!f->entry[i].used) {
			f->entry[i] = (struct fake_entry){ .used = true, .key = key };
			return &f->entry[i];
		}
	return NULL;
}

const struct fake_entry *fake_entry_of(const struct fake *f, const struct sfh_pair *p)
{
	return fake_find_entry((struct fake *)f, p, false);
}

bool fake_armed(const struct fake *f, const struct sfh_pair *p)
{
	const struct fake_entry *entry = fake_entry_of(f, p);

	return entry && entry->armed;
}

unsigned fake_entries(const struct fake *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < FAKE_ENTRIES; i++)
		n += f->entry[i].used;
	return n;
}

/* "macvtap7" is 507. */
static int standby_ifindex(const char *standby)
{
	return 500 + atoi(standby + strcspn(standby, "0123456789"));
}

static int k_standby_find(void *ctx, const char *standby)
{
	(void)ctx;
	return standby[0] ? standby_ifindex(standby) : -ENODEV;
}

static int k_standby_attach(void *ctx, struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;

	fake_record(f, "standby_attach %s", p->standby);
	VERDICT(f, OP_STANDBY_ATTACH, err);
	p->standby_ifindex = standby_ifindex(p->standby);
	for (size_t i = 0; i < FAKE_ENTRIES; i++) /* a guest has one standby device */
		if (f->entry[i].used && f->entry[i].key.pf_ifindex == (uint32_t)p->pf_ifindex &&
		    memcmp(f->entry[i].key.mac, p->mac.b, sizeof(p->mac.b)) == 0)
			p->vlan = f->entry[i].key.vlan;
	return 0;
}

static int k_stage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;

	fake_record(f, "stage %d", p->pf_ifindex);
	VERDICT(f, OP_STAGE, err);
	fake_find_entry(f, p, true)->on_first_frame = true;
	fake_find_entry(f, p, true)->backlog = false;
	return 0;
}

static int k_arm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "arm");
	VERDICT(f, OP_ARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = true;
	return 0;
}

static int k_disarm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "disarm");
	VERDICT(f, OP_DISARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = entry->on_first_frame = false;
	return 0;
}

static int k_on_vf(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "on_vf");
	VERDICT(f, OP_DISARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = entry->on_first_frame = false;
	return 0;
}

static int k_unstage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "unstage %d", p->pf_ifindex);
	VERDICT(f, OP_UNSTAGE, err);
	if (entry)
		entry->used = false;
	return 0;
}

static unsigned addresses_in(const struct fake *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(f->also); i++)
		n += f->also[i].holders && f->also[i].in &&
		     !sfh_mac_is_multicast(&f->also[i].mac);
	return n;
}

static int k_filter(void *ctx, const struct sfh_pair *p, bool there, struct sfh_error *err)
{
	struct fake *f = ctx;

	(void)p;
	fake_record(f, there ? "filter" : "unfilter");
	f->nfiltered += there ? 1 : -1;
	VERDICT(f, OP_FILTER, err); /* held all the same: fdb.h */
	if (there && f->room && (unsigned)f->nfiltered + addresses_in(f) > f->room)
		return sfh_err(err, -ENOSPC, "the fake has no room");
	return 0;
}

static struct fake_address *address_of(struct fake *f, int pf_ifindex, const struct sfh_mac *mac)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(f->also); i++)
		if (f->also[i].holders && f->also[i].pf_ifindex == pf_ifindex &&
		    sfh_mac_equal(&f->also[i].mac, mac))
			return &f->also[i];
	return NULL;
}

int fake_holders(const struct fake *f, const struct sfh_mac *mac)
{
	const struct fake_address *a = address_of((struct fake *)f, f->pf[0].ifindex, mac);

	return a && a->in ? a->holders : 0;
}

unsigned fake_held(const struct fake *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(f->also); i++)
		n += (unsigned)f->also[i].holders;
	return n;
}

/* As fdb.c counts them. */
static int k_filter_also(void *ctx, const struct sfh_pair *p, const struct sfh_mac *mac, bool there,
			 struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_address *a = address_of(f, p->pf_ifindex, mac);
	char text[SFH_MAC_STRLEN];

	fake_record(f, "%s %s", there ? "also" : "no-more", sfh_mac_format(mac, text));
	cr_assert(there || a, "let go of what nobody holds");
	if (!there) {
		a->holders--;
		return 0;
	}
	for (size_t i = 0; !a; i++) {
		cr_assert_lt(i, SFH_ARRAY_SIZE(f->also));
		if (f->also[i].holders)
			continue;
		a = &f->also[i];
		*a = (struct fake_address){ .pf_ifindex = p->pf_ifindex, .mac = *mac };
	}
	a->holders++;
	VERDICT(f, OP_FILTER_ALSO, err);
	if (!a->in && !sfh_mac_is_multicast(mac) && f->room &&
	    (unsigned)f->nfiltered + addresses_in(f) >= f->room)
		return sfh_err(err, -ENOSPC, "the fake has no room");
	a->in = true;
	return 0;
}

static int k_pf_macs(void *ctx, const struct sfh_pair *p, struct sfh_mac *macs, size_t n)
{
	const struct fake_pf *pf = pf_by_ifindex(ctx, p->pf_ifindex);
	size_t have = 0;

	macs[have++] = fake_pf_mac;
	for (unsigned i = 0; i < pf->nvfs && have < n; i++)
		macs[have++] = pf->vf[i].mac;
	return (int)have;
}

static int k_seen(void *ctx, const struct sfh_pair *p, struct sfh_pair_seen *ret)
{
	struct fake *f = ctx;

	(void)p;
	VERDICT(f, OP_SEEN, NULL);
	*ret = (struct sfh_pair_seen){ .first_frame = f->first_frame, .lately = f->lately,
				       .ip4 = f->address ? f->ip4 : 0,
				       .ip4_ns = f->ip4_ns ? f->ip4_ns : fake_now };
	return 0;
}

static int k_want_proof(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "want_proof %d", on);
	VERDICT(f, OP_WANT_PROOF, err);
	if (entry)
		entry->proof = on;
	return 0;
}

static int k_probe(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;

	(void)p;
	fake_record(f, "probe");
	VERDICT(f, OP_PROBE, NULL);
	return 0;
}

static int k_backlog(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = fake_find_entry(f, p, false);

	fake_record(f, "backlog %d", on);
	VERDICT(f, OP_BACKLOG, err);
	if (entry)
		entry->backlog = on;
	return entry ? 0 : sfh_err(err, -ENOENT, "no steering entry");
}

static int k_ask_standby(void *ctx, const struct sfh_pair *p)
{
	(void)p;
	fake_record(ctx, "ask_standby");
	return 0;
}

static int k_vf_hold(void *ctx, const struct sfh_bdf *bdf, struct sfh_error *err)
{
	struct fake *f = ctx;
	char text[SFH_BDF_STRLEN];

	fake_record(f, "hold %s", sfh_bdf_format(bdf, text));
	VERDICT(f, OP_VF_HOLD, err);
	f->held++;
	return 0;
}

static void k_vf_loose(void *ctx, const struct sfh_bdf *bdf)
{
	struct fake *f = ctx;
	char text[SFH_BDF_STRLEN];

	fake_record(f, "loose %s", sfh_bdf_format(bdf, text));
	if (f->held) /* the kernel let go of it when the last agent died */
		f->held--;
}

static void k_warm_begin(void *ctx)
{
	fake_record(ctx, "warm_begin");
}

static void k_warm_send(void *ctx, const struct sfh_pair *p)
{
	(void)p;
	fake_record(ctx, "warm_send %llu", (unsigned long long)(fake_now / FAKE_MS));
}

static int k_warm_check(void *ctx, const struct sfh_pair *p, uint32_t *latency_ns,
			uint32_t *ring_us)
{
	struct fake *f = ctx;

	(void)p;
	if (f->cold)
		return 0;
	*latency_ns = 1234;
	*ring_us = 567;
	return 1;
}

static enum sfh_cold k_warm_why(void *ctx, const struct sfh_pair *p)
{
	(void)p;
	return ((struct fake *)ctx)->cold;
}

static void k_warm_tell(void *ctx, const struct sfh_pair *p)
{
	fake_record(ctx, "warm_tell %u %u", p->warm.state, p->warm.cold);
}

static void k_warm_stop(void *ctx, const struct sfh_pair *p)
{
	fake_record(ctx, "warm_stop %u", p->warm.state);
}

const struct sfh_kernel_ops fake_kernel_ops = {
	.vf_hold = k_vf_hold,
	.vf_loose = k_vf_loose,
	.vf_list = k_vf_list,
	.vf_check = k_vf_check,
	.vf_get = k_vf_get,
	.vf_set = k_vf_set,
	.port_able = k_port_able,
	.port_ask = k_port_ask,
	.port_answer = k_port_answer,
	.can_park = k_can_park,
	.standby_find = k_standby_find,
	.standby_attach = k_standby_attach,
	.stage = k_stage,
	.arm = k_arm,
	.disarm = k_disarm,
	.on_vf = k_on_vf,
	.unstage = k_unstage,
	.filter = k_filter,
	.filter_also = k_filter_also,
	.pf_macs = k_pf_macs,
	.seen = k_seen,
	.want_proof = k_want_proof,
	.probe = k_probe,
	.backlog = k_backlog,
	.ask_standby = k_ask_standby,
	.warm_begin = k_warm_begin,
	.warm_send = k_warm_send,
	.warm_check = k_warm_check,
	.warm_why = k_warm_why,
	.warm_tell = k_warm_tell,
	.warm_stop = k_warm_stop,
};
