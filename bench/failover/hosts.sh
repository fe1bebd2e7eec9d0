# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts of the lab with what each case needs, side by side, all on one wire:
# pf0 for sfhybrid, a bridge over pf1 with its VFs, macvtap on pf2, and for the floor a
# bridge over pf3, which has no VFs: with them the NIC sends a guest's broadcasts back, and
# the bridge learns that the guest is outside.
# Sourced by bench/failover/run.
# shellcheck shell=bash

HOSTS=(host1 host2)
HYBRID_NET=failover-hybrid
POOL_VF=0   # <teaming>'s pool takes the first free one
MANUAL_VF=6 # detach-attach's, by address

hosts_up() {
	local host
	lab status >/dev/null 2>&1 || lab_boot "$OUT/lab-up.log" "${#HOSTS[@]}" --pfs 4 --memory 4096 || exit 1
	for host in "${HOSTS[@]}"; do
		on "$host" ip link show br-fail >/dev/null 2>&1 || host_setup "$host"
	done
}

# host_setup HOST
host_setup() {
	# shellcheck disable=SC2016 # for the host's shell
	on "$1" sh -ec '
		echo 7 >/sys/class/net/pf1/device/sriov_numvfs
		ip link add br-fail type bridge stp_state 0 forward_delay 0 mcast_snooping 0
		ip link set pf1 master br-fail
		ip link set pf1 up
		ip link set br-fail up
		ip link set pf2 up
		ip link add br-floor type bridge stp_state 0 forward_delay 0 mcast_snooping 0
		ip link set pf3 master br-floor
		ip link set pf3 up
		ip link set br-floor up
		setsid /usr/lib/sfhybrid-lab/sfh-echo </dev/null >/dev/null 2>&1 &
		setsid stdbuf -oL virsh -q qemu-monitor-event --loop </dev/null >/var/log/qemu-events.log 2>&1 &'
	libvirt_network "$1" bridge-net "<forward mode='bridge'/><bridge name='br-fail'/>"
	libvirt_network "$1" floor-net "<forward mode='bridge'/><bridge name='br-floor'/>"
	libvirt_network "$1" vf-pool "<forward mode='hostdev' managed='yes'><pf dev='pf1'/></forward>"
	libvirt_network "$1" macvtap-net "<forward mode='bridge'><interface dev='pf2'/></forward>"
	network_up "$1" "$HYBRID_NET" >/dev/null
}

# libvirt_network HOST NAME BODY
libvirt_network() {
	printf '<network><name>%s</name>%s</network>\n' "$2" "$3" | lab exec "$1" virsh -q net-define /dev/stdin
	on "$1" virsh -q net-start "$2"
}

# clock HOST: what to add to its clock to get the client's, as JSON.
clock() {
	ip netns exec "sfh-$SFHYBRID_LAB-wire" "$REPO/build/sfh-duplex" clock --target "10.78.0.${1#host}"
}

# events HOST DOM FROM_S: QEMU's events since then, JSON lines: event, t_ns on the host's clock.
events() {
	on "$1" grep -F "for domain '$2'" /var/log/qemu-events.log |
		sed -nE "s/^event ([A-Z_]+) at ([0-9]+)\.([0-9]{6}) for domain '[^']*': ?(.*)$/\1 \2\3000 \4/p" |
		jq -Rc --arg host "$1" --argjson from "$3" 'split(" ") as $w | select(($w[1] | tonumber) / 1e9 > $from - 60) |
			{$host, event: $w[0], t_ns: $w[1], data: (($w[2:] | join(" ")) | try fromjson catch null)}'
}

# vcpus_watch DOM: from now on, on each host.
vcpus_watch() {
	local host
	((WATCH_MS > 0)) || return 0
	for host in "${HOSTS[@]}"; do
		lab exec "$host" sh -c 'cat >/tmp/sfh-vcpu; chmod +x /tmp/sfh-vcpu
			mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug' <"$REPO/build/sfh-vcpu"
		# shellcheck disable=SC2016 # for the host's shell
		on "$host" sh -c 'setsid /tmp/sfh-vcpu "$1" "$2" </dev/null >/tmp/vcpus.log 2>&1 & echo $! >/tmp/vcpus.pid' - "$1" "$WATCH_MS"
	done
}

# vcpus_watched DIR: ends that, and keeps what was seen.
vcpus_watched() {
	local host
	((WATCH_MS > 0)) || return 0
	for host in "${HOSTS[@]}"; do
		# shellcheck disable=SC2016 # for the host's shell
		on "$host" sh -c 'kill "$(cat /tmp/vcpus.pid)"; while kill -0 "$(cat /tmp/vcpus.pid)" 2>/dev/null; do sleep 0.1; done; cat /tmp/vcpus.log' >"$1/vcpus-$host.log"
	done
}
