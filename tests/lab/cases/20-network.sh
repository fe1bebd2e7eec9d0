# SPDX-License-Identifier: GPL-2.0-or-later
# Networks, and the first guest on one.
# shellcheck shell=bash

canonical() { lab exec host1 xmllint --noblanks --c14n -; }

# What the RFC lacks, in another order and with other quotes than sfhybrid writes.
extended_xml() {
	cat <<-XML
	<network>
	  <name>$1</name>
	  <!-- a comment -->
	  <forward mode='pci-passthrough-hybrid'>
	    <pf vfs='3' dev='pf0'/>
	    <standby mode="macvtap-private"/>
	    <policy mode='never'/>
	  </forward>
	</network>
	XML
}

# comes_back NAME XML
comes_back() {
	printf '%s\n' "$2" | lab exec host1 sfhybrid-ctl define -
	is "dumpxml $1" "$(printf '%s\n' "$2" | canonical)" "$(ctl host1 dumpxml "$1" | canonical)"
}

declare_case definition_comes_back bare "dumpxml gives back what was defined; plain libvirt accepts what it got"
definition_comes_back() {
	comes_back echo-1 "$(extended_xml echo-1)"
	comes_back echo-2 "$(network_xml echo-2 pf0)"
	# host2's libvirt validates it against its own schema and starts it.
	on host2 /usr/lib/sfhybrid-lab/agent stop
	on host1 virsh net-dumpxml echo-2 | lab exec host2 virsh net-define --validate /dev/stdin
	on host2 virsh net-start echo-2
	on host2 virsh net-destroy echo-2
	on host2 virsh net-undefine echo-2
	on host2 /usr/lib/sfhybrid-lab/agent start
	ctl host1 undefine echo-1
	ctl host1 undefine echo-2
}

declare_case up_twice net "up twice and down twice are harmless"
up_twice() {
	ctl host1 up "$NET" | grep -c 'was up already'
	is "VFs" 7 "$(count_vfs host1 total)"
	ctl host1 down "$NET"
	nothing_of_ours host1
	ctl host1 down "$NET" | grep -c 'was down already'
	ctl host1 up "$NET"
}

declare_case network_in_use net "a network that is up is not redefined, undefined, or robbed of its PF"
network_in_use() {
	refused "is up" ctl host1 undefine "$NET"
	refused_xml "is up" "$(network_xml "$NET" pf0)"
	network_xml rival pf0 | lab exec host1 sfhybrid-ctl define -
	refused "'pf0' belongs to the network '$NET'" ctl host1 up rival
	ctl host1 undefine rival
}

declare_case quiet_guest net "a guest to whom nobody talks is accelerated, too" within=330
quiet_guest() {
	local mac
	mac=$(lab guest-mac rowan)
	guest_define host1 rowan "$mac" "$NET"
	guest_start host1 rowan
	reachable "$(lab guest-ip "$mac")"
	guest_down host1 rowan
}

declare_case virsh_net_destroy net "virsh net-destroy and net-start of a network nobody uses do what down and up do"
virsh_net_destroy() {
	on host1 virsh net-destroy "$NET"
	expect "it is not taken down" wait_for 30 is_down host1
	is "VFs" 0 "$(on host1 cat "/sys/class/net/$(lab pf host1)/device/sriov_numvfs")"
	on host1 virsh net-start "$NET"
	expect "it is not brought up" wait_for 30 is_up_again host1
	expect "fsck finds something" wait_for 10 fsck_is_clean host1 # its carrier takes a moment
}
fsck_is_clean() { ctl "$1" fsck; }
is_down() { [[ $(ctl "$1" --json status | jq '.networks | length') == 0 && -z $(on "$1" ls /sys/fs/bpf) ]]; }
is_up_again() { [[ $(ctl "$1" --json status "$NET" | jq -r '.networks[].state') == up ]]; }

declare_case virsh_net_destroy_in_use guest "virsh net-destroy of a network that a guest uses: started again at once, the guest notices nothing"
virsh_net_destroy_in_use() {
	local began
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	on host1 virsh net-destroy "$NET"
	expect "it is not active again" wait_for 15 net_is_active host1
	sleep 1
	few_lost "$began" 2 500
	is "leg" vf "$(pair host1 "$DOM" leg)"
}
net_is_active() { on "$1" virsh -q net-list --name | grep -x "$NET"; }
