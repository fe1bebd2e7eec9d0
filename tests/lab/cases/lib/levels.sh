# SPDX-License-Identifier: GPL-2.0-or-later
# What a case can start from, each level on top of the one before:
#   bare   two hosts, nothing defined
#   net    the network $NET, up on both
#   guest  $DOM on host1, accelerated, reachable at $IP
# Other names and another MAC than the demo's.
# shellcheck shell=bash disable=SC2034 # used by the cases

LEVELS=(bare net guest)
NET=blue-lan.7
DOM=alder_2
MAC=52:54:00:6a:1b:2c
IP=10.77.27.44

level_net_up() {
	network_up host1 "$NET"
	network_up host2 "$NET"
}

level_net_down() {
	local host
	for host in host1 host2; do
		ctl "$host" down "$NET"
		ctl "$host" undefine "$NET"
	done
}

# guest_up HOST DOM MAC NETWORK: adopted, started, on its VF leg; a client talks to it.
guest_up() {
	local client
	guest_define "$@"
	"$REPO/tests/lab/lab" client ping -q -i 0.2 "$(lab guest-ip "$3")" >/dev/null 2>&1 &
	client=$!
	guest_start "$1" "$2"
	kill "$client"
}

guest_define() { # HOST DOM MAC NETWORK
	lab guest-xml "$2" --mac "$3" --network "$4" | lab exec "$1" virsh define /dev/stdin
	expect "$2 was not adopted within 15 s" wait_for 15 is_adopted "$1" "$2"
}

guest_start() { # HOST DOM
	on "$1" virsh start "$2"
	wait_vf "$1" "$2" 240 || fail "$2 was not accelerated within 240 s: state '$(pair "$1" "$2" state)', reason '$(pair "$1" "$2" reason)'"
}

# guest_down HOST DOM
guest_down() {
	on "$1" virsh destroy "$2"
	on "$1" virsh undefine "$2"
	expect "the VF of $2 was not given back" wait_for 10 pair_is_gone "$1" "$2"
}

pair_is_gone() { [[ -z $(pair "$1" "$2" state) ]]; }

level_guest_up() {
	guest_up host1 "$DOM" "$MAC" "$NET"
	reachable "$IP"
}

level_guest_down() { guest_down host1 "$DOM"; }
