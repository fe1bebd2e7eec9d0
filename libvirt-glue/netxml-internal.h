/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that read a definition share (netxml.c, netsettings.c,
 * netportgroup.c, netelem.c, netdef.c, netlibvirt.c). */
#ifndef SFHYBRID_GLUE_NETXML_INTERNAL_H
#define SFHYBRID_GLUE_NETXML_INTERNAL_H

#include "libvirt-glue/netxml.h"
#include "libvirt-glue/xmlutil.h"

#define SFH_NETXML_WHAT "hybrid network definition" /* begins the sentences */

extern const char *const sfh_netxml_mode_names[_SFH_MODE_MAX];
extern const char *const sfh_netxml_policy_names[_SFH_NET_POLICY_MAX];

/* --- netelem.c: one element, strictly ------------------------------------------- */
/* An element that may stand in another: who reads it, and how often it may come. */
struct sfh_elem {
	const char *name;
	int (*parse)(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
	bool many;
};

/* Nothing may be in an element but the attributes and, if `elements`, elements
 * (which the caller checks): a typo must not be lost silently. */
int sfh_elem_check(const xmlNode *node, const char *const *attrs, bool elements,
		   struct sfh_error *err);
/* Children through a table of n. */
int sfh_elem_children(const xmlNode *parent, const struct sfh_elem *table, size_t n,
		      struct sfh_netdef *def, struct sfh_error *err);
/* An element that holds text and nothing else. */
int sfh_elem_text(const xmlNode *node, char *buf, size_t size, struct sfh_error *err);
/* An attribute that must be there. */
int sfh_elem_attr(const xmlNode *node, const char *name, char *buf, size_t size,
		  struct sfh_error *err);
/* A word out of a table, as its index. */
int sfh_elem_word(const xmlNode *node, const char *attr, const char *const *words, int n,
		  struct sfh_error *err);
/* *ret is not touched if it is not there and need not be. */
int sfh_elem_uint(const xmlNode *node, const char *attr, bool required, unsigned min, unsigned max,
		  unsigned *ret, struct sfh_error *err);

/* --- netsettings.c: each writes to def->set ---------------------------------------- */
int sfh_elem_vlan(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_trust(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_spoofchk(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_link_state(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_rate(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_policy(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_guest(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);
int sfh_elem_virtualport(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);

/* What <network> and <portgroup> have in common. */
/* clang-format off */
#define SFH_ELEM_SETTINGS                                                                          \
	{"vlan", sfh_elem_vlan, false},                                                            \
	{"trust", sfh_elem_trust, false},                                                          \
	{"spoofchk", sfh_elem_spoofchk, false},                                                    \
	{"link-state", sfh_elem_link_state, false},                                                \
	{"rate", sfh_elem_rate, false},                                                            \
	{"guest", sfh_elem_guest, false},                                                          \
	{"virtualport", sfh_elem_virtualport, false}
/* clang-format on */

/* --- netportgroup.c --------------------------------------------------------------- */
int sfh_elem_portgroup(const xmlNode *node, struct sfh_netdef *def, struct sfh_error *err);

/* --- netxml.c: `root` is the user's <network>, without namespaces --------------------- */
int sfh_netdef_read(const xmlNode *root, struct sfh_netdef **ret, struct sfh_error *err);

#endif
