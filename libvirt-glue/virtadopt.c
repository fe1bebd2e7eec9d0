// SPDX-License-Identifier: GPL-2.0-or-later
/* Adoption and its reverse, in domains' persistent definitions. */
#include "libvirt-glue/virt-internal.h"

#include <string.h>

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
			return sfh_virt_fail(err, "cannot read the domain");
		r = change(xml, strlen(xml), is_hybrid, ctx, &changed, ret, err);
		if (r < 0 || !changed)
			return r;
		if (!is_still(dom, xml))
			continue;
		redefined = virDomainDefineXML(v->conn, changed);
		return redefined ? 0 : sfh_virt_fail(err, "libvirt refused the changed domain");
	}
	return sfh_err(err, -EAGAIN, "the domain is being redefined by others all the time");
}

int sfh_virt_adopt(struct sfh_virt *v, const char *uuid, sfh_is_hybrid_fn is_hybrid, void *ctx,
		   struct sfh_adoption *ret, struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);

	return dom ? redefine(v, dom, sfh_domxml_adopt, is_hybrid, ctx, ret, err) : -ENOENT;
}

/* Returns how many NICs were changed. */
static int redefine_all(struct sfh_virt *v, change_fn change, sfh_is_hybrid_fn is_hybrid, void *ctx,
			void (*note)(void *ctx, const char *text), struct sfh_error *err)
{
	virDomainPtr *doms = NULL;
	int nics = 0, n = virConnectListAllDomains(v->conn, &doms, VIR_CONNECT_LIST_DOMAINS_PERSISTENT);

	if (n < 0)
		return sfh_virt_fail(err, "cannot list domains");
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
