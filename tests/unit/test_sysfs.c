// SPDX-License-Identifier: GPL-2.0-or-later
/* PFs, VFs and binding over a tree that stands for /sys. Its files are plain
 * files: each keeps the last thing written to it. */
#include "ctl/core/sysfs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "tests/unit/tree.h"

#define PF   "bus/pci/devices/0000:04:00.0/"
#define VF0  "bus/pci/devices/0000:04:10.0/"
#define VF1  "bus/pci/devices/0000:04:10.2/"
#define NEW  "bus/pci/devices/0000:04:10.4/"

static char dir[64];
static struct sfh_env env;
static const struct sfh_bdf vf0 = { 0, 4, 0x10, 0 }, vf1 = { 0, 4, 0x10, 2 };

/* eth7: an igb with two VFs, of which the first is igbvf's, the second free. */
static void init(void)
{
	tree_init(dir);
	env = (struct sfh_env){ .sysfs = dir };
	tree_write(dir, "class/net/eth7/ifindex", "42\n");
	tree_link(dir, "class/net/eth7/device", "../../../bus/pci/devices/0000:04:00.0");
	tree_write(dir, PF "sriov_totalvfs", "7\n");
	tree_write(dir, PF "sriov_numvfs", "2\n");
	tree_write(dir, PF "sriov_drivers_autoprobe", "1\n");
	tree_link(dir, PF "driver", "../../drivers/igb");
	tree_link(dir, PF "virtfn0", "../0000:04:10.0");
	tree_link(dir, PF "virtfn1", "../0000:04:10.2");
	tree_write(dir, VF0 "driver_override", "");
	tree_link(dir, VF0 "driver", "../../drivers/igbvf");
	tree_write(dir, VF1 "driver_override", "");
	tree_write(dir, "bus/pci/drivers/igb/unbind", "");
	tree_write(dir, "bus/pci/drivers/igbvf/unbind", "");
	tree_write(dir, "bus/pci/drivers/vfio-pci/unbind", "");
	tree_write(dir, "bus/pci/drivers_probe", "");
	tree_mkdir(dir, "kernel/iommu_groups/0");
}

static void fini(void)
{
	tree_done(dir);
}

TestSuite(sysfs, .init = init, .fini = fini, .timeout = 20);

static void set_unlink(const char *path)
{
	char full[256];

	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	cr_assert_eq(remove(full), 0, "%s", full);
}

/* --- reading ------------------------------------------------------------------------- */

Test(sysfs, pf_with_its_vfs)
{
	struct sfh_error err = { 0 };
	struct sfh_pf *pf = NULL;
	char full[256], bdf[SFH_BDF_STRLEN];
	struct stat st;

	cr_assert_eq(sfh_pf_read(&env, "eth7", &pf, &err), 0, "%s", err.text);
	cr_assert_str_eq(pf->dev, "eth7");
	cr_assert_eq(pf->ifindex, 42);
	cr_assert_str_eq(sfh_bdf_format(&pf->bdf, bdf), "0000:04:00.0");
	cr_assert_str_eq(pf->driver, "igb");
	cr_assert_eq(pf->total_vfs, 7);
	cr_assert_eq(pf->num_vfs, 2);
	cr_assert_eq(pf->vfs[0].index, 0);
	cr_assert_str_eq(sfh_bdf_format(&pf->vfs[0].bdf, bdf), "0000:04:10.0");
	cr_assert_str_eq(pf->vfs[0].driver, "igbvf");
	cr_assert_eq(pf->vfs[1].index, 1);
	cr_assert_str_eq(sfh_bdf_format(&pf->vfs[1].bdf, bdf), "0000:04:10.2");
	cr_assert_str_eq(pf->vfs[1].driver, "", "none is bound");
	(void)snprintf(full, sizeof(full), "%s/" VF0, dir);
	cr_assert_eq(stat(full, &st), 0);
	cr_assert_eq(pf->generation, (uint64_t)st.st_ino);
	sfh_pf_free(&pf);
	cr_assert_null(pf);
	sfh_pf_free(&pf);
}

Test(sysfs, generation_changes_with_new_vfs)
{
	struct sfh_pf *before = NULL, *after = NULL;

	cr_assert_eq(sfh_pf_read(&env, "eth7", &before, NULL), 0);
	tree_write(dir, NEW "driver_override", ""); /* VFs made anew: another inode */
	tree_link(dir, PF "virtfn0", "../0000:04:10.4");
	cr_assert_eq(sfh_pf_read(&env, "eth7", &after, NULL), 0);
	cr_assert_neq(before->generation, after->generation);
	sfh_pf_free(&before);
	sfh_pf_free(&after);
}

Test(sysfs, pf_without_vfs_yet)
{
	struct sfh_pf *pf = NULL;

	tree_write(dir, PF "sriov_numvfs", "0\n");
	cr_assert_eq(sfh_pf_read(&env, "eth7", &pf, NULL), 0);
	cr_assert_eq(pf->num_vfs, 0);
	cr_assert_eq(pf->total_vfs, 7);
	cr_assert_eq(pf->generation, 0);
	sfh_pf_free(&pf);
}

static void refuses(const char *dev, int code, const char *sentence)
{
	struct sfh_error err = { 0 };
	struct sfh_pf *pf = NULL;

	cr_expect_eq(sfh_pf_read(&env, dev, &pf, &err), code, "'%s': %s", dev, err.text);
	cr_expect(strstr(err.text, sentence), "'%s': \"%s\" says nothing of \"%s\"", dev, err.text,
		  sentence);
	cr_expect_null(pf);
}

Test(sysfs, no_such_netdev)
{
	refuses("eth8", -ENODEV, "PF 'eth8' does not exist on this host");
}

Test(sysfs, not_pci)
{
	tree_write(dir, "class/net/br0/ifindex", "9\n");
	refuses("br0", -EOPNOTSUPP, "'br0' is not a PCI device");
	tree_write(dir, "class/net/veth0/ifindex", "10\n");
	tree_link(dir, "class/net/veth0/device", "../../../virtio0");
	refuses("veth0", -EOPNOTSUPP, "'veth0' is not a PCI device");
}

Test(sysfs, no_sriov)
{
	set_unlink(PF "sriov_totalvfs");
	refuses("eth7", -EOPNOTSUPP, "'eth7' (0000:04:00.0, driver igb) has no SR-IOV");
	tree_write(dir, PF "sriov_totalvfs", "0\n");
	refuses("eth7", -EOPNOTSUPP, "has no SR-IOV");
	set_unlink(PF "driver");
	refuses("eth7", -EOPNOTSUPP, "driver none");
}

Test(sysfs, names_that_would_leave_the_tree)
{
	refuses("", -EINVAL, "''");
	refuses("../eth7", -EINVAL, "'../eth7'");
	refuses("eth7/device", -EINVAL, "'eth7/device'");
	refuses("a-name-that-is-too-long", -EINVAL, "'a-name-that-is-too-long'");
}

Test(sysfs, vf_that_is_not_there_is_an_error)
{
	set_unlink(PF "virtfn1");
	refuses("eth7", -ENXIO, "cannot read the VFs of 'eth7'");
}

Test(sysfs, garbage_in_a_number)
{
	tree_write(dir, PF "sriov_numvfs", "two\n");
	refuses("eth7", -EINVAL, "cannot read the VFs of 'eth7'");
}

/* --- numbers written ------------------------------------------------------------------ */

static struct sfh_pf *read_pf(void)
{
	struct sfh_pf *pf = NULL;

	cr_assert_eq(sfh_pf_read(&env, "eth7", &pf, NULL), 0);
	return pf;
}

Test(sysfs, numvfs_is_written)
{
	struct sfh_pf *pf = read_pf();

	tree_write(dir, PF "sriov_numvfs", "");
	cr_assert_eq(sfh_pf_set_num_vfs(&env, pf, 7, NULL), 0);
	cr_assert_str_eq(tree_read(dir, PF "sriov_numvfs"), "7");
	sfh_pf_free(&pf);
}

Test(sysfs, numvfs_refused)
{
	struct sfh_error err = { 0 };
	struct sfh_pf *pf = read_pf();

	set_unlink(PF "sriov_numvfs");
	cr_assert_eq(sfh_pf_set_num_vfs(&env, pf, 7, &err), -ENOENT);
	cr_assert(strstr(err.text, "'eth7' refused sriov_numvfs=7"), "%s", err.text);
	cr_assert_str_eq(tree_read(dir, PF "sriov_numvfs"), "(none)", "no file is made");
	sfh_pf_free(&pf);
}

Test(sysfs, autoprobe)
{
	struct sfh_error err = { 0 };
	struct sfh_pf *pf = read_pf();
	bool on = false;

	cr_assert_eq(sfh_pf_get_autoprobe(&env, pf, &on, NULL), 0);
	cr_assert(on);
	cr_assert_eq(sfh_pf_set_autoprobe(&env, pf, false, NULL), 0);
	cr_assert_str_eq(tree_read(dir, PF "sriov_drivers_autoprobe"), "0\n");
	cr_assert_eq(sfh_pf_get_autoprobe(&env, pf, &on, NULL), 0);
	cr_assert_not(on);
	cr_assert_eq(sfh_pf_set_autoprobe(&env, pf, true, NULL), 0);
	cr_assert_str_eq(tree_read(dir, PF "sriov_drivers_autoprobe"), "1\n");
	set_unlink(PF "sriov_drivers_autoprobe");
	on = true;
	cr_assert_eq(sfh_pf_get_autoprobe(&env, pf, &on, &err), -ENOENT);
	cr_assert(on, "left alone on failure");
	cr_assert(strstr(err.text, "sriov_drivers_autoprobe of 'eth7'"), "%s", err.text);
	cr_assert_eq(sfh_pf_set_autoprobe(&env, pf, false, NULL), -ENOENT);
	sfh_pf_free(&pf);
}

/* --- binding ----------------------------------------------------------------------------- */

/* Stands for the kernel: drivers_probe is a full pipe, so that the write to it
 * waits until we have changed the driver link. */
struct probing {
	const char *link, *target;
	int watch, pipe;
	char got[64], unbound[64], override[64];
};

static void *probing_thread(void *arg)
{
	struct probing *p = arg;
	char event[512], byte[4096];
	ssize_t n;

	cr_assert(read(p->watch, event, sizeof(event)) > 0); /* it was opened */
	(void)strcpy(p->unbound, tree_read(dir, "bus/pci/drivers/igbvf/unbind"));
	(void)strcpy(p->override, tree_read(dir, VF0 "driver_override"));
	tree_link(dir, p->link, p->target);
	n = read(p->pipe, byte, sizeof(byte)); /* the filling; the writer goes on */
	while (n > 0 && byte[n - 1] == '.')
		n = read(p->pipe, byte, sizeof(byte));
	if (n > 0 && n < (ssize_t)sizeof(p->got))
		memcpy(p->got, byte, (size_t)n);
	return NULL;
}

static void probing_start(struct probing *p, pthread_t *thread)
{
	char full[256], fill[4096];

	(void)snprintf(full, sizeof(full), "%s/bus/pci/drivers_probe", dir);
	cr_assert(unlink(full) == 0 && mkfifo(full, 0600) == 0);
	p->pipe = open(full, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(p->pipe, 0);
	cr_assert_eq(fcntl(p->pipe, F_SETPIPE_SZ, 4096), 4096);
	memset(fill, '.', sizeof(fill));
	cr_assert_eq(write(p->pipe, fill, sizeof(fill)), 4096);
	cr_assert_eq(fcntl(p->pipe, F_SETFL, 0), 0);
	p->watch = inotify_init1(IN_CLOEXEC);
	cr_assert(inotify_add_watch(p->watch, full, IN_OPEN) >= 0);
	cr_assert_eq(pthread_create(thread, NULL, probing_thread, p), 0);
}

static void probing_end(struct probing *p, pthread_t thread)
{
	cr_assert_eq(pthread_join(thread, NULL), 0);
	(void)close(p->watch);
	(void)close(p->pipe);
}

Test(sysfs, bind_overrides_then_unbinds_then_probes)
{
	struct probing p = { .link = VF0 "driver", .target = "../../drivers/vfio-pci" };
	struct sfh_error err = { 0 };
	pthread_t thread;

	probing_start(&p, &thread);
	cr_assert_eq(sfh_pci_bind(&env, &vf0, "vfio-pci", &err), 0, "%s", err.text);
	probing_end(&p, thread);
	cr_assert_str_eq(p.override, "vfio-pci", "before the probe");
	cr_assert_str_eq(p.unbound, "0000:04:10.0", "before the probe");
	cr_assert_str_eq(p.got, "0000:04:10.0");
}

Test(sysfs, bind_that_ends_with_another_driver_is_an_error)
{
	struct probing p = { .link = VF0 "driver", .target = "../../drivers/igb" };
	struct sfh_error err = { 0 };
	pthread_t thread;

	probing_start(&p, &thread);
	cr_assert_eq(sfh_pci_bind(&env, &vf0, "vfio-pci", &err), -ENXIO);
	probing_end(&p, thread);
	cr_assert(strstr(err.text, "cannot bind 0000:04:10.0 to 'vfio-pci'"), "%s", err.text);
}

Test(sysfs, bind_to_what_is_bound_does_nothing)
{
	cr_assert_eq(sfh_pci_bind(&env, &vf0, "igbvf", NULL), 0);
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers/igbvf/unbind"), "");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers_probe"), "");
}

Test(sysfs, bind_of_a_free_vf_unbinds_nothing)
{
	/* nobody takes it: an error, but the right writes */
	cr_assert_eq(sfh_pci_bind(&env, &vf1, "vfio-pci", NULL), -ENXIO);
	cr_assert_str_eq(tree_read(dir, VF1 "driver_override"), "vfio-pci");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers_probe"), "0000:04:10.2");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers/igbvf/unbind"), "");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers/vfio-pci/unbind"), "");
}

Test(sysfs, unbind_clears_the_override_and_probes_nothing)
{
	cr_assert_eq(sfh_pci_bind(&env, &vf0, NULL, NULL), 0);
	cr_assert_str_eq(tree_read(dir, VF0 "driver_override"), "\n");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers/igbvf/unbind"), "0000:04:10.0");
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers_probe"), "");
}

Test(sysfs, bind_stops_at_the_first_failure)
{
	struct sfh_error err = { 0 };

	set_unlink("bus/pci/drivers/igbvf/unbind");
	cr_assert_eq(sfh_pci_bind(&env, &vf0, "vfio-pci", &err), -ENOENT);
	cr_assert(strstr(err.text, "cannot bind 0000:04:10.0 to 'vfio-pci'"), "%s", err.text);
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers_probe"), "");
	tree_write(dir, "bus/pci/drivers/igbvf/unbind", "");
	set_unlink(VF0 "driver_override");
	cr_assert_eq(sfh_pci_bind(&env, &vf0, "vfio-pci", NULL), -ENOENT);
	cr_assert_str_eq(tree_read(dir, "bus/pci/drivers/igbvf/unbind"), "");
}

Test(sysfs, driver_of_a_device)
{
	char name[32];

	cr_assert_eq(sfh_pci_driver(&env, &vf0, name, sizeof(name)), 0);
	cr_assert_str_eq(name, "igbvf");
	cr_assert_eq(sfh_pci_driver(&env, &vf1, name, sizeof(name)), 0);
	cr_assert_str_eq(name, "");
}

/* --- IOMMU ---------------------------------------------------------------------------------- */

Test(sysfs, iommu_ready)
{
	cr_assert_eq(sfh_iommu_check(&env, NULL), 0);
}

Test(sysfs, iommu_off)
{
	struct sfh_error err = { 0 };

	set_unlink("kernel/iommu_groups/0");
	cr_assert_eq(sfh_iommu_check(&env, &err), -ENODEV);
	cr_assert(strstr(err.text, "no IOMMU is active"), "%s", err.text);
	cr_assert(strstr(err.text, "intel_iommu=on"), "says what to do: %s", err.text);
	set_unlink("kernel/iommu_groups");
	cr_assert_eq(sfh_iommu_check(&env, NULL), -ENODEV);
}

Test(sysfs, vfio_not_loaded)
{
	struct sfh_error err = { 0 };

	set_unlink("bus/pci/drivers/vfio-pci/unbind");
	set_unlink("bus/pci/drivers/vfio-pci");
	cr_assert_eq(sfh_iommu_check(&env, &err), -ENODEV);
	cr_assert(strstr(err.text, "modprobe vfio-pci"), "%s", err.text);
}
