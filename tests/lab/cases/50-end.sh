# SPDX-License-Identifier: GPL-2.0-or-later
# Other standby devices, and the end.
# shellcheck shell=bash

declare_case no_debris net "after down on both hosts: no program, no pin, no lease, no VF" leaves=bare
no_debris() {
	local host
	for host in host1 host2; do
		ctl "$host" down "$NET"
		nothing_of_ours "$host"
		ctl "$host" undefine "$NET"
	done
}

declare_case linux_bridge bare "standby mode linux-bridge: reachable on the standby leg, accelerated, and back" within=360
linux_bridge() {
	local mac ip began
	mac=$(lab guest-mac larch)
	ip=$(lab guest-ip "$mac")
	network_up host1 green linux-bridge
	guest_up host1 larch "$mac" green
	on host1 ip link show master sfbr-green | grep -c pf0
	prober_start "$ip" "$(mktemp)"
	expect "larch is not reachable on its VF leg" wait_for 10 is_answered 0
	began=$(now_ns)
	ctl host1 standby larch
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	began=$(now_ns)
	ctl host1 accelerate larch
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	prober_stop
	guest_down host1 larch
	ctl host1 down green
	ctl host1 undefine green
	nothing_of_ours host1
}
