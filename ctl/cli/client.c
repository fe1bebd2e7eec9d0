// SPDX-License-Identifier: GPL-2.0-or-later
/* The line to the agent. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/cli/cli.h"

static int dial(const struct sfh_cli *cli)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" SFH_SOCKET_NAME,
		       cli->env.run_dir);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

bool sfh_cli_agent_alive(const struct sfh_cli *cli)
{
	_cleanup_close_ int fd = dial(cli);

	return fd >= 0;
}

/* Asks whoever sits at the terminal; without one the answer is no. */
static bool agreed(const struct sfh_cli *cli, const char *warning)
{
	char answer[16] = "";

	if (cli->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	(void)fprintf(stderr, "%s. Go on? [y/N] ", warning);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int call(const struct sfh_cli *cli, json_t *request, json_t **ret, char **ret_warning);

int sfh_cli_call(const struct sfh_cli *cli, json_t *request, json_t **ret)
{
	_cleanup_free_ char *warning = NULL;
	int status;

	if (!request)
		return sfh_cli_fail(cli, "an argument is not UTF-8 text");
	status = call(cli, request, ret, &warning);
	if (warning && agreed(cli, warning)) {
		(void)json_object_set_new(request, "yes", json_true());
		free(TAKE_PTR(warning));
		status = call(cli, request, ret, &warning);
	} else if (warning) {
		status = sfh_cli_fail(cli, "%s; nothing was done (--yes goes on)", warning);
	}
	json_decref(request);
	return status;
}

/* One request and its answer. *ret_warning (caller's) where the agent wants to be
 * asked again. */
static int call(const struct sfh_cli *cli, json_t *request, json_t **ret, char **ret_warning)
{
	_cleanup_free_ char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	int fd = dial(cli), status = SFH_EXIT_FAILED;
	size_t cap = 0;
	FILE *stream;

	if (fd < 0)
		return sfh_cli_fail(cli, "the agent is not running: start sfhybridd ('systemctl start "
					 "sfhybridd')");
	stream = fdopen(fd, "r+");
	if (!stream || !text || fprintf(stream, "%s\n", text) < 0 || fflush(stream) != 0) {
		if (stream)
			(void)fclose(stream);
		return sfh_cli_fail(cli, "cannot talk to the agent: %s", strerrordesc_np(errno));
	}
	for (;;) {
		json_t *answer;
		const char *progress;

		if (getline(&line, &cap, stream) < 0) {
			status = sfh_cli_fail(cli, "the agent ended before it answered; 'sfhybrid-ctl "
						   "status' shows where things stand");
			break;
		}
		answer = json_loads(line, 0, NULL);
		progress = json_string_value(json_object_get(answer, "progress"));
		if (progress) {
			/* With --json stdout belongs to the one object at the end. */
			(void)fprintf(cli->json ? stderr : stdout, "%s\n", progress);
			(void)fflush(stdout);
			json_decref(answer);
			continue;
		}
		if (json_is_true(json_object_get(answer, "ok"))) {
			*ret = answer;
			status = SFH_EXIT_OK;
		} else {
			const char *error = json_string_value(json_object_get(answer, "error"));

			if (error && json_is_true(json_object_get(answer, "confirm")))
				*ret_warning = strdup(error);
			else
				status = sfh_cli_fail(cli, "%s",
						      error ? error : "the agent said nothing");
			json_decref(answer);
		}
		break;
	}
	(void)fclose(stream);
	return status;
}
