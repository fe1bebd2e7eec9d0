// SPDX-License-Identifier: GPL-2.0-or-later
/* What passes between the hook and the agent: the request's line, and the answer's parser,
 * which takes what jansson writes and nothing else. */
#include "libvirt-glue/hook/answer.h"
#include "tests/unit/glue_helpers.h"

#include <jansson.h>

static int parse(const char *line, struct hook_answer *a)
{
	return sfh_hook_parse_answer(line, strlen(line), a);
}

Test(answer, accepts_what_jansson_writes)
{
	static const char sentence[] = "a \"b\" \\ / \xc3\xbc \xf0\x9f\x98\x80";
	static const size_t flags[] = {0, JSON_COMPACT, JSON_ENSURE_ASCII, JSON_SORT_KEYS,
				       JSON_ESCAPE_SLASH};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(flags); i++) {
		json_t *o = json_pack("{s:b,s:s}", "ok", 0, "error", sentence);
		_cleanup_free_ char *text = json_dumps(o, flags[i]);
		struct hook_answer a;

		json_decref(o);
		cr_assert_eq(parse(text, &a), 0, "%s", text);
		cr_assert_not(a.ok);
		cr_assert_str_eq(a.error, sentence);
		o = json_pack("{s:b,s:i}", "ok", 1, "length", 4711);
		free(text);
		text = json_dumps(o, flags[i]);
		json_decref(o);
		cr_assert_eq(parse(text, &a), 0, "%s", text);
		cr_assert(a.ok);
		cr_assert_eq(a.length, 4711);
	}
}

Test(answer, refuses_everything_else)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"ok\":true}",
		"{\"ok\":1,\"length\":0}",
		"{\"ok\":true,\"length\":00}",
		"{\"ok\":true,\"length\":1.5}",
		"{\"ok\":true,\"length\":\"1\"}",
		"{\"ok\":true,\"length\":99999999999999999999999}",
		"{\"ok\":true,\"length\":1,\"length\":1}",
		"{\"ok\":true,\"length\":1,\"error\":\"x\"}",
		"{\"ok\":true,\"length\":1}}",
		"{\"ok\":true,\"length\":1} x",
		"{\"ok\":true,\"length\":1,}",
		"{\"ok\":true \"length\":1}",
		"{\"ok\":true,\"length\":1,\"more\":1}",
		"{\"ok\":false,\"length\":1}",
		"{\"ok\":false,\"error\":\"x}",
		"{\"ok\":false,\"error\":\"\\x\"}",
		"{\"ok\":false,\"error\":\"\\u12\"}",
		"{\"ok\":false,\"error\":\"\\ud800\"}",
		"{\"ok\":false,\"error\":\"\\udc00\"}",
		"{\"ok\":false,\"error\":\"\\",
		"{\"ok\":false,\"error\":\"\xff\"}",
		"{\"ok\":false,\"error\":\"\xc3",
		"{\"ok\":false,\"error\":\"a\tb\"}",
		"{\"ok\":false,\"error\":null}",
	};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(bad); i++) {
		struct hook_answer a = {.length = 77};

		cr_assert_eq(parse(bad[i], &a), -EINVAL, "%s", bad[i]);
		cr_assert_eq(a.length, 77, "not written to");
	}
	cr_assert_eq(
		sfh_hook_parse_answer("{\"ok\":true,\"length\":1\0}", 23, &(struct hook_answer){0}),
		-EINVAL);
}

Test(answer, every_prefix_is_refused)
{
	static const char *const good[] = {"{\"ok\":true,\"length\":12}",
					   "{\"ok\":false,\"error\":\"a\\u00fc\\n\xc3\xbc\"}"};

	for (size_t i = 0; i < SFH_ARRAY_SIZE(good); i++) {
		size_t len = strlen(good[i]);
		struct hook_answer a;

		cr_assert_eq(sfh_hook_parse_answer(good[i], len, &a), 0);
		for (size_t n = 0; n < len; n++) {
			/* on the heap, of exact size, so that valgrind sees a read too far */
			_cleanup_free_ char *part = malloc(n ? n : 1);

			memcpy(part, good[i], n);
			cr_assert_eq(sfh_hook_parse_answer(part, n, &a), -EINVAL, "%zu", n);
		}
	}
}

Test(answer, long_sentence_is_cut_between_characters)
{
	char line[4 * HOOK_ERROR_SIZE];
	struct hook_answer a;
	int n = snprintf(line, sizeof(line), "{\"ok\":false,\"error\":\"");

	for (int i = 0; i < HOOK_ERROR_SIZE; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "\xc3\xbc");
	(void)snprintf(line + n, sizeof(line) - (size_t)n, "\"}");
	cr_assert_eq(parse(line, &a), 0);
	cr_assert_eq(strlen(a.error), HOOK_ERROR_SIZE - 2);
	cr_assert_eq((unsigned char)a.error[HOOK_ERROR_SIZE - 3], 0xbc);
}

Test(answer, request_line)
{
	char buf[256], longest[2000];

	cr_assert(sfh_hook_format_request("migrate", "a\"\n", 12, buf, sizeof(buf)) > 0);
	cr_assert_str_eq(buf,
			 "{\"verb\":\"hook\",\"op\":\"migrate\",\"domain\":\"a\\u0022\\u000a\","
			 "\"length\":12}\n");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_assert_eq(sfh_hook_format_request("migrate", longest, 1, buf, sizeof(buf)),
		     -ENAMETOOLONG);
	cr_assert_eq(sfh_hook_format_request("migrate", "vm", 1, buf, 20), -ENAMETOOLONG);
}
