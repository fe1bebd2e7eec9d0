/*
 * The lab's exec server: runs one command per session for labx and carries its
 * stdin, stdout, stderr and exit status.
 *
 *   labd -l PORT     in a host: TCP, one process a session
 *   labd -p NAME     in a guest: the virtio-serial port NAME, a session at a time
 *
 * The management network it listens on exists inside the lab's own network
 * namespace only, so there is no authentication.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "labproto.h"

#define CHANNEL "org.sfhybrid.lab"
#define CHANNEL_HELPER "/usr/lib/sfhybrid-lab/channel"
#define ARGS_MAX (2u * 1024 * 1024)
#define KILL_GRACE_MS 2000

struct job {
	pid_t pid; /* 0: none; also its process group */
	int pidfd, in, out, err;
	bool in_eof; /* the caller has sent all of stdin */
	size_t pending; /* stdin not yet taken by the command */
	uint8_t stdin_buf[LAB_STDIN_WINDOW];
};

struct server {
	int fd;
	bool serial;
	uint32_t session;
	char *args;
	size_t args_len;
	struct lab_rx rx;
	struct job job;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void job_clear(struct job *j)
{
	close_fd(&j->pidfd);
	close_fd(&j->in);
	close_fd(&j->out);
	close_fd(&j->err);
	j->pid = 0;
	j->pending = 0;
	j->in_eof = false;
}

/* The caller is gone: so is its command, all of its process group. */
static void job_kill(struct job *j)
{
	struct pollfd pfd = { .fd = j->pidfd, .events = POLLIN };

	if (j->pid == 0)
		return;
	kill(-j->pid, SIGHUP);
	kill(-j->pid, SIGTERM);
	kill(-j->pid, SIGCONT);
	if (poll(&pfd, 1, KILL_GRACE_MS) <= 0)
		kill(-j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
	job_clear(j);
}

static int reply(struct server *s, enum lab_type type, const void *data, size_t len)
{
	return lab_send(s->fd, s->session, type, data, len);
}

static int reply_u32(struct server *s, enum lab_type type, uint32_t v)
{
	return reply(s, type, &v, sizeof(v));
}

static char **argv_of(char *args, size_t len, size_t *ret_n)
{
	size_t n = 0, i = 0;
	char **argv;

	for (size_t k = 0; k < len; k++)
		n += args[k] == '\0';
	argv = calloc(n + 1, sizeof(*argv));
	if (!argv)
		return NULL;
	for (char *p = args; i < n; p += strlen(p) + 1)
		argv[i++] = p;
	*ret_n = n;
	return argv;
}

static void child_exec(char **argv, const int fds[3], int status_fd)
{
	sigset_t none;
	int e;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	execvp(argv[0], argv);
	e = errno;
	(void)!write(status_fd, &e, sizeof(e));
	_exit(127);
}

/* Starts argv; 0, -errno, or the positive errno that exec met. */
static int job_start(struct job *j, char **argv)
{
	int p[4][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int e = 0, r = 0;

	for (int i = 0; i < 4; i++)
		if (pipe2(p[i], O_CLOEXEC) < 0) {
			r = -errno;
			goto out;
		}
	j->pid = fork();
	if (j->pid < 0) {
		r = -errno;
		j->pid = 0;
		goto out;
	}
	if (j->pid == 0)
		child_exec(argv, (const int[]){ p[0][0], p[1][1], p[2][1] }, p[3][1]);
	close_fd(&p[3][1]);
	if (read(p[3][0], &e, sizeof(e)) == sizeof(e)) {
		waitpid(j->pid, NULL, 0);
		j->pid = 0;
		r = e;
		goto out;
	}
	j->pidfd = pidfd_open(j->pid, 0);
	j->in = p[0][1];
	j->out = p[1][0];
	j->err = p[2][0];
	p[0][1] = p[1][0] = p[2][0] = -1;
	fcntl(j->in, F_SETFL, O_NONBLOCK);
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	fcntl(j->err, F_SETFL, O_NONBLOCK);
out:
	for (int i = 0; i < 4; i++) {
		close_fd(&p[i][0]);
		close_fd(&p[i][1]);
	}
	return r;
}

static int on_exec(struct server *s)
{
	char text[512];
	size_t argc = 0;
	char **argv;
	int r;

	if (s->job.pid != 0)
		return -EPROTO;
	argv = argv_of(s->args, s->args_len, &argc);
	if (!argv || argc == 0)
		r = EINVAL;
	else
		r = job_start(&s->job, argv);
	if (r != 0) {
		/* As a shell would put it: 127 not found, 126 not runnable. */
		int n = snprintf(text, sizeof(text), "lab: cannot run '%.200s': %s\n",
				 argc > 0 ? argv[0] : "", strerror(abs(r)));

		free(argv);
		r = reply(s, LAB_STDERR, text, (size_t)n) ?: reply_u32(s, LAB_EXIT, r == ENOENT ? 127 : 126);
	} else {
		free(argv);
	}
	s->args_len = 0;
	return r;
}

static int on_args(struct server *s, const uint8_t *data, size_t len)
{
	char *bigger;

	if (s->args_len + len > ARGS_MAX)
		return -E2BIG;
	bigger = realloc(s->args, s->args_len + len + 1);
	if (!bigger)
		return -ENOMEM;
	s->args = bigger;
	memcpy(s->args + s->args_len, data, len);
	s->args_len += len;
	return 0;
}

static int on_stdin(struct server *s, const uint8_t *data, size_t len)
{
	struct job *j = &s->job;

	if (len == 0) {
		j->in_eof = true;
	} else if (j->in < 0) {
		/* The command has closed its stdin: take the rest and drop it. */
		return reply_u32(s, LAB_CREDIT, (uint32_t)len);
	} else {
		if (j->pending + len > sizeof(j->stdin_buf))
			return -EPROTO;
		memcpy(j->stdin_buf + j->pending, data, len);
		j->pending += len;
	}
	if (j->in_eof && j->pending == 0)
		close_fd(&j->in);
	return 0;
}

static int feed_stdin(struct server *s)
{
	struct job *j = &s->job;
	ssize_t n = write(j->in, j->stdin_buf, j->pending);

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		n = (ssize_t)j->pending;
		close_fd(&j->in);
	}
	j->pending -= (size_t)n;
	memmove(j->stdin_buf, j->stdin_buf + n, j->pending);
	if (j->in_eof && j->pending == 0)
		close_fd(&j->in);
	return reply_u32(s, LAB_CREDIT, (uint32_t)n);
}

/* Forwards what is there now, up to `rounds` frames; closes *fd at its end. */
static int forward(struct server *s, int *fd, enum lab_type type, int rounds)
{
	uint8_t buf[LAB_PAYLOAD_MAX];

	while (*fd >= 0 && rounds-- > 0) {
		ssize_t n = read(*fd, buf, sizeof(buf));
		int r;

		if (n == 0)
			close_fd(fd);
		else if (n < 0 && errno == EAGAIN)
			return 0;
		else if (n < 0 && errno != EINTR)
			close_fd(fd);
		else if (n > 0 && (r = reply(s, type, buf, (size_t)n)) < 0)
			return r;
	}
	return 0;
}

/*
 * The command has ended. What it wrote is in the pipes already; what its
 * children in the background may write later is not waited for.
 */
static int on_job_end(struct server *s)
{
	struct job *j = &s->job;
	int status = 0, r;

	waitpid(j->pid, &status, 0);
	j->pid = 0;
	r = forward(s, &j->out, LAB_STDOUT, 64) ?: forward(s, &j->err, LAB_STDERR, 64);
	job_clear(j);
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return r ?: reply_u32(s, LAB_EXIT, (uint32_t)status);
}

/* --- a pipe from a caller to the labd in a guest --- */

static bool is_channel_of(const char *path, const char *dom)
{
	/* …/channel/ID-NAME/org.sfhybrid.lab; libvirt cuts NAME at 20 bytes. */
	const char *p = strstr(path, "/channel/");
	size_t n = strlen(dom);

	if (!p || n > 19)
		return false;
	p += strlen("/channel/");
	while (*p >= '0' && *p <= '9')
		p++;
	return *p == '-' && strncmp(p + 1, dom, n) == 0 && p[1 + n] == '/';
}

/* The channel's socket without asking libvirt, which takes 0.3 s emulated. */
static bool find_channel(const char *dom, char *ret, size_t size)
{
	glob_t g = { 0 };
	int found = 0;

	glob("/run/libvirt/qemu/channel/*/" CHANNEL, 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (is_channel_of(g.gl_pathv[i], dom) && ++found == 1)
			snprintf(ret, size, "%s", g.gl_pathv[i]);
	globfree(&g);
	return found == 1;
}

/* Asks libvirt: the path, or false and the reason in ret. */
static bool ask_channel(const char *dom, char *ret, size_t size)
{
	int p[2], status = 0;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		snprintf(ret, size, "%s", strerror(errno));
		return false;
	}
	if (pid == 0) {
		dup2(p[1], 1);
		execl(CHANNEL_HELPER, CHANNEL_HELPER, dom, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	while (have < size - 1 && (n = read(p[0], ret + have, size - 1 - have)) > 0)
		have += (size_t)n;
	close(p[0]);
	while (have > 0 && ret[have - 1] == '\n')
		have--;
	ret[have] = '\0';
	waitpid(pid, &status, 0);
	return status == 0;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int e = errno;

		close(fd);
		return -e;
	}
	return fd < 0 ? -errno : fd;
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* QEMU serves one connection a channel; a second would hang unanswered. */
static int lock_guest(const char *dom, unsigned seconds)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/sfhybrid-lab-guest-%s.lock", dom);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	sigaction(SIGALRM, &sa, NULL);
	alarm(seconds);
	if (flock(fd, LOCK_EX) < 0) {
		close(fd);
		fd = -EBUSY;
	}
	alarm(0);
	return fd;
}

struct pump {
	size_t have;
	uint8_t buf[32768];
};

/* 0, or -errno when either end is gone and nothing is left to deliver. */
static int pump_step(struct pump *p, const struct pollfd *from, const struct pollfd *to)
{
	ssize_t n;

	if (p->have < sizeof(p->buf) && (from->revents & (POLLIN | POLLHUP | POLLERR))) {
		n = read(from->fd, p->buf + p->have, sizeof(p->buf) - p->have);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			/* The last words of a dying end still get through. */
			(void)lab_write_all(to->fd, p->buf, p->have);
			return -EPIPE;
		}
		p->have += n > 0 ? (size_t)n : 0;
	}
	if (p->have > 0) {
		n = write(to->fd, p->buf, p->have);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			p->have -= (size_t)n;
			memmove(p->buf, p->buf + n, p->have);
		}
	}
	return 0;
}

static void shuttle(int a, int b)
{
	static struct pump ab, ba;

	fcntl(a, F_SETFL, O_NONBLOCK);
	fcntl(b, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd pfd[2] = {
			{ .fd = a, .events = (short)((ab.have < sizeof(ab.buf) ? POLLIN : 0) | (ba.have ? POLLOUT : 0)) },
			{ .fd = b, .events = (short)((ba.have < sizeof(ba.buf) ? POLLIN : 0) | (ab.have ? POLLOUT : 0)) },
		};

		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			return;
		if (pump_step(&ab, &pfd[0], &pfd[1]) < 0 || pump_step(&ba, &pfd[1], &pfd[0]) < 0)
			return;
	}
}

/* Ends the session in every case. */
static int on_proxy(struct server *s, const uint8_t *data, size_t len)
{
	char request[256], path[512], text[700];
	const char *dom;
	unsigned seconds;
	int lock, fd, n;

	if (s->serial || len >= sizeof(request))
		return -EPROTO;
	memcpy(request, data, len);
	request[len] = '\0';
	seconds = (unsigned)strtoul(request, NULL, 10);
	dom = strchr(request, ' ');
	if (!dom || strchr(++dom, '/'))
		return -EPROTO;
	lock = lock_guest(dom, seconds);
	if (lock < 0) {
		n = snprintf(text, sizeof(text), "another lab command is talking to it");
		reply(s, LAB_FAIL, text, (size_t)n);
		return -EBUSY;
	}
	if (!find_channel(dom, path, sizeof(path)) && !ask_channel(dom, path, sizeof(path))) {
		reply(s, LAB_FAIL, path, strlen(path));
		return -ENOENT;
	}
	fd = connect_unix(path);
	if (fd < 0) {
		n = snprintf(text, sizeof(text), "cannot connect to %s: %s", path, strerror(-fd));
		reply(s, LAB_FAIL, text, (size_t)n);
		return fd;
	}
	if (reply(s, LAB_PROXIED, NULL, 0) == 0)
		shuttle(s->fd, fd);
	return -EPIPE;
}

/* --- sessions --- */

static int on_frame(struct server *s, const struct lab_header *h, const uint8_t *data)
{
	if (h->type == LAB_HELLO) {
		/* A new caller, perhaps before the end of the last was noticed. */
		job_kill(&s->job);
		s->session = h->session;
		s->args_len = 0;
		return reply(s, LAB_WELCOME, NULL, 0);
	}
	if (h->session != s->session)
		return 0;
	switch (h->type) {
	case LAB_ARGS:
		return on_args(s, data, h->len);
	case LAB_EXEC:
		return on_exec(s);
	case LAB_STDIN:
		return on_stdin(s, data, h->len);
	case LAB_SIGNAL:
		if (h->len == 1 && s->job.pid != 0)
			kill(-s->job.pid, data[0]);
		return 0;
	case LAB_PING:
		return reply(s, LAB_PONG, NULL, 0);
	case LAB_PROXY:
		return on_proxy(s, data, h->len);
	}
	return -EPROTO;
}

static int receive(struct server *s)
{
	struct lab_header h;
	ssize_t n = lab_rx_fill(&s->rx, s->fd);

	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	while (lab_rx_peek(&s->rx, &h)) {
		int r = on_frame(s, &h, lab_rx_payload(&s->rx));

		lab_rx_done(&s->rx, &h);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Until the caller is gone, or talks nonsense. */
static void serve(struct server *s)
{
	struct job *j = &s->job;
	int r = 0;

	s->rx.have = 0;
	s->session = 0;
	*j = (struct job){ .pidfd = -1, .in = -1, .out = -1, .err = -1 };
	while (r == 0) {
		struct pollfd pfd[5] = {
			{ .fd = s->fd, .events = POLLIN },
			{ .fd = j->pidfd, .events = POLLIN },
			{ .fd = j->out, .events = POLLIN },
			{ .fd = j->err, .events = POLLIN },
			{ .fd = j->pending > 0 ? j->in : -1, .events = POLLOUT },
		};

		if (poll(pfd, 5, -1) < 0 && errno != EINTR)
			break;
		if (pfd[2].revents)
			r = forward(s, &j->out, LAB_STDOUT, 1);
		if (r == 0 && pfd[3].revents)
			r = forward(s, &j->err, LAB_STDERR, 1);
		if (r == 0 && pfd[4].revents)
			r = feed_stdin(s);
		if (r == 0 && pfd[1].revents)
			r = on_job_end(s);
		if (r == 0 && pfd[0].revents)
			r = receive(s);
	}
	job_kill(j);
}

static void serve_tcp(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 64) < 0)
		err(1, "port %u", port);
	/* Sessions are reaped by nobody's hand. */
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		static struct server s;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			close(listener);
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			s.fd = fd;
			serve(&s);
			_exit(0);
		}
		close(fd);
	}
}

static bool port_node(const char *name, char *ret, size_t size)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		char path[512], have[128] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(have, sizeof(have), f))
			have[strcspn(have, "\n")] = '\0';
		fclose(f);
		found = strcmp(have, name) == 0;
		snprintf(ret, size, "/dev/%s", e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/*
 * A port whose far end nobody holds open polls as readable and hung up at
 * once; the kernel sends SIGIO when that changes.
 */
static void await_peer(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct timespec second = { .tv_sec = 1 };
	sigset_t io;

	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	while (poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP))
		sigtimedwait(&io, NULL, &second);
}

static void serve_port(const char *name)
{
	static struct server s = { .serial = true };
	char node[300];
	sigset_t io;

	/* The port appears some time after the driver; there is no udev here. */
	for (int i = 0; !port_node(name, node, sizeof(node)); i++) {
		if (i == 100)
			errx(1, "no virtio-serial port named %s", name);
		usleep(100 * 1000);
	}
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	s.fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s.fd < 0)
		err(1, "%s", node);
	fcntl(s.fd, F_SETOWN, getpid());
	fcntl(s.fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	for (;;) {
		await_peer(s.fd);
		serve(&s);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "-l") == 0)
		serve_tcp((uint16_t)atoi(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "-p") == 0)
		serve_port(argv[2]);
	fprintf(stderr, "usage: labd -l PORT | -p NAME\n");
	return 2;
}
