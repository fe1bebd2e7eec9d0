/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VF pins all of its guest's memory: can the host spare it? */
#ifndef SFH_CORE_MEMORY_H
#define SFH_CORE_MEMORY_H

#include "sfhybrid/util.h"

/* What must stay available after the pinning: a sixteenth of the host's memory,
 * at least 128 MiB. */
#define SFH_MEMORY_KEEP_SHARE 16
#define SFH_MEMORY_KEEP_MIN_KIB (128 * 1024)

/* `proc` is "/proc". guest_kib: the guest's memory; resident_kib: how much of it
 * its QEMU has already (0: unknown). -ENOMEM and a sentence with the figures if
 * the rest does not fit; 0 also when the host's figures cannot be read. */
int sfh_memory_can_pin(const char *proc, uint64_t guest_kib, uint64_t resident_kib,
		       struct sfh_error *err);
/* VmRSS of the process whose pid stands in pidfile, in KiB; 0 if unknown. */
uint64_t sfh_memory_resident(const char *proc, const char *pidfile);

#endif
