// SPDX-License-Identifier: GPL-2.0-or-later
/* The port profile (802.1Qbh) of a pair's VF. A switch answers when it likes: nobody
 * waits, the engine looks again. */
#include <string.h>
#include <syslog.h>

#include "ctl/engine/engine.h"

#define MS 1000000ull

void sfh_port_forget(struct sfh_pair *p)
{
	p->port_request = 0;
	p->port_look_ns = 0;
}

bool sfh_port_host_trouble(int r)
{
	return r == -EAGAIN || r == -EINTR || r == -ENOMEM || r == -ENOBUFS || r == -EMFILE ||
	       r == -ENFILE;
}

static int ask(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
	       uint8_t request, struct sfh_error *err)
{
	int r = e->kernel->port_ask(e->kernel_ctx, p->pf_ifindex, lease, request, err);

	p->port_request = r == 0 ? request : 0;
	return r == -EBUSY ? -EAGAIN : r; /* the ledger's word, see sfh_pool_set_vf() */
}

static int answer(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
		  struct sfh_error *err)
{
	uint8_t request = 0;
	int r = e->kernel->port_answer(e->kernel_ctx, p->pf_ifindex, lease->vf, &request, err);

	if (r == 0 && request && request != p->port_request)
		return sfh_err(err, -EPROTO, "somebody else changed the port profile of VF %u",
			       lease->vf);
	return r;
}

/* Pre-association first: the switch says what it thinks of the profile while the guest's
 * frames still belong to its standby leg. */
int sfh_port_begin(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
		   struct sfh_error *err)
{
	int r;

	sfh_port_forget(p);
	if (!lease->profile[0])
		return 0;
	if (!e->kernel->port_ask)
		return sfh_err(err, -EOPNOTSUPP, "port profiles are not supported");
	r = ask(e, p, lease, PORT_REQUEST_PREASSOCIATE_RR, err);
	if (r < 0)
		return r;
	p->port_until_ns = e->now() + SFH_PORT_DEADLINE_MS * MS;
	return sfh_port_go_on(e, p, lease, err);
}

int sfh_port_go_on(struct sfh_engine *e, struct sfh_pair *p, const struct sfh_lease *lease,
		   struct sfh_error *err)
{
	struct sfh_error why = { 0 }; /* waiting is no error */
	int r = answer(e, p, lease, &why);

	if (r == 0 && p->port_request == PORT_REQUEST_PREASSOCIATE_RR) {
		r = ask(e, p, lease, PORT_REQUEST_ASSOCIATE, &why);
		if (r == 0)
			r = answer(e, p, lease, &why);
	}
	if ((r == -EINPROGRESS || (p->port_request && sfh_port_host_trouble(r))) &&
	    e->now() < p->port_until_ns) { /* the answer may be there, and could not be had */
		p->port_look_ns = e->now() + SFH_PORT_LOOK_MS * MS;
		return -EINPROGRESS;
	}
	sfh_port_forget(p);
	if (r == -EINPROGRESS)
		return sfh_err(err, -ETIMEDOUT,
			       "the switch did not answer for the port profile of VF %u within %d s",
			       lease->vf, SFH_PORT_DEADLINE_MS / 1000);
	return r < 0 ? sfh_err(err, r, "%s", why.text) : 0;
}

/* What becomes of it is not waited for: the next association begins with one. But a VF
 * whose driver says that it failed is not given to anybody else. */
int sfh_port_end(struct sfh_engine *e, int pf_ifindex, const struct sfh_lease *lease,
		 struct sfh_error *err)
{
	struct sfh_error why = { 0 };
	uint8_t request = 0;
	int r, said;

	if (!lease->profile[0] || !e->kernel->port_ask)
		return 0;
	r = e->kernel->port_ask(e->kernel_ctx, pf_ifindex, lease, PORT_REQUEST_DISASSOCIATE, &why);
	said = r == 0 || r == -EOPNOTSUPP ?
		       e->kernel->port_answer(e->kernel_ctx, pf_ifindex, lease->vf, &request, &why) :
		       0;
	/* A driver that refuses this, too, and has nothing to tell never had one. */
	if (said == -ENODATA || (r == 0 && said == -EINPROGRESS))
		return 0;
	if (r == 0)
		r = said;
	return r < 0 ? sfh_err(err, r == -EBUSY ? -EAGAIN : r, "%s", why.text) : 0;
}

/* The driver knows what it was last asked: an association is left alone, or waited for;
 * what a dead agent took off, or had not come to yet, is asked for again. */
void sfh_port_resume(struct sfh_engine *e, struct sfh_pair *p)
{
	uint8_t request = 0;
	int r;

	if (!p->has_lease || !p->lease.profile[0] || !e->kernel->port_ask)
		return;
	r = e->kernel->port_answer(e->kernel_ctx, p->pf_ifindex, p->lease.vf, &request, NULL);
	if (r == 0 && request == PORT_REQUEST_ASSOCIATE)
		return;
	if (r == -EINPROGRESS && request == PORT_REQUEST_ASSOCIATE) {
		p->port_request = request;
		p->port_until_ns = e->now() + SFH_PORT_DEADLINE_MS * MS;
		p->port_look_ns = e->now() + SFH_PORT_LOOK_MS * MS;
		return;
	}
	(void)sfh_port_again(e, p, NULL);
}

int sfh_port_again(struct sfh_engine *e, struct sfh_pair *p, struct sfh_error *err)
{
	int r = sfh_port_begin(e, p, &p->lease, err);

	if (r == -EINPROGRESS)
		return 0;
	if (r < 0) /* of no use to the guest without it: PORT_REFUSED comes */
		p->port_look_ns = e->now();
	return r;
}

void sfh_port_look(struct sfh_engine *e, struct sfh_pair *p)
{
	struct sfh_error err = { 0 };
	int r;

	p->port_look_ns = 0;
	r = p->has_lease && p->port_request ?
		    sfh_port_go_on(e, p, &p->lease, &err) :
		    sfh_err(&err, -EPROTO, "the VF lost its port profile");
	if (r != -EINPROGRESS)
		sfh_pair_dispatch(e, p, r == 0 ? SFH_EV_PORT_TAKEN : SFH_EV_PORT_REFUSED,
				  r == 0 ? NULL : err.text);
}
