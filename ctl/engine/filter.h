/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses are in the PF's own filter for a guest on its standby leg: its own, and
 * on a bridge with spoofchk off the others that its NIC is to receive, unicast and
 * multicast, as QEMU reports them (query-rx-filter). A macvtap's are macvlan's and
 * libvirt's business.
 *
 * The list comes from the guest and is believed in nothing else: no address of another
 * pair here, of the PF or of one of its VFs, so many and no more, and asked for so often.
 * A guest's own address comes first: where the NIC has no room for it, others' further
 * ones go. */
#ifndef SFH_ENGINE_FILTER_H
#define SFH_ENGINE_FILTER_H

#include "ctl/engine/engine.h"

/* Between two questions to one guest's QEMU: the first at once, then less and less often
 * as long as it goes on. QEMU tells of one change and of none after it until it is asked,
 * so this is how often a guest can make the host follow it. */
#define SFH_RX_ASK_MS 1000
#define SFH_RX_ASK_MAX_MS 8000
#define SFH_RX_RETRY_MS 10000 /* there was no answer */

/* Whether frames with another source address than the guest's are dropped: what nobody
 * asked for is what its VF had before it was leased, before that the kernel's default. */
bool sfh_pair_spoofchk(const struct sfh_pair *p);

/* QEMU says that a NIC's filter is not what it was. */
void sfh_engine_rx_changed(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac);
/* Such words may have been lost: whoever is to be asked is asked. */
void sfh_engine_rx_lost(struct sfh_engine *e);
/* QEMU's answer, to what the hypervisor's ask_rx_filter asked: 0 and the addresses, or a
 * negative errno; -EOPNOTSUPP: it cannot say. */
void sfh_engine_rx_told(struct sfh_engine *e, const char *uuid, const struct sfh_mac *mac,
			int result, const struct sfh_mac *macs, size_t n);
/* Whom to ask, and when. Call after engine calls, before sfh_engine_next(). */
void sfh_engine_rx_look(struct sfh_engine *e);

/* --- for the engine's own files --------------------------------------------------------- */
/* Asks, where it is time. */
void sfh_engine_rx_tick(struct sfh_engine *e, uint64_t now);
/* A pair has come: what the last agent held for it is its list until QEMU is heard. */
void sfh_engine_rx_begin(struct sfh_engine *e, struct sfh_pair *p);
/* A pair with this address has come or gone: it is nobody else's, or may be again. */
void sfh_engine_rx_owner(struct sfh_engine *e, const struct sfh_mac *mac);

#endif
