// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's events, and QEMU's own through it, as struct sfh_virt_event. */
#include "libvirt-glue/virt-internal.h"

#include <libvirt/libvirt-qemu.h>
#include <pthread.h>
#include <string.h>

static void emit(struct sfh_virt *v, enum sfh_virt_event_kind kind, virDomainPtr dom,
		 const char *device)
{
	struct sfh_virt_event ev = { .kind = kind };

	if (dom) {
		(void)virDomainGetUUIDString(dom, ev.uuid);
		(void)sfh_strcpy(ev.name, sizeof(ev.name), virDomainGetName(dom));
	}
	(void)sfh_strcpy(ev.device, sizeof(ev.device), device ? device : "");
	v->fn(v->ctx, &ev);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *opaque)
{
	struct sfh_virt *v = opaque;

	(void)conn;
	switch (event) {
	case VIR_DOMAIN_EVENT_DEFINED:
		emit(v, SFH_VIRT_DEFINED, dom, NULL);
		break;
	case VIR_DOMAIN_EVENT_STARTED:
		/* For a migration this comes at the end of Prepare: the CPUs stand still. */
		emit(v, detail == VIR_DOMAIN_EVENT_STARTED_MIGRATED ? SFH_VIRT_INCOMING
								    : SFH_VIRT_STARTED,
		     dom, NULL);
		break;
	case VIR_DOMAIN_EVENT_RESUMED:
		/* Post-copy's first RESUMED is not the end of the migration. */
		if (detail == VIR_DOMAIN_EVENT_RESUMED_MIGRATED)
			emit(v, SFH_VIRT_ARRIVED, dom, NULL);
		else if (detail == VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
			emit(v, SFH_VIRT_RESUMED, dom, NULL);
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
		emit(v, SFH_VIRT_STOPPED, dom, NULL);
		break;
	default:
		break;
	}
	return 0;
}

static void on_removed(virConnectPtr conn, virDomainPtr dom, const char *alias, void *opaque)
{
	(void)conn;
	emit(opaque, SFH_VIRT_DEVICE_REMOVED, dom, alias);
}

static void on_added(virConnectPtr conn, virDomainPtr dom, const char *alias, void *opaque)
{
	(void)conn;
	/* what we plug ourselves is no news */
	if (sfh_alias_parse(alias, NULL) != SFH_ALIAS_VF)
		emit(opaque, SFH_VIRT_DEVICE_ADDED, dom, alias);
}

static void on_removal_failed(virConnectPtr conn, virDomainPtr dom, const char *alias,
			      void *opaque)
{
	(void)conn;
	emit(opaque, SFH_VIRT_DEVICE_KEPT, dom, alias);
}

/* The string value of `key` in QMP's event details: a flat JSON object whose
 * values of interest are device ids, which hold nothing that is ever escaped. */
static void detail_string(const char *details, const char *key, char *buf, size_t n)
{
	char quoted[64] = "\"";
	const char *at, *end;

	buf[0] = '\0';
	strncat(quoted, key, sizeof(quoted) - 3);
	strcat(quoted, "\"");
	at = details ? strstr(details, quoted) : NULL;
	at = at ? strchr(at + strlen(quoted), '"') : NULL;
	end = at ? strchr(at + 1, '"') : NULL;
	if (!end || (size_t)(end - at - 1) >= n)
		return;
	memcpy(buf, at + 1, (size_t)(end - at - 1));
	buf[end - at - 1] = '\0';
}

/* Of a migration at the source, or one to a file. */
static void on_migration(struct sfh_virt *v, virDomainPtr dom, const char *details)
{
	static const struct {
		const char *status;
		enum sfh_virt_event_kind kind;
	} kinds[] = {
		{ "setup", SFH_VIRT_DEPARTING },
		{ "active", SFH_VIRT_VF_YIELDED },
		{ "failed", SFH_VIRT_STAYS },
		{ "cancelled", SFH_VIRT_STAYS },
	};
	char status[32];

	detail_string(details, "status", status, sizeof(status));
	for (size_t i = 0; i < SFH_ARRAY_SIZE(kinds); i++)
		if (strcmp(status, kinds[i].status) == 0)
			emit(v, kinds[i].kind, dom, NULL);
}

/* QEMU's own events, forwarded before libvirt acts on them. FAILOVER_NEGOTIATED
 * has no libvirt event; DEVICE_DELETED is the earliest word of a release. */
static void on_qmp(virConnectPtr conn, virDomainPtr dom, const char *event, long long seconds,
		   unsigned int micros, const char *details, void *opaque)
{
	char device[SFH_DOM_ALIAS_SIZE];

	(void)conn;
	(void)seconds;
	(void)micros;
	if (strcmp(event, "FAILOVER_NEGOTIATED") == 0) {
		detail_string(details, "device-id", device, sizeof(device));
		emit(opaque, SFH_VIRT_NEGOTIATED, dom, device);
	} else if (strcmp(event, "RESET") == 0) {
		emit(opaque, SFH_VIRT_RESET, dom, NULL);
	} else if (strcmp(event, "UNPLUG_PRIMARY") == 0) {
		detail_string(details, "device-id", device, sizeof(device));
		emit(opaque, SFH_VIRT_VF_ASKED, dom, device);
	} else if (strcmp(event, "NIC_RX_FILTER_CHANGED") == 0) {
		detail_string(details, "name", device, sizeof(device));
		emit(opaque, SFH_VIRT_RX_FILTER, dom, device);
	} else if (strcmp(event, "MIGRATION") == 0) {
		on_migration(opaque, dom, details);
	} else {
		detail_string(details, "device", device, sizeof(device));
		if (device[0])
			emit(opaque, SFH_VIRT_DEVICE_REMOVED, dom, device);
	}
}

static int on_network(virConnectPtr conn, virNetworkPtr net, int event, int detail, void *opaque)
{
	struct sfh_virt *v = opaque;
	struct sfh_virt_event ev = { .kind = event == VIR_NETWORK_EVENT_STOPPED ?
						     SFH_VIRT_NETWORK_STOPPED :
						     SFH_VIRT_NETWORK_STARTED };

	(void)conn;
	(void)detail;
	if (event == VIR_NETWORK_EVENT_STOPPED || event == VIR_NETWORK_EVENT_STARTED) {
		(void)sfh_strcpy(ev.name, sizeof(ev.name), virNetworkGetName(net));
		v->fn(v->ctx, &ev);
	}
	return 0;
}

static void on_close(virConnectPtr conn, int reason, void *opaque)
{
	(void)conn;
	(void)reason;
	emit(opaque, SFH_VIRT_CLOSED, NULL, NULL);
}

static void *event_thread(void *arg)
{
	(void)arg;
	for (;;)
		(void)virEventRunDefaultImpl();
	return NULL;
}

static void start_thread(void)
{
	pthread_t thread;

	(void)virEventRegisterDefaultImpl();
	if (pthread_create(&thread, NULL, event_thread, NULL) == 0)
		(void)pthread_detach(thread);
}

void sfh_virt_events_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, start_thread);
}

int sfh_virt_events_subscribe(struct sfh_virt *v)
{
	virConnectPtr c = v->conn;

	return virConnectRegisterCloseCallback(c, on_close, v, NULL) < 0 ||
			       virConnectSetKeepAlive(c, 5, 3) < 0 ||
			       virConnectDomainEventRegisterAny(c, NULL,
								VIR_DOMAIN_EVENT_ID_LIFECYCLE,
								VIR_DOMAIN_EVENT_CALLBACK(
									on_lifecycle),
								v, NULL) < 0 ||
			       virConnectDomainEventRegisterAny(
				       c, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
				       VIR_DOMAIN_EVENT_CALLBACK(on_removed), v, NULL) < 0 ||
			       virConnectDomainEventRegisterAny(
				       c, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
				       VIR_DOMAIN_EVENT_CALLBACK(on_added), v, NULL) < 0 ||
			       virConnectDomainEventRegisterAny(
				       c, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
				       VIR_DOMAIN_EVENT_CALLBACK(on_removal_failed), v, NULL) < 0 ||
			       virConnectNetworkEventRegisterAny(
				       c, NULL, VIR_NETWORK_EVENT_ID_LIFECYCLE,
				       VIR_NETWORK_EVENT_CALLBACK(on_network), v, NULL) < 0 ||
			       virConnectDomainQemuMonitorEventRegister(
				       c, NULL,
				       "^(FAILOVER_NEGOTIATED|RESET|DEVICE_DELETED|UNPLUG_PRIMARY|MIGRATION"
				       "|NIC_RX_FILTER_CHANGED)$",
				       on_qmp, v,
				       NULL,
				       VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX) < 0
		       ? -EIO
		       : 0;
}
