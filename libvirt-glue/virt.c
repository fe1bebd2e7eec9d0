// SPDX-License-Identifier: GPL-2.0-or-later
/* The connection to libvirtd, and its errors as ours. */
#include "libvirt-glue/virt-internal.h"

#include <libvirt/virterror.h>

static void conn_closep(virConnectPtr *conn)
{
	if (*conn)
		(void)virConnectClose(*conn);
}

int sfh_virt_fail(struct sfh_error *err, const char *what)
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

int sfh_virt_open(const char *uri, sfh_virt_event_fn fn, void *ctx, struct sfh_virt **ret,
		  struct sfh_error *err)
{
	struct sfh_virt *v;

	virSetErrorFunc(NULL, quiet);
	if (fn)
		sfh_virt_events_start();
	v = calloc(1, sizeof(*v));
	if (!v)
		return sfh_err(err, -ENOMEM, "out of memory");
	v->fn = fn;
	v->ctx = ctx;
	v->conn = fn ? virConnectOpen(uri) : virConnectOpenReadOnly(uri);
	if (!v->conn || (fn && sfh_virt_events_subscribe(v) < 0)) {
		int r = sfh_virt_fail(err, "cannot reach libvirtd; is it running?");

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
		return sfh_virt_fail(err, "libvirtd does not say its version");
	if (virConnectGetVersion(v->conn, qemu) < 0)
		*qemu = 0;
	return 0;
}
