/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SFHYBRID_VERSION_H
#define SFHYBRID_VERSION_H
#define SFHYBRID_VERSION "0.1.0"
/* Number of the --json layout (docs/json.md). */
#define SFHYBRID_JSON_SCHEMA 1
#endif
