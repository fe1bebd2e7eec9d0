/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network and mount namespace per test, with its own sysfs and bpffs, and what
 * the tests of the datapath do in it. Everything here aborts the test on failure;
 * what ends with the process needs no cleanup. */
#ifndef SFH_TESTS_SANDBOX_H
#define SFH_TESTS_SANDBOX_H

#include "ctl/core/steer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fresh namespaces, /sys of the new one, a bpffs at /sys/fs/bpf and another at
 * /mnt/bpf, /mnt a tmpfs, IPv6 off. Skips the test if that is not allowed. */
void sandbox_enter(void);
/* Runs a shell command, fails the test unless it exits 0. */
void sh(const char *fmt, ...) SFH_PRINTF(1, 2);
/* Exit status of a shell command, output discarded. */
int sh_status(const char *fmt, ...) SFH_PRINTF(1, 2);
uint32_t ifindex_of(const char *name);
bool file_exists(const char *path);

/* --- frames ------------------------------------------------------------------------ */
struct frame {
	uint8_t b[9000];
	size_t len;
};
#define MAC_GUEST "52:54:00:00:00:01"
#define MAC_PEER  "52:54:00:00:00:99"
#define MAC_OTHER "52:54:00:00:00:02"
#define MAC_BCAST "ff:ff:ff:ff:ff:ff"
#define MAC_MCAST "01:00:5e:00:00:05"

/* dst, src, then the tags from the outermost: the high half is the TPID, the low
 * half the TCI; 0 ends or is left out. 60 bytes, with a payload that differs from
 * frame to frame. */
struct frame mk_frame(const char *dst, const char *src, uint32_t tag1, uint32_t tag2);
#define TAG(vid)  (0x81000000u | (vid))
#define STAG(vid) (0x88a80000u | (vid))
struct frame mk_arp(const char *src, const char *sender_mac, const char *sender_ip);
struct frame mk_ipv4(const char *src, const char *source_ip);

/* Raw socket on a device: sends as if onto its wire. */
int packet_open(uint32_t ifindex);
void frame_send(int fd, const struct frame *f);
/* A frame read from a packet socket or a tap's fd within ms; length 0 if none came. */
struct frame frame_read(int fd, int ms);
void assert_frame(const struct frame *got, const struct frame *want, const char *file, int line);
#define cr_assert_frame(got, want) assert_frame(&(got), &(want), __FILE__, __LINE__)

/* --- devices ------------------------------------------------------------------------ */
/* Creates and opens a tap, up; frames without header on the returned fd. */
int tap_make(const char *name);
/* Creates a macvtap in bridge mode on `pf` with this MAC, up; its character device. */
int macvtap_make(const char *name, const char *pf, const char *mac);

/* pf0, the end of a cable, up; its ifindex. Its far end is wire0. */
uint32_t pf_make(void);

/* --- a standby leg --------------------------------------------------------------------- */
struct leg_kind {
	enum sfh_standby_kind kind;
	bool xdp;
	uint16_t vlan;
};
/* pf0 with its wire, and a standby device that the guest, the reader of `guest`, has: our
 * programs on both, nothing staged. */
struct leg {
	struct sfh_steer *s;
	uint32_t pf, standby;
	int wire, guest;
	struct sfh_guest_key key; /* of MAC_GUEST */
};
/* In a new sandbox. */
void leg_make(struct leg *leg, const struct leg_kind *kind);

/* --- steering ---------------------------------------------------------------------------- */
/* Fail the test. The first attaches by filters on a clsact, as on a kernel without tcx. */
struct sfh_steer *steer_open(void);
struct sfh_steer *steer_open_tcx(void);
/* Our programs on the PF, XDP if and only if it is asked for; `ret` may be NULL. */
void pf_attach(struct sfh_steer *s, uint32_t pf, bool xdp, struct sfh_steer_pf_info *ret);
struct sfh_guest_key mk_key(uint32_t pf, const char *mac, uint16_t vlan);
struct sfh_pair_view view_of(struct sfh_steer *s, const struct sfh_guest_key *key);
/* The switch meter has seen enough of the pair: from then on its frames are plain. */
void meter_is_over(struct sfh_steer *s, const struct sfh_guest_key *key);
/* Takes what is in the ring; returns how many, and the last one. */
int take_events(struct sfh_steer *s, struct sfh_event *last);

#endif
