/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by pair.c (the table) and the files with its actions, pair_*.c; for nobody
 * else. */
#ifndef SFH_ENGINE_PAIR_PRIV_H
#define SFH_ENGINE_PAIR_PRIV_H

#include "ctl/engine/engine.h"

#define MS 1000000ull

/* --- pair_moves.c ---------------------------------------------------------------------- */
/* The record of a switch: begun, each step with its time, and told to the listener at
 * the end; `error` NULL: it succeeded. Steps and ends without a beginning are nothing. */
void sfh_pair_switch_begin(struct sfh_engine *e, struct sfh_pair *p, bool to_vf,
			   const char *cause);
void sfh_pair_switch_step(struct sfh_engine *e, struct sfh_pair *p, const char *name);
void sfh_pair_switch_end(struct sfh_engine *e, struct sfh_pair *p, const char *error);
/* Into a state and into the ledger; deadline_ms 0: none. */
void sfh_pair_enter(struct sfh_engine *e, struct sfh_pair *p, enum sfh_pair_state state,
		    uint64_t deadline_ms);
/* To STANDBY; on to LEAVING if a migration waits for it. */
void sfh_pair_rest_on_standby(struct sfh_engine *e, struct sfh_pair *p, enum sfh_reason reason,
			      const char *detail);
/* Non-fatal datapath failures are logged and seen again by fsck. */
void sfh_pair_warn_if(struct sfh_engine *e, int r, const struct sfh_error *err);
void sfh_pair_stage(struct sfh_engine *e, struct sfh_pair *p);
void sfh_pair_arm(struct sfh_engine *e, struct sfh_pair *p);
/* The guest leaves its VF: from its first frame on the standby leg until it listens there,
 * what comes for it waits. Not of a guest that has shown no address to be asked for. */
void sfh_pair_backlog(struct sfh_engine *e, struct sfh_pair *p);
/* It sends there: it is asked whether it listens there, too, until it says so or the state
 * is left. */
void sfh_pair_ask(struct sfh_engine *e, struct sfh_pair *p);
/* It was called for a VF that freed and has not come yet: if it does not come, the
 * next one must be called. */
bool sfh_pair_was_called(const struct sfh_pair *p);
/* The pair does not exist any more after it. */
sfh_pair_action sfh_act_gone;
/* Likewise, because its NIC is gone: a migration may have waited for this pair alone. */
void sfh_pair_gone_with_nic(struct sfh_engine *e, struct sfh_pair *p);
sfh_pair_action sfh_act_gone_with_nic;

/* --- pair_to_vf.c ---------------------------------------------------------------------- */
/* NONE, or what is known to speak against a VF, whatever the pool and the host say. */
enum sfh_reason sfh_pair_why_not(struct sfh_engine *e, struct sfh_pair *p);
void sfh_pair_ask_negotiated(struct sfh_engine *e, struct sfh_pair *p);
/* The VF leg carries frames: from here the guest's frames belong to the VF. */
void sfh_pair_on_vf(struct sfh_engine *e, struct sfh_pair *p);
/* The same, at the end of a switch in which the guest may have been reset: then its firmware
 * has its standby leg. */
void sfh_pair_stays_on_vf(struct sfh_engine *e, struct sfh_pair *p);
sfh_pair_action sfh_act_consider, sfh_act_negotiated, sfh_act_first_frame, sfh_act_resumed,
	sfh_act_accelerate;
sfh_pair_action sfh_act_reset, sfh_act_reset_proving, sfh_act_booted;
sfh_pair_action sfh_act_try_lease, sfh_act_leased, sfh_act_port_refused;
sfh_pair_action sfh_act_plugged, sfh_act_plug_failed, sfh_act_no_port;
sfh_pair_action sfh_act_plug_lost, sfh_act_plug_again;
sfh_pair_action sfh_act_proof, sfh_act_no_proof;

/* --- pair_to_standby.c ----------------------------------------------------------------- */
/* Begins the switch: asks the guest to let go of the VF, with a deadline. */
void sfh_pair_unplug(struct sfh_engine *e, struct sfh_pair *p, const char *cause);
sfh_pair_action sfh_act_hold, sfh_act_hold_standby, sfh_act_port_lost, sfh_act_nic_removed,
	sfh_act_vf_again;
/* Its MAC off, or again in a moment. */
void sfh_pair_quiet_vf(struct sfh_engine *e, struct sfh_pair *p);
sfh_pair_action sfh_act_quiet_again;
sfh_pair_action sfh_act_reset_on_vf, sfh_act_park;
sfh_pair_action sfh_act_let_go, sfh_act_listens, sfh_act_unplugged, sfh_act_ejected,
	sfh_act_unplug_failed;

/* --- pair_leave.c ---------------------------------------------------------------------- */
sfh_pair_action sfh_act_leave_vf, sfh_act_leave_standby, sfh_act_migrate_failed;
sfh_pair_action sfh_act_depart, sfh_act_yield, sfh_act_yielded, sfh_act_yield_late, sfh_act_stays,
	sfh_act_goes_on;

/* --- pair_arrive.c --------------------------------------------------------------------- */
/* The VF in its XML, if it came with one: now anybody may open it. */
void sfh_pair_let_loose(struct sfh_engine *e, struct sfh_pair *p);
sfh_pair_action sfh_act_devices, sfh_act_announced, sfh_act_arrived;
sfh_pair_action sfh_act_drop_carried, sfh_act_land_later, sfh_act_landed;

#endif
