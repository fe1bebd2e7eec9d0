// SPDX-License-Identifier: GPL-2.0-or-later
/* `fsck --repair` where no agent runs: the one writer is started for this one repair
 * (sfhybridd --reconcile) and ends by itself. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ctl/cli/cli.h"

#define READY_MS 30000

/* A socket for sd_notify() under a name that nobody else has. */
static int notify_socket(char name[64])
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int n;

	if (fd < 0)
		return -errno;
	n = snprintf(name, 64, "@sfhybrid-reconcile-%d", (int)getpid());
	memcpy(addr.sun_path, name, (size_t)n);
	addr.sun_path[0] = '\0'; /* the abstract namespace: nothing to clean up */
	if (bind(fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Beside this program, else where `make install` puts it. */
static void become_agent(const struct sfh_cli *cli)
{
	static const char *const places[] = { "sfhybridd", "../sbin/sfhybridd" };
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && i < SFH_ARRAY_SIZE(places); i++) {
		(void)strcpy(slash + 1, places[i]);
		(void)execl(path, "sfhybridd", "--reconcile", "--connect", cli->libvirt_uri, NULL);
	}
	(void)execlp("sfhybridd", "sfhybridd", "--reconcile", "--connect", cli->libvirt_uri, NULL);
}

static pid_t start_agent(const struct sfh_cli *cli, const char *notify)
{
	pid_t pid = fork();
	int null;

	if (pid != 0)
		return pid;
	/* What it says goes to whoever reads this program's errors, but for the log. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	if (!getenv("SFHYBRID_DEBUG"))
		(void)dup2(null, STDERR_FILENO);
	(void)setenv("NOTIFY_SOCKET", notify, 1);
	(void)unsetenv("WATCHDOG_USEC");
	(void)setsid(); /* a ^C here does not stop it in the middle */
	become_agent(cli);
	_exit(127);
}

static bool wait_ready(int fd, int pidfd)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
	char text[256];

	while (poll(fds, 2, READY_MS) > 0 && !(fds[1].revents & POLLIN)) {
		ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "READY=1"))
			return true;
	}
	return false;
}

int sfh_cli_reconcile(const struct sfh_cli *cli, json_t **ret)
{
	_cleanup_close_ int notify = -1, pidfd = -1;
	char name[64];
	int status;
	pid_t pid;

	notify = notify_socket(name);
	pid = notify < 0 ? -1 : start_agent(cli, name);
	if (pid < 0)
		return sfh_cli_fail(cli, "cannot start sfhybridd: %s", strerrordesc_np(errno));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (!wait_ready(notify, pidfd)) {
		(void)kill(pid, SIGTERM);
		(void)waitpid(pid, NULL, 0);
		return sfh_cli_fail(cli, "no agent runs and 'sfhybridd --reconcile' does not start: run it "
					 "by hand to see why");
	}
	status = sfh_cli_call(cli, json_pack("{s:s}", "verb", "repair"), ret);
	if (status != SFH_EXIT_OK) /* it waits for a repair that is answered */
		(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0); /* guests come to rest first */
	return status;
}
