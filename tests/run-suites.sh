#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs make targets that each end with "N passed, N failed, N skipped" and ends
# with the sum. All suites run, also after a failure.
set -uo pipefail
passed=0 failed=0 skipped=0 status=0
for target in "$@"; do
	echo "== $target"
	log=$(mktemp)
	make --no-print-directory "$target" 2>&1 | tee "$log"
	if ((PIPESTATUS[0] != 0)); then status=1; fi
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	rm -f "$log"
	if [ -z "$line" ]; then
		echo "$target ended without a count"
		status=1 failed=$((failed + 1))
		continue
	fi
	read -r p _ f _ s _ <<<"$line"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "== all suites"
echo "$passed passed, $failed failed, $skipped skipped"
((status == 0 && failed == 0))
