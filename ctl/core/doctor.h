/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is this host ready? A list of checks, each with what was found and what to
 * do. Reads only, but for sfh_doctor_pfs() with operations: that tries settings
 * on an unused VF and puts them back. Knows no libvirt: its versions are handed in. */
#ifndef SFH_CORE_DOCTOR_H
#define SFH_CORE_DOCTOR_H

#include "ctl/core/env.h"
#include "ctl/core/netlink.h"
#include "sfhybrid/util.h"

enum sfh_check_result { SFH_CHECK_OK, SFH_CHECK_WARN, SFH_CHECK_FAIL };

struct sfh_check {
	enum sfh_check_result result;
	char name[40]; /* stable: scripts ask for it */
	char found[400];
	char advice[300]; /* "" when there is nothing to do */
};

struct sfh_doctor {
	const struct sfh_env *env;
	const char *proc, *dev, *etc; /* "/proc", "/dev", "/etc" */
	const char *kernel;	      /* uname's release */
	struct sfh_check *checks;
	size_t nchecks;
};

void sfh_doctor_free(struct sfh_doctor *d);
/* Adds a line; advice "" if there is none. Out of memory drops the line. */
SFH_PRINTF(5, 6)
void sfh_doctor_add(struct sfh_doctor *d, enum sfh_check_result result, const char *name,
		    const char *advice, const char *fmt, ...);
/* How many lines have this result. */
size_t sfh_doctor_count(const struct sfh_doctor *d, enum sfh_check_result result);
/* "ok", "warn", "fail" */
const char *sfh_check_result_name(enum sfh_check_result result);

/* Kernel, CPU, BTF, bpffs, IOMMU, VFIO. */
void sfh_doctor_host(struct sfh_doctor *d);

/* What libvirtd said, or why it could not be asked. Numbers as libvirt writes
 * them: major * 1000000 + minor * 1000 + release. */
struct sfh_doctor_versions {
	bool reached;
	char problem[512];
	unsigned long libvirt, qemu; /* qemu 0: libvirtd does not know */
};
/* libvirtd, QEMU, hook, QEMU's isolation, security module. */
void sfh_doctor_virt(struct sfh_doctor *d, const struct sfh_doctor_versions *versions);

/* The agent and its ledger. */
void sfh_doctor_agent(struct sfh_doctor *d, bool alive);

/* How VF settings are read and written: sfh_nl_vf_get and sfh_nl_vf_set, or a
 * test's fake. */
struct sfh_doctor_nic {
	void *ctx;
	int (*get)(void *ctx, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		   struct sfh_error *err);
	int (*set)(void *ctx, int pf_ifindex, unsigned vf, unsigned what,
		   const struct sfh_vf_config *cfg, struct sfh_error *err);
	/* sfh_port_able; may be NULL. */
	int (*port_able)(void *ctx, int pf_ifindex, struct sfh_error *err);
};
/* One line for each PF: all with SR-IOV on this host, or the n named. With nic
 * a second one: which settings the driver takes, tried on a VF that nobody uses
 * (no lease, no MAC, no driver but vfio-pci, not open) and read back before and
 * after they are restored. */
void sfh_doctor_pfs(struct sfh_doctor *d, const char *const *names, size_t n,
		    const struct sfh_doctor_nic *nic);

/* --- for the files of doctor itself ---------------------------------------------- */
/* The text of a small file: up to n - 1 bytes, terminated. A negative errno. */
int sfh_doctor_read(char *buf, size_t n, const char *fmt, ...) SFH_PRINTF(3, 4);
/* Whether the directory has an entry. */
bool sfh_doctor_has_entries(const char *path);

#endif
