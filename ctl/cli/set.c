// SPDX-License-Identifier: GPL-2.0-or-later
/* set: single settings of a network, and when each is felt. */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/cli.h"

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const char *effect(const char *when)
{
	if (strcmp(when, "now") == 0)
		return "in effect now; a guest that has a VF keeps it";
	if (strcmp(when, "next-lease") == 0)
		return "for each guest from its next VF on";
	if (strcmp(when, "next-start") == 0)
		return "for each guest from its next start on";
	return "from the network's next 'up' on";
}

int sfh_cli_set(struct sfh_cli *cli)
{
	json_t *words = json_array(), *answer = NULL, *changes, *c;
	size_t i;
	int status;

	for (int a = 1; a < cli->nargs; a++)
		if (json_array_append_new(words, json_string(cli->args[a])) < 0) {
			json_decref(words);
			return sfh_cli_fail(cli, "'%s' is not UTF-8 text", cli->args[a]);
		}
	status = sfh_cli_call(cli, json_pack("{s:s, s:s, s:o}", "verb", "set", "network", cli->args[0],
					     "changes", words),
			      &answer);
	if (status != SFH_EXIT_OK)
		return status;
	if (cli->json)
		return sfh_cli_print_json(answer);
	changes = json_object_get(answer, "changes");
	json_array_foreach(changes, i, c)
		(void)printf("%s: %s -> %s (%s)\n", str(c, "key"),
			     str(c, "old")[0] ? str(c, "old") : "not set",
			     str(c, "value")[0] ? str(c, "value") : "not set",
			     effect(str(c, "effect")));
	if (json_array_size(changes) == 0)
		(void)printf("network '%s' is like that already\n", cli->args[0]);
	json_decref(answer);
	return SFH_EXIT_OK;
}
