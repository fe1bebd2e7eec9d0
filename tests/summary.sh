#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/summary.sh BINARY [args]: runs a Criterion binary and ends with one plain
# line, "N passed, N failed, N skipped". Exit status 0 only if all passed and
# Criterion came to its end; skipped tests are named with their reason.
# SFH_NO_SKIP=1: a skip is a failure.
set -u
out=$(mktemp)
trap 'rm -f "$out"' EXIT
start=$(date +%s%N)
"$@" --color=never 2>&1 | tee "$out"
status=${PIPESTATUS[0]}
ms=$((($(date +%s%N) - start) / 1000000))

# [====] Synthesis: Tested: 3 | Passing: 2 | Failing: 1 | Crashing: 0
line=$(grep -a '^\[====\] Synthesis:' "$out" | tail -1)
num() { sed -n "s/.*$1: *\([0-9]*\).*/\1/p" <<<"$line"; }
if [ -z "$line" ]; then
	echo "$(basename "$1"): ended early, status $status"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
skipped=$(grep -ac '^\[SKIP\]' "$out")
passed=$(num Passing)
failed=$(($(num Failing) + $(num Crashing)))
echo "$(basename "$1"): $((ms / 1000)).$(printf %03d $((ms % 1000))) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" -ne 0 ] || [ "$failed" -eq 0 ] || status=1
[ "${SFH_NO_SKIP:-0}" = 0 ] || [ "$skipped" -eq 0 ] || [ "$status" -ne 0 ] || status=1
[ "$passed" -gt 0 ] || [ "$skipped" -gt 0 ] || [ "$status" -ne 0 ] || status=1
exit "$status"
