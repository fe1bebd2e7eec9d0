// SPDX-License-Identifier: GPL-2.0-or-later
/* Domains: what is there, and what is done to a live one through libvirt. */
#include "libvirt-glue/virt-internal.h"

#include <libvirt/virterror.h>
#include <string.h>

int sfh_virt_running(struct sfh_virt *v, int (*cb)(void *ctx, const char *xml), void *ctx,
		     struct sfh_error *err)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(v->conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE), r = 0;

	if (n < 0)
		return sfh_virt_fail(err, "cannot list domains");
	for (int i = 0; i < n; i++) {
		_cleanup_dom_ dom = doms[i];
		_cleanup_free_ char *xml = r == 0 ? virDomainGetXMLDesc(dom, 0) : NULL;

		if (xml)
			r = cb(ctx, xml);
		else if (r == 0 && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) /* else it stopped */
			r = sfh_virt_fail(err, "cannot read a running domain");
	}
	free(doms);
	return r;
}

virDomainPtr sfh_virt_find_domain(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	virDomainPtr dom = virDomainLookupByUUIDString(v->conn, uuid);

	if (!dom)
		(void)sfh_virt_fail(err, "cannot look up the domain");
	return dom;
}

int sfh_virt_domain_xml(struct sfh_virt *v, const char *uuid, char **ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);
	char *xml;

	if (!dom)
		return err ? err->code : -ENOENT;
	xml = virDomainGetXMLDesc(dom, 0);
	if (!xml)
		return sfh_virt_fail(err, "cannot read the domain");
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

/* What libvirt's refusal, r, means: it has that VF, or no place for it. */
static int judge_refusal(virDomainPtr dom, const char *alias, const struct sfh_bdf *vf, int r)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	_cleanup_free_ char *xml = virDomainGetXMLDesc(dom, 0);
	const struct sfh_dom_hostdev *has;

	if (!xml || sfh_domdesc_parse(xml, strlen(xml), &desc, NULL) < 0)
		return r;
	has = sfh_domdesc_find_hostdev(desc, alias);
	if (has && sfh_bdf_equal(&has->bdf, vf))
		return 0;
	return desc->free_root_ports == 0 ? -ENOSPC : r;
}

int sfh_virt_plug(struct sfh_virt *v, const char *uuid, const char *device_xml,
		  const char *alias, const struct sfh_bdf *vf, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);
	int r;

	if (!dom)
		return err ? err->code : -ENOENT;
	if (virDomainAttachDeviceFlags(dom, device_xml, VIR_DOMAIN_AFFECT_LIVE) == 0)
		return 0;
	r = judge_refusal(dom, alias, vf, sfh_virt_fail(err, "libvirt cannot attach the VF"));
	if (r == 0 && err)
		*err = (struct sfh_error){ 0 };
	return r;
}

int sfh_virt_unplug(struct sfh_virt *v, const char *uuid, const char *alias, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);

	if (!dom)
		return -ENOENT;
	if (virDomainDetachDeviceAlias(dom, alias, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return sfh_virt_fail(err, "libvirt cannot detach the VF");
	return 0;
}

int sfh_virt_is_leaving(struct sfh_virt *v, const char *uuid, bool *ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);
	virTypedParameterPtr params = NULL;
	int type = VIR_DOMAIN_JOB_NONE, n = 0, op = 0;

	if (!dom)
		return -ENOENT;
	if (virDomainGetJobStats(dom, &type, &params, &n, 0) < 0)
		return sfh_virt_fail(err, "libvirt does not tell what it does with the domain");
	(void)virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &op);
	virTypedParamsFree(params, n);
	*ret = type != VIR_DOMAIN_JOB_NONE && (op == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT ||
					       op == VIR_DOMAIN_JOB_OPERATION_SAVE ||
					       op == VIR_DOMAIN_JOB_OPERATION_SNAPSHOT ||
					       op == VIR_DOMAIN_JOB_OPERATION_DUMP);
	return 0;
}

int sfh_virt_abort(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);

	if (!dom)
		return -ENOENT;
	return virDomainAbortJob(dom) < 0 ? sfh_virt_fail(err, "libvirt cannot end its job") : 0;
}

int sfh_virt_reset(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);

	if (!dom)
		return -ENOENT;
	return virDomainReset(dom, 0) < 0 ? sfh_virt_fail(err, "libvirt cannot reset it") : 0;
}

int sfh_virt_migrate(struct sfh_virt *v, const char *uuid, const char *uri, unsigned flags,
		     struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);
	unsigned vflags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_ABORT_ON_ERROR;

	if (!dom)
		return -ENOENT;
	if (flags & SFH_MIGRATE_PERSISTENT)
		vflags |= VIR_MIGRATE_PERSIST_DEST;
	if (flags & SFH_MIGRATE_UNDEFINE_SOURCE)
		vflags |= VIR_MIGRATE_UNDEFINE_SOURCE;
	if (virDomainMigrateToURI3(dom, uri, NULL, 0, vflags) < 0)
		return sfh_virt_fail(err, "the migration failed");
	return 0;
}
