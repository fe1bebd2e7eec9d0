# SPDX-License-Identifier: GPL-2.0-or-later
# What `virsh` does to an accelerated guest behind sfhybrid's back.
# shellcheck shell=bash

# virsh_migrate FROM TO [OPTION…]: as people type it.
virsh_migrate() {
	on "$1" virsh migrate --live --persistent --undefinesource "${@:3}" "$DOM" "$(uri_of "$2")"
}

# none_opened HOST: QEMU could not open the VF that came along, which is the way that is meant.
none_opened() {
	expect "$1: QEMU opened the VF inside the pause" \
		on "$1" grep -E 'vfio .*(busy|failed to open)' "/var/log/libvirt/qemu/$DOM.log"
}

declare_case sfhybrid_virsh guest "plain virsh migrate there and back: on the standby leg at once, accelerated late, nothing left" within=330
virsh_migrate_hop() { # FROM TO
	local began
	began=$(now_ns)
	virsh_migrate "$1" "$2"
	sleep "$SETTLE"
	few_lost "$began" 400 5000
	arrived "$1" "$2"
	none_opened "$2"
	is "$1: newest switch" "to-standby libvirt true" \
		"$(ctl "$1" --json history "$DOM" | jq -r '.switches[-1] | "\(.direction) \(.cause) \(.ok)"')"
}
sfhybrid_virsh() {
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	virsh_migrate_hop host1 host2
	virsh_migrate_hop host2 host1
}

# host2's network with N VFs only.
small_network() { # N
	ctl host2 down "$NET"
	ctl host2 undefine "$NET"
	network_xml "$NET" "$(lab pf host2)" | sed "s/<pf /<pf vfs='$1' /" | lab exec host2 sfhybrid-ctl define -
	ctl host2 up "$NET"
}
full_network() {
	ctl host2 down "$NET"
	ctl host2 undefine "$NET"
	network_up host2 "$NET"
}

declare_case virsh_landing guest "no VF is free: plain virsh migrate arrives on the landing VF, which is back at once; late upgrade" more within=330
virsh_landing() {
	local mac
	mac=$(lab guest-mac birch)
	small_network 2
	guest_up host2 birch "$mac" "$NET" # has the one that is not kept back
	is "landing VFs" 1 "$(count_vfs host2 landing)"
	virsh_migrate host1 host2
	expect "it does not run on its standby leg there" wait_for 30 has_state host2 "$DOM" standby
	expect "the landing VF was not given back" wait_for 10 landing_is_back
	is "live hostdevs" '' "$(live_xml host2 "$DOM" hostdev)"
	reachable "$IP" # before it talks, its reason is that it is silent
	expect "reason: $(pair host2 "$DOM" reason)" wait_for 10 waits_for_a_vf host2
	guest_down host2 birch
	wait_vf host2 "$DOM" || fail "no late upgrade: $(pair host2 "$DOM" reason)"
	virsh_migrate host2 host1
	arrived host2 host1
	full_network
}
waits_for_a_vf() { [[ $(pair "$1" "$DOM" reason) == no-free-vf ]]; }
landing_is_back() { [[ $(count_vfs host2 landing) == 1 ]]; }

# stays FROM_NS: the guest on host1 noticed nothing, and host2 has nothing of it.
stays() {
	sleep "$SETTLE"
	few_lost "$1" 5 1000
	is "state" vf "$(pair host1 "$DOM" state)"
	is "VF" "$VF" "$(pair host1 "$DOM" vf)"
	is "domains on host2" "${2-}" "$(on host2 virsh -q list --all --name)"
}

declare_case virsh_no_place guest "no VF there and none kept back: plain virsh migrate is refused with the command to use; that goes on" more within=330
virsh_no_place() {
	local mac began said VF
	mac=$(lab guest-mac birch)
	VF=$(pair host1 "$DOM" vf)
	small_network 1
	guest_up host2 birch "$mac" "$NET"
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	if said=$(virsh_migrate host1 host2 2>&1); then
		fail "virsh migrate succeeded: $said"
	fi
	echo "$said"
	grep -q "sfhybrid-ctl migrate $DOM" <<<"$said" || fail "no hint to 'sfhybrid-ctl migrate' in: $said"
	stays "$began" birch
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource
	reachable "$IP"
	expect "reason: $(pair host2 "$DOM" reason)" wait_for 10 waits_for_a_vf host2
	guest_down host2 birch
	wait_vf host2 "$DOM" || fail "no late upgrade: $(pair host2 "$DOM" reason)"
	migrate host2 host1
	full_network
}

declare_case virsh_no_sfhybrid guest "a plain network of the same name and no sfhybrid there: virsh migrate refuses, sfhybrid-ctl migrate goes on" more within=330
virsh_no_sfhybrid() {
	local began VF
	VF=$(pair host1 "$DOM" vf)
	ctl host2 down "$NET"
	ctl host2 undefine "$NET"
	on host2 /usr/lib/sfhybrid-lab/agent stop
	on host2 mv /etc/libvirt/hooks/qemu.d/50-sfhybrid /root/
	on host2 /usr/lib/sfhybrid-lab/libvirtd restart
	plain_network "$NET" "$(lab pf host2)" | lab exec host2 virsh net-define /dev/stdin
	on host2 virsh net-start "$NET"
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	if virsh_migrate host1 host2; then
		fail "virsh migrate succeeded"
	fi
	stays "$began"
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource
	is "domain there" running "$(on host2 virsh -q domstate "$DOM")"
	reachable "$IP"
	virsh_migrate host2 host1
	wait_vf host1 "$DOM" || fail "not accelerated back home: $(pair host1 "$DOM" reason)"
	on host2 virsh net-destroy "$NET"
	on host2 virsh net-undefine "$NET"
	on host2 mv /root/50-sfhybrid /etc/libvirt/hooks/qemu.d/
	on host2 /usr/lib/sfhybrid-lab/libvirtd restart
	on host2 /usr/lib/sfhybrid-lab/agent start
	expect "host2's agent does not answer" wait_for 20 ctl host2 list
	network_up host2 "$NET"
}
plain_network() {
	cat <<-XML
	<network><name>$1</name><forward mode='bridge'><interface dev='$2'/></forward></network>
	XML
}

# slow_virsh_migrate: begins one that takes longer than the case; MIGRATION is its process.
slow_virsh_migrate() {
	on host1 virsh migrate-setspeed "$DOM" 1
	virsh_migrate host1 host2 &
	MIGRATION=$!
	expect "it does not leave" wait_for 30 has_state host1 "$DOM" leaving
}
# ended_badly: what slow_virsh_migrate began.
ended_badly() {
	if wait "$MIGRATION"; then
		fail "the migration succeeded"
	fi
	on host1 virsh migrate-setspeed "$DOM" 8796093022207
	wait_vf host1 "$DOM" || fail "not back on its VF: '$(pair host1 "$DOM" state)', '$(pair host1 "$DOM" reason)'"
	is "VF" "$VF" "$(pair host1 "$DOM" vf)"
	reachable "$IP"
	guest_netdevs host1 "$DOM" | grep -c ' primary igbvf '
	expect "host2 keeps a domain" wait_for 20 no_domain host2
	expect "host2: a VF is still in use" wait_for 20 no_vf_is_used host2
	clean_fsck
}
no_domain() { [[ -z $(on "$1" virsh -q list --all --name) ]]; }
clean_fsck() {
	ctl host1 fsck
	ctl host2 fsck
}

declare_case virsh_aborted guest "virsh domjobabort in the middle of a plain virsh migrate: the guest gets its VF again" more within=150
virsh_aborted() {
	local VF MIGRATION began
	VF=$(pair host1 "$DOM" vf)
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	slow_virsh_migrate
	on host1 virsh domjobabort "$DOM"
	ended_badly
	sleep "$SETTLE"
	few_lost "$began" 150 3000
}

declare_case virsh_libvirtd_there_dies guest "the destination's libvirtd is killed in the middle of a plain virsh migrate" within=200
virsh_libvirtd_there_dies() {
	local VF MIGRATION
	VF=$(pair host1 "$DOM" vf)
	slow_virsh_migrate
	# shellcheck disable=SC2016 # for the host's shell
	on host2 sh -c 'kill -9 $(/usr/lib/sfhybrid-lab/libvirtd pid)'
	on host2 /usr/lib/sfhybrid-lab/libvirtd start
	ended_badly
}
