// SPDX-License-Identifier: GPL-2.0-or-later
/* The probe of a VF leg, byte for byte. */
#include "ctl/core/probe.h"

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
	sfh_probe_frame(frame, &guest, &pf, 4094, inet_addr("192.0.2.99"));
	cr_assert_arr_eq(frame, expect, sizeof(expect));
}

Test(probe, vlan_is_in_network_order)
{
	uint8_t frame[SFH_PROBE_FRAME_LEN];

	sfh_probe_frame(frame, &guest, &pf, 0x123, 0);
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
	cr_assert_lt(sfh_probe_send(fd, 0x7ffffff0, frame), 0);
}
