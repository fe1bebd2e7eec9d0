// SPDX-License-Identifier: GPL-2.0-or-later
/* How long libvirt waits for the qemu hook: over the socket, while every worker of
 * the agent sits in a libvirt call; and the real hook with the real agent, whose
 * libvirtd takes connections and never answers. */
#include "bench/control/bench.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "bench/control/agent.h"

#define ROUNDS 1000
#define REAL_ROUNDS 200
/* Whatever else runs on the machine only adds to a process's time: the best batch
 * is the one that says most about the hook. */
#define REAL_BATCHES 5
#define BOUND_MS 10

extern char **environ;

/* A guest with one NIC on the network, as it comes along in a migration. */
static int domain_xml(unsigned i, char *buf, size_t n)
{
	return snprintf(buf, n,
			"<domain type='kvm'><name>guest%u</name>"
			"<uuid>00000000-0000-4000-8000-%012u</uuid><memory unit='KiB'>1048576</memory>"
			"<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices>"
			"<interface type='network'><mac address='52:54:00:%02x:%02x:%02x'/>"
			"<source network='" BENCH_NETWORK "'/><model type='virtio'/>"
			"<teaming type='persistent'/><alias name='ua-sfh-525400%06x'/></interface>"
			"</devices></domain>\n",
			i, i, i >> 16, i >> 8 & 255, i & 255, i);
}

static double ms_since(uint64_t begin)
{
	return (double)(sfh_now_ns() - begin) / 1e6;
}

/* Connects, asks and reads, as libvirt-glue/hook does; ms, or negative. */
static double round_trip(const char *dir, unsigned i)
{
	char xml[2048], request[4096], answer[4096];
	int len = domain_xml(i, xml, sizeof(xml));
	int n = snprintf(request, sizeof(request),
			 "{\"verb\":\"hook\",\"op\":\"migrate\",\"length\":%d}\n%s", len, xml);
	uint64_t begin = sfh_now_ns();
	_cleanup_close_ int fd = bench_connect(dir);

	if (fd < 0 || bench_ask(fd, request, (size_t)n, answer, sizeof(answer)) < 0 ||
	    !strstr(answer, "\"ok\":true"))
		return -1;
	return ms_since(begin);
}

static void socket_hook(void)
{
	static const struct bench_agent_options options = { .npfs = BENCH_PFS, .nvfs = BENCH_VFS,
							    .libvirt_hangs = true };
	static double ms[ROUNDS];
	struct bench_agent agent;
	unsigned failed = 0;

	if (bench_agent_start(&options, &agent) < 0) {
		bench_result("hook_failed", "the agent does not start", "", 1, 0);
		return;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		ms[i] = round_trip(agent.dir, i);
		failed += ms[i] < 0;
	}
	bench_result("hook_failed", "hook requests without an answer, libvirt hanging", "", failed, 0);
	bench_note("hook_ms_median", "hook `migrate` over the socket (median of 1000)", "ms",
		   bench_percentile(ms, ROUNDS, 0.5));
	bench_result("hook_ms_p99", "hook `migrate` over the socket (99th percentile)", "ms",
		     bench_percentile(ms, ROUNDS, 0.99), BOUND_MS);
	bench_agent_stop(&agent);
}

/* --- the real programs, in a mount namespace of their own --------------------------------- */

struct real {
	int failed; /* 1: could not be set up, 2: a hook failed */
	char why[96];
	double ms[REAL_BATCHES][REAL_ROUNDS];
};

static int fail(struct real *r, const char *what)
{
	(void)snprintf(r->why, sizeof(r->why), "%s: %s", what, strerror(errno));
	r->failed = 1;
	return -1;
}

/* Takes connections and never says a word. */
static int mute_libvirtd(void)
{
	static const char *const names[] = { "libvirt-sock", "virtqemud-sock" };
	int ret = 0;

	if (mkdir("/run/libvirt", 0755) < 0)
		return -1;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(names); i++) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/run/libvirt/%s", names[i]);
		if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		    listen(fd, 16) < 0)
			ret = -1; /* left open until this process ends */
	}
	return ret;
}

static pid_t spawn(const char *path, char *const argv[], int in)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (in >= 0)
		(void)posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (posix_spawn(&pid, path, &actions, NULL, argv, environ) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static double real_hook(const char *path, unsigned i)
{
	char xml[2048], name[32];
	int len = domain_xml(i, xml, sizeof(xml)), pipefd[2], status = -1;
	char *argv[] = { (char *)"50-sfhybrid", name, (char *)"migrate", (char *)"begin",
			 (char *)"-", NULL };
	uint64_t begin;
	pid_t pid;

	(void)snprintf(name, sizeof(name), "guest%u", i);
	if (pipe2(pipefd, O_CLOEXEC) < 0 || write(pipefd[1], xml, (size_t)len) != len)
		return -1;
	(void)close(pipefd[1]);
	begin = sfh_now_ns();
	pid = spawn(path, argv, pipefd[0]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	(void)close(pipefd[0]);
	return status == 0 ? ms_since(begin) : -1;
}

static int real_run(const char *build, struct real *r)
{
	char agent[PATH_MAX], hook[PATH_MAX];
	char *argv[] = { (char *)"sfhybridd", NULL };
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int fd = -1;
	pid_t pid;

	(void)snprintf(agent, sizeof(agent), "%s/sfhybridd", build);
	(void)snprintf(hook, sizeof(hook), "%s/50-sfhybrid", build);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("sfh-bench", "/run", "tmpfs", 0, NULL) < 0 ||
	    mount("sfh-bench", "/var/lib", "tmpfs", 0, NULL) < 0)
		return fail(r, "no mount namespace");
	if (mute_libvirtd() < 0)
		return fail(r, "no socket for a libvirtd");
	pid = spawn(agent, argv, -1);
	if (pid < 0)
		return fail(r, "sfhybridd does not start");
	for (int i = 0; i < 250 && fd < 0; i++) {
		(void)nanosleep(&pause, NULL);
		fd = bench_connect("/run/sfhybrid");
	}
	if (fd < 0)
		return fail(r, "sfhybridd does not listen");
	(void)close(fd);
	for (unsigned b = 0; b < REAL_BATCHES; b++)
		for (unsigned i = 0; i < REAL_ROUNDS; i++) {
			r->ms[b][i] = real_hook(hook, i);
			if (r->ms[b][i] < 0)
				r->failed = 2;
		}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return 0;
}

static void report_batches(struct real *r)
{
	double best = 0, worst = 0;

	for (unsigned b = 0; b < REAL_BATCHES; b++) {
		double p99 = bench_percentile(r->ms[b], REAL_ROUNDS, 0.99);

		best = b == 0 || p99 < best ? p99 : best;
		worst = p99 > worst ? p99 : worst;
	}
	bench_note("hook_real_ms_median", "50-sfhybrid, start to end (median)", "ms",
		   bench_percentile(r->ms[0], REAL_ROUNDS, 0.5));
	bench_result("hook_real_ms_p99", "the same, 99th percentile, best of 5 batches of 200", "ms",
		     best, BOUND_MS);
	bench_note("hook_real_ms_p99_worst", "the same, worst batch", "ms", worst);
}

static void real_programs(const char *build)
{
	struct real *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);
	pid_t pid;

	if (r == MAP_FAILED)
		return;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)real_run(build, r);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	if (r->failed == 1) {
		bench_skip("hook_real_ms_p99", "50-sfhybrid and sfhybridd themselves", r->why);
	} else {
		bench_result("hook_real_failed", "50-sfhybrid that failed", "", r->failed != 0, 0);
		report_batches(r);
	}
	(void)munmap(r, sizeof(*r));
}

void bench_hook(const char *build)
{
	if (geteuid() != 0) {
		bench_skip("hook_ms_p99", "hook round trips", "needs root");
		return;
	}
	socket_hook();
	real_programs(build);
}
