// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/xmlutil.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlsave.h>

static inline void free_ctxtp(xmlParserCtxt **ctxt)
{
	if (*ctxt)
		xmlFreeParserCtxt(*ctxt);
	*ctxt = NULL;
}

static inline void free_bufferp(xmlBuffer **buf)
{
	if (*buf)
		xmlBufferFree(*buf);
	*buf = NULL;
}

const char *sfh_xml_show(const void *text, char buf[SFH_XML_SHOW_SIZE])
{
	const unsigned char *p = text;
	size_t i = 0;

	for (; p && p[i] && i < SFH_XML_SHOW_SIZE - 1; i++)
		buf[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	buf[i] = '\0';
	return buf;
}

/* libxml2 calls this at "<!DOCTYPE name", before it reads what the declaration
 * holds: entities are never even declared. */
static void refuse_dtd(void *arg, const xmlChar *name, const xmlChar *public_id,
		       const xmlChar *system_id)
{
	xmlParserCtxt *ctxt = arg;
	bool *has_dtd = ctxt->_private;

	(void)name;
	(void)public_id;
	(void)system_id;
	*has_dtd = true;
	xmlStopParser(ctxt);
}

static int refuse_malformed(xmlParserCtxt *ctxt, const char *what, struct sfh_error *err)
{
	const xmlError *e = xmlCtxtGetLastError(ctxt);
	char msg[SFH_XML_SHOW_SIZE] = "";

	if (e && e->message) {
		size_t n;

		(void)sfh_xml_show(e->message, msg);
		/* the message ends in a newline, shown as '?' */
		n = strlen(msg);
		if (n && msg[n - 1] == '?')
			msg[n - 1] = '\0';
	}
	if (e && e->code == XML_ERR_NO_MEMORY)
		return sfh_err(err, -ENOMEM, "%s: out of memory", what);
	return sfh_err(err, -EINVAL, "%s: not well-formed XML, line %d: %s", what, e ? e->line : 0,
		       *msg ? msg : "unexpected end");
}

int sfh_xml_read(const char *xml, size_t len, const char *what, const char *root, xmlDoc **ret,
		 struct sfh_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(free_ctxtp) xmlParserCtxt *ctxt = NULL;
	_cleanup_doc_ xmlDoc *doc = NULL;
	bool has_dtd = false;
	xmlNode *node;
	char show[SFH_XML_SHOW_SIZE];

	if (!xml || !len)
		return sfh_err(err, -EINVAL, "%s: empty document", what);
	if (len > SFH_XML_MAX)
		return sfh_err(err, -E2BIG, "%s: %zu bytes, more than the %d that are accepted",
			       what, len, SFH_XML_MAX);

	/* the first use from two threads at once is not safe otherwise */
	(void)pthread_once(&once, xmlInitParser);
	ctxt = xmlNewParserCtxt();
	if (!ctxt || !ctxt->sax)
		return sfh_err(err, -ENOMEM, "%s: out of memory", what);
	ctxt->_private = &has_dtd;
	ctxt->sax->internalSubset = refuse_dtd;
	ctxt->sax->externalSubset = refuse_dtd;
	doc = xmlCtxtReadMemory(ctxt, xml, (int)len, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (has_dtd || (doc && (doc->intSubset || doc->extSubset)))
		return sfh_err(err, -EINVAL, "%s: document type declarations are not accepted",
			       what);
	if (!doc || !ctxt->wellFormed)
		return refuse_malformed(ctxt, what, err);
	node = xmlDocGetRootElement(doc);
	if (!node || !sfh_xml_is(node, root))
		return sfh_err(err, -EINVAL, "%s: the root element is <%s>, not <%s>", what,
			       sfh_xml_show(node ? node->name : NULL, show), root);
	*ret = TAKE_PTR(doc);
	return 0;
}

int sfh_xml_write(xmlDoc *doc, bool indent, char **ret, struct sfh_error *err)
{
	_cleanup_(free_bufferp) xmlBuffer *buf = xmlBufferCreate();
	xmlSaveCtxt *save;
	char *text;
	bool failed;

	if (!buf)
		return sfh_err(err, -ENOMEM, "out of memory");
	save = xmlSaveToBuffer(buf, "UTF-8",
			       XML_SAVE_NO_DECL | XML_SAVE_AS_XML | (indent ? XML_SAVE_FORMAT : 0));
	if (!save)
		return sfh_err(err, -ENOMEM, "out of memory");
	failed = xmlSaveDoc(save, doc) < 0;
	if (xmlSaveClose(save) < 0 || failed)
		return sfh_err(err, -EIO, "cannot write XML");
	/* xmlFree() need not be free() */
	text = strndup((const char *)xmlBufferContent(buf), (size_t)xmlBufferLength(buf));
	if (!text)
		return sfh_err(err, -ENOMEM, "out of memory");
	*ret = text;
	return 0;
}

bool sfh_xml_is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !node->ns &&
	       (!name || strcmp((const char *)node->name, name) == 0);
}

static xmlNode *this_or_next(xmlNode *node, const char *name)
{
	while (node && !sfh_xml_is(node, name))
		node = node->next;
	return node;
}

xmlNode *sfh_xml_first(const xmlNode *parent, const char *name)
{
	return parent ? this_or_next(parent->children, name) : NULL;
}

xmlNode *sfh_xml_next(const xmlNode *node, const char *name)
{
	return this_or_next(node->next, name);
}

static int copy_out(const xmlNode *node, const char *attr, const xmlChar *value, char *buf,
		    size_t size, struct sfh_error *err)
{
	char show[SFH_XML_SHOW_SIZE];

	if (sfh_strcpy(buf, size, (const char *)value) < 0) {
		buf[0] = '\0';
		return sfh_err(err, -EINVAL, "<%s>%s%s: longer than %zu bytes",
			       sfh_xml_show(node->name, show), attr ? ", attribute " : "",
			       attr ? attr : "", size - 1);
	}
	return 1;
}

int sfh_xml_attr(const xmlNode *node, const char *name, char *buf, size_t size,
		 struct sfh_error *err)
{
	_cleanup_xmlstr_ xmlChar *value = NULL;

	buf[0] = '\0';
	if (!node || !xmlHasNsProp((xmlNode *)node, BAD_CAST name, NULL))
		return 0;
	value = xmlGetNoNsProp((xmlNode *)node, BAD_CAST name);
	if (!value)
		return sfh_err(err, -ENOMEM, "out of memory");
	return copy_out(node, name, value, buf, size, err);
}

int sfh_xml_text(const xmlNode *node, char *buf, size_t size, struct sfh_error *err)
{
	_cleanup_xmlstr_ xmlChar *value = NULL;

	buf[0] = '\0';
	if (!node)
		return 0;
	value = xmlNodeGetContent((xmlNode *)node);
	if (!value)
		return sfh_err(err, -ENOMEM, "out of memory");
	return copy_out(node, NULL, value, buf, size, err);
}

bool sfh_xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
	char buf[64];

	return node && sfh_xml_attr(node, name, buf, sizeof(buf), NULL) > 0 &&
	       strcmp(buf, value) == 0;
}

int sfh_xml_uint(const xmlNode *node, const char *name, bool any_base, uint64_t min, uint64_t max,
		 uint64_t *ret, struct sfh_error *err)
{
	char buf[24], show[SFH_XML_SHOW_SIZE], show2[SFH_XML_SHOW_SIZE];
	unsigned long long v;
	char *end;
	int r;

	r = sfh_xml_attr(node, name, buf, sizeof(buf), err);
	if (r <= 0)
		return r;
	errno = 0;
	v = strtoull(buf, &end, any_base ? 0 : 10);
	/* strtoull() takes signs and blanks; an attribute may have none */
	if (!isdigit((unsigned char)buf[0]) || *end || errno || v < min || v > max)
		return sfh_err(err, -EINVAL,
			       "<%s>, attribute %s: '%s' is not a number from %llu to %llu",
			       sfh_xml_show(node->name, show), name, sfh_xml_show(buf, show2),
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 1;
}

int sfh_xml_pci_address(const xmlNode *node, struct sfh_bdf *ret, struct sfh_error *err)
{
	uint64_t domain = 0, bus, slot, function = 0;
	int r;

	r = sfh_xml_uint(node, "domain", true, 0, 0xffff, &domain, err);
	if (r < 0)
		return r;
	r = sfh_xml_uint(node, "bus", true, 0, 0xff, &bus, err);
	if (r < 0)
		return r;
	if (r == 0)
		return sfh_err(err, -EINVAL, "<address>: attribute bus is missing");
	r = sfh_xml_uint(node, "slot", true, 0, 0x1f, &slot, err);
	if (r < 0)
		return r;
	if (r == 0)
		return sfh_err(err, -EINVAL, "<address>: attribute slot is missing");
	r = sfh_xml_uint(node, "function", true, 0, 7, &function, err);
	if (r < 0)
		return r;
	*ret = (struct sfh_bdf){(uint16_t)domain, (uint8_t)bus, (uint8_t)slot, (uint8_t)function};
	return 0;
}

int sfh_xml_uuid(char *buf)
{
	if (strlen(buf) != 36)
		return -EINVAL;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? buf[i] != '-' : !isxdigit((unsigned char)buf[i]))
			return -EINVAL;
		buf[i] = (char)tolower((unsigned char)buf[i]);
	}
	return 0;
}

bool sfh_xml_ifname_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if ((unsigned char)*name <= ' ' || (unsigned char)*name >= 0x7f || *name == '/' ||
		    *name == ':')
			return false;
	return true;
}
