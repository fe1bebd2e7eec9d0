# SPDX-License-Identifier: GPL-2.0-or-later
# How the demo talks: numbered steps, what to notice, what a command printed.
# shellcheck shell=bash

STEP=0
BOLD='' PLAIN=''
if [[ -t 1 ]]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; fi

step() {
	STEP=$((STEP + 1))
	printf '\n%s%2d. %-62s%s [%3d s]\n' "$BOLD" "$STEP" "$1" "$PLAIN" "$SECONDS"
}

note() { printf '    %s\n' "$*"; }

# quote PROMPT COMMAND-AS-TYPED, and on stdin what it printed.
quote() {
	printf '      %s# %s\n' "$1" "$2"
	sed 's/^/      | /'
}

fail() {
	printf '\ndemo: FAILED after %d s in step %d: %s\n' "$SECONDS" "$STEP" "$*" >&2
	exit 1
}

# expect SENTENCE CMD…: the sentence is what is wrong if CMD fails.
expect() {
	local sentence=$1
	shift
	"$@" >/dev/null || fail "$sentence"
}
