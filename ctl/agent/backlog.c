// SPDX-License-Identifier: GPL-2.0-or-later
/* The injection device and the backlogs that come by it (ctl/core/backlog.h). Loop only. */
#include <netinet/in.h>
#include <syslog.h>

#include "ctl/agent/agent.h"
#include "ctl/core/backlog.h"
#include "ctl/core/probe.h"

struct sfh_inject *sfh_agent_inject(struct sfh_agent *a, struct sfh_error *err)
{
	if (!a->inject && a->steer)
		(void)sfh_inject_open(&a->inject, err);
	return a->inject;
}

static int on_frames(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_agent *a = userdata;

	(void)source;
	(void)fd;
	if (!(revents & (EPOLLERR | EPOLLHUP))) {
		sfh_backlogs_take(a->backlogs);
		return 0;
	}
	/* The next one who needs it makes another. */
	sfh_agent_log(LOG_WARNING, "somebody removed the injection device; it is made anew");
	sfh_warmer_close(a);
	sfh_agent_inject_close(a);
	return 0;
}

static int make(struct sfh_agent *a, struct sfh_error *err)
{
	int r = 0;

	if (!sfh_agent_inject(a, err))
		return err->code ? err->code : -ENOTCONN;
	if (!a->backlogs)
		r = sfh_backlogs_new(a->inject, &a->backlogs);
	if (r == 0 && !a->backlog_source)
		r = sd_event_add_io(a->loop, &a->backlog_source, sfh_inject_fd(a->inject), EPOLLIN,
				    on_frames, a);
	return r < 0 ? sfh_err(err, r, "cannot make a backlog: %s", strerror(-r)) : 0;
}

int sfh_agent_backlog(void *ctx, const struct sfh_pair *p, bool on, struct sfh_error *err)
{
	struct sfh_guest_key key = sfh_agent_key_of(p);
	struct sfh_backlog_count count = { 0 };
	struct sfh_agent *a = ctx;
	int r = on ? make(a, err) : 0;

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&a->steer_lock);
	if (!a->steer)
		r = -ENOTCONN;
	else if (on)
		r = sfh_backlog_begin(a->backlogs, a->steer, &key, err);
	else if (a->backlogs)
		r = sfh_backlog_end(a->backlogs, a->steer, &key, &count, err);
	else if ((r = sfh_steer_backlog(a->steer, &key, 0, err)) == -ENOENT)
		r = 0; /* what another process left of one, if anything */
	(void)pthread_mutex_unlock(&a->steer_lock);
	if (count.released || count.lost)
		sfh_agent_log(LOG_DEBUG, "%s: %zu frame(s) waited for it, %zu were lost",
			      p->domain_name, count.released, count.lost);
	return r;
}

/* It enters at the PF as if from the wire, and does not wait. */
int sfh_agent_ask_standby(void *ctx, const struct sfh_pair *p)
{
	static const struct sfh_mac asker = { SFH_ASK_MAC };
	uint16_t proto = htons(p->wish.what & SFH_VF_PROTO ? p->wish.cfg.proto : 0x8100);
	uint8_t frame[SFH_PROBE_FRAME_LEN];
	struct sfh_agent *a = ctx;
	struct sfh_pair_view v;
	int r = sfh_agent_pair_view(a, p, &v);

	if (r < 0 || !a->inject)
		return r < 0 ? r : -ENOTCONN;
	sfh_probe_frame(frame, &p->mac, &asker, &asker, p->vlan, v.ip4);
	memcpy(frame + 12, &proto, sizeof(proto));
	return sfh_inject_release(a->inject, (uint32_t)p->pf_ifindex, frame, sizeof(frame));
}

void sfh_agent_backlog_forget(struct sfh_agent *a, const struct sfh_guest_key *key)
{
	if (a->backlogs)
		sfh_backlog_forget(a->backlogs, key);
}

void sfh_agent_inject_idle(struct sfh_agent *a)
{
	if (!sfh_warmer_idle(a) || (a->backlogs && !sfh_backlogs_empty(a->backlogs)))
		return;
	sfh_warmer_close(a);
	sfh_agent_inject_close(a);
}

void sfh_agent_inject_close(struct sfh_agent *a)
{
	a->backlog_source = sd_event_source_disable_unref(a->backlog_source);
	sfh_backlogs_free(&a->backlogs);
	sfh_inject_close(&a->inject);
}
