// SPDX-License-Identifier: GPL-2.0-or-later
/* Native XDP on a PF: the accelerator where the driver takes it. What it passes
 * is decided again, and counted, by pf_tc. Needs RX VLAN stripping off. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib/meter.h"
#include "lib/probe.h"
#include "lib/steer.h"

/* A probe: where would it go? The agent runs this program on it for the answer; the
 * frame itself then enters at tc. Negative: it is no probe. */
static __noinline int sfh_xdp_probe(struct xdp_md *xdp, const struct sfh_frame *f)
{
	const struct sfh_guest *guest;
	struct sfh_probe_body body;
	struct sfh_guest_key pair;

	if (!f || bpf_xdp_load_bytes(xdp, f->l3, &body, sizeof(body)) || !sfh_is_probe(&body))
		return -1;
	guest = sfh_probe_entry(f, xdp->ingress_ifindex, &pair);
	if (!sfh_probe_note(&pair, body.seq, SFH_PROBE_XDP) || !guest)
		return XDP_PASS;
	if (guest->standby_kind == SFH_STANDBY_TAP)
		return (int)bpf_redirect_map(&sfh_devmap, guest->slot, XDP_PASS);
	return XDP_PASS;
}

/* The tag goes: the addresses move up to where it was. The frame was parsed, so it
 * is long enough. */
static __always_inline int sfh_xdp_untag(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *data_end = (void *)(long)xdp->data_end;
	__u32 *w = data;

	if (data + SFH_ETH_HLEN + SFH_VLAN_HLEN > data_end)
		return -1;
	w[3] = w[2];
	w[2] = w[1];
	w[1] = w[0];
	return (int)bpf_xdp_adjust_head(xdp, SFH_VLAN_HLEN);
}

/* Out of the tap of the pair at `slot`, its tag gone. SFH_NOT_SENT: the frame is as it
 * was, and nothing was counted. */
#define SFH_NOT_SENT (-1)

static __always_inline int sfh_xdp_send(struct xdp_md *xdp, __u64 bytes, __u32 slot, bool untag)
{
	struct sfh_relayed *relayed;

	if (untag && sfh_xdp_untag(xdp) < 0)
		return SFH_NOT_SENT;
	/* The tap's own hook is not passed on this way. */
	relayed = bpf_map_lookup_elem(&sfh_relayed, &slot);
	if (relayed) {
		relayed->frames++;
		relayed->bytes += bytes;
	}
	return XDP_REDIRECT;
}

/* Its length, 0 if it has several buffers: a tap takes no such frame from XDP. */
static __always_inline __u64 sfh_xdp_bytes(struct xdp_md *xdp)
{
	__u64 first = (__u64)((long)xdp->data_end - (long)xdp->data);

	return bpf_xdp_get_buff_len(xdp) == first ? first : 0;
}

/* Frames whose tag has to go are left to tc unless `untags`, which is constant. */
static __always_inline int sfh_xdp_full(struct xdp_md *xdp, bool untags)
{
	void *data = (void *)(long)xdp->data, *data_end = (void *)(long)xdp->data_end;
	struct sfh_decision d = {};
	struct sfh_frame f;
	__u64 bytes;
	bool untag;

	if (sfh_frame_parse(data, data_end, 0, 0, &f) != SFH_PARSED)
		return XDP_PASS;
	if (f.proto == SFH_PROBE_PROTO) {
		int verdict = sfh_xdp_probe(xdp, &f);

		if (verdict >= 0)
			return verdict;
	}
	sfh_decide(&f, xdp->ingress_ifindex, &d);
	if (d.verdict == SFH_DROP) {
		sfh_account_drop(&d);
		return XDP_DROP;
	}
	if (d.verdict != SFH_REDIRECT)
		return XDP_PASS;
	bytes = sfh_xdp_bytes(xdp);
	untag = d.guest->vlan_proto;
	if (!bytes || (!untags && untag))
		return XDP_PASS;
	/* XDP_PASS when the devmap does not have the tap. */
	if (bpf_redirect_map(&sfh_devmap, d.guest->slot, XDP_PASS) != XDP_REDIRECT ||
	    sfh_xdp_send(xdp, bytes, d.guest->slot, untags && untag) == SFH_NOT_SENT)
		return XDP_PASS;
	sfh_meter_to_guest(d.guest);
	return XDP_REDIRECT;
}

/* A program of its own, so that the short way is short in the instruction cache, too. */
static __noinline int sfh_xdp_full_untag(struct xdp_md *xdp)
{
	return sfh_xdp_full(xdp, true);
}

static __noinline int sfh_xdp_full_tag(struct xdp_md *xdp)
{
	return sfh_xdp_full(xdp, false);
}

/* The verdict, or SFH_NOT_SENT: go the full way. */
static __always_inline int sfh_xdp_fast(struct xdp_md *xdp, bool untags)
{
	void *data = (void *)(long)xdp->data, *data_end = (void *)(long)xdp->data_end;
	struct sfh_fast_hit hit = {};
	enum sfh_fast_found found;
	struct sfh_frame f;
	__u64 bytes;

	if (sfh_frame_parse(data, data_end, 0, 0, &f) != SFH_PARSED)
		return XDP_PASS;
	found = sfh_fast_look(&f, xdp->ingress_ifindex, &hit);
	if (found != SFH_FAST_HIT)
		return found == SFH_FAST_NOBODYS ? XDP_PASS : SFH_NOT_SENT;
	if (hit.standby_kind != SFH_STANDBY_TAP) /* macvlan's; tc counts it */
		return sfh_fast_holds(&hit) ? XDP_PASS : SFH_NOT_SENT;
	bytes = sfh_xdp_bytes(xdp);
	if (!bytes || (!untags && hit.vlan_proto) || sfh_fast_metered(&hit))
		return SFH_NOT_SENT;
	/* The slot is the pair's, and with it what the devmap has there, as long as the
	 * entry holds: hence this order. */
	if (bpf_redirect_map(&sfh_devmap, hit.slot, XDP_PASS) != XDP_REDIRECT ||
	    !sfh_fast_holds(&hit))
		return SFH_NOT_SENT;
	return sfh_xdp_send(xdp, bytes, hit.slot, untags && hit.vlan_proto);
}

/* frags: drivers with a jumbo MTU take no other program. Only the first buffer
 * is looked at. */
SEC("xdp.frags")
int sfh_pf_xdp(struct xdp_md *xdp)
{
	int verdict = sfh_xdp_fast(xdp, true);

	return verdict == SFH_NOT_SENT ? sfh_xdp_full_untag(xdp) : verdict;
}

/* For libxdp's dispatcher where its stubs may not be replaced by what moves a frame's
 * beginning (kernels that check it, and a dispatcher from before they did). */
SEC("xdp.frags")
int sfh_pf_xdp_tag(struct xdp_md *xdp)
{
	int verdict = sfh_xdp_fast(xdp, false);

	return verdict == SFH_NOT_SENT ? sfh_xdp_full_tag(xdp) : verdict;
}

char _license[] SEC("license") = "GPL";
