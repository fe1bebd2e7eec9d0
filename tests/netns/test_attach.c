// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs come to a PF and to standby devices and go again: twice, across a restart of the
 * agent, beside other people's, without a trace. With filters on a clsact; at tcx it is
 * test_tcx.c. */
#include "tests/netns/sandbox.h"

#include <criterion/criterion.h>
#include <unistd.h>

#define SOON 1000 /* ms in which a frame that should come has come */
/* Somebody else's tc filters: this kernel may have neither matchall nor gact. */
#define CBPF_OK	  "1,6 0 0 4294967295,"
#define CBPF_DROP "1,6 0 0 2,"

static struct {
	struct sfh_steer *s;
	uint32_t pf, standby;
	int wire;  /* the far end of the PF's cable */
	int guest; /* the tap's fd */
	struct sfh_guest_key key;
	struct sfh_steer_pf_info info;
} T;

static void init(void)
{
	sandbox_enter();
	T.pf = pf_make();
	T.wire = packet_open(ifindex_of("wire0"));
	T.s = steer_open();
	T.key = mk_key(T.pf, MAC_GUEST, 0);
}

static void fini(void)
{
	sfh_steer_close(&T.s);
}

TestSuite(attach, .init = init, .fini = fini, .timeout = 30);

static void attach_pf(bool xdp)
{
	pf_attach(T.s, T.pf, xdp, &T.info);
}

/* The standby leg is tap0, and armed unless its first frame is to do that. */
static void with_tap(bool on_first_frame)
{
	struct sfh_error err = {};

	if (!T.guest)
		T.guest = tap_make("tap0");
	T.standby = ifindex_of("tap0");
	cr_assert_eq(sfh_steer_standby_attach(T.s, T.standby, SFH_STANDBY_TAP, &err), 0, "%s",
		     err.text);
	cr_assert_eq(sfh_steer_stage(T.s, &T.key, T.standby, SFH_STANDBY_TAP, on_first_frame, &err),
		     0, "%s", err.text);
	if (!on_first_frame)
		cr_assert_eq(sfh_steer_arm(T.s, &T.key, NULL), 0);
}

static void arrives(void)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0), got;

	frame_send(T.wire, &f);
	got = frame_read(T.guest, SOON);
	cr_assert_frame(got, f);
}

#define has_clsact(dev) (sh_status("tc qdisc show dev %s | grep clsact", dev) == 0)
#define has_filter(dev, side) (sh_status("tc filter show dev %s %s | grep sfh_", dev, side) == 0)
#define has_xdp(dev) (sh_status("ip -d link show %s | grep prog/xdp", dev) == 0)

static void expect_clean(const char *dev)
{
	cr_assert_not(has_clsact(dev), "%s", dev);
	cr_assert_not(has_filter(dev, "ingress"), "%s", dev);
	cr_assert_not(has_filter(dev, "egress"), "%s", dev);
	cr_assert_not(has_xdp(dev), "%s", dev);
}

Test(attach, pf_twice_and_detach_twice)
{
	attach_pf(true);
	cr_assert(T.info.clsact_ours);
	attach_pf(true);
	cr_assert(T.info.clsact_ours);
	cr_assert(has_clsact("pf0") && has_filter("pf0", "ingress") && has_xdp("pf0"));
	sh("test $(tc filter show dev pf0 ingress | grep -c sfh_) = 1");
	cr_assert(file_exists("/sys/fs/bpf/sfhybrid/links"));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
		expect_clean("pf0");
		cr_assert_not(file_exists("/sys/fs/bpf/sfhybrid/links"));
	}
}

Test(attach, standby_twice_and_detach_twice)
{
	T.guest = tap_make("tap0");
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("tap0"), SFH_STANDBY_TAP,
						      NULL), 0);
		cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP,
						      NULL), 0);
	}
	sh("tc filter show dev tap0 ingress | grep -q sfh_from_guest");
	sh("tc filter show dev tap0 egress | grep -q sfh_to_guest");
	sh("tc filter show dev mv0 egress | grep -q sfh_from_guest");
	sh("tc filter show dev mv0 ingress | grep -q sfh_to_guest");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("tap0"), NULL), 0);
		cr_assert_eq(sfh_steer_standby_detach(T.s, ifindex_of("mv0"), NULL), 0);
		expect_clean("tap0");
		expect_clean("mv0");
	}
}

Test(attach, restart_of_the_agent_keeps_the_datapath)
{
	attach_pf(true);
	with_tap(false);
	sfh_steer_close(&T.s);
	cr_assert(has_filter("pf0", "ingress") && has_xdp("pf0"));
	arrives();
	T.s = steer_open();
	attach_pf(true);
	cr_assert(T.info.clsact_ours, "remembered");
	arrives();
	cr_assert_eq(view_of(T.s, &T.key).counters.from_wire_frames, 2);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	expect_clean("pf0");
}

/* The new agent's program replaces the old one while frames flow. */
Test(attach, replacing_programs_loses_no_frame)
{
	attach_pf(true);
	with_tap(false);
	for (int i = 0; i < 20; i++) {
		struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0), got;

		frame_send(T.wire, &f);
		attach_pf(true);
		got = frame_read(T.guest, SOON);
		cr_assert_frame(got, f);
	}
}

Test(attach, foreign_filter_and_its_clsact_survive)
{
	sh("tc qdisc add dev pf0 clsact && "
	   "tc filter add dev pf0 ingress prio 5 protocol all bpf da bytecode '" CBPF_OK "'");
	attach_pf(false);
	cr_assert_not(T.info.clsact_ours);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_not(has_filter("pf0", "ingress"));
	sh("tc filter show dev pf0 ingress | grep -q bytecode");
}

Test(attach, clsact_stays_while_somebody_else_uses_it)
{
	attach_pf(false);
	sh("tc filter add dev pf0 egress prio 5 protocol all bpf da bytecode '" CBPF_OK "'");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	sh("tc filter show dev pf0 egress | grep -q bytecode");
}

Test(attach, filter_behind_ours_still_sees_what_we_pass)
{
	attach_pf(false);
	sh("tc filter add dev pf0 ingress prio 2000 protocol all bpf da bytecode '" CBPF_DROP "'");
	frame_send(T.wire, &(struct frame){ .len = 60, .b = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } });
	sh("n=0; until tc -s qdisc show dev pf0 | grep -A1 clsact | grep -q 'dropped 1'; do "
	   "n=$((n + 1)); [ $n -lt 200 ]; done");
}

Test(attach, our_place_taken_by_somebody_else)
{
	struct sfh_error err = {};

	sh("tc qdisc add dev pf0 clsact && "
	   "tc filter add dev pf0 ingress prio 1000 handle 0x5f48 protocol all bpf "
	   "da bytecode '" CBPF_OK "'");
	cr_assert_eq(sfh_steer_pf_attach(T.s, T.pf, false, NULL, &err), -EEXIST);
	cr_assert(strstr(err.text, "pf0"), "%s", err.text);
	sh("tc filter show dev pf0 ingress | grep -q bytecode");
	sh("test $(tc filter show dev pf0 ingress | grep -c handle) = 1");
}

/* libvirt's <bandwidth> puts an ingress qdisc on the standby device. */
Test(attach, ingress_qdisc_of_libvirt)
{
	struct sfh_error err = {};

	T.guest = tap_make("tap0");
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	sh("tc qdisc add dev tap0 ingress && tc qdisc add dev mv0 ingress && "
	   "tc qdisc add dev pf0 ingress");
	attach_pf(false);
	with_tap(true);
	sh("test $(tc filter show dev tap0 ingress | grep -c sfh_) = 1");
	frame_send(T.guest, &(struct frame){ .len = 60, .b = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
							      0x52, 0x54, 0, 0, 0, 1 } });
	cr_assert(view_of(T.s, &T.key).armed);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, &err),
		     -EBUSY);
	cr_assert(strstr(err.text, "mv0"), "%s", err.text);
	cr_assert_eq(sfh_steer_standby_detach(T.s, T.standby, NULL), 0);
	sh("tc qdisc show dev tap0 | grep -q ingress && tc qdisc show dev mv0 | grep -q ingress");
	cr_assert_not(has_filter("tap0", "ingress"));
	cr_assert_not(has_filter("mv0", "ingress"));
}

Test(attach, xdp_of_somebody_else_is_reported_not_replaced)
{
	struct sfh_error err = {};

	attach_pf(true);
	/* Another bpffs is another installation to this one. */
	{
		struct sfh_steer_config cfg = { .bpffs = "/mnt/bpf" };
		struct sfh_steer_pf_info info = {};
		struct sfh_steer *other = NULL;

		cr_assert_eq(sfh_steer_open(&cfg, &other, NULL), 0);
		cr_assert_eq(sfh_steer_pf_attach(other, T.pf, true, &info, &err), 0, "%s", err.text);
		cr_assert_eq(info.xdp, SFH_XDP_NONE);
		cr_assert_eq(info.xdp_error, -EBUSY);
		cr_assert(strstr(info.xdp_why, "another XDP program is attached"), "%s",
			  info.xdp_why);
		sfh_steer_close(&other);
	}
	cr_assert(has_xdp("pf0"));
}

Test(attach, driver_without_native_xdp_is_no_error)
{
	struct sfh_steer_pf_info info = {};

	sh("ip link add br0 type bridge");
	cr_assert_eq(sfh_steer_pf_attach(T.s, ifindex_of("br0"), true, &info, NULL), 0);
	cr_assert_eq(info.xdp, SFH_XDP_NONE);
	cr_assert_eq(info.xdp_error, -EOPNOTSUPP);
	cr_assert(strstr(info.xdp_why, "driver refused native XDP"), "%s", info.xdp_why);
	cr_assert_eq(sfh_steer_pf_detach(T.s, ifindex_of("br0"), NULL), 0);
	expect_clean("br0");
}

Test(attach, vlan_stripping_is_off_under_xdp_and_restored)
{
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
	attach_pf(true);
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: off'");
	sfh_steer_close(&T.s);
	T.s = steer_open();
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
}

Test(attach, vanished_device)
{
	attach_pf(true);
	with_tap(false);
	cr_assert_eq(close(T.guest), 0); /* the tap goes with it */
	sh("ip link del pf0");
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	cr_assert_eq(sfh_steer_standby_detach(T.s, T.standby, NULL), 0);
	cr_assert_eq(sfh_steer_unstage(T.s, &T.key, NULL), 0);
	cr_assert_eq(sfh_steer_pf_attach(T.s, T.pf, false, NULL, NULL), -ENODEV);
	cr_assert_eq(sfh_steer_standby_attach(T.s, T.standby, SFH_STANDBY_TAP, NULL), -ENODEV);
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
}

Test(attach, remove_pins_leaves_nothing)
{
	(void)macvtap_make("mv0", "pf0", MAC_OTHER);
	attach_pf(true);
	with_tap(false);
	cr_assert_eq(sfh_steer_standby_attach(T.s, ifindex_of("mv0"), SFH_STANDBY_MACVTAP, NULL), 0);
	cr_assert_eq(sfh_steer_remove_pins(T.s, NULL), 0);
	cr_assert_not(file_exists("/sys/fs/bpf/sfhybrid"));
	expect_clean("pf0");
	expect_clean("tap0");
	expect_clean("mv0");
	sh("ethtool -k pf0 | grep -q 'rx-vlan-offload: on'");
}

Test(attach, lost_pins_do_not_leave_a_qdisc_behind)
{
	attach_pf(false);
	sfh_steer_close(&T.s);
	sh("rm -r /sys/fs/bpf/sfhybrid");
	T.s = steer_open();
	attach_pf(false);
	cr_assert(T.info.clsact_ours);
	cr_assert_eq(sfh_steer_pf_detach(T.s, T.pf, NULL), 0);
	expect_clean("pf0");
}
