/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fsck: one snapshot of what ledger, kernel, libvirt and BPF maps say, and the
 * rules by which they must agree. Pure: reads the snapshot, touches nothing. */
#ifndef SFH_ENGINE_CHECK_H
#define SFH_ENGINE_CHECK_H

#include "ctl/core/ledger.h"
#include "ctl/core/sysfs.h"
#include "ctl/engine/engine.h"

struct sfh_survey_pf {
	struct sfh_ledger_pf row;
	bool present;	     /* the netdev is there and has SR-IOV */
	struct sfh_pf *pf;   /* owned; NULL unless present */
	struct sfh_vf_config *vfs; /* owned; pf->num_vfs of them */
	bool up;	     /* administratively */
	bool carrier;
	unsigned mtu;
	char renamed[16]; /* what the device is called now; "" if the name is right */
	bool tc, xdp;	     /* our programs are attached */
	struct sfh_mac *filter; /* owned; the addresses in the PF's own filter */
	size_t nfilter;
};

struct sfh_survey_entry {
	struct sfh_guest_key key;
	bool armed;
	bool waits; /* for the guest's first frame */
	bool on_bridge; /* its standby device is a tap */
};

struct sfh_survey_guest {
	char uuid[SFH_UUID_STRLEN];
	char name[SFH_NAME_MAX];
	struct sfh_mac mac; /* of the NIC */
	bool has_vf;
	struct sfh_bdf vf;
};

/* Arrays are owned; sfh_survey_done() frees them. */
struct sfh_survey {
	struct sfh_ledger_network *networks;
	size_t nnetworks;
	struct sfh_survey_pf *pfs;
	size_t npfs;
	struct sfh_lease *leases;
	size_t nleases;
	struct sfh_ledger_pair *pairs;
	size_t npairs;
	struct sfh_survey_entry *entries;
	size_t nentries;
	uint32_t wrong_copies; /* entries of sfh_fast that are not what sfh_guests says */
	struct sfh_survey_guest *guests; /* a line a NIC on a hybrid network */
	size_t nguests;
	struct sfh_ledger_fdb *fdb; /* what the agent put into PFs' filters */
	size_t nfdb;
	struct sfh_ledger_rx *rx; /* of them, guests' further addresses */
	size_t nrx;
	bool agent_gone; /* nobody is there to end a switch that was begun */
};
void sfh_survey_done(struct sfh_survey *s);

/* X(identifier, name, whether --repair mends it) */
#define SFH_FINDINGS(X)                                                                            \
	X(NETWORK_FAILED, "network-failed", true)                                                  \
	X(PF_MISSING, "pf-missing", false)                                                         \
	X(PF_RENAMED, "pf-renamed", false)                                                         \
	X(PF_NO_CARRIER, "pf-no-carrier", false)                                                   \
	X(MTU_CHANGED, "mtu-changed", false)                                                       \
	X(PF_DOWN, "pf-down", true)                                                                \
	X(VFS_CHANGED, "vfs-changed", true)                                                        \
	X(PROGRAM_MISSING, "program-missing", true)                                                \
	X(LEAKED_VF, "leaked-vf", true)                                                            \
	X(STALE_VLAN, "stale-vlan", true)                                                          \
	X(STALE_SETTING, "stale-setting", true)                                                    \
	X(WRONG_MAC, "wrong-mac", true)                                                            \
	X(DUPLICATE_MAC, "duplicate-mac", true)                                                    \
	X(LEASE_MISSING, "lease-missing", true)                                                    \
	X(LEASE_OF_NOBODY, "lease-of-nobody", true)                                                \
	X(PAIR_OF_NOBODY, "pair-of-nobody", true)                                                  \
	X(SWITCH_CUT, "switch-cut", true)                                                          \
	X(ENTRY_MISSING, "entry-missing", true)                                                    \
	X(ENTRY_OF_NOBODY, "entry-of-nobody", true)                                                \
	X(ENTRY_WRONG, "entry-wrong", true)                                                        \
	X(ENTRY_COPY_WRONG, "entry-copy-wrong", true)                                              \
	X(FDB_MISSING, "fdb-missing", true)                                                        \
	X(FDB_OF_NOBODY, "fdb-of-nobody", true)

enum sfh_finding_kind {
#define X(id, name, repairable) SFH_FINDING_##id,
	SFH_FINDINGS(X)
#undef X
		_SFH_FINDING_MAX
};

struct sfh_finding {
	enum sfh_finding_kind kind;
	char network[SFH_NAME_MAX]; /* NETWORK_FAILED */
	char pf[16];
	int pf_ifindex;
	unsigned vf;
	char domain[SFH_UUID_STRLEN];
	struct sfh_mac mac;
	uint16_t vlan;
	struct sfh_guest_key key;
	unsigned settings; /* STALE_SETTING: SFH_VF_… that the driver knows */
	struct sfh_lease lease; /* LEASE_*: the row, or what it should have been */
	char text[320];		/* one sentence */
};

const char *sfh_finding_name(enum sfh_finding_kind kind);
bool sfh_finding_repairable(enum sfh_finding_kind kind);

/* Calls cb for each disagreement; a non-zero return of cb ends it and is
 * returned. Pairs in the middle of a switch and, while there is an agent, PFs of networks
 * that it brings up or down are left alone. */
int sfh_check(const struct sfh_survey *s, int (*cb)(void *ctx, const struct sfh_finding *f),
	      void *ctx);

/* recheck.c. Before a finding is mended on the loop, which went on since the snapshot was
 * begun (`since_ns`, as e->now() counts): whether who has what it is about is still the same.
 * 0, or -EAGAIN and a sentence. Looks at the engine and its ledger, not at the kernel. */
int sfh_finding_holds(const struct sfh_engine *e, const struct sfh_finding *f, uint64_t since_ns,
		      struct sfh_error *err);

#endif
