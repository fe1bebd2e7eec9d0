// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

SFH_PRINTF(3, 4)
static int sysfs_path(char *buf, const struct sfh_env *env, const char *fmt, ...)
{
	int n = snprintf(buf, PATH_MAX, "%s/", env->sysfs), m;
	va_list ap;

	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	m = vsnprintf(buf + n, (size_t)(PATH_MAX - n), fmt, ap);
	va_end(ap);
	return m >= PATH_MAX - n ? -ENAMETOOLONG : 0;
}

static int read_text(const char *path, char *buf, size_t n)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, buf, n - 1);
	if (got < 0)
		return -errno;
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int read_unsigned(const char *path, unsigned *ret)
{
	char text[32], *end;
	unsigned long v;
	int r = read_text(path, text, sizeof(text));

	if (r < 0)
		return r;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || v > UINT_MAX)
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

/* The last component of the link at path; "" and 0 when there is none. */
static int link_name(const char *path, char *buf, size_t n)
{
	char target[PATH_MAX];
	const char *base;
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	buf[0] = '\0';
	if (len < 0)
		return errno == ENOENT ? 0 : -errno;
	target[len] = '\0';
	base = strrchr(target, '/');
	return sfh_strcpy(buf, n, base ? base + 1 : target);
}

int sfh_pci_driver(const struct sfh_env *env, const struct sfh_bdf *bdf, char *buf, size_t n)
{
	char path[PATH_MAX], name[SFH_BDF_STRLEN];
	int r = sysfs_path(path, env, "bus/pci/devices/%s/driver", sfh_bdf_format(bdf, name));

	return r < 0 ? r : link_name(path, buf, n);
}

int sfh_pci_iommu_group(const struct sfh_env *env, const struct sfh_bdf *bdf, char *buf, size_t n)
{
	char path[PATH_MAX], name[SFH_BDF_STRLEN];
	int r = sysfs_path(path, env, "bus/pci/devices/%s/iommu_group", sfh_bdf_format(bdf, name));

	return r < 0 ? r : link_name(path, buf, n);
}

void sfh_pf_free(struct sfh_pf **pf)
{
	if (!*pf)
		return;
	free((*pf)->vfs);
	free(*pf);
	*pf = NULL;
}

static int read_vfs(const struct sfh_env *env, struct sfh_pf *pf)
{
	char path[PATH_MAX], name[SFH_BDF_STRLEN], pfname[SFH_BDF_STRLEN];
	struct stat st;
	int r;

	sfh_bdf_format(&pf->bdf, pfname);
	pf->vfs = calloc(pf->num_vfs ? pf->num_vfs : 1, sizeof(*pf->vfs));
	if (!pf->vfs)
		return -ENOMEM;
	for (unsigned i = 0; i < pf->num_vfs; i++) {
		struct sfh_vf *vf = &pf->vfs[i];

		vf->index = i;
		r = sysfs_path(path, env, "bus/pci/devices/%s/virtfn%u", pfname, i);
		if (r < 0)
			return r;
		r = link_name(path, name, sizeof(name));
		if (r < 0)
			return r;
		if (sfh_bdf_parse(name, &vf->bdf) < 0)
			return -ENXIO;
		if (i == 0 && stat(path, &st) == 0)
			pf->generation = (uint64_t)st.st_ino;
		r = sfh_pci_driver(env, &vf->bdf, vf->driver, sizeof(vf->driver));
		if (r < 0)
			return r;
	}
	return 0;
}

int sfh_pf_read(const struct sfh_env *env, const char *dev, struct sfh_pf **ret,
		struct sfh_error *err)
{
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = calloc(1, sizeof(*pf));
	char path[PATH_MAX], bdf[SFH_BDF_STRLEN], pfname[SFH_BDF_STRLEN];
	unsigned ifindex;
	int r;

	if (!pf)
		return sfh_err(err, -ENOMEM, "out of memory");
	if (!*dev || strchr(dev, '/') || sfh_strcpy(pf->dev, sizeof(pf->dev), dev) < 0)
		return sfh_err(err, -EINVAL, "'%s' is not the name of a network device", dev);
	r = sysfs_path(path, env, "class/net/%s/ifindex", dev);
	if (r == 0)
		r = read_unsigned(path, &ifindex);
	if (r < 0)
		return sfh_err(err, -ENODEV, "PF '%s' does not exist on this host; 'ip link' lists what does",
			       dev);
	pf->ifindex = (int)ifindex;
	r = sysfs_path(path, env, "class/net/%s/device", dev);
	if (r == 0)
		r = link_name(path, bdf, sizeof(bdf));
	if (r < 0 || sfh_bdf_parse(bdf, &pf->bdf) < 0)
		return sfh_err(err, -EOPNOTSUPP, "'%s' is not a PCI device, so it has no SR-IOV", dev);
	sfh_bdf_format(&pf->bdf, pfname);
	r = sfh_pci_driver(env, &pf->bdf, pf->driver, sizeof(pf->driver));
	if (r == 0)
		r = sysfs_path(path, env, "bus/pci/devices/%s/sriov_totalvfs", pfname);
	if (r == 0)
		r = read_unsigned(path, &pf->total_vfs);
	if (r < 0 || pf->total_vfs == 0)
		return sfh_err(err, -EOPNOTSUPP,
			       "'%s' (%s, driver %s) has no SR-IOV, or it is off in the firmware", dev,
			       pfname, pf->driver[0] ? pf->driver : "none");
	r = sysfs_path(path, env, "bus/pci/devices/%s/sriov_numvfs", pfname);
	if (r == 0)
		r = read_unsigned(path, &pf->num_vfs);
	if (r == 0)
		r = read_vfs(env, pf);
	if (r < 0)
		return sfh_err(err, r, "cannot read the VFs of '%s': %s", dev, strerrordesc_np(-r));
	*ret = TAKE_PTR(pf);
	return 0;
}

static int pf_attr_path(char *path, const struct sfh_env *env, const struct sfh_pf *pf,
			const char *attr)
{
	char pfname[SFH_BDF_STRLEN];

	return sysfs_path(path, env, "bus/pci/devices/%s/%s", sfh_bdf_format(&pf->bdf, pfname),
			  attr);
}

int sfh_pf_set_num_vfs(const struct sfh_env *env, const struct sfh_pf *pf, unsigned n,
		       struct sfh_error *err)
{
	char path[PATH_MAX], text[16];
	int r = pf_attr_path(path, env, pf, "sriov_numvfs");

	(void)snprintf(text, sizeof(text), "%u", n);
	if (r == 0)
		r = write_text(path, text);
	if (r < 0)
		return sfh_err(err, r, "'%s' refused sriov_numvfs=%u: %s", pf->dev, n,
			       strerrordesc_np(-r));
	return 0;
}

int sfh_pf_get_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool *ret,
			 struct sfh_error *err)
{
	char path[PATH_MAX];
	unsigned v;
	int r = pf_attr_path(path, env, pf, "sriov_drivers_autoprobe");

	if (r == 0)
		r = read_unsigned(path, &v);
	if (r < 0)
		return sfh_err(err, r, "cannot read sriov_drivers_autoprobe of '%s': %s", pf->dev,
			       strerrordesc_np(-r));
	*ret = v != 0;
	return 0;
}

int sfh_pf_set_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool on,
			 struct sfh_error *err)
{
	char path[PATH_MAX];
	int r = pf_attr_path(path, env, pf, "sriov_drivers_autoprobe");

	if (r == 0)
		r = write_text(path, on ? "1" : "0");
	if (r < 0)
		return sfh_err(err, r, "'%s' refused sriov_drivers_autoprobe=%d: %s", pf->dev, on,
			       strerrordesc_np(-r));
	return 0;
}

int sfh_pci_bind(const struct sfh_env *env, const struct sfh_bdf *bdf, const char *driver,
		 struct sfh_error *err)
{
	char path[PATH_MAX], name[SFH_BDF_STRLEN], now[32];
	int r;

	if (!driver)
		driver = "";
	sfh_bdf_format(bdf, name);
	r = sfh_pci_driver(env, bdf, now, sizeof(now));
	if (r < 0)
		return sfh_err(err, r, "PCI device %s is gone: %s", name, strerrordesc_np(-r));
	/* A lone newline clears the override. */
	r = sysfs_path(path, env, "bus/pci/devices/%s/driver_override", name);
	if (r == 0)
		r = write_text(path, *driver ? driver : "\n");
	if (r == 0 && *now && strcmp(now, driver) != 0) {
		r = sysfs_path(path, env, "bus/pci/devices/%s/driver/unbind", name);
		if (r == 0)
			r = write_text(path, name);
	}
	if (r == 0 && *driver && strcmp(now, driver) != 0) {
		r = sysfs_path(path, env, "bus/pci/drivers_probe");
		if (r == 0)
			r = write_text(path, name);
		if (r == 0)
			r = sfh_pci_driver(env, bdf, now, sizeof(now));
		if (r == 0 && strcmp(now, driver) != 0)
			r = -ENXIO;
	}
	if (r < 0)
		return sfh_err(err, r, "cannot bind %s to '%s': %s", name, *driver ? driver : "no driver",
			       strerrordesc_np(-r));
	return 0;
}

static bool dir_has_entries(const char *path)
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

int sfh_iommu_check(const struct sfh_env *env, struct sfh_error *err)
{
	char path[PATH_MAX];

	if (sysfs_path(path, env, "kernel/iommu_groups") < 0 || !dir_has_entries(path))
		return sfh_err(err, -ENODEV,
			       "no IOMMU is active on this host: enable VT-d or AMD-Vi in the firmware "
			       "and boot with intel_iommu=on");
	if (sysfs_path(path, env, "bus/pci/drivers/vfio-pci") < 0 || access(path, F_OK) != 0)
		return sfh_err(err, -ENODEV, "vfio-pci is not loaded: run 'modprobe vfio-pci'");
	return 0;
}
