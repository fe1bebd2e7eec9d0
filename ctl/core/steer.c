// SPDX-License-Identifier: GPL-2.0-or-later
/* Pins and programs: open, close, remove. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "pf_tc.skel.h"
#include "pf_xdp.skel.h"
#include "standby_tc.skel.h"

static const struct {
	const char *name;
	bool per_pair;
} map_table[] = {
#define X(id, name, per_pair) [SFH_MAP_##id] = { name, per_pair },
	SFH_MAPS(X)
#undef X
};

/* --- what libbpf has to say -------------------------------------------------------- */

static __thread char libbpf_said[256];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[sizeof(libbpf_said)];
	size_t n;

	if (level != LIBBPF_WARN)
		return 0;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	n = strcspn(line, "\n");
	line[n] = '\0';
	/* The first warning is nearest to the cause; what follows are echoes of it. */
	if (!libbpf_said[0] && n)
		memcpy(libbpf_said, line, n + 1);
	return 0;
}

const char *sfh_steer_libbpf_says(void)
{
	static __thread char last[sizeof(libbpf_said)];

	memcpy(last, libbpf_said, sizeof(last));
	libbpf_said[0] = '\0';
	return last;
}

/* "cannot do X on Y: libbpf's words or the errno's" */
static int libbpf_err(struct sfh_error *err, int code, const char *what)
{
	const char *said = sfh_steer_libbpf_says();

	return sfh_err(err, code, "%s: %s%s%s%s%s", what, strerror(-code), said[0] ? " (" : "", said,
		       said[0] ? ")" : "",
		       code == -EPERM ? "; run as root (CAP_BPF, CAP_NET_ADMIN)" : "");
}

/* --- small things -------------------------------------------------------------------- */

int sfh_steer_writable(const struct sfh_steer *s, struct sfh_error *err)
{
	if (!s->read_only)
		return 0;
	return sfh_err(err, -EROFS, "the datapath in %s was opened for reading only", s->dir);
}

int sfh_steer_our_prog(uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || strncmp(info.name, "sfh_", 4) != 0)
		return -ENOENT;
	return TAKE_FD(fd);
}

const char *sfh_steer_ifname(uint32_t ifindex, char buf[32])
{
	if (!if_indextoname(ifindex, buf))
		(void)snprintf(buf, 32, "ifindex %u", ifindex);
	return buf;
}

uint32_t sfh_steer_max_pairs(const struct sfh_steer *s)
{
	return s->max_pairs;
}

uint16_t sfh_steer_park_vlan(const struct sfh_steer *s)
{
	return s->park_vlan;
}

const char *sfh_drop_name(enum sfh_drop reason)
{
	switch (reason) {
#define X(num, id, name, text)                                                                     \
	case SFH_DROP_##id:                                                                        \
		return name;
		SFH_DROPS(X)
#undef X
	default:
		return "unknown";
	}
}

static void close_macs(struct sfh_steer *s)
{
	if (s->macs)
		(void)munmap(s->macs, sizeof(*s->macs));
	s->macs = NULL;
	free(s->mac_users);
	s->mac_users = NULL;
	free(s->slots);
	s->slots = NULL;
}

void sfh_steer_close(struct sfh_steer **sp)
{
	struct sfh_steer *s = *sp;

	if (!s)
		return;
	ring_buffer__free(s->ring);
	close_macs(s);
	sfh_steer_fast_close(s);
	pf_tc__destroy(s->pf_tc);
	pf_xdp__destroy(s->pf_xdp);
	standby_tc__destroy(s->standby_tc);
	for (size_t i = 0; i < _SFH_MAP_MAX; i++)
		sfh_closep(&s->map[i]);
	sfh_closep(&s->dir_fd);
	free(s->dir);
	free(s);
	*sp = NULL;
}

/* --- pins -------------------------------------------------------------------------------- */

static char *pin_path(const struct sfh_steer *s, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", s->dir, name) < 0 ? NULL : path;
}

/* Removes what may be a pin of ours; what is not there is no failure. */
static int remove_map_pins(const struct sfh_steer *s)
{
	int first = 0;

	for (size_t i = 0; i < _SFH_MAP_MAX; i++)
		if (unlinkat(s->dir_fd, map_table[i].name, 0) < 0 && errno != ENOENT && !first)
			first = -errno;
	return first;
}

static int remove_link_pins(const struct sfh_steer *s)
{
	struct dirent *de;
	int first = 0, fd;
	DIR *d;

	fd = openat(s->dir_fd, SFH_LINK_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		first = -errno;
		(void)close(fd);
		return first;
	}
	while ((de = readdir(d)))
		if (de->d_name[0] != '.' && unlinkat(fd, de->d_name, 0) < 0 && !first)
			first = -errno;
	(void)closedir(d);
	if (unlinkat(s->dir_fd, SFH_LINK_DIR, AT_REMOVEDIR) < 0 && !first)
		first = -errno;
	return first;
}

static int check_bpffs(const char *mnt, struct sfh_error *err)
{
	struct statfs st;

	if (statfs(mnt, &st) < 0 || (unsigned long)st.f_type != BPF_FS_MAGIC)
		return sfh_err(err, -ENOTDIR, "no bpffs at %s: run 'mount -t bpf bpf %s'", mnt, mnt);
	return 0;
}

/* Opens the pin directory and, for a writer, makes and locks it. */
static int open_dir(struct sfh_steer *s, const char *mnt, bool *made, struct sfh_error *err)
{
	int r = check_bpffs(mnt, err);

	if (r < 0)
		return r;
	if (asprintf(&s->dir, "%s/%s", mnt, SFH_PIN_DIR) < 0)
		return -ENOMEM;
	if (!s->read_only) {
		if (mkdir(s->dir, 0700) == 0)
			*made = true;
		else if (errno != EEXIST)
			return sfh_err(err, -errno, "cannot make %s: %s", s->dir, strerror(errno));
	}
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return sfh_err(err, -errno, "no datapath in %s: no hybrid network is up here", s->dir);
	if (!s->read_only && flock(s->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return sfh_err(err, -EBUSY,
			       "another process (sfhybridd?) has the datapath in %s: "
			       "stop it first",
			       s->dir);
	return 0;
}

/* Gets the fds of the pinned maps. Returns 1 if they are there and are ours, 0 if
 * there are none (or those of somebody who died before he was done). */
static int get_pinned_maps(struct sfh_steer *s, struct sfh_error *err)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), zero = 0;
	struct sfh_meta meta = {};
	int missing = 0;

	for (size_t i = 0; i < _SFH_MAP_MAX; i++) {
		_cleanup_free_ char *path = pin_path(s, map_table[i].name);

		if (!path)
			return -ENOMEM;
		s->map[i] = bpf_obj_get(path);
		if (s->map[i] < 0 && errno != ENOENT)
			return sfh_err(err, -errno, "cannot open %s: %s", path, strerror(errno));
		if (s->map[i] < 0) {
			s->map[i] = -1;
			missing++;
		}
	}
	if (s->map[SFH_MAP_META] < 0 ||
	    bpf_map_lookup_elem(s->map[SFH_MAP_META], &zero, &meta) < 0 || meta.magic == 0)
		return 0;
	if (meta.magic != SFH_ABI_MAGIC || meta.version != SFH_ABI_VERSION)
		return sfh_err(err, -EPROTO,
			       "the pins in %s have schema version %u, this sfhybrid has %u: take "
			       "the networks down with the version that put them up, or remove the "
			       "directory while no guest uses it",
			       s->dir, meta.version, SFH_ABI_VERSION);
	if (missing)
		return sfh_err(err, -EPROTO,
			       "%d of %d pins in %s are missing: remove the directory while no "
			       "guest uses it",
			       missing, _SFH_MAP_MAX, s->dir);
	if (bpf_obj_get_info_by_fd(s->map[SFH_MAP_GUESTS], &info, &len) < 0)
		return -errno;
	s->max_pairs = info.max_entries;
	if (s->read_only)
		s->park_vlan = (uint16_t)meta.park_vlan;
	return 1;
}

/* Forgets the remains of an unfinished start. */
static void drop_unfinished(struct sfh_steer *s)
{
	for (size_t i = 0; i < _SFH_MAP_MAX; i++)
		sfh_closep(&s->map[i]);
	(void)remove_map_pins(s);
}

/* --- programs ------------------------------------------------------------------------------ */

int sfh_steer_lend_maps(struct sfh_steer *s, struct bpf_object *obj)
{
	for (size_t i = 0; i < _SFH_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_table[i].name);
		int r = 0;

		if (!map)
			return -ENOENT;
		if (s->map[i] >= 0)
			r = bpf_map__reuse_fd(map, s->map[i]);
		else if (map_table[i].per_pair)
			r = bpf_map__set_max_entries(map, s->max_pairs);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_maps(struct sfh_steer *s, struct bpf_object *obj)
{
	for (size_t i = 0; i < _SFH_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, map_table[i].name);

		s->map[i] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
		if (s->map[i] < 0)
			return -errno;
	}
	return 0;
}

static int load_programs(struct sfh_steer *s, bool have_maps, struct sfh_error *err)
{
	int r;

	(void)sfh_steer_libbpf_says();
	s->pf_tc = pf_tc__open();
	s->pf_xdp = pf_xdp__open();
	s->standby_tc = standby_tc__open();
	if (!s->pf_tc || !s->pf_xdp || !s->standby_tc)
		return libbpf_err(err, -errno, "cannot open the BPF objects");
	s->pf_tc->rodata->sfh_park_vlan = s->park_vlan;
	s->pf_xdp->rodata->sfh_park_vlan = s->park_vlan;

	r = sfh_steer_lend_maps(s, s->pf_tc->obj);
	if (r == 0)
		r = pf_tc__load(s->pf_tc);
	if (r < 0)
		return libbpf_err(err, r, "cannot load the PF's tc program");
	if (!have_maps && (r = take_maps(s, s->pf_tc->obj)) < 0)
		return r;
	r = sfh_steer_lend_maps(s, s->pf_xdp->obj);
	if (r == 0)
		r = pf_xdp__load(s->pf_xdp);
	if (r < 0)
		return libbpf_err(err, r, "cannot load the PF's XDP program");
	r = sfh_steer_lend_maps(s, s->standby_tc->obj);
	if (r == 0)
		r = standby_tc__load(s->standby_tc);
	if (r < 0)
		return libbpf_err(err, r, "cannot load the standby devices' programs");

	s->prog_pf_tc = bpf_program__fd(s->pf_tc->progs.sfh_pf_tc);
	s->prog_pf_xdp_tag = bpf_program__fd(s->pf_xdp->progs.sfh_pf_xdp_tag);
	s->prog_pf_xdp = bpf_program__fd(s->pf_xdp->progs.sfh_pf_xdp);
	s->prog_from_guest = bpf_program__fd(s->standby_tc->progs.sfh_from_guest);
	s->prog_to_guest = bpf_program__fd(s->standby_tc->progs.sfh_to_guest);
	return 0;
}

/* Pins the maps; sfh_meta is filled after the last pin, so that a crash before
 * leaves something that the next start recognizes as unfinished. */
static int pin_maps(struct sfh_steer *s, struct sfh_error *err)
{
	for (size_t i = 0; i < _SFH_MAP_MAX; i++) {
		_cleanup_free_ char *path = pin_path(s, map_table[i].name);

		if (!path)
			return -ENOMEM;
		if (bpf_obj_pin(s->map[i], path) < 0)
			return sfh_err(err, -errno, "cannot pin %s: %s", path, strerror(errno));
	}
	return 0;
}

static int write_meta(struct sfh_steer *s, struct sfh_error *err)
{
	struct sfh_meta meta = { SFH_ABI_MAGIC, SFH_ABI_VERSION, s->max_pairs, s->park_vlan };
	uint32_t zero = 0;

	if (bpf_map_update_elem(s->map[SFH_MAP_META], &zero, &meta, BPF_ANY) < 0)
		return sfh_err(err, -errno, "cannot write %s/sfh_meta: %s", s->dir, strerror(errno));
	return 0;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct sfh_steer *s = ctx;

	/* Larger: a newer program of the same schema version added fields. */
	if (size < sizeof(struct sfh_event) || !s->cb)
		return 0;
	sfh_steer_settle(s, data);
	return s->cb(data, s->cb_ctx);
}

static int open_macs(struct sfh_steer *s, struct sfh_error *err)
{
	void *at = mmap(NULL, sizeof(*s->macs), PROT_READ | PROT_WRITE, MAP_SHARED,
			s->map[SFH_MAP_MACS], 0);
	int r;

	if (at == MAP_FAILED)
		return sfh_err(err, -errno, "cannot map sfh_macs: %s", strerror(errno));
	s->macs = at;
	s->mac_users = calloc(SFH_MACS_BITS, sizeof(*s->mac_users));
	s->slots = calloc(s->max_pairs, sizeof(*s->slots));
	if (!s->mac_users || !s->slots)
		return sfh_err(err, -ENOMEM, "out of memory");
	r = sfh_steer_recall_pairs(s);
	return r < 0 ? sfh_err(err, r, "cannot read the steering entries: %s", strerror(-r)) : 0;
}

static int open_fast(struct sfh_steer *s, struct sfh_error *err)
{
	int r = sfh_steer_fast_open(s);

	return r < 0 ? sfh_err(err, r, "cannot map sfh_fast: %s", strerror(-r)) : 0;
}

static int open_writer(struct sfh_steer *s, bool *pinned, struct sfh_error *err)
{
	int r = get_pinned_maps(s, err);
	bool have_maps = r > 0;

	if (r < 0)
		return r;
	if (!have_maps) {
		drop_unfinished(s);
		*pinned = true;
	}
	r = load_programs(s, have_maps, err);
	if (r == 0 && !have_maps)
		r = pin_maps(s, err);
	if (r < 0)
		return r;
	r = open_fast(s, err);
	if (r == 0)
		r = open_macs(s, err);
	if (r < 0)
		return r;
	s->ring = ring_buffer__new(s->map[SFH_MAP_EVENTS], on_event, s, NULL);
	if (!s->ring)
		return sfh_err(err, -errno, "cannot map the event ring: %s", strerror(errno));
	return write_meta(s, err);
}

int sfh_steer_open(const struct sfh_steer_config *cfg, struct sfh_steer **ret,
		   struct sfh_error *err)
{
	_cleanup_steer_ struct sfh_steer *s = calloc(1, sizeof(*s));
	const char *mnt = cfg->bpffs ? cfg->bpffs : "/sys/fs/bpf";
	bool made_dir = false, made_pins = false;
	int r;

	if (!s)
		return -ENOMEM;
	s->dir_fd = -1;
	for (size_t i = 0; i < _SFH_MAP_MAX; i++)
		s->map[i] = -1;
	s->read_only = cfg->read_only;
	s->park_vlan = cfg->park_vlan ? cfg->park_vlan : SFH_PARK_VLAN;
	s->max_pairs = cfg->max_pairs ? cfg->max_pairs : SFH_MAX_PAIRS;
	s->cpus = libbpf_num_possible_cpus();
	s->tcx = !cfg->no_tcx && sfh_steer_tcx_is_there();
	if (s->cpus < 0)
		return sfh_err(err, s->cpus, "cannot tell the number of CPUs");
	if (s->park_vlan > SFH_VLAN_MAX)
		return sfh_err(err, -EINVAL, "the parking VLAN is 1 to %d, not %u", SFH_VLAN_MAX,
			       s->park_vlan);
	(void)libbpf_set_print(keep_warning);

	r = open_dir(s, mnt, &made_dir, err);
	if (r == 0 && s->read_only) {
		r = get_pinned_maps(s, err);
		r = r > 0 ? open_fast(s, err) :
		    r < 0 ? r :
			    sfh_err(err, -ENOENT, "no datapath in %s", s->dir);
	} else if (r == 0) {
		r = open_writer(s, &made_pins, err);
	}
	if (r < 0) {
		if (made_pins)
			(void)remove_map_pins(s);
		if (made_dir)
			(void)rmdir(s->dir);
		return sfh_err(err, r, "cannot open the datapath in %s/%s: %s", mnt, SFH_PIN_DIR,
			       strerror(-r));
	}
	*ret = TAKE_PTR(s);
	return 0;
}

static int detach_port(uint32_t ifindex, const struct sfh_port *port, void *ctx)
{
	struct sfh_steer *s = ctx;

	if (port->role == SFH_PORT_PF)
		return sfh_steer_pf_detach(s, ifindex, NULL);
	return sfh_steer_standby_detach(s, ifindex, NULL);
}

int sfh_steer_remove_pins(struct sfh_steer *s, struct sfh_error *err)
{
	int r, first;

	first = sfh_steer_writable(s, err);
	if (first < 0)
		return first;
	first = sfh_steer_foreach_port(s, detach_port, s);
	if (first < 0)
		(void)sfh_err(err, first, "cannot detach from every device: %s", strerror(-first));
	r = remove_link_pins(s);
	if (r < 0 && first == 0)
		first = sfh_err(err, r, "cannot remove %s/%s: %s", s->dir, SFH_LINK_DIR, strerror(-r));
	r = remove_map_pins(s);
	if (r < 0 && first == 0)
		first = sfh_err(err, r, "cannot remove the pins in %s: %s", s->dir, strerror(-r));
	if (rmdir(s->dir) < 0 && errno != ENOENT && first == 0)
		first = sfh_err(err, -errno, "cannot remove %s: %s", s->dir, strerror(errno));
	return first;
}

/* --- events ----------------------------------------------------------------------------------- */

int sfh_steer_event_fd(const struct sfh_steer *s)
{
	return s->ring ? ring_buffer__epoll_fd(s->ring) : -EROFS;
}

int sfh_steer_dispatch(struct sfh_steer *s, int (*cb)(const struct sfh_event *ev, void *ctx),
		       void *ctx)
{
	int r;

	if (!s->ring)
		return -EROFS;
	s->cb = cb;
	s->cb_ctx = ctx;
	r = ring_buffer__consume(s->ring);
	s->cb = NULL;
	s->cb_ctx = NULL;
	return r;
}
