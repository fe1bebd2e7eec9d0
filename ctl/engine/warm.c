// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/engine/warm.h"
#include "sfhybrid/cold.h"

#include <string.h>
#include <syslog.h>

#define MS 1000000ull

static uint64_t interval_of(const struct sfh_engine *e, const struct sfh_pair *p)
{
	const struct sfh_engine_network *net = sfh_engine_network(e, p->network);

	return net ? net->probe_interval_ms * MS : 0;
}

/* A guest that is arriving, leaving or stopped takes no frame, and is not meant to. */
static bool may_be_probed(const struct sfh_pair *p)
{
	return p->standby_ifindex && p->running && p->state != SFH_PAIR_ARRIVING &&
	       p->state != SFH_PAIR_LEAVING;
}

/* Nor does one that boots: it is probed from its first frame on. */
static bool talks(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_pair_seen seen = { 0 };

	return e->kernel->seen(e->kernel_ctx, p, &seen) == 0 && seen.first_frame;
}

static void stop(struct sfh_engine *e, struct sfh_pair *p)
{
	p->warm_wake_ns = p->warm_send_ns = p->warm_sent_ns = 0;
	p->warm = (struct sfh_warm_view){ .state = SFH_WARM_UNKNOWN };
	e->kernel->warm_stop(e->kernel_ctx, p);
}

void sfh_engine_warm_anew(struct sfh_engine *e, const char *network)
{
	for (struct sfh_pair *p = e->pairs; p; p = p->next)
		if (p->warm_wake_ns && strcmp(p->network, network) == 0)
			stop(e, p);
}

void sfh_engine_warm_look(struct sfh_engine *e)
{
	uint64_t interval, turn;

	if (!e->kernel->warm_send)
		return;
	for (struct sfh_pair *p = e->pairs; p; p = p->next) {
		if (!may_be_probed(p)) {
			if (p->warm_wake_ns)
				stop(e, p);
			continue;
		}
		if (p->warm_wake_ns)
			continue;
		interval = interval_of(e, p);
		if (!interval || !talks(e, p))
			continue;
		turn = interval / SFH_WARM_TURNS;
		p->warm_send_ns = (e->now() / turn + 1 + e->warm_turn++ % SFH_WARM_TURNS) * turn;
		p->warm_wake_ns = p->warm_send_ns;
		p->warm.interval_ms = (uint32_t)(interval / MS);
	}
}

static void proven(struct sfh_engine *e, struct sfh_pair *p, uint64_t now)
{
	if (p->warm.state == SFH_WARM_COLD)
		sfh_engine_log(e, LOG_NOTICE, "%s: the standby leg %s is warm again", p->domain_name,
			       p->standby);
	p->warm_sent_ns = 0;
	p->warm.state = SFH_WARM_WARM;
	p->warm.cold = SFH_COLD_NONE;
	p->warm.proven_ns = p->warm.told_ns = now;
	e->kernel->warm_tell(e->kernel_ctx, p);
}

static void failed(struct sfh_engine *e, struct sfh_pair *p, uint64_t now)
{
	enum sfh_cold why = e->kernel->warm_why(e->kernel_ctx, p);

	/* A guest that boots is slow to take its first frame: the truth, but no event. */
	bool boots = why == SFH_COLD_RING_STUCK && !p->warm.proven_ns;

	if (p->warm.state != SFH_WARM_COLD || p->warm.cold != why)
		sfh_engine_log(e, boots ? LOG_INFO : LOG_WARNING,
			       "%s: the standby leg %s is cold: %s (%s)", p->domain_name,
			       p->standby, sfh_cold_text(why), sfh_cold_name(why));
	p->warm.state = SFH_WARM_COLD;
	p->warm.cold = (uint16_t)why;
	p->warm.told_ns = now;
	e->kernel->warm_tell(e->kernel_ctx, p);
}

static uint64_t deadline_of(uint64_t interval)
{
	return interval / 2 > SFH_WARM_DEADLINE_MS * MS ? interval / 2 : SFH_WARM_DEADLINE_MS * MS;
}

/* Has the probe that is under way arrived? */
static void look(struct sfh_engine *e, struct sfh_pair *p, uint64_t now, uint64_t interval)
{
	uint64_t age = now - p->warm_sent_ns;

	if (e->kernel->warm_check(e->kernel_ctx, p, &p->warm.latency_ns, &p->warm.ring_us) == 1)
		proven(e, p, now);
	else if (age >= deadline_of(interval))
		failed(e, p, now);
}

static void send(struct sfh_engine *e, struct sfh_pair *p, uint64_t now, uint64_t interval)
{
	uint64_t turn = interval / SFH_WARM_TURNS;

	p->warm_sent_ns = now;
	p->warm_send_ns += interval;
	if (p->warm_send_ns <= now) /* the loop was late: keep to the turns */
		p->warm_send_ns = (now / turn + 1) * turn;
	e->kernel->warm_send(e->kernel_ctx, p);
}

/* The next look at a probe under way, else the next one's time. */
static uint64_t wake(const struct sfh_pair *p, uint64_t now, uint64_t interval)
{
	const uint64_t looks[] = { SFH_WARM_LOOK_MS * MS, SFH_WARM_LOOK_AGAIN_MS * MS,
				   deadline_of(interval) };

	for (size_t i = 0; p->warm_sent_ns && i < SFH_ARRAY_SIZE(looks); i++)
		if (p->warm_sent_ns + looks[i] > now)
			return p->warm_sent_ns + looks[i] < p->warm_send_ns ||
					       looks[i] == deadline_of(interval) ?
				       p->warm_sent_ns + looks[i] :
				       p->warm_send_ns;
	return p->warm_send_ns;
}

void sfh_engine_warm_tick(struct sfh_engine *e, uint64_t now)
{
	bool begun = false;

	for (struct sfh_pair *p = e->pairs; p; p = p->next) {
		uint64_t interval;

		if (!p->warm_wake_ns || p->warm_wake_ns > now)
			continue;
		interval = interval_of(e, p);
		if (!interval) {
			stop(e, p);
			continue;
		}
		if (p->warm_sent_ns)
			look(e, p, now, interval);
		/* The one under way is judged before the next one goes. */
		if (p->warm_send_ns <= now &&
		    (!p->warm_sent_ns || now - p->warm_sent_ns >= deadline_of(interval))) {
			if (!begun)
				e->kernel->warm_begin(e->kernel_ctx);
			begun = true;
			send(e, p, now, interval);
		}
		p->warm_wake_ns = wake(p, now, interval);
	}
}
