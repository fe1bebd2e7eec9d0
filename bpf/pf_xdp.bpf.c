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
		return (int)bpf_redirect_map(&sfh_devmap, guest->standby_ifindex, XDP_PASS);
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

/* Frames whose tag has to go are left to tc unless `untags`, which is constant. */
static __always_inline int sfh_pf_xdp_run(struct xdp_md *xdp, bool untags)
{
	void *data = (void *)(long)xdp->data, *data_end = (void *)(long)xdp->data_end;
	struct sfh_decision d = {};
	struct sfh_counters *c;
	struct sfh_frame f;
	__u64 bytes;
	long rc;

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

	/* A tap takes no frame of several buffers from XDP: tc's turn. */
	bytes = bpf_xdp_get_buff_len(xdp);
	if (bytes != (__u64)(data_end - data) || (!untags && d.guest->vlan_proto))
		return XDP_PASS;
	/* XDP_PASS when the devmap does not have the tap. */
	rc = bpf_redirect_map(&sfh_devmap, d.ifindex, XDP_PASS);
	if (rc != XDP_REDIRECT)
		return (int)rc;
	if (untags && d.guest->vlan_proto) {
		if (sfh_xdp_untag(xdp) < 0)
			return XDP_PASS;
		bytes -= SFH_VLAN_HLEN;
	}
	sfh_meter_to_guest(d.guest);
	c = sfh_counters_of(d.guest);
	if (c) {
		c->from_wire_frames++;
		c->from_wire_bytes += bytes + (d.guest->vlan_proto ? SFH_VLAN_HLEN : 0);
		/* The tap's own hook is not passed on this way. */
		c->to_standby_frames++;
		c->to_standby_bytes += bytes;
	}
	return (int)rc;
}

/* frags: drivers with a jumbo MTU take no other program. Only the first buffer
 * is looked at. */
SEC("xdp.frags")
int sfh_pf_xdp(struct xdp_md *xdp)
{
	return sfh_pf_xdp_run(xdp, true);
}

/* For libxdp's dispatcher where its stubs may not be replaced by what moves a frame's
 * beginning (kernels that check it, and a dispatcher from before they did). */
SEC("xdp.frags")
int sfh_pf_xdp_tag(struct xdp_md *xdp)
{
	return sfh_pf_xdp_run(xdp, false);
}

char _license[] SEC("license") = "GPL";
