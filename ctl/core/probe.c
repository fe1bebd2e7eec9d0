// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/probe.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

struct probe {
	uint8_t dst[6], src[6];
	uint16_t tpid, tci, type;
	struct {
		uint16_t hrd, pro;
		uint8_t hln, pln;
		uint16_t op;
		uint8_t sha[6], spa[4], tha[6], tpa[4];
	} __attribute__((packed)) arp;
} __attribute__((packed));

_Static_assert(sizeof(struct probe) <= SFH_PROBE_FRAME_LEN, "an ARP fits a minimum frame");

void sfh_probe_frame(uint8_t frame[SFH_PROBE_FRAME_LEN], const struct sfh_mac *guest,
		     const struct sfh_mac *pf, uint16_t vlan, uint32_t ip4)
{
	struct probe p = {
		.tpid = htons(ETH_P_8021Q),
		.tci = htons(vlan),
		.type = htons(ETH_P_ARP),
		.arp = { .hrd = htons(ARPHRD_ETHER), .pro = htons(ETH_P_IP), .hln = 6, .pln = 4,
			 .op = htons(ARPOP_REQUEST) },
	};

	memcpy(p.dst, guest->b, 6);
	memcpy(p.src, pf->b, 6);
	memcpy(p.arp.sha, pf->b, 6);
	memcpy(p.arp.tpa, &ip4, 4);
	memset(frame, 0, SFH_PROBE_FRAME_LEN);
	memcpy(frame, &p, sizeof(p));
}

int sfh_probe_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	return fd;
}

int sfh_probe_send(int fd, int pf_ifindex, const uint8_t frame[SFH_PROBE_FRAME_LEN])
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = pf_ifindex,
				  .sll_halen = 6 };

	memcpy(to.sll_addr, frame, 6);
	return sendto(fd, frame, SFH_PROBE_FRAME_LEN, 0, (struct sockaddr *)&to, sizeof(to)) < 0
		       ? -errno
		       : 0;
}
