// SPDX-License-Identifier: GPL-2.0-or-later
/* XDP on a PF: through libxdp's dispatcher, so that others can attach beside us;
 * by a pinned link of our own where the dispatcher cannot load. Attaching and
 * detaching resets some NICs, replacing does not: what is there is kept. */
#include "ctl/core/steer_priv.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xdp/libxdp.h>

#include "pf_xdp.skel.h"

/* How our program can be put into the dispatcher, the best first. The lab's kernel
 * (6.12.117) answers EINVAL to the first; the likely reason is that a program that moves
 * a frame's beginning may not replace a stub that does not. And a dispatcher that
 * handles frames of several buffers is not to be had everywhere. */
static const struct form {
	const char *prog;
	bool frags;
} forms[] = {
	{ "sfh_pf_xdp", true },
	{ "sfh_pf_xdp_tag", true },
	{ "sfh_pf_xdp", false },
	{ "sfh_pf_xdp_tag", false },
};
/* libxdp keeps its pins here, whatever bpffs ours are in: others look there. */
#define LIBXDP_DIR "/sys/fs/bpf/xdp"
#define LOOPBACK 1 /* its ifindex in every network namespace */

const char *sfh_xdp_name(enum sfh_xdp xdp)
{
	switch (xdp) {
	case SFH_XDP_DISPATCHER:
		return "dispatcher";
	case SFH_XDP_LINK:
		return "link";
	default:
		return "tc-only";
	}
}

/* --- what libxdp has to say ---------------------------------------------------------- */

static __thread char libxdp_said[128];

static int keep_warning(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	char line[sizeof(libxdp_said) + 8];

	if (level != LIBXDP_WARN || libxdp_said[0])
		return 0;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	(void)sfh_strcpy(libxdp_said, sizeof(libxdp_said),
			 strncmp(line, "libxdp: ", 8) == 0 ? line + 8 : line);
	return 0;
}

static void listen_to_libxdp(void)
{
	(void)libxdp_set_print(keep_warning);
	libxdp_said[0] = '\0';
	(void)sfh_steer_libbpf_says();
}

SFH_PRINTF(2, 3)
static void because(struct sfh_steer_pf_info *info, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(info->xdp_why, sizeof(info->xdp_why), fmt, ap);
	va_end(ap);
}

/* --- the pinned link ------------------------------------------------------------------- */

static char *link_path(const struct sfh_steer *s, uint32_t ifindex)
{
	char *path;

	return asprintf(&path, "%s/%s/xdp-%u", s->dir, SFH_LINK_DIR, ifindex) < 0 ? NULL : path;
}

/* The pinned link's fd if it still holds the device. */
static int link_get(const char *path, uint32_t ifindex)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	    info.xdp.ifindex == ifindex)
		return fd;
	(void)close(fd);
	return -ENOENT;
}

static int link_make(struct sfh_steer *s, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	_cleanup_free_ char *path = link_path(s, ifindex);
	_cleanup_close_ int fd = -1;

	if (!path)
		return -ENOMEM;
	if (mkdirat(s->dir_fd, SFH_LINK_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = bpf_link_create(s->prog_pf_xdp, (int)ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return fd;
	(void)unlink(path); /* of a device that had this number before: it went, link and all */
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

static void link_remove(struct sfh_steer *s, uint32_t ifindex)
{
	_cleanup_free_ char *path = link_path(s, ifindex);
	_cleanup_close_ int fd = path ? link_get(path, ifindex) : -1;

	/* A link that loses its pin lets go some time later; this is now. */
	if (fd >= 0)
		(void)bpf_link_detach(fd);
	if (path)
		(void)unlink(path);
	/* Fails while other links are there: as it should. */
	(void)unlinkat(s->dir_fd, SFH_LINK_DIR, AT_REMOVEDIR);
}

/* --- the dispatcher ---------------------------------------------------------------------- */

static void multiprog_closep(struct xdp_multiprog **mp)
{
	xdp_multiprog__close(*mp);
}

static void program_closep(struct xdp_program **p)
{
	xdp_program__close(*p);
}

static void skel_destroyp(struct pf_xdp **skel)
{
	pf_xdp__destroy(*skel);
}

/* What is attached to the device; NULL if nothing is. */
static struct xdp_multiprog *attached_to(uint32_t ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

	return libxdp_get_error(mp) ? NULL : mp;
}

/* Ours in the dispatcher, after `prev` (NULL: the first); owned by mp. */
static struct xdp_program *ours_in(struct xdp_multiprog *mp, struct xdp_program *prev)
{
	if (!mp || xdp_multiprog__is_legacy(mp))
		return NULL;
	do {
		prev = xdp_multiprog__next_prog(prev, mp);
	} while (prev && strncmp(xdp_program__name(prev), "sfh_pf_xdp", 10) != 0);
	return prev;
}

/* libxdp loads the program itself, as a replacement of a stub in its dispatcher: for
 * each device another copy, on the same maps. */
static int copy_open(struct sfh_steer *s, const struct form *form, struct pf_xdp **ret,
		     struct xdp_program **ret_prog)
{
	_cleanup_(skel_destroyp) struct pf_xdp *skel = pf_xdp__open();
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = form->prog);
	struct xdp_program *prog;
	int r;

	if (!skel)
		return -errno;
	memcpy(skel->rodata, s->pf_xdp->rodata, sizeof(*skel->rodata));
	r = sfh_steer_lend_maps(s, skel->obj);
	if (r < 0)
		return r;
	opts.obj = skel->obj;
	prog = xdp_program__create(&opts);
	r = (int)libxdp_get_error(prog);
	if (r < 0)
		return r;
	r = xdp_program__set_run_prio(prog, SFH_XDP_PRIORITY);
	if (r == 0 && form->frags)
		r = xdp_program__set_xdp_frags_support(prog, true);
	if (r == 0)
		r = xdp_program__set_chain_call_enabled(prog, XDP_PASS, true);
	if (r < 0) {
		xdp_program__close(prog);
		return r;
	}
	*ret = TAKE_PTR(skel);
	*ret_prog = prog;
	return 0;
}

/* Attaches a copy; -EOPNOTSUPP if libxdp did so without its dispatcher, which is
 * undone. */
static int copy_attach(struct sfh_steer *s, const struct form *form, uint32_t ifindex,
		       enum xdp_attach_mode mode)
{
	_cleanup_(skel_destroyp) struct pf_xdp *skel = NULL;
	_cleanup_(program_closep) struct xdp_program *prog = NULL;
	_cleanup_(multiprog_closep) struct xdp_multiprog *mp = NULL;
	int r = copy_open(s, form, &skel, &prog);

	if (r == 0) {
		/* libxdp makes its directory once in a process, and the last detach took
		 * it away: the second `up` would find none. */
		(void)mkdir(LIBXDP_DIR, 0700);
		r = xdp_program__attach(prog, (int)ifindex, mode, 0);
	}
	if (r < 0) {
		(void)rmdir(LIBXDP_DIR); /* fails while somebody's dispatcher is there */
		return r;
	}
	mp = attached_to(ifindex);
	if (ours_in(mp, NULL))
		return 0;
	(void)xdp_program__detach(prog, (int)ifindex, mode, 0);
	return -EOPNOTSUPP;
}

struct trial {
	struct sfh_steer *s;
	const struct form *form; /* the one that loads */
	int result;
	char said[256];
};

static void *run_trial(void *arg)
{
	struct trial *t = arg;
	struct xdp_multiprog *mp;

	t->result = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	if (t->result < 0)
		return NULL;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(forms); i++) {
		listen_to_libxdp();
		t->form = &forms[i];
		t->result = copy_attach(t->s, t->form, LOOPBACK, XDP_MODE_SKB);
		if (t->result == 0)
			break;
		if (i == 0) /* the reasons of the others follow from it */
			(void)sfh_strcpy(t->said, sizeof(t->said),
					 libxdp_said[0] ? libxdp_said : sfh_steer_libbpf_says());
	}
	if (t->result == 0 && (mp = attached_to(LOOPBACK))) {
		(void)xdp_multiprog__detach(mp);
		xdp_multiprog__close(mp);
	}
	return NULL;
}

/* Whether our program runs in the dispatcher on this kernel. libxdp finds out while
 * it attaches, and then attaches without it: on a NIC that would be two resets for
 * nothing. So it is tried once where nobody is hurt, on the loopback device of a
 * network namespace that goes with its only thread. */
static int dispatcher_works(struct sfh_steer *s, const struct form **ret,
			    struct sfh_steer_pf_info *info)
{
	static struct trial trial = { .result = 1 };
	pthread_t thread;

	if (trial.result > 0) {
		trial.s = s;
		if (pthread_create(&thread, NULL, run_trial, &trial) != 0)
			return -EAGAIN;
		(void)pthread_join(thread, NULL);
	}
	if (trial.result < 0)
		because(info, "libxdp's dispatcher does not load here: %s",
			trial.said[0] ? trial.said : strerror(-trial.result));
	*ret = trial.form;
	return trial.result;
}

/* --- is it this build's? --------------------------------------------------------------------- */

struct loaded {
	struct bpf_prog_info info;
	uint32_t map_ids[32];
};

static int loaded_read(int fd, struct loaded *l)
{
	uint32_t len = sizeof(l->info);

	*l = (struct loaded){ .info = { .nr_map_ids = SFH_ARRAY_SIZE(l->map_ids),
					.map_ids = (uintptr_t)l->map_ids } };
	if (bpf_obj_get_info_by_fd(fd, &l->info, &len) < 0)
		return -errno;
	return l->info.nr_map_ids > SFH_ARRAY_SIZE(l->map_ids) ? -E2BIG : 0;
}

/* The constants it was loaded with are those of this build. */
static bool same_rodata(struct sfh_steer *s, uint32_t map_id)
{
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(map_id);
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), zero = 0;
	char value[sizeof(*s->pf_xdp->rodata)];

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(value) &&
	       bpf_map_lookup_elem(fd, &zero, value) == 0 &&
	       memcmp(value, s->pf_xdp->rodata, sizeof(value)) == 0;
}

/* The same instructions on the same maps with the same constants? */
static bool is_this_builds(struct sfh_steer *s, const struct xdp_program *prog)
{
	bool tag = strcmp(xdp_program__name(prog), "sfh_pf_xdp_tag") == 0;
	struct loaded theirs, ours;

	if (loaded_read(xdp_program__fd(prog), &theirs) < 0 ||
	    loaded_read(tag ? s->prog_pf_xdp_tag : s->prog_pf_xdp, &ours) < 0 ||
	    memcmp(theirs.info.tag, ours.info.tag, sizeof(ours.info.tag)) != 0 ||
	    theirs.info.nr_map_ids != ours.info.nr_map_ids)
		return false;
	for (uint32_t i = 0; i < ours.info.nr_map_ids; i++)
		if (theirs.map_ids[i] != ours.map_ids[i] && !same_rodata(s, theirs.map_ids[i]))
			return false;
	return true;
}

/* Takes ours off the dispatcher, but for the one with this id. The last program takes
 * the dispatcher with it. */
static int take_off(uint32_t ifindex, uint32_t but_id)
{
	int r = 0;

	for (int i = 0; i < 16 && r == 0; i++) {
		_cleanup_(multiprog_closep) struct xdp_multiprog *mp = attached_to(ifindex);
		struct xdp_program *p = ours_in(mp, NULL);

		while (p && xdp_program__id(p) == but_id)
			p = ours_in(mp, p);
		if (!p)
			return 0;
		r = xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(mp), 0);
	}
	return r;
}

static uint32_t newest_of_ours(uint32_t ifindex)
{
	_cleanup_(multiprog_closep) struct xdp_multiprog *mp = attached_to(ifindex);
	uint32_t newest = 0;

	for (struct xdp_program *p = ours_in(mp, NULL); p; p = ours_in(mp, p))
		if (xdp_program__id(p) > newest)
			newest = xdp_program__id(p);
	return newest;
}

/* An older agent's program makes room for ours without a gap: ours first. */
static int renew(struct sfh_steer *s, uint32_t ifindex, struct sfh_steer_pf_info *info)
{
	const struct form *form;
	int r = dispatcher_works(s, &form, info);

	if (r == 0)
		r = copy_attach(s, form, ifindex, XDP_MODE_NATIVE);
	return r < 0 ? r : take_off(ifindex, newest_of_ours(ifindex));
}

/* --- for steer_port.c -------------------------------------------------------------------------- */

enum sfh_xdp sfh_steer_xdp_look(struct sfh_steer *s, uint32_t ifindex)
{
	_cleanup_free_ char *path = link_path(s, ifindex);
	_cleanup_close_ int fd = path ? link_get(path, ifindex) : -1;
	_cleanup_(multiprog_closep) struct xdp_multiprog *mp = NULL;

	if (fd >= 0)
		return SFH_XDP_LINK;
	listen_to_libxdp();
	mp = attached_to(ifindex);
	return ours_in(mp, NULL) ? SFH_XDP_DISPATCHER : SFH_XDP_NONE;
}

bool sfh_steer_xdp_keep(struct sfh_steer *s, uint32_t ifindex, struct sfh_steer_pf_info *info)
{
	_cleanup_free_ char *path = link_path(s, ifindex);
	_cleanup_close_ int fd = path ? link_get(path, ifindex) : -1;
	_cleanup_(multiprog_closep) struct xdp_multiprog *mp = NULL;
	const struct form *form;
	struct xdp_program *p;
	int r = 0;

	listen_to_libxdp();
	if (fd >= 0) {
		info->xdp = SFH_XDP_LINK;
		r = bpf_link_update(fd, s->prog_pf_xdp, NULL);
		if (r == 0)
			(void)dispatcher_works(s, &form, info);
	} else {
		mp = attached_to(ifindex);
		p = ours_in(mp, NULL);
		if (!p)
			return false;
		info->xdp = SFH_XDP_DISPATCHER;
		if (!is_this_builds(s, p) || ours_in(mp, p))
			r = renew(s, ifindex, info);
	}
	info->xdp_error = r;
	if (r < 0)
		because(info, "an older program stays: %s", strerror(-r));
	return true;
}

int sfh_steer_xdp_attach(struct sfh_steer *s, uint32_t ifindex, struct sfh_steer_pf_info *info)
{
	_cleanup_(multiprog_closep) struct xdp_multiprog *mp = NULL;
	const struct form *form;
	struct xdp_program *other;
	int r;

	listen_to_libxdp();
	mp = attached_to(ifindex);
	if (mp && xdp_multiprog__is_legacy(mp)) {
		other = xdp_multiprog__main_prog(mp);
		because(info,
			"another XDP program is attached without libxdp's dispatcher%s%s%s: attach it "
			"with xdp-loader, and there is room for both",
			other ? " ('" : "", other ? xdp_program__name(other) : "",
			other ? "')" : "");
		return -EBUSY;
	}
	info->xdp = SFH_XDP_DISPATCHER;
	r = dispatcher_works(s, &form, info);
	if (r == 0) {
		listen_to_libxdp();
		r = copy_attach(s, form, ifindex, XDP_MODE_NATIVE);
	} else if (!mp) {
		info->xdp = SFH_XDP_LINK;
		r = link_make(s, ifindex);
		if (r == -EBUSY || r == -EEXIST)
			because(info, "another XDP program is attached");
	}
	if (r == 0)
		return 0;
	info->xdp = SFH_XDP_NONE;
	if (!info->xdp_why[0] || r != -EBUSY)
		because(info, "the driver refused native XDP: %s", strerror(-r));
	return r;
}

int sfh_steer_xdp_detach(struct sfh_steer *s, uint32_t ifindex)
{
	int r;

	listen_to_libxdp();
	link_remove(s, ifindex);
	r = take_off(ifindex, 0);
	/* Of a dispatcher that somebody threw off the device, or a device that is gone. */
	(void)libxdp_clean_references((int)ifindex);
	(void)rmdir(LIBXDP_DIR); /* fails while somebody's dispatcher is there */
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}
