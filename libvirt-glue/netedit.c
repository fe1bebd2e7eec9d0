// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/netedit.h"

#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "libvirt-glue/xmlutil.h"

/* Where a key's value stands: an attribute of an element, in <forward> or beside it. */
static const struct key {
	const char *name, *element, *inner, *attr;
	bool forward;	/* the element stands in <forward>, but in a portgroup beside it */
	bool portgroup; /* a portgroup can say it */
	enum sfh_netedit_when when;
} keys[] = {
	{ "policy", "policy", NULL, "mode", true, true, SFH_EDIT_NOW },
	{ "priority", "policy", NULL, "priority", true, true, SFH_EDIT_NOW },
	{ "landing", "landing", NULL, "vfs", true, false, SFH_EDIT_NOW },
	{ "probe-interval", "probe", NULL, "interval", true, false, SFH_EDIT_NOW },
	{ "vfs", "vfs", NULL, "count", true, false, SFH_EDIT_NEXT_UP },
	{ "vlan", "vlan", "tag", "id", false, true, SFH_EDIT_NEXT_START },
	{ "trust", "trust", NULL, "mode", false, true, SFH_EDIT_NEXT_LEASE },
	{ "spoofchk", "spoofchk", NULL, "mode", false, true, SFH_EDIT_NEXT_LEASE },
	{ "link-state", "link-state", NULL, "state", false, true, SFH_EDIT_NEXT_LEASE },
	{ "rate-min", "rate", NULL, "min", false, true, SFH_EDIT_NEXT_LEASE },
	{ "rate-max", "rate", NULL, "max", false, true, SFH_EDIT_NEXT_LEASE },
};

const char *sfh_netedit_key(size_t i)
{
	return i < SFH_ARRAY_SIZE(keys) ? keys[i].name : NULL;
}

static const struct key *find_key(const char *word, size_t len)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == len && memcmp(keys[i].name, word, len) == 0)
			return &keys[i];
	return NULL;
}

static xmlNode *ensure(xmlNode *parent, const char *name)
{
	xmlNode *node = sfh_xml_first(parent, name);

	return node ? node : xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}

/* `required` alone is required of nothing, and a tag without its VLAN is none. */
static bool says_something(const xmlNode *element, const struct key *k)
{
	const xmlNode *inner = k->inner ? sfh_xml_first(element, k->inner) : NULL;

	if (k->inner)
		return inner && xmlHasProp(inner, BAD_CAST k->attr);
	for (const xmlAttr *a = element->properties; a; a = a->next)
		if (strcmp((const char *)a->name, "required") != 0)
			return true;
	return false;
}

/* An element that says nothing any more goes. */
static void prune(xmlNode *parent, const struct key *k)
{
	xmlNode *element = sfh_xml_first(parent, k->element);

	if (!element || says_something(element, k))
		return;
	xmlUnlinkNode(element);
	xmlFreeNode(element);
}

static int put(xmlNode *parent, const struct key *k, const char *value,
	       struct sfh_netedit_change *change, struct sfh_error *err)
{
	xmlNode *element = sfh_xml_first(parent, k->element), *node = element;
	_cleanup_xmlstr_ xmlChar *old = NULL;

	if (node && k->inner)
		node = sfh_xml_first(node, k->inner);
	old = node ? xmlGetNoNsProp(node, BAD_CAST k->attr) : NULL;
	*change = (struct sfh_netedit_change){ .key = k->name, .when = k->when };
	if (sfh_strcpy(change->value, sizeof(change->value), value) < 0)
		return sfh_err(err, -EINVAL, "the value of '%s' is too long", k->name);
	(void)sfh_strcpy(change->old, sizeof(change->old), old ? (const char *)old : "");
	if (!*value && node) {
		(void)xmlUnsetProp(node, BAD_CAST k->attr);
		return 0;
	}
	if (!*value)
		return 0;
	element = ensure(parent, k->element);
	node = element && k->inner ? ensure(element, k->inner) : element;
	if (!node || !xmlSetProp(node, BAD_CAST k->attr, BAD_CAST value))
		return sfh_err(err, -ENOMEM, "out of memory");
	return 0;
}

static xmlNode *find_portgroup(xmlNode *root, const char *name)
{
	xmlNode *node = sfh_xml_first(root, "portgroup");

	while (node && !sfh_xml_attr_is(node, "name", name))
		node = sfh_xml_next(node, "portgroup");
	return node;
}

/* NULL: the network has no <forward>. */
static xmlNode *parent_of(xmlNode *root, xmlNode *group, const struct key *k)
{
	return group ? group : k->forward ? sfh_xml_first(root, "forward") : root;
}

static int unknown_key(const char *word, struct sfh_error *err)
{
	char list[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < SFH_ARRAY_SIZE(keys) && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					keys[i].name);
	return sfh_err(err, -EINVAL, "'%s' is not KEY=VALUE with one of the keys %s, portgroup", word,
		       list);
}

int sfh_netedit(const char *user_xml, size_t len, const char *const *words, size_t n,
		struct sfh_netedit_change *changes, char **ret, struct sfh_error *err)
{
	_cleanup_doc_ xmlDoc *doc = NULL;
	xmlNode *root, *group = NULL;
	int count = 0, r = sfh_xml_read(user_xml, len, "the network", "network", &doc, err);

	if (r < 0)
		return r;
	root = xmlDocGetRootElement(doc);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(words[i], "portgroup=", strlen("portgroup=")) != 0)
			continue;
		group = find_portgroup(root, words[i] + strlen("portgroup="));
		if (!group)
			return sfh_err(err, -EINVAL, "the network has no portgroup '%s'",
				       words[i] + strlen("portgroup="));
	}
	for (size_t i = 0; i < n; i++) {
		const char *eq = strchr(words[i], '=');
		const struct key *k = eq ? find_key(words[i], (size_t)(eq - words[i])) : NULL;

		if (strncmp(words[i], "portgroup=", strlen("portgroup=")) == 0)
			continue;
		if (!k || count == SFH_NETEDIT_MAX)
			return unknown_key(words[i], err);
		if (group && !k->portgroup)
			return sfh_err(err, -EINVAL, "'%s' is the network's, not a portgroup's", k->name);
		if (!parent_of(root, group, k))
			return sfh_err(err, -EINVAL, "the network has no <forward>");
		r = put(parent_of(root, group, k), k, eq + 1, &changes[count], err);
		if (r < 0)
			return r;
		count += strcmp(changes[count].old, changes[count].value) != 0;
	}
	/* Last: what one word takes out of an element another may put in. */
	for (int i = 0; i < count; i++) {
		const struct key *k = find_key(changes[i].key, strlen(changes[i].key));

		prune(parent_of(root, group, k), k);
	}
	r = sfh_xml_write(doc, true, ret, err);
	return r < 0 ? r : count;
}
