# Rounds and switches, one object each -> failover.json.
def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def both(f): [.[] | f] | map(select(. != null)) | {median: median, worst: max};
def summary: {rounds: length,
	pause_ms: both(.pause_ms), total_gap_ms: both(.total_gap_ms),
	long_gap_ms: both(.long_gap_ms),
	total_gap_less_quiet_ms: both(.total_gap_less_quiet_ms),
	gap_beyond_pause_ms: both(.gap_beyond_pause_ms),
	gap_tx_ms: both(.gap_tx_ms), gap_rx_ms: both(.gap_rx_ms),
	lost_tx: both(.lost_tx), lost_rx: both(.lost_rx), tcp_stall_ms: both(.tcp_stall_ms),
	dup: (map(.dup) | add), reorder: (map(.reorder) | add)};
def ratio($a; $b): if $a and $b and $b > 0 then ($a / $b * 10000 | round / 10000) else null end;
["teaming", "detach-attach", "bridge", "macvtap", "sfhybrid", "sfhybrid-virsh", "to-vf", "to-standby", "stopped", "reborn"] as $order |
. as $all | $run[0] as $run |
[$order[] as $name | ($all | map(select(.case == $name)) | sort_by(.round)) as $rounds |
	($run.unavailable[$name] // null) as $why |
	select(($rounds | length) > 0 or $why) |
	{name: $name, summary: (if $rounds == [] then null else $rounds | summary end), rounds: $rounds} +
	(if $why then {unavailable: $why} else {} end)] as $cases |
($cases | map(select(.summary) | {key: .name, value: .summary}) | from_entries) as $s |
{schema: 1, interval_ms: ($all[0].interval_ms), machine: $run.machine, date: $run.date,
 error_ms: ($all | map(.clock_error_ms) | max), cases: $cases,
 migrate_told: ([$all[].migrate | select(. != null)] | {migrations: length, holds_pause: (map(select(.holds_pause)) | length)}),
 witnessed: ([$all[].switches[]? | select(.off_ms != null)] | group_by(.direction) | map({direction: .[0].direction, switches: length,
	agree: (map(select(.off_ms <= .error_ms)) | length), worst_off_ms: (map(.off_ms) | max), error_ms: (map(.error_ms) | {median: median, worst: max}),
	resolution_ms: (map(.seen_ms[1] - .seen_ms[0]) | median)})),
 ratios: {
	sfhybrid_gap_to_teaming: ratio($s.sfhybrid.total_gap_ms.median; $s.teaming.total_gap_ms.median),
	sfhybrid_gap_to_bridge: ratio($s.sfhybrid.total_gap_ms.median; $s.bridge.total_gap_ms.median),
	sfhybrid_long_gap_to_teaming: ratio($s.sfhybrid.long_gap_ms.median; $s.teaming.long_gap_ms.median),
	sfhybrid_long_gap_to_bridge: ratio($s.sfhybrid.long_gap_ms.median; $s.bridge.long_gap_ms.median),
	sfhybrid_tcp_stall_to_bridge: ratio($s.sfhybrid.tcp_stall_ms.median; $s.bridge.tcp_stall_ms.median),
	sfhybrid_virsh_gap_to_teaming: ratio($s["sfhybrid-virsh"].total_gap_ms.median; $s.teaming.total_gap_ms.median)}}
