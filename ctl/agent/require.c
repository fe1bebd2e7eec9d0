// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook knows by these files which guests must not start without an answer,
 * also when no agent runs. They hold the words that libvirt's XML has. */
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include "ctl/agent/agent.h"

static void require_path(const struct sfh_agent *a, const char *name, char path[512])
{
	(void)snprintf(path, 512, "%s/require/%s", a->env.run_dir, name);
}

/* An attribute's value as libvirt writes it (virBufferEscapeString). */
static void put_escaped(FILE *file, const char *text)
{
	static const struct {
		char c;
		const char *entity;
	} table[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" },
		      { '\'', "&apos;" } };

	for (; *text; text++) {
		const char *entity = NULL;

		for (size_t i = 0; i < SFH_ARRAY_SIZE(table); i++)
			if (table[i].c == *text)
				entity = table[i].entity;
		if (entity)
			(void)fputs(entity, file);
		else
			(void)fputc(*text, file);
	}
}

void sfh_require_mark(struct sfh_agent *a, const char *network)
{
	char dir[256], path[512];
	FILE *file;

	(void)snprintf(dir, sizeof(dir), "%s/require", a->env.run_dir);
	(void)mkdir(dir, 0700);
	require_path(a, network, path);
	file = fopen(path, "we");
	if (!file) {
		sfh_agent_log(LOG_ERR, "cannot write %s: without the agent guests may start on '%s' "
				       "without a VF",
			      path, network);
		return;
	}
	(void)fputs("network='", file);
	put_escaped(file, network);
	(void)fputc('\'', file);
	(void)fclose(file);
}

void sfh_require_unmark(struct sfh_agent *a, const char *network)
{
	char path[512];

	require_path(a, network, path);
	(void)unlink(path);
}
