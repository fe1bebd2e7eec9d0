// SPDX-License-Identifier: GPL-2.0-or-later
/* The parser in user space: lengths that test_run refuses, and tags that tc has
 * taken out of the data, which test_run cannot make. */
#include <criterion/criterion.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#include "bpf/lib/frame.h"
#include "tests/netns/sandbox.h"

static enum sfh_parsed parse(const struct frame *f, uint16_t tpid, uint16_t tci,
			     struct sfh_frame *ret)
{
	/* A heap block of just this size, so that a sanitizer sees one byte too many. */
	_cleanup_free_ uint8_t *copy = malloc(f->len ? f->len : 1);

	memcpy(copy, f->b, f->len);
	return sfh_frame_parse(copy, copy + f->len, tpid, tci, ret);
}

Test(frame, every_length_of_an_untagged_frame)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct sfh_frame got;

	for (f.len = 0; f.len <= 18; f.len++)
		cr_assert_eq(parse(&f, 0, 0, &got), f.len < 14 ? SFH_PARSED_SHORT : SFH_PARSED,
			     "%zu bytes", f.len);
	cr_assert_eq(got.vlan, 0);
	cr_assert_eq(got.proto, 0x88b5);
	cr_assert_eq(got.l3, 14);
}

Test(frame, every_length_of_a_tagged_frame)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, TAG(0x2000 | 7), 0);
	struct sfh_frame got;

	for (f.len = 0; f.len <= 18; f.len++)
		cr_assert_eq(parse(&f, 0, 0, &got),
			     f.len < 14	  ? SFH_PARSED_SHORT :
			     f.len < 18 ? SFH_PARSED_CUT :
					  SFH_PARSED,
			     "%zu bytes", f.len);
	cr_assert_eq(got.vlan, 7);
	cr_assert_eq(got.proto, 0x88b5);
	cr_assert_eq(got.l3, 18);
}

Test(frame, tag_outside_the_data)
{
	struct frame f = mk_frame(MAC_GUEST, MAC_PEER, 0, 0);
	struct frame tagged = mk_frame(MAC_GUEST, MAC_PEER, TAG(9), 0);
	struct sfh_frame got;

	cr_assert_eq(parse(&f, SFH_ETH_P_8021Q, 0x6007, &got), SFH_PARSED);
	cr_assert_eq(got.vlan, 7);
	cr_assert_eq(got.l3, 14);
	cr_assert_eq(got.tpid, SFH_ETH_P_8021Q);
	cr_assert_eq(parse(&f, SFH_ETH_P_8021AD, 7, &got), SFH_PARSED);
	cr_assert_eq(got.tpid, SFH_ETH_P_8021AD);
	cr_assert_eq(parse(&tagged, SFH_ETH_P_8021Q, 7, &got), SFH_PARSED);
	cr_assert_eq(got.vlan, 7, "the outer one");
	cr_assert_eq(got.proto, SFH_ETH_P_8021Q, "the inner one follows");
	cr_assert_eq(got.src, sfh_mac_word(f.b + 6));
}
