// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_init(char dir[64])
{
	(void)strcpy(dir, "/tmp/sfh-unit-XXXXXX");
	cr_assert(mkdtemp(dir), "%s", strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void tree_done(const char *dir)
{
	if (strncmp(dir, "/tmp/sfh-unit-", 14) == 0)
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void parents(char *full)
{
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
}

static const char *below(char full[512], const char *dir, const char *path)
{
	(void)snprintf(full, 512, "%s/%s", dir, path);
	parents(full);
	return full;
}

void tree_mkdir(const char *dir, const char *path)
{
	char full[512];

	(void)mkdir(below(full, dir, path), 0755);
}

void tree_write(const char *dir, const char *path, const char *text)
{
	char full[512];
	FILE *f = fopen(below(full, dir, path), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", full);
}

void tree_link(const char *dir, const char *path, const char *target)
{
	char full[512];

	(void)unlink(below(full, dir, path));
	cr_assert_eq(symlink(target, full), 0, "%s", full);
}

const char *tree_read(const char *dir, const char *path)
{
	static char bufs[4][512];
	static unsigned turn;
	char full[512], *buf = bufs[turn++ % 4];
	FILE *f = fopen(below(full, dir, path), "re");

	if (!f)
		return "(none)";
	buf[fread(buf, 1, sizeof(bufs[0]) - 1, f)] = '\0';
	(void)fclose(f);
	return buf;
}
