# SPDX-License-Identifier: GPL-2.0-or-later
# One guest and its two legs.
# shellcheck shell=bash

# vf_frames HOST DOM: frames that the guest received on its VF, by its own count.
vf_frames() { guest_netdevs "$1" "$2" | awk '$2 == "primary" { print $4 }'; }

declare_case one_vf guest "an accelerated guest: one live hostdev, the VF as primary, its interrupts and counters move"
one_vf() {
	local vf frames interrupts pings=400 answered
	vf=$(pair host1 "$DOM" vf)
	is "live hostdevs" 1 "$(live_xml host1 "$DOM" hostdev | grep -c '<hostdev')"
	is "persistent hostdevs" '' "$(saved_xml host1 "$DOM" hostdev)"
	is "interfaces" 1 "$(live_xml host1 "$DOM" interface | grep -c '<interface')"
	vf_line host1 "$vf" | grep -c "$MAC"
	guest_netdevs host1 "$DOM" | grep -c ' master virtio_net '
	guest_netdevs host1 "$DOM" | grep -c ' standby virtio_net '
	guest_netdevs host1 "$DOM" | grep -c ' primary igbvf '
	is "MACs in the guest" "$MAC" "$(in_guest host1 "$DOM" cat /sys/class/net/eth{0,1,2}/address | sort -u)"
	is "armed" false "$(pair host1 "$DOM" armed)"
	frames=$(vf_frames host1 "$DOM")
	interrupts=$(vf_interrupts host1 "$vf")
	answered=$(lab client ping -q -c "$pings" -i 0.01 -W 2 "$IP" | sed -n 's/.*transmitted, \([0-9]*\) received.*/\1/p')
	frames=$(($(vf_frames host1 "$DOM") - frames))
	interrupts=$(($(vf_interrupts host1 "$vf") - interrupts))
	echo "$pings pings, $answered answered: $frames frames and $interrupts interrupts of the VF"
	expect "only $answered of $pings pings were answered" test "$answered" -ge $((pings * 99 / 100))
	expect "only $frames of $answered frames came through the VF" test "$frames" -ge $((answered * 99 / 100))
	expect "the VF's interrupts went up by $interrupts only" test "$interrupts" -ge 10
	on host1 bpftool map dump pinned "$PINS/sfh_guests" | jq -e '.[0].value.standby_ifindex > 0 and .[0].value.armed == 0'
}

declare_case standby_and_back guest "by hand to the standby leg, which carries the pings, and back"
standby_and_back() {
	local began
	prober_start "$IP" "$(mktemp)"
	sleep 1
	began=$(now_ns)
	ctl host1 standby "$DOM"
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	is "leg" standby "$(pair host1 "$DOM" leg)"
	is "armed" true "$(pair host1 "$DOM" armed)"
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	expect "a VF is still in use" no_vf_is_used host1
	is "live hostdevs" '' "$(live_xml host1 "$DOM" hostdev)"
	is "guest's VFs" '' "$(vf_frames host1 "$DOM")"
	sleep 5 # held: nobody may accelerate it again
	is "state 5 s later" standby "$(pair host1 "$DOM" state)"
	began=$(now_ns)
	ctl host1 accelerate "$DOM"
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	is "leg" vf "$(pair host1 "$DOM" leg)"
	ctl host1 accelerate "$DOM" # harmless
	is "newest switches" "to-standby request, to-vf request" \
		"$(ctl host1 --json history "$DOM" | jq -r '[.switches[-2:][] | "\(.direction) \(.cause)"] | join(", ")')"
	is "what waited while the guest was deaf was let go when it listened" true \
		"$(ctl host1 --json history "$DOM" | jq '.switches[-2].steps | contains("listens=")')"
}

declare_case agent_restart guest "the agent restarts under an accelerated guest: pair found, VF kept, traffic flows"
agent_restart() {
	local began vf
	vf=$(pair host1 "$DOM" vf)
	prober_start "$IP" "$(mktemp)"
	sleep 1
	began=$(now_ns)
	on host1 /usr/lib/sfhybrid-lab/agent restart
	wait_vf host1 "$DOM" 20 || fail "the pair is '$(pair host1 "$DOM" state)' after the restart"
	sleep "$SETTLE"
	is "VF" "$vf" "$(pair host1 "$DOM" vf)"
	few_lost "$began" 5 500
	ctl host1 standby "$DOM" # it is in charge, too
	ctl host1 accelerate "$DOM"
}

declare_case down_refused guest "down with a running guest refuses and names it"
down_refused() {
	local began
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	refused "guests run on '$NET': $DOM" ctl host1 down "$NET"
	sleep 1
	few_lost "$began" 2 500
	is "leg" vf "$(pair host1 "$DOM" leg)"
}

declare_case set_while_up guest "set while a guest runs: policy and probe interval at once, the VLAN of neither leg" within=150
set_while_up() {
	ctl host1 set "$NET" policy=never probe-interval=200
	is "policy" never "$(ctl host1 --json status | jq -r '.networks[0].policy')"
	is "leg under the policy 'never', of a guest that has a VF" vf "$(pair host1 "$DOM" leg)"
	expect "its standby leg is probed every $(pair host1 "$DOM" warm | jq .interval_ms) ms" \
		wait_for 10 is_probed_every 200
	ctl host1 set "$NET" policy= probe-interval= vlan=42
	ctl host1 standby "$DOM"
	reachable "$IP"
	ctl host1 accelerate "$DOM"
	reachable "$IP"
	on host1 /usr/lib/sfhybrid-lab/agent restart
	wait_vf host1 "$DOM" || fail "not on its VF after a restart: $(pair host1 "$DOM" reason)"
	reachable "$IP"
	ctl host1 standby "$DOM"
	reachable "$IP"
	is "VLANs of VFs" '' "$(on host1 ip link show "$(lab pf host1)" | grep -o 'vlan 42' || true)"
	ctl host1 fsck
	ctl host1 set "$NET" vlan=
	ctl host1 accelerate "$DOM"
}
is_probed_every() { [[ $(pair host1 "$DOM" warm | jq .interval_ms) == "$1" ]]; }

declare_case down_forced guest "down --force moves the guest to a standby leg that works; after up it is accelerated again" within=150
down_forced() {
	local down
	prober_start "$IP" "$(mktemp)"
	ctl host1 down --force "$NET"
	down=$(now_ns)
	expect "the guest is not reachable after down --force" wait_for 10 is_answered "$down"
	down=$(first_reply "$down")
	sleep 3
	few_lost "$down" 5 500
	is "live hostdevs" '' "$(live_xml host1 "$DOM" hostdev)"
	is "pins" '' "$(on host1 ls /sys/fs/bpf)"
	is "XDP" '' "$(on host1 ip link show | grep xdp || true)"
	is "leases" 0 "$(on host1 sqlite3 /run/sfhybrid/ledger.db 'select count(*) from leases')"
	ctl host1 up "$NET"
	wait_vf host1 "$DOM" || fail "not accelerated again: $(pair host1 "$DOM" reason)"
	reachable "$IP"
}

# reaches DOM OTHER IP
reaches() {
	expect "$1 ($(pair host1 "$1" leg) leg) does not reach $2 ($(pair host1 "$2" leg) leg)" \
		in_guest host1 "$1" ping -c 3 -W 2 "$3"
}

declare_case two_guests guest "two guests get two VFs and reach each other, whichever legs they are on" within=330
two_guests() {
	local mac ip
	mac=$(lab guest-mac birch)
	ip=$(lab guest-ip "$mac")
	guest_up host1 birch "$mac" "$NET"
	expect "both have the VF $(pair host1 birch vf)" test "$(pair host1 birch vf)" != "$(pair host1 "$DOM" vf)"
	is "leased VFs" 2 "$(count_vfs host1 leased)"
	is "MACs of VFs" "$(printf '%s\n' "$MAC" "$mac" | sort)" "$(vf_macs host1 | sort)"
	reachable "$ip"
	reachable "$IP"
	reaches "$DOM" birch "$ip"
	ctl host1 standby "$DOM"
	reaches birch "$DOM" "$IP"
	reaches "$DOM" birch "$ip"
	ctl host1 standby birch
	reaches "$DOM" birch "$ip"
	ctl host1 accelerate "$DOM"
	guest_down host1 birch
}

# The newer guest is on its standby leg already: it has moved before the other was asked.
declare_case down_forced_mixed guest "down --force with one guest on each leg: both are reachable, after up both are accelerated" more within=330
down_forced_mixed() {
	local mac ip
	mac=$(lab guest-mac birch)
	ip=$(lab guest-ip "$mac")
	guest_up host1 birch "$mac" "$NET"
	ctl host1 standby birch
	is "leg of the older guest" vf "$(pair host1 "$DOM" leg)"
	ctl host1 down --force "$NET"
	is "networks that are up" '' "$(ctl host1 --json status | jq -r '.networks[].name')"
	is "leases" 0 "$(on host1 sqlite3 /run/sfhybrid/ledger.db 'select count(*) from leases')"
	is "live hostdevs" '' "$(live_xml host1 "$DOM" hostdev)$(live_xml host1 birch hostdev)"
	reachable "$IP"
	reachable "$ip"
	ctl host1 up "$NET"
	wait_vf host1 "$DOM" || fail "$DOM is not accelerated again: $(pair host1 "$DOM" reason)"
	wait_vf host1 birch || fail "birch is not accelerated again: $(pair host1 birch reason)"
	guest_down host1 birch
	ctl host1 standby "$DOM" # it may have got the other VF
	ctl host1 accelerate "$DOM"
}
