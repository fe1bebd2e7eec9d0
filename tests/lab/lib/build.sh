# What is compiled or staged for the hosts. All of it lands in build/lab/.
# shellcheck shell=bash

BENCH_SRC=$REPO/bench/failover

tools_build() {
	local tool
	mkdir -p "$BIN"
	for tool in labd labx labnet; do
		[[ $BIN/$tool -nt $LAB_SRC/$tool.c && $BIN/$tool -nt $LAB_SRC/labproto.h ]] && continue
		# Static: labd and labnet also run in a guest that has no libraries.
		gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -static -o "$BIN/$tool.new" "$LAB_SRC/$tool.c"
		mv "$BIN/$tool.new" "$BIN/$tool"
	done
	# What measures in a guest (make bench-failover, make bench-pinning).
	for tool in echo stall; do
		[[ $BIN/sfh-$tool -nt $BENCH_SRC/$tool.c && $BIN/sfh-$tool -nt $BENCH_SRC/duplex.h ]] && continue
		gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -static -I"$REPO" -o "$BIN/sfh-$tool.new" "$BENCH_SRC/$tool.c"
		mv "$BIN/sfh-$tool.new" "$BIN/sfh-$tool"
	done
}

is_newer_than_all() {
	local file=$1 source
	shift
	[[ -e $file ]] || return 1
	for source in "$@"; do
		[[ $file -nt $source ]] || return 1
	done
}

# Everything a lab needs that does not depend on the lab: once, then cached.
cache_build() {
	mkdir -p "$CACHE"
	exec {lock}>"$CACHE/.lock"
	flock "$lock"
	tools_build
	rootfs_locate || rootfs_build
	HOST_INITRAMFS=${ROOTFS%/root}/host.cpio
	GUEST_INITRAMFS=${ROOTFS%/root}/guest.cpio
	is_newer_than_all "$HOST_INITRAMFS" "$LAB_SRC/lib/initramfs.sh" "$LAB_SRC/host/initramfs-init" ||
		host_initramfs "$HOST_INITRAMFS"
	is_newer_than_all "$GUEST_INITRAMFS" "$LAB_SRC/lib/initramfs.sh" "$LAB_SRC"/guest/* "$BIN"/lab{d,net} \
		"$BIN/sfh-echo" "$BIN/sfh-stall" "$REPO/docs/guest/sfhybrid-bond" ||
		guest_initramfs "$GUEST_INITRAMFS"
	kvm_probe
	exec {lock}>&-
}

# product_stage DIR: the built tree, as 'make install' lays it out.
product_stage() {
	local log=$RUN/install.log
	mkdir -p "$1"
	if ! make -s -j"$(nproc)" -C "$REPO" install DESTDIR="$1" PREFIX=/usr >"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "'make install' failed ('lab up --bare' boots hosts without the built tree)"
	fi
}

# host_overlay HOST PRODUCT_DIR: the tar that is laid over the host's root.
host_overlay() {
	local host=$1 product=$2 dir=$RUN/$1.overlay lib n peer
	lib=$dir/usr/lib/sfhybrid-lab
	mkdir -p "$lib/guest" "$dir"/etc/{libvirt,modprobe.d} "$dir/var/lib/libvirt/images"
	cp "$LAB_SRC"/host/lib/* "$lib/"
	cp "$BIN/labd" "$BIN/sfh-echo" "$lib/"
	cp "$GUEST_INITRAMFS" "$lib/guest/initramfs"
	ln -s "/boot/$(basename "$(readlink "$KERNEL")")" "$lib/guest/vmlinuz"
	cp "$LAB_SRC/host/etc/inittab" "$dir/etc/"
	cp "$LAB_SRC"/host/etc/{qemu,libvirtd}.conf "$dir/etc/libvirt/"
	n=${host#host}
	# Hosts that share a UUID are one host to libvirt, which then refuses to migrate.
	printf 'host_uuid = "5f4b1d00-0000-4000-8000-%012d"\n' "$n" >>"$dir/etc/libvirt/libvirtd.conf"
	printf '%032d\n' "$n" >"$dir/etc/machine-id"
	printf '%s\n' "$host" >"$dir/etc/hostname"
	{
		printf '127.0.0.1 localhost\n'
		for peer in host1 host2; do
			printf '%s %s\n' "$(mgmt_addr "$peer")" "$peer"
		done
	} >"$dir/etc/hosts"
	printf "LAB_HOST=%s\nLAB_MGMT_MAC=%s\nLAB_MGMT_ADDR=%s\n" \
		"$host" "$(mgmt_mac "$host")" "$(mgmt_addr "$host")" >"$dir/etc/sfhybrid-lab.conf"
	cp -a "$product/." "$dir/"
	[[ $INIT != systemd ]] || systemd_overlay "$dir"
	tree_tar "$dir" >"$RUN/$host.tar"
	rm -rf "$dir"
}

# systemd_overlay DIR: what a host needs beside that when systemd is its PID 1.
systemd_overlay() {
	local etc=$1/etc/systemd/system unit
	mkdir -p "$etc"/{multi-user,sockets}.target.wants
	cp "$LAB_SRC"/host/systemd/*.service "$etc/"
	# cgroups and mount namespaces work there: QEMU is isolated as on a real host.
	cp "$LAB_SRC/host/systemd/qemu.conf" "$1/etc/libvirt/"
	for unit in "$LAB_SRC"/host/systemd/*.service; do
		ln -sf "/etc/systemd/system/${unit##*/}" "$etc/multi-user.target.wants/"
	done
	# With socket activation listen_tcp says nothing.
	ln -sf /usr/lib/systemd/system/libvirtd-tcp.socket "$etc/sockets.target.wants/"
	# What 'systemctl enable' would do, which 'make install' leaves to the administrator.
	[[ ! -e $1/usr/lib/systemd/system/sfhybridd.service ]] ||
		ln -sf /usr/lib/systemd/system/sfhybridd.service "$etc/multi-user.target.wants/"
	# Nobody logs in, and nothing is to be rotated: each would cost seconds.
	for unit in serial-getty@ttyS0.service getty@tty1.service systemd-logind.service cron.service \
		ssh.service ssh.socket systemd-hwdb-update.service systemd-journal-catalog-update.service ldconfig.service; do
		ln -sf /dev/null "$etc/$unit"
	done
}

# Files and links only: an entry for a directory would replace the link
# that /lib is on the host.
tree_tar() {
	(cd "$1" && find . ! -type d -print0 | tar -c --null --owner=0 --group=0 --no-recursion -T -)
}
