// SPDX-License-Identifier: GPL-2.0-or-later
#include "libvirt-glue/virtualport.h"
#include "libvirt-glue/xmlutil.h"

#include <string.h>

static bool printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

void sfh_virtualport_read(const xmlNode *node, struct sfh_virtualport *ret)
{
	const xmlNode *parameters = node ? sfh_xml_first(node, "parameters") : NULL;

	*ret = (struct sfh_virtualport){.given = node != NULL};
	if (!node)
		return;
	if (sfh_xml_attr(node, "type", ret->type, sizeof(ret->type), NULL) < 0)
		ret->bad = true;
	if (parameters && sfh_xml_attr(parameters, "profileid", ret->profileid,
				       sizeof(ret->profileid), NULL) < 0)
		ret->bad = true;
	ret->bad |= !printable(ret->profileid);
}

/* Says `more` what `to` says? What `to` leaves out is taken over. */
static bool agree(char *to, size_t size, const char *more)
{
	if (!*more)
		return true;
	if (*to)
		return !strcmp(to, more);
	return sfh_strcpy(to, size, more) >= 0;
}

void sfh_virtualport_merge(struct sfh_virtualport *to, const struct sfh_virtualport *more)
{
	to->given |= more->given;
	to->bad |= more->bad;
	to->bad |= !agree(to->type, sizeof(to->type), more->type);
	to->bad |= !agree(to->profileid, sizeof(to->profileid), more->profileid);
}

const char *sfh_virtualport_profile(const struct sfh_virtualport *v)
{
	bool good = v->given && !v->bad && !strcmp(v->type, SFH_VIRTUALPORT_8021QBH);

	return good && *v->profileid ? v->profileid : NULL;
}
