// SPDX-License-Identifier: GPL-2.0-or-later
/* The probe of a VF leg, byte for byte. */
#include "ctl/core/probe.h"
#include "sfhybrid/abi.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

static const struct sfh_mac guest = { { 0x52, 0x54, 0x00, 0x01, 0x02, 0x03 } };
static const struct sfh_mac pf = { { 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee } };

Test(probe, frame_byte_for_byte)
{
	static const uint8_t expect[SFH_PROBE_FRAME_LEN] = {
		0x52, 0x54, 0x00, 0x01, 0x02, 0x03, /* to the guest only */
		0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, /* from the PF */
		0x81, 0x00, 0x0f, 0xfe,		    /* in the parking VLAN, 4094 */
		0x08, 0x06,			    /* ARP */
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, /* Ethernet, IPv4 */
		0x00, 0x01,			    /* request */
		0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, /* sender: the PF, */
		0x00, 0x00, 0x00, 0x00,		    /* without an address (RFC 5227) */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* for: */
		0xc0, 0x00, 0x02, 0x63,		    /* the guest's own address */
	};
	uint8_t frame[SFH_PROBE_FRAME_LEN];

	memset(frame, 0xff, sizeof(frame));
	sfh_probe_frame(frame, &guest, &pf, &pf, 4094, inet_addr("192.0.2.99"));
	cr_assert_arr_eq(frame, expect, sizeof(expect));
}

Test(probe, vlan_is_in_network_order)
{
	uint8_t frame[SFH_PROBE_FRAME_LEN];

	sfh_probe_frame(frame, &guest, &pf, &pf, 0x123, 0);
	cr_assert_eq(frame[14], 0x01);
	cr_assert_eq(frame[15], 0x23);
}

Test(probe, no_such_device)
{
	uint8_t frame[SFH_PROBE_FRAME_LEN] = { 0 };
	_cleanup_close_ int fd = sfh_probe_socket();

	if (fd == -EPERM)
		cr_skip("needs CAP_NET_RAW");
	cr_assert_geq(fd, 0);
	cr_assert_lt(sfh_probe_send(fd, 0x7ffffff0, frame, sizeof(frame)), 0);
}

/* Checked against what a Linux host sends for the same addresses. */
Test(probe, neighbour_solicitation_byte_for_byte)
{
	static const struct sfh_mac ns_guest = { { 0x00, 0x50, 0x56, 0x0f, 0x86, 0x3b } };
	static const struct sfh_mac ns_pf = { { 0x52, 0x54, 0x00, 0x77, 0x01, 0x00 } };
	static const uint8_t want[] = {
		0x00, 0x50, 0x56, 0x0f, 0x86, 0x3b, 0x52, 0x54, 0x00, 0x77, 0x01, 0x00,
		0x81, 0x00, 0x0f, 0xfe, 0x86, 0xdd, /* VLAN 4094, IPv6 */
		0x60, 0, 0, 0, 0, 32, 58, 255,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0x00, 0xff, 0xfe, 0x77, 0x01, 0x00,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x50, 0x56, 0xff, 0xfe, 0x0f, 0x86, 0x3b,
		135, 0, 0, 0, /* checksum: below */ 0, 0, 0, 0,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x50, 0x56, 0xff, 0xfe, 0x0f, 0x86, 0x3b,
		1, 1, 0x52, 0x54, 0x00, 0x77, 0x01, 0x00,
	};
	uint8_t frame[SFH_PROBE_NS_LEN];
	uint32_t sum = 32 + 58;

	cr_assert_eq(sizeof(want), SFH_PROBE_NS_LEN);
	sfh_probe_ns_frame(frame, &ns_guest, &ns_pf, &ns_pf, 4094);
	/* A receiver's check: pseudo header and message sum up to ffff. */
	for (size_t i = 26; i < sizeof(frame); i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	cr_assert_eq(sum, 0xffff, "checksum");
	frame[60] = frame[61] = 0;
	cr_assert_arr_eq(frame, want, sizeof(want));
}

/* Only what the guest answers to differs: the frame itself comes from the PF. */
Test(probe, answer_on_the_standby_leg)
{
	static const struct sfh_mac standby = { SFH_PROBE_MAC };
	uint8_t to_pf[SFH_PROBE_FRAME_LEN], frame[SFH_PROBE_FRAME_LEN], ns[SFH_PROBE_NS_LEN];

	sfh_probe_frame(to_pf, &guest, &pf, &pf, 4094, 1);
	sfh_probe_frame(frame, &guest, &pf, &standby, 4094, 1);
	cr_assert_arr_eq(frame + 26, standby.b, 6);
	memcpy(frame + 26, pf.b, 6);
	cr_assert_arr_eq(frame, to_pf, sizeof(frame));
	sfh_probe_ns_frame(ns, &guest, &pf, &standby, 4094);
	cr_assert_arr_eq(ns + 6, pf.b, 6);
	cr_assert_arr_eq(ns + SFH_PROBE_NS_LEN - 6, standby.b, 6);
}
