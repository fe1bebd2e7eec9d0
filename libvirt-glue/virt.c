// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/virt.h"
#include "libvirt-glue/rxfilter.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct sfh_virt {
	virConnectPtr conn;
	sfh_virt_event_fn fn;
	void *ctx;
};

static void conn_closep(virConnectPtr *conn)
{
	if (*conn)
		(void)virConnectClose(*conn);
}

static void net_freep(virNetworkPtr *net)
{
	if (*net)
		(void)virNetworkFree(*net);
}

static void dom_freep(virDomainPtr *dom)
{
	if (*dom)
		(void)virDomainFree(*dom);
}

#define _cleanup_net_ _cleanup_(net_freep) virNetworkPtr
#define _cleanup_dom_ _cleanup_(dom_freep) virDomainPtr

/* libvirt's last error of this thread as ours. */
static int virt_fail(struct sfh_error *err, const char *what)
{
	const virError *e = virGetLastError();
	int code = -EIO;

	if (e && e->domain == VIR_FROM_RPC)
		return sfh_err(err, -ENOTCONN, "libvirtd does not answer; is it running? (%s: %s)",
			       what, e->message);
	switch (e ? e->code : VIR_ERR_OK) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_NO_NETWORK:
		code = -ENOENT;
		break;
	case VIR_ERR_OPERATION_TIMEOUT:
		code = -ETIMEDOUT;
		break;
	case VIR_ERR_DEVICE_MISSING:
		code = -ENODEV;
		break;
	default:
		break;
	}
	return sfh_err(err, code, "%s: %s", what, e ? e->message : "libvirt gave no reason");
}

/* Errors come back as return values; libvirt's habit of printing them is not wanted. */
static void quiet(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

/* --- events ------------------------------------------------------------------------------ */

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

static void start_event_loop(void)
{
	pthread_t thread;

	(void)virEventRegisterDefaultImpl();
	if (pthread_create(&thread, NULL, event_thread, NULL) == 0)
		(void)pthread_detach(thread);
}

static int subscribe(struct sfh_virt *v)
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
				       "^(FAILOVER_NEGOTIATED|DEVICE_DELETED|UNPLUG_PRIMARY|MIGRATION"
				       "|NIC_RX_FILTER_CHANGED)$",
				       on_qmp, v,
				       NULL,
				       VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX) < 0
		       ? -EIO
		       : 0;
}

int sfh_virt_open(const char *uri, sfh_virt_event_fn fn, void *ctx, struct sfh_virt **ret,
		  struct sfh_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sfh_virt *v;

	virSetErrorFunc(NULL, quiet);
	if (fn)
		(void)pthread_once(&once, start_event_loop);
	v = calloc(1, sizeof(*v));
	if (!v)
		return sfh_err(err, -ENOMEM, "out of memory");
	v->fn = fn;
	v->ctx = ctx;
	v->conn = fn ? virConnectOpen(uri) : virConnectOpenReadOnly(uri);
	if (!v->conn || (fn && subscribe(v) < 0)) {
		int r = virt_fail(err, "cannot reach libvirtd; is it running?");

		sfh_virt_close(&v);
		return r;
	}
	*ret = v;
	return 0;
}

void sfh_virt_close(struct sfh_virt **virt)
{
	if (!*virt)
		return;
	conn_closep(&(*virt)->conn);
	free(*virt);
	*virt = NULL;
}

bool sfh_virt_is_alive(struct sfh_virt *virt)
{
	return virConnectIsAlive(virt->conn) == 1;
}

int sfh_virt_versions(struct sfh_virt *v, unsigned long *libvirt, unsigned long *qemu,
		      struct sfh_error *err)
{
	if (virConnectGetLibVersion(v->conn, libvirt) < 0)
		return virt_fail(err, "libvirtd does not say its version");
	if (virConnectGetVersion(v->conn, qemu) < 0)
		*qemu = 0;
	return 0;
}

/* --- networks --------------------------------------------------------------------------------- */

int sfh_virt_network_xml(struct sfh_virt *v, const char *name, char **ret, bool *ret_active,
			 struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);
	char *xml;

	if (!net) {
		const virError *e = virGetLastError();

		if (e && e->code == VIR_ERR_NO_NETWORK)
			return sfh_err(err, -ENOENT, "there is no network '%s'; 'sfhybrid-ctl list' shows what is",
				       name);
		return virt_fail(err, "cannot look up the network");
	}
	xml = virNetworkGetXMLDesc(net, VIR_NETWORK_XML_INACTIVE);
	if (!xml)
		return virt_fail(err, "cannot read the network");
	if (ret_active)
		*ret_active = virNetworkIsActive(net) == 1;
	*ret = xml;
	return 0;
}

int sfh_virt_network_define(struct sfh_virt *v, const char *xml, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkDefineXML(v->conn, xml);

	return net ? 0 : virt_fail(err, "libvirt refused the network");
}

int sfh_virt_network_undefine(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	if (!net || virNetworkUndefine(net) < 0)
		return virt_fail(err, "cannot undefine the network");
	return 0;
}

int sfh_virt_network_start(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	if (!net || (virNetworkIsActive(net) != 1 && virNetworkCreate(net) < 0))
		return virt_fail(err, "libvirt cannot start the network");
	return 0;
}

int sfh_virt_network_stop(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	const virError *e = net ? NULL : virGetLastError();

	if (e && e->code == VIR_ERR_NO_NETWORK)
		return 0;
	if (!net || (virNetworkIsActive(net) == 1 && virNetworkDestroy(net) < 0))
		return virt_fail(err, "libvirt cannot stop the network");
	return 0;
}

bool sfh_virt_network_active(struct sfh_virt *v, const char *name)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	return net && virNetworkIsActive(net) == 1;
}

bool sfh_virt_network_autostart(struct sfh_virt *v, const char *name)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);
	int on = 0;

	return net && virNetworkGetAutostart(net, &on) == 0 && on;
}

int sfh_virt_networks(struct sfh_virt *v,
		      int (*cb)(void *ctx, const char *name, const char *xml, bool active),
		      void *ctx, struct sfh_error *err)
{
	virNetworkPtr *nets = NULL;
	int n = virConnectListAllNetworks(v->conn, &nets, 0), r = 0;

	if (n < 0)
		return virt_fail(err, "cannot list networks");
	for (int i = 0; i < n; i++) {
		_cleanup_net_ net = nets[i];
		_cleanup_free_ char *xml = NULL;

		if (r == 0 && (xml = virNetworkGetXMLDesc(net, VIR_NETWORK_XML_INACTIVE)))
			r = cb(ctx, virNetworkGetName(net), xml, virNetworkIsActive(net) == 1);
	}
	free(nets);
	return r;
}

/* --- domains ------------------------------------------------------------------------------------ */

int sfh_virt_running(struct sfh_virt *v, int (*cb)(void *ctx, const char *xml), void *ctx,
		     struct sfh_error *err)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(v->conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE), r = 0;

	if (n < 0)
		return virt_fail(err, "cannot list domains");
	for (int i = 0; i < n; i++) {
		_cleanup_dom_ dom = doms[i];
		_cleanup_free_ char *xml = NULL;

		if (r == 0 && (xml = virDomainGetXMLDesc(dom, 0)))
			r = cb(ctx, xml);
	}
	free(doms);
	return r;
}

static virDomainPtr lookup(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	virDomainPtr dom = virDomainLookupByUUIDString(v->conn, uuid);

	if (!dom)
		(void)virt_fail(err, "cannot look up the domain");
	return dom;
}

int sfh_virt_domain_xml(struct sfh_virt *v, const char *uuid, char **ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);
	char *xml;

	if (!dom)
		return err ? err->code : -ENOENT;
	xml = virDomainGetXMLDesc(dom, 0);
	if (!xml)
		return virt_fail(err, "cannot read the domain");
	*ret = xml;
	return 0;
}

int sfh_virt_domain_lookup(struct sfh_virt *v, const char *name_or_uuid, char *uuid,
			   struct sfh_error *err)
{
	_cleanup_dom_ dom = virDomainLookupByName(v->conn, name_or_uuid);

	if (!dom)
		dom = virDomainLookupByUUIDString(v->conn, name_or_uuid);
	if (!dom || virDomainGetUUIDString(dom, uuid) < 0)
		return sfh_err(err, -ENOENT, "there is no domain '%s'; 'virsh list --all' shows what is",
			       name_or_uuid);
	return 0;
}

typedef int (*change_fn)(const char *xml, size_t len, sfh_is_hybrid_fn is_hybrid, void *ctx,
			 char **ret_xml, struct sfh_adoption *info, struct sfh_error *err);

/* libvirt has no "define if it is still this": what was read is read once more right
 * before, so that what its owner did meanwhile is neither undone nor, if that
 * was `undefine`, brought back to life. */
static bool is_still(virDomainPtr dom, const char *xml)
{
	_cleanup_free_ char *now = NULL;

	if (virDomainIsPersistent(dom) != 1)
		return false;
	now = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	return now && strcmp(now, xml) == 0;
}

#define REDEFINE_TRIES 3

/* Changes the persistent definition, if there is one and something to change. */
static int redefine(struct sfh_virt *v, virDomainPtr dom, change_fn change,
		    sfh_is_hybrid_fn is_hybrid, void *ctx, struct sfh_adoption *ret,
		    struct sfh_error *err)
{
	for (int i = 0; i < REDEFINE_TRIES; i++) {
		_cleanup_free_ char *xml = NULL, *changed = NULL;
		_cleanup_dom_ redefined = NULL;
		int r;

		*ret = (struct sfh_adoption){ 0 };
		if (virDomainIsPersistent(dom) != 1)
			return 0;
		xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
		if (!xml)
			return virt_fail(err, "cannot read the domain");
		r = change(xml, strlen(xml), is_hybrid, ctx, &changed, ret, err);
		if (r < 0 || !changed)
			return r;
		if (!is_still(dom, xml))
			continue;
		redefined = virDomainDefineXML(v->conn, changed);
		return redefined ? 0 : virt_fail(err, "libvirt refused the changed domain");
	}
	return sfh_err(err, -EAGAIN, "the domain is being redefined by others all the time");
}

int sfh_virt_adopt(struct sfh_virt *v, const char *uuid, sfh_is_hybrid_fn is_hybrid, void *ctx,
		   struct sfh_adoption *ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	return dom ? redefine(v, dom, sfh_domxml_adopt, is_hybrid, ctx, ret, err) : -ENOENT;
}

/* Returns how many NICs were changed. */
static int redefine_all(struct sfh_virt *v, change_fn change, sfh_is_hybrid_fn is_hybrid, void *ctx,
			void (*note)(void *ctx, const char *text), struct sfh_error *err)
{
	virDomainPtr *doms = NULL;
	int nics = 0, n = virConnectListAllDomains(v->conn, &doms, VIR_CONNECT_LIST_DOMAINS_PERSISTENT);

	if (n < 0)
		return virt_fail(err, "cannot list domains");
	for (int i = 0; i < n; i++) {
		_cleanup_dom_ dom = doms[i];
		struct sfh_adoption what;
		struct sfh_error why = { 0 };

		if (redefine(v, dom, change, is_hybrid, ctx, &what, &why) < 0) {
			(void)sfh_err_prefix(&why, "%s", virDomainGetName(dom));
			note(ctx, why.text);
		} else {
			nics += (int)what.adopted;
		}
	}
	free(doms);
	return nics;
}

int sfh_virt_adopt_all(struct sfh_virt *v, sfh_is_hybrid_fn is_hybrid, void *ctx,
		       void (*note)(void *ctx, const char *text), struct sfh_error *err)
{
	int r = redefine_all(v, sfh_domxml_adopt, is_hybrid, ctx, note, err);

	return r < 0 ? r : 0;
}

int sfh_virt_unadopt_all(struct sfh_virt *v, sfh_is_hybrid_fn is_hybrid, void *ctx,
			 void (*note)(void *ctx, const char *text), struct sfh_error *err)
{
	return redefine_all(v, sfh_domxml_unadopt, is_hybrid, ctx, note, err);
}

/* {"return": {"guest-features": {"dev-features": ["VIRTIO_NET_F_STANDBY: …", …]}}} */
static bool has_standby(const char *answer)
{
	json_t *root = json_loads(answer, 0, NULL), *feature;
	const json_t *features = json_object_get(
		json_object_get(json_object_get(root, "return"), "guest-features"),
		"dev-features");
	bool found = false;
	size_t i;

	json_array_foreach((json_t *)features, i, feature) {
		const char *text = json_string_value(feature);

		found |= text && strncmp(text, "VIRTIO_NET_F_STANDBY", 20) == 0;
	}
	json_decref(root);
	return found;
}

/* A QMP command; *ret is what QEMU says, the caller's, free(). */
static int qmp_ask(struct sfh_virt *v, const char *uuid, const char *command, char **ret,
		   struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	if (!dom)
		return -ENOENT;
	if (virDomainQemuMonitorCommand(dom, command, ret, 0) < 0)
		return virt_fail(err, "cannot ask QEMU");
	return 0;
}

int sfh_virt_negotiated(struct sfh_virt *v, const char *uuid, const char *alias, bool *ret,
			struct sfh_error *err)
{
	_cleanup_free_ char *answer = NULL;
	char command[320];
	int r;

	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"x-query-virtio-status\",\"arguments\":"
		       "{\"path\":\"/machine/peripheral/%s/virtio-backend\"}}",
		       alias);
	r = qmp_ask(v, uuid, command, &answer, err);
	if (r < 0)
		return r;
	if (!strstr(answer, "\"return\""))
		return sfh_err(err, -EOPNOTSUPP, "QEMU does not tell what the guest negotiated");
	*ret = has_standby(answer);
	return 0;
}

int sfh_virt_rx_filter(struct sfh_virt *v, const char *uuid, const char *alias,
		       struct sfh_mac *macs, size_t n, struct sfh_error *err)
{
	_cleanup_free_ char *answer = NULL;
	char command[320];
	int r;

	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"query-rx-filter\",\"arguments\":{\"name\":\"%s\"}}", alias);
	r = qmp_ask(v, uuid, command, &answer, err);
	return r < 0 ? r : sfh_rxfilter_parse(answer, macs, n, err);
}

/* QEMU takes note of the options, then refuses: no PCI host has that address, and the
 * root bus takes no hotplug. The same happens when it tries them again. Options that
 * it has already are kept; a failed try makes it forget them. */
void sfh_virt_decoy(struct sfh_virt *v, const char *uuid, const char *vf_alias,
		    const char *standby)
{
	_cleanup_dom_ dom = lookup(v, uuid, NULL);
	_cleanup_free_ char *answer = NULL;
	char command[512];

	if (!dom)
		return;
	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"vfio-pci\","
		       "\"id\":\"%s\",\"host\":\"ffff:ff:1f.7\",\"failover_pair_id\":\"%s\"}}",
		       vf_alias, standby);
	(void)virDomainQemuMonitorCommand(dom, command, &answer, 0);
}

static bool no_free_port(virDomainPtr dom)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	_cleanup_free_ char *xml = virDomainGetXMLDesc(dom, 0);

	return xml && sfh_domdesc_parse(xml, strlen(xml), &desc, NULL) == 0 &&
	       desc->free_root_ports == 0;
}

int sfh_virt_plug(struct sfh_virt *v, const char *uuid, const char *device_xml,
		  struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	if (!dom)
		return -ENOENT;
	if (virDomainAttachDeviceFlags(dom, device_xml, VIR_DOMAIN_AFFECT_LIVE) < 0) {
		int r = virt_fail(err, "libvirt cannot attach the VF");

		return no_free_port(dom) ? -ENOSPC : r;
	}
	return 0;
}

int sfh_virt_unplug(struct sfh_virt *v, const char *uuid, const char *alias, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	if (!dom)
		return -ENOENT;
	if (virDomainDetachDeviceAlias(dom, alias, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return virt_fail(err, "libvirt cannot detach the VF");
	return 0;
}

/* A QMP command whose answer says no more than yes or no. */
static int qmp(struct sfh_virt *v, const char *uuid, const char *command, struct sfh_error *err)
{
	_cleanup_free_ char *answer = NULL;
	int r = qmp_ask(v, uuid, command, &answer, err);

	if (r < 0)
		return r;
	return strstr(answer, "\"return\"") ? 0 : sfh_err(err, -EIO, "QEMU says: %s", answer);
}

int sfh_virt_let_run(struct sfh_virt *v, const char *uuid, bool *ret, bool *by_user,
		     struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);
	int state = 0, reason = 0, r;

	*ret = *by_user = false;
	if (!dom)
		return -ENOENT;
	if (virDomainGetState(dom, &state, &reason, 0) < 0)
		return virt_fail(err, "libvirt does not tell the domain's state");
	if (state != VIR_DOMAIN_PAUSED)
		return 0;
	if (reason != VIR_DOMAIN_PAUSED_SAVE && reason != VIR_DOMAIN_PAUSED_DUMP &&
	    reason != VIR_DOMAIN_PAUSED_SNAPSHOT && reason != VIR_DOMAIN_PAUSED_MIGRATION) {
		*by_user = true;
		return 0;
	}
	r = qmp(v, uuid, "{\"execute\":\"cont\"}", err);
	*ret = r == 0;
	return r;
}

int sfh_virt_is_leaving(struct sfh_virt *v, const char *uuid, bool *ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);
	virTypedParameterPtr params = NULL;
	int type = VIR_DOMAIN_JOB_NONE, n = 0, op = 0;

	if (!dom)
		return -ENOENT;
	if (virDomainGetJobStats(dom, &type, &params, &n, 0) < 0)
		return virt_fail(err, "libvirt does not tell what it does with the domain");
	(void)virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &op);
	virTypedParamsFree(params, n);
	*ret = type != VIR_DOMAIN_JOB_NONE && (op == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT ||
					       op == VIR_DOMAIN_JOB_OPERATION_SAVE ||
					       op == VIR_DOMAIN_JOB_OPERATION_SNAPSHOT ||
					       op == VIR_DOMAIN_JOB_OPERATION_DUMP);
	return 0;
}

int sfh_virt_stand_still(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	return qmp(v, uuid, "{\"execute\":\"stop\"}", err);
}

int sfh_virt_replug(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	return qmp(v, uuid,
		   "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:/nonexistent/sfhybrid\"}}",
		   err);
}

int sfh_virt_abort(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	if (!dom)
		return -ENOENT;
	return virDomainAbortJob(dom) < 0 ? virt_fail(err, "libvirt cannot end its job") : 0;
}

int sfh_virt_reset(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);

	if (!dom)
		return -ENOENT;
	return virDomainReset(dom, 0) < 0 ? virt_fail(err, "libvirt cannot reset it") : 0;
}

int sfh_virt_migrate(struct sfh_virt *v, const char *uuid, const char *uri, unsigned flags,
		     struct sfh_error *err)
{
	_cleanup_dom_ dom = lookup(v, uuid, err);
	unsigned vflags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_ABORT_ON_ERROR;

	if (!dom)
		return -ENOENT;
	if (flags & SFH_MIGRATE_PERSISTENT)
		vflags |= VIR_MIGRATE_PERSIST_DEST;
	if (flags & SFH_MIGRATE_UNDEFINE_SOURCE)
		vflags |= VIR_MIGRATE_UNDEFINE_SOURCE;
	if (virDomainMigrateToURI3(dom, uri, NULL, 0, vflags) < 0)
		return virt_fail(err, "the migration failed");
	return 0;
}
