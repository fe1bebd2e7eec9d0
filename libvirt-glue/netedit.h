/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `set`: changes single settings in the user's XML of a hybrid network. */
#ifndef SFHYBRID_GLUE_NETEDIT_H
#define SFHYBRID_GLUE_NETEDIT_H

#include <stddef.h>

#include "sfhybrid/util.h"

/* When a change is felt, once it is defined. */
enum sfh_netedit_when {
	SFH_EDIT_NOW,	     /* by the guests that run, if the network is up */
	SFH_EDIT_NEXT_LEASE, /* by a guest that is on its VF: when it gets one again */
	SFH_EDIT_NEXT_START, /* by no guest that runs */
	SFH_EDIT_NEXT_UP,
};

struct sfh_netedit_change {
	const char *key; /* of the table, a literal */
	char old[64];	 /* "" if nothing was said */
	char value[64];	 /* "" if nothing is said any more */
	enum sfh_netedit_when when;
};

#define SFH_NETEDIT_MAX 32

/* Applies "KEY=VALUE" words to the user's XML: *ret is the new one, the caller's.
 * `portgroup=NAME` says which portgroup the keys are for, else the network itself; an
 * empty value takes the setting away. changes: what differs, at most SFH_NETEDIT_MAX;
 * returns how many, or -EINVAL: an unknown key, a key that a portgroup has not, no
 * such portgroup, no '='. Values are for sfh_netdef_parse() of the result to judge. */
int sfh_netedit(const char *user_xml, size_t len, const char *const *words, size_t n,
		struct sfh_netedit_change *changes, char **ret, struct sfh_error *err);

/* The keys, NULL past the last. */
const char *sfh_netedit_key(size_t i);

#endif
