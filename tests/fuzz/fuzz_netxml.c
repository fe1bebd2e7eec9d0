// SPDX-License-Identifier: GPL-2.0-or-later
/* Network definitions: what is accepted must come back from libvirt's XML as it was. */
#include "libvirt-glue/netxml.h"

#include <libxml/xmlerror.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_it(const char *xml, size_t size)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = NULL, *same = NULL;
	_cleanup_free_ char *libvirt_xml = NULL, *user = NULL;
	struct sfh_net_settings set;
	struct sfh_error err = { 0 };

	(void)sfh_netdef_from_libvirt(xml, size, &same, NULL);
	sfh_netdef_freep(&same);
	if (sfh_netdef_parse(xml, size, &def, &err) < 0) {
		if (!err.text[0])
			__builtin_trap(); /* a refusal has a sentence */
		return;
	}
	sfh_netdef_settings(def, "gold", &set);
	if (sfh_netdef_to_libvirt(xml, size, &libvirt_xml, NULL) < 0 ||
	    sfh_netdef_from_libvirt(libvirt_xml, strlen(libvirt_xml), &same, NULL) < 0 ||
	    sfh_netdef_user_xml(libvirt_xml, strlen(libvirt_xml), &user, NULL) < 0)
		__builtin_trap();
	if (strcmp(def->name, same->name) != 0 || def->npfs != same->npfs || def->mode != same->mode ||
	    def->nportgroups != same->nportgroups || def->set.bond != same->set.bond)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_it((const char *)data, size);
	xmlResetLastError(); /* else every refusal looks like a leak, which takes a second to refute */
	return 0;
}
