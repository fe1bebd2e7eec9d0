// SPDX-License-Identifier: GPL-2.0-or-later
/* What libvirt and QEMU are like, as far as files tell: versions are handed in. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/core/doctor.h"

#define MIN_LIBVIRT 9000000UL
#define MIN_QEMU 7002000UL
#define HOOK "libvirt/hooks/qemu.d/50-sfhybrid"
/* What only our hook has in it: libvirt-glue/hook/hook.c's SOCKET_PATH. */
#define HOOK_MARK "/run/sfhybrid/" SFH_SOCKET_NAME
/* Two clocks of one second each lie between a file's time and a process's. */
#define SLACK_S 2

static char *format_version(unsigned long v, char buf[32])
{
	(void)snprintf(buf, 32, "%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
	return buf;
}

static void check_versions(struct sfh_doctor *d, const struct sfh_doctor_versions *v)
{
	char text[32];

	if (!v->reached) {
		sfh_doctor_add(d, SFH_CHECK_FAIL, "libvirtd",
			       "install libvirt-daemon-system 9.0 or newer, run 'systemctl start "
			       "libvirtd'",
			       "%s", v->problem);
		sfh_doctor_add(d, SFH_CHECK_WARN, "qemu", "ask again when libvirtd runs",
			       "version unknown: libvirtd cannot be asked");
		return;
	}
	if (v->libvirt >= MIN_LIBVIRT)
		sfh_doctor_add(d, SFH_CHECK_OK, "libvirtd", "", "libvirt %s",
			       format_version(v->libvirt, text));
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "libvirtd", "install libvirt 9.0 or newer",
			       "libvirt %s", format_version(v->libvirt, text));
	if (v->qemu == 0)
		sfh_doctor_add(d, SFH_CHECK_FAIL, "qemu",
			       "install qemu-system-x86 7.2 or newer, then restart libvirtd",
			       "libvirtd finds no QEMU");
	else if (v->qemu >= MIN_QEMU)
		sfh_doctor_add(d, SFH_CHECK_OK, "qemu", "", "QEMU %s",
			       format_version(v->qemu, text));
	else
		sfh_doctor_add(d, SFH_CHECK_FAIL, "qemu", "install QEMU 7.2 or newer", "QEMU %s",
			       format_version(v->qemu, text));
}

/* --- hook ----------------------------------------------------------------------------- */

/* When the process began, in seconds of the UNIX clock; 0: unknown. */
static time_t process_start(const struct sfh_doctor *d, const char *pid)
{
	char text[65536];
	const char *p;
	unsigned long long ticks = 0;
	long long boot = 0;

	if (sfh_doctor_read(text, sizeof(text), "%s/%s/stat", d->proc, pid) < 0)
		return 0;
	/* "pid (comm) state ppid …": the 22nd field, and comm may hold anything. */
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", &ticks) != 1)
		return 0;
	(void)sfh_doctor_read(text, sizeof(text), "%s/stat", d->proc);
	p = strstr(text, "\nbtime ");
	if (!p || sscanf(p, "\nbtime %lld", &boot) != 1)
		return 0;
	return (time_t)(boot + (long long)(ticks / (unsigned long long)sysconf(_SC_CLK_TCK)));
}

/* The daemon that runs QEMU: the monolithic or the modular one. */
static time_t daemon_start(const struct sfh_doctor *d, char *name, size_t n)
{
	DIR *dir = opendir(d->proc);
	const struct dirent *e;
	time_t found = 0;

	while (dir && !found && (e = readdir(dir))) {
		char comm[32];

		if (!isdigit((unsigned char)e->d_name[0]) ||
		    sfh_doctor_read(comm, sizeof(comm), "%s/%s/comm", d->proc, e->d_name) < 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (strcmp(comm, "libvirtd") != 0 && strcmp(comm, "virtqemud") != 0)
			continue;
		(void)sfh_strcpy(name, n, comm);
		found = process_start(d, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static bool is_ours(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > 16 << 20)
		return false;
	text = malloc((size_t)st.st_size);
	got = text ? read(fd, text, (size_t)st.st_size) : -1;
	return got > 0 && memmem(text, (size_t)got, HOOK_MARK, strlen(HOOK_MARK));
}

static void check_hook(struct sfh_doctor *d)
{
	char path[PATH_MAX], name[32] = "libvirtd", advice[200];
	struct stat st;
	time_t started;

	(void)snprintf(path, sizeof(path), "%s/" HOOK, d->etc);
	if (stat(path, &st) < 0) {
		sfh_doctor_add(
			d, SFH_CHECK_FAIL, "hook",
			"run 'make install' again, then restart libvirtd: it looks for hooks only "
			"when it starts",
			"%s is missing", path);
		return;
	}
	if (!is_ours(path)) {
		sfh_doctor_add(d, SFH_CHECK_FAIL, "hook",
			       "move it out of the way and run 'make install' again",
			       "%s is not sfhybrid's", path);
		return;
	}
	if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR)) {
		sfh_doctor_add(
			d, SFH_CHECK_FAIL, "hook",
			"give it mode 0755, then restart libvirtd: it looks for hooks only when it "
			"starts",
			"%s is not executable", path);
		return;
	}
	/* ctime: installing tools set mtime to what they like. */
	started = daemon_start(d, name, sizeof(name));
	if (started && st.st_ctime > started + SLACK_S) {
		(void)snprintf(
			advice, sizeof(advice),
			"unless this was an upgrade, run 'systemctl restart %s': it looks for "
			"hooks only when it starts (running guests go on)",
			name);
		sfh_doctor_add(d, SFH_CHECK_WARN, "hook", advice,
			       "installed %lld s after %s had started",
			       (long long)(st.st_ctime - started), name);
		return;
	}
	sfh_doctor_add(d, SFH_CHECK_OK, "hook", "", "%s", path);
}

/* --- isolation ---------------------------------------------------------------------------- */

/* Whether libvirt's configuration sets the list `key` to one without `word`. */
static bool list_lacks(const char *conf, const char *key, const char *word)
{
	size_t len = strlen(key);
	char quoted[32];

	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", word);
	for (const char *line = conf; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *p = line + strspn(line, " \t"), *end, *hit;

		if (strncmp(p, key, len) != 0)
			continue;
		p += len;
		p += strspn(p, " \t");
		if (*p != '=')
			continue;
		end = strchr(p, ']');
		hit = strstr(p, quoted);
		return !hit || (end && hit > end);
	}
	return false; /* not set: libvirt's default has them */
}

static void check_isolation(struct sfh_doctor *d)
{
	_cleanup_free_ char *conf = malloc(1 << 17);
	bool cgroup, mount;

	if (!conf || sfh_doctor_read(conf, 1 << 17, "%s/libvirt/qemu.conf", d->etc) < 0) {
		sfh_doctor_add(d, SFH_CHECK_OK, "qemu-isolation", "", "libvirt's defaults");
		return;
	}
	cgroup = list_lacks(conf, "cgroup_controllers", "devices");
	mount = list_lacks(conf, "namespaces", "mount");
	if (cgroup || mount)
		sfh_doctor_add(
			d, SFH_CHECK_WARN, "qemu-isolation",
			"take these settings out of qemu.conf, then restart libvirtd and the "
			"guests",
			"%s%s%s in qemu.conf: a guest that reboots on its standby leg could open "
			"a VF that is another's now",
			cgroup ? "cgroup_controllers without \"devices\"" : "",
			cgroup && mount ? ", " : "", mount ? "namespaces without \"mount\"" : "");
	else
		sfh_doctor_add(d, SFH_CHECK_OK, "qemu-isolation", "",
			       "devices cgroup and mount namespace are on");
}

static void check_security(struct sfh_doctor *d)
{
	char text[8], profile[32768];

	(void)sfh_doctor_read(text, sizeof(text), "%s/fs/selinux/enforce", d->env->sysfs);
	if (text[0] == '1') {
		sfh_doctor_add(
			d, SFH_CHECK_WARN, "security-module",
			"after a migration look at 'ausearch -m avc -c 50-sfhybrid'; let the hook "
			"connect to /run/sfhybrid/agent.sock",
			"SELinux is enforcing: its policy does not know the hook");
		return;
	}
	(void)sfh_doctor_read(text, sizeof(text), "%s/module/apparmor/parameters/enabled",
			      d->env->sysfs);
	if (text[0] != 'Y') {
		sfh_doctor_add(d, SFH_CHECK_OK, "security-module", "",
			       "neither AppArmor nor SELinux");
		return;
	}
	if (sfh_doctor_read(profile, sizeof(profile), "%s/apparmor.d/usr.sbin.libvirtd", d->etc) <
	    0)
		sfh_doctor_add(d, SFH_CHECK_OK, "security-module", "",
			       "AppArmor, without a profile for libvirtd");
	else if (strstr(profile, "/etc/libvirt/hooks/"))
		sfh_doctor_add(d, SFH_CHECK_OK, "security-module", "",
			       "AppArmor; libvirtd's profile lets it run hooks");
	else
		sfh_doctor_add(d, SFH_CHECK_WARN, "security-module",
			       "add '/etc/libvirt/hooks/** rmix,' to "
			       "/etc/apparmor.d/local/usr.sbin.libvirtd",
			       "AppArmor; libvirtd's profile says nothing of hooks");
}

void sfh_doctor_virt(struct sfh_doctor *d, const struct sfh_doctor_versions *versions)
{
	check_versions(d, versions);
	check_hook(d);
	check_isolation(d);
	check_security(d);
}
