# SPDX-License-Identifier: GPL-2.0-or-later
# Guests without net_failover: the legs meet in a bond that the guest makes
# (docs/guest/sfhybrid-bond). QEMU offers them no STANDBY at all.
# shellcheck shell=bash

BONDNET=bonded

bond_network_xml() {
	cat <<-XML
	<network>
	  <name>$BONDNET</name>
	  <forward mode='pci-passthrough-hybrid'><pf dev='$(lab pf "$1")'/></forward>
	  <guest bond='yes'/>
	</network>
	XML
}

bond_network_up() { # HOST…
	local host
	for host in "$@"; do
		bond_network_xml "$host" | lab exec "$host" sfhybrid-ctl define -
		ctl "$host" up "$BONDNET"
	done
}

bond_network_down() {
	local host
	for host in "$@"; do
		ctl "$host" down "$BONDNET"
		ctl "$host" undefine "$BONDNET"
	done
}

has_our_alias() { on host1 virsh dumpxml --inactive "$1" | grep -c "<alias name='ua-sfh-"; }

# bond_guest_up DOM CMDLINE
bond_guest_define() {
	lab guest-xml "$1" --network "$BONDNET" --no-rfc-actual --cmdline "$2" | lab exec host1 virsh define /dev/stdin
	expect "$1 was not adopted within 15 s" wait_for 15 has_our_alias "$1"
	is "teaming" '' "$(on host1 virsh dumpxml --inactive "$1" | grep teaming || true)"
}

bond_says() { in_guest "$1" "$2" cat "/sys/class/net/bond0/bonding/$3"; } # HOST DOM FILE

declare_case bond_guest bare "a guest without net_failover on a <guest bond='yes'/> network: VF in its bond, to standby, back, migrated there and back" within=700 more
bond_guest() {
	local mac ip began
	mac=$(lab guest-mac ivy)
	ip=$(lab guest-ip "$mac")
	bond_network_up host1 host2
	bond_guest_define ivy sfh.bond=1
	talks_to "$mac"
	guest_start host1 ivy
	hush
	reachable "$ip"
	is "STANDBY in the guest" '' "$(in_guest host1 ivy sh -c 'dmesg | grep -i "failover master" || true')"
	is "live teaming" '' "$(on host1 virsh dumpxml ivy | grep teaming || true)"
	is "driver of the active leg" igbvf "$(in_guest host1 ivy sh -c \
		'basename "$(readlink "/sys/class/net/$(cat /sys/class/net/bond0/bonding/active_slave)/device/driver")"')"
	prober_start "$ip" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	ctl host1 standby ivy
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	is "leg" standby "$(pair host1 ivy leg)"
	is "slaves" 1 "$(bond_says host1 ivy slaves | wc -w)"
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	began=$(now_ns)
	ctl host1 accelerate ivy
	sleep "$SETTLE"
	few_lost "$began" 100 2500
	is "leg" vf "$(pair host1 ivy leg)"
	# QEMU will not move a VF: without us the source refuses, and nothing has changed.
	! on host1 virsh migrate --live ivy "$(uri_of host2)" || fail "plain virsh migrate succeeded"
	is "leg" vf "$(pair host1 ivy leg)"
	for way in "host1 host2" "host2 host1"; do
		# shellcheck disable=SC2086 # two words
		set -- $way
		began=$(now_ns)
		ctl "$1" migrate ivy "$(uri_of "$2")" --persistent --undefinesource
		wait_vf "$2" ivy 60 || fail "not accelerated on $2: '$(pair "$2" ivy state)', reason '$(pair "$2" ivy reason)'"
		expect "$1: a VF still has a MAC" no_vf_has_a_mac "$1"
		sleep "$SETTLE"
		few_lost "$began" 250 5000
	done
	prober_stop
	kind_down ivy
	bond_network_down host1 host2
}

declare_case bond_missing bare "the network says bond and the guest makes none: standby leg, no-vf-driver, reachable" within=400 more
bond_missing() {
	local mac
	mac=$(lab guest-mac loner)
	bond_network_up host1
	bond_guest_define loner ''
	on host1 virsh start loner
	guest_is_up loner
	prober_start "$(lab guest-ip "$mac")" "$(mktemp)"
	nic_gets host1 "$mac" reason no-vf-driver 120
	nic_gets host1 "$mac" state standby 10
	prober_stop
	reachable "$(lab guest-ip "$mac")"
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	kind_down loner
	bond_network_down host1
}
