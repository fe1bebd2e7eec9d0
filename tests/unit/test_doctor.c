// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor on a host made of files: a healthy one, of which each test breaks one
 * thing and asserts that exactly that line changed. */
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ctl/core/doctor.h"
#include "ctl/core/ledger.h"
#include "tests/unit/fakes.h"
#include "tests/unit/tree.h"

#define HOOK "etc/libvirt/hooks/qemu.d/50-sfhybrid"
#define PF "sys/bus/pci/devices/0000:01:00.0"
#define NVFS 3

struct host {
	char dir[64], sysfs[80], run[80], proc[80], dev[80], etc[80];
	struct sfh_env env;
	struct sfh_doctor d;
	struct sfh_doctor_versions versions;
	bool alive;
	/* the NIC */
	struct sfh_doctor_nic nic;
	struct sfh_vf_config vf[NVFS];
	unsigned refuse; /* SFH_VF_… that fail with EOPNOTSUPP */
	bool refuse_8021ad, lie, keeps_vlan;
	int busy;		/* that many sets answer EAGAIN first */
	unsigned sets, touched; /* calls; VFs written to, as bits */
	void (*on_set)(struct host *h);
};

static int nic_get(void *ctx, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		   struct sfh_error *err)
{
	struct host *h = ctx;

	(void)err;
	cr_assert_eq(pf_ifindex, 5);
	*ret = h->vf[vf];
	return 0;
}

static int nic_set(void *ctx, int pf_ifindex, unsigned vf, unsigned what,
		   const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	struct host *h = ctx;
	struct sfh_vf_config *c = &h->vf[vf];

	(void)err;
	cr_assert_eq(pf_ifindex, 5);
	h->sets++;
	h->touched |= 1u << vf;
	if (h->busy > 0) {
		h->busy--;
		return -EAGAIN;
	}
	if (h->on_set)
		h->on_set(h);
	if (what & h->refuse)
		return -EOPNOTSUPP;
	if ((what & SFH_VF_PROTO) && cfg->proto == ETH_P_8021AD && h->refuse_8021ad)
		return -EPROTONOSUPPORT;
	if (h->lie)
		return 0;
	if (what & SFH_VF_MAC)
		c->mac = cfg->mac;
	if ((what & SFH_VF_VLAN) && !(h->keeps_vlan && cfg->vlan == 0)) {
		c->vlan = cfg->vlan;
		c->qos = what & SFH_VF_QOS ? cfg->qos : 0;
		c->proto = what & SFH_VF_PROTO ? cfg->proto : ETH_P_8021Q;
	}
	if (what & SFH_VF_TRUST)
		c->trust = cfg->trust;
	if (what & SFH_VF_SPOOFCHK)
		c->spoofchk = cfg->spoofchk;
	if (what & SFH_VF_LINK_STATE)
		c->link_state = cfg->link_state;
	if (what & SFH_VF_RATE) {
		c->min_tx = cfg->min_tx;
		c->max_tx = cfg->max_tx;
	}
	return 0;
}

static void make_pf(struct host *h)
{
	char path[96], target[64];

	tree_write(h->dir, PF "/sriov_totalvfs", "7\n");
	tree_write(h->dir, PF "/sriov_numvfs", "3\n");
	tree_mkdir(h->dir, "sys/bus/pci/drivers/igb");
	tree_link(h->dir, PF "/driver", "../../drivers/igb");
	tree_write(h->dir, "sys/class/net/pf0/ifindex", "5\n");
	tree_link(h->dir, "sys/class/net/pf0/device", "../../../bus/pci/devices/0000:01:00.0");
	tree_write(h->dir, "sys/class/net/eth9/ifindex", "9\n");
	for (int i = 0; i < NVFS; i++) {
		(void)snprintf(path, sizeof(path), PF "/virtfn%d", i);
		(void)snprintf(target, sizeof(target), "../0000:01:10.%d", i);
		tree_link(h->dir, path, target);
		(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/0000:01:10.%d/x", i);
		tree_write(h->dir, path, "");
		(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/0000:01:10.%d/driver", i);
		tree_link(h->dir, path, "../../drivers/vfio-pci");
		h->vf[i] = (struct sfh_vf_config){
			.spoofchk = true, .proto = ETH_P_8021Q, .known = 0xff};
	}
}

/* libvirtd, `ago` seconds old. */
static void make_libvirtd(struct host *h, int ago)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "cpu 1 2 3\nbtime %lld\nprocesses 1\n",
		       (long long)time(NULL) - ago - 100);
	tree_write(h->dir, "proc/stat", text);
	tree_write(h->dir, "proc/77/comm", "libvirtd\n");
	(void)snprintf(text, sizeof(text),
		       "77 (lib) virt) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 %ld 1 1\n",
		       100 * sysconf(_SC_CLK_TCK));
	tree_write(h->dir, "proc/77/stat", text);
}

static struct host *healthy(void)
{
	struct host *h = calloc(1, sizeof(*h));
	char text[160], path[128];

	cr_assert(h);
	tree_init(h->dir);
	(void)snprintf(h->sysfs, sizeof(h->sysfs), "%s/sys", h->dir);
	(void)snprintf(h->run, sizeof(h->run), "%s/run", h->dir);
	(void)snprintf(h->proc, sizeof(h->proc), "%s/proc", h->dir);
	(void)snprintf(h->dev, sizeof(h->dev), "%s/dev", h->dir);
	(void)snprintf(h->etc, sizeof(h->etc), "%s/etc", h->dir);
	h->env = (struct sfh_env){.sysfs = h->sysfs, .bpffs = "/sys/fs/bpf", .run_dir = h->run};
	h->d = (struct sfh_doctor){.env = &h->env,
				   .proc = h->proc,
				   .dev = h->dev,
				   .etc = h->etc,
				   .kernel = "6.12.117+deb13-amd64"};
	h->versions = (struct sfh_doctor_versions){
		.reached = true, .libvirt = 11003000, .qemu = 10000013};
	h->alive = true;
	h->nic = (struct sfh_doctor_nic){.ctx = h, .get = nic_get, .set = nic_set};
	tree_mkdir(h->dir, "run");
	tree_write(h->dir, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx sse\nbugs\t:\n");
	tree_write(h->dir, "proc/self/mounts",
		   "sysfs /sys sysfs rw 0 0\nbpf /sys/fs/bpf bpf rw,relatime 0 0\n");
	tree_write(h->dir, "proc/interrupts", " 24: 1 IR-PCI-MSI-0000:00:02.0 0-edge pcie\n");
	tree_write(h->dir, "dev/kvm", "");
	tree_write(h->dir, "sys/kernel/btf/vmlinux", "x");
	tree_write(h->dir, "sys/class/iommu/dmar0/x", "");
	tree_write(h->dir, "sys/kernel/iommu_groups/0/type", "");
	tree_mkdir(h->dir, "sys/bus/pci/drivers");
	tree_mkdir(h->dir, "sys/bus/pci/drivers/vfio-pci");
	(void)snprintf(text, sizeof(text), "ELF %c /run/sfhybrid/agent.sock%c", 1, 2);
	tree_write(h->dir, HOOK, text);
	(void)snprintf(path, sizeof(path), "%s/" HOOK, h->dir);
	cr_assert_eq(chmod(path, 0755), 0);
	tree_write(h->dir, "etc/libvirt/qemu.conf", "#namespaces = []\nuser = \"libvirt-qemu\"\n");
	make_libvirtd(h, -10);
	make_pf(h);
	return h;
}

static void done(struct host *h)
{
	sfh_doctor_free(&h->d);
	tree_done(h->dir);
	free(h);
}

static void run(struct host *h)
{
	sfh_doctor_free(&h->d);
	sfh_doctor_host(&h->d);
	sfh_doctor_virt(&h->d, &h->versions);
	sfh_doctor_agent(&h->d, h->alive);
	sfh_doctor_pfs(&h->d, NULL, 0, &h->nic);
}

static const struct sfh_check *line(const struct host *h, const char *name)
{
	for (size_t i = 0; i < h->d.nchecks; i++)
		if (strcmp(h->d.checks[i].name, name) == 0)
			return &h->d.checks[i];
	cr_assert_fail("no line '%s'", name);
	return NULL;
}

static bool says(const struct host *h, const char *name, const char *found)
{
	return strstr(line(h, name)->found, found);
}

/* Exactly this line is not ok; its texts hold these words. */
static void only(struct host *h, enum sfh_check_result result, const char *name, const char *found,
		 const char *advice)
{
	run(h);
	for (size_t i = 0; i < h->d.nchecks; i++) {
		const struct sfh_check *c = &h->d.checks[i];
		bool it = strcmp(c->name, name) == 0;

		cr_assert_eq(c->result, it ? result : SFH_CHECK_OK, "%s %s: %s",
			     sfh_check_result_name(c->result), c->name, c->found);
	}
	cr_assert(says(h, name, found), "found: %s", line(h, name)->found);
	cr_assert(strstr(line(h, name)->advice, advice), "advice: %s", line(h, name)->advice);
	done(h);
}

static void remove_file(struct host *h, const char *rest)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", h->dir, rest);
	cr_assert_eq(remove(path), 0, "%s", path);
}

/* --- the host --------------------------------------------------------------------------------- */

Test(doctor, a_healthy_host_is_ok_in_every_line)
{
	static const char *const names[] = {"kernel",
					    "kvm",
					    "btf",
					    "bpffs",
					    "iommu",
					    "interrupt-remapping",
					    "vfio-pci",
					    "libvirtd",
					    "qemu",
					    "hook",
					    "qemu-isolation",
					    "security-module",
					    "agent",
					    "ledger",
					    "pf pf0",
					    "vf-settings pf0"};
	struct host *h = healthy();

	run(h);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(names); i++) {
		cr_assert_eq(line(h, names[i])->result, SFH_CHECK_OK, "%s: %s", names[i],
			     line(h, names[i])->found);
		cr_assert_str_eq(line(h, names[i])->advice, "");
	}
	cr_assert_eq(h->d.nchecks, SFH_ARRAY_SIZE(names));
	cr_assert(says(h, "libvirtd", "11.3.0"));
	cr_assert(says(h, "qemu", "10.0.13"));
	cr_assert(says(h, "pf pf0", "0000:01:00.0, driver igb, 3 of 7 VFs"));
	done(h);
}

Test(doctor, kernel)
{
	struct host *h = healthy();

	h->d.kernel = "6.0.9";
	only(h, SFH_CHECK_FAIL, "kernel", "6.0.9", "6.1 or newer");
	h = healthy();
	h->d.kernel = "5.19.0-1";
	only(h, SFH_CHECK_FAIL, "kernel", "5.19", "6.1 or newer");
}

Test(doctor, no_kvm)
{
	struct host *h = healthy();

	remove_file(h, "dev/kvm");
	only(h, SFH_CHECK_FAIL, "kvm", "VT-x; there is no", "modprobe kvm_intel");
	h = healthy();
	remove_file(h, "dev/kvm");
	/* A flag that merely begins so. */
	tree_write(h->dir, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmxoff\nbugs\t: svm\n");
	only(h, SFH_CHECK_FAIL, "kvm", "shows no virtualization", "in the firmware");
}

Test(doctor, no_btf)
{
	struct host *h = healthy();

	remove_file(h, "sys/kernel/btf/vmlinux");
	only(h, SFH_CHECK_FAIL, "btf", "kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF");
}

Test(doctor, bpffs_unmounted)
{
	struct host *h = healthy();

	tree_write(h->dir, "proc/self/mounts", "bpf /sys/fs/bpf2 bpf rw 0 0\n");
	only(h, SFH_CHECK_FAIL, "bpffs", "not mounted at /sys/fs/bpf",
	     "mount -t bpf bpf /sys/fs/bpf");
}

Test(doctor, iommu_off)
{
	struct host *h = healthy();

	remove_file(h, "sys/kernel/iommu_groups/0/type");
	remove_file(h, "sys/kernel/iommu_groups/0");
	/* Off, interrupts are not remapped either: one cause, one line. */
	tree_write(h->dir, "proc/interrupts", " 24: 1 PCI-MSI-0000:00:02.0 0-edge pcie\n");
	only(h, SFH_CHECK_FAIL, "iommu", "switched off", "intel_iommu=on");
}

Test(doctor, no_interrupt_remapping)
{
	struct host *h = healthy();

	tree_write(h->dir, "proc/interrupts", " 24: 1 PCI-MSI-0000:00:02.0 0-edge pcie\n");
	only(h, SFH_CHECK_WARN, "interrupt-remapping", "VFIO refuses", "intremap");
	h = healthy();
	tree_write(h->dir, "proc/interrupts", " 24: 1 PCI-MSI-0000:00:02.0 0-edge pcie\n");
	tree_write(h->dir, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	only(h, SFH_CHECK_WARN, "interrupt-remapping", "forge", "firmware");
}

/* --- libvirt
 * -------------------------------------------------------------------------------------- */

Test(doctor, old_versions)
{
	struct host *h = healthy();

	h->versions.libvirt = 8999999;
	only(h, SFH_CHECK_FAIL, "libvirtd", "8.999.999", "libvirt 9.0");
	h = healthy();
	h->versions.qemu = 7001000;
	only(h, SFH_CHECK_FAIL, "qemu", "7.1.0", "QEMU 7.2");
	h = healthy();
	h->versions.qemu = 0;
	only(h, SFH_CHECK_FAIL, "qemu", "finds no QEMU", "install qemu-system-x86");
}

Test(doctor, the_oldest_that_will_do)
{
	struct host *h = healthy();

	h->versions.libvirt = 9000000;
	h->versions.qemu = 7002000;
	h->d.kernel = "6.1.0";
	run(h);
	cr_assert_eq(sfh_doctor_count(&h->d, SFH_CHECK_OK), h->d.nchecks);
	done(h);
}

Test(doctor, libvirtd_does_not_run)
{
	struct host *h = healthy();

	h->versions = (struct sfh_doctor_versions){.problem = "cannot reach libvirtd: no socket"};
	run(h);
	cr_assert_eq(line(h, "libvirtd")->result, SFH_CHECK_FAIL);
	cr_assert(says(h, "libvirtd", "no socket"));
	cr_assert_eq(line(h, "qemu")->result, SFH_CHECK_WARN, "unknown is no failure of QEMU's");
	cr_assert_eq(sfh_doctor_count(&h->d, SFH_CHECK_FAIL), 1);
	done(h);
}

Test(doctor, hook_removed)
{
	struct host *h = healthy();

	remove_file(h, HOOK);
	only(h, SFH_CHECK_FAIL, "hook", "is missing", "restart libvirtd");
}

Test(doctor, hook_not_executable)
{
	struct host *h = healthy();
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/" HOOK, h->dir);
	cr_assert_eq(chmod(path, 0644), 0);
	only(h, SFH_CHECK_FAIL, "hook", "not executable", "0755");
}

Test(doctor, hook_of_somebody_else)
{
	struct host *h = healthy();

	tree_write(h->dir, HOOK, "#!/bin/sh\nexit 0\n");
	only(h, SFH_CHECK_FAIL, "hook", "not sfhybrid's", "make install");
}

Test(doctor, hook_newer_than_libvirtd)
{
	struct host *h = healthy();

	make_libvirtd(h, 1000);
	only(h, SFH_CHECK_WARN, "hook", "after libvirtd had started", "systemctl restart libvirtd");
	h = healthy();
	make_libvirtd(h, 1000);
	tree_write(h->dir, "proc/77/comm", "virtqemud\n");
	only(h, SFH_CHECK_WARN, "hook", "after virtqemud had started",
	     "systemctl restart virtqemud");
	h = healthy();
	make_libvirtd(h, 1000);
	tree_write(h->dir, "proc/77/comm", "bash\n"); /* unknown: nothing is claimed */
	run(h);
	cr_assert_eq(line(h, "hook")->result, SFH_CHECK_OK);
	done(h);
}

Test(doctor, qemu_isolation)
{
	struct host *h = healthy();

	tree_write(h->dir, "etc/libvirt/qemu.conf", "# x\n  namespaces = [ ]\n");
	only(h, SFH_CHECK_WARN, "qemu-isolation", "namespaces without", "qemu.conf");
	h = healthy();
	tree_write(h->dir, "etc/libvirt/qemu.conf",
		   "cgroup_controllers = [\n \"cpu\" ]\nother = [ \"devices\" ]\n");
	only(h, SFH_CHECK_WARN, "qemu-isolation", "cgroup_controllers without", "qemu.conf");
	h = healthy();
	tree_write(h->dir, "etc/libvirt/qemu.conf",
		   "cgroup_controllers = [ \"cpu\",\n \"devices\" ]\nnamespaces = [ \"mount\" ]\n");
	run(h);
	cr_assert_eq(line(h, "qemu-isolation")->result, SFH_CHECK_OK);
	done(h);
}

Test(doctor, security_modules)
{
	struct host *h = healthy();

	tree_write(h->dir, "sys/module/apparmor/parameters/enabled", "Y\n");
	tree_write(h->dir, "etc/apparmor.d/usr.sbin.libvirtd", "  /etc/libvirt/hooks/** rmix,\n");
	run(h);
	cr_assert_eq(line(h, "security-module")->result, SFH_CHECK_OK);
	cr_assert(says(h, "security-module", "AppArmor"));
	tree_write(h->dir, "etc/apparmor.d/usr.sbin.libvirtd", "  /etc/libvirt/** r,\n");
	only(h, SFH_CHECK_WARN, "security-module", "nothing of hooks", "rmix");
	h = healthy();
	tree_write(h->dir, "sys/fs/selinux/enforce", "1");
	only(h, SFH_CHECK_WARN, "security-module", "SELinux", "ausearch");
}

/* --- ours
 * -------------------------------------------------------------------------------------------- */

Test(doctor, agent_dead)
{
	struct host *h = healthy();

	h->alive = false;
	only(h, SFH_CHECK_FAIL, "agent", "does not run", "systemctl enable --now sfhybridd");
}

Test(doctor, ledger_of_another_version)
{
	struct host *h = healthy();
	char path[128];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, h->run);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(
		sqlite3_exec(db, "CREATE TABLE t(x); PRAGMA user_version=999", NULL, NULL, NULL),
		SQLITE_OK);
	(void)sqlite3_close(db);
	run(h);
	cr_assert_eq(line(h, "ledger")->result, SFH_CHECK_FAIL);
	cr_assert(strstr(line(h, "ledger")->advice, "version"), "%s", line(h, "ledger")->advice);
	/* Nobody knows what is leased: nothing is tried. */
	cr_assert(says(h, "vf-settings pf0", "not tried"));
	cr_assert_eq(h->sets, 0);
	done(h);
}

/* --- PFs
 * -----------------------------------------------------------------------------------------------
 */

Test(doctor, named_pfs_only)
{
	const char *const names[] = {"nope", "eth9", "pf0"};
	struct host *h = healthy();

	sfh_doctor_pfs(&h->d, names, 3, NULL);
	cr_assert_eq(h->d.nchecks, 3, "without operations nothing is tried");
	cr_assert_eq(line(h, "pf nope")->result, SFH_CHECK_FAIL);
	cr_assert(says(h, "pf nope", "does not exist"));
	cr_assert_eq(line(h, "pf eth9")->result, SFH_CHECK_FAIL);
	cr_assert_eq(line(h, "pf pf0")->result, SFH_CHECK_OK);
	done(h);
}

Test(doctor, no_sriov_at_all)
{
	struct host *h = healthy();

	tree_write(h->dir, PF "/sriov_totalvfs", "0\n");
	run(h);
	cr_assert_eq(line(h, "sr-iov")->result, SFH_CHECK_FAIL);
	cr_assert(strstr(line(h, "sr-iov")->advice, "firmware"));
	cr_assert_eq(sfh_doctor_count(&h->d, SFH_CHECK_FAIL), 1);
	done(h);
}

Test(doctor, unknown_driver)
{
	struct host *h = healthy();

	remove_file(h, PF "/driver");
	tree_mkdir(h->dir, "sys/bus/pci/drivers/foo");
	tree_link(h->dir, PF "/driver", "../../drivers/foo");
	only(h, SFH_CHECK_WARN, "pf pf0", "no method of its own", "measure");
}

/* --- what the driver takes
 * ---------------------------------------------------------------------------------- */

Test(doctor, settings_are_tried_on_the_last_unused_vf_and_restored)
{
	struct host *h = healthy();
	struct sfh_vf_config before[NVFS];

	h->vf[2].trust = true;
	h->vf[2].max_tx = 500;
	h->busy = 3; /* still in reset: asked again */
	memcpy(before, h->vf, sizeof(before));
	run(h);
	cr_assert_eq(line(h, "vf-settings pf0")->result, SFH_CHECK_OK, "%s",
		     line(h, "vf-settings pf0")->found);
	cr_assert(says(h, "vf-settings pf0",
		       "takes MAC, VLAN, QoS, 802.1ad, trust, spoofchk, link-state, max-tx-rate, "
		       "min-tx-rate; tried on VF 2 (0000:01:10.2) and restored"),
		  "%s", line(h, "vf-settings pf0")->found);
	cr_assert_eq(h->touched, 1u << 2);
	cr_assert_eq(memcmp(before, h->vf, sizeof(before)), 0, "something was not put back");
	done(h);
}

Test(doctor, used_vfs_are_left_alone)
{
	struct host *h = healthy();

	h->vf[2].mac = (struct sfh_mac){{0x52, 0x54, 0, 0, 0, 1}}; /* somebody's */
	remove_file(h, "sys/bus/pci/devices/0000:01:10.1/driver"); /* a host's netdev */
	tree_link(h->dir, "sys/bus/pci/devices/0000:01:10.1/driver", "../../drivers/igbvf");
	run(h);
	cr_assert_eq(h->touched, 1u << 0);
	h->vf[0].mac = h->vf[2].mac;
	h->sets = 0;
	only(h, SFH_CHECK_OK, "vf-settings pf0", "not tried: no unused VF", "");
}

Test(doctor, leased_vfs_are_left_alone)
{
	struct host *h = healthy();
	_cleanup_(sfh_ledger_close) struct sfh_ledger *l = NULL;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, h->run);
	cr_assert_eq(sfh_ledger_open(path, true, &l, NULL), 0);
	for (unsigned i = 0; i < NVFS; i++) {
		struct sfh_lease lease = {.pf = "pf0", .vf = i, .mac = {{2, 0, 0, 0, 0, 9}}};

		lease.mac.b[5] = (uint8_t)i;
		lease.bdf.function = (uint8_t)i;
		(void)strcpy(lease.domain, GUEST);
		cr_assert_eq(sfh_ledger_lease_add(l, &lease, NULL), 0);
	}
	run(h);
	cr_assert(says(h, "vf-settings pf0", "not tried"));
	cr_assert_eq(h->sets, 0);
	cr_assert_eq(sfh_ledger_lease_del(l, "pf0", 1, NULL), 0);
	run(h);
	cr_assert_eq(h->touched, 1u << 1);
	done(h);
}

static void lease_now(struct host *h)
{
	struct sfh_lease lease = {.pf = "pf0", .vf = 2, .mac = {{2, 0, 0, 0, 0, 9}}};
	_cleanup_(sfh_ledger_close) struct sfh_ledger *l = NULL;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, h->run);
	cr_assert_eq(sfh_ledger_open(path, true, &l, NULL), 0);
	(void)strcpy(lease.domain, GUEST);
	if (h->sets == 1)
		cr_assert_eq(sfh_ledger_lease_add(l, &lease, NULL), 0);
}

Test(doctor, a_lease_that_appears_meanwhile_ends_the_trial)
{
	struct host *h = healthy();

	h->on_set = lease_now;
	run(h);
	cr_assert_eq(line(h, "vf-settings pf0")->result, SFH_CHECK_WARN);
	cr_assert(says(h, "vf-settings pf0", "was leased"));
	cr_assert_eq(h->sets, 1, "no write after the lease");
	done(h);
}

Test(doctor, refusals_are_named)
{
	struct host *h = healthy();

	h->refuse = SFH_VF_LINK_STATE | SFH_VF_RATE;
	h->refuse_8021ad = true;
	h->vf[2].known &= ~(unsigned)SFH_VF_TRUST;
	only(h, SFH_CHECK_OK, "vf-settings pf0",
	     "takes MAC, VLAN, QoS, spoofchk; not 802.1ad (EPROTONOSUPPORT), trust (not reported), "
	     "link-state (EOPNOTSUPP), max-tx-rate (EOPNOTSUPP), min-tx-rate (EOPNOTSUPP)",
	     "");
	h = healthy();
	h->refuse = SFH_VF_VLAN;
	only(h, SFH_CHECK_WARN, "vf-settings pf0", "VLAN (EOPNOTSUPP)", "networks with a VLAN");
	h = healthy();
	h->refuse = SFH_VF_MAC;
	only(h, SFH_CHECK_FAIL, "vf-settings pf0", "not MAC (EOPNOTSUPP)", "driver and firmware");
	h = healthy();
	h->lie = true;
	only(h, SFH_CHECK_FAIL, "vf-settings pf0", "MAC (accepted, but reads back unchanged)",
	     "without a VF's MAC");
}

static int able(void *ctx, int ifindex, struct sfh_error *err)
{
	(void)ctx, (void)err;
	cr_assert_eq(ifindex, 5);
	return 0;
}

static int unable(void *ctx, int ifindex, struct sfh_error *err)
{
	(void)ctx, (void)err;
	cr_assert_eq(ifindex, 5);
	return -EOPNOTSUPP;
}

/* A trial would not be harmless: what the driver can is asked, what the switch says is not
 * claimed. */
Test(doctor, port_profiles_are_not_tried)
{
	struct host *h = healthy();

	only(h, SFH_CHECK_OK, "vf-settings pf0", "restored; 802.1Qbh port profiles unknown", "");
	h = healthy();
	h->nic.port_able = able;
	only(h, SFH_CHECK_OK, "vf-settings pf0", "port profiles unknown (the driver has them", "");
	h = healthy();
	h->nic.port_able = unable;
	only(h, SFH_CHECK_OK, "vf-settings pf0", "restored; no 802.1Qbh port profiles", "");
}

Test(doctor, what_cannot_be_restored_fails)
{
	struct host *h = healthy();

	h->keeps_vlan = true;
	only(h, SFH_CHECK_FAIL, "vf-settings pf0", "'VLAN' could not be restored",
	     "ip link set pf0 vf 2");
}
