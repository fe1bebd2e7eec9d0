/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Proof that a parked VF carries frames. Two kinds of frame are one: a guest's frame that
 * came back in the parking VLAN, which its VF sent; and its answer to a probe that could
 * reach it over that VF only, whichever leg the answer takes. */
#ifndef SFH_BPF_PROVE_H
#define SFH_BPF_PROVE_H

#include "lib/account.h"

/* A frame that says that the guest's VF leg works was seen on device `ifindex`: one event
 * per proof that user space asked for. */
static __always_inline void sfh_prove(const struct sfh_guest *guest,
				      const struct sfh_guest_key *pair, __u32 ifindex)
{
	struct sfh_guest_state *state;
	struct sfh_event *ev;
	__u32 want, old;
	__u64 now;

	want = guest->proof_generation;
	state = bpf_map_lookup_elem(&sfh_state, pair);
	if (!want || !state)
		return;
	old = *(volatile __u32 *)&state->proof_generation;
	if (old == want)
		return;
	now = bpf_ktime_get_ns();
	ev = sfh_event_reserve(SFH_EVENT_PROOF, pair, ifindex, now);
	if (!ev) /* the next frame tries again */
		return;
	if (__sync_val_compare_and_swap(&state->proof_generation, old, want) != old) {
		bpf_ringbuf_discard(ev, 0);
		return;
	}
	state->proof_ns = now;
	ev->generation = want;
	bpf_ringbuf_submit(ev, 0);
}

#endif
