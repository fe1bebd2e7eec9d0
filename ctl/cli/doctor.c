// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor: is this host ready? Works without the agent and without libvirtd. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "ctl/cli/cli.h"
#include "ctl/core/doctor.h"
#include "ctl/core/portprofile.h"
#include "libvirt-glue/virt.h"

static int nic_get(void *ctx, int pf_ifindex, unsigned vf, struct sfh_vf_config *ret,
		   struct sfh_error *err)
{
	return sfh_nl_vf_get(ctx, pf_ifindex, vf, ret, err);
}

static int nic_set(void *ctx, int pf_ifindex, unsigned vf, unsigned what,
		   const struct sfh_vf_config *cfg, struct sfh_error *err)
{
	return sfh_nl_vf_set(ctx, pf_ifindex, vf, what, cfg, err);
}

static int nic_port_able(void *ctx, int pf_ifindex, struct sfh_error *err)
{
	return sfh_port_able(ctx, pf_ifindex, err);
}

static struct sfh_doctor_versions ask_libvirt(const char *uri)
{
	struct sfh_doctor_versions v = {0};
	struct sfh_virt *virt = NULL;
	struct sfh_error err = {0};

	v.reached = sfh_virt_open(uri, NULL, NULL, &virt, &err) == 0 &&
		    sfh_virt_versions(virt, &v.libvirt, &v.qemu, &err) == 0;
	(void)snprintf(v.problem, sizeof(v.problem), "%s", err.text);
	sfh_virt_close(&virt);
	return v;
}

static void check_root(struct sfh_doctor *d)
{
	if (geteuid() == 0)
		sfh_doctor_add(d, SFH_CHECK_OK, "root", "", "yes");
	else /* the verb table lets nobody else in */
		sfh_doctor_add(d, SFH_CHECK_FAIL, "root", "run it as root", "no");
}

static void print_text(const struct sfh_doctor *d)
{
	size_t warn = sfh_doctor_count(d, SFH_CHECK_WARN),
	       fail = sfh_doctor_count(d, SFH_CHECK_FAIL);

	for (size_t i = 0; i < d->nchecks; i++) {
		const struct sfh_check *c = &d->checks[i];

		(void)printf("%-4s  %-20s %s%s%s\n", sfh_check_result_name(c->result), c->name,
			     c->found, c->advice[0] ? "; " : "", c->advice);
	}
	(void)printf("%s: %zu ok, %zu warn, %zu fail\n", fail ? "not ready" : "ready",
		     d->nchecks - warn - fail, warn, fail);
}

static void print_json(const struct sfh_doctor *d)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < d->nchecks; i++) {
		const struct sfh_check *c = &d->checks[i];

		(void)json_array_append_new(checks,
					    json_pack("{s:s, s:s, s:s, s:s}", "name", c->name,
						      "result", sfh_check_result_name(c->result),
						      "found", c->found, "advice", c->advice));
	}
	(void)sfh_cli_print_json(json_pack(
		"{s:b, s:o}", "ready", sfh_doctor_count(d, SFH_CHECK_FAIL) == 0, "checks", checks));
}

int sfh_cli_doctor(struct sfh_cli *cli)
{
	struct utsname uts = {0};
	struct sfh_doctor d = {.env = &cli->env,
			       .proc = "/proc",
			       .dev = "/dev",
			       .etc = "/etc",
			       .kernel = uts.release};
	struct sfh_doctor_versions versions = ask_libvirt(cli->libvirt_uri);
	struct sfh_error err = {0};
	struct sfh_nl *nl = NULL;
	bool ready;

	(void)uname(&uts);
	check_root(&d);
	sfh_doctor_host(&d);
	sfh_doctor_virt(&d, &versions);
	sfh_doctor_agent(&d, sfh_cli_agent_alive(cli));
	if (!(cli->given & SFH_OPT_NO_TRY) && sfh_nl_open(&nl, &err) < 0)
		sfh_doctor_add(&d, SFH_CHECK_FAIL, "rtnetlink", "", "%s", err.text);
	struct sfh_doctor_nic nic = {.ctx = nl, .get = nic_get, .set = nic_set,
				     .port_able = nic_port_able};

	sfh_doctor_pfs(&d, cli->args, (size_t)cli->nargs, nl ? &nic : NULL);
	if (nl)
		sfh_nl_close(&nl);
	if (cli->json)
		print_json(&d);
	else
		print_text(&d);
	ready = sfh_doctor_count(&d, SFH_CHECK_FAIL) == 0;
	sfh_doctor_free(&d);
	return ready ? SFH_EXIT_OK : SFH_EXIT_FAILED;
}
