/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory tree that stands for sysfs, or for whatever a test needs files of. What
 * fails is the test. */
#ifndef SFHYBRID_TESTS_TREE_H
#define SFHYBRID_TESTS_TREE_H

/* A fresh directory; removed by tree_done(). */
void tree_init(char dir[64]);
void tree_done(const char *dir);
/* Writes below dir, making the folders on the way. */
void tree_write(const char *dir, const char *path, const char *text);
void tree_link(const char *dir, const char *path, const char *target);
void tree_mkdir(const char *dir, const char *path);
/* What a file holds; "(none)" if it is not there. Valid until the fourth next call. */
const char *tree_read(const char *dir, const char *path);

#endif
