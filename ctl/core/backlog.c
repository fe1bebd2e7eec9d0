// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/core/backlog.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

/* Of one guest. A guest is deaf for some 50 ms; that is room for 1 Gbit/s of full frames.
 * What a standby leg's own queue (500 or 1000 frames) does not take at once is lost there. */
#define MAX_FRAMES 4096
#define MAX_BYTES  (16u << 20)

#define ETHERTYPE_PROVIDER 0x88a8 /* 802.1ad */
#define VLAN_MASK 0x0fff

struct frame {
	struct frame *next;
	size_t len;
	uint8_t data[];
};

/* Of a pair, from its first switch to its end. */
struct backlog {
	struct backlog *next;
	struct sfh_guest_key key;
	bool open; /* frames wait; else those that still come are released at once */
	struct frame *first, **end;
	size_t frames, bytes;
	struct sfh_backlog_count count; /* since it was opened */
};

struct sfh_backlogs {
	struct sfh_inject *inject;
	struct backlog *list;
	uint8_t frame[SFH_INJECT_FRAME_MAX];
};

int sfh_backlogs_new(struct sfh_inject *inject, struct sfh_backlogs **ret)
{
	struct sfh_backlogs *bl = calloc(1, sizeof(*bl));

	if (!bl)
		return -ENOMEM;
	bl->inject = inject;
	*ret = bl;
	return 0;
}

static struct backlog *find(const struct sfh_backlogs *bl, const struct sfh_guest_key *key)
{
	struct backlog *b = bl->list;

	while (b && memcmp(&b->key, key, sizeof(*key)) != 0)
		b = b->next;
	return b;
}

/* By what the frame says. It does not say the PF: a guest with that address that waits
 * comes before one that does not. */
static struct backlog *find_by_frame(const struct sfh_backlogs *bl, size_t len)
{
	struct backlog *found = NULL;
	struct ether_header eth;
	uint16_t tci = 0;

	if (len < sizeof(eth) + sizeof(tci))
		return NULL;
	memcpy(&eth, bl->frame, sizeof(eth));
	if (eth.ether_type == htons(ETHERTYPE_VLAN) || eth.ether_type == htons(ETHERTYPE_PROVIDER))
		memcpy(&tci, bl->frame + sizeof(eth), sizeof(tci));
	for (struct backlog *b = bl->list; b; b = b->next)
		if (b->key.vlan == (ntohs(tci) & VLAN_MASK) &&
		    memcmp(b->key.mac, eth.ether_dhost, 6) == 0 && (!found || b->open))
			found = b;
	return found;
}

static void keep(struct backlog *b, const void *data, size_t len)
{
	struct frame *f = NULL;

	if (b->frames < MAX_FRAMES && b->bytes + len <= MAX_BYTES)
		f = malloc(sizeof(*f) + len);
	if (!f) {
		b->count.lost++;
		return;
	}
	f->next = NULL;
	f->len = len;
	memcpy(f->data, data, len);
	*b->end = f;
	b->end = &f->next;
	b->frames++;
	b->bytes += len;
}

static void release(struct sfh_backlogs *bl, struct backlog *b, const void *data, size_t len)
{
	if (sfh_inject_release(bl->inject, b->key.pf_ifindex, data, len) < 0)
		b->count.lost++;
	else
		b->count.released++;
}

void sfh_backlogs_take(struct sfh_backlogs *bl)
{
	/* No more than there is room for: whoever has the fd in a loop is told again. */
	for (int i = 0; i < MAX_FRAMES; i++) {
		ssize_t n = sfh_inject_read(bl->inject, bl->frame, sizeof(bl->frame));
		struct backlog *b = n > 0 ? find_by_frame(bl, (size_t)n) : NULL;

		if (n < 0)
			return;
		if (b && b->open)
			keep(b, bl->frame, (size_t)n);
		else if (b)
			release(bl, b, bl->frame, (size_t)n);
	}
}

/* In their order; without `bl` they are dropped. */
static void empty(struct sfh_backlogs *bl, struct backlog *b)
{
	struct frame *f;

	while ((f = b->first)) {
		b->first = f->next;
		if (bl)
			release(bl, b, f->data, f->len);
		free(f);
	}
	b->end = &b->first;
	b->frames = b->bytes = 0;
}

int sfh_backlog_begin(struct sfh_backlogs *bl, struct sfh_steer *s, const struct sfh_guest_key *key,
		      struct sfh_error *err)
{
	struct backlog *b = find(bl, key);
	int r;

	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b)
			return sfh_err(err, -ENOMEM, "out of memory");
		b->key = *key;
		b->end = &b->first;
		b->next = bl->list;
		bl->list = b;
	}
	b->count = (struct sfh_backlog_count){ 0 };
	r = sfh_steer_backlog(s, key, sfh_inject_ifindex(bl->inject), err);
	b->open = r == 0;
	return r;
}

int sfh_backlog_end(struct sfh_backlogs *bl, struct sfh_steer *s, const struct sfh_guest_key *key,
		    struct sfh_backlog_count *ret, struct sfh_error *err)
{
	struct backlog *b = find(bl, key);
	int r;

	*ret = (struct sfh_backlog_count){ 0 };
	if (!b || !b->open) {
		r = sfh_steer_backlog(s, key, 0, err);
		return r == -ENOENT ? 0 : r;
	}
	/* Twice: while the first ones go others come, which are not to be overtaken. */
	for (int i = 0; i < 2; i++) {
		sfh_backlogs_take(bl);
		empty(bl, b);
	}
	r = sfh_steer_backlog(s, key, 0, err);
	b->open = false;
	sfh_backlogs_take(bl); /* sent here before the programs saw that */
	*ret = b->count;
	return r == -ENOENT ? 0 : r;
}

void sfh_backlog_forget(struct sfh_backlogs *bl, const struct sfh_guest_key *key)
{
	struct backlog **at = &bl->list, *b;

	while ((b = *at) && memcmp(&b->key, key, sizeof(*key)) != 0)
		at = &b->next;
	if (!b)
		return;
	*at = b->next;
	empty(NULL, b);
	free(b);
}

bool sfh_backlogs_empty(const struct sfh_backlogs *bl)
{
	return !bl->list;
}

void sfh_backlogs_free(struct sfh_backlogs **blp)
{
	struct sfh_backlogs *bl = *blp;
	struct backlog *b;

	if (!bl)
		return;
	while ((b = bl->list)) {
		bl->list = b->next;
		empty(NULL, b);
		free(b);
	}
	free(bl);
	*blp = NULL;
}
