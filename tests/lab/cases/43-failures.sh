# SPDX-License-Identifier: GPL-2.0-or-later
# What dies in the middle of a switch or a migration, and migrations of other kinds.
# shellcheck shell=bash disable=SC2154 # here: run-cases' directory

# kill_agent_in HOST SIGNAL DOM STATES COMMAND…: runs `sfhybrid-ctl COMMAND` there and kills
# the agent as soon as the pair is in one of the states (an extended regular expression).
# Watched on the host itself: a switch takes less time than a command from here.
kill_agent_in() {
	local host=$1 died
	died=$(lab exec --timeout 60 "$host" sh -s "${@:2}" <"$here/cases/lib/kill-agent-in")
	echo "the agent died in: $died"
	[[ $died =~ ^($4)$ ]] || fail "the pair was never seen in $4"
}

# back_on_its_vf HOST: an agent starts there, and all is as it was.
back_on_its_vf() {
	on "$1" /usr/lib/sfhybrid-lab/agent start
	expect "the agent does not answer" wait_for 20 ctl "$1" list
	wait_vf "$1" "$DOM" || fail "not back on its VF: '$(pair "$1" "$DOM" state)', '$(pair "$1" "$DOM" reason)'"
	reachable "$IP"
	is "VFs with a MAC" "$MAC" "$(vf_macs "$1")"
	clean_fsck
}

declare_case agent_dies_in_attach guest "agent killed while it plugs a VF in: the next one ends it" within=200
agent_dies_in_attach() {
	ctl host1 standby "$DOM"
	kill_agent_in host1 KILL "$DOM" 'leasing|plugging|proving' accelerate "$DOM"
	back_on_its_vf host1
}

declare_case agent_dies_in_detach guest "agent killed while the guest lets go of its VF: the next one ends it" within=200
agent_dies_in_detach() {
	kill_agent_in host1 KILL "$DOM" unplugging standby "$DOM"
	on host1 /usr/lib/sfhybrid-lab/agent start
	expect "the agent does not answer" wait_for 20 ctl host1 list
	expect "it comes to no rest" wait_for 60 at_rest host1 "$DOM"
	reachable "$IP"
	clean_fsck
	expect "not accelerated" wait_for 30 ctl host1 accelerate "$DOM"
	reachable "$IP"
	clean_fsck
}
at_rest() { [[ $(pair "$1" "$2" state) =~ ^(vf|standby)$ ]]; }

declare_case agent_ends_in_attach guest "SIGTERM while it plugs a VF in: agent and switch both end well" within=200
agent_ends_in_attach() {
	ctl host1 standby "$DOM"
	kill_agent_in host1 TERM "$DOM" 'leasing|plugging|proving' accelerate "$DOM"
	expect "the agent does not end" wait_for 10 no_agent_runs host1
	back_on_its_vf host1
}

no_agent_runs() { ! on "$1" pgrep -x sfhybridd; }

# slow_migrate: `sfhybrid-ctl migrate` to host2 in the middle of a copy that takes minutes.
slow_migrate() {
	on host1 virsh migrate-setspeed "$DOM" 1
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource &
	MIGRATION=$!
	expect "it does not leave" wait_for 30 has_state host1 "$DOM" leaving
	expect "host2 expects nobody" wait_for 30 has_domain host2
}
has_domain() { [[ -n $(on "$1" virsh -q list --name) ]]; }
full_speed() { on host1 virsh migrate-setspeed "$DOM" 8796093022207; }

# on_one_host: the guest runs on exactly one host, accelerated, and nothing is left on the
# other. HOST is the one.
on_one_host() {
	local other
	wait_for 120 runs_once || fail "it does not run on exactly one host: $(for other in host1 host2; do
		echo "$other: $(on "$other" virsh -q list --all 2>&1 | tr -s ' \n' ' ')"; done)"
	HOST=host1 other=host2
	[[ $(on host1 virsh -q list --name) == "$DOM" ]] || { HOST=host2 other=host1; }
	echo "it runs on $HOST"
	wait_vf "$HOST" "$DOM" 90 || fail "not accelerated on $HOST: '$(pair "$HOST" "$DOM" state)', '$(pair "$HOST" "$DOM" reason)'"
	reachable "$IP"
	expect "$other keeps a VF" wait_for 20 no_vf_is_used "$other"
	expect "$other: a VF still has a MAC" wait_for 10 no_vf_has_a_mac "$other"
	clean_fsck
}
runs_once() {
	local here there
	here=$(on host1 virsh -q list --name --state-running)
	there=$(on host2 virsh -q list --all --name)
	[[ $here == "$DOM" && -z $there ]] && return
	[[ -z $(on host1 virsh -q list --name) && $(on host2 virsh -q list --name --state-running) == "$DOM" ]]
}
# come_home: to host1, if it is not there.
come_home() {
	full_speed || true
	if [[ $HOST == host2 ]]; then
		ctl host2 migrate "$DOM" "$(uri_of host1)" --persistent --undefinesource
		wait_vf host1 "$DOM" || fail "not accelerated back home"
	fi
	if [[ -n $(on host2 virsh -q list --all --name) ]]; then
		on host2 virsh undefine "$DOM"
	fi
}

# agent_killed_in_migration HOST: and started again.
agent_killed_in_migration() {
	local MIGRATION HOST
	slow_migrate
	# shellcheck disable=SC2016 # for the host's shell
	on "$1" sh -c 'kill -9 $(/usr/lib/sfhybrid-lab/agent pid)'
	reachable "$IP"
	on "$1" /usr/lib/sfhybrid-lab/agent start
	expect "the agent does not answer" wait_for 20 ctl "$1" list
	full_speed || true
	wait "$MIGRATION" || echo "migrate ended with status $?"
	on_one_host
	come_home
}

declare_case agent_dies_at_the_source guest "the source's agent is killed in the middle of a migration" more within=330
agent_dies_at_the_source() { agent_killed_in_migration host1; }

declare_case agent_dies_there guest "the destination's agent is killed in the middle of a migration" more within=330
agent_dies_there() { agent_killed_in_migration host2; }

declare_case libvirtd_dies_at_the_source guest "the source's libvirtd is killed in the middle of a migration" within=330
libvirtd_dies_at_the_source() {
	local MIGRATION HOST
	slow_migrate
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'kill -9 $(/usr/lib/sfhybrid-lab/libvirtd pid)'
	on host1 /usr/lib/sfhybrid-lab/libvirtd start
	wait "$MIGRATION" || echo "migrate ended with status $?"
	on_one_host
	come_home
}

declare_case host_dies_there guest "the destination loses its power in the middle of a migration: the guest keeps running here, on its VF" within=400
host_dies_there() {
	local MIGRATION HOST
	# A host's disk has no journal: else the power cut takes back what the case before has
	# undefined there half a minute ago.
	on host2 sync
	slow_migrate
	lab reset host2
	wait "$MIGRATION" || echo "migrate ended with status $?"
	expect "host2's network is not up again" wait_for 60 ctl host2 up "$NET"
	on_one_host
	is "it runs on" host1 "$HOST"
	come_home
}

declare_case migrate_cancelled guest "Ctrl-C in the middle of migrate: cancelled cleanly, on its VF again" more within=200
migrate_cancelled() {
	local VF MIGRATION HOST
	VF=$(pair host1 "$DOM" vf)
	on host1 virsh migrate-setspeed "$DOM" 1
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c '
		sfhybrid-ctl migrate "$1" "$2" --persistent --undefinesource & client=$!
		until sfhybrid-ctl --json status | grep -q "\"leaving\""; do sleep 0.2; done
		kill -INT $client; wait $client' - "$DOM" "$(uri_of host2)" && fail "migrate succeeded"
	on_one_host
	is "it runs on" host1 "$HOST"
	is "VF" "$VF" "$(pair host1 "$DOM" vf)"
	come_home
}

declare_case two_at_once guest "two guests migrate at once, one each way, there and back" more within=400
two_at_once() {
	local mac MIGRATION
	mac=$(lab guest-mac birch)
	guest_up host2 birch "$mac" "$NET"
	cross host1 host2
	cross host2 host1
	guest_down host2 birch
}

declare_case migrations_wait guest "one migration at a time: the second guest waits on its VF, then migrates; one that waits can be cancelled" more within=400
migrations_wait() {
	local mac MIGRATION second
	mac=$(lab guest-mac birch)
	guest_up host1 birch "$mac" "$NET"
	on host1 /usr/lib/sfhybrid-lab/agent stop
	on host1 sh -c "SFHYBRID_AGENT_ARGS='--migrations 1' /usr/lib/sfhybrid-lab/agent start"
	wait_vf host1 "$DOM" && wait_vf host1 birch || fail "not on their VFs after a restart"
	on host1 virsh migrate-setspeed "$DOM" 20
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource &
	MIGRATION=$!
	expect "$DOM does not leave" wait_for 20 has_state host1 "$DOM" leaving
	second=$(mktemp)
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c '
		sfhybrid-ctl migrate birch "$1" & client=$!
		sleep 1
		kill -INT $client; wait $client' - "$(uri_of host2)" >"$second" 2>&1 && fail "a cancelled migration succeeded"
	grep "waits for one of the migrations" "$second" || fail "it does not say that it waits: $(cat "$second")"
	grep "cancelled" "$second" || fail "it does not say that it is cancelled: $(cat "$second")"
	is "leg of the guest that waited" vf "$(pair host1 birch leg)"
	ctl host1 migrate birch "$(uri_of host2)" --persistent --undefinesource
	wait "$MIGRATION" || fail "$DOM did not migrate"
	is "domains on host1" '' "$(on host1 virsh -q list --all --name)"
	wait_vf host2 "$DOM" && wait_vf host2 birch || fail "not accelerated on host2"
	on host1 /usr/lib/sfhybrid-lab/agent restart
	guest_down host2 birch
	ctl host2 migrate "$DOM" "$(uri_of host1)" --persistent --undefinesource
	wait_vf host1 "$DOM" || fail "$DOM is not accelerated again at home"
	reachable "$IP"
	clean_fsck
}

# cross HERE THERE: $DOM leaves HERE for THERE, birch the other way.
cross() {
	ctl "$2" migrate birch "$(uri_of "$1")" --persistent --undefinesource &
	MIGRATION=$!
	ctl "$1" migrate "$DOM" "$(uri_of "$2")" --persistent --undefinesource
	wait "$MIGRATION" || fail "birch did not migrate from $2 to $1"
	wait_vf "$2" "$DOM" || fail "$DOM is not accelerated on $2: $(pair "$2" "$DOM" reason)"
	wait_vf "$1" birch || fail "birch is not accelerated on $1: $(pair "$1" birch reason)"
	reachable "$IP"
	reachable "$(lab guest-ip "$(lab guest-mac birch)")"
	is "domains on $2" "$DOM" "$(on "$2" virsh -q list --all --name)"
	is "domains on $1" birch "$(on "$1" virsh -q list --all --name)"
	clean_fsck
}

declare_case offline_migration net "a guest that is shut off migrates (--offline): adopted there, accelerated when it starts" more within=330
offline_migration() {
	local mac
	mac=$(lab guest-mac aspen)
	guest_define host1 aspen "$mac" "$NET"
	on host1 virsh migrate --offline --persistent --undefinesource aspen "$(uri_of host2)"
	is "domains on host1" '' "$(on host1 virsh -q list --all --name)"
	expect "it is not adopted there" wait_for 15 is_adopted host2 aspen
	guest_start host2 aspen
	reachable "$(lab guest-ip "$mac")"
	guest_down host2 aspen
	clean_fsck
}

declare_case post_copy guest "virsh migrate --postcopy: the VF comes after RESUMED, as ever" more within=330
post_copy() {
	local host
	# QEMU is no root there, and Debian lets nobody else handle page faults.
	for host in host1 host2; do on "$host" sysctl -q -w vm.unprivileged_userfaultfd=1; done
	virsh_migrate host1 host2 --postcopy --postcopy-after-precopy
	arrived host1 host2
	reachable "$IP"
	clean_fsck
	virsh_migrate host2 host1 --postcopy --postcopy-after-precopy
	arrived host2 host1
	clean_fsck
	for host in host1 host2; do on "$host" sysctl -q -w vm.unprivileged_userfaultfd=0; done
}

declare_case no_hostdev_in_begin guest "the XML that reaches the destination's hook from sfhybrid-ctl migrate has no hostdev" more within=330
no_hostdev_in_begin() {
	local seen
	lab exec host2 sh -c 'cat >/etc/libvirt/hooks/qemu.d/10-tee; chmod +x /etc/libvirt/hooks/qemu.d/10-tee' <<-'HOOK'
	#!/bin/sh
	# Before ours. Its output would replace the XML; it has none.
	[ "$2" != migrate ] || cat >/run/incoming.xml
	HOOK
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource
	seen=$(on host2 cat /run/incoming.xml)
	is "domains in it" 1 "$(grep -c '<domain' <<<"$seen")"
	is "hostdevs in it" 0 "$(grep -c '<hostdev' <<<"$seen" || true)"
	on host2 rm /etc/libvirt/hooks/qemu.d/10-tee /run/incoming.xml
	wait_vf host2 "$DOM" || fail "not accelerated: $(pair host2 "$DOM" reason)"
	migrate host2 host1
}

declare_case guest_keeps_the_vf guest "a guest that ignores the unplug: the migration is refused in time, it keeps its VF; --force resets it" more within=400
guest_keeps_the_vf() {
	local VF began said
	VF=$(pair host1 "$DOM" vf)
	deaf_to_unplugs host1 "$DOM"
	began=$SECONDS
	if said=$(ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource 2>&1); then
		fail "migrate succeeded"
	fi
	echo "$said"
	grep -q -- --force <<<"$said" || fail "no hint to --force in: $said"
	expect "that took $((SECONDS - began)) s" test $((SECONDS - began)) -lt 45
	is "state" vf "$(pair host1 "$DOM" state)"
	is "VF" "$VF" "$(pair host1 "$DOM" vf)"
	reachable "$IP"
	ctl host1 migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource --force
	arrived host1 host2
	reachable "$IP"
	clean_fsck
	migrate host2 host1
}
# deaf_to_unplugs HOST DOM: its kernel hears no ACPI notification of a hot-plug any more.
deaf_to_unplugs() {
	in_guest "$1" "$2" sh -c 'echo disable >/sys/firmware/acpi/interrupts/gpe01'
}
