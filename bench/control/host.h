/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host of any size that exists in memory only: the engine's kernel, which counts
 * what would be netlink messages, and the agent's hypervisor, which watches that no
 * VF is given out twice. */
#ifndef SFH_BENCH_HOST_H
#define SFH_BENCH_HOST_H

#include "ctl/engine/engine.h"

#define BENCH_PFS 8
#define BENCH_VFS 127
#define BENCH_NETWORK "bench"

/* Seen by the parent of a forked agent too. */
struct bench_seen {
	uint64_t dumps; /* all VFs of a PF with one question */
	uint64_t gets, sets;
	uint64_t plugs, unplugs;
	uint64_t double_booked; /* a VF plugged twice, a MAC on two VFs, a plug without the MAC */
};

struct bench_host {
	unsigned npfs, nvfs; /* VFs of each PF */
	struct sfh_vf_config vf[BENCH_PFS][BENCH_VFS];
	char owner[BENCH_PFS][BENCH_VFS][SFH_UUID_STRLEN]; /* the domain that has it plugged */
	struct bench_seen *seen;
};

int bench_host_new(unsigned npfs, unsigned nvfs, struct bench_host **ret);
void bench_host_free(struct bench_host **host);
extern const struct sfh_kernel_ops bench_kernel_ops;

/* The network on all PFs, no landing VFs. */
struct sfh_engine_network bench_network(const struct bench_host *host);
/* Guest number i, whose standby is on PF i % npfs, or on `pf` if that is not negative. */
void bench_guest(const struct bench_host *host, unsigned i, int pf, struct sfh_guest_nic *nic,
		 struct sfh_guest_desc *guest);

/* For whoever plays the hypervisor: what plugging and unplugging mean here. */
void bench_plugged(struct bench_host *host, const struct sfh_bdf *bdf, const char *domain,
		   const struct sfh_mac *mac);
void bench_unplugged(struct bench_host *host, const struct sfh_bdf *bdf);

/* A directory in memory, removed with its files by bench_dir_free(). */
int bench_dir_new(char dir[64]);
void bench_dir_free(const char *dir);

#endif
