# SPDX-License-Identifier: GPL-2.0-or-later
# What a client on the wire sees of a guest: the prober in the lab's client
# namespace. Its clock is this machine's, as is the clock of those who ask.
# Sourced after lab.sh.
# shellcheck shell=bash

PROBER=$REPO/build/sfh-prober
LABNET=$REPO/build/lab/bin/labnet # tests/lab/labnet.c
SETTLE=${SETTLE:-2} # seconds after a change that still count as its cost
PROBER_PID=
PROBER_LOG=

now_ns() { printf '%s000\n' "${EPOCHREALTIME/[.,]/}"; }

# prober_start IP LOG [INTERVAL_US]
prober_start() {
	PROBER_LOG=$2
	# Not through the function: $! is to be the prober, so that it can be stopped.
	"$REPO/tests/lab/lab" client "$PROBER" --target "$1" --interval-us "${3:-20000}" \
		--log "$2" >"$2.summary" 2>&1 &
	PROBER_PID=$!
	wait_for 5 test -s "$2"
}

prober_stop() {
	[[ -n $PROBER_PID ]] || return 0
	kill "$PROBER_PID" 2>/dev/null || true
	wait "$PROBER_PID" 2>/dev/null || true
	PROBER_PID=
}

# window FROM_NS TO_NS: what was lost and the longest gap in it, as JSON.
window() { "$PROBER" analyse --log "$PROBER_LOG" --from "$1" --to "$2" --json; }

# first_reply FROM_NS: the instant of the second reply after FROM_NS (the silence
# that the first one ends belongs to what was before), or nothing.
first_reply() {
	awk -v from="$1" '$1 == "rx" && $3 > from && ++n == 2 { print $3; exit }' \
		"$PROBER_LOG"
}

is_answered() { [[ -n $(first_reply "$1") ]]; }

# is_reachable IP: three of three pings.
is_reachable() { lab client ping -q -c 3 -i 0.1 -W 2 "$1" | grep -c ' 3 received'; }
