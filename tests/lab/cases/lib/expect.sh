# SPDX-License-Identifier: GPL-2.0-or-later
# What a case may say. A case runs in a process of its own under `set -e`: it
# fails by `fail`, by an `expect` that is not met, or by any command that fails.
# Its output is shown when it failed; CASE_WHY is the file for the reason.
# shellcheck shell=bash

fail() {
	printf '%s\n' "$*" | tee -a "$CASE_WHY"
	exit 1
}

unexpected() {
	local status=$?
	# The first word is the true one: callers fail in turn.
	[[ -s $CASE_WHY ]] ||
		printf "'%s' ended with status %d (%s:%d)\n" "$BASH_COMMAND" "$status" \
			"${BASH_SOURCE[1]##*/}" "${BASH_LINENO[0]}" | tee "$CASE_WHY"
}

# expect SENTENCE CMD…: SENTENCE says what is wrong if CMD fails.
expect() {
	local sentence=$1
	shift
	"$@" || fail "$sentence"
}

# is WHAT EXPECTED ACTUAL
is() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }

# ends_with STATUS PATTERN CMD…: that exit status, and one line on stderr that
# matches; nothing on stdout. For usage errors (2), more lines may follow the first.
ends_with() {
	local status=$1 pattern=$2 got=0 out err lines
	shift 2
	err=$(mktemp)
	out=$("$@" 2>"$err" </dev/null) || got=$?
	lines=$(wc -l <"$err")
	printf '%s\n  -> %d: %s\n' "$*" "$got" "$(cat "$err")"
	is "exit status of '$*'" "$status" "$got"
	[[ -z $out ]] || fail "'$*' failed, yet wrote to stdout: $out"
	[[ $lines == 1 || $status == 2 ]] || fail "'$*' said $lines lines, not one: $(cat "$err")"
	head -n 1 "$err" | grep -Ec -- "$pattern" || fail "'$*' does not say /$pattern/: $(cat "$err")"
	rm -f "$err"
}
refused() { ends_with 1 "$@"; }

# refused_xml PATTERN XML: by `define` on host1.
refused_xml() {
	local file
	file=$(mktemp)
	printf '%s' "$2" >"$file"
	refused "$1" define_file "$file"
	rm -f "$file"
}
define_file() { lab exec host1 sfhybrid-ctl define - <"$1"; }

# --- traffic -----------------------------------------------------------------------

# few_lost FROM_NS MOST_LOST [MOST_MS]: since then the client was heard, nearly always.
few_lost() {
	local seen
	seen=$(window "$1" "$(now_ns)")
	echo "client: $seen"
	jq -e --argjson lost "$2" --argjson ms "${3:-2000}" \
		'.received > 0 and .lost <= $lost and .gap_ms <= $ms' <<<"$seen" >/dev/null ||
		fail "the client lost $(jq -r '"\(.lost) of \(.sent) pings, longest silence \(.gap_ms) ms"' <<<"$seen"); expected at most $2 and ${3:-2000} ms"
}

reachable() { expect "the client does not reach $1" wait_for 10 is_reachable "$1"; }

# --- what is left --------------------------------------------------------------------

no_vf_has_a_mac() { [[ -z $(vf_macs "$1") ]]; }

# nothing_of_ours HOST: no program, pin, lease or VF.
nothing_of_ours() {
	is "$1: programs" '' "$(on "$1" bpftool net | grep sfh_ || true)"
	is "$1: XDP" '' "$(on "$1" ip link show | grep xdp || true)"
	is "$1: pins" '' "$(on "$1" ls /sys/fs/bpf)"
	is "$1: leases and pairs" 0 "$(on "$1" sqlite3 /run/sfhybrid/ledger.db \
		'select (select count(*) from leases) + (select count(*) from pairs)')"
	is "$1: VFs" 0 "$(on "$1" cat "/sys/class/net/$(lab pf "$1")/device/sriov_numvfs")"
}
