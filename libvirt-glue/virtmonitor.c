// SPDX-License-Identifier: GPL-2.0-or-later
/* What only QEMU knows or does: QMP commands past libvirt, each of which taints the
 * domain (custom-monitor). */
#include "libvirt-glue/virt-internal.h"
#include "libvirt-glue/rxfilter.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long a driver may take between two writes. */
#define NEGOTIATION_LOOKS 20
#define NEGOTIATION_PAUSE_US 25000

/* A QMP command; *ret is what QEMU says, the caller's, free(). */
static int qmp_ask(struct sfh_virt *v, const char *uuid, const char *command, char **ret,
		   struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);

	if (!dom)
		return -ENOENT;
	if (virDomainQemuMonitorCommand(dom, command, ret, 0) < 0)
		return sfh_virt_fail(err, "cannot ask QEMU");
	return 0;
}

/* A QMP command whose answer says no more than yes or no. */
static int qmp(struct sfh_virt *v, const char *uuid, const char *command, struct sfh_error *err)
{
	_cleanup_free_ char *answer = NULL;
	int r = qmp_ask(v, uuid, command, &answer, err);

	if (r < 0)
		return r;
	return strstr(answer, "\"return\"") ? 0 : sfh_err(err, -EIO, "QEMU says: %s", answer);
}

static bool lists(const json_t *names, const char *prefix)
{
	const json_t *name;
	size_t i;

	json_array_foreach((json_t *)names, i, name) {
		const char *text = json_string_value(name);

		if (text && strncmp(text, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

/* {"return": {"guest-features": {"dev-features": ["VIRTIO_NET_F_STANDBY: …", …]},
 *	       "status": {"statuses": ["VIRTIO_CONFIG_S_FEATURES_OK: …", …]}}} */
int sfh_virt_standby_of(const char *answer)
{
	json_t *root = json_loads(answer, 0, NULL), *dev = json_object_get(root, "return");
	bool said = lists(json_object_get(json_object_get(dev, "guest-features"), "dev-features"),
			  "VIRTIO_NET_F_STANDBY");
	bool done = lists(json_object_get(json_object_get(dev, "status"), "statuses"),
			  "VIRTIO_CONFIG_S_FEATURES_OK");

	json_decref(root);
	return !said ? 0 : done ? 1 : -EAGAIN;
}

int sfh_virt_negotiated(struct sfh_virt *v, const char *uuid, const char *alias, bool *ret,
			struct sfh_error *err)
{
	char command[320];
	int r = -EAGAIN;

	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"x-query-virtio-status\",\"arguments\":"
		       "{\"path\":\"/machine/peripheral/%s/virtio-backend\"}}",
		       alias);
	/* What a driver has not finished may be half its own, half that of the one before. */
	for (int i = 0; i < NEGOTIATION_LOOKS && r == -EAGAIN; i++) {
		_cleanup_free_ char *answer = NULL;

		if (i)
			(void)usleep(NEGOTIATION_PAUSE_US);
		r = qmp_ask(v, uuid, command, &answer, err);
		if (r < 0)
			return r;
		if (!strstr(answer, "\"return\""))
			return sfh_err(err, -EOPNOTSUPP,
				       "QEMU does not tell what the guest negotiated");
		r = sfh_virt_standby_of(answer);
	}
	*ret = r > 0;
	return 0;
}

int sfh_virt_rx_filter(struct sfh_virt *v, const char *uuid, const char *alias,
		       struct sfh_mac *macs, size_t n, struct sfh_error *err)
{
	_cleanup_free_ char *answer = NULL;
	char command[320];
	int r;

	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"query-rx-filter\",\"arguments\":{\"name\":\"%s\"}}", alias);
	r = qmp_ask(v, uuid, command, &answer, err);
	return r < 0 ? r : sfh_rxfilter_parse(answer, macs, n, err);
}

/* QEMU takes note of the options, then refuses: no PCI host has that address, and the
 * root bus takes no hotplug. The same happens when it tries them again. Options that
 * it has already are kept; a failed try makes it forget them. */
void sfh_virt_decoy(struct sfh_virt *v, const char *uuid, const char *vf_alias,
		    const char *standby)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, NULL);
	_cleanup_free_ char *answer = NULL;
	char command[512];

	if (!dom)
		return;
	(void)snprintf(command, sizeof(command),
		       "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"vfio-pci\","
		       "\"id\":\"%s\",\"host\":\"ffff:ff:1f.7\",\"failover_pair_id\":\"%s\"}}",
		       vf_alias, standby);
	(void)virDomainQemuMonitorCommand(dom, command, &answer, 0);
}

int sfh_virt_let_run(struct sfh_virt *v, const char *uuid, bool *ret, bool *by_user,
		     struct sfh_error *err)
{
	_cleanup_dom_ dom = sfh_virt_find_domain(v, uuid, err);
	int state = 0, reason = 0, r;

	*ret = *by_user = false;
	if (!dom)
		return -ENOENT;
	if (virDomainGetState(dom, &state, &reason, 0) < 0)
		return sfh_virt_fail(err, "libvirt does not tell the domain's state");
	if (state != VIR_DOMAIN_PAUSED)
		return 0;
	if (reason != VIR_DOMAIN_PAUSED_SAVE && reason != VIR_DOMAIN_PAUSED_DUMP &&
	    reason != VIR_DOMAIN_PAUSED_SNAPSHOT && reason != VIR_DOMAIN_PAUSED_MIGRATION) {
		*by_user = true;
		return 0;
	}
	r = qmp(v, uuid, "{\"execute\":\"cont\"}", err);
	*ret = r == 0;
	return r;
}

int sfh_virt_stand_still(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	return qmp(v, uuid, "{\"execute\":\"stop\"}", err);
}

int sfh_virt_replug(struct sfh_virt *v, const char *uuid, struct sfh_error *err)
{
	return qmp(v, uuid,
		   "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:/nonexistent/sfhybrid\"}}",
		   err);
}
