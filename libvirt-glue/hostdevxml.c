// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/hostdevxml.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Nothing in it needs escaping then. */
static bool alias_valid(const char *alias)
{
	size_t n = strlen(alias);

	if (strncmp(alias, "ua-", 3) || n > 127 || n < 4)
		return false;
	for (; *alias; alias++)
		if (!isalnum((unsigned char)*alias) && *alias != '-' && *alias != '_')
			return false;
	return true;
}

int sfh_hostdev_xml(const struct sfh_bdf *bdf, const char *vf_alias, const char *standby_alias,
		    char **ret, struct sfh_error *err)
{
	char teaming[192] = "", *xml;

	if (!alias_valid(vf_alias) || (standby_alias && !alias_valid(standby_alias)))
		return sfh_err(err, -EINVAL, "'%.64s' or '%.64s' is not a user alias (ua-…)",
			       vf_alias, standby_alias ? standby_alias : "-");
	if (standby_alias)
		(void)snprintf(teaming, sizeof(teaming),
			       "  <teaming type='transient' persistent='%s'/>\n", standby_alias);
	if (asprintf(&xml,
		     "<hostdev mode='subsystem' type='pci' managed='no'>\n"
		     "  <driver name='vfio'/>\n"
		     "  <source>\n"
		     "    <address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>\n"
		     "  </source>\n"
		     "%s"
		     "  <alias name='%s'/>\n"
		     "</hostdev>\n",
		     bdf->domain, bdf->bus, bdf->slot, bdf->function, teaming, vf_alias) < 0)
		return sfh_err(err, -ENOMEM, "out of memory");
	*ret = xml;
	return 0;
}
