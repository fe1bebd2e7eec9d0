// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The number behind "key:" in a file of such lines; 0 if there is none. */
static uint64_t read_kib(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char line[256];
	uint64_t kib = 0;
	size_t n = strlen(key);

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, n) == 0 && line[n] == ':' &&
		    sscanf(line + n + 1, "%" SCNu64, &kib) == 1)
			break;
	(void)fclose(file);
	return kib;
}

int sfh_memory_can_pin(const char *proc, uint64_t guest_kib, uint64_t resident_kib,
		       struct sfh_error *err)
{
	char path[PATH_MAX];
	uint64_t total, available, keep, need;

	(void)snprintf(path, sizeof(path), "%s/meminfo", proc);
	total = read_kib(path, "MemTotal");
	available = read_kib(path, "MemAvailable");
	if (!total || !available || !guest_kib)
		return 0;
	keep = total / SFH_MEMORY_KEEP_SHARE;
	if (keep < SFH_MEMORY_KEEP_MIN_KIB)
		keep = SFH_MEMORY_KEEP_MIN_KIB;
	need = guest_kib > resident_kib ? guest_kib - resident_kib : 0;
	if (available >= keep && need <= available - keep)
		return 0;
	return sfh_err(err, -ENOMEM,
		       "a VF would pin another %" PRIu64 " MiB, the host has %" PRIu64
		       " MiB available and keeps %" PRIu64 " MiB",
		       need / 1024, available / 1024, keep / 1024);
}

uint64_t sfh_memory_resident(const char *proc, const char *pidfile)
{
	FILE *file = fopen(pidfile, "re");
	char path[PATH_MAX];
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(file);
	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%d/status", proc, pid);
	return read_kib(path, "VmRSS");
}
