// SPDX-License-Identifier: GPL-2.0-or-later
/* accelerate, standby, migrate. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/cli/cli.h"

static int tell_pairs(struct sfh_cli *cli, json_t *answer)
{
	size_t i;
	json_t *p;

	if (cli->json)
		return sfh_cli_print_json(answer);
	json_array_foreach(json_object_get(answer, "pairs"), i, p) {
		(void)printf("%s %s is on its %s leg\n", cli->args[0],
			     json_string_value(json_object_get(p, "mac")),
			     json_string_value(json_object_get(p, "state")));
	}
	json_decref(answer);
	return SFH_EXIT_OK;
}

static int call_on_domain(struct sfh_cli *cli, const char *verb)
{
	json_t *answer = NULL;
	int status = sfh_cli_call(
		cli, json_pack("{s:s, s:s}", "verb", verb, "domain", cli->args[0]), &answer);

	return status == SFH_EXIT_OK ? tell_pairs(cli, answer) : status;
}

int sfh_cli_accelerate(struct sfh_cli *cli)
{
	return call_on_domain(cli, "accelerate");
}

int sfh_cli_standby(struct sfh_cli *cli)
{
	return call_on_domain(cli, "standby");
}

/* Ctrl-C: the agent is told by a process of its own, so that the answer is still read
 * here. The second one ends this command, and the migration goes on. */
static volatile pid_t watcher;
static volatile sig_atomic_t interrupted;

static void pass_on(int sig)
{
	(void)sig;
	(void)kill(watcher, SIGUSR1);
}

static void note_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void watch_for_interrupt(const struct sfh_cli *cli)
{
	struct sigaction pass = { .sa_handler = pass_on, .sa_flags = SA_RESTART | (int)SA_RESETHAND };
	struct sigaction note = { .sa_handler = note_interrupt };
	struct sfh_cli in_words = *cli; /* the one object on stdout is the migration's */
	json_t *answer = NULL;
	sigset_t usr1, before;

	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &usr1, &before);
	watcher = fork();
	if (watcher != 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		if (watcher > 0)
			(void)sigaction(SIGINT, &pass, NULL);
		return;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_IGN); /* a terminal tells both */
	(void)sigaction(SIGUSR1, &note, NULL);
	while (!interrupted)
		(void)sigsuspend(&before);
	(void)fprintf(stderr, "cancelling; once more, and the migration goes on without this command\n");
	in_words.json = false;
	_exit(sfh_cli_call(&in_words, json_pack("{s:s, s:s}", "verb", "migrate-cancel", "domain",
					  cli->args[0]), &answer));
}

int sfh_cli_migrate(struct sfh_cli *cli)
{
	json_t *answer = NULL;
	int status;

	watch_for_interrupt(cli);
	status = sfh_cli_call(
		cli,
		json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "verb", "migrate", "domain", cli->args[0],
			  "uri", cli->args[1], "persistent",
			  (cli->given & SFH_OPT_PERSISTENT) != 0, "undefinesource",
			  (cli->given & SFH_OPT_UNDEFINE) != 0, "force",
			  (cli->given & SFH_OPT_FORCE) != 0),
		&answer);
	if (watcher > 0) {
		(void)kill(watcher, SIGKILL);
		(void)waitpid(watcher, NULL, 0);
	}
	if (status != SFH_EXIT_OK)
		return status;
	if (cli->json)
		return sfh_cli_print_json(answer);
	(void)printf("%s runs at %s now\n", cli->args[0], cli->args[1]);
	json_decref(answer);
	return SFH_EXIT_OK;
}
