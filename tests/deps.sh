#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the packages that building, testing and the lab need, through the
# machine's own apt configuration.
#   deps.sh install   install whatever is missing
#   deps.sh ensure    the same, silent when nothing is missing
#   deps.sh list      print the package names
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

packages() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages.txt" "$here/lab/packages.txt"
}

missing() {
	local p
	packages | sort -u | while read -r p; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"
	done
}

case ${1:-} in
list)
	packages | sort -u
	;;
install | ensure)
	mapfile -t want < <(missing)
	if ((${#want[@]} == 0)); then
		[ "$1" = ensure ] || echo "deps: nothing is missing"
		exit 0
	fi
	if ((EUID != 0)); then
		echo "deps: missing: ${want[*]}; run 'make deps' as root" >&2
		exit 1
	fi
	echo "deps: installing ${want[*]}"
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${want[@]}"; } >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "deps: apt could not install them, see above" >&2
		exit 1
	fi
	echo "deps: done"
	;;
*)
	echo "usage: deps.sh install|ensure|list" >&2
	exit 2
	;;
esac
