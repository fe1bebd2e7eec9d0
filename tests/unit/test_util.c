// SPDX-License-Identifier: GPL-2.0-or-later
/* include/sfhybrid/util.h: text of addresses, sentences, copies. */
#include "sfhybrid/util.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

Test(util, mac_round_trip)
{
	struct sfh_mac mac;
	char buf[SFH_MAC_STRLEN];

	cr_assert_eq(sfh_mac_parse("52:54:00:aB:Cd:0f", &mac), 0);
	cr_assert_arr_eq(mac.b, ((uint8_t[]){ 0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f }), 6);
	cr_assert_str_eq(sfh_mac_format(&mac, buf), "52:54:00:ab:cd:0f");
	cr_assert_eq(sfh_mac_format(&mac, buf), buf);
}

Test(util, mac_that_is_none_changes_nothing)
{
	static const char *const bad[] = {
		"", "52:54:00:ab:cd", "52:54:00:ab:cd:0", "52:54:00:ab:cd:0f:", "52-54-00-ab-cd-0f",
		"52:54:00:ab:cd:0g", " 2:54:00:ab:cd:0f", "52:54:00:ab:cd:0f ", "5254.00ab.cd0f   ",
		"52:54:00:ab:cd 0f", "-2:54:00:ab:cd:0f", "0x:54:00:ab:cd:0f",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		struct sfh_mac mac = { { 1, 2, 3, 4, 5, 6 } };

		cr_expect_eq(sfh_mac_parse(bad[i], &mac), -EINVAL, "'%s'", bad[i]);
		cr_expect_arr_eq(mac.b, ((uint8_t[]){ 1, 2, 3, 4, 5, 6 }), 6, "'%s'", bad[i]);
	}
	cr_assert_eq(sfh_mac_parse(NULL, &(struct sfh_mac){ 0 }), -EINVAL);
}

Test(util, mac_kinds)
{
	const struct sfh_mac zero = { 0 }, last = { { 0, 0, 0, 0, 0, 1 } },
			     group = { { 0x01, 0, 0x5e, 0, 0, 1 } }, guest = { { 0x52, 0x54 } };

	cr_assert(sfh_mac_is_zero(&zero));
	cr_assert_not(sfh_mac_is_zero(&last), "the last byte counts");
	cr_assert(sfh_mac_is_multicast(&group));
	cr_assert_not(sfh_mac_is_multicast(&guest));
	cr_assert_not(sfh_mac_equal(&zero, &last));
	cr_assert(sfh_mac_equal(&last, &last));
}

Test(util, bdf_round_trip)
{
	static const char *const good[] = { "0000:00:00.0", "0000:04:10.7", "10af:ff:1f.3" };
	struct sfh_bdf bdf;
	char buf[SFH_BDF_STRLEN];

	for (size_t i = 0; i < SFH_ARRAY_SIZE(good); i++) {
		cr_assert_eq(sfh_bdf_parse(good[i], &bdf), 0, "%s", good[i]);
		cr_expect_str_eq(sfh_bdf_format(&bdf, buf), good[i]);
	}
	cr_assert_eq(sfh_bdf_parse("10AF:fF:1f.3", &bdf), 0, "either case");
	cr_assert(bdf.domain == 0x10af && bdf.bus == 0xff && bdf.slot == 0x1f && bdf.function == 3);
}

Test(util, bdf_that_is_none_changes_nothing)
{
	static const char *const bad[] = {
		"", "04:10.0", "0000:04:10", "0000:04:10.8", "0000:04:20.0", "0000:04:10.f",
		"0000.04:10.0", "0000:04:10:0", "0000:04-10.0", "00000:04:10.0", "0000:04:10.0 ",
		"000g:04:10.0", "0000:04: 1.0",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		struct sfh_bdf bdf = { 7, 6, 5, 4 };

		cr_expect_eq(sfh_bdf_parse(bad[i], &bdf), -EINVAL, "'%s'", bad[i]);
		cr_expect(bdf.domain == 7 && bdf.bus == 6 && bdf.slot == 5 && bdf.function == 4,
			  "'%s' wrote", bad[i]);
	}
	cr_assert_eq(sfh_bdf_parse(NULL, &(struct sfh_bdf){ 0 }), -EINVAL);
}

Test(util, first_sentence_wins)
{
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_err(&err, -ENOENT, "no network '%s'", "blue"), -ENOENT);
	cr_assert_eq(sfh_err(&err, -EIO, "something later"), -EIO, "the code handed in comes back");
	cr_assert_eq(err.code, -ENOENT);
	cr_assert_str_eq(err.text, "no network 'blue'");
	cr_assert_eq(sfh_err(NULL, -EPERM, "nobody listens"), -EPERM);
}

Test(util, prefix_keeps_the_code)
{
	struct sfh_error err = { 0 };

	(void)sfh_err(&err, -EBUSY, "VF 3 is busy");
	cr_assert_eq(sfh_err_prefix(&err, "cannot bring up '%s'", "blue"), -EBUSY);
	cr_assert_str_eq(err.text, "cannot bring up 'blue': VF 3 is busy");
	cr_assert_eq(err.code, -EBUSY);
	cr_assert_lt(sfh_err_prefix(NULL, "nobody listens"), 0);
}

Test(util, long_sentences_are_cut_and_end)
{
	struct sfh_error err = { 0 };
	char longer[2 * sizeof(err.text)];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	(void)sfh_err(&err, -EIO, "%s", longer);
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 1);
	(void)sfh_err_prefix(&err, "first");
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_assert_eq(strncmp(err.text, "first: xxx", 10), 0);
	(void)sfh_err_prefix(&err, "%s", longer);
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 1);
}

Test(util, strcpy_says_when_it_cuts)
{
	struct {
		char buf[4], guard;
	} s = { .guard = 'G' };

	cr_assert_eq(sfh_strcpy(s.buf, sizeof(s.buf), "abc"), 0);
	cr_assert_str_eq(s.buf, "abc");
	cr_assert_eq(sfh_strcpy(s.buf, sizeof(s.buf), "defg"), -ENAMETOOLONG);
	cr_assert_str_eq(s.buf, "def");
	cr_assert_eq(sfh_strcpy(s.buf, sizeof(s.buf), ""), 0);
	cr_assert_str_eq(s.buf, "");
	cr_assert_eq(s.guard, 'G');
}

Test(util, texts_are_cut_between_characters)
{
	struct sfh_error err = { 0 };
	char longer[2 * sizeof(err.text)] = "", buf[4];

	while (strlen(longer) < sizeof(longer) - 3)
		(void)strcat(longer, "\u00e4");
	(void)sfh_err(&err, -EIO, "%s", longer);
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 2, "not half of the last one");
	(void)sfh_err_prefix(&err, "it");
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 2);
	(void)sfh_err_prefix(&err, "now");
	cr_assert_eq(strlen(err.text), sizeof(err.text) - 1, "the last one fits");
	cr_assert_eq(sfh_strcpy(buf, sizeof(buf), "ab\u00e4"), -ENAMETOOLONG);
	cr_assert_str_eq(buf, "ab");
	cr_assert_eq(sfh_strcpy(buf, sizeof(buf), "a\u00e4\u00e4"), -ENAMETOOLONG);
	cr_assert_str_eq(buf, "a\u00e4");
	cr_assert_eq(sfh_strcpy(buf, sizeof(buf), "\U0001f600"), -ENAMETOOLONG);
	cr_assert_str_eq(buf, "");
}

Test(util, utf8_mend)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\u00e4\u20ac\U0001f600\U0010ffff", "\u00e4\u20ac\U0001f600\U0010ffff" },
		{ "a\xff" "b\x80", "a?b?" },
		{ "\xe4hnlich", "?hnlich" },	  /* Latin-1 */
		{ "end\xc3", "end" },		  /* cut off */
		{ "end\xf0\x9f\x98", "end" },
		{ "\xc0\xaf", "??" },		  /* longer than it need be */
		{ "\xe0\x9f\xbf", "???" },
		{ "\xed\xa0\x80", "???" },	  /* a surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond the last */
		{ "\xf5\x80\x80\x80", "????" },
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(cases); i++) {
		char buf[32];

		(void)strcpy(buf, cases[i][0]);
		cr_expect_eq(sfh_utf8_mend(buf), buf);
		cr_expect_str_eq(buf, cases[i][1], "case %zu", i);
	}
}

Test(util, take_hands_over)
{
	_cleanup_free_ char *text = strdup("mine");
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char *taken = TAKE_PTR(text);
	int got = TAKE_FD(fd);

	cr_assert_null(text);
	cr_assert_eq(fd, -1);
	cr_assert_str_eq(taken, "mine");
	free(taken);
	cr_assert_eq(close(got), 0, "it was still open");
	sfh_closep(&fd);
	cr_assert_eq(fd, -1);
}
