// SPDX-License-Identifier: GPL-2.0-or-later
/* bench-warm [--pairs N] [--seconds S] [--idle S] [--only macvtap|tap]
 * [--json FILE]: what it costs the agent to keep
 * N standby legs warm, natively: veth PFs, real macvtaps and taps in a network namespace of its
 * own, the agent's engine and probes as they are, and a process that reads all devices in the
 * guests' place. Then the first frame after an idle time, probing on against off.
 * Exit status 1 if a core is used for more than 2 %, or a leg is not warm. */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "ctl/agent/agent.h"
#include "ctl/core/steer_priv.h"
#include "ctl/engine/warm.h"
#include "sfhybrid/cold.h"

#define PFS 8
#define BOUND_PERCENT 2.0
#define FIRST_PROTO 0x88b5 /* the frame whose way is timed */

static struct {
	unsigned pairs, seconds, idle, interval_ms;
	struct sfh_agent agent;
	struct sfh_pair *pair;
	int *fd;
	int wire[PFS];
	uint32_t pf[PFS];
	struct shared {
		volatile uint64_t got_ns; /* when the reader had the frame */
	} *shared;
	json_t *results;
	bool missed;
} B;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fprintf(stderr, "bench-warm: ");
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

int sfh_agent_pair_view(struct sfh_agent *a, const struct sfh_pair *p, struct sfh_pair_view *ret)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);

	return sfh_steer_get(a->steer, &key, ret);
}

void sfh_agent_log(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority > 4) /* LOG_WARNING */
		return;
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "\n");
	va_end(ap);
}

static void result(const char *key, const char *what, const char *unit, double value, double bound)
{
	bool ok = bound <= 0 || value <= bound;
	json_t *o = json_pack("{s:s, s:s, s:s, s:f}", "key", key, "what", what, "unit", unit, "value",
			      value);

	if (bound > 0) {
		(void)json_object_set_new(o, "bound", json_real(bound));
		(void)json_object_set_new(o, "ok", json_boolean(ok));
	}
	(void)json_array_append_new(B.results, o);
	if (bound > 0)
		(void)printf("  %-4s %-66s %10.3f %-9s <= %g\n", ok ? "ok" : "MISS", what, value, unit,
			     bound);
	else
		(void)printf("       %-66s %10.3f %s\n", what, value, unit);
	(void)fflush(stdout);
	B.missed |= !ok;
}

/* --- devices -------------------------------------------------------------------------- */

static FILE *batch_open(void)
{
	FILE *f = popen("ip -batch - >/dev/null", "w");

	if (!f)
		die("cannot run ip: %s", strerror(errno));
	return f;
}

static void batch_close(FILE *f)
{
	if (pclose(f) != 0)
		die("ip failed");
}

static struct sfh_mac mac_of(unsigned i)
{
	return (struct sfh_mac){ { 0x52, 0x54, 0, 0, (uint8_t)(i >> 8), (uint8_t)i } };
}

static int open_macvtap(const char *name)
{
	unsigned major, minor;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char path[128];
	FILE *f;
	int fd;

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/tap%u/dev", name, if_nametoindex(name));
	f = fopen(path, "re");
	if (!f || fscanf(f, "%u:%u", &major, &minor) != 2)
		die("cannot read %s", path);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "/mnt/%s", name);
	if (mknod(path, S_IFCHR | 0600, makedev(major, minor)) < 0)
		die("mknod: %s", strerror(errno));
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("cannot open %s: %s", name, strerror(errno));
	return fd;
}

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	(void)sfh_strcpy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("cannot make a tap: %s", strerror(errno));
	return fd;
}

static void make_devices(bool tap)
{
	FILE *ip = batch_open();
	char name[16], mac[SFH_MAC_STRLEN];

	for (unsigned p = 0; p < PFS; p++)
		(void)fprintf(ip, "link add pf%u type veth peer name wire%u\nlink set pf%u up\n"
				  "link set wire%u up\n", p, p, p, p);
	for (unsigned i = 0; !tap && i < B.pairs; i++) {
		struct sfh_mac m = mac_of(i);

		(void)fprintf(ip, "link add link pf%u name s%u address %s type macvtap mode bridge\n",
			      i % PFS, i, sfh_mac_format(&m, mac));
	}
	batch_close(ip);
	for (unsigned i = 0; tap && i < B.pairs; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		B.fd[i] = open_tap(name);
	}
	ip = batch_open();
	for (unsigned i = 0; i < B.pairs; i++)
		(void)fprintf(ip, "link set s%u up\n", i);
	batch_close(ip);
	for (unsigned i = 0; !tap && i < B.pairs; i++) {
		(void)snprintf(name, sizeof(name), "s%u", i);
		B.fd[i] = open_macvtap(name);
	}
}

/* The guests: whatever comes is taken at once. */
static pid_t start_readers(void)
{
	pid_t pid = fork();
	char buf[2048];
	int ep;

	if (pid != 0)
		return pid;
	ep = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < B.pairs; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = B.fd[i] };

		(void)epoll_ctl(ep, EPOLL_CTL_ADD, B.fd[i], &ev);
	}
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, -1);

		for (int k = 0; k < n; k++)
			while (read(ev[k].data.fd, buf, sizeof(buf)) > 0)
				if ((uint8_t)buf[12] == FIRST_PROTO >> 8 &&
				    (uint8_t)buf[13] == (FIRST_PROTO & 0xff))
					B.shared->got_ns = sfh_now_ns();
	}
}

/* --- the agent ---------------------------------------------------------------------------- */

static int seen(void *ctx, const struct sfh_pair *p, struct sfh_pair_seen *ret)
{
	(void)ctx;
	(void)p;
	*ret = (struct sfh_pair_seen){ .first_frame = true, .ip4 = 1, .ip4_ns = sfh_now_ns() };
	return 0;
}

static const struct sfh_kernel_ops ops = {
	.seen = seen,
	.warm_begin = sfh_warmer_begin,
	.warm_send = sfh_warmer_send,
	.warm_check = sfh_warmer_check,
	.warm_why = sfh_warmer_why,
	.warm_tell = sfh_warmer_tell,
	.warm_stop = sfh_warmer_stop,
};

static void engine_log(void *ctx, int priority, const char *text)
{
	(void)ctx;
	sfh_agent_log(priority, "%s", text);
}

static const struct sfh_engine_listener listener = { .log = engine_log };

static void start_agent(bool tap)
{
	struct sfh_error err = { 0 };
	struct sfh_steer_config cfg = { .bpffs = "/sys/fs/bpf" };
	struct sfh_engine_network net = { .name = "bench", .npfs = PFS,
					  .probe_interval_ms = B.interval_ms };
	enum sfh_standby_kind kind = tap ? SFH_STANDBY_TAP : SFH_STANDBY_MACVTAP;

	B.agent = (struct sfh_agent){ .env = SFH_ENV_DEFAULT };
	if (sfh_steer_open(&cfg, &B.agent.steer, &err) < 0)
		die("%s", err.text);
	sfh_engine_init(&B.agent.engine, &ops, &B.agent, NULL, NULL, &listener, NULL, NULL);
	for (unsigned p = 0; p < PFS; p++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "pf%u", p);
		B.pf[p] = if_nametoindex(name);
		if (sfh_steer_pf_attach(B.agent.steer, B.pf[p], tap, NULL, &err) < 0)
			die("%s", err.text);
		(void)snprintf(name, sizeof(name), "wire%u", p);
		B.wire[p] = (int)if_nametoindex(name);
	}
	if (sfh_engine_network_add(&B.agent.engine, &net) < 0)
		die("out of memory");
	B.pair = calloc(B.pairs, sizeof(*B.pair));
	for (unsigned i = 0; i < B.pairs; i++) {
		struct sfh_pair *p = &B.pair[i];
		struct sfh_guest_key key;

		*p = (struct sfh_pair){ .mac = mac_of(i), .pf_ifindex = (int)B.pf[i % PFS],
					.network = "bench", .kind = kind, .running = true,
					.state = SFH_PAIR_VF };
		(void)snprintf(p->domain_name, sizeof(p->domain_name), "guest%u", i);
		(void)snprintf(p->standby, sizeof(p->standby), "s%u", i);
		p->standby_ifindex = (int)if_nametoindex(p->standby);
		key = sfh_agent_key_of(p);
		if (sfh_steer_standby_attach(B.agent.steer, (uint32_t)p->standby_ifindex, kind, &err) < 0 ||
		    sfh_steer_stage(B.agent.steer, &key, (uint32_t)p->standby_ifindex, kind, false, &err) < 0 ||
		    sfh_steer_arm(B.agent.steer, &key, &err) < 0)
			die("%s", err.text);
		p->next = B.agent.engine.pairs;
		B.agent.engine.pairs = p;
	}
}

static void stop_agent(void)
{
	sfh_warmer_close(&B.agent);
	(void)sfh_steer_remove_pins(B.agent.steer, NULL);
	sfh_steer_close(&B.agent.steer);
	B.agent.engine.pairs = NULL; /* ours, not the engine's */
	B.agent.engine.inventory = NULL;
	sfh_engine_done(&B.agent.engine);
	free(B.pair);
}

static void probing(bool on)
{
	B.agent.engine.networks->probe_interval_ms = on ? B.interval_ms : 0;
}

/* The agent's loop, for so long. Returns the longest turn, in ns. */
static uint64_t run_for(double seconds)
{
	uint64_t end = sfh_now_ns() + (uint64_t)(seconds * 1e9), longest = 0;

	for (;;) {
		uint64_t next, now, t;

		sfh_engine_warm_look(&B.agent.engine);
		next = sfh_engine_next(&B.agent.engine);
		now = sfh_now_ns();
		if (now >= end)
			return longest;
		if (next > end)
			next = end;
		if (next > now) {
			struct timespec ts = { (time_t)(next / 1000000000), (long)(next % 1000000000) };

			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		}
		t = sfh_now_ns();
		sfh_engine_tick(&B.agent.engine);
		t = sfh_now_ns() - t;
		longest = t > longest ? t : longest;
	}
}

static double cpu_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure_cost(const char *kind)
{
	char key[64], what[128];
	double cpu, *latency = calloc(B.pairs, sizeof(*latency));
	uint64_t longest;
	unsigned cold = 0, n = 0;

	(void)run_for(2.5 * B.interval_ms / 1000.0); /* legs are made, all are known */
	cpu = cpu_now();
	longest = run_for(B.seconds);
	cpu = cpu_now() - cpu;
	for (unsigned i = 0; i < B.pairs; i++) {
		const struct sfh_warm_view *w = &B.pair[i].warm;

		if (w->state == SFH_WARM_WARM)
			latency[n++] = w->latency_ns / 1000.0;
		else if (cold++ < 3)
			(void)printf("       s%u is not warm: %s\n", i, sfh_cold_name(w->cold));
	}
	qsort(latency, n, sizeof(*latency), compare);
#define KEY(name) ((void)snprintf(key, sizeof(key), "%s_" name, kind), key)
#define WHAT(...) ((void)snprintf(what, sizeof(what), __VA_ARGS__), what)
	result(KEY("cpu"), WHAT("%s: agent's CPU, %u pairs every %u ms", kind, B.pairs, B.interval_ms),
	       "% of core", 100 * cpu / B.seconds, BOUND_PERCENT);
	result(KEY("cold"), WHAT("%s: legs that are not warm", kind), "legs", cold, 0.5);
	result(KEY("turn"), WHAT("%s: longest time that the event loop was busy with it", kind), "ms",
	       (double)longest / 1e6, 0);
	if (n) {
		result(KEY("latency_p50"), WHAT("%s: PF to standby device, median", kind), "us",
		       latency[n / 2], 0);
		result(KEY("latency_p99"), WHAT("%s: PF to standby device, 99th percentile", kind),
		       "us", latency[n * 99 / 100], 0);
	}
	free(latency);
}

/* --- the first frame after an idle time ------------------------------------------------------- */

#define FIRSTS 64 /* pairs that it is measured on */

static double first_frame(unsigned i)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = B.wire[i % PFS], .sll_halen = 6 };
	uint8_t frame[60] = { 0 };
	struct sfh_mac m = mac_of(i);
	static int fd = -1;
	uint64_t sent;

	if (fd < 0)
		fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	memcpy(frame, m.b, 6);
	memcpy(frame + 6, "\x52\x54\x00\xff\xff\x01", 6);
	frame[12] = FIRST_PROTO >> 8;
	frame[13] = FIRST_PROTO & 0xff;
	B.shared->got_ns = 0;
	sent = sfh_now_ns();
	if (sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("send: %s", strerror(errno));
	while (!B.shared->got_ns)
		if (sfh_now_ns() - sent > 1000000000)
			return 1e6;
		else
			(void)sched_yield();
	return (double)(B.shared->got_ns - sent) / 1000;
}

static void measure_first(const char *kind, bool on)
{
	unsigned n = B.pairs < FIRSTS ? B.pairs : FIRSTS;
	char key[64], what[128];
	double us[FIRSTS];

	probing(on);
	(void)run_for(B.idle);
	for (unsigned k = 0; k < n; k++)
		us[k] = first_frame(k * (B.pairs / n));
	(void)snprintf(key, sizeof(key), "%s_first_%s", kind, on ? "on" : "off");
	result(key, WHAT("%s: first frame of an idle %u s, probing %s, wire to reader, the very first",
	       kind, B.idle, on ? "on" : "off"), "us", us[0], 0);
	qsort(us, n, sizeof(*us), compare);
	(void)snprintf(key, sizeof(key), "%s_first_p50_%s", kind, on ? "on" : "off");
	result(key, WHAT("%s: the same, median of %u pairs", kind, n), "us", us[n / 2], 0);
	(void)snprintf(key, sizeof(key), "%s_first_max_%s", kind, on ? "on" : "off");
	result(key, WHAT("%s: the same, worst of %u pairs", kind, n), "us", us[n - 1], 0);
}

static void measure(bool tap)
{
	const char *kind = tap ? "tap" : "macvtap";
	int status;
	pid_t pid = fork();

	if (pid == 0) { /* namespaces of its own: everything goes with it */
		struct rlimit limit;
		pid_t readers;

		if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0 ||
		    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0 ||
		    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
			die("cannot make namespaces (root?): %s", strerror(errno));
		(void)getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)!system("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done");
		B.results = json_array();
		B.fd = calloc(B.pairs, sizeof(*B.fd));
		make_devices(tap);
		readers = start_readers();
		start_agent(tap);
		measure_cost(kind);
		if (B.idle) {
			measure_first(kind, true);
			measure_first(kind, false);
		}
		stop_agent();
		(void)kill(readers, SIGKILL);
		(void)waitpid(readers, NULL, 0);
		(void)json_dump_file(B.results, tap ? "/dev/shm/sfh-bench-warm-tap" :
						      "/dev/shm/sfh-bench-warm-macvtap", 0);
		exit(B.missed);
	}
	(void)waitpid(pid, &status, 0);
	B.missed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	{
		const char *path = tap ? "/dev/shm/sfh-bench-warm-tap" : "/dev/shm/sfh-bench-warm-macvtap";
		json_t *part = json_load_file(path, 0, NULL);

		if (part)
			(void)json_array_extend(B.results, part);
		json_decref(part);
		(void)unlink(path);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pairs", required_argument, NULL, 'p' },   { "seconds", required_argument, NULL, 's' },
		{ "idle", required_argument, NULL, 'i' },    { "json", required_argument, NULL, 'j' },
		{ "interval", required_argument, NULL, 'n' }, { "only", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	const char *json = NULL, *only = "";
	int c;

	B.pairs = 1016;
	B.seconds = 20;
	B.idle = 60;
	B.interval_ms = 1000;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			B.pairs = (unsigned)atoi(optarg);
		else if (c == 's')
			B.seconds = (unsigned)atoi(optarg);
		else if (c == 'i')
			B.idle = (unsigned)atoi(optarg);
		else if (c == 'n')
			B.interval_ms = (unsigned)atoi(optarg);
		else if (c == 'j')
			json = optarg;
		else if (c == 'o')
			only = optarg;
		else
			return 2;
	}
	if (!B.pairs || B.pairs > 10000 || !B.seconds || B.interval_ms < 10)
		return 2;
	B.shared = mmap(NULL, sizeof(*B.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	B.results = json_array();
	if (strcmp(only, "tap") != 0)
		measure(false);
	if (strcmp(only, "macvtap") != 0)
		measure(true);
	if (json) {
		json_t *o = json_pack("{s:i, s:i, s:i, s:O}", "schema", 1, "pairs", (int)B.pairs,
				      "interval_ms", (int)B.interval_ms, "results", B.results);

		if (json_dump_file(o, json, JSON_INDENT(2)) < 0)
			die("cannot write %s", json);
		json_decref(o);
	}
	return B.missed;
}
