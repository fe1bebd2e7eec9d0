/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change of several parts as a table of steps that undo themselves. */
#ifndef SFH_CORE_STEPS_H
#define SFH_CORE_STEPS_H

#include "sfhybrid/util.h"

struct sfh_step {
	const char *name; /* completes "cannot …" in an error's sentence */
	int (*run)(void *ctx, struct sfh_error *err);
	/* Puts back what run() changed; NULL if it changed nothing. Its own
	 * failure does not stop the undoing of earlier steps. */
	int (*undo)(void *ctx);
};

/* Runs the steps in order. When one fails, undoes exactly those that had
 * succeeded, last first, and returns the failing step's negative errno with
 * its name in front of the sentence. */
int sfh_steps_run(const struct sfh_step *steps, size_t n, void *ctx, struct sfh_error *err);

/* Undoes all n steps, last first (a completed change that is taken back).
 * Returns the first failure but tries every step. */
int sfh_steps_undo(const struct sfh_step *steps, size_t n, void *ctx);

#endif
