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

/* Its parts in their order, for the agent, which must not keep the datapath to itself while
 * libvirt is asked. Each adds to *s, which begins empty and is the caller's even after a
 * failure. First ledger, sysfs and rtnetlink: a pair whose guest is not found afterwards has
 * none, while a guest may well have come later. */
int sfh_survey_host(const struct sfh_env *env, struct sfh_ledger *ledger, struct sfh_survey *s,
		    struct sfh_error *err);
/* Maps and programs: milliseconds. */
int sfh_survey_steering(struct sfh_steer *steer, struct sfh_survey *s, struct sfh_error *err);
/* libvirt, a question a guest: seconds. */
int sfh_survey_guests(struct sfh_virt *virt, struct sfh_survey *s, struct sfh_error *err);

#endif
