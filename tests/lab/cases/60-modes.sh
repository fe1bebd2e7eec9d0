# SPDX-License-Identifier: GPL-2.0-or-later
# The standby modes, each with a guest on its standby leg, accelerated, and across a
# migration. What the other cases use is macvtap-bridge.
# shellcheck shell=bash

# on_its_leg HOST DOM IP LEG
on_its_leg() {
	is "$2 on $1" "$4" "$(pair "$1" "$2" leg)"
	expect "the client does not reach $2 on its $4 leg on $1 ($(pair "$1" "$2" reason))" wait_for 10 is_reachable "$3"
}

# mode_case MODE: two hosts, one guest.
mode_case() {
	local mac ip host
	mac=$(lab guest-mac larch)
	ip=$(lab guest-ip "$mac")
	for host in host1 host2; do network_up "$host" green "$1"; done
	guest_up host1 larch "$mac" green
	is "mode" "$1" "$(ctl host1 --json status green | jq -r '.networks[].mode')"
	on_its_leg host1 larch "$ip" vf
	ctl host1 standby larch
	on_its_leg host1 larch "$ip" standby
	ctl host1 migrate larch "$(uri_of host2)" --persistent --undefinesource
	expect "the client does not reach larch after its migration" wait_for 20 is_reachable "$ip"
	wait_vf host2 larch || fail "not accelerated on host2: $(pair host2 larch reason)"
	on_its_leg host2 larch "$ip" vf
	ctl host2 standby larch
	on_its_leg host2 larch "$ip" standby
	is "fsck on host2" clean "$(ctl host2 fsck)"
	guest_down host2 larch
	for host in host1 host2; do
		ctl "$host" down green
		ctl "$host" undefine green
		nothing_of_ours "$host"
	done
}

declare_case mode_linux_bridge bare "linux-bridge: standby leg, VF leg, and across a migration" within=420
mode_linux_bridge() { mode_case linux-bridge; }

declare_case mode_macvtap_private bare "macvtap-private: standby leg, VF leg, and across a migration" within=420 more
mode_macvtap_private() { mode_case macvtap-private; }

declare_case mode_macvtap_vepa bare "macvtap-vepa: standby leg, VF leg, and across a migration" within=420 more
mode_macvtap_vepa() { mode_case macvtap-vepa; }

# fsck_finds HOST KIND
fsck_finds() { (ctl "$1" --json fsck || true) | jq -e --arg kind "$2" 'any(.findings[]; .kind == $kind)'; }

# in_filter HOST MAC: it is in the PF's own filter.
in_filter() { on "$1" bridge fdb show dev "$(lab pf "$1")" self | grep -c "^$2 " >/dev/null; }
not_in_filter() { ! in_filter "$@"; }

declare_case bridge_filter bare "linux-bridge: the guest's MAC in the NIC's filter while on standby, a stale FDB, fsck" within=330 more
bridge_filter() {
	local mac ip pf
	mac=$(lab guest-mac larch)
	ip=$(lab guest-ip "$mac")
	pf=$(lab pf host1)
	network_up host1 green linux-bridge
	guest_up host1 larch "$mac" green
	expect "on its VF leg larch is in the PF's filter" not_in_filter host1 "$mac"
	ctl host1 standby larch
	expect "on its standby leg larch is not in the PF's filter" in_filter host1 "$mac"
	is "filter" ours "$(pair host1 larch filter)"
	# The bridge believes that larch is behind the PF, as after a reflected broadcast.
	on host1 bridge fdb replace "$mac" dev "$pf" master static
	reachable "$ip"
	on host1 bridge fdb del "$mac" dev "$pf" master
	reachable "$ip"
	on host1 bridge fdb del "$mac" dev "$pf" self
	expect "fsck does not miss larch in the filter" fsck_finds host1 fdb-missing
	ctl host1 fsck --repair
	expect "fsck --repair did not put larch into the filter" in_filter host1 "$mac"
	on host1 /usr/lib/sfhybrid-lab/agent restart
	expect "the agent did not take larch over" wait_for 30 has_state host1 larch standby
	expect "a restart of the agent took larch out of the filter" in_filter host1 "$mac"
	is "fsck" clean "$(ctl host1 fsck)"
	expect "not accelerated" wait_for 30 ctl host1 accelerate larch # the networks come back first
	expect "on its VF leg larch is in the PF's filter" not_in_filter host1 "$mac"
	ctl host1 standby larch
	guest_down host1 larch
	expect "larch is gone and still in the PF's filter" not_in_filter host1 "$mac"
	ctl host1 down green
	ctl host1 undefine green
	nothing_of_ours host1
}

# --- VLANs --------------------------------------------------------------------------------------

vlan_xml() {
	network_xml "$1" "$2" | sed "s,</forward>,</forward><vlan><tag id='$3'/></vlan>,"
}

declare_case vlan_on_both_legs bare "a network in VLAN 42: what the guest sends leaves with that tag, whichever leg it is on" within=400 more
vlan_on_both_legs() {
	local mac leg seen
	mac=$(lab guest-mac cedar)
	vlan_xml violet "$(lab pf host1)" 42 | lab exec host1 sfhybrid-ctl define -
	ctl host1 up violet
	guest_define host1 cedar "$mac" violet
	guest_start host1 cedar
	for leg in vf standby; do
		[[ $leg == vf ]] || ctl host1 standby cedar
		is "leg" "$leg" "$(pair host1 cedar leg)"
		seen=$(on_wire cedar "$mac")
		echo "from the $leg leg: $seen"
		expect "from the $leg leg the wire saw '$seen'" nearly_all "$seen" "vlan 42"
	done
	guest_down host1 cedar
	ctl host1 down violet
	ctl host1 undefine violet
	nothing_of_ours host1
}
