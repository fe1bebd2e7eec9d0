/* SPDX-License-Identifier: GPL-2.0-or-later */
/* make bench-control: what is measured, and the table it goes into. */
#ifndef SFH_BENCH_CONTROL_H
#define SFH_BENCH_CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* One line: what, the figure, and the bound it must not exceed (0: exactly none). */
void bench_result(const char *key, const char *what, const char *unit, double value, double bound);
/* A figure without a bound. */
void bench_note(const char *key, const char *what, const char *unit, double value);
/* Could not be measured here; counted, and printed with the reason. */
void bench_skip(const char *key, const char *what, const char *why);

/* Sorts; p in 0..1. */
double bench_percentile(double *values, size_t n, double p);

void bench_lease(void);	  /* lease.c: cost and messages at 7 and at 1016 VFs */
void bench_clients(void); /* clients.c: eight clients at once; an agent with 1016 pairs */
void bench_hook(const char *build); /* hook.c: hook round trips */

#endif
