# One emulated SR-IOV host: its QEMU, and whether it is ready.
# shellcheck shell=bash

BOOT_TIMEOUT=${SFHYBRID_LAB_BOOT_TIMEOUT:-240}

# QEMU is that of the hosts' root filesystem, with its own libraries: the
# machine's own may be too old to know igb.
qemu() {
	local lib=$ROOTFS/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=$lib/qemu exec "$ROOTFS/usr/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$lib" \
		"$ROOTFS/usr/bin/qemu-system-x86_64" \
		-L "$ROOTFS/usr/share/seabios" -L "$ROOTFS/usr/share/qemu" -L "$ROOTFS/usr/lib/ipxe/qemu" "$@"
}

# Whether KVM boots a kernel here, and one that can itself start guests: the
# device node alone says nothing. Asked once a kernel; the answer is cached.
kvm_probe() {
	local file answer
	file=$CACHE/kvm-$(uname -r)
	if [[ ! -e $file ]]; then
		answer=no
		if [[ -w /dev/kvm ]] && (
			export -f qemu
			export ROOTFS
			# shellcheck disable=SC2016
			timeout -k 1 8 bash -c 'qemu "$@"' qemu -accel kvm -cpu host -machine q35 -m 512 \
				-nodefaults -no-reboot -display none -serial stdio -kernel "$KERNEL" \
				-initrd "$HOST_INITRAMFS" -append 'console=ttyS0 panic=-1 quiet sfh.probe=1' </dev/null
		) >"$CACHE/kvm-probe.log" 2>&1 && grep -q 'lab: probe ok' "$CACHE/kvm-probe.log"; then
			answer=yes
		fi
		printf '%s\n' "$answer" >"$file"
		progress "KVM usable: $answer"
	fi
	KVM=$(<"$file")
}

# Start time and pid name one process for good; a pid alone may be reused.
process_start() { sed -E 's/^.*\) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

pid_record() { printf '%s %s\n' "$2" "$(process_start "$2")" >"$1"; }

# pid_alive FILE: prints the pid if it is still that process.
pid_alive() {
	local pid start
	[[ -r $1 ]] && read -r pid start <"$1" && [[ -n $start && $(process_start "$pid") == "$start" ]] &&
		printf '%s\n' "$pid"
}

pid_end() {
	local pid sig
	for sig in TERM KILL; do
		pid=$(pid_alive "$1") || break
		[[ $pid -ne $$ ]] || break
		kill -"$sig" "$pid" 2>/dev/null || break
		for _ in {1..50}; do
			pid_alive "$1" >/dev/null || break 2
			sleep 0.1
		done
	done
	rm -f "$1"
}

# shellcheck disable=SC2054 # QEMU's commas
host_start() {
	local host=$1 pf args=()
	if [[ $KVM == yes ]]; then
		args+=(-accel kvm -cpu host)
	else
		# TCG emulates SVM and nested paging, so the host has KVM all the same.
		args+=(-accel tcg,thread=multi -cpu EPYC,+svm,+npt)
	fi
	# Memory of a real host is there from the start. Here a first touch would fault
	# twice, and a VF's pinning touches all of its guest's at once.
	args+=(-name "$LAB-$host" -machine q35,kernel-irqchip=split,memory-backend=ram -smp 2 -m "$MEMORY"
		-object "memory-backend-ram,id=ram,size=${MEMORY}M,prealloc=on,prealloc-threads=2"
		-nodefaults -display none -rtc base=utc -chardev "file,id=console,path=$host.console,append=on" -serial chardev:console
		-d cpu_reset -D "$host.cpu.log"
		-qmp "tcp:127.0.0.1:$(qmp_port "$host"),server=on,wait=off"
		-device intel-iommu,intremap=on,caching-mode=on
		-device virtio-rng-pci
		# Everything a host writes goes to an unlinked temporary file.
		-drive "file=$ROOT_IMAGE,format=raw,if=none,id=root,snapshot=on,cache=unsafe"
		-device virtio-blk-pci,drive=root
		-drive "file=$host.tar,format=raw,if=none,id=overlay,readonly=on"
		-device virtio-blk-pci,drive=overlay
		-netdev "tap,id=mgmt,ifname=$(mgmt_tap "$host"),script=no,downscript=no"
		-device "virtio-net-pci,netdev=mgmt,mac=$(mgmt_mac "$host"),romfile=")
	for ((pf = 0; pf < PFS; pf++)); do
		args+=(-device "pcie-root-port,id=port$pf,chassis=$((pf + 1)),slot=$((pf + 1))"
			-netdev "tap,id=pf$pf,ifname=$(pf_tap "$host" "$pf"),script=no,downscript=no"
			-device "igb,bus=port$pf,netdev=pf$pf,mac=$(pf_mac "$host" "$pf"),romfile=")
	done
	args+=(-kernel "$KERNEL" -initrd "$HOST_INITRAMFS" -append
		"console=ttyS0 quiet panic=0 mitigations=off no_timer_check intel_iommu=on iommu=pt net.ifnames=0 $HOST_CMDLINE")
	(
		cd "$RUN" || exit 1
		export -f qemu
		export ROOTFS TMPDIR=$RUN
		# shellcheck disable=SC2016
		exec setsid nsenter --net="/run/netns/$NS_WIRE" -- bash -c 'qemu "$@"' qemu "${args[@]}" \
			</dev/null >"$host.qemu.log" 2>&1
	) &
	pid_record "$RUN/$host.pid" $!
}

labx() { "$BIN/labx" -N "/run/netns/$NS_WIRE" "$@"; }

# Waits until the host answers and its daemons do; one line for each.
host_wait() {
	local host=$1 addr end=$((SECONDS + BOOT_TIMEOUT))
	addr=$(mgmt_addr "$host")
	until labx -n -w 2 -t 2 "$addr" "$LABD_PORT" true 2>/dev/null; do
		pid_alive "$RUN/$host.pid" >/dev/null || { host_failed "$host" "its QEMU has ended"; return 1; }
		! grep -q 'Kernel panic' "$RUN/$host.console" || { host_failed "$host" "its kernel has panicked"; return 1; }
		[[ $SECONDS -lt $end ]] || { host_failed "$host" "no answer within $BOOT_TIMEOUT s"; return 1; }
	done
	progress "$host: booted, starting its daemons"
	labx -n "$addr" "$LABD_PORT" /usr/lib/sfhybrid-lab/ready "$BOOT_TIMEOUT" ||
		{ host_failed "$host" "its daemons are not ready"; return 1; }
	progress "$host: ready"
}

host_failed() {
	say "$1: $2; the end of its console:"
	tail -n 25 "$RUN/$1.console" >&2 2>/dev/null || true
	tail -n 5 "$RUN/$1.qemu.log" >&2 2>/dev/null || true
}

# qmp HOST JSON: the answer to one command; fails if that is an error.
qmp() {
	# shellcheck disable=SC2016 # for the shell in the namespace
	in_wire bash -c '
		exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
		IFS= read -r -t 10 <&3 || exit 1 # the greeting
		printf "%s\n" "{\"execute\":\"qmp_capabilities\"}" "$2" >&3
		IFS= read -r -t 10 <&3 || exit 1
		while IFS= read -r -t 10 line <&3; do
			[[ $line != *"\"event\":"* ]] || continue
			printf "%s\n" "${line%$(printf "\r")}"
			[[ $line != *"\"error\":"* ]]
			exit
		done
		exit 1' qmp "$(qmp_port "$1")" "$2"
}
