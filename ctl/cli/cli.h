/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sfhybrid-ctl: a table of verbs, one file a verb (or a family of them). */
#ifndef SFH_CLI_H
#define SFH_CLI_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/core/env.h"
#include "sfhybrid/util.h"

enum { SFH_EXIT_OK = 0, SFH_EXIT_FAILED = 1, SFH_EXIT_USAGE = 2 };

/* The most that any verb takes: doctor's PFs. */
#define SFH_CLI_MAX_ARGS 32

/* Options of all verbs; each verb's line says which it takes. */
enum sfh_cli_option {
	SFH_OPT_FORCE = 1 << 0,
	SFH_OPT_WATCH = 1 << 1,
	SFH_OPT_LIMIT = 1 << 2,
	SFH_OPT_PERSISTENT = 1 << 3,
	SFH_OPT_UNDEFINE = 1 << 4,
	SFH_OPT_REPAIR = 1 << 5,
	SFH_OPT_NO_TRY = 1 << 6,
	SFH_OPT_YES = 1 << 7,
};

struct sfh_cli {
	struct sfh_env env;
	const char *libvirt_uri;
	bool json;
	unsigned given; /* SFH_OPT_… */
	unsigned limit;
	const char *args[SFH_CLI_MAX_ARGS];
	int nargs;
};

struct sfh_verb {
	const char *name;
	const char *synopsis; /* its arguments, as --help shows them */
	int min_args, max_args;
	unsigned options;
	const char *help;
	int (*run)(struct sfh_cli *cli); /* an exit status; NULL: not in this version */
	bool anyone; /* works for users other than root */
};

extern const struct sfh_verb sfh_verbs[];
extern const size_t sfh_nverbs;

/* Prints the sentence to stderr, or {"error": …} with --json; SFH_EXIT_FAILED. */
SFH_PRINTF(2, 3) int sfh_cli_fail(const struct sfh_cli *cli, const char *fmt, ...);
/* Prints a JSON object with the schema number in it; steals it. SFH_EXIT_OK; NULL is an
 * error, and printed as one. */
int sfh_cli_print_json(json_t *object);

/* Sends the request (stolen) to the agent, prints its progress, and hands the
 * final answer over. Returns an exit status; *ret only with SFH_EXIT_OK. NULL: an argument
 * that went into the request is not UTF-8. */
int sfh_cli_call(const struct sfh_cli *cli, json_t *request, json_t **ret);
/* Whether an agent answers, without a word about it. */
bool sfh_cli_agent_alive(const struct sfh_cli *cli);
/* Where none runs: starts one that mends what it can and ends; its answer to the
 * verb repair. */
int sfh_cli_reconcile(const struct sfh_cli *cli, json_t **ret);

int sfh_cli_define(struct sfh_cli *cli);
int sfh_cli_undefine(struct sfh_cli *cli);
int sfh_cli_up(struct sfh_cli *cli);
int sfh_cli_down(struct sfh_cli *cli);
int sfh_cli_list(struct sfh_cli *cli);
int sfh_cli_dumpxml(struct sfh_cli *cli);
int sfh_cli_set(struct sfh_cli *cli);
int sfh_cli_status(struct sfh_cli *cli);
int sfh_cli_accelerate(struct sfh_cli *cli);
int sfh_cli_standby(struct sfh_cli *cli);
int sfh_cli_migrate(struct sfh_cli *cli);
int sfh_cli_history(struct sfh_cli *cli);
int sfh_cli_fsck(struct sfh_cli *cli);
int sfh_cli_doctor(struct sfh_cli *cli);
int sfh_cli_version(struct sfh_cli *cli);

#endif
