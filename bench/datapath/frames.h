/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the bench's BPF programs and its user space share. */
#ifndef SFH_BENCH_DATAPATH_FRAMES_H
#define SFH_BENCH_DATAPATH_FRAMES_H

#define DP_FRAME_LEN 60
#define DP_MAX_DEVICES 1024

/* Pair i has the MAC 52:54:00 and i + 1 in 24 bits, the largest first. */
#define DP_MAC_HEAD_0 0x52
#define DP_MAC_HEAD_1 0x54
#define DP_MAC_HEAD_2 0x00

#endif
