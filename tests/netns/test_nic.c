// SPDX-License-Identifier: GPL-2.0-or-later
/* What is shared with others on a PF: its XDP hook, its own address filter. */
#include "ctl/core/fdb.h"
#include "ctl/core/netlink.h"
#include "ctl/core/portprofile.h"
#include "ctl/core/steer.h"
#include "tests/netns/sandbox.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	struct sfh_steer *s;
	uint32_t pf;
	struct sfh_steer_pf_info info;
} T;

static void init(void)
{
	sandbox_enter();
	T.pf = pf_make();
	T.s = steer_open();
}

static void fini(void)
{
	sfh_steer_close(&T.s);
}

TestSuite(shared_xdp, .init = init, .fini = fini, .timeout = 60);
TestSuite(filter, .init = init, .fini = fini, .timeout = 60);

/* --- XDP ------------------------------------------------------------------------------- */

/* Somebody's XDP program that passes everything. */
static int foreign_load(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "others_prog", "GPL", insns,
			       SFH_ARRAY_SIZE(insns), NULL);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	return fd;
}

static uint32_t xdp_on_pf(void)
{
	uint32_t id = 0;

	cr_assert_eq(bpf_xdp_query_id((int)T.pf, 0, &id), 0);
	return id;
}

static void attach(void)
{
	struct sfh_error err = {};

	T.info = (struct sfh_steer_pf_info){};
	cr_assert_eq(sfh_steer_pf_attach(T.s, T.pf, true, &T.info, &err), 0, "%s", err.text);
}

static enum sfh_xdp look(void)
{
	struct sfh_steer_port_state state;

	cr_assert_eq(sfh_steer_port_check(T.s, T.pf, SFH_STANDBY_NONE, &state), 0);
	return state.xdp;
}

/* What is attached without the dispatcher leaves no room: it stays, and we do with tc. */
Test(shared_xdp, a_program_without_the_dispatcher_stays_and_we_do_with_tc)
{
	uint32_t theirs;

	cr_assert_eq(bpf_xdp_attach((int)T.pf, foreign_load(), XDP_FLAGS_DRV_MODE, NULL), 0);
	theirs = xdp_on_pf();
	attach();
	cr_assert_eq(T.info.xdp, SFH_XDP_NONE);
	cr_assert_eq(T.info.xdp_error, -EBUSY);
	cr_assert(strstr(T.info.xdp_why, "another XDP program") && strstr(T.info.xdp_why, "others_prog"),
		  "%s", T.info.xdp_why);
	cr_assert_eq(xdp_on_pf(), theirs);
	cr_assert_eq(look(), SFH_XDP_NONE);
	sh("tc filter show dev pf0 ingress | grep -q sfh_pf_tc");
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(xdp_on_pf(), theirs, "detaching us is no business of theirs");
}

/* Attaching resets some NICs: what is there and of this build is not touched. */
Test(shared_xdp, the_next_agent_keeps_what_is_attached)
{
	uint32_t link;

	attach();
	cr_assert(T.info.xdp == SFH_XDP_LINK || T.info.xdp == SFH_XDP_DISPATCHER);
	cr_assert_eq(look(), T.info.xdp);
	link = xdp_on_pf();
	if (T.info.xdp == SFH_XDP_LINK)
		cr_assert(strstr(T.info.xdp_why, "dispatcher does not load"), "%s", T.info.xdp_why);
	for (int i = 0; i < 3; i++) {
		sfh_steer_close(&T.s);
		cr_assert_neq(xdp_on_pf(), 0, "it survives the agent");
		T.s = steer_open();
		attach();
	}
	if (T.info.xdp == SFH_XDP_DISPATCHER)
		cr_assert_eq(xdp_on_pf(), link);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(xdp_on_pf(), 0);
	cr_assert_not(file_exists("/sys/fs/bpf/xdp"));
	cr_assert_not(file_exists("/sys/fs/bpf/sfhybrid/links"));
}

/* Its pinned link goes, which was what held it, or the dispatcher is taken off. The kernel
 * lets go of a link some time after its pin is gone, and tells nobody. */
static void throw_off(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	sh("rm -rf /sys/fs/bpf/sfhybrid/links");
	if (T.info.xdp == SFH_XDP_DISPATCHER)
		sh("ip link set pf0 xdp off");
	for (int i = 0; i < 5000 && xdp_on_pf(); i++)
		(void)nanosleep(&ms, NULL);
	cr_assert_eq(xdp_on_pf(), 0);
}

/* Whoever throws it off is found out, and it can be put back. */
Test(shared_xdp, thrown_off_and_put_back)
{
	attach();
	throw_off();
	cr_assert_eq(look(), SFH_XDP_NONE);
	attach();
	cr_assert_neq(T.info.xdp, SFH_XDP_NONE, "%s", T.info.xdp_why);
	cr_assert_eq(look(), T.info.xdp);
}

/* … also when another program took the place. */
Test(shared_xdp, replaced_by_somebody_elses)
{
	attach();
	if (T.info.xdp == SFH_XDP_LINK) /* which the kernel lets nobody replace */
		throw_off();
	cr_assert_eq(bpf_xdp_attach((int)T.pf, foreign_load(), 0, NULL), 0);
	cr_assert_eq(look(), SFH_XDP_NONE);
	attach();
	cr_assert_eq(T.info.xdp, SFH_XDP_NONE);
	cr_assert_eq(T.info.xdp_error, -EBUSY);
}

/* --- the PF's own filter ------------------------------------------------------------------ */

static int count(void *ctx, const struct sfh_mac *mac)
{
	(void)mac;
	++*(int *)ctx;
	return 0;
}

static int match_guest(void *ctx, const struct sfh_mac *mac)
{
	struct sfh_mac guest;

	(void)ctx;
	cr_assert_eq(sfh_mac_parse(MAC_GUEST, &guest), 0);
	return sfh_mac_equal(mac, &guest);
}

Test(filter, an_address_goes_in_and_out)
{
	struct sfh_mac guest, group;
	struct sfh_nl *nl = NULL;
	int before = 0, after = 0;

	cr_assert_eq(sfh_mac_parse(MAC_GUEST, &guest), 0);
	cr_assert_eq(sfh_mac_parse(MAC_MCAST, &group), 0);
	cr_assert_eq(sfh_nl_open(&nl, NULL), 0);
	cr_assert_eq(sfh_nl_fdb_list((int)T.pf, count, &before), 0);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &guest, true), 0);
	sh("bridge fdb show dev pf0 self | grep -q '" MAC_GUEST ".*permanent'");
	cr_assert_eq(sfh_nl_fdb_list((int)T.pf, match_guest, NULL), 1);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &guest, true), -EEXIST);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &group, true), 0);
	sh("bridge fdb show dev pf0 self | grep -q '" MAC_MCAST "'");
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &group, false), 0);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &guest, false), 0);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &guest, false), -ENOENT);
	cr_assert_eq(sfh_nl_fdb_list((int)T.pf, count, &after), 0);
	cr_assert_eq(before, after);
	cr_assert_eq(sfh_nl_fdb_set(nl, 999999, &guest, true), -ENODEV);
	sfh_nl_close(&nl);
}

/* A macvtap with the guest's address has put it there itself. */
Test(filter, under_a_running_macvtap)
{
	struct sfh_mac guest;
	struct sfh_nl *nl = NULL;

	(void)macvtap_make("mv0", "pf0", MAC_GUEST);
	cr_assert_eq(sfh_mac_parse(MAC_GUEST, &guest), 0);
	cr_assert_eq(sfh_nl_open(&nl, NULL), 0);
	cr_assert_eq(sfh_nl_fdb_set(nl, (int)T.pf, &guest, true), -EEXIST);
	cr_assert_eq(sfh_fdb_netlink.has(nl, (int)T.pf, &guest), 1);
	sfh_nl_close(&nl);
}

/* A group of a guest's, on a device: two guests, the host itself, and a restart. */
static struct sfh_fdb *fdb_open(struct sfh_ledger *ledger, struct sfh_nl *nl)
{
	struct sfh_fdb *fdb = NULL;

	cr_assert_eq(sfh_fdb_new(ledger, &sfh_fdb_netlink, nl, &fdb, NULL), 0);
	return fdb;
}

static bool in_filter(const char *mac)
{
	return sh_status("bridge fdb show dev pf0 self | grep -q '^%s .*permanent'", mac) == 0;
}

/* What the host joins with 239.1.1.2. */
#define GROUP "01:00:5e:01:01:02"
#define HOST_JOINS "ip addr add 239.1.1.2/32 dev pf0 autojoin"
#define HOST_LEAVES "ip addr del 239.1.1.2/32 dev pf0"

Test(filter, a_group_of_two_guests_and_of_the_host)
{
	struct sfh_ledger *ledger = NULL;
	struct sfh_nl *nl = NULL;
	struct sfh_mac group, own;
	struct sfh_fdb *fdb;
	int ifindex = (int)T.pf;

	cr_assert_eq(sfh_mac_parse(GROUP, &group), 0);
	cr_assert_eq(sfh_mac_parse(MAC_GUEST, &own), 0);
	cr_assert_eq(sfh_nl_open(&nl, NULL), 0);
	cr_assert_eq(sfh_ledger_open(":memory:", true, &ledger, NULL), 0);
	fdb = fdb_open(ledger, nl);
	cr_assert_eq(sfh_fdb_hold(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert_eq(sfh_fdb_hold(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert_eq(sfh_fdb_hold(fdb, "pf0", ifindex, &own, NULL), 0);
	cr_assert_eq(sfh_fdb_release(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert(in_filter(GROUP), "for the second guest");
	/* the next agent: one guest is still there, the other's address is nobody's */
	sfh_fdb_free(&fdb);
	fdb = fdb_open(ledger, nl);
	cr_assert_eq(sfh_fdb_hold(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert_eq(sfh_fdb_sweep(fdb, NULL, NULL, NULL), 1);
	cr_assert(in_filter(GROUP));
	cr_assert_not(in_filter(MAC_GUEST));
	/* the host joins, the guest leaves: the host's membership stays */
	sh(HOST_JOINS);
	cr_assert_eq(sfh_fdb_release(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert(in_filter(GROUP));
	cr_assert_eq(sfh_fdb_sweep(fdb, NULL, NULL, NULL), 0);
	sh(HOST_LEAVES);
	cr_assert_not(in_filter(GROUP));
	/* the other way round: what the host has joined is its own */
	sh(HOST_JOINS);
	cr_assert_eq(sfh_fdb_hold(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert_eq(sfh_fdb_release(fdb, "pf0", ifindex, &group, NULL), 0);
	cr_assert(in_filter(GROUP));
	sfh_fdb_free(&fdb);
	sfh_ledger_close(&ledger);
	sfh_nl_close(&nl);
}

/* --- port profiles ----------------------------------------------------------------------- */

/* The kernel's own answer for a device whose driver has none, as all but enic's. */
Test(filter, a_device_without_port_profiles_says_so_and_nothing_changes)
{
	struct sfh_port_request req = { .request = PORT_REQUEST_ASSOCIATE, .profile = "tenants" };
	struct sfh_error err = { 0 };
	struct sfh_nl *nl = NULL;
	uint8_t request;

	cr_assert_eq(sfh_nl_open(&nl, &err), 0, "%s", err.text);
	sh("ip -d link show pf0 | grep -v '^ *altname' >/mnt/before");
	cr_assert_eq(sfh_port_able(nl, (int)T.pf, &err), -EOPNOTSUPP);
	cr_assert(strstr(err.text, "no 802.1Qbh"), "%s", err.text);
	err = (struct sfh_error){ 0 };
	cr_assert_eq(sfh_port_ask(nl, (int)T.pf, &req, &err), -EOPNOTSUPP);
	cr_assert(strstr(err.text, "to associate VF 0"), "%s", err.text);
	req = (struct sfh_port_request){ .request = PORT_REQUEST_DISASSOCIATE };
	cr_assert_eq(sfh_port_ask(nl, (int)T.pf, &req, NULL), -EOPNOTSUPP);
	cr_assert_eq(sfh_port_answer((int)T.pf, 0, &request, NULL), -ENODATA);
	sh("ip -d link show pf0 | grep -v '^ *altname' | cmp - /mnt/before");
	cr_assert_eq(sfh_port_able(nl, 4711, NULL), -ENODEV);
	cr_assert_eq(sfh_port_able(nl, 0, NULL), -ENODEV);
	cr_assert_eq(sfh_port_answer(4711, 0, &request, NULL), -ENODEV);
	sfh_nl_close(&nl);
}
