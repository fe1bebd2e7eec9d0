/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent without its main(), on libvirt's test driver: its loop, workers and ledger are
 * real, its engine is a fake host's. libvirt's events are the test's to send. Guests that
 * the host is to have are made with fakes.h first; fa->a.engine = fa->f->e hands them over. */
#ifndef SFHYBRID_TESTS_FAKE_AGENT_H
#define SFHYBRID_TESTS_FAKE_AGENT_H

#include <libvirt/libvirt.h>

#include "ctl/agent/agent.h"
#include "tests/unit/fakes.h"

struct fake_agent {
	struct sfh_agent a; /* its engine works on f */
	struct fake *f;
	unsigned opened; /* connections that were made */
	/* In the worker, when a connection has just been made. May be NULL. */
	void (*on_open)(struct fake_agent *fa);
	/* In the worker, when libvirt is asked for a domain's live XML. May be NULL. */
	void (*on_xml)(struct fake_agent *fa);
	/* A domain whose live XML libvirt does not give, by name, and its reason: this, or another
	 * one that says nothing. */
	const char *mute;
	int mute_code;
	const char *xml; /* what it says of every other; NULL: what its driver has */
};
extern struct fake_agent *fake_agent; /* of the test that runs */

struct fake_agent *fake_agent_new(void);
void fake_agent_free(struct fake_agent *fa);
/* libvirtd went: as libvirt's event thread tells it. */
void fake_agent_closed(struct fake_agent *fa);
/* The loop turns until `opened` connections were made and taken over, or `ms` passed. */
void fake_agent_turn(struct fake_agent *fa, unsigned opened, unsigned ms);
/* A domain that runs, on the test driver. */
void fake_agent_domain(virConnectPtr conn, const char *name, const char *uuid);

#endif
