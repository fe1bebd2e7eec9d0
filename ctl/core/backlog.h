/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes for guests that have let go of their VF and do not listen to their standby
 * leg yet: a PF's program hands it over by the injection device, here it waits, in its
 * order, and goes back in at the PF once the guest listens. One thread. Errors: negative
 * errno. */
#ifndef SFH_CORE_BACKLOG_H
#define SFH_CORE_BACKLOG_H

#include "ctl/core/inject.h"
#include "ctl/core/steer.h"

struct sfh_backlogs;

struct sfh_backlog_count {
	size_t released, lost; /* frames; lost: there was no room for them */
};

/* The injection device must outlive it. */
int sfh_backlogs_new(struct sfh_inject *inject, struct sfh_backlogs **ret);
void sfh_backlogs_free(struct sfh_backlogs **bl);
/* When sfh_inject_fd() is readable. */
void sfh_backlogs_take(struct sfh_backlogs *bl);

/* From the frame that arms the staged pair on, what comes for it waits (as long as
 * sfh_steer_backlog() says). -ENOENT if not staged. */
int sfh_backlog_begin(struct sfh_backlogs *bl, struct sfh_steer *s, const struct sfh_guest_key *key,
		      struct sfh_error *err);
/* Releases what waits, and nothing waits any more; nor if another process began it. */
int sfh_backlog_end(struct sfh_backlogs *bl, struct sfh_steer *s, const struct sfh_guest_key *key,
		    struct sfh_backlog_count *ret, struct sfh_error *err);
/* The pair is gone: what waits is for nobody. */
void sfh_backlog_forget(struct sfh_backlogs *bl, const struct sfh_guest_key *key);
/* No pair has one. */
bool sfh_backlogs_empty(const struct sfh_backlogs *bl);

#endif
