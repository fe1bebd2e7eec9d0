/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sfhybrid needs to know of a domain's XML, and the few things that it
 * changes there.
 *
 * Uses libxml2 only (the hook path must not wait for libvirt). Documents may
 * come from another host and are taken for hostile, see netxml.h. All functions
 * return 0 or a negative errno and put one sentence in *err (may be NULL); on
 * failure *ret is not touched. Common errors: -EINVAL not well-formed, a DTD,
 * not a <domain>, or a value out of bounds; -E2BIG; -ENOMEM. */
#ifndef SFHYBRID_GLUE_DOMXML_H
#define SFHYBRID_GLUE_DOMXML_H

#include "sfhybrid/reasons.h"
#include "libvirt-glue/virtualport.h"
#include "sfhybrid/util.h"

#define SFH_DOM_NAME_SIZE 256
#define SFH_DOM_UUID_SIZE 37
#define SFH_DOM_ALIAS_SIZE 128
#define SFH_DOM_IFNAME_SIZE 16
#define SFH_DOM_WORD_SIZE 64
#define SFH_DOM_NICS_MAX 256
#define SFH_DOM_HOSTDEVS_MAX 256

/* --- aliases ------------------------------------------------------------------
 * One fixed alias for ever per pair and leg: QEMU refuses a second primary
 * under another id (research/libvirt-contract.md §6). MAC12 is 12 lower-case
 * hex digits. */
#define SFH_ALIAS_STANDBY_PREFIX "ua-sfh-"
#define SFH_ALIAS_VF_PREFIX "ua-sfv-"
#define SFH_ALIAS_PORT_PREFIX "ua-sfp-" /* + a number: a PCIe root port that adoption added */
#define SFH_ALIAS_SIZE 20 /* of the aliases that we make */

enum sfh_alias_kind {
	SFH_ALIAS_NOT_OURS,
	SFH_ALIAS_STANDBY,
	SFH_ALIAS_VF,
};

/* "ua-sfh-525400a1b2c3"; returns buf. */
char *sfh_alias_standby(const struct sfh_mac *mac, char buf[SFH_ALIAS_SIZE]);
/* "ua-sfv-525400a1b2c3"; returns buf. */
char *sfh_alias_vf(const struct sfh_mac *mac, char buf[SFH_ALIAS_SIZE]);
/* What `alias` (may be NULL) is; *ret_mac (may be NULL) is set when it is one
 * of ours. Strict: exactly what the two functions above write. */
enum sfh_alias_kind sfh_alias_parse(const char *alias, struct sfh_mac *ret_mac);

/* --- description ---------------------------------------------------------------*/
enum sfh_nic_type {
	SFH_NIC_OTHER,	 /* user, ethernet, vhostuser, … */
	SFH_NIC_NETWORK, /* not resolved: inactive or migratable XML */
	SFH_NIC_DIRECT,	 /* macvtap */
	SFH_NIC_BRIDGE,
	SFH_NIC_HOSTDEV,
};

/* Strings are "" where the XML says nothing. */
struct sfh_dom_nic {
	struct sfh_mac mac;		 /* all zero: none given */
	enum sfh_nic_type type;		 /* live XML: the actual type */
	char network[SFH_DOM_NAME_SIZE]; /* source/@network, in live XML too */
	char portgroup[SFH_DOM_NAME_SIZE];
	char alias[SFH_DOM_ALIAS_SIZE];
	char target_dev[SFH_DOM_IFNAME_SIZE];	 /* macvtap0, vnet3 */
	char source_dev[SFH_DOM_IFNAME_SIZE];	 /* direct: the macvtap's lower device, the PF */
	char source_mode[SFH_DOM_WORD_SIZE];	 /* direct: bridge, private, vepa, passthrough */
	char source_bridge[SFH_DOM_IFNAME_SIZE]; /* bridge */
	char model[SFH_DOM_WORD_SIZE];
	struct sfh_virtualport virtualport;
	unsigned vlan;			     /* first tag; 0: none */
	uint64_t outbound_kbytes;	     /* bandwidth/outbound/@average, kB/s; 0: not said */
	struct sfh_bdf hostdev;		     /* type hostdev: its VF on this host */
	unsigned mtu;			     /* 0: not said */
	bool teaming_persistent;	     /* <teaming type='persistent'/>: it is a standby */
	bool teaming_transient;
	bool link_down; /* <link state='down'/> */
};

struct sfh_dom_hostdev {    /* <hostdev mode='subsystem' type='pci'> only */
	struct sfh_bdf bdf; /* on the host */
	char alias[SFH_DOM_ALIAS_SIZE];
	bool teaming_transient;
	char teaming_persistent[SFH_DOM_ALIAS_SIZE]; /* alias of its standby */
	bool managed;
};

struct sfh_domdesc {
	char name[SFH_DOM_NAME_SIZE];
	char uuid[SFH_DOM_UUID_SIZE];	 /* lower case; "" if there is none */
	int id;				 /* -1: not running, or not live XML */
	char type[SFH_DOM_WORD_SIZE];	 /* kvm, qemu */
	char machine[SFH_DOM_WORD_SIZE]; /* pc-q35-7.2 */
	bool q35;
	uint64_t memory_kib; /* what a VF would pin */
	struct sfh_dom_nic *nics;
	size_t nnics;
	struct sfh_dom_hostdev *hostdevs;
	size_t nhostdevs;
	unsigned free_root_ports; /* hot-pluggable PCIe root ports with nothing behind them */
};

/* Any domain XML: live, inactive, migratable, of a saved image. *ret is the
 * caller's; free with sfh_domdesc_freep(). */
int sfh_domdesc_parse(const char *xml, size_t len, struct sfh_domdesc **ret, struct sfh_error *err);
void sfh_domdesc_freep(struct sfh_domdesc **desc);
/* The NIC with this MAC that is not itself a VF (type hostdev); NULL if none. */
const struct sfh_dom_nic *sfh_domdesc_find_nic(const struct sfh_domdesc *desc,
					       const struct sfh_mac *mac);
/* The hostdev with this alias; NULL if none. */
const struct sfh_dom_hostdev *sfh_domdesc_find_hostdev(const struct sfh_domdesc *desc,
						       const char *alias);

/* --- adoption ------------------------------------------------------------------*/
enum sfh_hybrid {
	SFH_HYBRID_NO,
	SFH_HYBRID_FAILOVER, /* the guest's net_failover joins the legs */
	SFH_HYBRID_BOND,     /* a bond in the guest does: no teaming */
};
/* What `network` is for a NIC with `portgroup` ("" if it names none). */
typedef enum sfh_hybrid (*sfh_is_hybrid_fn)(void *ctx, const char *network, const char *portgroup);

struct sfh_adoption {
	unsigned nics;		 /* virtio NICs on hybrid networks, changed or not */
	unsigned adopted;	 /* NICs changed by this call (unadopt: given back) */
	unsigned ports_added;	 /* PCIe root ports added by this call */
	unsigned ports_removed;	 /* unadopt: those of ours that nothing needs any more */
	unsigned not_virtio;	 /* NICs on hybrid networks with another model: left alone */
	enum sfh_reason skipped; /* NOT_Q35: nothing was changed; else NONE */
};

/* Adopts the NICs on hybrid networks: <teaming type='persistent'/> (but not where a
 * bond in the guest joins the legs: there a teaming of ours goes), the fixed
 * alias (a user's own ua- alias is kept; ours is corrected when it names another
 * MAC, as in a cloned domain), and as many PCIe root ports as are missing for one
 * free port per such NIC, with aliases that tell whose they are. `xml` is what
 * libvirt gives with INACTIVE|SECURE, so that no secret is lost; all else in it is
 * kept. Idempotent.
 * *ret_xml: the changed document (caller's, free(); it may hold secrets), NULL
 * when there is nothing to do. *info is always filled on success. */
int sfh_domxml_adopt(const char *xml, size_t len, sfh_is_hybrid_fn is_hybrid, void *ctx,
		     char **ret_xml, struct sfh_adoption *info, struct sfh_error *err);

/* Takes back the teaming and our alias, of NICs on networks for which
 * `is_hybrid` says true; with is_hybrid NULL, of every NIC that has an alias of
 * ours. With them go the root ports that adoption added, nothing sits behind and
 * no NIC that stays adopted needs; one with a higher-numbered PCI controller
 * stays, since libvirt would fill the gap. A user's own alias stays. Results as
 * above. */
int sfh_domxml_unadopt(const char *xml, size_t len, sfh_is_hybrid_fn is_hybrid, void *ctx,
		       char **ret_xml, struct sfh_adoption *info, struct sfh_error *err);

/* --- what the hook answers --------------------------------------------------- */
struct sfh_vf_place {
	const char *vf_alias;
	struct sfh_bdf bdf; /* the VF on this host */
};

/* Puts the host addresses of this host's VFs in place of the ones that came
 * along: for each place the <hostdev> with that alias gets the address. Nothing
 * else changes (the ABI check allows no more). -ENOENT: no PCI <hostdev> has the
 * alias. *ret_xml is the caller's, free(); it may hold secrets. */
int sfh_domxml_place_vfs(const char *xml, size_t len, const struct sfh_vf_place *places,
			 size_t nplaces, char **ret_xml, struct sfh_error *err);

/* Has QEMU touch all of the guest's memory before it starts: <memoryBacking> with
 * <allocation mode='immediate'/>. *ret_xml stays NULL if the domain says already how its
 * memory is allocated; else as above. */
int sfh_domxml_populate(const char *xml, size_t len, char **ret_xml, struct sfh_error *err);

#endif
