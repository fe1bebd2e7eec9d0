/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of libvirt-glue share: data files, and questions to a document
 * that do not depend on quotes or blanks. */
#ifndef SFHYBRID_TESTS_GLUE_HELPERS_H
#define SFHYBRID_TESTS_GLUE_HELPERS_H

#include "sfhybrid/util.h"

#include <criterion/criterion.h>
#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <string.h>

#ifndef SFH_TEST_DATA
#define SFH_TEST_DATA "tests/unit/data"
#endif

static inline char *load_data(const char *name)
{
	char path[512], *text;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", SFH_TEST_DATA, name);
	f = fopen(path, "re");
	cr_assert(f, "%s: %s", path, strerror(errno));
	text = calloc(1, 1 << 20);
	cr_assert(text);
	n = fread(text, 1, (1 << 20) - 1, f);
	cr_assert(n > 0 && !fclose(f));
	return text;
}

/* `text` with the first `from` replaced, which must be there. */
static inline char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *ret;

	cr_assert(at, "'%s' is not in the document", from);
	cr_assert(asprintf(&ret, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return ret;
}

/* XPath (string or number or set) as a string; "sfh:" is our network namespace. */
static inline char *ask(const char *xml, const char *path)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
	xmlXPathContext *ctx;
	xmlXPathObject *obj;
	xmlChar *s;
	char *ret;

	cr_assert(doc, "not XML: %s", xml);
	ctx = xmlXPathNewContext(doc);
	(void)xmlXPathRegisterNs(ctx, BAD_CAST "sfh",
				 BAD_CAST "https://sfhybrid.org/xmlns/network/1");
	obj = xmlXPathEvalExpression(BAD_CAST path, ctx);
	cr_assert(obj, "bad XPath %s", path);
	s = xmlXPathCastToString(obj);
	ret = strdup((const char *)s);
	xmlFree(s);
	xmlXPathFreeObject(obj);
	xmlXPathFreeContext(ctx);
	xmlFreeDoc(doc);
	return ret;
}

#define assert_xpath(xml, path, expected)                                                    \
	do {                                                                                 \
		_cleanup_free_ char *_got = ask(xml, path);                                  \
		cr_assert_str_eq(_got, expected, "%s is '%s', not '%s', in\n%s", path, _got, \
				 expected, xml);                                             \
	} while (0)

static inline void strip_blank_text(xmlNode *node)
{
	for (xmlNode *c = node->children, *next; c; c = next) {
		next = c->next;
		if (c->type == XML_TEXT_NODE && xmlIsBlankNode(c)) {
			xmlUnlinkNode(c);
			xmlFreeNode(c);
		} else {
			strip_blank_text(c);
		}
	}
}

/* Canonical XML, with comments, without blank text. */
static inline char *canonical(const char *xml)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
	xmlChar *s = NULL;
	char *ret;

	cr_assert(doc, "not XML: %s", xml);
	strip_blank_text(xmlDocGetRootElement(doc));
	cr_assert(xmlC14NDocDumpMemory(doc, NULL, XML_C14N_1_0, NULL, 1, &s) >= 0);
	ret = strdup((const char *)s);
	xmlFree(s);
	xmlFreeDoc(doc);
	return ret;
}

#define assert_same_xml(a, b)                                               \
	do {                                                                \
		_cleanup_free_ char *_a = canonical(a), *_b = canonical(b); \
		cr_assert_str_eq(_a, _b);                                   \
	} while (0)

#define assert_says(e, said) \
	cr_assert(strstr((e).text, said), "'%s' is not in the sentence '%s'", said, (e).text)

#endif
