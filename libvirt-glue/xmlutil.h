/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading hostile XML with libxml2: the one place where documents come in and
 * go out. For the files of this folder only. */
#ifndef SFHYBRID_GLUE_XMLUTIL_H
#define SFHYBRID_GLUE_XMLUTIL_H

#include "sfhybrid/util.h"

#include <libxml/tree.h>

#define SFH_XML_MAX (1024 * 1024) /* bytes; libvirt's own documents stay far below */
#define SFH_XML_SHOW_SIZE 65

static inline void sfh_xml_docp(xmlDoc **doc)
{
	if (*doc)
		xmlFreeDoc(*doc);
	*doc = NULL;
}
static inline void sfh_xml_nodep(xmlNode **node)
{
	if (*node)
		xmlFreeNode(*node);
	*node = NULL;
}
static inline void sfh_xml_strp(xmlChar **str)
{
	if (*str)
		xmlFree(*str);
	*str = NULL;
}
#define _cleanup_doc_ _cleanup_(sfh_xml_docp)
#define _cleanup_node_ _cleanup_(sfh_xml_nodep)
#define _cleanup_xmlstr_ _cleanup_(sfh_xml_strp)

/* Parses `len` bytes; `what` ("network definition") begins the sentences. The
 * root must be an element `root` without a namespace. A document type
 * declaration ends the parsing before any of it is looked at. -EINVAL, -E2BIG,
 * -ENOMEM. */
int sfh_xml_read(const char *xml, size_t len, const char *what, const char *root, xmlDoc **ret,
		 struct sfh_error *err);

/* The document as UTF-8 text without an XML declaration; `indent` for a
 * document without blank text. *ret is the caller's, free(). */
int sfh_xml_write(xmlDoc *doc, bool indent, char **ret, struct sfh_error *err);

/* `text` for use in a sentence: cut, and what could move a terminal's cursor
 * replaced. Returns buf. */
const char *sfh_xml_show(const void *text, char buf[SFH_XML_SHOW_SIZE]);

/* An element called `name` without a namespace? */
bool sfh_xml_is(const xmlNode *node, const char *name);
/* First child element, next sibling element called `name` (NULL: any). */
xmlNode *sfh_xml_first(const xmlNode *parent, const char *name);
xmlNode *sfh_xml_next(const xmlNode *node, const char *name);

/* Attribute or text content into a bounded buffer. 1: there; 0: not there (buf
 * is ""); -EINVAL: does not fit; -ENOMEM. */
int sfh_xml_attr(const xmlNode *node, const char *name, char *buf, size_t size,
		 struct sfh_error *err);
int sfh_xml_text(const xmlNode *node, char *buf, size_t size, struct sfh_error *err);
bool sfh_xml_attr_is(const xmlNode *node, const char *name, const char *value);

/* Attribute as a number in [min,max]; 0x and leading 0 as libvirt takes them
 * when `any_base`. 1, 0 (not there, *ret untouched), -EINVAL, -ENOMEM. */
int sfh_xml_uint(const xmlNode *node, const char *name, bool any_base, uint64_t min, uint64_t max,
		 uint64_t *ret, struct sfh_error *err);

/* <address domain= bus= slot= function=>: bus and slot are required. */
int sfh_xml_pci_address(const xmlNode *node, struct sfh_bdf *ret, struct sfh_error *err);

/* Lower-cases buf in place if it is a UUID of 36 characters, else -EINVAL. */
int sfh_xml_uuid(char *buf);
/* 1..15 characters that the kernel and libvirt take for an interface's name. */
bool sfh_xml_ifname_valid(const char *name);

#endif
