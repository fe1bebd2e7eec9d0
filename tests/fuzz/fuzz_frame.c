// SPDX-License-Identifier: GPL-2.0-or-later
/* The frame parser (bpf/lib/frame.h). Input: the tag that tc has taken out of the data
 * (TPID, TCI; 0: none), then the frame. What the parser says is held against the bytes,
 * and it must not read one more than there are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#include "bpf/lib/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] * 256 + p[1]);
}

static void check(const uint8_t *p, size_t len, uint16_t tpid, uint16_t tci)
{
	struct sfh_frame f;
	enum sfh_parsed parsed = sfh_frame_parse(p, p + len, tpid, tci, &f);
	size_t l3 = 14;

	must((parsed == SFH_PARSED_SHORT) == (len < 14));
	if (parsed == SFH_PARSED_SHORT)
		return;
	must(f.dst == sfh_mac_word(p) && f.src == sfh_mac_word(p + 6));
	must(sfh_is_multicast(f.dst) == (p[0] & 1));
	if (!tpid && (be16(p + 12) == 0x8100 || be16(p + 12) == 0x88a8)) {
		must((parsed == SFH_PARSED_CUT) == (len < 18));
		if (parsed == SFH_PARSED_CUT)
			return;
		tpid = be16(p + 12);
		tci = be16(p + 14);
		l3 = 18;
	}
	must(parsed == SFH_PARSED);
	must(f.tpid == tpid && f.vlan == tci % 4096);
	must(f.l3 == l3 && l3 <= len && f.proto == be16(p + l3 - 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	uint16_t tpid, tci;
	uint8_t *frame;

	if (size < 4)
		return 0;
	tpid = be16(in);
	tci = tpid ? be16(in + 2) : 0;
	/* A block of just this size: the sanitizer sees one byte too many. */
	frame = malloc(size - 4 ? size - 4 : 1);
	if (!frame)
		return 0;
	memcpy(frame, in + 4, size - 4);
	check(frame, size - 4, tpid, tci);
	free(frame);
	return 0;
}
