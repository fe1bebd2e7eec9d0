// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake host's hypervisor, which says yes and does nothing (the test sends what comes
 * of it), and who listens to the engine. */
#include "tests/unit/fakes_priv.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

/* --- the hypervisor ------------------------------------------------------------------------- */

static int hv_plug(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char bdf[SFH_BDF_STRLEN];

	fake_record(f, "plug %s", sfh_bdf_format(&p->lease.bdf, bdf));
	VERDICT(f, OP_PLUG, NULL);
	return 0;
}

static int hv_unplug(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	fake_record(f, "unplug %s", sfh_mac_format(&p->mac, mac));
	VERDICT(f, OP_UNPLUG, NULL);
	return 0;
}

static int hv_migrate(void *ctx, const char *uuid, const char *uri)
{
	struct fake *f = ctx;

	fake_record(f, "migrate %s %s", uuid, uri);
	VERDICT(f, OP_MIGRATE, NULL);
	return 0;
}

static int hv_replug(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	fake_record(f, "replug %s", uuid);
	return 0;
}

static int hv_abort(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	fake_record(f, "abort %s", uuid);
	VERDICT(f, OP_ABORT, NULL);
	return 0;
}

static int hv_reset(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	fake_record(f, "reset %s", uuid);
	VERDICT(f, OP_RESET, NULL);
	return 0;
}

static void hv_ask_negotiated(void *ctx, const struct sfh_pair *p, bool claimed)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	fake_record(f, "ask-negotiated %s%s", sfh_mac_format(&p->mac, mac),
		    claimed ? " claimed" : "");
}

static int hv_ask_rx_filter(void *ctx, const struct sfh_pair *p)
{
	struct fake *f = ctx;
	char mac[SFH_MAC_STRLEN];

	fake_record(f, "ask-rx %s", sfh_mac_format(&p->mac, mac));
	VERDICT(f, OP_ASK_RX, NULL);
	return 0;
}

const struct sfh_hypervisor_ops fake_hypervisor_ops = {
	.plug = hv_plug,
	.unplug = hv_unplug,
	.migrate = hv_migrate,
	.ask_negotiated = hv_ask_negotiated,
	.ask_rx_filter = hv_ask_rx_filter,
	.abort = hv_abort,
	.reset = hv_reset,
	.replug = hv_replug,
};

/* --- the listener -------------------------------------------------------------------------------- */

static void l_settled(void *ctx, const char *uuid)
{
	struct fake *f = ctx;

	(void)uuid;
	f->settled++;
}

static void add_line(char *buf, size_t n, const char *text)
{
	size_t used = strlen(buf);

	if (used + 1 < n)
		(void)snprintf(buf + used, n - used, "%s\n", text);
}

static void l_progress(void *ctx, const char *uuid, const char *text)
{
	struct fake *f = ctx;

	(void)uuid;
	add_line(f->progress, sizeof(f->progress), text);
}

static void l_migrated(void *ctx, const char *uuid, int result, const char *error)
{
	struct fake *f = ctx;

	(void)uuid;
	f->nmigrated++;
	f->migrated = result;
	(void)sfh_strcpy(f->migrated_error, sizeof(f->migrated_error), error ? error : "");
}

static void l_switched(void *ctx, const struct sfh_switch *sw)
{
	struct fake *f = ctx;

	f->nswitches++;
	f->last = *sw;
}

static void l_log(void *ctx, int priority, const char *text)
{
	struct fake *f = ctx;

	if (priority <= LOG_WARNING)
		add_line(f->log, sizeof(f->log), text);
	if (priority == LOG_DEBUG)
		(void)sfh_strcpy(f->debug, sizeof(f->debug), text);
}

const struct sfh_engine_listener fake_listener = { l_settled, l_progress, l_migrated, l_switched,
						   l_log };
