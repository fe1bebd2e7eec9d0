// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/control/host.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_IFINDEX 100

int bench_host_new(unsigned npfs, unsigned nvfs, struct bench_host **ret)
{
	struct bench_host *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->seen = mmap(NULL, sizeof(*h->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (h->seen == MAP_FAILED) {
		free(h);
		return -ENOMEM;
	}
	h->npfs = npfs;
	h->nvfs = nvfs;
	*ret = h;
	return 0;
}

void bench_host_free(struct bench_host **host)
{
	if (!*host)
		return;
	(void)munmap((*host)->seen, sizeof(*(*host)->seen));
	free(*host);
	*host = NULL;
}

/* VF v of PF n is 0n:10+v/8.v%8. */
static struct sfh_bdf bdf_of(unsigned pf, unsigned vf)
{
	return (struct sfh_bdf){ .bus = (uint8_t)(pf + 1), .slot = (uint8_t)(0x10 + vf / 8),
				 .function = (uint8_t)(vf % 8) };
}

static bool vf_of(const struct bench_host *h, const struct sfh_bdf *bdf, unsigned *pf, unsigned *vf)
{
	*pf = (unsigned)bdf->bus - 1;
	*vf = ((unsigned)bdf->slot - 0x10) * 8 + bdf->function;
	return *pf < h->npfs && *vf < h->nvfs;
}

/* --- the kernel --------------------------------------------------------------------------- */

static int vf_list(void *ctx, const char *pf, struct sfh_vf_slot *slots, size_t n,
		   struct sfh_error *err)
{
	struct bench_host *h = ctx;
	unsigned p = (unsigned)atoi(pf + 2);

	if (p >= h->npfs)
		return sfh_err(err, -ENODEV, "no PF '%s'", pf);
	h->seen->dumps++;
	for (unsigned v = 0; v < h->nvfs && v < n; v++)
		slots[v] = (struct sfh_vf_slot){ .vf = v, .bdf = bdf_of(p, v),
						 .mac = h->vf[p][v].mac };
	return (int)h->nvfs;
}

static struct sfh_vf_config *config(struct bench_host *h, int ifindex, unsigned vf)
{
	unsigned p = (unsigned)(ifindex - FIRST_IFINDEX);

	return p < h->npfs && vf < h->nvfs ? &h->vf[p][vf] : NULL;
}

static int vf_get(void *ctx, int ifindex, unsigned vf, struct sfh_vf_config *ret,
		  struct sfh_error *err)
{
	struct bench_host *h = ctx;
	const struct sfh_vf_config *cfg = config(h, ifindex, vf);

	if (!cfg)
		return sfh_err(err, -ENODEV, "no VF %u", vf);
	h->seen->gets++;
	*ret = *cfg;
	ret->known = SFH_VF_MAC | SFH_VF_VLAN_PARTS | SFH_VF_EXTRAS;
	return 0;
}

static int vf_set(void *ctx, int ifindex, unsigned vf, unsigned what,
		  const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	struct bench_host *h = ctx;
	struct sfh_vf_config *to = config(h, ifindex, vf);

	if (!to)
		return sfh_err(err, -ENODEV, "no VF %u", vf);
	h->seen->sets++;
	if (what & SFH_VF_VLAN) {
		to->qos = 0;
		to->proto = 0;
	}
	sfh_vf_config_copy(to, cfg, what);
	return 0;
}

static bool can_park(void *ctx, const char *pf)
{
	(void)ctx;
	(void)pf;
	return true;
}

static int standby_attach(void *ctx, struct sfh_pair *p, struct sfh_error *err)
{
	(void)ctx;
	(void)err;
	p->standby_ifindex = 500;
	return 0;
}

static int entry(void *ctx, const struct sfh_pair *p, struct sfh_error *err)
{
	(void)ctx;
	(void)p;
	(void)err;
	return 0;
}

static int seen(void *ctx, const struct sfh_pair *p, struct sfh_pair_seen *ret)
{
	(void)ctx;
	(void)p;
	*ret = (struct sfh_pair_seen){ .first_frame = true, .ip4 = 1, .ip4_ns = sfh_now_ns() };
	return 0;
}

static int want_proof(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	(void)on;
	return entry(ctx, p, err);
}

static int probe(void *ctx, const struct sfh_pair *p)
{
	return entry(ctx, p, NULL);
}

const struct sfh_kernel_ops bench_kernel_ops = {
	.vf_list = vf_list,
	.vf_get = vf_get,
	.vf_set = vf_set,
	.can_park = can_park,
	.standby_attach = standby_attach,
	.stage = entry,
	.arm = entry,
	.disarm = entry,
	.on_vf = entry,
	.unstage = entry,
	.seen = seen,
	.want_proof = want_proof,
	.probe = probe,
};

/* --- what runs there -------------------------------------------------------------------------- */

struct sfh_engine_network bench_network(const struct bench_host *host)
{
	struct sfh_engine_network net = { .name = BENCH_NETWORK, .npfs = host->npfs };

	for (unsigned i = 0; i < host->npfs; i++) {
		(void)snprintf(net.pfs[i], sizeof(net.pfs[i]), "pf%u", i);
		net.pf_ifindex[i] = FIRST_IFINDEX + (int)i;
	}
	return net;
}

void bench_guest(const struct bench_host *host, unsigned i, int pf, struct sfh_guest_nic *nic,
		 struct sfh_guest_desc *guest)
{
	unsigned p = pf >= 0 ? (unsigned)pf : i % host->npfs;

	*nic = (struct sfh_guest_nic){
		.mac = { { 0x52, 0x54, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } },
		.network = BENCH_NETWORK,
		.kind = SFH_STANDBY_MACVTAP,
		.adopted = true,
	};
	(void)snprintf(nic->pf, sizeof(nic->pf), "pf%u", p);
	(void)snprintf(nic->standby, sizeof(nic->standby), "macvtap%u", i);
	(void)snprintf(nic->alias, sizeof(nic->alias), "ua-sfh-%06x", i);
	*guest = (struct sfh_guest_desc){ .nics = nic, .nnics = 1 };
	(void)snprintf(guest->uuid, sizeof(guest->uuid), "00000000-0000-4000-8000-%012u", i);
	(void)snprintf(guest->name, sizeof(guest->name), "guest%u", i);
}

void bench_plugged(struct bench_host *h, const struct sfh_bdf *bdf, const char *domain,
		   const struct sfh_mac *mac)
{
	unsigned p, v;

	h->seen->plugs++;
	if (!vf_of(h, bdf, &p, &v) || h->owner[p][v][0] || !sfh_mac_equal(&h->vf[p][v].mac, mac)) {
		h->seen->double_booked++;
		return;
	}
	for (unsigned i = 0; i < h->nvfs; i++)
		if (i != v && sfh_mac_equal(&h->vf[p][i].mac, mac))
			h->seen->double_booked++;
	(void)sfh_strcpy(h->owner[p][v], sizeof(h->owner[p][v]), domain);
}

void bench_unplugged(struct bench_host *h, const struct sfh_bdf *bdf)
{
	unsigned p, v;

	h->seen->unplugs++;
	if (vf_of(h, bdf, &p, &v))
		h->owner[p][v][0] = '\0';
}

/* --- files ---------------------------------------------------------------------------------------- */

int bench_dir_new(char dir[64])
{
	(void)strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/sfh-bench-XXXXXX"
							: "/tmp/sfh-bench-XXXXXX");
	return mkdtemp(dir) ? 0 : -errno;
}

void bench_dir_free(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}
