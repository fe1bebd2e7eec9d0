/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the BPF programs and user space share: keys, values and events of the
 * maps pinned under <bpffs>/sfhybrid/. Reading guide with real dumps:
 * docs/inspection.md.
 *
 * Who writes what. User space can only replace a whole map value, BPF programs
 * write single fields: in a value that both wrote, user space would now and
 * then put a stale `armed` or `ip4` back. So every value has ONE writer:
 *
 *   sfh_guests    user space    what is wanted of a pair
 *   sfh_state     BPF           what was seen of it
 *   sfh_counters  BPF           per CPU, at sfh_guest.slot, and so is
 *   sfh_relayed   BPF           what went straight from the wire to the standby leg
 *   sfh_meter     BPF           at sfh_guest.slot
 *   sfh_spread    BPF           at sfh_guest.slot
 *   sfh_standby, sfh_parked, sfh_devmap, sfh_ports, sfh_macs, sfh_fast,
 *   sfh_meta      user space
 *   sfh_drops     BPF           per CPU
 *   sfh_probe     BPF           where the pair's latest probe was seen
 *   sfh_probe_want, sfh_warm    user space
 *
 * (A slot is put back to zero while no entry in sfh_guests leads to it, the meter's
 * also when a window begins.)
 *
 * and the two sides meet in generation numbers: user space bumps
 * `sfh_guest.generation` when it arms, disarms or asks for arming anew; the
 * program that sees the first frame of that generation copies it to
 * `sfh_state.seen_generation` with one compare-and-swap, so exactly one frame
 * is "the first" and nothing needs a lock. A pair is armed when
 *
 *   guest.armed || (guest.arm_on_first_frame &&
 *                   state.seen_generation == guest.generation)
 *
 * Byte order: host order unless the comment says "network order". */
#ifndef SFHYBRID_ABI_H
#define SFHYBRID_ABI_H

#ifndef __VMLINUX_H__ /* BPF programs have these types from vmlinux.h */
#include <linux/types.h>
#endif

/* In sfh_meta. Raise the version with every change of a struct, a map or the
 * meaning of a field: user space refuses pins of any other version. */
#define SFH_ABI_MAGIC	0x53464859u /* "SFHY" */
#define SFH_ABI_VERSION 8u

#define SFH_PIN_DIR	   "sfhybrid" /* below the bpffs mount */
#define SFH_MAX_PAIRS	   4096	      /* default size of the maps with one entry per pair */
#define SFH_MAX_PORTS	   32768      /* devices that programs are attached to */
#define SFH_RING_BYTES	   (256 * 1024)
#define SFH_PARK_VLAN	   4094 /* default */
#define SFH_VLAN_MAX	   4094
#define SFH_DROP_SLOTS	   32 /* sfh_drops has room for reasons to come */
#define SFH_BACKLOG_NS	   250000000ull
#define SFH_METER_WINDOW_NS 30000000000ull /* how long a switch is metered */

/* A pair: a guest's NIC on a PF. Key of sfh_guests and sfh_state. */
struct sfh_guest_key {
	__u32 pf_ifindex;
	__u8 mac[6];
	__u16 vlan; /* port VLAN; 0: none (untagged, or with tags of the guest's own) */
};

enum sfh_standby_kind {
	SFH_STANDBY_NONE = 0,	 /* not known yet: counts, redirects nothing */
	SFH_STANDBY_TAP = 1,	 /* a tap on a bridge over the PF */
	SFH_STANDBY_MACVTAP = 2, /* a macvtap on the PF: the kernel delivers by MAC */
	SFH_STANDBY_MACVTAP_VEPA = 3, /* in VEPA mode: the switch reflects on purpose */
	_SFH_STANDBY_MAX
};

enum sfh_armed {
	SFH_ARMED_NOT = 0,
	SFH_ARMED_BY_USER = 1,
	/* Its first frame did, and user space has taken note: from then on the programs
	 * need not look at sfh_state for every frame. */
	SFH_ARMED_BY_FRAME = 2,
};

enum sfh_guest_flags {
	/* Source addresses other than the pair's are dropped on its standby leg, as the
	 * VF drops them. */
	SFH_GUEST_SPOOFCHK = 1 << 0,
	/* Its VF was seen to carry frames: copies for its standby leg are dropped. Never with
	 * `armed` or `arm_on_first_frame`. */
	SFH_GUEST_ON_VF = 1 << 1,
};

/* sfh_guests: exists = staged. */
struct sfh_guest {
	__u32 standby_ifindex; /* 0: not known yet */
	__u8 standby_kind;     /* enum sfh_standby_kind */
	__u8 armed;	       /* enum sfh_armed */
	__u8 arm_on_first_frame;
	__u8 flags;		/* enum sfh_guest_flags */
	__u32 generation;	/* never 0; see above */
	__u32 proof_generation; /* 0: no proof wanted; else one that state has not got yet */
	/* The port VLAN, 0, 0: none. The guest knows nothing of it: its frames get the tag,
	 * frames to it must have it and lose it. Its VLAN is the key's. */
	__u16 vlan_proto; /* 0x8100 or 0x88a8 */
	__u16 vlan_tci;	  /* with the priority */
	__u32 slot;	  /* index of sfh_counters, sfh_relayed, sfh_meter, sfh_spread, sfh_devmap */
	__u64 meter_until_ns; /* sfh_meter is kept until then (CLOCK_MONOTONIC) */
	/* Not 0: the guest uses the leg but does not listen to it yet. For SFH_BACKLOG_NS from
	 * its first frame on, what is for it leaves by this device, with SFH_MARK_BACKLOG. */
	__u32 backlog_ifindex;
	__u32 _pad;
};

#define SFH_IP4_FRESH_NS 1000000000ull

enum sfh_ip4_source {
	SFH_IP4_NONE = 0,
	SFH_IP4_PACKET = 1, /* source of an IPv4 packet; a routing guest may mislead */
	SFH_IP4_ARP = 2,    /* sender of an ARP packet; never replaced by a packet's source */
};

/* sfh_state. Times are bpf_ktime_get_ns(), i.e. CLOCK_MONOTONIC. */
struct sfh_guest_state {
	__u32 seen_generation; /* generation whose first frame was seen on the standby leg */
	__u32 proof_generation; /* last one answered by a frame in the parking VLAN */
	__u64 first_frame_ns;	/* guest's first frame of seen_generation, standby leg */
	__u64 last_frame_ns;	/* guest's latest frame, standby leg */
	__u64 proof_ns;		/* the frame that answered proof_generation */
	__u32 ip4;		/* network order; guest's IPv4 address, 0: none seen */
	__u32 ip4_source;	/* enum sfh_ip4_source */
	__u32 listens_generation; /* generation in which the guest answered on the standby leg */
	__u32 _pad;
	__u64 ip4_ns;		/* a frame that showed ip4; not older than the latest by SFH_IP4_FRESH_NS */
};

/* sfh_meter: when frames passed, for SFH_METER_WINDOW_NS from the moment at which a
 * pair was armed or told to arm itself: what a switch to the standby leg costs.
 * A gap is the time between two frames in one direction. gaps[0] counts those under
 * 2 us, gaps[i] those of 2^(i+10) ns and more, under 2^(i+11). Several CPUs may
 * write at once: a count may be lost, a time never. */
#define SFH_METER_GAPS 32
#define SFH_METER_GAP_SHIFT 10
struct sfh_meter_leg {
	__u64 first_ns, last_ns; /* CLOCK_MONOTONIC, 0: no frame */
	__u64 frames;
	__u64 longest_ns;	/* the longest gap */
	__u64 longest_end_ns;	/* the frame that ended it */
	__u32 gaps[SFH_METER_GAPS];
};
struct sfh_meter {
	struct sfh_meter_leg to_guest, from_guest;
};

/* sfh_spread: what a guest on its VF may still send to everybody and have copied to its
 * neighbours' macvtaps by the program on the PF: so many frames a second, and after a
 * pause so many at once (no host sees its guests ask ARP that often). */
#define SFH_SPREAD_PER_SECOND 1000ull
#define SFH_SPREAD_BURST      1000ull
#define SFH_SPREAD_NS	      (1000000000ull / SFH_SPREAD_PER_SECOND)
struct sfh_spread {
	__u64 full_ns; /* when all of SFH_SPREAD_BURST may be sent again (CLOCK_MONOTONIC) */
};

/* sfh_macs: bit sfh_mac_bit(mac) is set if some pair may have this MAC. It spares
 * the lookups for all the frames that are nobody's. User space maps it. */
#define SFH_MACS_SHIFT 17 /* 16 KiB: what every frame looks at should stay near the CPU */
#define SFH_MACS_BITS (1u << SFH_MACS_SHIFT)
struct sfh_macs {
	__u64 bits[SFH_MACS_BITS / 64];
};

/* A MAC as a number, its first byte the lowest. */
static inline __u64 sfh_mac_word(const __u8 *mac)
{
	return (__u64)mac[0] | (__u64)mac[1] << 8 | (__u64)mac[2] << 16 | (__u64)mac[3] << 24 |
	       (__u64)mac[4] << 32 | (__u64)mac[5] << 40;
}

static inline __u32 sfh_mac_hash(__u64 mac)
{
	/* Addresses that follow each other are numbers that follow each other. */
	__u32 h = __builtin_bswap32((__u32)(mac >> 16));

	h ^= mac & 0xffff;
	return h * 0x9e3779b1u; /* Knuth's multiplicative hash, 2^32 / golden ratio */
}

static inline __u32 sfh_mac_bit(__u64 mac)
{
	return sfh_mac_hash(mac) >> (32 - SFH_MACS_SHIFT);
}

/* sfh_fast: what most frames need of their pair, in one cache line. Index
 * sfh_fast_index(mac). A pair has an entry if it was armed by sfh_guest.armed, its device
 * is known, and there was room: who finds none looks into sfh_guests, which decides the
 * same. User space keeps an entry equal to sfh_guests: it takes it out before it writes
 * there what differs, and puts it in afterwards. Nobody may use a copy of an entry before
 * he has read `seq` again: it was even before and is the same after. (The loads must
 * stay in order, as x86's do: elsewhere user space leaves this map empty.) */
struct sfh_fast {
	__u32 seq;	       /* odd while the rest is being written */
	struct sfh_guest_key key; /* pf_ifindex 0: no entry */
	__u32 standby_ifindex;
	__u32 slot;
	__u32 meter_until; /* sfh_guest.meter_until_ns >> SFH_FAST_METER_SHIFT, rounded up */
	__u16 vlan_proto;
	__u8 standby_kind;
	__u8 _pad;
};
#define SFH_FAST_METER_SHIFT 30
#define SFH_FAST_SHIFT 14
#define SFH_FAST_BUCKETS (1u << SFH_FAST_SHIFT) /* 1 MiB, whatever the number of pairs */
#define SFH_FAST_WAYS 2
struct sfh_fast_bucket {
	struct sfh_fast way[SFH_FAST_WAYS];
};

static inline __u32 sfh_fast_index(__u64 mac)
{
	return sfh_mac_hash(mac) >> (32 - SFH_FAST_SHIFT);
}

/* sfh_counters, per CPU. Each frame is counted once in each field it belongs to, but
 * those in sfh_relayed, which are there only. Bytes are frame lengths without FCS; tc adds a
 * tag that the NIC has already stripped from the data. */
struct sfh_counters {
	__u64 from_wire_frames; /* reached the armed pair's PF from the wire, unicast to it: */
	__u64 from_wire_bytes;	/* redirected to the tap, or left to macvlan */
	__u64 to_standby_frames; /* handed to the standby device, by whatever way (wire, */
	__u64 to_standby_bytes;	 /* bridge, another guest, broadcast) */
	__u64 from_standby_frames; /* sent by the guest with the pair's MAC on its standby leg */
	__u64 from_standby_bytes;
	__u64 foreign_source_frames; /* sent by the guest with another source MAC; passed */
	__u64 reflected_drops;	     /* came back from the wire with the guest as source */
	__u64 parked_drops;	     /* came in the parking VLAN with the guest as source */
	__u64 spoofed_drops;	     /* sent with another source MAC, spoofchk is on */
	__u64 vlan_drops;	     /* not of the pair's port VLAN, in either direction */
};

/* sfh_relayed, per CPU: frames that went from the wire straight to the standby device: over
 * XDP, or plain ones to a macvtap (SFH_TC_INDEX_PLAIN). They belong to from_wire and
 * to_standby above, there without their tag if the pair has a port VLAN. By themselves, so
 * that four pairs share a cache line of what every frame writes. */
struct sfh_relayed {
	__u64 frames;
	__u64 bytes; /* as received */
};

/* skb->mark of a frame that a guest sent on its macvtap, unless it has a mark.
 * macvlan hands a frame for another macvtap of the same PF to the PF's receive
 * path: without the mark it would look as if it had come back from the wire. */
#define SFH_MARK_LOCAL 0x5f480001u

/* Of a frame that goes to the agent's backlog, and of one that comes in at a PF out of it,
 * which is not sent there again. */
#define SFH_MARK_BACKLOG 0x5f480002u
#define SFH_MARK_RELEASED 0x5f480003u

/* skb->tc_index of a plain frame for a macvtap, from the PF's program to the macvtap's, which
 * then need not look the pair up again; less the pair's slot. No frame of a guest has one; a
 * classifier of the host's may set it, but hardly to so high a class. */
#define SFH_TC_INDEX_PLAIN 0xffffu
#define SFH_TC_INDEX_LEAST 0xc000u

/* With the PF's ifindex in skb->mark: what the injection device sends is released. */
#define SFH_INJECT_RELEASED (1u << 31)

/* Where a guest sends its answer to a probe that it got over its parked VF (a locally
 * administered address, nobody's): seen on its standby leg it proves the VF's receiving
 * while the guest still sends here, its VF's link not being up yet. Never let out. */
#define SFH_PROBE_MAC { 0x02, 0x73, 0x66, 0x68, 0x70, 0x76 }
/* And where to a probe that it got on its standby leg: it listens there. Another one, as
 * an answer may be late. */
#define SFH_ASK_MAC { 0x02, 0x73, 0x66, 0x68, 0x70, 0x77 }

/* sfh_standby: key __u32 standby ifindex, value struct sfh_guest_key.
 * sfh_parked: key struct sfh_guest_key with vlan 0, value the pair whose VF may
 * be in the parking VLAN (its own VLAN is not visible there).
 * sfh_devmap: key __u32 the pair's slot, value __u32 standby ifindex, taps only. */

/* sfh_ports: key __u32 ifindex. What we changed on a device, so that a later
 * run of the agent can undo exactly that. */
enum sfh_port_role {
	SFH_PORT_PF = 1,
	SFH_PORT_STANDBY = 2,
};
enum sfh_port_flags {
	SFH_PORT_CLSACT_OURS = 1 << 0, /* the clsact qdisc was added by us */
	SFH_PORT_RXVLAN_WAS_ON = 1 << 1, /* RX VLAN stripping switched off for XDP */
	SFH_PORT_XDP = 1 << 2, /* our XDP program was attached: it should be there */
};
struct sfh_port {
	__u8 role;	   /* enum sfh_port_role */
	__u8 standby_kind; /* enum sfh_standby_kind */
	__u16 _pad;
	__u32 flags; /* enum sfh_port_flags */
};

/* sfh_meta: array of one. A magic of 0 means that whoever made the pins died
 * before it was done. */
struct sfh_meta {
	__u32 magic;
	__u32 version;
	__u32 max_pairs;
	__u32 park_vlan;
};

/* sfh_events: ring buffer of these. */
enum sfh_event_type {
	SFH_EVENT_ARMED = 1,	   /* the guest's first frame armed the pair */
	SFH_EVENT_FIRST_FRAME = 2, /* first frame since user space armed the pair */
	SFH_EVENT_PROOF = 3,	   /* its VF carries frames: one came in the parking VLAN */
	SFH_EVENT_LISTENS = 4,	   /* it answered on its standby leg, first time in a generation */
	_SFH_EVENT_MAX
};
struct sfh_event {
	__u32 type; /* enum sfh_event_type */
	__u32 generation; /* guest.generation, or guest.proof_generation for PROOF */
	struct sfh_guest_key key;
	__u32 ifindex; /* where the frame was seen: standby device or PF */
	__u64 ktime_ns;
};

/* Why a frame was dropped: index of sfh_drops. Numbers and names are stable; a
 * retired one keeps its line. Below SFH_DROP_SLOTS.
 * X(number, identifier, name, what it means) */
#define SFH_DROPS(X)                                                                               \
	X(0, NONE, "none", "not used")                                                             \
	X(1, REFLECTED, "reflected",                                                               \
	  "source is a guest running here: the NIC or the network sent its frame back")            \
	X(2, PARKED, "parked", "a guest's frame in the parking VLAN: its VF is not in use yet")    \
	X(3, EVENT_LOST, "event-lost", "no frame: an event found the ring buffer full")            \
	X(4, SPOOFED, "spoofed-source",                                                            \
	  "a guest sent with a source address that is not its own, and spoofchk is on")            \
	X(5, VLAN, "vlan",                                                                         \
	  "not of the guest's port VLAN: for it with another tag or none, or tagged by itself")    \
	X(6, PROBE_ANSWER, "probe-answer",                                                         \
	  "a guest's answer to who probes it, sent on its standby leg: only proves")      \
	X(7, ON_VF, "on-vf",                                                                       \
	  "a copy on the standby leg of a guest that gets the frame on its VF")                    \
	X(8, SPREAD, "spread-limit",                                                               \
	  "no frame: a guest on its VF sends more to everybody than is copied to its neighbours")  \
	X(9, HOSTS, "hosts",                                                                       \
	  "the host's own network stack sent it on a guest's macvtap, with the guest's address")

enum sfh_drop {
#define X(num, id, name, text) SFH_DROP_##id = num,
	SFH_DROPS(X)
#undef X
		_SFH_DROP_MAX
};

_Static_assert(sizeof(struct sfh_guest_key) == 12, "no padding in a hash key");
_Static_assert(sizeof(struct sfh_guest) == 40, "abi");
_Static_assert(__builtin_offsetof(struct sfh_guest, meter_until_ns) == 24, "abi");
_Static_assert(sizeof(struct sfh_fast_bucket) == 64, "a cache line");
_Static_assert(__builtin_offsetof(struct sfh_fast, key.mac) == 8, "compared as one number");
_Static_assert(sizeof(struct sfh_meter_leg) == 168, "abi");
_Static_assert(sizeof(struct sfh_guest_state) == 56, "abi");
_Static_assert(sizeof(struct sfh_spread) == 8, "abi");
_Static_assert(sizeof(struct sfh_counters) == 88, "abi");
_Static_assert(sizeof(struct sfh_relayed) == 16, "abi");
_Static_assert(sizeof(struct sfh_port) == 8, "abi");
_Static_assert(sizeof(struct sfh_meta) == 16, "abi");
_Static_assert(sizeof(struct sfh_event) == 32, "abi");
_Static_assert(__builtin_offsetof(struct sfh_event, ktime_ns) == 24, "abi");
_Static_assert(_SFH_DROP_MAX <= SFH_DROP_SLOTS, "sfh_drops is too small");

/* --- warm: probes of the standby leg -------------------------------------------------
 * A probe is a frame to the guest's own MAC (and VLAN) of this type (IEEE 802: local
 * experimental 2), injected where the PF receives. The token, which only this host
 * knows, makes it one: anything else of this type is a frame like any other. The
 * PF's programs look the pair up as for any frame, but steer it whether armed or
 * not; the program on the standby device takes the token out and puts
 * SFH_PROBE_DST in the place of the guest's address. No counter, first frame or
 * learned address comes of it. */
#define SFH_PROBE_PROTO 0x88b6
/* Reserved by IEEE 802.1Q for what no bridge forwards (so a bridge inside the guest
 * does not either), assigned to nobody: the guest drops it by its destination. */
#define SFH_PROBE_DST { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0f }
#define SFH_PROBE_SRC { 0x02, 0x53, 0x46, 0x48, 0x59, 0x00 }

/* What follows the type. Host byte order: it never leaves the host. */
struct sfh_probe_body {
	__u64 token; /* sfh_probe_want's */
	__u32 seq;   /* of the pair, never 0 */
	__u32 _pad;
};

/* sfh_probe_want: array of one. */
struct sfh_probe_want {
	__u64 token; /* 0: no frame is a probe */
};

enum sfh_probe_flags {
	SFH_PROBE_XDP = 1 << 0,	    /* the PF's XDP program saw it */
	SFH_PROBE_TC = 1 << 1,	    /* the PF's tc program saw it, */
	SFH_PROBE_ENTRY = 1 << 2,   /* and found the pair's steering entry with its device */
	SFH_PROBE_STANDBY = 1 << 3, /* the program on the pair's standby device saw it */
};

/* sfh_probe: key struct sfh_guest_key. */
struct sfh_probe_seen {
	__u32 seq;
	__u32 flags; /* enum sfh_probe_flags */
	__u64 pf_ns; /* bpf_ktime_get_ns() at tc of the PF, */
	__u64 standby_ns; /* and of the standby device; 0: not seen there */
};

enum sfh_warm_state {
	SFH_WARM_UNKNOWN = 0, /* not probed yet, or not to be probed */
	SFH_WARM_WARM = 1,
	SFH_WARM_COLD = 2,
};

/* sfh_warm: key struct sfh_guest_key. The agent's verdict. */
struct sfh_warm_view {
	__u64 proven_ns;   /* CLOCK_MONOTONIC: latest probe known to have reached the ring; 0: none */
	__u64 told_ns;	   /* when this was written */
	__u32 latency_ns;  /* of that probe: from the PF to the standby device */
	__u32 ring_us;	   /* of that probe: the guest's ring had it by then at the latest */
	__u32 interval_ms; /* how often it is probed */
	__u16 state;	   /* enum sfh_warm_state */
	__u16 cold;	   /* enum sfh_cold */
};

/* Why a standby leg is cold. Numbers and names are stable, like those of SFH_DROPS.
 * X(number, identifier, name, what it means) */
#define SFH_COLDS(X)                                                                               \
	X(0, NONE, "none", "it is warm, or was not probed")                                        \
	X(1, PF_DOWN, "pf-down", "the PF is down, has no link, or is gone")                       \
	X(2, PF_XDP, "pf-xdp-program", "the XDP program on the PF is missing or not ours")         \
	X(3, PF_TC, "pf-tc-program", "the tc program on the PF is missing or not ours")            \
	X(4, ENTRY, "entry-missing", "the steering entry is missing")      \
	X(5, STANDBY_GONE, "standby-gone", "the standby device is gone")                           \
	X(6, STANDBY_DOWN, "standby-down", "the standby device is down")                           \
	X(7, STANDBY_TC, "standby-tc-program",                                                     \
	  "the program on the standby device is missing or not ours")                              \
	X(8, LOST, "lost", "the frame was lost between the PF and the standby device")             \
	X(9, RING_STUCK, "ring-stuck", "the guest takes no frame out of the standby device")       \
	X(10, RING_FULL, "ring-full", "the standby device's queue to the guest is full")           \
	X(11, NOT_SENT, "not-sent", "the host could not send the probe")

enum sfh_cold {
#define X(num, id, name, text) SFH_COLD_##id = num,
	SFH_COLDS(X)
#undef X
		_SFH_COLD_MAX
};

_Static_assert(sizeof(struct sfh_probe_body) == 16, "abi");
_Static_assert(sizeof(struct sfh_probe_seen) == 24, "abi");
_Static_assert(sizeof(struct sfh_warm_view) == 32, "abi");

#endif
