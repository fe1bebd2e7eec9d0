// SPDX-License-Identifier: GPL-2.0-or-later
/* What one run of a program costs by itself, beside an empty one on the same hook. */
#include "bench/datapath/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "datapath.skel.h"

#define RUNS  1000000
#define TRIES 5

/* The least of a few: what is added to it is not the program's. */
static double run_ns(int prog, uint32_t ifindex, bool xdp, const uint8_t *frame)
{
	struct xdp_md xdp_ctx = { .data_end = DP_FRAME_LEN, .ingress_ifindex = ifindex };
	struct __sk_buff skb_ctx = { .ifindex = ifindex };
	double best = 0;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = DP_FRAME_LEN,
		    .repeat = RUNS);

	o.ctx_in = xdp ? (void *)&xdp_ctx : (void *)&skb_ctx;
	o.ctx_size_in = xdp ? sizeof(xdp_ctx) : sizeof(skb_ctx);
	for (int i = 0; i < TRIES; i++) {
		if (bpf_prog_test_run_opts(prog, &o) < 0)
			return -1;
		if (i == 0 || o.duration < best)
			best = o.duration;
	}
	return best;
}

static int xdp_program(uint32_t ifindex)
{
	uint32_t id = 0;

	return bpf_xdp_query_id((int)ifindex, 0, &id) < 0 || !id ? -1 : bpf_prog_get_fd_by_id(id);
}

/* Every rival of ours has a program of this name: the one that uses this rival's map. */
static bool uses_map(int prog, uint32_t map_id)
{
	uint32_t ids[32];
	struct bpf_prog_info info = { .nr_map_ids = SFH_ARRAY_SIZE(ids),
				      .map_ids = (uintptr_t)ids };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len) < 0)
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < SFH_ARRAY_SIZE(ids); i++)
		if (ids[i] == map_id)
			return true;
	return false;
}

static int tc_program(const char *name, const char *bpffs)
{
	struct bpf_map_info map = {};
	uint32_t id = 0, len = sizeof(map);
	char path[128];
	_cleanup_close_ int map_fd = -1;

	(void)snprintf(path, sizeof(path), "%s/" SFH_PIN_DIR "/sfh_guests", bpffs);
	map_fd = bpf_obj_get(path);
	if (map_fd < 0 || bpf_obj_get_info_by_fd(map_fd, &map, &len) < 0)
		return -1;
	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = {};
		uint32_t info_len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &info_len) == 0 &&
		    strncmp(info.name, name, sizeof(info.name) - 1) == 0 && uses_map(fd, map.id))
			return fd;
		(void)close(fd);
	}
	return -1;
}

/* The yardstick's program does what it does for the rival of that name. */
static int ceiling(struct dp_rival *r, uint32_t device)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(r->bpf->maps.dp_targets), &zero, &device, 0) < 0)
		return -1;
	return fcntl(bpf_program__fd(r->bpf->progs.dp_ceiling), F_DUPFD_CLOEXEC, 3);
}

static int find_program(struct dp_rival *r, const char *name, uint32_t device)
{
	if (strcmp(name, "sfh_pf_xdp") == 0)
		return xdp_program(r->pf);
	return strcmp(name, "dp_ceiling") == 0 ? ceiling(r, device) : tc_program(name, r->bpffs);
}

int dp_costs(struct dp_rival *r, struct dp_cost costs[DP_COSTS], struct sfh_error *err)
{
	int empty_xdp = bpf_program__fd(r->bpf->progs.dp_pass);
	int empty_tc = bpf_program__fd(r->bpf->progs.dp_pass_tc);
	uint8_t miss[DP_FRAME_LEN];
	int n = 0, rc = dp_rival_enter(r, err);
	uint32_t device = rc < 0 ? 0 : if_nametoindex("sink0");
	const struct {
		const char *name, *text, *prog;
		const uint8_t *frame;
	} rows[] = {
		{ "ceiling", "XDP redirect, no lookup", "dp_ceiling", r->frame },
		{ "pf_xdp_hit", "sfh_pf_xdp, frame for an armed pair", "sfh_pf_xdp", r->frame },
		{ "pf_xdp_miss", "sfh_pf_xdp, frame for nobody here", "sfh_pf_xdp", miss },
		{ "pf_tc_hit", "sfh_pf_tc, frame for an armed pair", "sfh_pf_tc", r->frame },
		{ "pf_tc_miss", "sfh_pf_tc, frame for nobody here", "sfh_pf_tc", miss },
		{ "to_guest", "sfh_to_guest, frame for the device's pair", "sfh_to_guest", r->frame },
	};

	if (rc < 0)
		return rc;
	memcpy(miss, r->frame, sizeof(miss));
	miss[1] ^= 0x20;
	for (size_t i = 0; i < SFH_ARRAY_SIZE(rows); i++) {
		bool xdp = strstr(rows[i].prog, "_tc") == NULL && strstr(rows[i].prog, "_to_") == NULL;
		uint32_t on = strstr(rows[i].prog, "_to_") ? device : r->pf;
		_cleanup_close_ int fd = find_program(r, rows[i].prog, device);

		if (fd < 0)
			return sfh_err(err, -ENOENT, "cannot find %s in the kernel", rows[i].text);
		costs[n] = (struct dp_cost){ .name = rows[i].name,
					     .text = rows[i].text,
					     .hook = xdp ? "xdp" : "tc" };
		costs[n].empty_ns = run_ns(xdp ? empty_xdp : empty_tc, on, xdp, rows[i].frame);
		costs[n].ns = run_ns(fd, on, xdp, rows[i].frame);
		if (costs[n].ns < 0 || costs[n].empty_ns < 0)
			return sfh_err(err, -EIO, "cannot run %s", rows[i].text);
		n++;
	}
	return n;
}
