// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fakes.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

/* --- files --------------------------------------------------------------------------- */

void tree_init(char dir[64])
{
	(void)strcpy(dir, "/tmp/sfh-unit-XXXXXX");
	cr_assert(mkdtemp(dir), "%s", strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void tree_done(const char *dir)
{
	if (strncmp(dir, "/tmp/sfh-unit-", 14) == 0)
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void parents(char *full)
{
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
}

static const char *below(char full[512], const char *dir, const char *path)
{
	(void)snprintf(full, 512, "%s/%s", dir, path);
	parents(full);
	return full;
}

void tree_mkdir(const char *dir, const char *path)
{
	char full[512];

	(void)mkdir(below(full, dir, path), 0755);
}

void tree_write(const char *dir, const char *path, const char *text)
{
	char full[512];
	FILE *f = fopen(below(full, dir, path), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", full);
}

void tree_link(const char *dir, const char *path, const char *target)
{
	char full[512];

	(void)unlink(below(full, dir, path));
	cr_assert_eq(symlink(target, full), 0, "%s", full);
}

const char *tree_read(const char *dir, const char *path)
{
	static char bufs[4][512];
	static unsigned turn;
	char full[512], *buf = bufs[turn++ % 4];
	FILE *f = fopen(below(full, dir, path), "re");

	if (!f)
		return "(none)";
	buf[fread(buf, 1, sizeof(bufs[0]) - 1, f)] = '\0';
	(void)fclose(f);
	return buf;
}

/* --- the record ---------------------------------------------------------------------------- */

uint64_t fake_now;
const struct sfh_mac mac_a = { { 0x52, 0x54, 0, 0, 0, 0x0a } };
const struct sfh_mac mac_b = { { 0x52, 0x54, 0, 0, 0, 0x0b } };
const struct sfh_mac mac_c = { { 0x52, 0x54, 0, 0, 0, 0x0c } };
const struct sfh_mac fake_pf_mac = { { 0x02, 0, 0, 0, 0, 0xf0 } };

static uint64_t now(void)
{
	return fake_now;
}

SFH_PRINTF(2, 3) static void record(struct fake *f, const char *fmt, ...)
{
	char line[256];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	(void)strcat(line, "\n");
	n = strlen(line);
	if (f->ncalls + n + 1 > f->cap) {
		f->cap = 2 * (f->cap + n + 1);
		f->calls = realloc(f->calls, f->cap);
		cr_assert(f->calls);
	}
	memcpy(f->calls + f->ncalls, line, n + 1);
	f->ncalls += n;
}

void fake_forget_calls(struct fake *f)
{
	f->ncalls = 0;
	if (f->calls)
		f->calls[0] = '\0';
}

static const char *next_line(const char *line)
{
	const char *end = line ? strchr(line, '\n') : NULL;

	return end && end[1] ? end + 1 : NULL;
}

unsigned fake_count(const struct fake *f, const char *prefix)
{
	unsigned n = 0;

	for (const char *l = f->ncalls ? f->calls : NULL; l; l = next_line(l))
		n += strncmp(l, prefix, strlen(prefix)) == 0;
	return n;
}

void fake_assert_order(const struct fake *f, ...)
{
	const char *at = f->ncalls ? f->calls : NULL, *prefix;
	va_list ap;

	va_start(ap, f);
	while ((prefix = va_arg(ap, const char *))) {
		while (at && strncmp(at, prefix, strlen(prefix)) != 0)
			at = next_line(at);
		cr_assert(at, "'%s' is missing, or not in its place, in:\n%s", prefix,
			  f->ncalls ? f->calls : "(no calls)");
		at = next_line(at);
	}
	va_end(ap);
}

void fake_fail(struct fake *f, enum fake_op op, int code, int skip, int times)
{
	f->fail[op].code = -code;
	f->fail[op].skip = skip;
	f->fail[op].times = times;
}

void fake_heal(struct fake *f)
{
	memset(f->fail, 0, sizeof(f->fail));
	f->lie = f->partial = false;
	f->refuse = f->deaf = 0;
	f->port_unable = false;
	f->port_delay = f->port_says = 0;
}

static int verdict(struct fake *f, enum fake_op op)
{
	if (f->fail[op].code == 0 || f->fail[op].times == 0)
		return 0;
	if (f->fail[op].skip > 0) {
		f->fail[op].skip--;
		return 0;
	}
	if (f->fail[op].times > 0)
		f->fail[op].times--;
	return f->fail[op].code;
}

#define VERDICT(f, op, err)                                                                        \
	do {                                                                                       \
		int _r = verdict(f, op);                                                           \
		if (_r < 0)                                                                        \
			return sfh_err(err, _r, "the fake said no to %s", #op);                    \
	} while (0)

/* --- the kernel ------------------------------------------------------------------------------- */

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
	record(f, "vf_set %d %u mac=%s vlan=%s%s", ifindex, vf,
	       what & SFH_VF_MAC ? sfh_mac_format(&cfg->mac, mac) : "-",
	       what & SFH_VF_VLAN ? vlan : "-", more);
	r = verdict(f, OP_VF_SET);
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

	record(f, "port %d %u %s %s", ifindex, lease->vf, names[request], lease->profile);
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

static struct fake_entry *entry_of(struct fake *f, const struct sfh_pair *p, bool make)
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
	return entry_of((struct fake *)f, p, false);
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

static int k_standby_attach(void *ctx, struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;

	record(f, "standby_attach %s", p->standby);
	VERDICT(f, OP_STANDBY_ATTACH, err);
	p->standby_ifindex = 500;
	return 0;
}

static int k_stage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;

	record(f, "stage %d", p->pf_ifindex);
	VERDICT(f, OP_STAGE, err);
	entry_of(f, p, true)->on_first_frame = true;
	return 0;
}

static int k_arm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = entry_of(f, p, false);

	record(f, "arm");
	VERDICT(f, OP_ARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = true;
	return 0;
}

static int k_disarm(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = entry_of(f, p, false);

	record(f, "disarm");
	VERDICT(f, OP_DISARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = entry->on_first_frame = false;
	return 0;
}

static int k_on_vf(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = entry_of(f, p, false);

	record(f, "on_vf");
	VERDICT(f, OP_DISARM, err);
	if (!entry)
		return sfh_err(err, -ENOENT, "not staged");
	entry->armed = entry->on_first_frame = false;
	return 0;
}

static int k_unstage(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = entry_of(f, p, false);

	record(f, "unstage %d", p->pf_ifindex);
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
	record(f, there ? "filter" : "unfilter");
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

	record(f, "%s %s", there ? "also" : "no-more", sfh_mac_format(mac, text));
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
	*ret = (struct sfh_pair_seen){ .first_frame = f->first_frame, .address = f->address };
	return 0;
}

static int k_want_proof(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	struct fake *f = ctx;
	struct fake_entry *entry = entry_of(f, p, false);

	record(f, "want_proof %d", on);
	VERDICT(f, OP_WANT_PROOF, err);
	if (entry)
		entry->proof = on;
	return 0;
}

static int k_probe(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;

	(void)p;
	record(f, "probe");
	VERDICT(f, OP_PROBE, NULL);
	return 0;
}

static int k_vf_hold(void *ctx, const struct sfh_bdf *bdf, struct sfh_error *err)
{
	struct fake *f = ctx;
	char text[SFH_BDF_STRLEN];

	record(f, "hold %s", sfh_bdf_format(bdf, text));
	VERDICT(f, OP_VF_HOLD, err);
	f->held++;
	return 0;
}

static void k_vf_loose(void *ctx, const struct sfh_bdf *bdf)
{
	struct fake *f = ctx;
	char text[SFH_BDF_STRLEN];

	record(f, "loose %s", sfh_bdf_format(bdf, text));
	if (f->held) /* the kernel let go of it when the last agent died */
		f->held--;
}

static void k_warm_begin(void *ctx)
{
	record(ctx, "warm_begin");
}

static void k_warm_send(void *ctx, const struct sfh_pair *p)
{
	(void)p;
	record(ctx, "warm_send %llu", (unsigned long long)(fake_now / FAKE_MS));
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
	record(ctx, "warm_tell %u %u", p->warm.state, p->warm.cold);
}

static void k_warm_stop(void *ctx, const struct sfh_pair *p)
{
	record(ctx, "warm_stop %u", p->warm.state);
}

static const struct sfh_kernel_ops kernel_ops = {
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
	.warm_begin = k_warm_begin,
	.warm_send = k_warm_send,
	.warm_check = k_warm_check,
	.warm_why = k_warm_why,
	.warm_tell = k_warm_tell,
	.warm_stop = k_warm_stop,
};

/* --- the hypervisor: says yes and does nothing; the test sends what comes of it -------------- */

static int hv_plug(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char bdf[SFH_BDF_STRLEN];

	record(f, "plug %s", sfh_bdf_format(&p->lease.bdf, bdf));
	VERDICT(f, OP_PLUG, NULL);
	return 0;
}

static int hv_unplug(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	record(f, "unplug %s", sfh_mac_format(&p->mac, mac));
	VERDICT(f, OP_UNPLUG, NULL);
	return 0;
}

static int hv_migrate(void *ctx, const char *uuid, const char *uri)
{
	struct fake *f = ctx;

	record(f, "migrate %s %s", uuid, uri);
	VERDICT(f, OP_MIGRATE, NULL);
	return 0;
}

static int hv_replug(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	record(f, "replug %s", uuid);
	return 0;
}

static int hv_abort(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	record(f, "abort %s", uuid);
	VERDICT(f, OP_ABORT, NULL);
	return 0;
}

static int hv_reset(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	record(f, "reset %s", uuid);
	VERDICT(f, OP_RESET, NULL);
	return 0;
}

static void hv_ask_negotiated(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	record(f, "ask-negotiated %s", sfh_mac_format(&p->mac, mac));
}

static int hv_ask_rx_filter(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	record(f, "ask-rx %s", sfh_mac_format(&p->mac, mac));
	VERDICT(f, OP_ASK_RX, NULL);
	return 0;
}

static const struct sfh_hypervisor_ops hv_ops = {
	.plug = hv_plug,
	.unplug = hv_unplug,
	.migrate = hv_migrate,
	.ask_negotiated = hv_ask_negotiated,
	.ask_rx_filter = hv_ask_rx_filter,
	.abort = hv_abort,
	.reset = hv_reset,
	.replug = hv_replug,
};

/* --- the listener -------------------------------------------------------------------------------- */

static void l_settled(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	(void)uuid;
	f->settled++;
}

static void add_line(char *buf, size_t n, const char *text)
{
	size_t used = strlen(buf);

	if (used + 1 < n)
		(void)snprintf(buf + used, n - used, "%s\n", text);
}

static void l_progress(void *ctx, const char *uuid, const char *text)
{
	struct fake *f = ctx;

	(void)uuid;
	add_line(f->progress, sizeof(f->progress), text);
}

static void l_migrated(void *ctx, const char *uuid, int result, const char *error)
{
	struct fake *f = ctx;

	(void)uuid;
	f->nmigrated++;
	f->migrated = result;
	(void)sfh_strcpy(f->migrated_error, sizeof(f->migrated_error), error ? error : "");
}

static void l_switched(void *ctx, const struct sfh_switch *sw)
{
	struct fake *f = ctx;

	f->nswitches++;
	f->last = *sw;
}

static void l_log(void *ctx, int priority, const char *text)
{
	struct fake *f = ctx;

	if (priority <= LOG_WARNING)
		add_line(f->log, sizeof(f->log), text);
	if (priority == LOG_DEBUG)
		(void)sfh_strcpy(f->debug, sizeof(f->debug), text);
}

static const struct sfh_engine_listener listener = { l_settled, l_progress, l_migrated, l_switched,
						     l_log };

/* --- life ------------------------------------------------------------------------------------------ */

static void engine_start(struct fake *f)
{
	struct sfh_engine_network net = { .name = "blue", .npfs = FAKE_PFS,
					  .probe_interval_ms = f->probe_interval_ms,
					  .landing = f->landing };

	sfh_engine_init(&f->e, &kernel_ops, f, &hv_ops, f, &listener, f, f->ledger);
	f->e.now = now;
	for (size_t i = 0; i < FAKE_PFS; i++) {
		(void)strcpy(net.pfs[i], f->pf[i].name);
		net.pf_ifindex[i] = f->pf[i].ifindex;
	}
	cr_assert_eq(sfh_engine_network_add(&f->e, &net), 0);
}

struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct sfh_error err = { 0 };
	char path[128];

	cr_assert(f);
	fake_now = 1000000 * FAKE_MS;
	tree_init(f->dir);
	(void)snprintf(path, sizeof(path), "%s/ledger.db", f->dir);
	cr_assert_eq(sfh_ledger_open(path, true, &f->ledger, &err), 0, "%s", err.text);
	f->pf[0] = (struct fake_pf){ .name = "pf0", .ifindex = 100, .nvfs = 2, .can_park = true };
	f->pf[1] = (struct fake_pf){ .name = "pf1", .ifindex = 101, .nvfs = 2, .can_park = true };
	f->first_frame = f->address = true;
	f->known = 0xff;
	f->refuse_code = EOPNOTSUPP;
	engine_start(f);
	return f;
}

void fake_free(struct fake *f)
{
	sfh_engine_done(&f->e);
	sfh_ledger_close(&f->ledger);
	tree_done(f->dir);
	free(f->calls);
	free(f);
}

void fake_restart(struct fake *f)
{
	sfh_engine_done(&f->e);
	f->held = 0;
	fake_forget_calls(f);
	f->nfiltered = 0; /* nobody holds what the last agent held */
	memset(f->also, 0, sizeof(f->also));
	engine_start(f);
}

struct sfh_guest_nic fake_nic(const struct sfh_mac *mac)
{
	struct sfh_guest_nic nic = { .mac = *mac, .network = "blue", .pf = "pf0",
				     .standby = "macvtap0", .kind = SFH_STANDBY_MACVTAP,
				     .adopted = true };

	(void)snprintf(nic.alias, sizeof(nic.alias), "ua-sfh-%02x", mac->b[5]);
	return nic;
}

struct sfh_guest_desc fake_guest(const char *uuid, const struct sfh_guest_nic *nics, size_t n)
{
	struct sfh_guest_desc g = { .nics = nics, .nnics = n };

	(void)strcpy(g.uuid, uuid);
	(void)snprintf(g.name, sizeof(g.name), "guest-%.4s", uuid);
	return g;
}

struct sfh_pair *fake_start(struct fake *f, const char *uuid, const struct sfh_mac *mac)
{
	struct sfh_guest_nic nic = fake_nic(mac);
	struct sfh_guest_desc g = fake_guest(uuid, &nic, 1);
	struct sfh_pair *p;

	sfh_engine_guest_running(&f->e, &g, false);
	p = sfh_engine_pair(&f->e, uuid, mac);
	cr_assert(p, "no pair");
	return p;
}

/* It arrives with a VF in its XML. */
struct sfh_pair *fake_carried(struct fake *f, const char *uuid, const struct sfh_mac *mac)
{
	struct sfh_guest_nic nic = fake_nic(mac);
	struct sfh_guest_desc g = fake_guest(uuid, &nic, 1);
	struct sfh_pair *p;

	nic.pf[0] = nic.standby[0] = '\0';
	nic.has_vf = true;
	nic.vf = (struct sfh_bdf){ .bus = 77, .slot = 1 }; /* the other host's */
	cr_assert_eq(sfh_engine_guest_arriving(&f->e, &g, NULL), 0);
	p = sfh_engine_pair(&f->e, uuid, mac);
	cr_assert(p);
	assert_state(p, ARRIVING);
	return p;
}

struct sfh_pair *fake_second_in(struct fake *f, const char *uuid, const struct sfh_mac *mac,
				enum sfh_pair_state state)
{
	struct sfh_guest_nic nic = fake_nic(mac);
	struct sfh_guest_desc g = fake_guest(uuid, &nic, 1);
	struct sfh_pair *p;

	if (state == SFH_PAIR_ARRIVING) {
		nic.pf[0] = nic.standby[0] = '\0';
		(void)sfh_engine_guest_arriving(&f->e, &g, NULL);
		p = sfh_engine_pair(&f->e, uuid, mac);
		cr_assert(p);
		assert_state(p, ARRIVING);
		return p;
	}
	if (state == SFH_PAIR_LANDING) {
		p = fake_carried(f, uuid, mac);
		sfh_pair_dispatch(&f->e, p, SFH_EV_DEVICES, NULL);
		sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
		sfh_pair_dispatch(&f->e, p, SFH_EV_RESUMED, NULL);
		goto there;
	}
	p = fake_start(f, uuid, mac);
	assert_state(p, STANDBY);
	if (state == SFH_PAIR_STANDBY)
		return p;
	if (state == SFH_PAIR_LEASING) /* the PF's driver asks to wait */
		fake_fail(f, OP_VF_SET, EAGAIN, 0, 1);
	sfh_pair_dispatch(&f->e, p, SFH_EV_NEGOTIATED, NULL);
	if (state == SFH_PAIR_LEASING || state == SFH_PAIR_PLUGGING)
		goto there;
	sfh_pair_dispatch(&f->e, p, SFH_EV_PLUGGED, NULL);
	if (state == SFH_PAIR_PROVING)
		goto there;
	sfh_pair_dispatch(&f->e, p, SFH_EV_PROOF, NULL);
	assert_state(p, VF);
	if (state == SFH_PAIR_YIELDING)
		sfh_pair_dispatch(&f->e, p, SFH_EV_YIELD, NULL);
	if (state == SFH_PAIR_UNPLUGGING)
		sfh_pair_dispatch(&f->e, p, SFH_EV_HOLD, NULL);
	if (state == SFH_PAIR_LEAVING) {
		cr_assert_eq(sfh_engine_migrate(&f->e, uuid, "qemu+ssh://there/system", NULL), 0);
		sfh_pair_dispatch(&f->e, p, SFH_EV_UNPLUGGED, NULL);
	}
there:
	cr_assert_str_eq(sfh_pair_state_name(p->state), sfh_pair_state_name(state));
	return p;
}

struct sfh_pair *fake_pair_in(struct fake *f, enum sfh_pair_state state)
{
	return fake_second_in(f, GUEST, &mac_a, state);
}

void fake_event(struct fake *f, enum sfh_pair_event event)
{
	sfh_engine_guest_event(&f->e, GUEST, event, NULL);
}

void fake_sleep(struct fake *f, uint64_t ms)
{
	uint64_t end = fake_now + ms * FAKE_MS;

	sfh_engine_warm_look(&f->e); /* as the agent does after every call */
	sfh_engine_rx_look(&f->e);
	for (int i = 0; sfh_engine_next(&f->e) <= end && i < 1000000; i++) {
		if (sfh_engine_next(&f->e) > fake_now)
			fake_now = sfh_engine_next(&f->e);
		sfh_engine_tick(&f->e);
		sfh_engine_rx_look(&f->e);
	}
	fake_now = end;
	sfh_engine_tick(&f->e);
}

void fake_first_frame(struct fake *f, struct sfh_pair *p)
{
	struct fake_entry *entry = entry_of(f, p, false);

	f->first_frame = true;
	if (entry && entry->on_first_frame)
		entry->armed = true;
	sfh_pair_dispatch(&f->e, p, SFH_EV_FIRST_FRAME, NULL);
}

/* --- what is there -------------------------------------------------------------------------------- */

const char *fake_vf(const struct fake *f, unsigned pf, unsigned vf)
{
	static char bufs[4][64];
	static unsigned turn;
	char mac[SFH_MAC_STRLEN], *buf = bufs[turn++ % 4];
	const struct sfh_vf_config *cfg = &f->pf[pf].vf[vf];

	(void)snprintf(buf, sizeof(bufs[0]), "%s vlan %u", sfh_mac_format(&cfg->mac, mac), cfg->vlan);
	return buf;
}

static int count_lease(void *ctx, const struct sfh_lease *lease)
{
	(void)lease;
	++*(unsigned *)ctx;
	return 0;
}

unsigned fake_leases(const struct fake *f)
{
	unsigned n = 0;

	cr_assert_eq(sfh_ledger_leases(f->ledger, count_lease, &n), 0);
	return n;
}

static int count_rx(void *ctx, const struct sfh_ledger_rx *row)
{
	(void)row;
	++*(unsigned *)ctx;
	return 0;
}

unsigned fake_rx_rows(const struct fake *f)
{
	unsigned n = 0;

	cr_assert_eq(sfh_ledger_rxs(f->ledger, count_rx, &n), 0);
	return n;
}

static int count_row(void *ctx, const struct sfh_ledger_pair *row)
{
	(void)row;
	++*(unsigned *)ctx;
	return 0;
}

unsigned fake_rows(const struct fake *f)
{
	unsigned n = 0;

	cr_assert_eq(sfh_ledger_pairs(f->ledger, count_row, &n), 0);
	return n;
}

struct want_row {
	const char *uuid;
	struct sfh_ledger_pair *ret;
};

static int find_row(void *ctx, const struct sfh_ledger_pair *row)
{
	struct want_row *w = ctx;

	if (strcmp(row->domain, w->uuid) != 0)
		return 0;
	*w->ret = *row;
	return 1;
}

bool fake_row(const struct fake *f, const char *uuid, struct sfh_ledger_pair *ret)
{
	return sfh_ledger_pairs(f->ledger, find_row, &(struct want_row){ uuid, ret }) == 1;
}

void fake_assert_nothing_left(const struct fake *f)
{
	for (unsigned pf = 0; pf < FAKE_PFS; pf++)
		for (unsigned vf = 0; vf < f->pf[pf].nvfs; vf++)
			cr_expect_str_eq(fake_vf(f, pf, vf), ZEROED, "VF %u of pf%u", vf, pf);
	for (unsigned pf = 0; pf < FAKE_PFS; pf++)
		for (unsigned vf = 0; vf < f->pf[pf].nvfs; vf++)
			cr_expect_str_eq(f->pf[pf].port[vf].profile, "",
					 "VF %u of pf%u has a port profile", vf, pf);
	cr_expect_eq(fake_leases(f), 0, "a lease is left");
	cr_expect_eq(fake_entries(f), 0, "a steering entry is left");
	cr_expect_eq(fake_rows(f), 0, "the ledger still shows a pair");
	cr_expect_null(f->e.pairs, "a pair is left");
	cr_expect_eq(f->nfiltered, 0, "an address is left in a PF's filter");
	for (size_t i = 0; i < SFH_ARRAY_SIZE(f->also); i++)
		cr_expect_eq(f->also[i].holders, 0, "a further address is left in a PF's filter");
	cr_expect_eq(fake_rx_rows(f), 0, "the ledger still shows a further address");
	cr_expect_eq(sfh_engine_next(&f->e), UINT64_MAX, "something is still due");
}
