// SPDX-License-Identifier: GPL-2.0-or-later
/* The state machine of a pair: the table, and the actions that do no more than
 * remember. The others move the pair (pair_to_vf.c, pair_to_standby.c, pair_leave.c,
 * pair_arrive.c); everything slow that they start comes back as another event. */
#include "ctl/engine/pair_priv.h"

#include <syslog.h>

const char *sfh_pair_state_name(enum sfh_pair_state state)
{
	static const char *const names[] = {
#define X(id, name, text) [SFH_PAIR_##id] = name,
		SFH_PAIR_STATES(X)
#undef X
	};

	return (unsigned)state < _SFH_PAIR_MAX ? names[state] : "unknown";
}

const char *sfh_pair_event_name(enum sfh_pair_event event)
{
	static const char *const names[] = {
#define X(id, name, text) [SFH_EV_##id] = name,
		SFH_PAIR_EVENTS(X)
#undef X
	};

	return (unsigned)event < _SFH_EV_MAX ? names[event] : "unknown";
}

bool sfh_pair_boots(const struct sfh_pair *p)
{
	return p->state == SFH_PAIR_PROVING && !p->negotiated && !p->bond;
}

bool sfh_pair_at_rest(const struct sfh_pair *p)
{
	return p->state != SFH_PAIR_LEASING && p->state != SFH_PAIR_PLUGGING &&
	       (p->state != SFH_PAIR_PROVING || sfh_pair_boots(p)) &&
	       p->state != SFH_PAIR_UNPLUGGING && p->state != SFH_PAIR_YIELDING &&
	       p->state != SFH_PAIR_LANDING;
}

/* --- remembered for later ---------------------------------------------------------------- */

/* Told to give way while a plug is under way: let it finish first, then unplug. */
static void act_hold_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->held = true;
	sfh_pair_save(e, p); /* it may take long */
	sfh_engine_log(e, LOG_INFO, "%s: the switch under way ends first", p->domain_name);
}

static void act_nic_removed_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)e;
	(void)why;
	p->nic_removed = true;
}

static void act_accelerate_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->held = false;
	sfh_pair_save(e, p);
}

static void act_leave_later(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->leaving = true;
	sfh_engine_log(e, LOG_INFO, "%s: the switch under way ends first", p->domain_name);
}

static void act_note_negotiated(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = true;
	p->no_driver = p->vf_refused = p->wants_address = false;
	sfh_pair_save(e, p);
}

/* What it had said it knows was said by a system that is gone. */
static void act_note_reset(struct sfh_engine *e, struct sfh_pair *p, const char *why)
{
	(void)why;
	p->negotiated = false;
	p->was_reset = true;
	sfh_pair_save(e, p);
}

/* --- the table --------------------------------------------------------------------------- */

#define ROW(s, ev, act, text)                                                                      \
	{ SFH_PAIR_##s, SFH_EV_##ev, act, text }

static const struct sfh_transition table[] = {
	ROW(ARRIVING, DEVICES, sfh_act_devices,
	    "attach to the standby device, stage; stays arriving"),
	ROW(ARRIVING, FIRST_FRAME, sfh_act_announced, "its address goes into the PF's filter"),
	ROW(ARRIVING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(ARRIVING, RESUMED, sfh_act_arrived,
	    "-> standby, then towards the reserved VF; or landing"),
	ROW(ARRIVING, NIC_REMOVED, act_nic_removed_later, "when it runs"),
	ROW(ARRIVING, DEADLINE, sfh_act_gone, "no guest came: reservation and steering removed"),
	ROW(ARRIVING, STOPPED, sfh_act_gone,
	    "the migration failed: reservation and steering removed"),

	ROW(STANDBY, RESUMED, sfh_act_resumed, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, NEGOTIATED, sfh_act_negotiated, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, RESET, sfh_act_reset, "no VF until it negotiates again"),
	ROW(STANDBY, FIRST_FRAME, sfh_act_first_frame,
	    "asks what was negotiated if nobody heard; -> leasing if nothing speaks against it"),
	ROW(STANDBY, CONSIDER, sfh_act_consider, "-> leasing if nothing speaks against it"),
	ROW(STANDBY, ACCELERATE, sfh_act_accelerate,
	    "no longer held; -> leasing or the reason why not"),
	ROW(STANDBY, HOLD, sfh_act_hold_standby, "held on the standby leg"),
	ROW(STANDBY, LEAVE, sfh_act_leave_standby, "-> leaving"),
	ROW(STANDBY, DEPART, sfh_act_depart, "-> leaving"),
	ROW(STANDBY, NIC_REMOVED, sfh_act_gone, "steering removed"),
	ROW(STANDBY, STOPPED, sfh_act_gone, "steering removed"),

	ROW(LEASING, CONSIDER, sfh_act_try_lease, "again: -> plugging, or standby with a reason"),
	ROW(LEASING, PORT_TAKEN, sfh_act_leased, "-> plugging"),
	ROW(LEASING, PORT_REFUSED, sfh_act_port_refused, "VF freed; -> standby, port-profile"),
	ROW(LEASING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(LEASING, RESET, act_note_reset, "remembered"),
	ROW(LEASING, HOLD, act_hold_later, "after this switch"),
	ROW(LEASING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(LEASING, LEAVE, act_leave_later, "after this switch"),
	ROW(LEASING, NIC_REMOVED, sfh_act_gone_with_nic, "VF freed, steering removed"),
	ROW(LEASING, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(PLUGGING, PLUGGED, sfh_act_plugged, "-> proving; or vf if proof came first"),
	ROW(PLUGGING, PROOF, sfh_act_proof, "unpark at once"),
	ROW(PLUGGING, PLUG_FAILED, sfh_act_plug_failed, "VF freed; -> standby, plug-failed"),
	ROW(PLUGGING, PLUG_LOST, sfh_act_plug_lost, "perhaps it is plugged: asked again in a moment"),
	ROW(PLUGGING, CONSIDER, sfh_act_plug_again, "asked again, if that was lost"),
	ROW(PLUGGING, NO_PORT, sfh_act_no_port, "VF freed; -> standby, no-spare-port"),
	ROW(PLUGGING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(PLUGGING, RESET, act_note_reset, "remembered"),
	ROW(PLUGGING, HOLD, act_hold_later, "after this switch"),
	ROW(PLUGGING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(PLUGGING, LEAVE, act_leave_later, "after this switch"),
	ROW(PLUGGING, NIC_REMOVED, act_nic_removed_later, "after libvirt's answer"),
	ROW(PLUGGING, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(PROVING, PROOF, sfh_act_proof, "unpark, disarm; -> vf"),
	ROW(PROVING, DEADLINE, sfh_act_no_proof, "-> unplugging, no-vf-driver"),
	ROW(PROVING, RESET, sfh_act_reset_proving, "waits until it negotiates again"),
	ROW(PROVING, CONSIDER, sfh_act_park, "after a reset, if the driver put that off"),
	ROW(PROVING, NEGOTIATED, sfh_act_booted, "asked for the proof, and the deadline begins"),
	ROW(PROVING, PORT_REFUSED, sfh_act_port_lost, "-> unplugging, port-profile"),
	ROW(PROVING, HOLD, sfh_act_hold, "-> unplugging"),
	ROW(PROVING, LEAVE, sfh_act_leave_vf, "-> unplugging, then leaving"),
	ROW(PROVING, YIELD, sfh_act_yield, "-> yielding"),
	ROW(PROVING, UNPLUGGED, sfh_act_ejected,
	    "the guest ejected it itself: -> standby, no-vf-driver"),
	ROW(PROVING, NIC_REMOVED, sfh_act_nic_removed, "-> unplugging, then gone"),
	ROW(PROVING, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(VF, RESET, sfh_act_reset_on_vf, "parked, armed; -> proving, when it negotiates again"),
	ROW(VF, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(VF, PORT_REFUSED, sfh_act_port_lost, "-> unplugging, port-profile"),
	ROW(VF, HOLD, sfh_act_hold, "-> unplugging"),
	ROW(VF, LEAVE, sfh_act_leave_vf, "-> unplugging, then leaving"),
	ROW(VF, YIELD, sfh_act_yield, "-> yielding"),
	ROW(VF, UNPLUGGED, sfh_act_ejected,
	    "the guest ejected it itself: -> standby, no-vf-driver"),
	ROW(VF, NIC_REMOVED, sfh_act_nic_removed, "-> unplugging, then gone"),
	ROW(VF, DEADLINE, sfh_act_vf_again, "its NIC is gone: -> unplugging once more"),
	ROW(VF, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(UNPLUGGING, FIRST_FRAME, sfh_act_let_go,
	    "it speaks on its standby leg: MAC zeroed at once"),
	ROW(UNPLUGGING, LISTENS, sfh_act_listens,
	    "it has let go; what waited for it is delivered"),
	ROW(UNPLUGGING, CONSIDER, sfh_act_quiet_again, "MAC zeroed, if the driver put that off"),
	ROW(UNPLUGGING, UNPLUGGED, sfh_act_unplugged,
	    "MAC zeroed, armed; -> standby, or leaving in a migration"),
	ROW(UNPLUGGING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(UNPLUGGING, RESET, act_note_reset, "remembered; QEMU takes the VF at a reset"),
	ROW(UNPLUGGING, ACCELERATE, act_accelerate_later, "back to the VF after this switch"),
	ROW(UNPLUGGING, HOLD, act_hold_later, "and stays there"),
	ROW(UNPLUGGING, LEAVE, act_leave_later, "after this switch"),
	ROW(UNPLUGGING, UNPLUG_FAILED, sfh_act_unplug_failed, "-> vf; a migration is refused"),
	ROW(UNPLUGGING, DEADLINE, sfh_act_unplug_failed, "-> vf; a migration is refused"),
	ROW(UNPLUGGING, NIC_REMOVED, act_nic_removed_later, "gone with the VF"),
	ROW(UNPLUGGING, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(LEAVING, CONFIRMED, sfh_act_gone, "Confirm: VF freed, steering removed"),
	ROW(LEAVING, MIGRATE_FAILED, sfh_act_migrate_failed,
	    "Confirm: -> standby, then the VF again"),
	ROW(LEAVING, RESUMED, sfh_act_goes_on,
	    "a snapshot is over: QEMU plugs the VF in, or -> standby"),
	ROW(LEAVING, STAYS, sfh_act_stays,
	    "if by libvirt's doing: -> proving, or standby without a VF"),
	ROW(LEAVING, CONSIDER, sfh_act_quiet_again, "MAC zeroed, if the driver put that off"),
	ROW(LEAVING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(LEAVING, RESET, act_note_reset, "remembered"),
	ROW(LEAVING, HOLD, act_hold_later, "if it stays here"),
	ROW(LEAVING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(LEAVING, NIC_REMOVED, act_nic_removed_later, "gone if it stays here"),
	ROW(LEAVING, STOPPED, sfh_act_gone, "it runs elsewhere: VF freed, steering removed"),

	ROW(YIELDING, FIRST_FRAME, sfh_act_let_go,
	    "it speaks on its standby leg: MAC zeroed at once"),
	ROW(YIELDING, LISTENS, sfh_act_listens,
	    "it has let go; what waited for it is delivered"),
	ROW(YIELDING, CONSIDER, sfh_act_quiet_again, "MAC zeroed, if the driver put that off"),
	ROW(YIELDING, YIELDED, sfh_act_yielded, "MAC zeroed, armed; -> leaving"),
	ROW(YIELDING, STAYS, sfh_act_stays, "-> vf, or proving if it had let go"),
	ROW(YIELDING, DEADLINE, sfh_act_yield_late,
	    "libvirt's job is aborted; stays until QEMU says so"),
	ROW(YIELDING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(YIELDING, RESET, act_note_reset, "remembered"),
	ROW(YIELDING, HOLD, act_hold_later, "after this switch"),
	ROW(YIELDING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(YIELDING, NIC_REMOVED, act_nic_removed_later, "gone if it stays here"),
	ROW(YIELDING, STOPPED, sfh_act_gone, "VF freed, steering removed"),

	ROW(LANDING, UNPLUGGED, sfh_act_landed, "landing VF given back; -> standby, then a VF"),
	ROW(LANDING, UNPLUG_FAILED, sfh_act_land_later, "asked again in a moment"),
	ROW(LANDING, CONSIDER, sfh_act_drop_carried, "asked again"),
	ROW(LANDING, NEGOTIATED, act_note_negotiated, "remembered"),
	ROW(LANDING, RESET, act_note_reset, "remembered"),
	ROW(LANDING, HOLD, act_hold_later, "after this"),
	ROW(LANDING, ACCELERATE, act_accelerate_later, "takes back a hold"),
	ROW(LANDING, LEAVE, act_leave_later, "after this"),
	ROW(LANDING, NIC_REMOVED, act_nic_removed_later, "gone with the VF"),
	ROW(LANDING, STOPPED, sfh_act_gone, "VF freed, steering removed"),
};

const struct sfh_transition *sfh_pair_table(size_t *ret_n)
{
	*ret_n = SFH_ARRAY_SIZE(table);
	return table;
}

void sfh_pair_dispatch(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_event event,
		       const char *why)
{
	for (size_t i = 0; i < SFH_ARRAY_SIZE(table); i++) {
		if (table[i].state != p->state || table[i].event != event)
			continue;
		sfh_engine_log(e, LOG_DEBUG, "%s: %s in %s", p->domain_name,
			       sfh_pair_event_name(event), sfh_pair_state_name(p->state));
		table[i].action(e, p, why);
		return;
	}
}
