// SPDX-License-Identifier: GPL-2.0-or-later
/* Networks, as libvirt has them. */
#include "libvirt-glue/virt-internal.h"

#include <libvirt/virterror.h>

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
		return sfh_virt_fail(err, "cannot look up the network");
	}
	xml = virNetworkGetXMLDesc(net, VIR_NETWORK_XML_INACTIVE);
	if (!xml)
		return sfh_virt_fail(err, "cannot read the network");
	if (ret_active)
		*ret_active = virNetworkIsActive(net) == 1;
	*ret = xml;
	return 0;
}

int sfh_virt_network_define(struct sfh_virt *v, const char *xml, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkDefineXML(v->conn, xml);

	return net ? 0 : sfh_virt_fail(err, "libvirt refused the network");
}

int sfh_virt_network_undefine(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	if (!net || virNetworkUndefine(net) < 0)
		return sfh_virt_fail(err, "cannot undefine the network");
	return 0;
}

int sfh_virt_network_start(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	if (!net || (virNetworkIsActive(net) != 1 && virNetworkCreate(net) < 0))
		return sfh_virt_fail(err, "libvirt cannot start the network");
	return 0;
}

int sfh_virt_network_stop(struct sfh_virt *v, const char *name, struct sfh_error *err)
{
	_cleanup_net_ net = virNetworkLookupByName(v->conn, name);

	const virError *e = net ? NULL : virGetLastError();

	if (e && e->code == VIR_ERR_NO_NETWORK)
		return 0;
	if (!net || (virNetworkIsActive(net) == 1 && virNetworkDestroy(net) < 0))
		return sfh_virt_fail(err, "libvirt cannot stop the network");
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
		return sfh_virt_fail(err, "cannot list networks");
	for (int i = 0; i < n; i++) {
		_cleanup_net_ net = nets[i];
		_cleanup_free_ char *xml = NULL;

		if (r == 0 && (xml = virNetworkGetXMLDesc(net, VIR_NETWORK_XML_INACTIVE)))
			r = cb(ctx, virNetworkGetName(net), xml, virNetworkIsActive(net) == 1);
	}
	free(nets);
	return r;
}
