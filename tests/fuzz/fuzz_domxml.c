// SPDX-License-Identifier: GPL-2.0-or-later
/* Domain XML as it comes from another host: described, adopted and back, VFs placed. */
#include "libvirt-glue/domxml.h"
#include "libvirt-glue/hostdevxml.h"

#include <libxml/xmlerror.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The network's name says what it is, so that the input decides. */
static enum sfh_hybrid by_name(void *ctx, const char *network, const char *portgroup)
{
	(void)ctx;
	if (*network == 'n')
		return SFH_HYBRID_NO;
	return *network == 'b' || *portgroup == 'b' ? SFH_HYBRID_BOND : SFH_HYBRID_FAILOVER;
}

static void describe(const char *xml, size_t len)
{
	_cleanup_(sfh_domdesc_freep) struct sfh_domdesc *desc = NULL;
	struct sfh_error err = { 0 };

	if (sfh_domdesc_parse(xml, len, &desc, &err) < 0) {
		if (!err.text[0])
			__builtin_trap(); /* a refusal has a sentence */
		return;
	}
	for (size_t i = 0; i < desc->nnics; i++)
		(void)sfh_domdesc_find_nic(desc, &desc->nics[i].mac);
	for (size_t i = 0; i < desc->nhostdevs; i++) {
		const struct sfh_vf_place place = { desc->hostdevs[i].alias, { 0, 1, 2, 3 } };
		_cleanup_free_ char *placed = NULL, *device = NULL;

		(void)sfh_domxml_place_vfs(xml, len, &place, 1, &placed, NULL);
		(void)sfh_hostdev_xml(&desc->hostdevs[i].bdf, desc->hostdevs[i].alias,
				      desc->hostdevs[i].teaming_persistent, &device, NULL);
	}
}

static void try_it(const char *xml, size_t size)
{
	_cleanup_free_ char *adopted = NULL, *again = NULL, *back = NULL, *twice = NULL;
	struct sfh_adoption info;

	describe(xml, size);
	if (sfh_domxml_adopt(xml, size, by_name, NULL, &adopted, &info, NULL) < 0 || !adopted)
		return;
	/* idempotent, and so is its reverse */
	if (sfh_domxml_adopt(adopted, strlen(adopted), by_name, NULL, &again, &info, NULL) < 0 ||
	    again)
		__builtin_trap();
	describe(adopted, strlen(adopted));
	if (sfh_domxml_unadopt(adopted, strlen(adopted), by_name, NULL, &back, &info, NULL) < 0)
		__builtin_trap();
	if (back && (sfh_domxml_unadopt(back, strlen(back), by_name, NULL, &twice, &info, NULL) < 0 ||
		     twice))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_it((const char *)data, size);
	xmlResetLastError(); /* else every refusal looks like a leak, which takes a second to refute */
	return 0;
}
