// SPDX-License-Identifier: GPL-2.0-or-later
/* Domains that run, as libvirt's test driver has them. */
#include <libvirt/virterror.h>
#include <string.h>

#include "libvirt-glue/virt-internal.h"
#include "tests/unit/fake_agent.h"

static struct fake_agent *fa;
static struct sfh_virt *virt;

static void init(void)
{
	struct sfh_error err = { 0 };

	fa = fake_agent_new();
	cr_assert_eq(sfh_virt_open("test:///default", sfh_agent_queue_event, &fa->a, &virt, &err),
		     0, "%s", err.text);
	fake_agent_domain(virt->conn, "one", GUEST);
	fake_agent_domain(virt->conn, "two", OTHER);
}

static void fini(void)
{
	sfh_virt_close(&virt);
	fake_agent_free(fa);
}

TestSuite(virt, .init = init, .fini = fini, .timeout = 30);

static int count(void *ctx, const char *xml)
{
	(void)xml;
	++*(unsigned *)ctx;
	return 0;
}

Test(virt, all_that_run)
{
	unsigned n = 0;

	cr_assert_eq(sfh_virt_running(virt, count, &n, NULL), 0);
	cr_assert_eq(n, 3, "the driver has one of its own");
}

Test(virt, one_that_stopped_since_it_was_listed)
{
	unsigned n = 0;

	fa->mute = "one";
	fa->mute_code = VIR_ERR_NO_DOMAIN;
	cr_assert_eq(sfh_virt_running(virt, count, &n, NULL), 0);
	cr_assert_eq(n, 2);
}

/* Whoever takes half a list for all that runs takes from guests that do. */
Test(virt, half_a_list_is_none)
{
	struct sfh_error err = { 0 };
	unsigned n = 0;

	fa->mute = "one";
	cr_assert_lt(sfh_virt_running(virt, count, &n, &err), 0);
	cr_assert(strstr(err.text, "cannot read a running domain"), "%s", err.text);
}

static int no_more(void *ctx, const char *xml)
{
	(void)count(ctx, xml);
	return -ENOMEM;
}

Test(virt, who_is_told_ends_it)
{
	unsigned n = 0;

	cr_assert_eq(sfh_virt_running(virt, no_more, &n, NULL), -ENOMEM);
	cr_assert_eq(n, 1);
}
