# SPDX-License-Identifier: GPL-2.0-or-later
# failover.json, the table, the picture. Sourced by bench/failover/run.
# shellcheck shell=bash

# shellcheck source=bench/failover/figures
. "$here/figures"

report() {
	local c
	for c in "${!UNAVAILABLE[@]}"; do
		jq -n --arg c "$c" --arg why "${UNAVAILABLE[$c]}" '{($c): $why}'
	done | jq -s --arg machine "$(nproc) cores, $(uname -r)" --arg date "$(date -u +%FT%TZ)" \
		'{unavailable: (add // {}), $machine, $date}' >"$OUT/run.json"
	"$here/figures" "$OUT" >"$OUT.json"
	print_table
	"$here/picture" "$OUT" || say "no picture"
}

print_table() {
	printf '\n%-15s %3s %9s %10s %10s %10s %10s %10s %8s %8s %9s %4s\n' CASE N PAUSE 'TOTAL GAP' WORST 'LESS QUIET' 'LONG GAPS' 'BEYOND' 'LOST TX' 'LOST RX' 'TCP STALL' DUP
	jq -r '.cases[] | if .unavailable then [.name, "-", .unavailable] else .summary as $s |
		[.name, $s.rounds, $s.pause_ms.median, $s.total_gap_ms.median, $s.total_gap_ms.worst, $s.total_gap_less_quiet_ms.median, $s.long_gap_ms.median, $s.gap_beyond_pause_ms.median,
		 $s.lost_tx.median, $s.lost_rx.median, $s.tcp_stall_ms.median, $s.dup] end | map(. // "-") | @tsv' "$OUT.json" |
		while IFS=$'\t' read -r name n pause gap worst less long beyond tx rx tcp dup; do
			if [[ $n == - ]]; then
				printf '%-15s not available: %s\n' "$name" "$pause"
				continue
			fi
			printf '%-15s %3s %9.8s %10.8s %10.8s %10.8s %10.8s %10.8s %8s %8s %9.8s %4s\n' "$name" "$n" "$pause" "$gap" "$worst" "$less" "$long" "$beyond" "$tx" "$rx" "$tcp" "$dup"
		done
	printf '(medians in ms but for WORST, of the rounds of this run; TX: client to guest; %s)\n\n' "${OUT#"$REPO"/}.json"
	jq -r '.witnessed[] | "  \(.direction): the agents'"'"' record of \(.agree) of \(.switches) is where the guest saw it (looking every \(.resolution_ms | . * 10 | round / 10) ms, clocks within \(.error_ms.median * 100 | round / 100) ms, \(.error_ms.worst * 100 | round / 100) at worst); furthest off: \(.worst_off_ms * 10 | round / 10) ms"' "$OUT.json"
	jq -r '.migrate_told | select(.migrations > 0) | "  migrate --json: in \(.holds_pause) of \(.migrations) the pause lies within the stage that it gives for it"' "$OUT.json"
	jq -r '.ratios | to_entries[] | "  \(.key): \(.value // "-")"' "$OUT.json"
}
