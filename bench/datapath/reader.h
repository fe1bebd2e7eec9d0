/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's end of a tap or macvtap: a thread that reads frame after frame. */
#ifndef SFH_BENCH_DATAPATH_READER_H
#define SFH_BENCH_DATAPATH_READER_H

#include "bench/datapath/datapath.h"

/* Reads r->reader_fd on DP_READER_CPU until the process ends, counts in the
 * programs' dp_read. */
int dp_reader_start(struct dp_rival *r, struct sfh_error *err);

#endif
