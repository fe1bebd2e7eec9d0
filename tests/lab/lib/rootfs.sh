# The hosts' root filesystem: Debian 13 from the mirror this machine already
# uses. It holds packages only; everything of ours is laid over it at boot.
# shellcheck shell=bash

SUITE=trixie

# The archive's address is whatever apt here is configured with.
mirror_uri() {
	local uri
	# shellcheck disable=SC2016 # apt's own variables
	uri=$(apt-get indextargets --format '$(REPO_URI)' \
		'Origin: Debian' 'Label: Debian' 'Component: main' | sort -u | head -n 1)
	[[ -n $uri ]] || die "apt knows no Debian archive here: run 'apt-get update' first"
	printf '%s\n' "$uri"
}

# Proxy and validity settings this machine needs to reach its mirror.
mirror_aptopts() {
	apt-config dump | grep -E '^Acquire::(https?|Retries|Check-|ForceIPv)' |
		grep -v '""' || true
}

packages_of() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

rootfs_key() {
	{
		packages_of "$LAB_SRC/rootfs-packages.txt"
		echo "$SUITE"
		declare -f rootfs_bootstrap rootfs_build
	} | sha256sum | cut -c 1-12
}

# Sets ROOTFS (a tree, also where QEMU is run from) and ROOT_IMAGE.
rootfs_locate() {
	local dir
	dir=$CACHE/rootfs-$(rootfs_key)
	ROOTFS=$dir/root
	ROOT_IMAGE=$dir/root.ext4
	KERNEL=$ROOTFS/vmlinuz
	export ROOTFS ROOT_IMAGE KERNEL
	[[ -e $dir/complete ]]
}

rootfs_build() {
	local dir=${ROOTFS%/root} log=$CACHE/rootfs.log
	rm -rf "$dir"
	mkdir -p "$dir"
	progress "building the hosts' root filesystem (once; log: ${log#"$REPO"/})"
	rootfs_bootstrap >"$log" 2>&1 || { tail -n 30 "$log" >&2; rm -rf "$dir"; die "mmdebstrap failed"; }
	rm -rf "$ROOTFS"/etc/apt/sources.list* "$ROOTFS"/etc/apt/apt.conf.d/*mmdebstrap* \
		"$ROOTFS/etc/resolv.conf" "$ROOTFS/etc/hostname"
	progress "making the disk image ($(du -sm "$ROOTFS" | cut -f 1) MiB)"
	# Room for logs, guest images and the product.
	mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -L sfhybrid-lab \
		-d "$ROOTFS" "$ROOT_IMAGE" 6G >>"$log" 2>&1 || { tail -n 30 "$log" >&2; die "mke2fs failed"; }
	touch "$dir/complete"
	# Older ones are of no use, but a lab that is up may run from them.
	[[ -n $(labs_up) ]] || find "$CACHE" -maxdepth 1 -name 'rootfs-*' -type d ! -path "$dir" -exec rm -rf {} +
	progress "root filesystem ready"
}

rootfs_bootstrap() {
	local opts=$CACHE/aptopts
	mirror_aptopts >"$opts"
	# No initrd is built inside: ours is a few modules and a busybox.
	# shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
	mmdebstrap --mode=root --variant=essential --format=directory \
		--aptopt="$opts" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/etc/kernel/postinst.d/initramfs-tools' \
		--dpkgopt='force-unsafe-io' \
		--include="$(packages_of "$LAB_SRC/rootfs-packages.txt" | paste -sd,)" \
		--customize-hook='ln -sf "$(cd "$1" && ls boot/vmlinuz-* | head -n 1)" "$1/vmlinuz"' \
		"$SUITE" "$ROOTFS" "$(mirror_uri)"
}
