/* SPDX-License-Identifier: GPL-2.0-or-later */
/* <virtualport>: the port profile of a NIC, of its own definition, its portgroup and its
 * network taken together as libvirt does: what one leaves out another may say, and two that
 * disagree are an error. */
#ifndef SFHYBRID_GLUE_VIRTUALPORT_H
#define SFHYBRID_GLUE_VIRTUALPORT_H

#include "ctl/core/portprofile.h"

#define SFH_VIRTUALPORT_TYPE_SIZE 32
#define SFH_VIRTUALPORT_8021QBH "802.1Qbh"

struct _xmlNode;

struct sfh_virtualport {
	bool given; /* there is such an element */
	bool bad;   /* too long, not printable, or two that disagree */
	char type[SFH_VIRTUALPORT_TYPE_SIZE];	  /* "" if it is not said */
	char profileid[SFH_PORT_PROFILE_SIZE]; /* likewise */
};

/* `node` may be NULL: not given. What cannot be used is `bad`, and no error: the NIC goes
 * without a VF. */
void sfh_virtualport_read(const struct _xmlNode *node, struct sfh_virtualport *ret);
void sfh_virtualport_merge(struct sfh_virtualport *to, const struct sfh_virtualport *more);
/* The profile that its VF is to have; NULL: none, or (if `given`) one that no VF can have. */
const char *sfh_virtualport_profile(const struct sfh_virtualport *v);

#endif
