# SPDX-License-Identifier: GPL-2.0-or-later
# What pool-test and random-test have in common: one lab host with 8 PFs, guests on it,
# and a line for each check. Sourced; NAME is the test's.
# shellcheck shell=bash disable=SC2034 # used by those who source this
here=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
export SFHYBRID_LAB=${SFHYBRID_LAB:-$NAME-$$}
OUT=$(readlink -f "$here/../..")/build/$NAME-test
mkdir -p "$OUT"
log=$OUT/log
: >"$log"
exec 3>&1 # for the figures
passed=0 failed=0
PINS=/sys/fs/bpf/sfhybrid
LEDGER=/run/sfhybrid/ledger.db
declare -A talkers=()

lab() { "$here/lab" "$@"; }
on() { lab exec -n --timeout 120 host1 "$@"; }
lab status >/dev/null 2>&1 && borrowed=1 || borrowed=0

finish() {
	local status=$? # a bare exit in a trap would end with the one from before it
	trap - EXIT
	silence
	((failed == 0)) || lab console host1 >"$OUT/console" 2>&1
	((borrowed)) || lab down
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	((failed == 0)) || status=1
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

ok() { # WHAT CMD...
	local what=$1 started=$SECONDS
	shift
	echo "== $what" >>"$log"
	if "$@" >"$OUT/last" 2>&1; then
		passed=$((passed + 1))
		echo "ok $what ($((SECONDS - started)) s)"
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 25 "$OUT/last" | sed 's/^/    /'
		same_boot
	fi
	cat "$OUT/last" >>"$log"
}

boot_id() { on cat /proc/sys/kernel/random/boot_id; }
# A host that went down and came up again has forgotten everything: no check means anything then.
same_boot() {
	[[ -z ${booted:-} || $(boot_id) == "$booted" ]] && return
	echo "    the host has restarted by itself: see $OUT/console"
	exit 1
}

# until_ok SECONDS CMD...
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || { echo "not within the time: $*"; return 1; }
		sleep 1
	done
}

is() { [[ $1 == "$2" ]] || { printf 'is:     %s\nwanted: %s\n' "$1" "$2"; return 1; }; }
status() { on sfhybrid-ctl --json status; }
# pair DOM FIELD
pair() { status | jq -r --arg d "$1" --arg f "$2" '.pairs[] | select(.domain == $d or .domain_name == $d or .name == $d) | .[$f] // ""'; }
define() { printf '%s\n' "$1" | lab exec --timeout 60 host1 sfhybrid-ctl define -; }

# --- guests: a client that talks to each, else they are "silent" --------------------------

talk() { # DOM
	lab client ping -q -i 0.5 "$(lab guest-ip "$(lab guest-mac "$1")")" >/dev/null 2>&1 &
	talkers[$1]=$!
}
silence() {
	local dom
	for dom in "${!talkers[@]}"; do
		kill "${talkers[$dom]}" 2>/dev/null
	done
	talkers=()
}
adopted() { on virsh dumpxml --inactive "$1" | grep "teaming type='persistent'"; }
guest_defined() { # DOM NETWORK
	lab guest-xml "$1" --network "$2" --memory 192 | lab exec --timeout 60 host1 virsh -q define /dev/stdin &&
		until_ok 30 adopted "$1"
}
guests_start() { # NETWORK DOM...
	local net=$1 dom
	shift
	for dom; do
		guest_defined "$dom" "$net" && on virsh -q start "$dom" || return
		talk "$dom"
	done
}
on_leg() { is "$(pair "$1" leg)" "$2"; }
guest_gone() { # DOM
	on virsh -q destroy "$1" && on virsh -q undefine "$1" && until_ok 30 no_pair "$1"
}
no_pair() { is "$(pair "$1" state)" ''; }

boot() {
	((borrowed)) || lab up --hosts 1 --pfs 8 --memory 4096 2>"$OUT/up.log" || { cat "$OUT/up.log"; return 1; }
	booted=$(boot_id)
}
vfs_there() { on sh -c 'cat /sys/class/net/pf?/device/sriov_numvfs' | awk '{ n += $1 } END { print n }'; }
eight_pfs() { # NETWORK: its XML
	local pfs='' n
	for n in 0 1 2 3 4 5 6 7; do pfs+="<pf dev='pf$n'/>"; done
	printf '%s\n' "<network><name>$1</name><forward mode='pci-passthrough-hybrid'>$pfs</forward></network>"
}
clean() { on sfhybrid-ctl fsck; }
repaired() { on sfhybrid-ctl fsck --repair; }
# finds KIND: fsck says it (and ends with 1, which a pipe would pass on).
finds() {
	local found
	found=$(on sfhybrid-ctl fsck)
	printf '%s\n' "$found"
	grep "^$1 " <<<"$found"
}
