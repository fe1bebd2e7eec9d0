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

#define WITH_VF                                                                                    \
	"<domain type='test' id='3'><name>one</name><uuid>" GUEST "</uuid><memory>1024</memory>"   \
	"<os><type machine='pc-q35-10.0'>hvm</type></os><devices>%s"                               \
	"<hostdev mode='subsystem' type='pci' managed='no'><source>"                               \
	"<address domain='0x0000' bus='0x0a' slot='0x00' function='0x1'/></source>"                \
	"<alias name='ua-sfv-52540000000a'/></hostdev></devices></domain>"
#define PORT "<controller type='pci' index='5' model='pcie-root-port'/>"

static int plug(const char *port, const char *alias, uint8_t function)
{
	const struct sfh_bdf vf = { .bus = 0x0a, .function = function };
	_cleanup_free_ char *xml = NULL;
	struct sfh_error err = { 0 };
	int r;

	cr_assert(asprintf(&xml, WITH_VF, port) > 0);
	fa->xml = xml;
	r = sfh_virt_plug(virt, GUEST, "<hostdev/>", alias, &vf, &err); /* which it refuses */
	fa->xml = NULL;
	cr_assert_eq(r == 0, err.code == 0);
	return r;
}

/* The answer to the first request was lost, and the second is refused for that. */
Test(virt, a_vf_that_is_there_is_plugged)
{
	cr_assert_eq(plug(PORT, "ua-sfv-52540000000a", 1), 0);
	cr_assert_eq(plug("", "ua-sfv-52540000000a", 1), 0);
	cr_assert_eq(plug(PORT, "ua-sfv-52540000000a", 2), -EIO, "it has another");
	cr_assert_eq(plug(PORT, "ua-sfv-52540000000b", 1), -EIO);
	cr_assert_eq(plug("", "ua-sfv-52540000000b", 1), -ENOSPC);
}
