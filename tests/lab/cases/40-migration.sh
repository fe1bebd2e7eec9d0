# SPDX-License-Identifier: GPL-2.0-or-later
# Migrations, and what may go wrong around them.
# shellcheck shell=bash

migrate() { # FROM TO
	ctl "$1" migrate "$DOM" "$(uri_of "$2")" --persistent --undefinesource
	arrived "$1" "$2"
}

# arrived FROM TO: accelerated there, nothing of it here.
arrived() {
	wait_vf "$2" "$DOM" || fail "not accelerated on $2: state '$(pair "$2" "$DOM" state)', reason '$(pair "$2" "$DOM" reason)'"
	expect "$1: a VF still has a MAC" no_vf_has_a_mac "$1"
	expect "$1: a VF is still in use" no_vf_is_used "$1"
	is "$1: pair" '' "$(pair "$1" "$DOM" state)"
	is "$1: domains" '' "$(on "$1" virsh -q list --all --name)"
	vf_line "$2" "$(pair "$2" "$DOM" vf)" | grep -c "$MAC"
	is "$2: live hostdevs" 1 "$(live_xml "$2" "$DOM" hostdev | grep -c '<hostdev')"
	is "$2: persistent hostdevs" '' "$(saved_xml "$2" "$DOM" hostdev)"
	# Its memory was populated for this run only: the definition is its owner's.
	is "$2: allocation" 1 "$(live_xml "$2" "$DOM" memoryBacking | grep -c "<allocation mode='immediate'/>")"
	is "$2: persistent memoryBacking" '' "$(saved_xml "$2" "$DOM" memoryBacking)"
	guest_netdevs "$2" "$DOM" | grep -c ' primary igbvf '
}

declare_case migrate_there_and_back guest "live migration there and back: accelerated each time, VF freed behind it" within=330
migrate_there_and_back() {
	local began
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	migrate host1 host2
	sleep "$SETTLE"
	few_lost "$began" 250 5000
	began=$(now_ns)
	migrate_and_tell host2 host1
	sleep "$SETTLE"
	few_lost "$began" 250 5000
}

# migrate_and_tell FROM TO: its --json says when each stage and switch began, as `history` does.
migrate_and_tell() {
	local said recorded
	said=$(ctl "$1" --json migrate "$DOM" "$(uri_of "$2")" --persistent --undefinesource)
	recorded=$(ctl "$1" --json history | jq '[.switches[] | select(.direction == "to-standby" and .cause == "migration")] | last | .wall_ms')
	arrived "$1" "$2"
	echo "history: $recorded; migrate: $said"
	jq -e --argjson recorded "$recorded" '.migrated and (.switches | length) == 1 and
		(.wall_ms + .switches[0].at_ms - $recorded | fabs) <= 2 and (.switches[0].steps | test("let-go=")) and
		(.stages[1].at_ms - .stages[0].ms | fabs) < 1 and .switches[0].ms < .stages[0].ms + .stages[1].ms' <<<"$said"
}

# ssh_between_hosts: sshd on both, and root on either knows and is known to the other. One
# key, made here, is everybody's.
ssh_between_hosts() {
	local host
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'umask 077 && mkdir -p /root/.ssh && cd /root/.ssh &&
		ssh-keygen -q -t ed25519 -N "" -C lab -f id_ed25519 && cp id_ed25519.pub authorized_keys &&
		echo "host1,host2 $(cat id_ed25519.pub)" >known_hosts'
	on host1 tar -C /root -c .ssh | lab exec host2 tar -C /root -x
	for host in host1 host2; do on "$host" /usr/lib/sfhybrid-lab/sshd start; done
}
no_ssh() {
	local host
	for host in host1 host2; do
		on "$host" /usr/lib/sfhybrid-lab/sshd stop
		on "$host" sh -c 'rm -r /root/.ssh/* /var/log/sshd.log'
	done
}
# came_by_ssh FROM TO: to see whether sshd is ready each host comes from its own address.
came_by_ssh() {
	# shellcheck disable=SC2016 # for the host's shell
	expect "nobody came from $1 to $2 by ssh" on "$2" sh -c \
		'grep -F "Accepted publickey for root from $(getent hosts "$1" | cut -d " " -f 1) " /var/log/sshd.log' - "$1"
}

declare_case migrate_ssh guest "over qemu+ssh: sfhybrid-ctl migrate there, plain virsh migrate back: accelerated each time, VF freed behind it" within=330
migrate_ssh() {
	# shellcheck disable=SC2034 # uri_of reads it
	local TRANSPORT=ssh began
	ssh_between_hosts
	prober_start "$IP" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	migrate host1 host2
	came_by_ssh host1 host2
	sleep "$SETTLE"
	few_lost "$began" 250 5000
	clean_fsck
	virsh_migrate_hop host2 host1
	came_by_ssh host2 host1
	clean_fsck
	no_ssh
}

declare_case client_dies guest "a client that dies during migrate does not stop it" within=330
client_dies() {
	local line client
	while IFS= read -r line; do
		echo "$line"
		[[ $line != Prepare* ]] || break
	done < <(exec "$REPO/tests/lab/lab" exec -n host1 sfhybrid-ctl migrate "$DOM" "$(uri_of host2)" --persistent --undefinesource)
	client=$!
	kill -KILL "$client"
	expect "sfhybrid-ctl lives on without its caller" wait_for 10 no_client
	is "domain on host1" running "$(on host1 virsh -q domstate "$DOM")"
	expect "the guest did not arrive within 90 s" wait_for 90 has_state host2 "$DOM" vf
	arrived host1 host2
	migrate host2 host1
}
no_client() { ! on host1 pgrep -x sfhybrid-ctl; }

declare_case agent_killed guest "agent killed, guest destroyed meanwhile: the next agent gives everything back" leaves=net
agent_killed() {
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'kill -9 $(/usr/lib/sfhybrid-lab/agent pid)'
	reachable "$IP"
	vf_macs host1 | grep -c "$MAC"
	on host1 virsh destroy "$DOM"
	on host1 virsh undefine "$DOM"
	on host1 /usr/lib/sfhybrid-lab/agent start
	expect "a VF still has the guest's MAC" wait_for 15 no_vf_has_a_mac host1
	expect "a VF is still in use" wait_for 10 no_vf_is_used host1
	is "leases and pairs" 0 "$(on host1 sqlite3 /run/sfhybrid/ledger.db \
		'select (select count(*) from leases) + (select count(*) from pairs)')"
}
