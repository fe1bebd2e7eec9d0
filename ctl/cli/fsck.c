// SPDX-License-Identifier: GPL-2.0-or-later
/* fsck: finds by itself, mends by asking the agent, or one that is started for it. */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/cli.h"
#include "libvirt-glue/survey.h"

static int add_finding(void *ctx, const struct sfh_finding *f)
{
	(void)json_array_append_new(
		ctx, json_pack("{s:s, s:s, s:b, s:b}", "kind", sfh_finding_name(f->kind), "text",
			       f->text, "repairable", sfh_finding_repairable(f->kind), "repaired", 0));
	return 0;
}

static int find(struct sfh_cli *cli, json_t *findings)
{
	struct sfh_steer_config cfg = { .bpffs = cli->env.bpffs, .read_only = true };
	struct sfh_survey survey = { .pfs = NULL };
	struct sfh_ledger *ledger = NULL;
	struct sfh_steer *steer = NULL;
	struct sfh_virt *virt = NULL;
	struct sfh_error err = { 0 };
	char path[256];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SFH_LEDGER_NAME, cli->env.run_dir);
	r = sfh_ledger_open(path, false, &ledger, &err);
	if (r == -ENOENT)
		return SFH_EXIT_OK; /* no agent ran since boot: nothing to disagree */
	if (r == 0)
		r = sfh_virt_open(cli->libvirt_uri, NULL, NULL, &virt, &err);
	if (r == 0) {
		(void)sfh_steer_open(&cfg, &steer, NULL); /* nothing is up: no maps */
		r = sfh_survey_take(&cli->env, ledger, steer, virt, &survey, &err);
	}
	survey.agent_gone = !sfh_cli_agent_alive(cli);
	if (r == 0)
		(void)sfh_check(&survey, add_finding, findings);
	sfh_survey_done(&survey);
	sfh_steer_close(&steer);
	sfh_virt_close(&virt);
	sfh_ledger_close(&ledger);
	return r < 0 ? sfh_cli_fail(cli, "%s", err.text) : SFH_EXIT_OK;
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* Exit status: 0 if nothing is wrong, or nothing any more. */
static int tell(struct sfh_cli *cli, json_t *findings, bool repair)
{
	size_t i, open = 0;
	json_t *f;

	json_array_foreach(findings, i, f)
		open += !flag(f, "repaired");
	if (cli->json) {
		(void)sfh_cli_print_json(json_pack("{s:O, s:b}", "findings", findings, "clean",
						   open == 0));
	} else {
		json_array_foreach(findings, i, f)
			(void)printf("%-16s %s%s%s%s\n", str(f, "kind"), str(f, "text"),
				     !repair		      ? ""
				     : flag(f, "repaired") ? ": mended"
							      : ": NOT mended",
				     str(f, "note")[0] ? ", " : "", str(f, "note"));
		if (json_array_size(findings) == 0)
			(void)printf("clean\n");
		else if (!repair)
			(void)printf("%zu problem(s); 'sfhybrid-ctl fsck --repair' mends what it can\n",
				     open);
		else
			(void)printf("%zu mended, %zu left\n", json_array_size(findings) - open,
				     open);
	}
	return open ? SFH_EXIT_FAILED : SFH_EXIT_OK;
}

static bool has(json_t *findings, const json_t *f)
{
	size_t i;
	json_t *o;

	json_array_foreach(findings, i, o)
		if (strcmp(str(o, "kind"), str(f, "kind")) == 0 &&
		    strcmp(str(o, "text"), str(f, "text")) == 0)
			return true;
	return false;
}

/* The agent that is started mends while it takes over, before it looks: what was
 * there before and is not any more was mended. */
static int repair_without_agent(struct sfh_cli *cli, json_t **ret)
{
	json_t *before = json_array(), *answer = NULL, *findings, *f;
	int status = find(cli, before);
	size_t i;

	if (status == SFH_EXIT_OK)
		status = sfh_cli_reconcile(cli, &answer);
	if (status == SFH_EXIT_OK) {
		findings = json_object_get(answer, "findings");
		json_array_foreach(before, i, f)
			if (!has(findings, f)) {
				(void)json_object_set_new(f, "repaired", json_true());
				(void)json_object_del(f, "repairable");
				(void)json_object_set_new(f, "note", json_string(""));
				(void)json_array_append(findings, f);
			}
		*ret = json_incref(findings);
	}
	json_decref(answer);
	json_decref(before);
	return status;
}

int sfh_cli_fsck(struct sfh_cli *cli)
{
	bool repair = cli->given & SFH_OPT_REPAIR;
	json_t *findings = NULL, *answer = NULL;
	int status;

	if (repair && !sfh_cli_agent_alive(cli)) {
		status = repair_without_agent(cli, &findings);
	} else if (repair) {
		status = sfh_cli_call(cli, json_pack("{s:s}", "verb", "repair"), &answer);
		if (status == SFH_EXIT_OK)
			findings = json_incref(json_object_get(answer, "findings"));
		json_decref(answer);
	} else {
		findings = json_array();
		status = find(cli, findings);
	}
	if (status == SFH_EXIT_OK)
		status = tell(cli, findings, repair);
	json_decref(findings);
	return status;
}
