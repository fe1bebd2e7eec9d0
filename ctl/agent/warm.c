// SPDX-License-Identifier: GPL-2.0-or-later
/* Probes of the standby legs: the legs that are probed, found by their steering key. Loop only; the datapath's
 * lock is not taken: it is closed on the loop, and probes touch its maps only. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/warm.h"

struct sfh_warmer {
	struct sfh_warm *warm;
	struct sfh_warm_leg **legs; /* by key */
	size_t n, room;
	uint64_t retry_ns; /* it could not be opened; not before then */
	bool told;	   /* that it could not */
};

#define RETRY_NS 10000000000ull

static struct sfh_warmer *warmer(struct sfh_agent *a)
{
	struct sfh_error err = { 0 };
	struct sfh_warmer *w = a->warmer;
	uint64_t now;

	if (!w)
		w = a->warmer = calloc(1, sizeof(*w));
	if (!w || w->warm || !a->steer)
		return w && w->warm ? w : NULL;
	now = sfh_now_ns();
	if (now < w->retry_ns)
		return NULL;
	if (sfh_agent_inject(a, &err) &&
	    sfh_warm_open(a->steer, a->inject, a->env.sysfs, &w->warm, &err) == 0) {
		w->told = false;
		return w;
	}
	w->retry_ns = now + RETRY_NS;
	if (!w->told)
		sfh_agent_log(LOG_ERR, "standby legs are not probed: %s", err.text);
	w->told = true;
	return NULL;
}

/* Where the leg is, or would be. */
static bool find(const struct sfh_warmer *w, const struct sfh_guest_key *key, size_t *at)
{
	size_t from = 0, to = w->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = memcmp(key, sfh_warm_leg_key(w->legs[mid]), sizeof(*key));

		if (order == 0) {
			*at = mid;
			return true;
		}
		if (order < 0)
			to = mid;
		else
			from = mid + 1;
	}
	*at = from;
	return false;
}

static struct sfh_warm_leg *leg_of(const struct sfh_agent *a, const struct sfh_pair *p)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);
	size_t at;

	return a->warmer && find(a->warmer, &key, &at) ? a->warmer->legs[at] : NULL;
}

static void remove_at(struct sfh_warmer *w, size_t at)
{
	sfh_warm_leg_free(&w->legs[at]);
	w->n--;
	memmove(&w->legs[at], &w->legs[at + 1], (w->n - at) * sizeof(*w->legs));
}

static struct sfh_warm_leg *new_leg(struct sfh_agent *a, const struct sfh_pair *p)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);
	struct sfh_warmer *w = warmer(a);
	struct sfh_warm_leg *leg = NULL;
	struct sfh_error err = { 0 };
	size_t at;

	if (!w)
		return NULL;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		void *legs = realloc(w->legs, room * sizeof(struct sfh_warm_leg *));

		if (!legs)
			return NULL;
		w->legs = legs;
		w->room = room;
	}
	(void)find(w, &key, &at);
	if (sfh_warm_leg_new(w->warm, &key, (uint32_t)p->standby_ifindex, p->kind, &leg, &err) < 0) {
		sfh_agent_log(LOG_DEBUG, "%s: %s", p->domain_name, err.text);
		return NULL;
	}
	memmove(&w->legs[at + 1], &w->legs[at], (w->n - at) * sizeof(struct sfh_warm_leg *));
	w->legs[at] = leg;
	w->n++;
	return leg;
}

void sfh_warmer_begin(void *ctx)
{
	struct sfh_agent *a = ctx;

	if (a->warmer && a->warmer->warm)
		sfh_warm_begin(a->warmer->warm);
}

void sfh_warmer_send(void *ctx, const struct sfh_pair *p)
{
	struct sfh_agent *a = ctx;
	struct sfh_warm_leg *leg = leg_of(a, p);

	if (leg && sfh_warm_leg_device(leg) != (uint32_t)p->standby_ifindex) {
		struct sfh_guest_key key = sfh_agent_key_of(p);

		sfh_warmer_forget(a, &key);
		leg = NULL;
	}
	if (!leg)
		leg = new_leg(a, p);
	if (leg)
		sfh_warm_send(leg);
}

int sfh_warmer_check(void *ctx, const struct sfh_pair *p, uint32_t *latency_ns, uint32_t *ring_us)
{
	struct sfh_warm_leg *leg = leg_of(ctx, p);

	return leg ? sfh_warm_check(leg, latency_ns, ring_us) : 0;
}

enum sfh_cold sfh_warmer_why(void *ctx, const struct sfh_pair *p)
{
	struct sfh_warm_leg *leg = leg_of(ctx, p);

	return leg ? sfh_warm_why(leg) : SFH_COLD_NOT_SENT;
}

void sfh_warmer_tell(void *ctx, const struct sfh_pair *p)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);
	struct sfh_agent *a = ctx;

	if (a->steer)
		(void)sfh_steer_warm_set(a->steer, &key, &p->warm);
}

void sfh_warmer_stop(void *ctx, const struct sfh_pair *p)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);

	sfh_warmer_tell(ctx, p);
	sfh_warmer_forget(ctx, &key);
	sfh_agent_inject_idle(ctx);
}

void sfh_warmer_forget(struct sfh_agent *a, const struct sfh_guest_key *key)
{
	size_t at;

	if (!a->warmer || !find(a->warmer, key, &at))
		return;
	remove_at(a->warmer, at);
}

bool sfh_warmer_idle(const struct sfh_agent *a)
{
	return !a->warmer || !a->warmer->n;
}

void sfh_warmer_close(struct sfh_agent *a)
{
	struct sfh_warmer *w = a->warmer;

	if (!w)
		return;
	while (w->n)
		remove_at(w, w->n - 1);
	sfh_warm_close(&w->warm);
	free(w->legs);
	free(w);
	a->warmer = NULL;
}
