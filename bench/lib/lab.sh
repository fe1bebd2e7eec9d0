# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's hosts, and sfhybrid, libvirt and guests on them. Sourced by
# tests/lab/demo, tests/lab/run-cases and bench/switches; SFHYBRID_LAB names the lab.
# shellcheck shell=bash disable=SC2034 # used by those who source this

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PINS=/sys/fs/bpf/sfhybrid

lab() { "$REPO/tests/lab/lab" "$@"; }
on() { lab exec -n "$@"; }                                 # on HOST CMD…
ctl() { lab exec -n "$1" sfhybrid-ctl "${@:2}"; }          # ctl HOST VERB…
in_guest() { lab guest -n --timeout 20 "$@"; }             # in_guest HOST DOM CMD…
uri_of() { printf 'qemu+%s://%s/system\n' "${TRANSPORT:-tcp}" "$1"; }

# lab_boot LOG HOSTS [OPTION…]: an emulated host that loses a timer interrupt while it boots
# stays stuck (seen once in some thirty boots on a busy machine): it gets a second chance.
lab_boot() {
	export SFHYBRID_LAB_BOOT_TIMEOUT=${SFHYBRID_LAB_BOOT_TIMEOUT:-150}
	lab up --hosts "$2" "${@:3}" 2>"$1" && return
	if grep -m 1 -E "no answer within|timer doesn't work" "$1" >&2; then
		echo "once more, then" >&2
		lab up --hosts "$2" "${@:3}" 2>>"$1" && return
	fi
	cat "$1" >&2
	return 1
}

# wait_for SECONDS CMD…: until CMD succeeds; its output is nobody's.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}

# --- networks and domains ----------------------------------------------------------

# network_xml NAME PF [MODE]: the RFC's XML; MODE is what it lacks.
network_xml() {
	local standby=
	[[ -z ${3-} ]] || standby=$'\n'"<standby mode=\"$3\"/>"
	cat <<-XML
	<network>
	<name>$1</name>
	<forward mode="pci-passthrough-hybrid">
	<pf dev="$2"/>$standby
	</forward>
	</network>
	XML
}

# network_up HOST NAME [MODE]: defined on the host's first PF, and up.
network_up() {
	network_xml "$2" "$(lab pf "$1")" "${3-}" | lab exec "$1" sfhybrid-ctl define -
	ctl "$1" up "$2"
}

is_adopted() { # HOST DOM
	on "$1" virsh dumpxml --inactive "$2" | grep -c "<teaming type='persistent'/>"
}

# live_xml HOST DOM ELEMENT: that element of the live XML (nothing if there is none).
live_xml() { on "$1" virsh dumpxml "$2" | xml_element "$3"; }
saved_xml() { on "$1" virsh dumpxml --inactive "$2" | xml_element "$3"; }
xml_element() { sed -n "/^ *<$1[ >]/,/^ *<\/$1>/p"; }

# --- what sfhybrid says --------------------------------------------------------------

# pair HOST DOM FIELD: of `status`; empty if there is no such pair.
pair() {
	ctl "$1" --json status |
		jq -r --arg dom "$2" --arg f "$3" '.pairs[] | select(.domain == $dom) | .[$f]'
}

has_state() { [[ $(pair "$1" "$2" state) == "$3" ]]; }     # HOST DOM STATE

# wait_vf HOST DOM [SECONDS]: until the guest is on its VF leg.
wait_vf() { wait_for "${3:-60}" has_state "$1" "$2" vf; }

# VFs that nobody has, those kept back for arrivals among them.
# count_vfs HOST KEY: total, free, leased, … over all PFs that are up.
count_vfs() { ctl "$1" --json status | jq --arg key "$2" '[.networks[].pfs[][$key]] | add // 0'; }

# no_vf_is_used HOST: neither by a guest nor promised to one.
no_vf_is_used() { [[ $(count_vfs "$1" leased) == 0 && $(count_vfs "$1" reserved) == 0 ]]; }

# --- what the kernel says ------------------------------------------------------------

# vf_line HOST BDF: what `ip link` shows of that VF.
vf_line() {
	# shellcheck disable=SC2016 # for the host's shell
	on "$1" sh -c '
		for vf in /sys/class/net/pf*/device/virtfn*; do
			case $(readlink "$vf") in */"$1") ;; *) continue ;; esac
			pf=${vf#/sys/class/net/}
			ip link show dev "${pf%%/*}" | grep -E "^ +vf ${vf##*virtfn} "
		done' - "$2"
}

# vf_macs HOST: the MACs programmed into VFs, but for the zeroes.
vf_macs() {
	on "$1" ip link show |
		sed -n 's/^ *vf [0-9]* *link\/ether \([0-9a-f:]*\).*/\1/p' | grep -v '^00:00:00:00:00:00$' || true
}

# vf_interrupts HOST BDF: how many the host handled for the VF's user.
vf_interrupts() {
	on "$1" cat /proc/interrupts | awk -v vf="($2)" '
		/vfio-msix/ && index($0, vf) { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i }
		END { print n + 0 }'
}

# guest_netdevs HOST DOM: "NAME ROLE DRIVER RX_PACKETS" of each failover device
# ("master") and of its legs ("primary", "standby").
guest_netdevs() {
	# shellcheck disable=SC2016 # for the guest's shell
	in_guest "$1" "$2" sh -c '
		for dev in /sys/class/net/*; do
			driver=$(readlink "$dev/device/driver") || continue
			driver=${driver##*/}
			if [ ! -e "$dev/master" ]; then role=master
			elif [ "$driver" = virtio_net ]; then role=standby
			else role=primary; fi
			echo "${dev##*/} $role $driver $(cat "$dev/statistics/rx_packets")"
		done'
}
