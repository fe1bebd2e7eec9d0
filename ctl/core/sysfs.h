/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PFs, VFs and driver binding as sysfs shows and takes them. Every path is
 * below env->sysfs. Source: Documentation/ABI/testing/sysfs-bus-pci. */
#ifndef SFH_CORE_SYSFS_H
#define SFH_CORE_SYSFS_H

#include "ctl/core/env.h"
#include "sfhybrid/util.h"

struct sfh_vf {
	unsigned index; /* the N of virtfnN and of rtnetlink's IFLA_VF_INFO */
	struct sfh_bdf bdf;
	char driver[32]; /* "" if none is bound */
};

struct sfh_pf {
	char dev[16];
	int ifindex;
	struct sfh_bdf bdf;
	char driver[32];
	unsigned total_vfs; /* what the device can have */
	unsigned num_vfs;   /* what exists now; length of vfs */
	struct sfh_vf *vfs;
	/* Changes whenever VFs are created anew: the inode of virtfn0's target. */
	uint64_t generation;
};

/* Reads the PF behind netdev `dev`. -ENODEV: no such netdev; -EOPNOTSUPP: not
 * a PCI device with SR-IOV; both with a sentence in *err. */
int sfh_pf_read(const struct sfh_env *env, const char *dev, struct sfh_pf **ret,
		struct sfh_error *err);
void sfh_pf_free(struct sfh_pf **pf);

/* Writes sriov_numvfs. The kernel refuses to change one non-zero number to
 * another (-EBUSY); callers go through 0. */
int sfh_pf_set_num_vfs(const struct sfh_env *env, const struct sfh_pf *pf, unsigned n,
		       struct sfh_error *err);
int sfh_pf_get_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool *ret,
			 struct sfh_error *err);
int sfh_pf_set_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool on,
			 struct sfh_error *err);

/* The bound driver's name, "" if none. */
int sfh_pci_driver(const struct sfh_env *env, const struct sfh_bdf *bdf, char *buf, size_t n);
/* The number of its IOMMU group as text, "" if it has none. */
int sfh_pci_iommu_group(const struct sfh_env *env, const struct sfh_bdf *bdf, char *buf, size_t n);
/* Binds the device to `driver` whatever is bound now; "" or NULL unbinds and
 * clears driver_override. No-op when already so. */
int sfh_pci_bind(const struct sfh_env *env, const struct sfh_bdf *bdf, const char *driver,
		 struct sfh_error *err);

/* 0 if an IOMMU is active and vfio-pci is loaded, else -ENODEV and a sentence. */
int sfh_iommu_check(const struct sfh_env *env, struct sfh_error *err);

#endif
