// SPDX-License-Identifier: GPL-2.0-or-later
/* The verb set: single settings of a network, also while it is up. */
#include <string.h>
#include <syslog.h>

#include "ctl/agent/netjob.h"
#include "libvirt-glue/netedit.h"

struct set_job {
	struct sfh_netjob net; /* the first: the network verbs' job */
	const char *words[SFH_NETEDIT_MAX];
	size_t nwords;
	json_t *args; /* owns the words */
	struct sfh_netedit_change changes[SFH_NETEDIT_MAX];
	int nchanges;
};

static int collect_guest(void *ctx, const char *xml)
{
	struct sfh_netjob *j = ctx;
	char **more = realloc(j->guests, (j->nguests + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->guests = more;
	more[j->nguests] = strdup(xml);
	return more[j->nguests] ? (j->nguests++, 0) : -ENOMEM;
}

static int edit(struct set_job *s, struct sfh_virt *v)
{
	struct sfh_netjob *j = &s->net;
	_cleanup_free_ char *old = NULL, *user = NULL, *changed = NULL, *xml = NULL;
	struct sfh_error why = { 0 };
	int r = sfh_virt_network_xml(v, j->name, &old, NULL, &j->err);

	if (r == 0)
		r = sfh_netdef_user_xml(old, strlen(old), &user, &j->err);
	if (r < 0)
		return r;
	s->nchanges = sfh_netedit(user, strlen(user), s->words, s->nwords, s->changes, &changed,
				  &j->err);
	if (s->nchanges <= 0)
		return s->nchanges;
	r = sfh_netdef_parse(changed, strlen(changed), &j->def, &j->err);
	if (r == 0)
		r = sfh_netdef_redefine(changed, strlen(changed), old, &xml, &j->err);
	if (r >= 0)
		r = sfh_virt_network_define(v, xml, &j->err);
	/* It is set; a guest that is not told has it from its next start. */
	if (r == 0 && sfh_virt_running(v, collect_guest, j, &why) < 0)
		sfh_agent_log(LOG_WARNING, "not every guest on '%s' is told: %s", j->name, why.text);
	return r;
}

static void run_set(struct sfh_job *job)
{
	struct set_job *s = (struct set_job *)job;
	struct sfh_virt *v = sfh_agent_virt_get(s->net.a, &s->net.err);

	s->net.result = s->net.err.code;
	if (!v)
		return;
	(void)pthread_mutex_lock(&s->net.a->network_lock);
	s->net.result = edit(s, v);
	(void)pthread_mutex_unlock(&s->net.a->network_lock);
	sfh_agent_virt_put(s->net.a);
}

/* What runs hears of it: policy and priority now, what its VF is told with its next. The
 * VLAN is that of both legs, and stays as long as the guest runs. */
static void tell_guest(struct sfh_agent *a, const struct sfh_netjob *j, const char *xml)
{
	struct sfh_described d = { .nics = NULL };

	if (sfh_describe(a, xml, strlen(xml), &d, NULL) == 0)
		for (size_t i = 0; i < d.guest.nnics; i++)
			if (strcmp(d.guest.nics[i].network, j->name) == 0)
				sfh_engine_nic_changed(&a->engine, d.guest.uuid, &d.guest.nics[i]);
	sfh_described_done(&d);
}

/* `status` tells it from there, also without an agent. */
static void note_policy(struct sfh_agent *a, const struct sfh_netdef *def)
{
	struct sfh_ledger_network row;

	if (sfh_ledger_network_get(a->ledger, def->name, &row) < 0)
		return;
	(void)sfh_strcpy(row.policy, sizeof(row.policy), sfh_net_policy_name(def->policy));
	(void)sfh_ledger_network_put(a->ledger, &row, NULL);
}

static void take_effect(struct sfh_netjob *j)
{
	struct sfh_agent *a = j->a;

	for (struct sfh_agent_network *n = a->networks; n; n = n->next)
		if (strcmp(n->def->name, j->name) == 0) {
			sfh_netdef_freep(&n->def);
			n->def = TAKE_PTR(j->def);
			note_policy(a, n->def);
			if (sfh_netdef_has_policy(n->def, SFH_NET_POLICY_REQUIRE))
				sfh_require_mark(a, j->name);
			else
				sfh_require_unmark(a, j->name);
			sfh_engine_network_changed(&a->engine, j->name, sfh_netdef_always_never(n->def),
						   sfh_netdef_landing(n->def),
						   n->def->probe_interval_ms);
			for (size_t i = 0; i < j->nguests; i++)
				tell_guest(a, j, j->guests[i]);
		}
}

static const char *when_name(enum sfh_netedit_when when)
{
	static const char *const names[] = { "now", "next-lease", "next-start", "next-up" };

	return names[when];
}

static void done_set(struct sfh_job *job)
{
	struct set_job *s = (struct set_job *)job;
	struct sfh_netjob *j = &s->net;
	struct sfh_agent *a = j->a;

	if (j->result >= 0) {
		json_t *changes = json_array();
		bool up = sfh_agent_network(a, j->name) != NULL;

		for (int i = 0; i < s->nchanges; i++)
			(void)json_array_append_new(
				changes, json_pack("{s:s, s:s, s:s, s:s}", "key", s->changes[i].key, "old",
						   s->changes[i].old, "value", s->changes[i].value,
						   "effect", when_name(up ? s->changes[i].when
									  : SFH_EDIT_NEXT_UP)));
		if (s->nchanges)
			take_effect(j);
		sfh_reply_ok(j->req, json_pack("{s:s, s:o}", "network", j->name, "changes", changes));
		j->req = NULL;
	}
	json_decref(s->args);
	sfh_agent_rearm(a);
	sfh_netjob_finish(j, "set");
}

void sfh_verb_set(struct sfh_agent *a, struct sfh_request *req)
{
	const char *name = sfh_request_string(req, "network");
	json_t *words = json_object_get(req->args, "changes"), *word;
	struct set_job *s;
	size_t i;

	if (!name)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		sfh_reply_error(req, "out of memory");
		return;
	}
	json_array_foreach(words, i, word)
		if (json_is_string(word) && s->nwords < SFH_NETEDIT_MAX)
			s->words[s->nwords++] = json_string_value(word);
	s->args = json_incref(words);
	s->net.a = a;
	s->net.req = req;
	(void)sfh_strcpy(s->net.name, sizeof(s->net.name), name);
	s->net.job.run = run_set;
	s->net.job.done = done_set;
	sfh_worker_submit(a->worker, &s->net.job);
}
