/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the snapshot that ctl/engine/check.h judges: ledger, sysfs, rtnetlink,
 * pinned maps, libvirt. Reads only; seconds, not for the event loop. */
#ifndef SFHYBRID_GLUE_SURVEY_H
#define SFHYBRID_GLUE_SURVEY_H

#include "ctl/core/env.h"
#include "ctl/core/steer.h"
#include "ctl/engine/check.h"
#include "libvirt-glue/virt.h"

/* steer may be NULL (nothing is up). *ret is the caller's, sfh_survey_done(). */
int sfh_survey_take(const struct sfh_env *env, struct sfh_ledger *ledger, struct sfh_steer *steer,
		    struct sfh_virt *virt, struct sfh_survey *ret, struct sfh_error *err);

#endif
