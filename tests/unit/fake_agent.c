// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent without its main(): what main.c has for the other files, and libvirt on its
 * test driver, which knows no QEMU and no end of a connection. */
#include "tests/unit/fake_agent.h"

#include <dlfcn.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "libvirt-glue/virt-internal.h"

struct fake_agent *fake_agent;

/* --- main.c ---------------------------------------------------------------------------- */

void sfh_agent_log(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}

void sfh_agent_rearm(struct sfh_agent *a)
{
	(void)a; /* a test that needs the clock moves it */
}

/* --- virtevents.c ---------------------------------------------------------------------- */

void sfh_virt_events_start(void)
{
}

int sfh_virt_events_subscribe(struct sfh_virt *v)
{
	(void)v;
	fake_agent->opened++;
	if (fake_agent->on_open)
		fake_agent->on_open(fake_agent);
	return 0;
}

/* --- libvirt --------------------------------------------------------------------------- */

/* In the place of libvirt's own, for every caller in this program. */
char *virDomainGetXMLDesc(virDomainPtr dom, unsigned int flags)
{
	char *(*real)(virDomainPtr, unsigned int) =
		(char *(*)(virDomainPtr, unsigned int))dlsym(RTLD_NEXT, "virDomainGetXMLDesc");

	if (fake_agent && fake_agent->on_xml)
		fake_agent->on_xml(fake_agent);
	if (!fake_agent || !fake_agent->mute ||
	    strcmp(virDomainGetName(dom), fake_agent->mute) != 0)
		return fake_agent && fake_agent->xml ? strdup(fake_agent->xml) : real(dom, flags);
	if (fake_agent->mute_code == VIR_ERR_NO_DOMAIN)
		(void)virDomainLookupByName(virDomainGetConnect(dom), "nobody");
	else
		(void)virDomainFree(NULL); /* VIR_ERR_INVALID_DOMAIN */
	return NULL;
}

void fake_agent_domain(virConnectPtr conn, const char *name, const char *uuid)
{
	char xml[512];
	virDomainPtr dom;

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='test'><name>%s</name><uuid>%s</uuid><memory>1024</memory>"
		       "<os><type>hvm</type></os></domain>", name, uuid);
	dom = virDomainCreateXML(conn, xml, 0);
	cr_assert(dom, "%s", virGetLastErrorMessage());
	(void)virDomainFree(dom);
}

/* --- its life -------------------------------------------------------------------------- */

static int no_address(void *ctx, int ifindex, const struct sfh_mac *mac, bool there)
{
	(void)ctx, (void)ifindex, (void)mac, (void)there;
	return 0;
}

static int has_none(void *ctx, int ifindex, const struct sfh_mac *mac)
{
	(void)ctx, (void)ifindex, (void)mac;
	return 0;
}

struct fake_agent *fake_agent_new(void)
{
	static const struct sfh_fdb_ops fdb_ops = { no_address, has_none };
	struct fake_agent *fa = calloc(1, sizeof(*fa));
	struct sfh_agent *a;

	cr_assert(fa);
	fake_agent = fa;
	fa->f = fake_new();
	a = &fa->a;
	a->libvirt_uri = "test:///default";
	a->probe_fd = -1;
	a->ledger = fa->f->ledger;
	a->engine = fa->f->e;
	(void)pthread_mutex_init(&a->steer_lock, NULL);
	(void)pthread_mutex_init(&a->network_lock, NULL);
	(void)pthread_mutex_init(&a->event_lock, NULL);
	(void)pthread_rwlock_init(&a->virt_lock, NULL);
	cr_assert_eq(sfh_fdb_new(a->ledger, &fdb_ops, NULL, &a->fdb, NULL), 0);
	cr_assert_geq(sd_event_new(&a->loop), 0);
	cr_assert_eq(sfh_worker_start(a->loop, 2, &a->worker), 0);
	cr_assert_geq(sfh_agent_events_init(a), 0);
	return fa;
}

/* Its threads end with the test's process. */
void fake_agent_free(struct fake_agent *fa)
{
	fake_agent = NULL;
	sfh_fdb_free(&fa->a.fdb);
	fa->f->e = fa->a.engine;
	fake_free(fa->f);
}

void fake_agent_closed(struct fake_agent *fa)
{
	const struct sfh_virt_event ev = { .kind = SFH_VIRT_CLOSED };

	sfh_agent_queue_event(&fa->a, &ev);
}

void fake_agent_turn(struct fake_agent *fa, unsigned opened, unsigned ms)
{
	uint64_t end = sfh_now_ns() + ms * FAKE_MS;

	while ((fa->opened < opened || fa->a.reconnecting) && sfh_now_ns() < end)
		(void)sd_event_run(fa->a.loop, 10000);
}
