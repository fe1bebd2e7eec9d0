// SPDX-License-Identifier: GPL-2.0-or-later
/* A network comes up and goes down on a host in (shared) memory: every call that it
 * makes, to the kernel, libvirt or the ledger, is made to fail in turn, and to be the last
 * one of a process that is killed; at both sides of it. Nothing may be left. */
#include "ctl/core/netsetup.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PFS 2
#define VFS 3

struct pf {
	bool gone;
	int ifindex;
	uint64_t generation;
	bool up, autoprobe, attached, parklink;
	unsigned num_vfs;
	char driver[VFS][16];
	int master;
};

/* What outlives the process. */
struct host {
	struct pf pf[PFS];
	bool bridge, active;
	unsigned calls;
	bool killed;
};

static struct host *host; /* shared with the child */
static struct sfh_ledger *ledger;
static char dir[] = "/tmp/sfh-netsetup-XXXXXX", path[64];
static unsigned fail_at, die_at; /* number of a call, or of a side of one */
static bool sqlite_fails;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void side(void)
{
	if (die_at && ++host->calls == die_at) {
		host->killed = true;
		_exit(0);
	}
}

/* Whether this call is the one that fails. */
static bool fails(void)
{
	side();
	return fail_at && ++host->calls == fail_at;
}

static int done(int r)
{
	side();
	return r;
}

#define CALL(err, change)                                                                          \
	do {                                                                                       \
		if (fails())                                                                       \
			return sfh_err(err, -EIO, "this one fails");                               \
		change;                                                                            \
	} while (0)

static int on_commit(void *ctx)
{
	(void)ctx;
	if (die_at)
		side();
	return sqlite_fails && fail_at && ++host->calls == fail_at;
}

static int on_open(sqlite3 *db, const char **err, const void *thunk)
{
	(void)err, (void)thunk;
	(void)sqlite3_commit_hook(db, on_commit, NULL);
	return SQLITE_OK;
}

/* --- the kernel ---------------------------------------------------------------------------- */

static struct pf *by_dev(const char *dev)
{
	return &host->pf[dev[2] - '0'];
}

static struct pf *by_ifindex(int ifindex)
{
	for (int i = 0; i < PFS; i++)
		if (host->pf[i].ifindex == ifindex)
			return &host->pf[i];
	return NULL;
}

static int iommu_check(const struct sfh_env *env, struct sfh_error *err)
{
	(void)env;
	CALL(err, );
	return 0;
}

static int pf_read(const struct sfh_env *env, const char *dev, struct sfh_pf **ret,
		   struct sfh_error *err)
{
	const struct pf *p = by_dev(dev);
	struct sfh_pf *pf;

	(void)env;
	if (p->gone)
		return sfh_err(err, -ENODEV, "no '%s'", dev);
	CALL(err, );
	pf = calloc(1, sizeof(*pf));
	pf->vfs = calloc(VFS, sizeof(*pf->vfs));
	(void)strcpy(pf->dev, dev);
	(void)strcpy(pf->driver, "igb");
	pf->ifindex = p->ifindex;
	pf->bdf.bus = (uint8_t)(p - host->pf);
	pf->total_vfs = VFS;
	pf->num_vfs = p->num_vfs;
	pf->generation = p->num_vfs ? p->generation : 0;
	for (unsigned i = 0; i < p->num_vfs; i++) {
		pf->vfs[i].index = i;
		pf->vfs[i].bdf = (struct sfh_bdf){ .bus = pf->bdf.bus, .slot = 16,
						   .function = (uint8_t)i };
		(void)strcpy(pf->vfs[i].driver, p->driver[i]);
	}
	*ret = pf;
	return 0;
}

static int get_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool *ret,
			 struct sfh_error *err)
{
	(void)env;
	CALL(err, *ret = by_dev(pf->dev)->autoprobe);
	return 0;
}

static int set_autoprobe(const struct sfh_env *env, const struct sfh_pf *pf, bool on,
			 struct sfh_error *err)
{
	(void)env;
	CALL(err, by_dev(pf->dev)->autoprobe = on);
	return done(0);
}

static int set_num_vfs(const struct sfh_env *env, const struct sfh_pf *pf, unsigned n,
		       struct sfh_error *err)
{
	struct pf *p = by_dev(pf->dev);

	(void)env;
	CALL(err, p->num_vfs = n);
	p->generation++;
	memset(p->driver, 0, sizeof(p->driver));
	return done(0);
}

static int bind(const struct sfh_env *env, const struct sfh_bdf *bdf, const char *driver,
		struct sfh_error *err)
{
	(void)env;
	CALL(err, (void)strncpy(host->pf[bdf->bus].driver[bdf->function], driver ? driver : "", 16));
	return done(0);
}

static bool in_use(const struct sfh_env *env, const struct sfh_bdf *bdf)
{
	(void)env, (void)bdf;
	return false;
}

static int link_get(struct sfh_nl *nl, const char *name, struct sfh_link *ret,
		    struct sfh_error *err)
{
	(void)nl;
	if (strcmp(name, "br") == 0 && !host->bridge)
		return sfh_err(err, -ENODEV, "no bridge");
	CALL(err, *ret = (struct sfh_link){ .ifindex = 99 });
	if (strcmp(name, "br") != 0)
		*ret = (struct sfh_link){ .ifindex = by_dev(name)->ifindex, .up = by_dev(name)->up };
	return 0;
}

static int link_set_up(struct sfh_nl *nl, int ifindex, bool up, struct sfh_error *err)
{
	(void)nl;
	CALL(err, if (by_ifindex(ifindex)) by_ifindex(ifindex)->up = up);
	return done(0);
}

static int link_set_master(struct sfh_nl *nl, int ifindex, int master, struct sfh_error *err)
{
	(void)nl;
	CALL(err, by_ifindex(ifindex)->master = master);
	return done(0);
}

static int bridge_add(struct sfh_nl *nl, const char *name, struct sfh_error *err)
{
	(void)nl, (void)name;
	CALL(err, host->bridge = true);
	return done(0);
}

static int vlan_add(struct sfh_nl *nl, const char *name, int lower, uint16_t vid,
		    struct sfh_error *err)
{
	(void)nl, (void)name, (void)vid;
	if (by_ifindex(lower)->parklink)
		return sfh_err(err, -EEXIST, "it is there");
	CALL(err, by_ifindex(lower)->parklink = true);
	return done(0);
}

static int link_del(struct sfh_nl *nl, const char *name, struct sfh_error *err)
{
	(void)nl;
	CALL(err, );
	if (strcmp(name, "br") == 0)
		host->bridge = false;
	else
		by_ifindex(atoi(name + strlen("sfhpark")))->parklink = false;
	return done(0);
}

static int addr_count(struct sfh_nl *nl, int ifindex, unsigned *ret, struct sfh_error *err)
{
	(void)nl, (void)ifindex;
	CALL(err, *ret = 0);
	return 0;
}

static int ports(struct sfh_nl *nl, int master, struct sfh_link *ret, size_t n,
		 struct sfh_error *err)
{
	int found = 0;

	(void)nl, (void)ret, (void)n;
	CALL(err, );
	for (int i = 0; i < PFS; i++)
		found += host->pf[i].master == master;
	return found;
}

static int attach(struct sfh_steer *s, uint32_t ifindex, bool want_xdp,
		  struct sfh_steer_pf_info *ret, struct sfh_error *err)
{
	(void)s;
	CALL(err, by_ifindex((int)ifindex)->attached = true);
	ret->xdp = want_xdp ? SFH_XDP_DISPATCHER : SFH_XDP_NONE;
	return done(0);
}

static int detach(struct sfh_steer *s, uint32_t ifindex, struct sfh_error *err)
{
	(void)s;
	CALL(err, if (by_ifindex((int)ifindex)) by_ifindex((int)ifindex)->attached = false);
	return done(0);
}

static const struct sfh_pf_ops kernel = {
	iommu_check, pf_read,	 get_autoprobe,	  set_autoprobe, set_num_vfs, bind,
	in_use,	     link_get,	 link_set_up,	  link_set_master, bridge_add,	vlan_add,
	link_del,    addr_count, ports,		  attach,	 detach,
};

/* --- libvirt ---------------------------------------------------------------------------------- */

static bool active(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return host->active;
}

static int start(void *ctx, const char *name, struct sfh_error *err)
{
	(void)ctx, (void)name;
	CALL(err, host->active = true);
	return done(0);
}

static int stop(void *ctx, const char *name, struct sfh_error *err)
{
	(void)ctx, (void)name;
	CALL(err, host->active = false);
	return done(0);
}

static int guests(void *ctx, struct sfh_error *err)
{
	(void)ctx;
	CALL(err, );
	return 0;
}

static const struct sfh_net_hv hv = { active, start, stop, guests };

/* --- the network -------------------------------------------------------------------------------- */

static const struct sfh_net_pf net_pfs[PFS] = { { "pf0", 0 }, { "pf1", 2 } };

static struct sfh_netsetup net(void)
{
	struct sfh_netsetup s = {
		.row = { .name = "blue", .mode = "linux-bridge", .policy = "prefer", .bridge = "br" },
		.pf = { .ops = &kernel, .steer_lock = &lock, .ledger = ledger, .network = "blue",
			.bridge = "br" },
		.pfs = net_pfs,
		.npfs = PFS,
		.hv = &hv,
	};

	return s;
}

static void open_ledger(void)
{
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_ledger_open(path, true, &ledger, &err), 0, "%s", err.text);
}

/* pf1 has a VF more than none before us, bound to a driver of the host. */
static void fresh_host(void)
{
	char file[80];

	fail_at = die_at = 0;
	*host = (struct host){ .active = false };
	for (int i = 0; i < PFS; i++)
		host->pf[i] = (struct pf){ .ifindex = 10 + i, .generation = 100, .autoprobe = true };
	host->pf[1].up = true;
	host->pf[1].num_vfs = 2;
	sfh_ledger_close(&ledger);
	for (const char *const *s = (const char *const[]){ "", "-wal", "-shm", NULL }; *s; s++) {
		(void)snprintf(file, sizeof(file), "%s%s", path, *s);
		(void)unlink(file);
	}
	open_ledger();
	fail_at = die_at = 0;
	host->calls = 0;
}

static int count_any(void *ctx, const void *row)
{
	(void)row;
	(*(unsigned *)ctx)++;
	return 0;
}

static unsigned rows(void)
{
	unsigned n = 0;

	(void)sfh_ledger_networks(ledger, (int (*)(void *, const struct sfh_ledger_network *))count_any,
				  &n);
	(void)sfh_ledger_pfs(ledger, (int (*)(void *, const struct sfh_ledger_pf *))count_any, &n);
	(void)sfh_ledger_vfs(ledger, (int (*)(void *, const struct sfh_ledger_vf *))count_any, &n);
	return n;
}

/* Generations apart, which no one can put back. */
static bool same(const struct host *a, const struct host *b)
{
	struct host x = *a, y = *b;

	for (int i = 0; i < PFS; i++)
		x.pf[i].generation = y.pf[i].generation = 0;
	return memcmp(x.pf, y.pf, sizeof(x.pf)) == 0 && x.bridge == y.bridge && x.active == y.active;
}

static bool is_up(void)
{
	struct sfh_ledger_network row;
	const struct pf *p = host->pf;

	return sfh_ledger_network_get(ledger, "blue", &row) == 0 && row.phase == SFH_NETWORK_UP &&
	       !row.trouble[0] && host->active && host->bridge && p[0].num_vfs == VFS &&
	       p[1].num_vfs == 2 && p[0].attached && p[1].attached && p[0].master == 99 &&
	       p[1].master == 99 && p[0].parklink && p[1].parklink && p[0].up && !p[0].autoprobe &&
	       strcmp(p[0].driver[VFS - 1], "vfio-pci") == 0 && strcmp(p[1].driver[1], "vfio-pci") == 0;
}

static void setup(void)
{
	host = mmap(NULL, sizeof(*host), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(host, MAP_FAILED);
	cr_assert(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/ledger.db", dir);
	(void)sqlite3_initialize();
	(void)sqlite3_auto_extension((void (*)(void))on_open);
}

static void teardown(void)
{
	char command[96];

	sfh_ledger_close(&ledger);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(netsetup, .init = setup, .fini = teardown, .timeout = 120);

Test(netsetup, up_and_down_leave_what_was)
{
	struct sfh_error err = { 0 };
	struct sfh_netsetup s;
	struct host before;

	fresh_host();
	before = *host;
	s = net();
	cr_assert_eq(sfh_net_up(&s, &err), 0, "%s", err.text);
	cr_assert(is_up());
	cr_assert_eq(sfh_net_up(&s, &err), 0, "again: %s", err.text);
	cr_assert(is_up());
	cr_assert_eq(sfh_net_down(&s, &err), 0, "%s", err.text);
	cr_assert(same(host, &before));
	cr_assert_eq(rows(), 0);
}

Test(netsetup, a_bridge_that_was_there_stays)
{
	struct sfh_netsetup s;

	fresh_host();
	host->bridge = true;
	s = net();
	cr_assert_eq(sfh_net_up(&s, NULL), 0);
	cr_assert_eq(sfh_net_down(&s, NULL), 0);
	cr_assert(host->bridge);
}

static int note_xdp(void *ctx, const struct sfh_ledger_pf *row)
{
	return sfh_strcpy(ctx, sizeof(row->xdp), row->xdp);
}

static void xdp_is(const char *mode, const char *bridge, const char *want)
{
	char xdp[sizeof(((struct sfh_ledger_pf *)0)->xdp)] = "";
	struct sfh_netsetup s;

	fresh_host();
	s = net();
	(void)strcpy(s.row.mode, mode);
	(void)strcpy(s.row.bridge, bridge);
	s.pf.bridge = bridge;
	cr_assert_eq(sfh_net_up(&s, NULL), 0);
	cr_assert_eq(sfh_ledger_pfs(ledger, note_xdp, xdp), 0);
	cr_assert_str_eq(xdp, want);
	cr_assert_eq(sfh_net_down(&s, NULL), 0);
}

Test(netsetup, xdp_is_for_taps)
{
	xdp_is("linux-bridge", "br", "dispatcher");
	xdp_is("macvtap-bridge", "", "tc-only: a network on macvtap has no use for XDP");
}

/* Every call of `up` fails in turn: the host is as it was, and the ledger empty. */
static unsigned up_fails_everywhere(void)
{
	for (unsigned n = 1;; n++) {
		struct sfh_error err = { 0 };
		struct sfh_netsetup s;
		struct host before;

		fresh_host();
		before = *host;
		s = net();
		fail_at = n;
		if (sfh_net_up(&s, &err) == 0)
			return n - 1;
		fail_at = 0;
		cr_assert(err.text[0], "call %u", n);
		cr_assert(same(host, &before), "call %u of up fails (%s) and something stays", n,
			  err.text);
		cr_assert_eq(rows(), 0, "call %u of up fails (%s) and a row stays", n, err.text);
	}
}

Test(netsetup, every_call_of_up_fails_in_turn)
{
	cr_expect_gt(up_fails_everywhere(), 25);
	sqlite_fails = true;
	cr_expect_gt(up_fails_everywhere(), 35, "with the ledger's commits");
}

/* A refresh that fails takes nothing from the guests that run. */
Test(netsetup, every_call_of_a_refresh_fails_in_turn)
{
	unsigned n = 1;

	for (int r = -1; r < 0; n++) {
		struct sfh_ledger_network row;
		struct sfh_netsetup s;
		struct host up;

		fresh_host();
		s = net();
		cr_assert_eq(sfh_net_up(&s, NULL), 0);
		up = *host;
		host->calls = 0;
		fail_at = n;
		r = sfh_net_up(&s, NULL);
		fail_at = 0;
		cr_assert(same(host, &up), "call %u", n);
		cr_assert_eq(sfh_ledger_network_get(ledger, "blue", &row), 0);
		cr_assert_eq(row.phase, SFH_NETWORK_UP);
		cr_assert_eq(r < 0, row.trouble[0] != '\0', "call %u: '%s'", n, row.trouble);
		cr_assert_eq(sfh_net_up(&s, NULL), 0);
		cr_assert(is_up(), "call %u: tried again", n);
	}
	cr_expect_gt(n, 6);
}

/* Every call of `down` fails in turn: what is left is known, and a second `down` ends it. */
Test(netsetup, every_call_of_down_fails_in_turn)
{
	unsigned n = 1;

	for (bool failed = true; failed; n++) {
		struct sfh_error err = { 0 };
		struct sfh_netsetup s;
		struct host before;
		int r;

		fresh_host();
		before = *host;
		s = net();
		cr_assert_eq(sfh_net_up(&s, NULL), 0);
		host->calls = 0;
		fail_at = n;
		r = sfh_net_down(&s, &err);
		failed = host->calls >= n;
		fail_at = 0;
		if (r < 0 && host->active) /* libvirt refused: nothing has changed */
			cr_assert(is_up(), "call %u: %s", n, err.text);
		if (r == 0) /* what failed did not matter */
			cr_assert_eq(rows(), 0, "call %u", n);
		cr_assert_eq(sfh_net_down(&s, &err), 0, "call %u, again: %s", n, err.text);
		cr_assert(same(host, &before),
			  "call %u fails, and the second down leaves: VFs %u %u, attached %d %d, master %d "
			  "%d, park %d %d, up %d %d, probe %d %d, bridge %d, drivers '%s' '%s'",
			  n, host->pf[0].num_vfs, host->pf[1].num_vfs, host->pf[0].attached,
			  host->pf[1].attached, host->pf[0].master, host->pf[1].master,
			  host->pf[0].parklink, host->pf[1].parklink, host->pf[0].up, host->pf[1].up,
			  host->pf[0].autoprobe, host->pf[1].autoprobe, host->bridge,
			  host->pf[0].driver[VFS - 1], host->pf[1].driver[1]);
		cr_assert_eq(rows(), 0, "call %u", n);
	}
	cr_expect_gt(n, 15);
}

/* A PF whose driver was reloaded has another ifindex and no VFs. */
Test(netsetup, a_pf_that_came_back_is_set_up_again)
{
	struct sfh_netsetup s;

	fresh_host();
	s = net();
	cr_assert_eq(sfh_net_up(&s, NULL), 0);
	host->pf[0] = (struct pf){ .ifindex = 30, .generation = 7, .autoprobe = true };
	cr_assert_eq(sfh_net_up(&s, NULL), 0);
	cr_assert(is_up());
	cr_assert_eq(sfh_net_down(&s, NULL), 0);
	cr_assert_eq(host->pf[0].num_vfs, 0);
	cr_assert_eq(rows(), 0);
}

Test(netsetup, a_pf_that_is_gone_leaves_no_row)
{
	struct sfh_netsetup s;

	fresh_host();
	s = net();
	cr_assert_eq(sfh_net_up(&s, NULL), 0);
	host->pf[0].gone = true;
	cr_assert_lt(sfh_net_up(&s, NULL), 0);
	cr_assert_gt(rows(), 0, "it is still meant to be up");
	cr_assert_eq(sfh_net_down(&s, NULL), 0);
	cr_assert_eq(rows(), 0);
}

/* --- kill -9 ------------------------------------------------------------------------------------ */

static void before_up(const struct sfh_netsetup *s)
{
	(void)s;
}

static void before_others(const struct sfh_netsetup *s)
{
	cr_assert_eq(sfh_net_up(s, NULL), 0);
}

static int refresh_lost(const struct sfh_netsetup *s, struct sfh_error *err)
{
	return sfh_net_up(s, err);
}

static void lose_a_pf(const struct sfh_netsetup *s)
{
	before_others(s);
	host->pf[0] = (struct pf){ .ifindex = 30, .generation = 7, .autoprobe = true };
}

static const struct {
	const char *name;
	void (*before)(const struct sfh_netsetup *s);
	int (*run)(const struct sfh_netsetup *s, struct sfh_error *err);
	bool ends_up;
} stories[] = {
	{ "up", before_up, sfh_net_up, true },
	{ "refresh", before_others, sfh_net_up, true },
	{ "refresh with a PF that came back", lose_a_pf, refresh_lost, true },
	{ "down", before_others, sfh_net_down, false },
};

/* False once the story came to its end before. */
static bool killed_at(size_t i, unsigned n)
{
	struct sfh_ledger_network row;
	struct sfh_error err = { 0 };
	struct sfh_netsetup s;
	struct host before;
	int status = -1;
	bool going;
	pid_t pid;

	fresh_host();
	before = *host;
	sfh_ledger_close(&ledger);
	pid = fork();
	if (pid == 0) {
		open_ledger();
		s = net();
		stories[i].before(&s);
		host->calls = 0;
		die_at = n;
		_exit(stories[i].run(&s, NULL) < 0);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s, %u: the child failed",
		  stories[i].name, n);
	/* As the agent does when it takes over. */
	open_ledger();
	s = net();
	if (sfh_ledger_network_get(ledger, "blue", &row) == 0) {
		going = row.phase >= SFH_NETWORK_GOING;
		cr_assert_eq((going ? sfh_net_down : sfh_net_up)(&s, &err), 0,
			     "%s, killed at %u: %s", stories[i].name, n, err.text);
		cr_assert(going || is_up(),
			  "%s, killed at %u: not up: VFs %u %u, attached %d %d, master %d %d, park %d %d, "
			  "drivers %s %s",
			  stories[i].name, n, host->pf[0].num_vfs, host->pf[1].num_vfs,
			  host->pf[0].attached, host->pf[1].attached, host->pf[0].master,
			  host->pf[1].master, host->pf[0].parklink, host->pf[1].parklink,
			  host->pf[0].driver[VFS - 1], host->pf[1].driver[1]);
	}
	cr_assert_eq(sfh_net_down(&s, &err), 0, "%s, killed at %u: %s", stories[i].name, n, err.text);
	if (host->pf[0].ifindex == 30)
		before.pf[0].ifindex = 30;
	cr_assert(same(host, &before), "%s, killed at %u: something is left", stories[i].name, n);
	cr_assert_eq(rows(), 0, "%s, killed at %u: a row is left", stories[i].name, n);
	return host->killed;
}

Test(netsetup, killed_at_every_boundary)
{
	unsigned total = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(stories); i++) {
		unsigned n = 1;

		while (killed_at(i, n))
			n++;
		cr_expect_gt(n, 10, "'%s' has few boundaries", stories[i].name);
		total += n - 1;
	}
	(void)fprintf(stderr, "kill: up and down, %u boundaries\n", total);
}
