/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the fake host share (fakes.c, fakes_record.c, fakes_kernel.c,
 * fakes_hypervisor.c); for nobody else. */
#ifndef SFHYBRID_TESTS_FAKES_PRIV_H
#define SFHYBRID_TESTS_FAKES_PRIV_H

#include "tests/unit/fakes.h"

extern const struct sfh_kernel_ops fake_kernel_ops;
extern const struct sfh_hypervisor_ops fake_hypervisor_ops;
extern const struct sfh_engine_listener fake_listener;

/* One line more in the record (f->calls); at most 254 bytes of it. */
SFH_PRINTF(2, 3) void fake_record(struct fake *f, const char *fmt, ...);
/* What this call of `op` is to return: 0, or the negative errno that the test asked for. */
int fake_verdict(struct fake *f, enum fake_op op);

/* Returns from the op with the refusal, if there is one. */
#define VERDICT(f, op, err)                                                                        \
	do {                                                                                       \
		int _r = fake_verdict(f, op);                                                      \
		if (_r < 0)                                                                        \
			return sfh_err(err, _r, "the fake said no to %s", #op);                    \
	} while (0)

/* The pair's steering entry; if it has none, a new one (`make`) or NULL. */
struct fake_entry *fake_find_entry(struct fake *f, const struct sfh_pair *p, bool make);

#endif
