# Where things are, and how the lab talks. Sourced by tests/lab/lab, never run.
# shellcheck shell=bash disable=SC2034 # used by the files that come after

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO=$(cd "$LAB_SRC/../.." && pwd)
LAB_BUILD=$REPO/build/lab
CACHE=$LAB_BUILD/cache
BIN=$LAB_BUILD/bin
export LAB_SRC REPO LAB_BUILD CACHE BIN

# A lab's own directory, and the names of its network namespaces.
lab_select() {
	LAB=$1
	[[ $LAB =~ ^[a-z0-9][a-z0-9-]{0,15}$ ]] ||
		usage_error "a lab's name is 1-16 of a-z, 0-9 and '-', not '$LAB'"
	RUN=$LAB_BUILD/run/$LAB
	NS_WIRE=sfh-$LAB-wire
	NS_CLIENT=sfh-$LAB-client
}

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage_error() { say "$* (see 'lab --help')"; exit 2; }

# Progress lines carry the seconds since the verb began.
progress() { printf 'lab: [%3ds] %s\n' "$SECONDS" "$*" >&2; }

need_root() { [[ $EUID -eq 0 ]] || die "this needs root: it makes network namespaces"; }

need_tools() {
	local tool missing=()
	for tool in "$@"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[[ ${#missing[@]} -eq 0 ]] ||
		die "missing: ${missing[*]}; run 'make deps' (packages: tests/lab/packages.txt)"
}
