// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake host as a whole: its life, guests brought to a state, and what is left. */
#include "tests/unit/fakes_priv.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/tree.h"

uint64_t fake_now;
const struct sfh_mac mac_a = { { 0x52, 0x54, 0, 0, 0, 0x0a } };
const struct sfh_mac mac_b = { { 0x52, 0x54, 0, 0, 0, 0x0b } };
const struct sfh_mac mac_c = { { 0x52, 0x54, 0, 0, 0, 0x0c } };
const struct sfh_mac fake_pf_mac = { { 0x02, 0, 0, 0, 0, 0xf0 } };

/* --- life ------------------------------------------------------------------------------------------ */

static uint64_t now(void)
{
	return fake_now;
}

static void engine_start(struct fake *f)
{
	struct sfh_engine_network net = { .name = "blue", .npfs = FAKE_PFS,
					  .probe_interval_ms = f->probe_interval_ms,
					  .landing = f->landing };

	sfh_engine_init(&f->e, &fake_kernel_ops, f, &fake_hypervisor_ops, f, &fake_listener, f,
			f->ledger);
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
	f->ip4 = 0x0100000a;
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
	struct fake_entry *entry = fake_find_entry(f, p, false);

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
