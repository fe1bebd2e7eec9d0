# A round's meta.json -> the marks that sfh-figures reads, all on the client's clock.
def offset($host; $t):
	.clocks[$host] as [$a, $b] |
	if $b.at_ns == $a.at_ns then $a.offset_ns
	else $a.offset_ns + ($b.offset_ns - $a.offset_ns) * (($t - $a.at_ns) / ($b.at_ns - $a.at_ns)) end;
def on_client($host; $t): ($t + offset($host; $t) | round);
# Half the way there and back of the two questions; drift between them is taken out.
def clock_error: [.clocks[][] | .error_ns] | max;
# QEMU says STOP and RESUME at other times too: the last STOP on the source before the
# first RESUME on the destination, of this round.
def event_times($name; $host):
	[.events[] | select(.event == $name and .host == $host) | .t_ns | tonumber];
. as $m |
(if .from then
	([event_times("RESUME"; .to)[] | . as $t | $m | on_client(.to; $t)] | map(select(. > $m.begin_ns and . < $m.end_ns)) | first) as $resume |
	([event_times("STOP"; .from)[] | . as $t | $m | on_client(.from; $t)] | map(select(. > $m.begin_ns and . < ($resume // 0))) | last) as $stop |
	{stop: $stop, resume: $resume}
else {stop: null, resume: null} end) as $pause |
([.switches[]? | .host as $h | (.wall_ms * 1e6) as $w |
	{host, direction, cause, ok, steps, total_ms, from_ns: ($w as $t | $m | on_client($h; $t))} |
	.to_ns = .from_ns + (.total_ms * 1e6 | round)] |
	map(select(.from_ns > $m.begin_ns - 5e7 and .from_ns < $m.end_ns)) | sort_by(.from_ns)) as $switches |
(if .case == "detach-attach" then .marks.attach
 elif .case == "teaming" then $pause.resume
 elif .from and .vf then ($switches | map(select(.direction == "to-vf" and .host == $m.to)) | last | .from_ns) // null
 else null end) as $plug |
# What `migrate --json` said of its stages.
(if .migrate then .migrate as $told | ($told.wall_ms * 1e6) as $w | ($w as $t | $m | on_client(.from; $t)) as $from |
	{from_ns: $from, stages: [$told.stages[] | {stage, from_ns: ($from + .at_ms * 1e6 | round), to_ns: ($from + (.at_ms + .ms) * 1e6 | round)}]}
else null end) as $migrate |
{begin_ns, end_ns, stop_ns: $pause.stop, resume_ns: $pause.resume,
 clock_error_ns: clock_error,
 switches: $switches, migrate: $migrate,
 phases: (if .from == null then [{name: .case, from_ns: .begin_ns, to_ns: .end_ns}]
	elif $pause.stop == null or $pause.resume == null then []
	else [(if .vf then {name: "to-standby", from_ns: .begin_ns, to_ns: $pause.stop} else empty end),
	{name: "pause", from_ns: $pause.stop, to_ns: $pause.resume},
	{name: "resumed", from_ns: $pause.resume, to_ns: (if $plug then ([$plug, $pause.resume] | max) else .end_ns end)},
	(if $plug then {name: "to-vf", from_ns: ([$plug, $pause.resume] | max), to_ns: .end_ns} else empty end)] end)}
