# SPDX-License-Identifier: GPL-2.0-or-later
# The standby leg of a guest that is on its VF leg, broken on purpose and mended.
# shellcheck shell=bash

# warmth HOST DOM: "warm none", "cold ring-stuck", …
warmth() {
	ctl "$1" --json status | jq -r --arg dom "$2" \
		'.pairs[] | select(.domain == $dom) | .warm | "\(.state) \(.reason)"'
}
is_warmth() { [[ $(warmth host1 "$DOM") == "$1" ]]; }

# The agent's own words with its own clock: a busy machine makes `status` itself slow.
# cold_since MS REASON: it said so, no later than two intervals after that time of its clock.
host_ms() { on host1 cut -d' ' -f1 /proc/uptime | awk '{ print int($1 * 1000) }'; }
cold_since() {
	local at
	expect "status says '$(warmth host1 "$DOM")', not 'cold $2'" wait_for 20 is_warmth "cold $2"
	at=$(on host1 sh -c "grep -F '$DOM: the standby leg' /var/log/sfhybridd.log | grep -F '($2)' | tail -n 1" |
		awk '{ print int($1 * 1000) }')
	echo "$2: $((at - $1)) ms after it was broken"
	expect "cold ($2) only after $((at - $1)) ms" test "$((at - $1))" -le 2300
}
warm_again() {
	expect "mended, and status says '$(warmth host1 "$DOM")'" wait_for 20 is_warmth "warm none"
	is "leg" vf "$(pair host1 "$DOM" leg)"
	is "armed" false "$(pair host1 "$DOM" armed)"
}

# None is counted in three seconds.
only_probes_came() {
	local before
	before=$(ctl host1 --json status | jq -c '.pairs[0].counters | [.from_wire_frames, .from_standby_frames]')
	sleep 3
	[[ $(ctl host1 --json status | jq -c '.pairs[0].counters | [.from_wire_frames, .from_standby_frames]') == "$before" ]]
}

declare_case warm_standby guest "a guest on its VF leg: its standby leg is warm, cold with the reason when it is broken, and warm again" within=330
warm_standby() {
	local pf dev began entry value qemu
	pf=$(lab pf host1)
	dev=$(pair host1 "$DOM" standby)
	warm_again
	# A guest may still have something to say there itself, once or twice.
	expect "frames are counted while only probes come" wait_for 20 only_probes_came

	began=$(host_ms)
	on host1 ip link set "$dev" down
	cold_since "$began" standby-down
	on host1 ip link set "$dev" up
	warm_again

	began=$(host_ms)
	# At tcx, or a filter.
	on host1 bpftool net detach tcx_ingress dev "$pf" || on host1 tc filter del dev "$pf" ingress
	cold_since "$began" pf-tc-program
	ctl host1 fsck --repair
	warm_again

	entry=$(on host1 bpftool -j map dump pinned "$PINS/sfh_guests" | jq -r '.[0].key | join(" ")')
	value=$(on host1 bpftool -j map dump pinned "$PINS/sfh_guests" | jq -r '.[0].value | join(" ")')
	began=$(host_ms)
	# shellcheck disable=SC2086 # words on purpose
	on host1 bpftool map delete pinned "$PINS/sfh_guests" key $entry
	cold_since "$began" entry-missing
	# shellcheck disable=SC2086
	on host1 bpftool map update pinned "$PINS/sfh_guests" key $entry value $value
	warm_again

	qemu=$(on host1 pgrep -o qemu-system)
	began=$(host_ms)
	on host1 kill -STOP "$qemu"
	cold_since "$began" ring-stuck
	on host1 kill -CONT "$qemu"
	warm_again
	reachable "$IP"
}
