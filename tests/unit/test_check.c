// SPDX-License-Identifier: GPL-2.0-or-later
/* fsck's rules, one disagreement at a time: each test starts from a host on which
 * everything agrees and breaks one thing. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/engine/check.h"

#define UUID "5d3c05a2-0b52-4235-99a2-ff7f7f41c0e3"
#define OTHER "00000000-0000-4000-8000-000000000001"

static const struct sfh_mac guest_mac = { { 0, 0x50, 0x56, 0x0f, 0x86, 0x3b } };
static const struct sfh_mac stray_mac = { { 2, 0x11, 0x22, 0x33, 0x44, 0x55 } };

/* A PF with three VFs; the guest has VF 1. */
struct world {
	struct sfh_vf vfs[3];
	struct sfh_pf pf;
	struct sfh_vf_config cfg[3];
	struct sfh_survey_pf spf;
	struct sfh_lease lease;
	struct sfh_ledger_pair pair;
	struct sfh_survey_entry entry;
	struct sfh_survey_guest guest;
	struct sfh_survey s;
	/* what was found */
	struct sfh_finding found[16];
	size_t n;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	for (unsigned i = 0; i < 3; i++) {
		w->vfs[i].index = i;
		w->vfs[i].bdf = (struct sfh_bdf){ 0, 1, 0x10, (uint8_t)i };
		strcpy(w->vfs[i].driver, "vfio-pci");
	}
	strcpy(w->pf.dev, "pf0");
	w->pf.ifindex = 3;
	w->pf.num_vfs = 3;
	w->pf.vfs = w->vfs;
	w->pf.generation = 42;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(w->cfg); i++)
		w->cfg[i].known = SFH_VF_MAC | SFH_VF_VLAN;
	w->cfg[1].mac = guest_mac;
	strcpy(w->spf.row.dev, "pf0");
	strcpy(w->spf.row.network, "blue");
	strcpy(w->spf.row.xdp, "dispatcher");
	w->spf.row.ifindex = 3;
	w->spf.row.generation = 42;
	w->spf.present = w->spf.up = w->spf.carrier = w->spf.tc = w->spf.xdp = true;
	w->spf.pf = &w->pf;
	w->spf.vfs = w->cfg;
	strcpy(w->lease.pf, "pf0");
	strcpy(w->lease.domain, UUID);
	w->lease.vf = 1;
	w->lease.bdf = w->vfs[1].bdf;
	w->lease.mac = guest_mac;
	strcpy(w->pair.domain, UUID);
	strcpy(w->pair.domain_name, "g1");
	strcpy(w->pair.pf, "pf0");
	strcpy(w->pair.state, "vf");
	w->pair.mac = guest_mac;
	w->pair.pf_ifindex = 3;
	w->entry.key.pf_ifindex = 3;
	memcpy(w->entry.key.mac, guest_mac.b, 6);
	strcpy(w->guest.uuid, UUID);
	strcpy(w->guest.name, "g1");
	w->guest.mac = guest_mac;
	w->guest.has_vf = true;
	w->guest.vf = w->vfs[1].bdf;
	w->s = (struct sfh_survey){ .pfs = &w->spf, .npfs = 1, .leases = &w->lease, .nleases = 1,
				    .pairs = &w->pair, .npairs = 1, .entries = &w->entry,
				    .nentries = 1, .guests = &w->guest, .nguests = 1 };
}

static int note(void *ctx, const struct sfh_finding *f)
{
	struct world *w = ctx;

	cr_assert_lt(w->n, SFH_ARRAY_SIZE(w->found));
	w->found[w->n++] = *f;
	return 0;
}

/* Checks; exactly one finding, of this kind, whose sentence holds `words`. */
static const struct sfh_finding *only(struct world *w, enum sfh_finding_kind kind, const char *words)
{
	cr_assert_eq(sfh_check(&w->s, note, w), 0);
	cr_assert_eq(w->n, 1, "%zu findings, first: %s", w->n, w->n ? w->found[0].text : "-");
	cr_assert_eq(w->found[0].kind, kind, "%s: %s", sfh_finding_name(w->found[0].kind),
		     w->found[0].text);
	cr_assert(strstr(w->found[0].text, words), "%s", w->found[0].text);
	return &w->found[0];
}

static void nothing(struct world *w)
{
	cr_assert_eq(sfh_check(&w->s, note, w), 0);
	cr_assert_eq(w->n, 0, "%s", w->n ? w->found[0].text : "");
}

Test(check, a_host_in_order_is_clean)
{
	struct world w;

	world_init(&w);
	nothing(&w);
}

Test(check, a_mac_without_a_lease_is_a_leaked_vf)
{
	const struct sfh_finding *f;
	struct world w;

	world_init(&w);
	w.cfg[2].mac = stray_mac;
	f = only(&w, SFH_FINDING_LEAKED_VF, "VF 2 of 'pf0' carries MAC 02:11:22:33:44:55");
	cr_assert_eq(f->vf, 2);
	cr_assert_eq(f->pf_ifindex, 3);
	cr_assert(sfh_finding_repairable(f->kind));
}

Test(check, a_vf_of_a_host_driver_is_not_ours_to_judge)
{
	struct world w;

	world_init(&w);
	w.cfg[2].mac = stray_mac;
	strcpy(w.vfs[2].driver, "igbvf");
	nothing(&w);
}

Test(check, a_vlan_without_a_lease_is_stale_on_vfs_that_up_made)
{
	struct world w;

	world_init(&w);
	w.cfg[0].vlan = 77;
	(void)only(&w, SFH_FINDING_STALE_VLAN, "VF 0 of 'pf0' is in VLAN 77");
	/* VFs that were there before may be in a VLAN for reasons of their own */
	world_init(&w);
	w.cfg[0].vlan = 77;
	w.spf.row.orig_num_vfs = 3;
	nothing(&w);
}

Test(check, what_a_guest_left_behind)
{
	const struct sfh_finding *f;
	struct world w;

	world_init(&w);
	w.cfg[0].known = SFH_VF_TRUST | SFH_VF_SPOOFCHK;
	w.cfg[0].spoofchk = true;
	nothing(&w);
	w.cfg[0].trust = true;
	f = only(&w, SFH_FINDING_STALE_SETTING, "VF 0 of 'pf0' is trusted");
	cr_assert_eq(f->settings, SFH_VF_TRUST | SFH_VF_SPOOFCHK);
	w.n = 0;
	w.cfg[0].trust = false;
	w.cfg[0].spoofchk = false;
	(void)only(&w, SFH_FINDING_STALE_SETTING, "not checked for spoofing");
	/* a driver that does not say is not accused */
	w.n = 0;
	w.cfg[0].known = 0;
	nothing(&w);
}

Test(check, a_guest_on_a_parked_vf_is_found)
{
	const struct sfh_finding *f;
	struct world w;

	world_init(&w);
	w.cfg[1].vlan = SFH_PARK_VLAN;
	f = only(&w, SFH_FINDING_STALE_VLAN, "VLAN 4094, its lease for 'g1' says 0");
	cr_assert_eq(f->vlan, 0, "what it is to be set to");
	/* in the middle of a switch that is as it should be */
	world_init(&w);
	w.cfg[1].vlan = SFH_PARK_VLAN;
	strcpy(w.pair.state, "proving");
	nothing(&w);
}

Test(check, a_pf_under_another_name)
{
	struct world w;

	world_init(&w);
	w.spf.present = false;
	strcpy(w.spf.renamed, "eth7");
	(void)only(&w, SFH_FINDING_PF_RENAMED, "ip link set eth7 name pf0");
}

Test(check, a_pf_without_carrier_or_with_another_mtu)
{
	struct world w;

	world_init(&w);
	w.spf.carrier = false;
	(void)only(&w, SFH_FINDING_PF_NO_CARRIER, "no carrier");
	world_init(&w);
	w.spf.carrier = w.spf.up = false; /* one that is down has none anyway */
	(void)only(&w, SFH_FINDING_PF_DOWN, "is down");
	world_init(&w);
	w.spf.row.mtu = w.spf.mtu = 9000;
	nothing(&w);
	w.spf.mtu = 1500;
	(void)only(&w, SFH_FINDING_MTU_CHANGED, "ip link set pf0 mtu 9000");
}

Test(check, a_network_that_is_not_what_it_should_be)
{
	struct sfh_ledger_network net = { "blue", "macvtap-bridge", "prefer", "", SFH_NETWORK_UP, "" };
	struct world w;

	world_init(&w);
	w.s.networks = &net;
	w.s.nnetworks = 1;
	nothing(&w);
	strcpy(net.trouble, "PF 'pf1' does not exist");
	cr_assert_str_eq(only(&w, SFH_FINDING_NETWORK_FAILED, "PF 'pf1' does not exist")->network,
			 "blue");
	world_init(&w);
	w.s.networks = &net;
	w.s.nnetworks = 1;
	net.trouble[0] = '\0';
	net.phase = SFH_NETWORK_GOING;
	nothing(&w); /* an agent is at it */
	w.s.agent_gone = true;
	(void)only(&w, SFH_FINDING_NETWORK_FAILED, "'down' of network 'blue' was cut short");
}

Test(check, a_network_that_is_about_to_come_up)
{
	struct sfh_ledger_network row = { .name = "blue", .phase = SFH_NETWORK_COMING };
	struct world w;

	world_init(&w);
	w.s.networks = &row;
	w.s.nnetworks = 1;
	w.spf.row.generation = 0;
	w.spf.carrier = w.spf.tc = false;
	nothing(&w);
	w.s.agent_gone = true; /* nobody will bring it up */
	cr_assert_eq(sfh_check(&w.s, note, &w), 0);
	cr_assert_geq(w.n, 3);
	cr_assert_eq(w.found[0].kind, SFH_FINDING_NETWORK_FAILED);
	cr_assert_eq(w.found[1].kind, SFH_FINDING_VFS_CHANGED);
}

Test(check, a_switch_that_nobody_will_end)
{
	struct world w;

	world_init(&w);
	strcpy(w.pair.state, "plugging");
	nothing(&w); /* an agent is there and at it */
	w.s.agent_gone = true;
	cr_assert(sfh_finding_repairable(
		only(&w, SFH_FINDING_SWITCH_CUT, "in the middle of a switch ('plugging')")->kind));
	world_init(&w);
	w.s.agent_gone = true;
	nothing(&w);
}

Test(check, a_changed_mac_of_a_leased_vf)
{
	const struct sfh_finding *f;
	struct world w;

	world_init(&w);
	w.cfg[1].mac = stray_mac;
	f = only(&w, SFH_FINDING_WRONG_MAC, "its lease for 'g1' says 00:50:56:0f:86:3b");
	cr_assert(sfh_mac_equal(&f->mac, &guest_mac), "what it is to be set to");
}

Test(check, two_vfs_with_one_mac)
{
	struct world w;

	world_init(&w);
	w.cfg[2].mac = guest_mac;
	cr_assert_eq(sfh_check(&w.s, note, &w), 0);
	cr_assert_eq(w.n, 2);
	cr_assert_eq(w.found[0].kind, SFH_FINDING_LEAKED_VF);
	cr_assert_eq(w.found[1].kind, SFH_FINDING_DUPLICATE_MAC);
	cr_assert_eq(w.found[1].vf, 2, "the one without a lease has to go");
	/* the same MAC in another VLAN is another address */
	world_init(&w);
	w.cfg[2].mac = guest_mac;
	w.cfg[2].vlan = 5;
	cr_assert_eq(sfh_check(&w.s, note, &w), 0);
	cr_assert_eq(w.n, 1);
}

Test(check, a_vf_in_the_guest_without_a_row)
{
	const struct sfh_finding *f;
	struct world w;

	world_init(&w);
	w.s.nleases = 0;
	f = only(&w, SFH_FINDING_LEASE_MISSING, "guest 'g1' has VF 1 of 'pf0'");
	cr_assert_str_eq(f->lease.domain, UUID);
	cr_assert_str_eq(f->lease.pf, "pf0");
	cr_assert_eq(f->lease.vf, 1);
	cr_assert(sfh_mac_equal(&f->lease.mac, &guest_mac));
}

Test(check, a_lease_of_a_guest_that_does_not_run)
{
	struct world w;

	world_init(&w);
	strcpy(w.lease.domain, OTHER);
	w.guest.has_vf = false;
	strcpy(w.pair.state, "standby");
	w.entry.armed = true;
	(void)only(&w, SFH_FINDING_LEASE_OF_NOBODY, OTHER);
	/* a guest that is on its way here does not run here yet */
	strcpy(w.pair.domain, OTHER);
	strcpy(w.pair.state, "arriving");
	w.n = 0;
	nothing(&w);
}

Test(check, a_pair_of_a_guest_that_does_not_run)
{
	struct world w;

	world_init(&w);
	w.s.nguests = 0;
	w.s.nleases = 0;
	w.cfg[1].mac = (struct sfh_mac){ { 0 } };
	(void)only(&w, SFH_FINDING_PAIR_OF_NOBODY, "'g1', which does not run here");
}

Test(check, a_pair_without_steering)
{
	struct world w;

	world_init(&w);
	w.s.nentries = 0;
	(void)only(&w, SFH_FINDING_ENTRY_MISSING, "00:50:56:0f:86:3b of 'g1'");
}

Test(check, steering_without_a_pair)
{
	struct world w;
	struct sfh_survey_entry entries[2];
	const struct sfh_finding *f;

	world_init(&w);
	entries[0] = entries[1] = w.entry;
	memcpy(entries[1].key.mac, stray_mac.b, 6);
	w.s.entries = entries;
	w.s.nentries = 2;
	f = only(&w, SFH_FINDING_ENTRY_OF_NOBODY, "02:11:22:33:44:55");
	cr_assert_eq(memcmp(f->key.mac, stray_mac.b, 6), 0);
	/* the right MAC on another PF is not the pair's either */
	world_init(&w);
	entries[0] = entries[1] = w.entry;
	entries[1].key.pf_ifindex = 9;
	w.s.entries = entries;
	w.s.nentries = 2;
	(void)only(&w, SFH_FINDING_ENTRY_OF_NOBODY, "PF ifindex 9");
}

Test(check, a_copy_of_an_entry_that_disagrees_with_it)
{
	struct world w;

	world_init(&w);
	w.s.wrong_copies = 2;
	(void)only(&w, SFH_FINDING_ENTRY_COPY_WRONG, "2 entries of the map sfh_fast");
}

Test(check, steering_that_contradicts_the_leg)
{
	struct world w;

	world_init(&w);
	w.entry.armed = true;
	(void)only(&w, SFH_FINDING_ENTRY_WRONG, "on its vf leg and its steering entry is armed");
	world_init(&w);
	strcpy(w.pair.state, "standby");
	w.guest.has_vf = false;
	w.s.nleases = 0;
	w.cfg[1].mac = (struct sfh_mac){ { 0 } };
	(void)only(&w, SFH_FINDING_ENTRY_WRONG, "on its standby leg and its steering entry is not armed");
	w.entry.waits = true; /* it arms itself on the guest's next frame */
	w.n = 0;
	nothing(&w);
}

/* linux-bridge mode: the NIC's switch has to be told where the guest is. */
static void on_a_bridge(struct world *w, struct sfh_ledger_fdb *fdb, struct sfh_mac *filter)
{
	world_init(w);
	strcpy(w->pair.state, "standby");
	w->guest.has_vf = false;
	w->s.nleases = 0;
	w->cfg[1].mac = (struct sfh_mac){ { 0 } };
	w->entry.armed = w->entry.on_bridge = true;
	*fdb = (struct sfh_ledger_fdb){ .pf = "pf0", .mac = guest_mac, .ifindex = 3, .state = "ours" };
	w->s.fdb = fdb;
	w->s.nfdb = 1;
	*filter = guest_mac;
	w->spf.filter = filter;
	w->spf.nfilter = 1;
}

Test(check, address_missing_in_the_filter)
{
	struct sfh_ledger_fdb fdb;
	struct sfh_mac filter;
	struct world w;

	on_a_bridge(&w, &fdb, &filter);
	nothing(&w);
	w.spf.nfilter = 0;
	(void)only(&w, SFH_FINDING_FDB_MISSING, "not in the filter of 'pf0'");
	cr_assert(sfh_finding_repairable(SFH_FINDING_FDB_MISSING));
	/* a NIC without room is no disagreement */
	w.n = 0;
	strcpy(fdb.state, "refused");
	nothing(&w);
	/* macvlan sees to it itself */
	strcpy(fdb.state, "ours");
	w.entry.on_bridge = false;
	nothing(&w);
}

Test(check, address_left_in_the_filter)
{
	struct sfh_ledger_fdb fdb;
	struct sfh_mac filter;
	struct world w;

	world_init(&w); /* on its VF */
	on_a_bridge(&w, &fdb, &filter);
	w.s.npairs = w.s.nguests = w.s.nentries = 0;
	(void)only(&w, SFH_FINDING_FDB_OF_NOBODY, "no guest here uses it");
	cr_assert(sfh_finding_repairable(SFH_FINDING_FDB_OF_NOBODY));
	/* somebody else's stays his business */
	w.n = 0;
	strcpy(fdb.state, "theirs");
	nothing(&w);
}

/* What else the guest is to receive (ctl/engine/filter.h). */
Test(check, further_addresses_in_the_filter)
{
	struct sfh_mac further = { { 0x33, 0x33, 0, 0, 0, 1 } }, filter[2];
	struct sfh_ledger_fdb fdb[2];
	struct sfh_ledger_rx rx = { .pf = "pf0", .nic = guest_mac, .mac = further };
	struct world w;

	on_a_bridge(&w, fdb, filter);
	(void)strcpy(rx.domain, w.pair.domain);
	filter[1] = further;
	w.spf.nfilter = w.s.nfdb = 2;
	fdb[1] = fdb[0];
	fdb[1].mac = further;
	w.s.rx = &rx;
	w.s.nrx = 1;
	nothing(&w);
	w.spf.nfilter = 1;
	(void)only(&w, SFH_FINDING_FDB_MISSING, "33:33:00:00:00:01 of");
	w.n = 0;
	strcpy(fdb[1].state, "refused");
	nothing(&w);
	/* no guest has it any more */
	strcpy(fdb[1].state, "ours");
	w.spf.nfilter = 2;
	w.s.nrx = 0;
	(void)only(&w, SFH_FINDING_FDB_OF_NOBODY, "33:33:00:00:00:01 is in the filter of 'pf0'");
}

Test(check, programs_that_are_gone)
{
	struct world w;

	world_init(&w);
	w.spf.tc = false;
	(void)only(&w, SFH_FINDING_PROGRAM_MISSING, "the tc program");
	world_init(&w);
	w.spf.xdp = false;
	(void)only(&w, SFH_FINDING_PROGRAM_MISSING, "the XDP program");
	/* a driver that never took XDP misses nothing */
	world_init(&w);
	w.spf.xdp = false;
	strcpy(w.spf.row.xdp, "tc-only: the driver refused native XDP");
	nothing(&w);
}

Test(check, a_pf_that_changed)
{
	struct world w;

	world_init(&w);
	w.spf.up = false;
	(void)only(&w, SFH_FINDING_PF_DOWN, "no network on either leg");
	world_init(&w);
	w.pf.generation = 43;
	cr_assert(sfh_finding_repairable(
		only(&w, SFH_FINDING_VFS_CHANGED, "there are 3 now")->kind));
	world_init(&w);
	w.spf.present = false;
	w.spf.pf = NULL;
	w.s.nguests = w.s.nleases = w.s.npairs = w.s.nentries = 0;
	(void)only(&w, SFH_FINDING_PF_MISSING, "PF 'pf0' of network 'blue' is gone");
}

static int stop(void *ctx, const struct sfh_finding *f)
{
	(void)f;
	return ++*(int *)ctx == 1 ? 7 : 0;
}

Test(check, the_callback_can_end_it)
{
	struct world w;
	int calls = 0;

	world_init(&w);
	w.cfg[0].mac = w.cfg[2].mac = stray_mac;
	cr_assert_eq(sfh_check(&w.s, stop, &calls), 7);
	cr_assert_eq(calls, 1);
}

Test(check, names_are_unique)
{
	for (int i = 0; i < _SFH_FINDING_MAX; i++)
		for (int k = i + 1; k < _SFH_FINDING_MAX; k++)
			cr_assert_str_neq(sfh_finding_name(i), sfh_finding_name(k));
	cr_assert_str_eq(sfh_finding_name(_SFH_FINDING_MAX), "unknown");
}
