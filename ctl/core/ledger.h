/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must survive a crash of the agent but not a reboot: networks that are
 * up and what their PFs were like before, leases with the VF's original
 * settings, and the pairs as last seen (what `status` prints). SQLite under
 * /run; one process writes, any may read. Thread-safe (serialized mode).
 *
 * Uniqueness is the schema's business: a VF has one lease, and a MAC one lease
 * per (PF, VLAN). */
#ifndef SFH_CORE_LEDGER_H
#define SFH_CORE_LEDGER_H

#include "ctl/core/netlink.h"
#include "ctl/core/portprofile.h"
#include "sfhybrid/util.h"

#define SFH_LEDGER_SCHEMA 5
#define SFH_NAME_MAX 256 /* network and domain names, with the terminator */
#define SFH_UUID_STRLEN 37

struct sfh_ledger;

/* Creates the file (0600) and schema when writing. -ENOENT: reading and there
 * is none (no agent ever ran since boot). -EPROTO: another schema version. */
int sfh_ledger_open(const char *path, bool writable, struct sfh_ledger **ret,
		    struct sfh_error *err);
void sfh_ledger_close(struct sfh_ledger **ledger);

/* --- networks and PFs ----------------------------------------------------------- */
enum sfh_pf_bridged {
	SFH_PF_NOT_BRIDGED,
	SFH_PF_BRIDGE_PORT, /* we made it a port of the network's bridge */
	SFH_PF_BRIDGE_MADE, /* and made the bridge */
};

struct sfh_ledger_pf {
	char dev[16];
	char network[SFH_NAME_MAX];
	int ifindex;
	uint64_t generation; /* of its VFs; see struct sfh_pf */
	struct sfh_bdf bdf;
	char driver[32];
	char xdp[192]; /* sfh_xdp_name(), and ": why" if it is not the dispatcher */
	/* what `down` puts back */
	unsigned orig_num_vfs;
	bool orig_autoprobe;
	bool orig_up;
	enum sfh_pf_bridged bridged;
	bool parklink;   /* we made its parking VLAN link */
	unsigned mtu;	 /* when it came up; 0: not known */
};

/* How far a network has come: what whoever takes over has to do about it. */
enum sfh_network_phase {
	SFH_NETWORK_COMING = 0,	    /* `up` is under way, or was cut short: taken back, begun anew */
	SFH_NETWORK_UP = 1,	    /* up, or meant to be: see `trouble` */
	SFH_NETWORK_GOING = 2,	    /* `down` is under way, or was cut short: ended */
	SFH_NETWORK_GOING_KEEP = 3, /* the same, guests go on using the standby path */
};

struct sfh_ledger_network {
	char name[SFH_NAME_MAX];
	char mode[24];
	char policy[16];
	char bridge[16]; /* "" unless linux-bridge */
	enum sfh_network_phase phase;
	char trouble[320]; /* why it is not what its phase says; "" if it is */
};

int sfh_ledger_network_put(struct sfh_ledger *l, const struct sfh_ledger_network *row,
			   struct sfh_error *err);
/* Changes one thing of a row that is there; no row is success. */
int sfh_ledger_network_phase(struct sfh_ledger *l, const char *name, enum sfh_network_phase phase,
			     struct sfh_error *err);
int sfh_ledger_network_trouble(struct sfh_ledger *l, const char *name, const char *trouble,
			       struct sfh_error *err);
/* -ENOENT: no row of that name. */
int sfh_ledger_network_get(struct sfh_ledger *l, const char *name, struct sfh_ledger_network *ret);
int sfh_ledger_network_del(struct sfh_ledger *l, const char *name, struct sfh_error *err);
int sfh_ledger_pf_put(struct sfh_ledger *l, const struct sfh_ledger_pf *row,
		      struct sfh_error *err);
int sfh_ledger_pf_del(struct sfh_ledger *l, const char *dev, struct sfh_error *err);
/* The driver a VF had before `up` bound it to vfio-pci. */
int sfh_ledger_vf_put(struct sfh_ledger *l, const char *pf, unsigned vf,
		      const struct sfh_bdf *bdf, const char *orig_driver, struct sfh_error *err);
int sfh_ledger_vf_del(struct sfh_ledger *l, const char *pf, struct sfh_error *err);

/* Callbacks return 0 to go on; anything else stops the walk and is returned. */
int sfh_ledger_networks(struct sfh_ledger *l,
			int (*cb)(void *ctx, const struct sfh_ledger_network *row), void *ctx);
int sfh_ledger_pfs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_pf *row),
		   void *ctx);
struct sfh_ledger_vf {
	char pf[16];
	unsigned vf;
	struct sfh_bdf bdf;
	char orig_driver[32];
};
int sfh_ledger_vfs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_vf *row),
		   void *ctx);

/* The pool's view of a VF that nobody has a lease for; written when the pool looks
 * at the PF, so that `status` can say what the agent thinks. */
struct sfh_ledger_slot {
	char pf[16];
	unsigned vf;
	struct sfh_bdf bdf;
	char class[12]; /* "free", "landing", "excluded" */
	char why[48];	/* of an excluded one */
};
/* Takes the place of all rows of that PF. */
int sfh_ledger_slots_put(struct sfh_ledger *l, const char *pf, const struct sfh_ledger_slot *rows,
			 size_t n, struct sfh_error *err);
int sfh_ledger_slot_put(struct sfh_ledger *l, const struct sfh_ledger_slot *row,
			struct sfh_error *err);
int sfh_ledger_slots(struct sfh_ledger *l,
		     int (*cb)(void *ctx, const struct sfh_ledger_slot *row), void *ctx);

/* --- leases ------------------------------------------------------------------------ */
struct sfh_lease {
	char pf[16];
	unsigned vf;
	struct sfh_bdf bdf;
	char domain[SFH_UUID_STRLEN];
	struct sfh_mac mac;
	uint16_t vlan;
	bool reserved; /* for a guest that is still arriving */
	unsigned changed; /* SFH_VF_…: what beside MAC and VLAN it is told, and gets back */
	unsigned refused; /* of them, optional ones that the driver did not take */
	char profile[SFH_PORT_PROFILE_SIZE]; /* "", or release disassociates it */
	struct sfh_vf_config orig; /* what release puts back, but for the MAC */
};

/* -EBUSY: that VF, or that MAC on that PF and VLAN, has a lease already. */
int sfh_ledger_lease_add(struct sfh_ledger *l, const struct sfh_lease *lease,
			 struct sfh_error *err);
/* A reservation becomes a lease (or is saved again with other originals). -EBUSY
 * as above. */
int sfh_ledger_lease_update(struct sfh_ledger *l, const struct sfh_lease *lease,
			    struct sfh_error *err);
/* 0 also when there is none. */
int sfh_ledger_lease_del(struct sfh_ledger *l, const char *pf, unsigned vf,
			 struct sfh_error *err);
int sfh_ledger_leases(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_lease *lease),
		      void *ctx);

/* --- pairs, as last seen --------------------------------------------------------------- */
struct sfh_ledger_pair {
	char domain[SFH_UUID_STRLEN];
	char domain_name[SFH_NAME_MAX];
	struct sfh_mac mac;
	uint16_t vlan;
	char network[SFH_NAME_MAX];
	char pf[16];
	char standby[16]; /* the macvtap or tap */
	char state[16];
	char reason[32];
	char vf_bdf[SFH_BDF_STRLEN]; /* "" without a VF */
	int pf_ifindex;
	bool adopted, negotiated, held;
	char profile[SFH_PORT_PROFILE_SIZE]; /* for its VFs; "" if none */
};
int sfh_ledger_pair_put(struct sfh_ledger *l, const struct sfh_ledger_pair *row,
			struct sfh_error *err);
int sfh_ledger_pair_del(struct sfh_ledger *l, const char *domain, const struct sfh_mac *mac,
			struct sfh_error *err);
int sfh_ledger_pairs(struct sfh_ledger *l,
		     int (*cb)(void *ctx, const struct sfh_ledger_pair *row), void *ctx);

/* --- addresses in PFs' own filters: fdb.h ---------------------------------------------- */
#define SFH_FDB_OURS "ours"
#define SFH_FDB_THEIRS "theirs" /* it was there already; it stays */
#define SFH_FDB_REFUSED "refused"
struct sfh_ledger_fdb {
	char pf[16];
	struct sfh_mac mac;
	int ifindex; /* of the PF */
	char state[8];
	char why[64]; /* "" when it is ours */
};
int sfh_ledger_fdb_put(struct sfh_ledger *l, const struct sfh_ledger_fdb *row,
		       struct sfh_error *err);
int sfh_ledger_fdb_del(struct sfh_ledger *l, const char *pf, const struct sfh_mac *mac,
		       struct sfh_error *err);
int sfh_ledger_fdbs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_fdb *row),
		    void *ctx);
/* Further addresses of a guest's NIC that are meant to be there now. Those of a pair go
 * with its row. */
struct sfh_ledger_rx {
	char domain[SFH_UUID_STRLEN];
	struct sfh_mac nic; /* its own address */
	struct sfh_mac mac;
	char pf[16];
};
int sfh_ledger_rx_put(struct sfh_ledger *l, const struct sfh_ledger_rx *row,
		      struct sfh_error *err);
int sfh_ledger_rx_del(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
		      const struct sfh_mac *mac, struct sfh_error *err);
/* All of one NIC. */
int sfh_ledger_rx_clear(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
			struct sfh_error *err);
int sfh_ledger_rxs(struct sfh_ledger *l, int (*cb)(void *ctx, const struct sfh_ledger_rx *row),
		   void *ctx);
int sfh_ledger_rxs_of(struct sfh_ledger *l, const char *domain, const struct sfh_mac *nic,
		      int (*cb)(void *ctx, const struct sfh_ledger_rx *row), void *ctx);

#endif
