// SPDX-License-Identifier: GPL-2.0-or-later
/* Single settings changed in the user's XML of a network. */
#include "libvirt-glue/netedit.h"

#include <criterion/criterion.h>
#include <string.h>

#include "libvirt-glue/netxml.h"

static const char plain[] = "<network><name>n</name><forward mode='pci-passthrough-hybrid'>"
			    "<pf dev='pf0'/><landing vfs='2'/></forward><vlan><tag id='7'/></vlan>"
			    "<portgroup name='gold'><policy mode='require'/></portgroup></network>";
static struct sfh_netedit_change changes[SFH_NETEDIT_MAX];

/* Edits, and what comes of it must be a network. */
static struct sfh_netdef *edited(const char *xml, const char *const *words, size_t n, int count)
{
	_cleanup_free_ char *out = NULL;
	struct sfh_netdef *def = NULL;
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_netedit(xml, strlen(xml), words, n, changes, &out, &err), count, "%s",
		     err.text);
	cr_assert_eq(sfh_netdef_parse(out, strlen(out), &def, &err), 0, "%s\n%s", err.text, out);
	return def;
}

#define EDIT(count, ...)                                                                           \
	edited(plain, (const char *const[]){ __VA_ARGS__ },                                        \
	       SFH_ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })), count)

Test(netedit, sets_what_was_not_there)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = EDIT(
		6, "policy=never", "priority=5", "vfs=3", "trust=on", "rate-max=100", "probe-interval=50");

	cr_assert_eq(def->policy, SFH_NET_POLICY_NEVER);
	cr_assert_eq(def->set.priority, 5);
	cr_assert_eq(def->vfs, 3);
	cr_assert(def->set.vf.cfg.trust);
	cr_assert_eq(def->set.vf.cfg.max_tx, 100);
	cr_assert_eq(def->probe_interval_ms, 50);
	cr_assert_str_eq(changes[0].key, "policy");
	cr_assert_str_eq(changes[0].old, "");
	cr_assert_eq(changes[0].when, SFH_EDIT_NOW);
	cr_assert_eq(changes[2].when, SFH_EDIT_NEXT_UP);
	cr_assert_eq(changes[3].when, SFH_EDIT_NEXT_LEASE);
}

Test(netedit, replaces_and_removes)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = EDIT(2, "landing=0", "vlan=");

	cr_assert_eq(def->landing, 0);
	cr_assert_eq(def->set.vf.what, 0, "no VLAN any more");
	cr_assert_str_eq(changes[0].old, "2");
	cr_assert_str_eq(changes[1].old, "7");
	cr_assert_str_eq(changes[1].value, "");
	cr_assert_eq(changes[1].when, SFH_EDIT_NEXT_START, "it is that of both legs");
}

Test(netedit, what_is_so_already_is_no_change)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def = EDIT(0, "landing=2", "vlan=7", "trust=");

	cr_assert_eq(def->landing, 2);
}

Test(netedit, in_a_portgroup)
{
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *def =
		EDIT(3, "portgroup=gold", "policy=never", "vlan=42", "spoofchk=off");

	cr_assert_eq(def->portgroups[0].set.policy, SFH_NET_POLICY_NEVER);
	cr_assert_eq(def->portgroups[0].set.vf.cfg.vlan, 42);
	cr_assert_eq(def->set.vf.cfg.vlan, 7, "the network's own stays");
	cr_assert_eq(def->policy, SFH_NET_POLICY_PREFER);
}

static const char demanding[] =
	"<network><name>n</name><forward mode='pci-passthrough-hybrid'><pf dev='pf0'/></forward>"
	"<trust mode='on' required='no'/><spoofchk mode='off' required='no'/>"
	"<link-state state='enable' required='yes'/>"
	"<portgroup name='bronze'><rate max='1000' required='yes'/></portgroup></network>";

/* `required` goes with what it is about, and not before. */
Test(netedit, removes_what_is_required)
{
	static const char *const all[] = { "trust=", "spoofchk=", "link-state=" };
	static const char *const rate[] = { "portgroup=bronze", "rate-max=" };
	static const char *const other[] = { "portgroup=bronze", "rate-max=", "rate-min=10" };
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *a = edited(demanding, all, 3, 3);
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *b = edited(demanding, rate, 2, 1);
	_cleanup_(sfh_netdef_freep) struct sfh_netdef *c = edited(demanding, other, 3, 2);

	cr_assert_eq(a->set.vf.what, 0);
	cr_assert_eq(b->portgroups[0].set.vf.what, 0);
	cr_assert_eq(c->portgroups[0].set.vf.cfg.min_tx, 10);
	cr_assert_neq(c->portgroups[0].set.vf.what, 0);
	cr_assert_eq(c->portgroups[0].set.vf.optional, 0, "still required");
}

static void refused(const char *const *words, size_t n, const char *why)
{
	_cleanup_free_ char *out = NULL;
	struct sfh_error err = { 0 };

	cr_assert_eq(sfh_netedit(plain, strlen(plain), words, n, changes, &out, &err), -EINVAL);
	cr_assert(strstr(err.text, why), "%s", err.text);
	cr_assert_null(out);
}

Test(netedit, refuses)
{
	refused((const char *const[]){ "colour=red" }, 1, "'colour=red' is not KEY=VALUE");
	refused((const char *const[]){ "policy" }, 1, "'policy' is not KEY=VALUE");
	refused((const char *const[]){ "portgroup=tin", "vlan=3" }, 2, "no portgroup 'tin'");
	refused((const char *const[]){ "portgroup=gold", "landing=3" }, 2, "not a portgroup's");
}
