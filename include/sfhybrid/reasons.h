/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a pair is not accelerated: stable names and numbers. A name that is no
 * longer used keeps its line; numbers are never reused (they are stored in the
 * history database and printed in --json). */
#ifndef SFHYBRID_REASONS_H
#define SFHYBRID_REASONS_H

/* X(number, identifier, name, what it means and what to do) */
#define SFH_REASONS(X)                                                                             \
	X(0, NONE, "none", "accelerated, or a switch is under way")                                \
	X(1, NO_FREE_VF, "no-free-vf",                                                             \
	  "every VF of the standby's PF is in use; the guest is upgraded when one frees")          \
	X(2, STANDBY_NOT_NEGOTIATED, "standby-not-negotiated",                                     \
	  "the guest's virtio driver has not acknowledged STANDBY (still booting, or too old)")    \
	X(3, NOT_ADOPTED, "not-adopted",                                                           \
	  "the guest started before its NIC was adopted; it is accelerated after its next start")  \
	X(4, NO_VF_DRIVER, "no-vf-driver",                                                         \
	  "the VF was plugged but carried no frame within the deadline: no driver in the guest?")  \
	X(5, POLICY_NEVER, "policy-never", "the network's policy says never")                      \
	X(6, NO_SPARE_PORT, "no-spare-port", "the guest has no free PCIe root port for a VF")      \
	X(7, MTU_MISMATCH, "mtu-mismatch", "the NIC's MTU is larger than the PF's, and a VF carries no more") \
	X(8, PORT_PROFILE, "port-profile", "the VF cannot have its port profile: another type than 802.1Qbh, or refused") \
	X(9, MEMORY, "memory", "the host cannot spare the memory that a VF would pin")             \
	X(10, DAMPED, "damped", "too many switches in a short time; retried later")                \
	X(11, IOMMU_OFF, "iommu-off", "the host's IOMMU is off")                                   \
	X(12, BY_REQUEST, "by-request", "`sfhybrid-ctl standby` put it there; `accelerate` ends it") \
	X(13, MIGRATING, "migrating", "a migration is under way")                                  \
	X(14, NETWORK_DOWN, "network-down", "the hybrid network is not up on this host")           \
	X(15, VF_REFUSED, "vf-refused", "the PF's driver refused a VF setting, see history")       \
	X(16, PLUG_FAILED, "plug-failed", "libvirt or QEMU refused the VF, see history")           \
	X(17, PAUSED, "paused", "the guest's CPUs are stopped")                                    \
	X(18, NOT_Q35, "not-q35", "only q35 guests have the PCIe ports that a VF needs")           \
	X(19, SILENT, "silent", "the guest has not sent a frame yet: it is still booting")         \
	X(20, PF_DOWN, "pf-down", "the PF is down or its cable is out: neither leg has a network") \
	X(21, PF_RENAMED, "pf-renamed", "the PF has another name now; name it back")               \
	X(22, PF_GONE, "pf-gone", "the PF was unbound or its driver was reloaded")

enum sfh_reason {
#define X(num, id, name, text) SFH_REASON_##id = num,
	SFH_REASONS(X)
#undef X
		_SFH_REASON_MAX
};

/* "no-free-vf"; "unknown" for a number not in the table. */
const char *sfh_reason_name(enum sfh_reason reason);
/* The sentence from the table; "" for a number not in the table. */
const char *sfh_reason_text(enum sfh_reason reason);

#endif
