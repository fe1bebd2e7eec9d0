// SPDX-License-Identifier: GPL-2.0-or-later
/* define, undefine, up, down, list, dumpxml. */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/cli.h"
#include "ctl/core/ledger.h"
#include "libvirt-glue/netxml.h"
#include "libvirt-glue/virt.h"

#define MAX_XML (1u << 20)

static int read_file(const struct sfh_cli *cli, const char *path, char **ret)
{
	_cleanup_free_ char *text = malloc(MAX_XML + 2);
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t n;

	if (!file || !text)
		return sfh_cli_fail(cli, "cannot read '%s': %s", path, strerrordesc_np(errno));
	n = fread(text, 1, MAX_XML + 1, file);
	if (file != stdin)
		(void)fclose(file);
	if (n > MAX_XML)
		return sfh_cli_fail(cli, "'%s' is larger than 1 MiB: not a network", path);
	text[n] = '\0';
	if (strlen(text) != n)
		return sfh_cli_fail(cli, "'%s' holds a NUL byte: not a network", path);
	*ret = TAKE_PTR(text);
	return SFH_EXIT_OK;
}

/* Calls the agent and says `what` happened, or that it was so before. */
static int call_and_tell(struct sfh_cli *cli, json_t *request, const char *key, const char *did,
			 const char *was)
{
	json_t *answer = NULL;
	int status = sfh_cli_call(cli, request, &answer);

	if (status != SFH_EXIT_OK)
		return status;
	if (cli->json)
		return sfh_cli_print_json(answer);
	(void)printf("network '%s' %s\n", json_string_value(json_object_get(answer, "network")),
		     json_is_true(json_object_get(answer, key)) ? did : was);
	json_decref(answer);
	return SFH_EXIT_OK;
}

int sfh_cli_define(struct sfh_cli *cli)
{
	_cleanup_free_ char *xml = NULL;
	json_t *request;
	int status = read_file(cli, cli->args[0], &xml);

	if (status != SFH_EXIT_OK)
		return status;
	request = json_pack("{s:s, s:s}", "verb", "define", "xml", xml);
	if (!request)
		return sfh_cli_fail(cli, "'%s' is not UTF-8 text", cli->args[0]);
	return call_and_tell(cli, request, "defined", "is defined",
			     "was defined like that already");
}

int sfh_cli_undefine(struct sfh_cli *cli)
{
	return call_and_tell(cli,
			     json_pack("{s:s, s:s}", "verb", "undefine", "network", cli->args[0]),
			     "undefined", "is undefined", "is undefined");
}

int sfh_cli_up(struct sfh_cli *cli)
{
	return call_and_tell(cli, json_pack("{s:s, s:s, s:b}", "verb", "up", "network",
					    cli->args[0], "yes",
					    (cli->given & SFH_OPT_YES) != 0),
			     "up", "is up", "was up already");
}

int sfh_cli_down(struct sfh_cli *cli)
{
	return call_and_tell(cli,
			     json_pack("{s:s, s:s, s:b, s:b}", "verb", "down", "network",
				       cli->args[0], "force", (cli->given & SFH_OPT_FORCE) != 0,
				       "yes", (cli->given & SFH_OPT_YES) != 0),
			     "down", "is down", "was down already");
}

/* --- what only reads ------------------------------------------------------------------------ */

struct listing {
	json_t *networks;
	struct sfh_ledger *ledger; /* NULL: nothing was ever up */
};

struct is_up {
	const char *name;
	bool up;
};

static int match_up(void *ctx, const struct sfh_ledger_network *row)
{
	struct is_up *u = ctx;

	u->up |= row->phase == SFH_NETWORK_UP && !row->trouble[0] && strcmp(row->name, u->name) == 0;
	return 0;
}

static int list_one(void *ctx, const char *name, const char *xml, bool active)
{
	struct listing *l = ctx;
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL;
	struct is_up u = { .name = name };
	json_t *pfs;

	if (sfh_netdef_from_libvirt(xml, strlen(xml), &def, NULL) < 0)
		return 0; /* not one of ours */
	if (l->ledger)
		(void)sfh_ledger_networks(l->ledger, match_up, &u);
	pfs = json_array();
	for (size_t i = 0; i < def->npfs; i++)
		(void)json_array_append_new(pfs, json_string(def->pfs[i].dev));
	(void)json_array_append_new(
		l->networks, json_pack("{s:s, s:b, s:b, s:s, s:s, s:o}", "name", name, "up", u.up,
				       "active", active, "mode", sfh_standby_mode_name(def->mode),
				       "policy", sfh_net_policy_name(def->policy), "pfs", pfs));
	return 0;
}

int sfh_cli_list(struct sfh_cli *cli)
{
	struct listing l = { .networks = json_array() };
	struct sfh_virt *v = NULL;
	struct sfh_error err = { 0 };
	char path[256];
	size_t i, k;
	json_t *n, *pf;
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, cli->env.run_dir);
	r = sfh_ledger_open(path, false, &l.ledger, NULL);
	r = sfh_virt_open(cli->libvirt_uri, NULL, NULL, &v, &err);
	if (r == 0)
		r = sfh_virt_networks(v, list_one, &l, &err);
	sfh_virt_close(&v);
	sfh_ledger_close(&l.ledger);
	if (r < 0) {
		json_decref(l.networks);
		return sfh_cli_fail(cli, "%s", err.text);
	}
	if (cli->json)
		return sfh_cli_print_json(json_pack("{s:o}", "networks", l.networks));
	(void)printf("%-24s %-6s %-16s %-8s %s\n", "NETWORK", "STATE", "STANDBY", "POLICY", "PFS");
	json_array_foreach(l.networks, i, n) {
		(void)printf("%-24s %-6s %-16s %-8s",
			     json_string_value(json_object_get(n, "name")),
			     json_is_true(json_object_get(n, "up")) ? "up" : "down",
			     json_string_value(json_object_get(n, "mode")),
			     json_string_value(json_object_get(n, "policy")));
		json_array_foreach(json_object_get(n, "pfs"), k, pf)
			(void)printf(" %s", json_string_value(pf));
		(void)putchar('\n');
	}
	json_decref(l.networks);
	return SFH_EXIT_OK;
}

int sfh_cli_dumpxml(struct sfh_cli *cli)
{
	_cleanup_free_ char *xml = NULL, *user = NULL;
	struct sfh_virt *v = NULL;
	struct sfh_error err = { 0 };
	size_t n;
	int r = sfh_virt_open(cli->libvirt_uri, NULL, NULL, &v, &err);

	if (r == 0)
		r = sfh_virt_network_xml(v, cli->args[0], &xml, NULL, &err);
	if (r == 0)
		r = sfh_netdef_user_xml(xml, strlen(xml), &user, &err);
	sfh_virt_close(&v);
	if (r < 0)
		return sfh_cli_fail(cli, "%s", err.text);
	if (cli->json)
		return sfh_cli_print_json(json_pack("{s:s}", "xml", user));
	n = strlen(user);
	(void)printf("%s%s", user, n && user[n - 1] == '\n' ? "" : "\n");
	return SFH_EXIT_OK;
}
