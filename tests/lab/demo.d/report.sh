# SPDX-License-Identifier: GPL-2.0-or-later
# What was measured: one JSON object a line while the story runs, report.json and
# a table at its end. Every number is the client's.
# shellcheck shell=bash

# record_switch HOST DIRECTION CAUSE FROM_NS TO_NS
record_switch() {
	local seen
	seen=$(window "$4" "$5")
	jq -c --arg host "$1" --arg direction "$2" --arg cause "$3" \
		'{$host, $direction, $cause, lost, gap_ms, sent, from_ns, to_ns, client_held_up_ms: .tx_gap_ms}' \
		<<<"$seen" >>"$OUT/switches.jsonl"
	note "$2 on $1: the client lost $(jq -r '"\(.lost) of \(.sent) pings, longest silence \(.gap_ms) ms"' <<<"$seen")"
	jq -e '.received > 0' <<<"$seen" >/dev/null || fail "the client heard nothing of the guest during a switch $2 on $1"
}

# record_migration FROM TO START_NS END_NS PAUSE_FROM_NS PAUSE_TO_NS
record_migration() {
	local whole pause
	whole=$(window "$3" "$4")
	pause=$(window "$5" "$6")
	jq -nc --arg from "$1" --arg to "$2" --argjson w "$whole" --argjson p "$pause" \
		'{$from, $to, lost: $w.lost, gap_ms: $w.gap_ms, sent: $w.sent, from_ns: $w.from_ns, to_ns: $w.to_ns,
		  pause: {lost: $p.lost, gap_ms: $p.gap_ms}}' >>"$OUT/migrations.jsonl"
	note "the whole migration: $(jq -r '"\(.lost) of \(.sent) pings lost, longest silence \(.gap_ms) ms"' <<<"$whole")"
}

write_report() {
	jq -n --slurpfile s "$OUT/switches.jsonl" --slurpfile m "$OUT/migrations.jsonl" \
		--argjson all "$(window "$STORY_BEGAN" "$STORY_ENDED")" --argjson seconds "$SECONDS" \
		'{schema: 1, switches: $s, migrations: $m,
		  totals: {sent: $all.sent, lost: $all.lost, gap_ms: $all.gap_ms, seconds: $seconds}}' \
		>"$OUT/report.json"
	rm -f "$OUT/switches.jsonl" "$OUT/migrations.jsonl"
	jq -e '(.switches | length) >= 6 and (.migrations | length) >= 2' "$OUT/report.json" >/dev/null ||
		fail "fewer switches or migrations were measured than the story has"
}

print_table() {
	printf '\n    %-6s %-11s %-10s %6s %6s %12s\n' HOST DIRECTION CAUSE PINGS LOST 'LONGEST GAP'
	jq -r '.switches[] | [.host, .direction, .cause, .sent, .lost, .gap_ms] | @tsv' "$OUT/report.json" |
		while IFS=$'\t' read -r host direction cause sent lost gap; do
			printf '    %-6s %-11s %-10s %6d %6d %9.1f ms\n' "$host" "$direction" "$cause" "$sent" "$lost" "$gap"
		done
	printf '\n    %-29s %6s %6s %12s   %s\n' MIGRATION PINGS LOST 'LONGEST GAP' 'OF IT AROUND THE PAUSE'
	jq -r '.migrations[] | [.from, .to, .sent, .lost, .gap_ms, .pause.lost, .pause.gap_ms] | @tsv' "$OUT/report.json" |
		while IFS=$'\t' read -r from to sent lost gap pause_lost pause_gap; do
			printf '    %-29s %6d %6d %9.1f ms   %d, %.1f ms\n' "$from -> $to" "$sent" "$lost" "$gap" \
				"$pause_lost" "$pause_gap"
		done
	printf '\n    %s\n' "$(jq -r '.totals | "In all: \(.sent) pings, \(.lost) lost, one every 20 ms."' "$OUT/report.json")"
	note "A silence in which little was lost: the frames waited and were answered late."
}

# The agents count switches for themselves: they must tell the same story.
compare_histories() {
	local host
	for host in host1 host2; do
		ctl "$host" --json history >"$OUT/history-$host.json"
		jq -r --arg host "$host" '.switches[] | select(.ok) | "\($host) \(.direction) \(.cause)"' "$OUT/history-$host.json"
	done | sort >"$OUT/switches.agents"
	jq -r '"\(.host) \(.direction) \(.cause)"' "$OUT/switches.jsonl" | sort >"$OUT/switches.client"
	diff "$OUT/switches.client" "$OUT/switches.agents" >&2 ||
		fail "the agents' histories ('>') and what was measured ('<') differ"
	rm -f "$OUT/switches.agents" "$OUT/switches.client"
}
