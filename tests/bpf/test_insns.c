// SPDX-License-Identifier: GPL-2.0-or-later
/* How large the programs are, against tests/bpf/insns.txt: whoever makes one grow sees
 * it, and says so by writing the file anew: SFH_WRITE_INSNS=1 make test-bpf. */
#include "tests/bpf/run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "pf_tc.skel.h"
#include "pf_xdp.skel.h"
#include "standby_tc.skel.h"

TestSuite(insns, .init = bench_init, .fini = bench_fini, .timeout = 60);

#define INSNS_FILE "tests/bpf/insns.txt"
#define PERCENT	   3

struct size {
	char name[32];
	unsigned long compiled; /* as clang made it */
	unsigned long xlated;	/* with what the kernel put in */
	unsigned long verified; /* that the verifier walked through, all paths together */
};

static struct size size_of(const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	struct size s = { .compiled = bpf_program__insn_cnt(prog) };

	cr_assert_eq(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	(void)sfh_strcpy(s.name, sizeof(s.name), bpf_program__name(prog));
	s.xlated = info.xlated_prog_len / 8;
	s.verified = info.verified_insns;
	return s;
}

/* "6.18": what the kernel adds and how it walks is its version's. */
static const char *kernel(char buf[32])
{
	struct utsname u;
	unsigned int major, minor;

	cr_assert_eq(uname(&u), 0);
	cr_assert_eq(sscanf(u.release, "%u.%u", &major, &minor), 2);
	(void)snprintf(buf, 32, "%u.%u", major, minor);
	return buf;
}

static void write_file(const struct size *sizes, size_t n)
{
	FILE *f = fopen(INSNS_FILE, "we");
	char release[32];

	cr_assert_not_null(f);
	(void)fprintf(f, "# Instructions: as compiled, with what the kernel puts in, walked by its verifier.\n"
			 "# Written by SFH_WRITE_INSNS=1 make test-bpf; compared by tests/bpf/test_insns.c.\n"
			 "kernel %s\n", kernel(release));
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%-16s %6lu %6lu %6lu\n", sizes[i].name, sizes[i].compiled,
			      sizes[i].xlated, sizes[i].verified);
	cr_assert_eq(fclose(f), 0);
}

static void compare(const struct size *is, const struct size *was, bool same_kernel)
{
#define GREW(field) (is->field > was->field + was->field * PERCENT / 100)
	cr_expect_not(GREW(compiled), "%s: %lu instructions, %lu in " INSNS_FILE, is->name,
		      is->compiled, was->compiled);
	if (!same_kernel)
		return;
	cr_expect_not(GREW(xlated), "%s: %lu instructions in the kernel, %lu in " INSNS_FILE,
		      is->name, is->xlated, was->xlated);
	cr_expect_not(GREW(verified), "%s: the verifier walks %lu instructions, %lu in " INSNS_FILE,
		      is->name, is->verified, was->verified);
#undef GREW
}

Test(insns, no_program_grows_unnoticed)
{
	struct size is[] = {
		size_of(T.s->pf_tc->progs.sfh_pf_tc),
		size_of(T.s->pf_xdp->progs.sfh_pf_xdp),
		size_of(T.s->pf_xdp->progs.sfh_pf_xdp_tag),
		size_of(T.s->standby_tc->progs.sfh_from_guest),
		size_of(T.s->standby_tc->progs.sfh_to_guest),
	};
	char line[256], release[32], here[32];
	bool found[SFH_ARRAY_SIZE(is)] = {}, same_kernel = false;
	FILE *f;

	if (getenv("SFH_WRITE_INSNS"))
		write_file(is, SFH_ARRAY_SIZE(is));
	f = fopen(INSNS_FILE, "re");
	cr_assert_not_null(f, INSNS_FILE " is missing (the tests run in the top directory)");
	while (fgets(line, sizeof(line), f)) {
		struct size was;

		if (sscanf(line, "kernel %31s", release) == 1)
			same_kernel = strcmp(release, kernel(here)) == 0;
		if (line[0] == '#' || sscanf(line, "%31s %lu %lu %lu", was.name, &was.compiled,
					     &was.xlated, &was.verified) != 4)
			continue;
		for (size_t i = 0; i < SFH_ARRAY_SIZE(is); i++)
			if (strcmp(is[i].name, was.name) == 0) {
				found[i] = true;
				compare(&is[i], &was, same_kernel);
			}
	}
	(void)fclose(f);
	for (size_t i = 0; i < SFH_ARRAY_SIZE(is); i++)
		cr_expect(found[i], "%s is not in " INSNS_FILE, is[i].name);
}
