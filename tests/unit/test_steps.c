// SPDX-License-Identifier: GPL-2.0-or-later
/* A change of several parts: what fails, and what is undone then. */
#include "ctl/core/steps.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define N 5

struct trace {
	char calls[256];
	int fail_run, fail_undo; /* which step's; -1: none */
	bool sentence;		 /* the failing step says why */
};

static void note(struct trace *t, const char *what, int i)
{
	size_t used = strlen(t->calls);

	(void)snprintf(t->calls + used, sizeof(t->calls) - used, "%s%s%d", used ? " " : "", what, i);
}

static int run(struct trace *t, int i, struct sfh_error *err)
{
	note(t, "do", i);
	if (i != t->fail_run)
		return 0;
	return t->sentence ? sfh_err(err, -ENOSPC, "step %d is full", i) : -ENOSPC;
}

static int undo(struct trace *t, int i)
{
	note(t, "undo", i);
	return i == t->fail_undo ? -EIO : 0;
}

#define STEP(i)                                                                                    \
	static int run##i(void *ctx, struct sfh_error *err)                                        \
	{                                                                                          \
		return run(ctx, i, err);                                                           \
	}                                                                                          \
	static int undo##i(void *ctx)                                                              \
	{                                                                                          \
		return undo(ctx, i);                                                               \
	}
STEP(0) STEP(1) STEP(2) STEP(3) STEP(4)

static const struct sfh_step steps[N] = {
	{ "read zero", run0, undo0 },  { "write one", run1, undo1 },
	{ "look at two", run2, NULL }, /* changes nothing */
	{ "write three", run3, undo3 }, { "write four", run4, undo4 },
};

Test(steps, all_done_in_order_nothing_undone)
{
	struct trace t = { .fail_run = -1, .fail_undo = -1 };
	struct sfh_error err = { 0 };

	(void)undo2; /* step 2 has none */
	cr_assert_eq(sfh_steps_run(steps, N, &t, &err), 0);
	cr_assert_str_eq(t.calls, "do0 do1 do2 do3 do4");
	cr_assert_eq(err.code, 0);
}

Test(steps, each_failure_undoes_exactly_what_was_done)
{
	static const char *const expect[N] = {
		"do0",
		"do0 do1 undo0",
		"do0 do1 do2 undo1 undo0",
		"do0 do1 do2 do3 undo1 undo0",
		"do0 do1 do2 do3 do4 undo3 undo1 undo0",
	};

	for (int i = 0; i < N; i++) {
		struct trace t = { .fail_run = i, .fail_undo = -1, .sentence = true };
		struct sfh_error err = { 0 };
		char sentence[64];

		cr_expect_eq(sfh_steps_run(steps, N, &t, &err), -ENOSPC);
		cr_expect_str_eq(t.calls, expect[i]);
		(void)snprintf(sentence, sizeof(sentence), "cannot %s: step %d is full",
			       steps[i].name, i);
		cr_expect_str_eq(err.text, sentence);
		cr_expect_eq(err.code, -ENOSPC);
	}
}

Test(steps, silent_failure_still_names_the_step)
{
	struct trace t = { .fail_run = 3, .fail_undo = -1 };
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_steps_run(steps, N, &t, &err), -ENOSPC);
	cr_assert(strstr(err.text, "cannot write three: "), "%s", err.text);
	cr_assert_eq(err.code, -ENOSPC);
	t = (struct trace){ .fail_run = 3, .fail_undo = -1, .sentence = true };
	cr_assert_eq(sfh_steps_run(steps, N, &t, NULL), -ENOSPC, "nobody listens");
	cr_assert_str_eq(t.calls, "do0 do1 do2 do3 undo1 undo0");
}

Test(steps, undo_goes_on_after_failures)
{
	struct trace t = { .fail_run = 4, .fail_undo = 3, .sentence = true };
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_steps_run(steps, N, &t, &err), -ENOSPC, "the first failure is told");
	cr_assert_str_eq(t.calls, "do0 do1 do2 do3 do4 undo3 undo1 undo0");
	cr_assert_str_eq(err.text, "cannot write four: step 4 is full");
}

Test(steps, undo_of_a_whole_change)
{
	struct trace t = { .fail_run = -1, .fail_undo = 4 };

	cr_assert_eq(sfh_steps_undo(steps, N, &t), -EIO);
	cr_assert_str_eq(t.calls, "undo4 undo3 undo1 undo0");
	t = (struct trace){ .fail_run = -1, .fail_undo = -1 };
	cr_assert_eq(sfh_steps_undo(steps, N, &t), 0);
	t = (struct trace){ .fail_run = -1, .fail_undo = -1 };
	cr_assert_eq(sfh_steps_undo(steps, 0, &t), 0);
	cr_assert_str_eq(t.calls, "");
}
