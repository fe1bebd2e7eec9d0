// SPDX-License-Identifier: GPL-2.0-or-later
/* accelerate, standby, migrate. */
#include <stdio.h>

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

int sfh_cli_migrate(struct sfh_cli *cli)
{
	json_t *answer = NULL;
	int status = sfh_cli_call(
		cli,
		json_pack("{s:s, s:s, s:s, s:b, s:b}", "verb", "migrate", "domain", cli->args[0],
			  "uri", cli->args[1], "persistent",
			  (cli->given & SFH_OPT_PERSISTENT) != 0, "undefinesource",
			  (cli->given & SFH_OPT_UNDEFINE) != 0),
		&answer);

	if (status != SFH_EXIT_OK)
		return status;
	if (cli->json)
		return sfh_cli_print_json(answer);
	(void)printf("%s runs at %s now\n", cli->args[0], cli->args[1]);
	json_decref(answer);
	return SFH_EXIT_OK;
}
