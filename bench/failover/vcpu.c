// SPDX-License-Identifier: GPL-2.0-or-later
/* sfh-vcpu DOMAIN MS: what a guest's vCPUs do, seen from the host. Every MS
 * milliseconds, while the guest's QEMU is there, a line of what has grown since:
 *   v TIME RAN WAITED QEMU FAULTS EXITS MMIO IO
 * TIME: CLOCK_REALTIME, ns. RAN, WAITED: ns in which vCPUs ran, and were ready to but had
 * no CPU; the rest of the time they were halted, or waited for somebody (QEMU's lock).
 * QEMU: ns in which its main thread ran. FAULTS: page faults that KVM answered
 * (pf_fixed), EXITS: returns to the host, MMIO and IO: those of them that went to QEMU.
 * Source: /proc/PID/task/TID/schedstat and KVM's debugfs. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_VCPUS 8

static const char *const kvm_files[] = { "pf_fixed", "exits", "mmio_exits", "io_exits" };
#define KVM_FILES (sizeof(kvm_files) / sizeof(kvm_files[0]))

/* Of a QEMU: open files, -1: not there; and KVM's directory, whose files can be read
 * once after each open(). */
struct qemu {
	int vcpu[MAX_VCPUS];
	size_t vcpus;
	int main;
	char kvm[80]; /* "": not there */
};

struct sample {
	uint64_t ran, waited, qemu, kvm[KVM_FILES];
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

/* What the file has, zero-terminated; false if it cannot be read or is empty. */
static bool read_text(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);

	if (n <= 0)
		return false;
	buf[n] = 0;
	return true;
}

static bool read_path(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1); /* debugfs knows no pread() */

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	return true;
}

/* libvirt starts a guest's QEMU with "-name guest=DOMAIN,...". */
static bool runs_domain(const char *pid, const char *domain)
{
	static const char head[] = "guest=";
	char path[64], args[4096];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, args, sizeof(args) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	args[n] = 0;
	for (const char *arg = args; arg < args + n; arg += strlen(arg) + 1) {
		size_t len = strlen(domain);

		if (strncmp(arg, head, sizeof(head) - 1) == 0 &&
		    strncmp(arg + sizeof(head) - 1, domain, len) == 0 &&
		    (arg[sizeof(head) - 1 + len] == ',' || !arg[sizeof(head) - 1 + len]))
			return true;
	}
	return false;
}

/* Calls `use` for each entry of the directory that begins with a digit. */
static void each_number(const char *dir, void (*use)(const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *de;

	while (d && (de = readdir(d)))
		if (isdigit((unsigned char)de->d_name[0]))
			use(de->d_name, arg);
	if (d)
		(void)closedir(d);
}

struct search {
	const char *domain;
	char pid[24];
	struct qemu *qemu;
};

static void match_pid(const char *pid, void *arg)
{
	struct search *s = arg;

	if (!s->pid[0] && runs_domain(pid, s->domain))
		(void)snprintf(s->pid, sizeof(s->pid), "%.20s", pid);
}

static int open_schedstat(const char *pid, const char *tid)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/schedstat", pid, tid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* QEMU names its vCPUs' threads "CPU N/KVM". */
static void match_vcpu(const char *tid, void *arg)
{
	struct search *s = arg;
	char path[96], comm[32];

	(void)snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/comm", s->pid, tid);
	if (!read_path(path, comm, sizeof(comm)) || strncmp(comm, "CPU ", 4) != 0 ||
	    s->qemu->vcpus == MAX_VCPUS)
		return;
	s->qemu->vcpu[s->qemu->vcpus++] = open_schedstat(s->pid, tid);
}

/* KVM's directories are named PID-FD. */
static void match_kvm(const char *name, void *arg)
{
	struct search *s = arg;
	size_t len = strlen(s->pid);

	if (strncmp(name, s->pid, len) == 0 && name[len] == '-')
		(void)snprintf(s->qemu->kvm, sizeof(s->qemu->kvm), "/sys/kernel/debug/kvm/%.40s",
			       name);
}

static void qemu_close(struct qemu *q)
{
	for (size_t i = 0; i < q->vcpus; i++)
		(void)close(q->vcpu[i]);
	if (q->main >= 0)
		(void)close(q->main);
	*q = (struct qemu){ .main = -1 };
}

/* Once its vCPUs are there. */
static bool qemu_open(struct qemu *q, const char *domain)
{
	struct search s = { .domain = domain, .qemu = q };
	char path[64];

	each_number("/proc", match_pid, &s);
	if (!s.pid[0])
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%.20s/task", s.pid);
	each_number(path, match_vcpu, &s);
	q->main = open_schedstat(s.pid, s.pid);
	each_number("/sys/kernel/debug/kvm", match_kvm, &s);
	if (q->vcpus && q->main >= 0 && q->kvm[0])
		return true;
	qemu_close(q);
	return false;
}

static bool add_schedstat(int fd, uint64_t *ran, uint64_t *waited)
{
	char text[96], *end_of;

	if (!read_text(fd, text, sizeof(text)))
		return false;
	*ran += strtoull(text, &end_of, 10);
	*waited += strtoull(end_of, NULL, 10);
	return true;
}

static bool take(const struct qemu *q, struct sample *s)
{
	uint64_t ignored = 0;
	char path[128], text[32];

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < q->vcpus; i++)
		if (!add_schedstat(q->vcpu[i], &s->ran, &s->waited))
			return false;
	if (!add_schedstat(q->main, &s->qemu, &ignored))
		return false;
	for (size_t i = 0; i < KVM_FILES; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", q->kvm, kvm_files[i]);
		if (!read_path(path, text, sizeof(text)))
			return false;
		s->kvm[i] = strtoull(text, NULL, 10);
	}
	return true;
}

static void print_growth(const struct sample *was, const struct sample *is)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)printf("v %lld%09ld %" PRIu64 " %" PRIu64 " %" PRIu64, (long long)ts.tv_sec, ts.tv_nsec,
		     is->ran - was->ran, is->waited - was->waited, is->qemu - was->qemu);
	for (size_t i = 0; i < KVM_FILES; i++)
		(void)printf(" %" PRIu64, is->kvm[i] - was->kvm[i]);
	(void)putchar('\n');
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = end }; /* no SA_RESTART: the read ends */
	long ms = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	struct itimerspec when = { .it_interval = { ms / 1000, ms % 1000 * 1000000 } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct qemu q = { .main = -1 };
	struct sample was, is;
	bool is_open = false;
	uint64_t ticks;

	if (ms < 1 || ms > 10000 || timer < 0) {
		(void)fprintf(stderr, "usage: sfh-vcpu DOMAIN MS\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	when.it_value = when.it_interval;
	(void)timerfd_settime(timer, 0, &when, NULL);
	while (!ended) {
		if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		if (!is_open) {
			is_open = qemu_open(&q, argv[1]) && take(&q, &was);
			continue;
		}
		if (!take(&q, &is)) { /* that QEMU has ended */
			qemu_close(&q);
			is_open = false;
			continue;
		}
		print_growth(&was, &is);
		was = is;
	}
	return 0;
}
