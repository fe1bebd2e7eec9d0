// SPDX-License-Identifier: GPL-2.0-or-later
/* Strict reading of the elements of a definition: nothing that is not known is
 * passed over. */
#include "libvirt-glue/netxml-internal.h"

#include <stdio.h>
#include <string.h>

int sfh_elem_check(const xmlNode *node, const char *const *attrs, bool elements,
		   struct sfh_error *err)
{
	char show[SFH_XML_SHOW_SIZE], show2[SFH_XML_SHOW_SIZE];

	if (node->nsDef)
		return sfh_err(err, -EINVAL, "%s: <%s>: namespaces have no place here",
			       SFH_NETXML_WHAT, sfh_xml_show(node->name, show));
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		const char *const *known = attrs;

		while (known && *known && (a->ns || strcmp(*known, (const char *)a->name)))
			known++;
		if (!known || !*known)
			return sfh_err(err, -EINVAL, "%s: <%s>: unknown attribute '%s'",
				       SFH_NETXML_WHAT, sfh_xml_show(node->name, show),
				       sfh_xml_show(a->name, show2));
	}
	for (xmlNode *c = node->children; c; c = c->next) {
		switch (c->type) {
		case XML_COMMENT_NODE:
			continue;
		case XML_TEXT_NODE:
		case XML_CDATA_SECTION_NODE:
			if (xmlIsBlankNode(c))
				continue;
			return sfh_err(err, -EINVAL, "%s: <%s>: unexpected text '%s'",
				       SFH_NETXML_WHAT, sfh_xml_show(node->name, show),
				       sfh_xml_show(c->content, show2));
		case XML_ELEMENT_NODE:
			if (elements && !c->ns)
				continue;
			/* fall through */
		default:
			return sfh_err(err, -EINVAL, "%s: <%s>: unexpected <%s>", SFH_NETXML_WHAT,
				       sfh_xml_show(node->name, show),
				       sfh_xml_show(c->name, show2));
		}
	}
	return 0;
}

int sfh_elem_text(const xmlNode *node, char *buf, size_t size, struct sfh_error *err)
{
	char show[SFH_XML_SHOW_SIZE];
	int r;

	if (node->nsDef || node->properties)
		return sfh_err(err, -EINVAL, "%s: <%s> takes no attributes", SFH_NETXML_WHAT,
			       sfh_xml_show(node->name, show));
	for (const xmlNode *c = node->children; c; c = c->next)
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE)
			return sfh_err(err, -EINVAL, "%s: <%s> holds more than text",
				       SFH_NETXML_WHAT, sfh_xml_show(node->name, show));
	r = sfh_xml_text(node, buf, size, err);
	return r < 0 ? r : 0;
}

int sfh_elem_attr(const xmlNode *node, const char *name, char *buf, size_t size,
		  struct sfh_error *err)
{
	int r = sfh_xml_attr(node, name, buf, size, err);

	if (r == 0)
		return sfh_err(err, -EINVAL, "%s: <%s>: attribute %s is missing", SFH_NETXML_WHAT,
			       (const char *)node->name, name);
	return r < 0 ? r : 0;
}

int sfh_elem_word(const xmlNode *node, const char *attr, const char *const *words, int n,
		  struct sfh_error *err)
{
	char buf[64], all[128] = "", show[SFH_XML_SHOW_SIZE];
	int r;

	r = sfh_elem_attr(node, attr, buf, sizeof(buf), err);
	if (r < 0)
		return r;
	for (int i = 0; i < n; i++) {
		size_t used = strlen(all);

		if (!strcmp(buf, words[i]))
			return i;
		(void)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", words[i]);
	}
	return sfh_err(err, -EINVAL, "%s: <%s>: unknown %s '%s' (there are: %s)", SFH_NETXML_WHAT,
		       (const char *)node->name, attr, sfh_xml_show(buf, show), all);
}

int sfh_elem_uint(const xmlNode *node, const char *attr, bool required, unsigned min, unsigned max,
		  unsigned *ret, struct sfh_error *err)
{
	uint64_t v = 0;
	int r = sfh_xml_uint(node, attr, false, min, max, &v, err);

	if (r < 0)
		return r;
	if (r == 0 && required)
		return sfh_err(err, -EINVAL, "%s: <%s>: attribute %s is missing", SFH_NETXML_WHAT,
			       (const char *)node->name, attr);
	if (r > 0)
		*ret = (unsigned)v;
	return 0;
}

int sfh_elem_children(const xmlNode *parent, const struct sfh_elem *table, size_t n,
		      struct sfh_netdef *def, struct sfh_error *err)
{
	uint64_t seen = 0;
	char show[SFH_XML_SHOW_SIZE];

	for (xmlNode *c = sfh_xml_first(parent, NULL); c; c = sfh_xml_next(c, NULL)) {
		size_t i = 0;
		int r;

		while (i < n && strcmp(table[i].name, (const char *)c->name))
			i++;
		if (i == n)
			return sfh_err(err, -EINVAL, "%s: <%s>: unknown element <%s>",
				       SFH_NETXML_WHAT, (const char *)parent->name,
				       sfh_xml_show(c->name, show));
		if (!table[i].many && seen & 1ull << i)
			return sfh_err(err, -EINVAL, "%s: <%s>: <%s> stands there twice",
				       SFH_NETXML_WHAT, (const char *)parent->name, table[i].name);
		seen |= 1ull << i;
		r = table[i].parse(c, def, err);
		if (r < 0)
			return r;
	}
	return 0;
}
