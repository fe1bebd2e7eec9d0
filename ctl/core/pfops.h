/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What setting up a PF asks of the system, as a table: tests hand in a host of
 * their own that can fail, or end the process, at any call. */
#ifndef SFH_CORE_PFOPS_H
#define SFH_CORE_PFOPS_H

#include "ctl/core/netlink.h"
#include "ctl/core/steer.h"
#include "ctl/core/sysfs.h"

/* Each as the function of that name in sysfs.h, netlink.h and steer.h. */
struct sfh_pf_ops {
	int (*iommu_check)(const struct sfh_env *env, struct sfh_error *err);
	int (*pf_read)(const struct sfh_env *env, const char *dev, struct sfh_pf **ret,
		       struct sfh_error *err);
	int (*get_autoprobe)(const struct sfh_env *env, const struct sfh_pf *pf, bool *ret,
			     struct sfh_error *err);
	int (*set_autoprobe)(const struct sfh_env *env, const struct sfh_pf *pf, bool on,
			     struct sfh_error *err);
	int (*set_num_vfs)(const struct sfh_env *env, const struct sfh_pf *pf, unsigned n,
			   struct sfh_error *err);
	int (*bind)(const struct sfh_env *env, const struct sfh_bdf *bdf, const char *driver,
		    struct sfh_error *err);
	/* Whether a program has the VF open. */
	bool (*in_use)(const struct sfh_env *env, const struct sfh_bdf *bdf);
	int (*link_get)(struct sfh_nl *nl, const char *name, struct sfh_link *ret,
			struct sfh_error *err);
	int (*link_set_up)(struct sfh_nl *nl, int ifindex, bool up, struct sfh_error *err);
	int (*link_set_master)(struct sfh_nl *nl, int ifindex, int master, struct sfh_error *err);
	int (*bridge_add)(struct sfh_nl *nl, const char *name, struct sfh_error *err);
	int (*vlan_add)(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
			struct sfh_error *err);
	int (*link_del)(struct sfh_nl *nl, const char *name, struct sfh_error *err);
	int (*addr_count)(struct sfh_nl *nl, int ifindex, unsigned *ret, struct sfh_error *err);
	int (*ports)(struct sfh_nl *nl, int master, struct sfh_link *ports, size_t n,
		     struct sfh_error *err);
	int (*attach)(struct sfh_steer *s, uint32_t ifindex, bool want_xdp,
		      struct sfh_steer_pf_info *ret, struct sfh_error *err);
	int (*detach)(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err);
};

/* The system itself. */
extern const struct sfh_pf_ops sfh_pf_system;

#endif
