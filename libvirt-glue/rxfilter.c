// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/rxfilter.h"

#include <jansson.h>
#include <string.h>

/* "normal": the table counts; "none", "all": it does not. */
static size_t add_table(const json_t *info, const char *mode, const char *table,
			struct sfh_mac *macs, size_t have, size_t n)
{
	const char *how = json_string_value(json_object_get(info, mode));
	json_t *entry;
	size_t i;

	if (!how || strcmp(how, "normal") != 0)
		return have;
	json_array_foreach(json_object_get(info, table), i, entry) {
		const char *text = json_string_value(entry);

		if (have < n && text && sfh_mac_parse(text, &macs[have]) == 0)
			have++;
	}
	return have;
}

/* {"return": [{"name": …, "unicast": "normal", "unicast-table": ["52:54:…", …], …}]} */
int sfh_rxfilter_parse(const char *answer, struct sfh_mac *macs, size_t n, struct sfh_error *err)
{
	json_t *root = json_loads(answer, 0, NULL);
	const json_t *info = json_array_get(json_object_get(root, "return"), 0);
	size_t have = 0;

	if (json_is_object(info)) {
		have = add_table(info, "unicast", "unicast-table", macs, have, n);
		have = add_table(info, "multicast", "multicast-table", macs, have, n);
	}
	json_decref(root);
	return info ? (int)have
		    : sfh_err(err, -EOPNOTSUPP, "QEMU does not tell what the NIC is to receive");
}
