/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of why a standby leg is cold (the table is SFH_COLDS in abi.h). */
#ifndef SFHYBRID_COLD_H
#define SFHYBRID_COLD_H

#include "sfhybrid/abi.h"

/* "ring-stuck"; "unknown" for a number not in the table. */
const char *sfh_cold_name(enum sfh_cold cold);
/* The sentence from the table; "" for a number not in the table. */
const char *sfh_cold_text(enum sfh_cold cold);

#endif
