# SPDX-License-Identifier: GPL-2.0-or-later
# The datapath: neighbours, spoofers.
# shellcheck shell=bash

# --- two guests on one PF ---------------------------------------------------------------

# listen_in HOST DOM: a socket in the guest counts broadcast datagrams for 8 s.
listen_in() {
	in_guest "$1" "$2" sh -c 'labnet listen 7777 8000 >/tmp/heard 2>&1 &'
	expect "$2 does not listen" wait_for 10 in_guest "$1" "$2" grep -q ready /tmp/heard
}

# heard_once HOST DOM FROM: nearly all of 20, and none twice.
heard_once() {
	local datagrams numbers
	expect "$2 has no result" wait_for 15 in_guest "$1" "$2" grep -q '^[0-9]' /tmp/heard
	read -r datagrams numbers < <(in_guest "$1" "$2" grep '^[0-9]' /tmp/heard)
	echo "$2 heard $datagrams datagrams from $3, $numbers of 20 numbers"
	is "$2: copies of each broadcast from $3" "$numbers" "$datagrams"
	expect "$2 heard $numbers of 20 broadcasts from $3" test "$numbers" -ge 19
}

declare_case one_pf_two_guests guest "two guests on one PF, one accelerated: pings both ways, one copy of each broadcast" within=330
one_pf_two_guests() {
	local mac ip
	mac=$(lab guest-mac birch)
	ip=$(lab guest-ip "$mac")
	guest_up host1 birch "$mac" "$NET"
	ctl host1 standby birch
	reaches "$DOM" birch "$ip"
	reaches birch "$DOM" "$IP"
	listen_in host1 "$DOM"
	listen_in host1 birch
	lab client "$LABNET" shout eth0 7777 20 20
	heard_once host1 "$DOM" "the client"
	heard_once host1 birch "the client"
	listen_in host1 birch
	in_guest host1 "$DOM" labnet shout eth0 7777 20 20
	heard_once host1 birch "$DOM, on its VF leg"
	listen_in host1 "$DOM"
	in_guest host1 birch labnet shout eth0 7777 20 20
	heard_once host1 "$DOM" "birch, on its standby leg"
	guest_down host1 birch
}

# --- while a guest is copied ---------------------------------------------------------------

declare_case neighbour_during_copy guest "a guest on the destination reaches the one that migrates there, during the whole copy" within=400
neighbour_during_copy() {
	local mac gap
	mac=$(lab guest-mac birch)
	guest_up host2 birch "$mac" "$NET"
	in_guest host2 birch sh -c "ping -c 220 -i 0.2 -W 2 $IP >/tmp/pings 2>&1 &"
	expect "birch does not reach $DOM" wait_for 10 in_guest host2 birch grep -q 'bytes from' /tmp/pings
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource
	wait_vf host2 "$DOM" || fail "not accelerated on host2: $(pair host2 "$DOM" reason)"
	expect "the pings do not end" wait_for 120 in_guest host2 birch grep -q 'packets transmitted' /tmp/pings
	# The longest row of numbers that is missing. The copy takes 10 s and more: 50 pings.
	gap=$(in_guest host2 birch cat /tmp/pings | sed -n 's/.*seq=\([0-9]*\).*/\1/p' |
		awk 'NR > 1 && $1 - last - 1 > most { most = $1 - last - 1 } { last = $1 } END { print most + 0 }')
	in_guest host2 birch tail -n 2 /tmp/pings
	echo "longest row of lost pings: $gap, 200 ms apart"
	expect "$gap pings in a row were lost: the destination stole them during the copy" test "$gap" -le 20
	guest_down host2 birch
	ctl host2 migrate "$DOM" "$(uri_of host1)" --persistent --undefinesource
	wait_vf host1 "$DOM" || fail "not accelerated on host1: $(pair host1 "$DOM" reason)"
}

# --- spoofed sources -------------------------------------------------------------------------

# on_wire DOM SOURCE: "untagged N" or "vlan ID N" of 20 frames that the guest on host1
# sends with that source.
on_wire() {
	local heard
	heard=$(mktemp)
	"$REPO/tests/lab/lab" client "$LABNET" hear eth0 "$2" 8000 >"$heard" 2>"$heard.ready" &
	expect "nobody listens on the wire" wait_for 5 grep -q ready "$heard.ready"
	in_guest host1 "$1" labnet frames eth0 "$2" 20 20
	wait $!
	cat "$heard"
}

# nearly_all TEXT KIND: "KIND N" and nothing else, N at least 18 of 20.
nearly_all() {
	[[ $1 =~ ^$2\ ([0-9]+)$ ]] && ((BASH_REMATCH[1] >= 18 && BASH_REMATCH[1] <= 20))
}

# Frames dropped for a spoofed source on host1, all CPUs.
spoofed_drops() {
	on host1 bpftool -j map dump pinned "$PINS/sfh_drops" |
		jq '[.[].formatted | select(.key == 4).values[].value] | add'
}

declare_case spoofed_source guest "a source that is not the guest's never reaches the wire from its standby leg" within=200
spoofed_source() {
	local spoof=52:54:00:66:66:66 own seen drops
	ctl host1 standby "$DOM"
	own=$(on_wire "$DOM" "$MAC")
	expect "of the guest's own frames the wire saw '$own'" nearly_all "$own" untagged
	drops=$(spoofed_drops)
	seen=$(on_wire "$DOM" "$spoof")
	is "spoofed frames on the wire" '' "$seen"
	drops=$(($(spoofed_drops) - drops))
	expect "only $drops of 20 spoofed frames were counted as drops" test "$drops" -ge 18
	ctl host1 accelerate "$DOM"
	# The NIC's business: on the emulated 82576 spoofchk is accepted and not enforced.
	echo "from the VF leg, spoofchk as the driver has it: '$(on_wire "$DOM" "$spoof")' of 20 on the wire"
}
