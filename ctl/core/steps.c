// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/steps.h"

int sfh_steps_run(const struct sfh_step *steps, size_t n, void *ctx, struct sfh_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = steps[i].run(ctx, err);

		if (r < 0) {
			sfh_err(err, r, "it failed");
			sfh_err_prefix(err, "cannot %s", steps[i].name);
			(void)sfh_steps_undo(steps, i, ctx);
			return r;
		}
	}
	return 0;
}

int sfh_steps_undo(const struct sfh_step *steps, size_t n, void *ctx)
{
	int ret = 0;

	for (size_t i = n; i-- > 0;) {
		int r = steps[i].undo ? steps[i].undo(ctx) : 0;

		if (r < 0 && ret == 0)
			ret = r;
	}
	return ret;
}
