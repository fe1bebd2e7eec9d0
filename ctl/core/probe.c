// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/probe.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
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
		     const struct sfh_mac *pf, const struct sfh_mac *answer_to, uint16_t vlan,
		     uint32_t ip4)
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
	memcpy(p.arp.sha, answer_to->b, 6);
	memcpy(p.arp.tpa, &ip4, 4);
	memset(frame, 0, SFH_PROBE_FRAME_LEN);
	memcpy(frame, &p, sizeof(p));
}

struct ns_probe {
	uint8_t dst[6], src[6];
	uint16_t tpid, tci, type;
	struct ip6_hdr ip;
	struct nd_neighbor_solicit ns;
	uint8_t opt_type, opt_len, opt_mac[6];
} __attribute__((packed));

_Static_assert(sizeof(struct ns_probe) == SFH_PROBE_NS_LEN, "no padding");

static struct in6_addr link_local(const struct sfh_mac *mac)
{
	return (struct in6_addr){ .s6_addr = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac->b[0] ^ 2,
					       mac->b[1], mac->b[2], 0xff, 0xfe, mac->b[3],
					       mac->b[4], mac->b[5] } };
}

/* RFC 1071 over whole 16-bit words in network order. */
static uint32_t sum_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

void sfh_probe_ns_frame(uint8_t frame[SFH_PROBE_NS_LEN], const struct sfh_mac *guest,
			const struct sfh_mac *pf, const struct sfh_mac *answer_to, uint16_t vlan)
{
	const size_t payload = sizeof(struct nd_neighbor_solicit) + 8;
	struct ns_probe p = {
		.tpid = htons(ETH_P_8021Q),
		.tci = htons(vlan),
		.type = htons(ETH_P_IPV6),
		.opt_type = ND_OPT_SOURCE_LINKADDR,
		.opt_len = 1,
	};
	uint32_t sum;

	memcpy(p.dst, guest->b, 6);
	memcpy(p.src, pf->b, 6);
	memcpy(p.opt_mac, answer_to->b, 6);
	p.ip.ip6_vfc = 6 << 4;
	p.ip.ip6_plen = htons((uint16_t)payload);
	p.ip.ip6_nxt = IPPROTO_ICMPV6;
	p.ip.ip6_hlim = 255; /* anything less is ignored */
	p.ip.ip6_src = link_local(answer_to);
	p.ip.ip6_dst = link_local(guest);
	p.ns.nd_ns_target = link_local(guest);
	p.ns.nd_ns_type = ND_NEIGHBOR_SOLICIT;
	/* Pseudo header and message: the two addresses to the end stand in a row. */
	sum = sum_words((uint32_t)payload + IPPROTO_ICMPV6,
			(uint8_t *)&p + offsetof(struct ns_probe, ip) + 8, 32 + payload);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	p.ns.nd_ns_cksum = htons((uint16_t)~sum);
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

int sfh_probe_send(int fd, int pf_ifindex, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = pf_ifindex,
				  .sll_halen = 6 };

	memcpy(to.sll_addr, frame, 6);
	return sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0
		       ? -errno
		       : 0;
}
