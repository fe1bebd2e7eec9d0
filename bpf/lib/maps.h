/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps, the same in every object; ctl/core/steer.c makes them once, pins them
 * and lends them to each object (not LIBBPF_PIN_BY_NAME: libbpf's check for reuse
 * knows nothing of our schema version). Sizes of those with one entry per
 * pair are set before load; the counters take 104 bytes x pairs x CPUs. Hashes are
 * not preallocated: only user space inserts. */
#ifndef SFH_BPF_MAPS_H
#define SFH_BPF_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "sfhybrid/abi.h"

#ifndef BPF_F_NO_PREALLOC
#define BPF_F_NO_PREALLOC 1
#endif
#ifndef BPF_F_MMAPABLE
#define BPF_F_MMAPABLE 1024
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest);
} sfh_guests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest_state);
} sfh_state SEC(".maps");

/* By slot: the lookup in an array is a few instructions of the program itself, and
 * touches no key. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_counters);
} sfh_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_relayed);
} sfh_relayed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_meter);
} sfh_meter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_spread);
} sfh_spread SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sfh_macs);
} sfh_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SFH_FAST_BUCKETS);
	__type(key, __u32);
	__type(value, struct sfh_fast_bucket);
} sfh_fast SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_guest_key);
} sfh_standby SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest_key);
} sfh_parked SEC(".maps");

/* By slot, too. A devmap that is an array would cost a frame 10 ns less, but the kernel
 * lets only programs of one kind use it: not ours in libxdp's dispatcher beside ours that
 * is attached by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, __u32);
} sfh_devmap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct sfh_port);
} sfh_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sfh_meta);
} sfh_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SFH_DROP_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} sfh_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SFH_RING_BYTES);
} sfh_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_probe_seen);
} sfh_probe SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sfh_probe_want);
} sfh_probe_want SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_warm_view);
} sfh_warm SEC(".maps");

#endif
