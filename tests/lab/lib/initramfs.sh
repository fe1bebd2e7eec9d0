# Small initramfs images: a static busybox, a list of modules, some files.
# shellcheck shell=bash

modules_dir() { printf '%s\n' "$ROOTFS"/usr/lib/modules/*; }

# The files of the named modules and all they need, in the order to load them.
module_files() {
	local dir name line
	dir=$(modules_dir)
	for name in "$@"; do
		line=$(grep -E "(^|/)${name}\.ko[.a-z]*:" "$dir/modules.dep") || continue # built in
		# "module: dependencies", the deepest dependency last.
		tr ' ' '\n' <<<"${line/:/}" | sed '/^$/d' | tac
	done | awk '!seen[$0]++'
}

# stage_busybox DIR: /bin/busybox under the names of all its applets.
stage_busybox() {
	local dir=$1 applet
	mkdir -p "$dir"/{bin,dev,proc,sys,run,tmp,etc,lib/modules,root,usr}
	ln -s bin "$dir/sbin"
	ln -s ../bin "$dir/usr/bin"
	ln -s ../bin "$dir/usr/sbin"
	cp "$ROOTFS/usr/bin/busybox" "$dir/bin/busybox"
	for applet in $("$dir/bin/busybox" --list); do
		[[ $applet == busybox ]] || ln -s busybox "$dir/bin/$applet"
	done
}

# stage_modules DIR NAME…: uncompressed, as insmod there cannot unpack them;
# /lib/modules/order is the order to load them in.
stage_modules() {
	local dir=$1 file name
	shift
	: >"$dir/lib/modules/order"
	while read -r file; do
		name=$(basename "$file")
		name=${name%%.*}
		case $file in
		*.xz) xz -dc "$(modules_dir)/$file" ;;
		*) cat "$(modules_dir)/$file" ;;
		esac >"$dir/lib/modules/$name.ko"
		printf '%s\n' "$name" >>"$dir/lib/modules/order"
	done < <(module_files "$@")
}

# stage_program DIR PATH…: dynamically linked programs of the root filesystem.
stage_program() {
	local dir=$1 path lib
	shift
	for path in "$@"; do
		cp "$ROOTFS$path" "$dir/bin/"
		while read -r lib; do
			mkdir -p "$dir$(dirname "$lib")"
			cp -L "$ROOTFS$lib" "$dir$lib"
		done < <(chroot "$ROOTFS" /lib64/ld-linux-x86-64.so.2 --list "$path" |
			sed -nE 's#^.*[[:space:]](/[^ ]+) \(0x.*#\1#p')
	done
}

# pack_initramfs DIR FILE. Not compressed: unpacking costs more when emulated.
pack_initramfs() {
	(cd "$1" && find . | LC_ALL=C sort | "$ROOTFS/usr/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$2.new"
	mv "$2.new" "$2"
}

# The hosts' own: find the root disk, lay our files over it, go there.
host_initramfs() {
	local dir
	dir=$(mktemp -d "$CACHE/initramfs.XXXXXX")
	stage_busybox "$dir"
	stage_modules "$dir" virtio_blk crc32c_generic crc32c_intel ext4
	install -m 0755 "$LAB_SRC/host/initramfs-init" "$dir/init"
	pack_initramfs "$dir" "$1"
	rm -rf "$dir"
}

guest_initramfs() {
	local dir
	dir=$(mktemp -d "$CACHE/initramfs.XXXXXX")
	stage_busybox "$dir"
	stage_modules "$dir" virtio_pci virtio_console failover net_failover virtio_net igbvf af_packet macvlan bonding
	stage_program "$dir" /usr/sbin/ethtool
	install -m 0755 "$LAB_SRC/guest/init" "$dir/init"
	install -m 0644 "$LAB_SRC/guest/inittab" "$dir/etc/inittab"
	install -m 0755 "$LAB_SRC/guest/netdevs" "$dir/etc/netdevs"
	install -m 0755 "$LAB_SRC/guest/carried" "$dir/bin/carried"
	install -m 0755 "$BIN/labd" "$BIN/labnet" "$dir/bin/"
	install -m 0755 "$BIN/sfh-echo" "$BIN/sfh-stall" "$dir/bin/"
	install -m 0755 "$REPO/docs/guest/sfhybrid-bond" "$dir/bin/sfhybrid-bond"
	pack_initramfs "$dir" "$1"
	rm -rf "$dir"
}
