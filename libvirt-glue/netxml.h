/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions of hybrid networks: the user's XML (the RFC's, and what
 * docs/network-xml.md adds), and the libvirt network XML that carries it.
 *
 * There is one truth: the user's <network> element, moved into our namespace
 * below libvirt's <metadata>. What stands outside of it (<forward>, <bridge>)
 * is derived from it when the network is defined, and never read back.
 *
 * Uses libxml2 (and, of ctl/core, what a VF can be told) only. Every document is taken for hostile: at most
 * SFH_XML_MAX bytes, no DTD, no entities, nothing is loaded from anywhere.
 * All functions return 0 or a negative errno and put one sentence in *err
 * (which may be NULL); on failure *ret is not touched. */
#ifndef SFHYBRID_GLUE_NETXML_H
#define SFHYBRID_GLUE_NETXML_H

#include "ctl/core/vfwish.h"
#include "libvirt-glue/virtualport.h"
#include "sfhybrid/util.h"

#define SFH_NETXML_NS "https://sfhybrid.org/xmlns/network/1"
#define SFH_NETXML_PREFIX "sfhybrid"
#define SFH_NETXML_FORWARD_MODE "pci-passthrough-hybrid"

#define SFH_NET_PROBE_MS 1000 /* default of <probe interval=> */
#define SFH_NET_NAME_SIZE 256 /* with the terminating 0 */
#define SFH_NET_IFNAME_SIZE 16
#define SFH_NET_UUID_SIZE 37
#define SFH_NET_PFS_MAX 64
#define SFH_NET_EXCLUDED_MAX 1024
#define SFH_NET_PORTGROUPS_MAX 1024
#define SFH_NET_PRIORITY_MAX 1000
#define SFH_NET_RATE_MAX 1000000 /* Mbit/s */
#define SFH_NET_VFS_MAX 65535 /* an SR-IOV capability cannot say more */

enum sfh_standby_mode {
	SFH_MODE_MACVTAP_BRIDGE, /* the RFC's, and the default */
	SFH_MODE_MACVTAP_PRIVATE,
	SFH_MODE_MACVTAP_VEPA,
	SFH_MODE_LINUX_BRIDGE,
	_SFH_MODE_MAX
};

enum sfh_net_policy {
	SFH_NET_POLICY_PREFER,	/* accelerate when a VF is free (default) */
	SFH_NET_POLICY_REQUIRE, /* a guest without a VF does not start */
	SFH_NET_POLICY_NEVER,	/* standby only */
	_SFH_NET_POLICY_MAX
};

struct sfh_netdef_pf {
	char dev[SFH_NET_IFNAME_SIZE];
	unsigned vfs; /* 0: what the network says */
};

/* What a network or a portgroup says of the NICs on it. */
struct sfh_net_settings {
	struct sfh_vf_wish vf; /* VLAN, trust, spoofchk, link state, rate */
	bool has_policy, has_priority, has_guest;
	enum sfh_net_policy policy;
	int priority;	      /* 0..SFH_NET_PRIORITY_MAX; the higher is first for a VF that frees */
	bool bond;	      /* guests join the legs in a bond of their own: no STANDBY needed */
	struct sfh_virtualport virtualport;
};

struct sfh_netdef_portgroup {
	char name[SFH_NET_NAME_SIZE];
	bool is_default; /* of NICs that name no portgroup; at most one is */
	struct sfh_net_settings set;
};

struct sfh_netdef {
	char name[SFH_NET_NAME_SIZE];
	char uuid[SFH_NET_UUID_SIZE]; /* lower case; "" if there is none */
	struct sfh_netdef_pf *pfs;    /* at least one, no name twice, in the user's order */
	size_t npfs;
	enum sfh_standby_mode mode;
	char bridge[SFH_NET_IFNAME_SIZE]; /* derived from the name; "" unless linux-bridge */
	unsigned vfs;			  /* VFs to use per PF; 0: as many as the PF has */
	enum sfh_net_policy policy;
	struct sfh_bdf *excluded; /* VFs never to touch */
	size_t nexcluded;
	int landing; /* VFs to keep back for arrivals; -1: nothing is said */
	struct sfh_net_settings set;
	struct sfh_netdef_portgroup *portgroups; /* in the user's order */
	size_t nportgroups;
	unsigned probe_interval_ms; /* of the standby legs; 0: they are not probed */
};

/* "macvtap-bridge", …; NULL for a number out of range. */
const char *sfh_standby_mode_name(enum sfh_standby_mode mode);
/* "prefer", "require", "never"; NULL for a number out of range. */
const char *sfh_net_policy_name(enum sfh_net_policy policy);

/* Parses the user's XML (`len` bytes). *ret is the caller's; free with
 * sfh_netdef_freep(). -EINVAL: not well-formed, has a DTD, or breaks a rule of
 * docs/network-xml.md, the sentence names the offending element, attribute or
 * value; -E2BIG: larger than the bound; -ENOMEM. */
int sfh_netdef_parse(const char *xml, size_t len, struct sfh_netdef **ret, struct sfh_error *err);

/* Makes the XML for virNetworkDefineXML() out of the user's. *ret_xml is the
 * caller's, free(). Errors as sfh_netdef_parse(): nothing that it refuses gets
 * as far as libvirt. */
int sfh_netdef_to_libvirt(const char *user_xml, size_t len, char **ret_xml, struct sfh_error *err);

/* The same for a network that libvirt has as `old_xml`, whose UUID stays unless the user's
 * XML names one. Returns 1, or 0 if the user's XML is what is defined. Errors as
 * sfh_netdef_parse(), and -EEXIST: the one that libvirt has is not hybrid. A hybrid one may
 * be damaged, or a copy of another by hand. */
int sfh_netdef_redefine(const char *user_xml, size_t len, const char *old_xml, char **ret_xml,
			struct sfh_error *err);

/* Parses what libvirt has (active or inactive network XML). `uuid` is the one
 * that libvirt shows, also where the user gave none. Errors as
 * sfh_netdef_parse(), and -ENOENT: "network 'x' is not a hybrid network". */
int sfh_netdef_from_libvirt(const char *libvirt_xml, size_t len, struct sfh_netdef **ret,
			    struct sfh_error *err);

/* The user's XML out of what libvirt has, indented, no XML declaration: the
 * same elements, attributes, comments and order as were defined (no uuid if the
 * user gave none). *ret is the caller's, free(). Errors as
 * sfh_netdef_from_libvirt(). */
int sfh_netdef_user_xml(const char *libvirt_xml, size_t len, char **ret, struct sfh_error *err);

/* How many VFs of PF number `i` the network may use: its own `vfs`, else the
 * network's; 0: as many as it has. */
unsigned sfh_netdef_pf_vfs(const struct sfh_netdef *def, size_t i);
/* How many VFs the network keeps back for arriving guests, if it has at least two. */
unsigned sfh_netdef_landing(const struct sfh_netdef *def);
/* What holds for a NIC with `portgroup` ("" if it names none): what the portgroup
 * says, else the network. A portgroup that is not there says nothing, as in libvirt. */
void sfh_netdef_settings(const struct sfh_netdef *def, const char *portgroup,
			 struct sfh_net_settings *ret);
/* Whether no NIC on it can ever have a VF. */
bool sfh_netdef_always_never(const struct sfh_netdef *def);
/* Whether any NIC on it can have that policy. */
bool sfh_netdef_has_policy(const struct sfh_netdef *def, enum sfh_net_policy policy);
/* Index of the PF named `dev`, or -ENOENT. */
int sfh_netdef_find_pf(const struct sfh_netdef *def, const char *dev);
bool sfh_netdef_is_excluded(const struct sfh_netdef *def, const struct sfh_bdf *bdf);

/* Name of the linux-bridge mode's bridge: "sfbr-NAME", or with a hash where
 * NAME is too long or has characters that do not belong in an interface name.
 * The same NAME gives the same bridge for ever. */
void sfh_netdef_bridge_name(const char *network, char buf[SFH_NET_IFNAME_SIZE]);

void sfh_netdef_freep(struct sfh_netdef **def);

#endif
