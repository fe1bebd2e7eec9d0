# SPDX-License-Identifier: GPL-2.0-or-later
# One round: probe, move, see the guest accelerated again, keep the raw logs.
# Sourced by bench/failover/run.
# shellcheck shell=bash

QUIET=2  # seconds of quiet before, to compare with
SETTLE=3 # seconds after that still count
PROBER_PID=
declare -A MARKS=()

now_ns() { printf '%s000\n' "${EPOCHREALTIME/[.,]/}"; }
mark() { MARKS[$1]=$(now_ns); }

prober_start() { # IP LOG INTERVAL_US
	ip netns exec "sfh-$SFHYBRID_LAB-client" "$REPO/build/sfh-duplex" \
		--target "$1" --log "$2" --interval-us "$3" &
	PROBER_PID=$!
}

prober_stop() {
	[[ -n $PROBER_PID ]] || return 0
	kill "$PROBER_PID" 2>/dev/null || true
	wait "$PROBER_PID" 2>/dev/null || true
	PROBER_PID=
}

ip_of() { lab guest-ip "$(lab guest-mac "$(dom_of "$1")")"; }

# is_carried HOST DOM: the VF's counters in the guest carry 99 % of the prober's frames
# both ways, and the standby leg sends next to none. What the standby leg receives says
# nothing: a macvtap gets its copy too, and the guest's net_failover drops it there.
is_carried() {
	lab guest -n --timeout 20 "$1" "$2" carried 800 | tee "$OUT/carried.last" |
		awk '{ ok += $2 > 50 && $3 >= 0.99 * $2 && ($1 == "rx" || $4 <= 0.01 * $2 + 3) } END { exit ok != 2 }'
}

# wait_carried HOST DOM SECONDS: sets PROVEN, when the looking began that saw it.
wait_carried() {
	local end=$((SECONDS + $3))
	PROVEN=$(now_ns)
	until is_carried "$1" "$2"; do
		((SECONDS < end)) || return 1
		PROVEN=$(now_ns)
	done
}

clocks() {
	local host
	for host in "${HOSTS[@]}"; do
		printf '{"%s":%s}\n' "$host" "$(clock "$host")"
	done | jq -s add
}

# The agents' records of switches, with the host they are from.
histories() { # DOM
	local host
	for host in "${HOSTS[@]}"; do
		ctl "$host" --json history | jq -c --arg host "$host" --arg dom "$1" \
			'.switches[] | select(.domain == $dom) | {host: $host, wall_ms, direction, cause, ok, error, total_ms, steps}'
	done | jq -s .
}

# migrate_told DIR: what `migrate --json` said, or null.
migrate_told() { sed -n '/^{/,$p' "$1/move.log" 2>/dev/null | jq -c 'select(.migrated)' 2>/dev/null || true; }

# meta FILE CASE ROUND FROM TO BEGIN END BEFORE AFTER DOM: everything raw but the frames.
meta() {
	local vf=false h m
	! has_vf "$2" || vf=true
	jq -n --arg case "$2" --argjson round "$3" --arg from "$4" --arg to "$5" --argjson since "$6" --argjson till "$7" \
		--argjson before "$8" --argjson after "$9" --argjson vf "$vf" \
		--argjson marks "$(for m in "${!MARKS[@]}"; do printf '{"%s":%s}\n' "$m" "${MARKS[$m]}"; done | jq -s 'add // {}')" \
		--slurpfile events <(for h in "${HOSTS[@]}"; do events "$h" "${10}" "$(($6 / 1000000000))"; done) \
		--argjson switches "$(histories "${10}")" --slurpfile told <(migrate_told "${1%/*}") '
		{$case, $round, from: (if $from == "" then null else $from end), to: (if $to == "" then null else $to end), $vf,
		 begin_ns: $since, end_ns: $till, $marks,
		 clocks: ($before | with_entries(.value = [.value, $after[.key]])), $events, $switches, migrate: ($told[0] // null)}' >"$1"
}

other() { [[ $1 == host1 ]] && echo host2 || echo host1; }

# An emulated guest boots again by itself now and then, without sfhybrid, too (QEMU's RESET,
# "guest-reset", in the raw events): so often what was measured meanwhile begins anew.
BOOTS_MOST=6
BOOTS=0
boot_of() { lab guest -n --wait 240 "$1" "$2" cat /proc/sys/kernel/random/boot_id; } # HOST DOM

# booted_by_itself CASE BOOT: not any more in the boot of that ID; it is up again then.
booted_by_itself() {
	local host=${AT[$1]} dom
	dom=$(dom_of "$1")
	[[ $(boot_of "$host" "$dom") != "$2" ]] || return 1
	((++BOOTS <= BOOTS_MOST)) || die "guests booted by themselves $BOOTS times: $FAILED"
	say "the guest of '$1' booted by itself ($FAILED): once more"
	[[ $(type -t "${1//-/_}_started") != function ]] || call "$1" started "$host"
}

round_of() { # CASE ROUND
	local boot
	guest_wake "$1"
	boot=$(boot_of "${AT[$1]}" "$(dom_of "$1")")
	until measure_round "$1" "$2" "$boot"; do
		booted_by_itself "$1" "$boot" || die "'$1', round $2: $FAILED"
		boot=$(boot_of "${AT[$1]}" "$(dom_of "$1")")
	done
	guest_rest "$1"
}

failed() { FAILED=$*; prober_stop; return 1; }

# hush HOST DOM: the guest's kernel logs, but not to its serial console: there each line of a
# driver stops the emulated guest for some 20 ms (bench/failover/guest-trace).
hush() { in_guest "$1" "$2" dmesg -n 1; }

measure_round() { # CASE ROUND BOOT: 1 and FAILED: why not
	local case=$1 round=$2 from=${AT[$1]} to dom dir begin end before after
	to=$(where_to "$case" "$from")
	dom=$(dom_of "$case")
	dir=$OUT/$case-$round
	rm -rf "$dir"
	mkdir -p "$dir"
	MARKS=()
	hush "$from" "$dom"
	vcpus_watch "$dom"
	before=$(clocks)
	prober_start "$(ip_of "$case")" "$dir/frames.log" "$INTERVAL_US"
	sleep 1
	if has_vf "$case" && ! wait_carried "$from" "$dom" 20; then
		failed "not on its VF before the round: $(cat "$OUT/carried.last")"
		return
	fi
	sleep "$QUIET"
	begin=$(now_ns)
	if ! call "$case" move "$from" "$to" >"$dir/move.log" 2>&1; then
		prober_stop
		if [[ $case == sfhybrid-virsh && $round == 1 ]] && grep -q . "$dir/move.log"; then
			UNAVAILABLE[$case]=$(tail -n 1 "$dir/move.log")
			rm -rf "$dir"
			say "'$case' is not available: ${UNAVAILABLE[$case]}"
			return
		fi
		failed "the migration failed: $(cat "$dir/move.log")"
		return
	fi
	AT[$case]=$to
	sleep "$SETTLE"
	if has_vf "$case"; then
		wait_carried "$to" "$dom" 60 || failed "not accelerated on $to after 60 s: $(cat "$OUT/carried.last")" || return
		end=$PROVEN
	else
		# Deaf for longer than that: the gap is seen to its end.
		wait_for 60 lab client ping -q -c 1 -W 1 "$(ip_of "$case")" >/dev/null || failed "it hears nobody on $to" || return
		sleep 0.2
		end=$(now_ns)
	fi
	prober_stop
	vcpus_watched "$dir"
	after=$(clocks)
	[[ $(boot_of "$to" "$dom") == "$3" ]] || failed "it was reset" || return
	meta "$dir/meta.json" "$case" "$round" "$from" "$to" "$begin" "$end" "$before" "$after" "$dom"
	gzip -1 "$dir/frames.log"
	round_figures "$dir" "$dir/meta.json" >"$dir/figures.json" || failed "the figures make no sense" || return
	say "$(jq -r '"\(.case) \(.round), \(.from) -> \(.to): pause \(.pause_ms | tostring | .[:7]) ms, total gap \(.total_gap_ms) ms, beyond the pause \(.gap_beyond_pause_ms) ms, lost \(.lost_tx)/\(.lost_rx), TCP \(.tcp_stall_ms) ms, quiet \(.quiet_gap_ms_per_s // 0 | tostring | .[:5]) ms/s"' "$dir/figures.json")"
	jq -e '.rate_tx_hz >= 200 and .rate_rx_hz >= 200' "$dir/figures.json" >/dev/null ||
		missed "'$case', round $round: the prober was slower than 200 frames a second"
	jq -e '.pause_ms' "$dir/figures.json" >/dev/null || failed "QEMU's STOP or RESUME is missing"
}

SET=5 # switches each way in one log, so that none grows too long to look at

measure_switches() {
	local dom host n boot
	dom=$(dom_of sfhybrid)
	host=${AT[sfhybrid]}
	guest_wake sfhybrid
	for ((n = 1; n <= SWITCHES; n += SET)); do
		boot=$(boot_of "$host" "$dom")
		measure_set "$OUT/switches-$((n / SET + 1))" "$host" "$dom" "$boot" "$n" && continue
		booted_by_itself sfhybrid "$boot" || die "$FAILED"
		n=$((n - SET))
	done
	guest_rest sfhybrid
}

# measure_set DIR HOST DOM BOOT N: from the Nth on, in the boot of that ID. 1 and FAILED: why not.
measure_set() {
	local n before after
	rm -rf "$1"
	mkdir -p "$1"
	hush "$2" "$3"
	vcpus_watch "$3"
	before=$(clocks)
	prober_start "$(ip_of sfhybrid)" "$1/frames.log" "$INTERVAL_US"
	sleep 2
	FAILED=
	for ((n = $5; n < $5 + SET && n <= SWITCHES; n++)); do
		measure_switch "$1" "$2" "$3" standby to-standby "$n" && measure_switch "$1" "$2" "$3" accelerate to-vf "$n" || break
	done
	prober_stop
	vcpus_watched "$1"
	after=$(clocks)
	[[ -n $FAILED || $(boot_of "$2" "$3") == "$4" ]] || FAILED="the guest was reset"
	[[ -z $FAILED ]] || return 1
	switches_close "$1" "$3" "$before" "$after"
}

measure_switch() { # DIR HOST DOM VERB DIRECTION N
	local begin end
	begin=$(now_ns)
	if ! FAILED=$(ctl "$2" "$4" "$3" 2>&1 >/dev/null); then
		FAILED="'$4 $3', the ${6}th: $FAILED"
		return 1
	fi
	FAILED=
	sleep 1
	end=$(now_ns)
	if [[ $5 == to-vf ]]; then
		if ! wait_carried "$2" "$3" 30; then
			FAILED="$5 $6: the guest is not on its VF: $(cat "$OUT/carried.last")"
			return 1
		fi
		end=$PROVEN
	fi
	printf '%s %s %s %s\n' "$5" "$6" "$begin" "$end" >>"$1/switches.txt"
}

switches_close() { # DIR DOM BEFORE AFTER
	local direction n begin end
	gzip -1 "$1/frames.log"
	MARKS=()
	meta "$1/all.json" - 0 "" "" 0 0 "$3" "$4" "$2"
	while read -r direction n begin end; do
		jq --arg case "$direction" --argjson n "$n" --argjson since "$begin" --argjson till "$end" \
			'. + {$case, round: $n, begin_ns: $since, end_ns: $till, vf: true}' "$1/all.json" >"$1/meta-$direction-$n.json"
		round_figures "$1" "$1/meta-$direction-$n.json" >"$1/figures-$direction-$n.json"
		say "$(jq -r '"\(.case) \(.round): gap \(.gap_tx_ms) ms to the guest, \(.gap_rx_ms) ms from it, lost \(.lost_tx)/\(.lost_rx)"' \
			"$1/figures-$direction-$n.json")"
	done <"$1/switches.txt"
	rm -f "$1/all.json"
}

# The fastest rate at which this machine's guest keeps up (it skips the slots that it misses);
# never under 204 a second here, 200 in a round.
calibrate() {
	local us dir=$OUT/calibrate c=${WANTED[0]} begin
	! wanted bridge || c=bridge
	mkdir -p "$dir"
	guest_wake "$c"
	for us in 1000 2000 3000 4000; do
		rm -f "$dir"/*
		prober_start "$(ip_of "$c")" "$dir/frames.log" "$us"
		sleep 4
		prober_stop
		begin=$(awk '/^s/ { print $3; exit }' "$dir/frames.log")
		jq -n --argjson b "$begin" '{begin_ns: ($b + 1e9), end_ns: ($b + 35e8), phases: []}' >"$dir/marks.json"
		"$REPO/build/sfh-figures" "$dir/marks.json" <"$dir/frames.log" >"$dir/figures.json" || continue
		say "every $us us: $(jq -c '{lost_tx, lost_rx, sent_tx, sent_rx, gap_tx_ms, gap_rx_ms, total_gap_ms}' "$dir/figures.json")"
		if jq -e --argjson n "$((2500000 / us))" '.sent_tx >= 0.8 * $n and .sent_rx >= 0.8 * $n and .sent_tx >= 510 and .sent_rx >= 510 and
			.lost_tx + .lost_rx <= 0.01 * $n and .total_gap_ms < 500' "$dir/figures.json" >/dev/null; then
			INTERVAL_US=$us
			break
		fi
	done
	rm -rf "$dir"
	guest_rest "$c"
	if [[ -z $INTERVAL_US ]]; then
		INTERVAL_US=4000
		missed "calibration: this machine does not keep up with 200 frames a second each way"
	fi
	say "one frame every $INTERVAL_US us each way"
}
