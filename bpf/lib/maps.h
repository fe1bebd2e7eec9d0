/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pinned maps, the same in every object: libbpf makes the pin for the first
 * object that is loaded and reuses it for the others. Sizes of the maps with one
 * entry per pair are set before load (ctl/core/steer.c). No preallocation: the
 * per-CPU map alone would take 72 bytes x pairs x CPUs, and only user space
 * inserts. */
#ifndef SFH_BPF_MAPS_H
#define SFH_BPF_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "sfhybrid/abi.h"

#ifndef BPF_F_NO_PREALLOC
#define BPF_F_NO_PREALLOC 1
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_guests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_counters);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, struct sfh_guest_key);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_standby SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, struct sfh_guest_key);
	__type(value, struct sfh_guest_key);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_parked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, SFH_MAX_PAIRS);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_devmap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SFH_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct sfh_port);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sfh_meta);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SFH_DROP_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SFH_RING_BYTES);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sfh_events SEC(".maps");

#endif
