// SPDX-License-Identifier: GPL-2.0-or-later
/* PFs: what they are, and which VF settings their drivers really take. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/core/doctor.h"
#include "ctl/core/ledger.h"
#include "ctl/core/nic/nic.h"
#include "ctl/core/sysfs.h"

/* A driver that resets the VF between two settings says EAGAIN or EBUSY. */
#define TRIES 10
#define PAUSE_NS 50000000

#define TRY_VLAN 4093 /* not the parking VLAN; nobody sends on an unused VF */
#define TRY_QOS 3
#define TRY_MAX 100 /* Mbit/s: below any NIC's speed, above any driver's minimum */
#define TRY_MIN 50

/* --- what is tried ------------------------------------------------------------------------ */

static void want_mac(struct sfh_vf_config *c)
{
	/* Locally administered, and nobody else's: the process and the second. */
	uint32_t salt = (uint32_t)getpid() * 2654435761u ^ (uint32_t)time(NULL);

	c->mac = (struct sfh_mac){{0x02, 0x5f, (uint8_t)(salt >> 24), (uint8_t)(salt >> 16),
				   (uint8_t)(salt >> 8), (uint8_t)salt}};
}

static void want_vlan(struct sfh_vf_config *c)
{
	c->vlan = TRY_VLAN;
	c->qos = 0;
	c->proto = ETH_P_8021Q;
}

static void want_qos(struct sfh_vf_config *c)
{
	want_vlan(c);
	c->qos = TRY_QOS;
}

static void want_8021ad(struct sfh_vf_config *c)
{
	want_vlan(c);
	c->proto = ETH_P_8021AD;
}

static void want_trust(struct sfh_vf_config *c)
{
	c->trust = !c->trust;
}

static void want_spoofchk(struct sfh_vf_config *c)
{
	c->spoofchk = !c->spoofchk;
}

static void want_link_state(struct sfh_vf_config *c)
{
	c->link_state = c->link_state == IFLA_VF_LINK_STATE_AUTO ? IFLA_VF_LINK_STATE_ENABLE
								 : IFLA_VF_LINK_STATE_AUTO;
}

static void want_max(struct sfh_vf_config *c)
{
	c->max_tx = c->max_tx == TRY_MAX ? 2 * TRY_MAX : TRY_MAX;
}

static void want_min(struct sfh_vf_config *c)
{
	c->max_tx = TRY_MAX;
	c->min_tx = c->min_tx == TRY_MIN ? TRY_MIN / 2 : TRY_MIN;
}

#define VLAN_BITS (SFH_VF_VLAN | SFH_VF_QOS)

static const struct setting {
	const char *name;
	unsigned what;	  /* how it is set */
	unsigned restore; /* how it is put back */
	void (*want)(struct sfh_vf_config *c);
} settings[] = {
	{"MAC", SFH_VF_MAC, SFH_VF_MAC, want_mac},
	{"VLAN", SFH_VF_VLAN, VLAN_BITS, want_vlan},
	{"QoS", VLAN_BITS, VLAN_BITS, want_qos},
	{"802.1ad", VLAN_BITS | SFH_VF_PROTO, VLAN_BITS, want_8021ad},
	{"trust", SFH_VF_TRUST, SFH_VF_TRUST, want_trust},
	{"spoofchk", SFH_VF_SPOOFCHK, SFH_VF_SPOOFCHK, want_spoofchk},
	{"link-state", SFH_VF_LINK_STATE, SFH_VF_LINK_STATE, want_link_state},
	{"max-tx-rate", SFH_VF_RATE, SFH_VF_RATE, want_max},
	{"min-tx-rate", SFH_VF_RATE, SFH_VF_RATE, want_min},
};

/* Whether two answers of the kernel agree in the settings of `what`. */
static bool agree(const struct sfh_vf_config *a, const struct sfh_vf_config *b, unsigned what)
{
	return (!(what & SFH_VF_MAC) || sfh_mac_equal(&a->mac, &b->mac)) &&
	       (!(what & SFH_VF_VLAN) || a->vlan == b->vlan) &&
	       (!(what & SFH_VF_QOS) || a->qos == b->qos) &&
	       /* No VLAN, no ethertype. */
	       (!(what & SFH_VF_PROTO) || (a->vlan | b->vlan) == 0 || a->proto == b->proto) &&
	       (!(what & SFH_VF_TRUST) || a->trust == b->trust) &&
	       (!(what & SFH_VF_SPOOFCHK) || a->spoofchk == b->spoofchk) &&
	       (!(what & SFH_VF_LINK_STATE) || a->link_state == b->link_state) &&
	       (!(what & SFH_VF_RATE) || (a->min_tx == b->min_tx && a->max_tx == b->max_tx));
}

/* --- which VF ------------------------------------------------------------------------------- */

struct trial {
	struct sfh_doctor *d;
	const struct sfh_doctor_nic *nic;
	const struct sfh_pf *pf;
	unsigned vf;
	struct sfh_vf_config orig;
	bool leased; /* by find_lease */
};

static int find_lease(void *ctx, const struct sfh_lease *lease)
{
	struct trial *t = ctx;

	t->leased |= strcmp(lease->pf, t->pf->dev) == 0 && lease->vf == t->vf;
	return 0;
}

/* Asked before every write: the agent goes on working meanwhile. When in doubt, true. */
static bool is_leased(struct trial *t)
{
	struct sfh_ledger *ledger = NULL;
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, t->d->env->run_dir);
	r = sfh_ledger_open(path, false, &ledger, NULL);
	if (r == -ENOENT)
		return false;
	if (r < 0)
		return true;
	t->leased = false;
	if (sfh_ledger_leases(ledger, find_lease, t) < 0)
		t->leased = true;
	sfh_ledger_close(&ledger);
	return t->leased;
}

/* A VFIO group opens once: a QEMU that is not ours, or a held landing VF. */
static bool is_open(const struct trial *t)
{
	char path[PATH_MAX], target[PATH_MAX], name[SFH_BDF_STRLEN];
	_cleanup_close_ int fd = -1;
	const char *group;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/iommu_group", t->d->env->sysfs,
		       sfh_bdf_format(&t->pf->vfs[t->vf].bdf, name));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	group = strrchr(target, '/');
	(void)snprintf(path, sizeof(path), "%s/vfio/%.32s", t->d->dev, group ? group + 1 : target);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 && errno == EBUSY;
}

/* The highest one: the pool hands them out from the other end. */
static bool find_unused(struct trial *t)
{
	for (unsigned i = t->pf->num_vfs; i-- > 0;) {
		const char *driver = t->pf->vfs[i].driver;

		t->vf = i;
		if ((*driver && strcmp(driver, "vfio-pci") != 0) || is_leased(t) || is_open(t) ||
		    t->nic->get(t->nic->ctx, t->pf->ifindex, i, &t->orig, NULL) < 0)
			continue;
		if ((t->orig.known & SFH_VF_MAC) && sfh_mac_is_zero(&t->orig.mac))
			return true;
	}
	return false;
}

/* --- trying ------------------------------------------------------------------------------------
 */

static int set_patiently(struct trial *t, unsigned what, const struct sfh_vf_config *cfg)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int r;

	for (int i = 0; i < TRIES; i++) {
		r = t->nic->set(t->nic->ctx, t->pf->ifindex, t->vf, what, cfg, NULL);
		if (r != -EAGAIN && r != -EBUSY)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

static int get(struct trial *t, struct sfh_vf_config *ret)
{
	return t->nic->get(t->nic->ctx, t->pf->ifindex, t->vf, ret, NULL);
}

enum outcome { TAKEN, REFUSED, LIES, UNKNOWN, SPOILT, INTERRUPTED };

/* Sets, reads back, restores, reads back. *code says why it was refused. */
static enum outcome try_one(struct trial *t, const struct setting *s, int *code)
{
	struct sfh_vf_config want = t->orig, got;
	bool shown = false;
	int r;

	if ((t->orig.known & s->what) != s->what)
		return UNKNOWN; /* not reported: could not be restored for sure */
	if (is_leased(t))
		return INTERRUPTED;
	s->want(&want);
	*code = set_patiently(t, s->what, &want);
	if (*code == 0 && get(t, &got) == 0)
		shown = agree(&got, &want, s->what);
	if (is_leased(t))
		return INTERRUPTED; /* the lease's writer has the last word */
	/* Also after a refusal: some drivers fail half-way. */
	r = get(t, &got);
	if (r == 0 && !agree(&got, &t->orig, t->orig.known)) {
		(void)set_patiently(t, s->restore, &t->orig);
		r = get(t, &got);
	}
	if (r < 0 || !agree(&got, &t->orig, t->orig.known))
		return SPOILT;
	return *code < 0 ? REFUSED : shown ? TAKEN : LIES;
}

struct text {
	char buf[256];
	size_t len;
};

SFH_PRINTF(2, 3) static void append(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < sizeof(t->buf) - t->len ? (size_t)n
							      : sizeof(t->buf) - t->len - 1;
}

static const char *errno_name(int code)
{
	const char *name = strerrorname_np(-code);

	return name ? name : "?";
}

/* Asked, not tried: a trial would need a profile that the switch knows, and might take the
 * VF's port from somebody. */
static const char *port_profiles(const struct trial *t)
{
	int r = t->nic->port_able ? t->nic->port_able(t->nic->ctx, t->pf->ifindex, NULL) : -ENODATA;

	return r == 0		   ? "; 802.1Qbh port profiles unknown (the driver has them, untried)"
	       : r == -EOPNOTSUPP ? "; no 802.1Qbh port profiles"
				  : "; 802.1Qbh port profiles unknown";
}

static void try_settings(struct trial *t, const char *name)
{
	struct text taken = {.len = 0}, refused = {.len = 0};
	char bdf[SFH_BDF_STRLEN], advice[200];
	bool mac = false, vlan = false;

	sfh_bdf_format(&t->pf->vfs[t->vf].bdf, bdf);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(settings); i++) {
		const struct setting *s = &settings[i];
		int code = 0;

		switch (try_one(t, s, &code)) {
		case TAKEN:
			append(&taken, "%s%s", taken.len ? ", " : "", s->name);
			mac |= s->what == SFH_VF_MAC;
			vlan |= s->what == SFH_VF_VLAN;
			break;
		case REFUSED:
			append(&refused, "%s%s (%s)", refused.len ? ", " : "", s->name,
			       errno_name(code));
			break;
		case LIES:
			append(&refused, "%s%s (accepted, but reads back unchanged)",
			       refused.len ? ", " : "", s->name);
			break;
		case UNKNOWN:
			append(&refused, "%s%s (not reported)", refused.len ? ", " : "", s->name);
			break;
		case SPOILT:
			(void)snprintf(
				advice, sizeof(advice),
				"put it back with 'ip link set %s vf %u ...', or take the network "
				"down and make the VFs anew",
				t->pf->dev, t->vf);
			sfh_doctor_add(t->d, SFH_CHECK_FAIL, name, advice,
				       "VF %u (%s) is not as before: '%s' could not be restored",
				       t->vf, bdf, s->name);
			return;
		case INTERRUPTED:
			sfh_doctor_add(t->d, SFH_CHECK_WARN, name,
				       "run 'sfhybrid-ctl fsck', then 'doctor' again",
				       "VF %u (%s) was leased while '%s' was tried", t->vf, bdf,
				       s->name);
			return;
		}
	}
	sfh_doctor_add(
		t->d,
		!mac	? SFH_CHECK_FAIL
		: !vlan ? SFH_CHECK_WARN
			: SFH_CHECK_OK,
		name,
		!mac	? "update the NIC's driver and firmware: without a VF's MAC nothing works"
		: !vlan ? "networks with a VLAN cannot use this PF; update driver and firmware"
			: "",
		"takes %s%s%s; tried on VF %u (%s) and restored%s",
		taken.len ? taken.buf : "nothing", refused.len ? "; not " : "", refused.buf, t->vf,
		bdf, port_profiles(t));
}

/* --- PFs
 * ------------------------------------------------------------------------------------------ */

static void describe(struct sfh_doctor *d, const struct sfh_pf *pf, const char *name)
{
	const struct sfh_nic_method *m = sfh_nic_method_for(pf->driver);
	char bdf[SFH_BDF_STRLEN];
	unsigned vfio = 0;

	for (unsigned i = 0; i < pf->num_vfs; i++)
		vfio += strcmp(pf->vfs[i].driver, "vfio-pci") == 0;
	sfh_bdf_format(&pf->bdf, bdf);
	if (sfh_nic_method_is_proven(m))
		sfh_doctor_add(d, SFH_CHECK_OK, name, "",
			       "%s, driver %s, %u of %u VFs exist, %u bound to vfio-pci", bdf,
			       pf->driver, pf->num_vfs, pf->total_vfs, vfio);
	else
		sfh_doctor_add(
			d, SFH_CHECK_WARN, name,
			"measure a switch before you rely on it ('sfhybrid-ctl history')",
			"%s, driver %s, %u of %u VFs exist, %u bound to vfio-pci; this driver has "
			"no method of its own: VFs are not parked",
			bdf, pf->driver[0] ? pf->driver : "none", pf->num_vfs, pf->total_vfs, vfio);
}

static void check_pf(struct sfh_doctor *d, const char *dev, const struct sfh_doctor_nic *nic)
{
	_cleanup_(sfh_pf_free) struct sfh_pf *pf = NULL;
	struct sfh_error err = {0};
	char name[40];

	(void)snprintf(name, sizeof(name), "pf %.20s", dev);
	if (sfh_pf_read(d->env, dev, &pf, &err) < 0) {
		sfh_doctor_add(
			d, SFH_CHECK_FAIL, name,
			"name a NIC with SR-IOV; enable SR-IOV in its firmware and in the BIOS",
			"%s", err.text);
		return;
	}
	describe(d, pf, name);
	if (!nic)
		return;
	(void)snprintf(name, sizeof(name), "vf-settings %.20s", dev);
	struct trial t = {.d = d, .nic = nic, .pf = pf};

	if (find_unused(&t))
		try_settings(&t, name);
	else
		sfh_doctor_add(d, SFH_CHECK_OK, name, "", "not tried: no unused VF (%u exist)%s",
			       pf->num_vfs, port_profiles(&t));
}

static int is_candidate(const struct sfh_doctor *d, const char *dev)
{
	char text[16];

	return sfh_doctor_read(text, sizeof(text), "%s/class/net/%s/device/sriov_totalvfs",
			       d->env->sysfs, dev) == 0 &&
	       strtoul(text, NULL, 10) > 0;
}

void sfh_doctor_pfs(struct sfh_doctor *d, const char *const *names, size_t n,
		    const struct sfh_doctor_nic *nic)
{
	struct dirent **list = NULL;
	char path[PATH_MAX];
	int count, found = 0;

	for (size_t i = 0; i < n; i++)
		check_pf(d, names[i], nic);
	if (n > 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/class/net", d->env->sysfs);
	count = scandir(path, &list, NULL, versionsort);
	for (int i = 0; i < count; i++) {
		if (list[i]->d_name[0] != '.' && is_candidate(d, list[i]->d_name)) {
			check_pf(d, list[i]->d_name, nic);
			found++;
		}
		free(list[i]);
	}
	free(list);
	if (!found)
		sfh_doctor_add(
			d, SFH_CHECK_FAIL, "sr-iov",
			"enable SR-IOV in the firmware of the NIC and of the machine; the kernel "
			"needs CONFIG_PCI_IOV",
			"no network device with SR-IOV on this host");
}
