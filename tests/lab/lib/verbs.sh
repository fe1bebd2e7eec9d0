# One function a verb. Options come before positional arguments.
# shellcheck shell=bash

is_up() { [[ -e $RUN/config ]]; }

# Loads HOSTS, PFS, MEMORY, INIT of this lab.
load_lab() {
	is_up || die "lab '$LAB' is not up (lab up)"
	INIT=busybox # of labs from before there was a choice
	# shellcheck source=/dev/null
	. "$RUN/config"
}

host_check() {
	[[ ${1-} =~ ^host[12]$ ]] || usage_error "HOST is host1 or host2, not '${1-}'"
	is_up || die "lab '$LAB' is not up (lab up)"
	[[ -e $RUN/$1.pid ]] || die "lab '$LAB' has no $1"
}

number_check() { # NAME VALUE MIN MAX
	[[ $2 =~ ^[0-9]{1,6}$ && $2 -ge $3 && $2 -le $4 ]] || usage_error "$1 is a number from $3 to $4, not '$2'"
}

no_args() { [[ $# -eq 0 ]] || usage_error "what is '$1' for?"; }

# option_value "$@": the value of option $1, or a usage error.
option_value() {
	[[ $# -ge 2 ]] || usage_error "$1 needs a value"
	printf '%s\n' "$2"
}

verb_up() {
	local host hosts=2 pfs=1 memory=3072 init=busybox bare=no
	while [[ $# -gt 0 ]]; do
		case $1 in
		--hosts) hosts=$(option_value "$@") ; shift ;;
		--pfs) pfs=$(option_value "$@") ; shift ;;
		--memory) memory=$(option_value "$@") ; shift ;;
		--init) init=$(option_value "$@") ; shift ;;
		--name) lab_select "$(option_value "$@")" ; shift ;;
		--bare) bare=yes ;;
		*) usage_error "up: what is '$1'?" ;;
		esac
		shift
	done
	number_check --hosts "$hosts" 1 2
	number_check --pfs "$pfs" 1 8
	number_check --memory "$memory" 1024 65536
	[[ $init == busybox || $init == systemd ]] || usage_error "--init is busybox or systemd, not '$init'"
	need_root
	need_tools mmdebstrap mke2fs ip gcc flock nsenter setsid xz make sysctl
	if is_up; then
		load_lab
		[[ "$HOSTS $PFS $MEMORY $INIT" == "$hosts $pfs $memory $init" ]] ||
			die "lab '$LAB' is already up with --hosts $HOSTS --pfs $PFS --memory $MEMORY --init $INIT: 'lab down' first"
		say "lab '$LAB' is already up"
		return
	fi
	if [[ -e $RUN ]]; then
		! pid_alive "$RUN/up.pid" >/dev/null || die "lab '$LAB' is being brought up already"
		lab_remove # an 'up' that was killed
	fi
	# shellcheck disable=SC2034 # host_start reads HOST_CMDLINE
	HOSTS=$hosts PFS=$pfs MEMORY=$memory INIT=$init HOST_CMDLINE=${SFHYBRID_LAB_CMDLINE:-}
	[[ $INIT != systemd ]] || HOST_CMDLINE="sfh.init=/lib/systemd/systemd $HOST_CMDLINE"
	cache_build
	mkdir -p "$RUN"
	pid_record "$RUN/up.pid" $$
	trap 'trap "" INT TERM HUP; say "interrupted: removing lab $LAB"; lab_remove; exit 130' INT TERM HUP
	trap 'lab_remove' EXIT
	mkdir -p "$RUN/product"
	[[ $bare == yes ]] || product_stage "$RUN/product"
	net_up "$HOSTS" "$PFS"
	for ((n = 1; n <= HOSTS; n++)); do
		host_overlay "host$n" "$RUN/product"
		host_start "host$n"
	done
	rm -rf "$RUN/product"
	progress "booting $HOSTS host(s) ($([[ $KVM == yes ]] && echo KVM || echo emulated))"
	hosts_wait || exit 1
	printf 'HOSTS=%d PFS=%d MEMORY=%d INIT=%s\n' "$HOSTS" "$PFS" "$MEMORY" "$INIT" >"$RUN/config"
	rm -f "$RUN/up.pid"
	trap - EXIT INT TERM HUP
	progress "lab '$LAB' is up"
}

# All hosts at once. Waited for one by one, so that a signal gets through.
hosts_wait() {
	local n pids=() failed=0
	for ((n = 1; n <= HOSTS; n++)); do
		(trap - EXIT INT TERM HUP; host_wait "host$n") &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" || failed=1
	done
	return $failed
}

lab_remove() {
	local file pid
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || true
	done
	# An 'up' still at work first: it would start what is ended here.
	for file in "$RUN"/{up,host1,host2}.pid; do
		[[ ! -e $file ]] || pid_end "$file"
	done
	net_down
	rm -rf "$RUN"
	rmdir "$LAB_BUILD/run" 2>/dev/null || true
}

verb_down() {
	while [[ $# -gt 0 ]]; do
		case $1 in
		--name) lab_select "$(option_value "$@")"; shift ;;
		*) usage_error "down: what is '$1'?" ;;
		esac
		shift
	done
	need_root
	lab_remove
}

verb_status() {
	local n pid
	if [[ ${1-} == --name ]]; then
		lab_select "$(option_value "$@")"
		shift 2
	fi
	no_args "$@"
	is_up || { echo "lab '$LAB' is not up"; exit 1; }
	load_lab
	echo "lab '$LAB': $HOSTS host(s), $PFS PF(s) each, $MEMORY MiB each"
	for ((n = 1; n <= HOSTS; n++)); do
		if pid=$(pid_alive "$RUN/host$n.pid"); then
			echo "host$n: QEMU $pid, $(labx -n "$(mgmt_addr "host$n")" "$LABD_PORT" /usr/lib/sfhybrid-lab/ready 0 2>&1 &&
				echo ready)"
		else
			echo "host$n: dead (console: ${RUN#"$REPO"/}/host$n.console)"
		fi
	done
}

verb_list() {
	no_args "$@"
	labs_up
}

labs_up() {
	local config
	for config in "$LAB_BUILD"/run/*/config; do
		[[ ! -e $config ]] || basename "$(dirname "$config")"
	done
}

# Options that exec and guest share; sets LABX_OPTS and SHIFT.
reach_options() {
	local all=$#
	LABX_OPTS=()
	while [[ ${1-} == -* ]]; do
		case $1 in
		-n) LABX_OPTS+=(-n) ;;
		--wait) LABX_OPTS+=(-w "$(option_value "$@")"); shift ;;
		--timeout) LABX_OPTS+=(-t "$(option_value "$@")"); shift ;;
		--name) lab_select "$(option_value "$@")"; shift ;;
		*) usage_error "what is '$1'?" ;;
		esac
		shift
	done
	SHIFT=$((all - $#))
}

verb_exec() {
	local host
	reach_options "$@"
	shift "$SHIFT"
	host=${1-}
	host_check "$host"
	[[ $# -ge 2 ]] || usage_error "exec HOST CMD..."
	shift
	exec "$BIN/labx" -N "/run/netns/$NS_WIRE" "${LABX_OPTS[@]}" "$(mgmt_addr "$host")" "$LABD_PORT" "$@"
}

verb_guest() {
	local host dom
	reach_options "$@"
	shift "$SHIFT"
	host=${1-} dom=${2-}
	host_check "$host"
	[[ $# -ge 3 ]] || usage_error "guest HOST DOM CMD..."
	shift 2
	exec "$BIN/labx" -N "/run/netns/$NS_WIRE" "${LABX_OPTS[@]}" -g "$dom" "$(mgmt_addr "$host")" "$LABD_PORT" "$@"
}

verb_guest_xml() {
	local name=${1-} mac='' network=hybrid0 memory=256 actual=yes cmdline=''
	[[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || usage_error "guest-xml NAME [options]"
	shift
	while [[ $# -gt 0 ]]; do
		case $1 in
		--mac) mac=$(option_value "$@"); shift ;;
		--network) network=$(option_value "$@"); shift ;;
		--memory) memory=$(option_value "$@"); shift ;;
		--cmdline) cmdline=$(option_value "$@"); shift ;;
		--no-rfc-actual) actual=no ;;
		*) usage_error "guest-xml: what is '$1'?" ;;
		esac
		shift
	done
	mac=${mac:-$(guest_mac "$name")}
	mac_check "$mac"
	number_check --memory "$memory" 64 65536
	guest_xml "$name" "$mac" "$network" "$memory" "$actual" "$cmdline"
}

verb_guest_ip() {
	[[ $# -eq 1 ]] || usage_error "guest-ip MAC"
	guest_ip "$1"
}

verb_guest_mac() {
	[[ $# -eq 1 ]] || usage_error "guest-mac NAME"
	guest_mac "$1"
}

verb_client() {
	is_up || die "lab '$LAB' is not up (lab up)"
	[[ $# -ge 1 ]] || usage_error "client CMD..."
	exec ip netns exec "$NS_CLIENT" "$@"
}

verb_netboot() {
	local name=${1-} cmdline=''
	is_up || die "lab '$LAB' is not up (lab up)"
	[[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || usage_error "netboot NAME [--cmdline WORDS]"
	shift
	while [[ $# -gt 0 ]]; do
		case $1 in
		--cmdline) cmdline=$(option_value "$@"); shift ;;
		*) usage_error "netboot: what is '$1'?" ;;
		esac
		shift
	done
	rootfs_locate || die "the hosts' root filesystem is not the one that this lab was brought up with"
	netboot "$(guest_cmdline "$name" "$cmdline")"
}

verb_pf() {
	host_check "${1-}"
	load_lab
	[[ ${2-0} =~ ^[0-9]$ && ${2-0} -lt $PFS ]] || die "$1 has no PF number ${2-0}: there are $PFS"
	echo "pf${2-0}"
}

verb_install() {
	local n host
	load_lab
	[[ $# -eq 0 ]] || host_check "$1"
	rm -rf "$RUN/product"
	mkdir -p "$RUN/product"
	product_stage "$RUN/product"
	for ((n = 1; n <= HOSTS; n++)); do
		host=host$n
		[[ $# -eq 0 || $1 == "$host" ]] || continue
		tree_tar "$RUN/product" |
			labx "$(mgmt_addr "$host")" "$LABD_PORT" /usr/lib/sfhybrid-lab/install ||
			die "$host: installing failed"
		progress "$host: installed"
	done
	rm -rf "$RUN/product"
}

verb_link() {
	local up
	[[ $# -eq 3 ]] || usage_error "link HOST N up|down"
	case $3 in
	up) up=true ;;
	down) up=false ;;
	*) usage_error "link HOST N up|down" ;;
	esac
	verb_qmp "$1" "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"$(verb_pf "$1" "$2")\",\"up\":$up}}" >/dev/null
}

verb_qmp() {
	host_check "${1-}"
	[[ $# -eq 2 ]] || usage_error "qmp HOST JSON"
	qmp "$1" "$2" || die "$1: QMP command failed: $2"
}

verb_reset() {
	host_check "${1-}"
	qmp "$1" '{"execute":"system_reset"}' >/dev/null || die "$1: QEMU does not answer"
	: >"$RUN/$1.console"
	host_wait "$1"
}

verb_console() {
	local follow=
	if [[ ${1-} == -f ]]; then
		follow=-f
		shift
	fi
	host_check "${1-}"
	# shellcheck disable=SC2086 # no word if empty
	exec tail -n +1 $follow "$RUN/$1.console"
}

verb_resets() {
	host_check "${1-}"
	exec cat "$RUN/$1.cpu.log"
}

verb_clean() {
	no_args "$@"
	[[ -z $(labs_up) ]] || die "labs are up: $(labs_up | paste -sd ' ')"
	rm -rf "$CACHE" "$BIN"
}
