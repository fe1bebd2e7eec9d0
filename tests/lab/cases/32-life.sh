# SPDX-License-Identifier: GPL-2.0-or-later
# What happens to a guest in its life: afterwards it is on its VF again, or all that
# was its is free.
# shellcheck shell=bash

# accelerated_again WHAT: after something that ended the guest's use of its VF.
accelerated_again() {
	wait_vf host1 "$DOM" 120 || fail "after $1: state '$(pair host1 "$DOM" state)', reason '$(pair host1 "$DOM" reason)'"
	reachable "$IP"
	is "leased VFs" 1 "$(count_vfs host1 leased)"
	is "MACs of VFs" "$MAC" "$(vf_macs host1)"
	is "armed" false "$(pair host1 "$DOM" armed)"
	guest_netdevs host1 "$DOM" | grep -c ' primary igbvf '
	ctl host1 fsck
}

# all_free: nothing of a guest that runs no longer.
all_free() {
	expect "its pair is still known" wait_for 15 pair_is_gone host1 "$DOM"
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	expect "a VF is still in use" no_vf_is_used host1
	is "steering entries" 0 "$(on host1 bpftool -j map dump pinned "$PINS/sfh_guests" | jq length)"
	ctl host1 fsck
}

boots() { in_guest host1 "$DOM" cat /proc/sys/kernel/random/boot_id; }
# booted_anew ID: it runs, and not since the boot that had this ID.
booted_anew() { local id; id=$(boots) && [[ -n $id && $id != "$1" ]]; }

# reboots HOW…: a command that makes it boot once more; a client talks to it meanwhile.
reboots() {
	local id client
	id=$(boots)
	"$@" || true
	"$REPO/tests/lab/lab" client ping -q -i 0.2 "$IP" >/dev/null 2>&1 &
	client=$!
	expect "it did not boot again" wait_for 90 booted_anew "$id"
	accelerated_again "$*"
	kill "$client"
}

declare_case guest_reboot guest "the guest reboots: accelerated again" more within=260
guest_reboot() { reboots in_guest host1 "$DOM" reboot -f; }

declare_case guest_reset guest "virsh reset: accelerated again" more within=260
guest_reset() { reboots on host1 virsh reset "$DOM"; }

declare_case reset_unseen guest "virsh reset while no agent runs: the next one sees that, and the guest is accelerated again" more within=260
reset_unseen() {
	on host1 /usr/lib/sfhybrid-lab/agent stop
	reboots reset_and_start_agent
	on host1 grep -c "$DOM was reset while nobody looked" /var/log/sfhybridd.log
	ctl host1 --json history | jq -r '[.switches[] | .cause] | join(" ")' | grep -c 'reset.*reset'
}
reset_and_start_agent() {
	on host1 virsh reset "$DOM"
	on host1 /usr/lib/sfhybrid-lab/agent start
}

declare_case guest_panic guest "the guest's kernel panics and boots again: accelerated again" more within=260
guest_panic() { reboots in_guest host1 "$DOM" sh -c 'echo c >/proc/sysrq-trigger'; }

# vfio_files HOST DOM: VFIO groups that its QEMU has open.
vfio_files() {
	# shellcheck disable=SC2016 # for the host's shell
	on "$1" sh -c 'ls -l "/proc/$(cat "/run/libvirt/qemu/$1.pid")/fd" | grep -c "/dev/vfio/[0-9]" || true' - "$2"
}

declare_case reboot_on_standby guest "a guest that reboots on its standby leg opens no VF: not the one it had either" within=260
reboot_on_standby() {
	local id client
	is "VFs open on the VF leg" 1 "$(vfio_files host1 "$DOM")"
	ctl host1 standby "$DOM"
	is "VFs open on the standby leg" 0 "$(vfio_files host1 "$DOM")"
	id=$(boots)
	in_guest host1 "$DOM" reboot -f || true
	expect "it did not boot again" wait_for 90 booted_anew "$id"
	expect "it is not on the network" wait_for 30 is_reachable "$IP"
	is "VFs open after the reboot" 0 "$(vfio_files host1 "$DOM")"
	is "guest's VFs" '' "$(vf_frames host1 "$DOM")"
	is "state" standby "$(pair host1 "$DOM" state)"
	"$REPO/tests/lab/lab" client ping -q -i 0.2 "$IP" >/dev/null 2>&1 &
	client=$!
	ctl host1 accelerate "$DOM"
	accelerated_again "standby, reboot, accelerate"
	kill "$client"
}

declare_case suspend_resume guest "virsh suspend and resume: on its VF all along"
suspend_resume() {
	local vf
	vf=$(pair host1 "$DOM" vf)
	on host1 virsh suspend "$DOM"
	sleep 2
	on host1 virsh resume "$DOM"
	accelerated_again "suspend and resume"
	is "VF" "$vf" "$(pair host1 "$DOM" vf)"
}

declare_case save_restore guest "virsh save lets go of the VF first, restore comes without one and gets one" within=300
save_restore() {
	on host1 virsh save "$DOM" /tmp/image
	all_free
	on host1 virsh restore /tmp/image
	on host1 rm -f /tmp/image
	accelerated_again restore
}

declare_case managed_save guest "managedsave and start: accelerated again" more within=300
managed_save() {
	on host1 virsh managedsave "$DOM"
	all_free
	on host1 virsh start "$DOM"
	accelerated_again "managedsave and start"
}

declare_case save_on_standby guest "a guest on its standby leg is saved and restored; it was held before and may have a VF now" more within=300
save_on_standby() {
	ctl host1 standby "$DOM"
	on host1 virsh save "$DOM" /tmp/image
	all_free
	on host1 virsh restore /tmp/image
	on host1 rm -f /tmp/image
	accelerated_again restore
}

declare_case save_of_a_paused_guest guest "a guest that was paused cannot let go: its save is refused soon, and it keeps its VF" more within=150
save_of_a_paused_guest() {
	local began
	on host1 virsh suspend "$DOM"
	began=$SECONDS
	if on host1 virsh save "$DOM" /tmp/image; then
		fail "virsh save succeeded"
	fi
	# QEMU waits 30 s for an unplug that it has asked for, cancelled or not.
	expect "that took $((SECONDS - began)) s" test $((SECONDS - began)) -lt 40
	is "domain" paused "$(on host1 virsh -q domstate "$DOM")"
	on host1 virsh resume "$DOM"
	# It does now what it was asked to do, and gets the VF again.
	expect "it does not let go of its VF" wait_for 30 newest_to_standby_is late
	accelerated_again "a save that was refused"
}

newest_to_standby_is() {
	[[ $(ctl host1 --json history "$DOM" | jq -r '[.switches[] | select(.direction == "to-standby")][-1].cause') == "$1" ]]
}

declare_case live_snapshot guest "a live snapshot of the memory: the guest goes on, and the VF comes back" within=300
live_snapshot() {
	on host1 virsh snapshot-create-as "$DOM" --memspec /tmp/memory,snapshot=external --live --no-metadata
	on host1 rm -f /tmp/memory
	accelerated_again "the snapshot"
}

declare_case paused_snapshot guest "a snapshot of the memory for which libvirt stops the guest: the VF comes back" within=300
paused_snapshot() {
	on host1 virsh snapshot-create-as "$DOM" --memspec /tmp/memory,snapshot=external --no-metadata
	on host1 rm -f /tmp/memory
	accelerated_again "the snapshot"
}

declare_case guest_shutdown guest "the guest powers itself off: all is free" more leaves=net within=150
guest_shutdown() {
	in_guest host1 "$DOM" poweroff -f || true
	expect "it is still on" wait_for 30 is_off
	all_free
	on host1 virsh undefine "$DOM"
}
is_off() { [[ $(on host1 virsh -q domstate "$DOM") == 'shut off' ]]; }

declare_case guest_destroy guest "virsh destroy, rename, start: its pair follows" more within=330
guest_destroy() {
	on host1 virsh destroy "$DOM"
	all_free
	on host1 virsh domrename "$DOM" other
	on host1 virsh domrename other "$DOM"
	expect "it is not adopted any longer" is_adopted host1 "$DOM"
	on host1 virsh start "$DOM"
	"$REPO/tests/lab/lab" client ping -q -i 0.2 "$IP" >/dev/null 2>&1 &
	accelerated_again "destroy and start"
	kill $!
}

declare_case guest_crash guest "kill -9 of its QEMU: all is free" more leaves=net within=150
guest_crash() {
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'kill -9 "$(cat "/run/libvirt/qemu/$1.pid")"' - "$DOM"
	all_free
	on host1 virsh undefine "$DOM"
}

declare_case host_shutdown guest "the host's shutdown saves the guest through libvirt-guests and brings it back" more within=300
host_shutdown() {
	on host1 sh -c 'printf "ON_%s\n" SHUTDOWN=suspend BOOT=start >>/etc/default/libvirt-guests'
	on host1 /usr/lib/libvirt/libvirt-guests.sh stop
	all_free
	on host1 /usr/lib/libvirt/libvirt-guests.sh start
	on host1 sed -i /^ON_/d /etc/default/libvirt-guests
	accelerated_again "libvirt-guests"
}
