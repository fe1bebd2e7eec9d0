// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of checks, and those of the host: kernel, CPU, IOMMU, VFIO. */
#include "ctl/core/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/core/ledger.h"

#define MIN_KERNEL_MAJOR 6
#define MIN_KERNEL_MINOR 1

void sfh_doctor_free(struct sfh_doctor *d)
{
	free(d->checks);
	d->checks = NULL;
	d->nchecks = 0;
}

void sfh_doctor_add(struct sfh_doctor *d, enum sfh_check_result result, const char *name,
		    const char *advice, const char *fmt, ...)
{
	struct sfh_check *grown = realloc(d->checks, (d->nchecks + 1) * sizeof(*grown)), *c;
	va_list ap;

	if (!grown)
		return;
	d->checks = grown;
	c = &d->checks[d->nchecks++];
	*c = (struct sfh_check){.result = result};
	(void)sfh_strcpy(c->name, sizeof(c->name), name);
	(void)sfh_strcpy(c->advice, sizeof(c->advice), advice);
	va_start(ap, fmt);
	(void)vsnprintf(c->found, sizeof(c->found), fmt, ap);
	va_end(ap);
	(void)sfh_utf8_mend(c->name);
	(void)sfh_utf8_mend(c->found);
}

size_t sfh_doctor_count(const struct sfh_doctor *d, enum sfh_check_result result)
{
	size_t n = 0;

	for (size_t i = 0; i < d->nchecks; i++)
		n += d->checks[i].result == result;
	return n;
}

const char *sfh_check_result_name(enum sfh_check_result result)
{
	static const char *const names[] = {"ok", "warn", "fail"};

	return names[result];
}

int sfh_doctor_read(char *buf, size_t n, const char *fmt, ...)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	size_t have = 0;
	ssize_t got;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* procfs hands out a page at a time. */
	while (have < n - 1 && (got = read(fd, buf + have, n - 1 - have)) != 0) {
		if (got < 0)
			return -errno;
		have += (size_t)got;
	}
	buf[have] = '\0';
	return 0;
}

bool sfh_doctor_has_entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (e = readdir(dir)))
		found = e->d_name[0] != '.';
	(void)closedir(dir);
	return found;
}

static bool exists(const char *dir, const char *rest)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, rest);
	return access(path, F_OK) == 0;
}

static void check_kernel(struct sfh_doctor *d)
{
	unsigned major = 0, minor = 0;

	(void)sscanf(d->kernel, "%u.%u", &major, &minor);
	if (major > MIN_KERNEL_MAJOR || (major == MIN_KERNEL_MAJOR && minor >= MIN_KERNEL_MINOR))
		sfh_doctor_add(d, SFH_CHECK_OK, "kernel", "", "Linux %s", d->kernel);
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "kernel", "boot Linux 6.1 or newer", "Linux %s",
			       d->kernel);
}

/* Whether the flags of /proc/cpuinfo's first CPU have this word. */
static bool cpu_has(const char *cpuinfo, const char *flag)
{
	const char *p = strstr(cpuinfo, "\nflags"), *end = p ? strchr(p + 1, '\n') : NULL;
	size_t len = strlen(flag);

	while (p && (p = strstr(p, flag)) && (!end || p < end)) {
		if (p[-1] == ' ' && (p[len] == ' ' || p[len] == '\n' || p[len] == '\0'))
			return true;
		p += len;
	}
	return false;
}

static void check_kvm(struct sfh_doctor *d)
{
	char cpuinfo[8192], path[PATH_MAX];
	const char *with = NULL;

	(void)sfh_doctor_read(cpuinfo, sizeof(cpuinfo), "%s/cpuinfo", d->proc);
	if (cpu_has(cpuinfo, "vmx"))
		with = "VT-x";
	else if (cpu_has(cpuinfo, "svm"))
		with = "AMD-V";
	(void)snprintf(path, sizeof(path), "%s/kvm", d->dev);
	if (access(path, F_OK) != 0)
		sfh_doctor_add(d, SFH_CHECK_FAIL, "kvm",
			       with ? "run 'modprobe kvm_intel' or 'modprobe kvm_amd'"
				    : "enable VT-x or AMD-V in the firmware; in a virtual machine "
				      "give it nested virtualization",
			       "%s; there is no %s",
			       with ? with : "the CPU shows no virtualization", path);
	else if (!with)
		sfh_doctor_add(
			d, SFH_CHECK_WARN, "kvm",
			"start a guest to see whether KVM works; it may be nested and hidden",
			"%s is there, but the CPU shows neither VT-x nor AMD-V", path);
	else
		sfh_doctor_add(d, SFH_CHECK_OK, "kvm", "", "%s, %s", with, path);
}

static void check_btf(struct sfh_doctor *d)
{
	if (exists(d->env->sysfs, "kernel/btf/vmlinux"))
		sfh_doctor_add(d, SFH_CHECK_OK, "btf", "", "the kernel describes its types");
	else
		sfh_doctor_add(
			d, SFH_CHECK_FAIL, "btf",
			"boot a kernel built with CONFIG_DEBUG_INFO_BTF (the distributions' are)",
			"there is no %s/kernel/btf/vmlinux", d->env->sysfs);
}

static void check_bpffs(struct sfh_doctor *d)
{
	char mounts[65536], want[PATH_MAX];

	(void)snprintf(want, sizeof(want), " %s bpf ", d->env->bpffs);
	(void)sfh_doctor_read(mounts, sizeof(mounts), "%s/self/mounts", d->proc);
	if (strstr(mounts, want)) {
		sfh_doctor_add(d, SFH_CHECK_OK, "bpffs", "", "mounted at %s", d->env->bpffs);
		return;
	}
	(void)snprintf(want, sizeof(want),
		       "run 'mount -t bpf bpf %s' and restart sfhybridd; systemd mounts it at boot",
		       d->env->bpffs);
	sfh_doctor_add(d, SFH_CHECK_FAIL, "bpffs", want, "not mounted at %s", d->env->bpffs);
}

static size_t count_entries(const char *path, char *first, size_t n)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	size_t count = 0;

	first[0] = '\0';
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		if (count++ == 0)
			(void)sfh_strcpy(first, n, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

/* Interrupts of a remapping IOMMU are named IR-…: cheaper than asking VFIO. */
static void check_remapping(struct sfh_doctor *d)
{
	char text[65536], unsafe[8];

	if (sfh_doctor_read(text, sizeof(text), "%s/interrupts", d->proc) < 0)
		return;
	if (strstr(text, " IR-")) {
		sfh_doctor_add(d, SFH_CHECK_OK, "interrupt-remapping", "", "on");
		return;
	}
	(void)sfh_doctor_read(unsafe, sizeof(unsafe),
			      "%s/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
			      d->env->sysfs);
	if (unsafe[0] == 'Y')
		sfh_doctor_add(
			d, SFH_CHECK_WARN, "interrupt-remapping",
			"trust the guests, or enable x2APIC and interrupt remapping in the "
			"firmware",
			"off, and allow_unsafe_interrupts is set: a guest with a VF can forge "
			"interrupts");
	else
		sfh_doctor_add(d, SFH_CHECK_WARN, "interrupt-remapping",
			       "enable x2APIC and interrupt remapping in the firmware, do not boot "
			       "with intremap=off; in a virtual machine give its IOMMU intremap=on",
			       "seems to be off: VFIO refuses a VF without it");
}

static void check_iommu(struct sfh_doctor *d)
{
	char path[PATH_MAX], name[64];
	size_t groups, units;

	(void)snprintf(path, sizeof(path), "%s/class/iommu", d->env->sysfs);
	units = count_entries(path, name, sizeof(name));
	(void)snprintf(path, sizeof(path), "%s/kernel/iommu_groups", d->env->sysfs);
	if (sfh_doctor_has_entries(path)) {
		char first[32];

		groups = count_entries(path, first, sizeof(first));
		sfh_doctor_add(d, SFH_CHECK_OK, "iommu", "", "%s, %zu groups",
			       units ? name : "active", groups);
		check_remapping(d);
		return;
	}
	sfh_doctor_add(d, SFH_CHECK_FAIL, "iommu",
		       units ? "boot with intel_iommu=on iommu=pt (Intel; AMD's is on by itself)"
			     : "enable VT-d or AMD-Vi in the firmware and boot with intel_iommu=on "
			       "iommu=pt; in a virtual machine give it an emulated IOMMU",
		       units ? "there is one (%s), but it is switched off: no groups in %s"
			     : "%snone is active: no groups in %s",
		       units ? name : "", path);
}

static void check_vfio(struct sfh_doctor *d)
{
	if (exists(d->env->sysfs, "bus/pci/drivers/vfio-pci"))
		sfh_doctor_add(d, SFH_CHECK_OK, "vfio-pci", "", "loaded");
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "vfio-pci",
			       "run 'modprobe vfio-pci'; if it is not found, boot a kernel with "
			       "CONFIG_VFIO_PCI",
			       "not loaded");
}

void sfh_doctor_host(struct sfh_doctor *d)
{
	check_kernel(d);
	check_kvm(d);
	check_btf(d);
	check_bpffs(d);
	check_iommu(d);
	check_vfio(d);
}

static int skip_lease(void *ctx, const struct sfh_lease *lease)
{
	(void)ctx, (void)lease;
	return 0;
}

void sfh_doctor_agent(struct sfh_doctor *d, bool alive)
{
	struct sfh_ledger *ledger = NULL;
	struct sfh_error err = {0};
	char path[PATH_MAX];
	int r;

	if (alive)
		sfh_doctor_add(d, SFH_CHECK_OK, "agent", "", "sfhybridd answers");
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "agent",
			       "run 'systemctl enable --now sfhybridd'; 'journalctl -u sfhybridd' "
			       "tells why "
			       "it ended",
			       "sfhybridd does not run: guests keep the leg they have");
	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, d->env->run_dir);
	r = sfh_ledger_open(path, false, &ledger, &err);
	if (r == 0 && sfh_ledger_leases(ledger, skip_lease, NULL) < 0)
		r = sfh_err(&err, -EPROTO, "%s has other columns than this version knows", path);
	if (r == 0)
		sfh_doctor_add(d, SFH_CHECK_OK, "ledger", "", "%s, schema %d", path,
			       SFH_LEDGER_SCHEMA);
	else if (r == -ENOENT)
		sfh_doctor_add(d, SFH_CHECK_OK, "ledger", "", "none yet: no agent ran since boot");
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "ledger",
			       r == -EPROTO
				       ? "take the networks down with the sfhybrid version that "
					 "wrote it, then upgrade"
				       : "look at the file; without it the agent does not start",
			       "%s", err.text);
	sfh_ledger_close(&ledger);
}
