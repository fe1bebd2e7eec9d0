# start, stop, restart and pid for one daemon. Sourced, with these set:
#   NAME, PROGRAM (and its arguments in RUN), LOG, and the function is_ready.
# shellcheck shell=sh

PIDFILE=/run/sfhybrid-lab/$NAME.pid

daemon_pid() {
	pid=$(cat "$PIDFILE" 2>/dev/null) || return 1
	# The file may have been replaced since: the process is still the daemon.
	exe=$(readlink "/proc/$pid/exe") || return 1
	[ "${exe% (deleted)}" = "$(readlink -f "$PROGRAM")" ] && echo "$pid"
}

daemon_start() {
	if daemon_pid >/dev/null; then
		return 0
	fi
	mkdir -p /run/sfhybrid-lab
	# shellcheck disable=SC2086 # RUN is a list of words
	setsid $RUN </dev/null >>"$LOG" 2>&1 &
	pid=$!
	echo "$pid" >"$PIDFILE"
	n=0
	until is_ready; do
		n=$((n + 1))
		if ! kill -0 "$pid" 2>/dev/null || [ $n -ge 600 ]; then
			echo "$NAME did not start; the end of $LOG:" >&2
			tail -n 20 "$LOG" >&2
			return 1
		fi
		sleep 0.1
	done
}

daemon_stop() {
	pid=$(daemon_pid) || return 0
	kill "$pid"
	n=0
	while [ -d "/proc/$pid" ]; do
		n=$((n + 1))
		if [ $n -ge 200 ]; then
			echo "$NAME ($pid) did not end within 20 s: killed" >&2
			kill -9 "$pid"
			return 1
		fi
		sleep 0.1
	done
}

# The daemon is a unit of systemd's where that is PID 1 ('lab up --init systemd').
unit() {
	case ${1-} in
	start | stop | restart)
		systemctl "$1" "$NAME.service" && { [ "$1" = stop ] || until is_ready; do sleep 0.1; done; } && return
		systemctl --no-pager --lines 20 status "$NAME.service" >&2
		return 1
		;;
	pid)
		pid=$(systemctl show --property MainPID --value "$NAME.service")
		[ "$pid" != 0 ] && echo "$pid"
		;;
	*) usage ;;
	esac
}

usage() {
	echo "usage: $NAME start|stop|restart|pid" >&2
	exit 2
}

if [ -d /run/systemd/system ]; then
	unit "$@"
	exit
fi
case ${1-} in
start) daemon_start ;;
stop) daemon_stop ;;
restart) daemon_stop && daemon_start ;;
pid) daemon_pid ;;
*) usage ;;
esac
