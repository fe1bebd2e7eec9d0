/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What describing and changing domain XML share (domxml.c, domadopt.c). */
#ifndef SFHYBRID_GLUE_DOMXML_INTERNAL_H
#define SFHYBRID_GLUE_DOMXML_INTERNAL_H

#include "libvirt-glue/xmlutil.h"

/* Hot-pluggable PCIe root ports below <devices> (may be NULL) with no device
 * behind them: libvirt gives devices addresses with bus == the port's index. */
int sfh_domxml_free_root_ports(const xmlNode *devices, unsigned *ret, struct sfh_error *err);

bool sfh_domxml_machine_is_q35(const char *machine);

#endif
