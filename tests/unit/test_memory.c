// SPDX-License-Identifier: GPL-2.0-or-later
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ctl/core/memory.h"
#include "tests/unit/tree.h"

#define GIB_KIB (1024 * 1024)

static void meminfo(const char *dir, unsigned long total, unsigned long available)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "MemTotal:       %8lu kB\nMemFree:          123456 kB\nMemAvailable:   %8lu kB\n",
		       total, available);
	tree_write(dir, "meminfo", text);
}

Test(memory, what_fits_fits)
{
	struct sfh_error err = { 0 };
	char dir[64];

	tree_init(dir);
	meminfo(dir, 16 * GIB_KIB, 8 * GIB_KIB);
	cr_assert_eq(sfh_memory_can_pin(dir, 7 * GIB_KIB, 0, &err), 0, "a GiB is kept");
	cr_assert_eq(sfh_memory_can_pin(dir, 8 * GIB_KIB, 0, &err), -ENOMEM);
	cr_assert(strstr(err.text, "another 8192 MiB, the host has 8192 MiB available and keeps 1024"),
		  "%s", err.text);
	tree_done(dir);
}

Test(memory, what_is_resident_is_not_needed_again)
{
	char dir[64];

	tree_init(dir);
	meminfo(dir, 16 * GIB_KIB, 2 * GIB_KIB);
	cr_assert_eq(sfh_memory_can_pin(dir, 8 * GIB_KIB, 6 * GIB_KIB, NULL), -ENOMEM);
	cr_assert_eq(sfh_memory_can_pin(dir, 8 * GIB_KIB, 7 * GIB_KIB, NULL), 0);
	cr_assert_eq(sfh_memory_can_pin(dir, 8 * GIB_KIB, 9 * GIB_KIB, NULL), 0);
	tree_done(dir);
}

Test(memory, a_small_host_keeps_a_minimum)
{
	char dir[64];

	tree_init(dir);
	meminfo(dir, GIB_KIB, 256 * 1024);
	cr_assert_eq(sfh_memory_can_pin(dir, 128 * 1024, 0, NULL), 0);
	cr_assert_eq(sfh_memory_can_pin(dir, 129 * 1024, 0, NULL), -ENOMEM);
	meminfo(dir, GIB_KIB, 100 * 1024);
	cr_assert_eq(sfh_memory_can_pin(dir, 1, 0, NULL), -ENOMEM, "less than the minimum is left");
	tree_done(dir);
}

Test(memory, figures_that_cannot_be_read_refuse_nobody)
{
	char dir[64];

	tree_init(dir);
	cr_assert_eq(sfh_memory_can_pin(dir, 8 * GIB_KIB, 0, NULL), 0);
	meminfo(dir, GIB_KIB, 1);
	cr_assert_eq(sfh_memory_can_pin(dir, 0, 0, NULL), 0, "the guest's size is not known");
	tree_done(dir);
}

Test(memory, resident_memory_of_the_process_in_a_pidfile)
{
	char dir[64], pidfile[96];

	tree_init(dir);
	(void)snprintf(pidfile, sizeof(pidfile), "%s/g1.pid", dir);
	cr_assert_eq(sfh_memory_resident(dir, pidfile), 0);
	tree_write(dir, "g1.pid", "4711\n");
	cr_assert_eq(sfh_memory_resident(dir, pidfile), 0, "no such process");
	tree_write(dir, "4711/status", "Name:\tqemu\nVmHWM:\t  999 kB\nVmRSS:\t  320808 kB\n");
	cr_assert_eq(sfh_memory_resident(dir, pidfile), 320808);
	tree_write(dir, "g1.pid", "rubbish");
	cr_assert_eq(sfh_memory_resident(dir, pidfile), 0);
	tree_done(dir);
}
