# A lab's two networks, in a namespace of their own: the wire (one bridge that
# all PFs and the client hang on) and the management network.
# shellcheck shell=bash disable=SC2034 # LABD_PORT is used elsewhere

MGMT_NET=10.78.0
LABD_PORT=7
CLIENT_ADDR=10.77.255.254

mgmt_addr() { printf '%s.%d\n' "$MGMT_NET" "${1#host}"; }
mgmt_mac() { printf '52:54:00:78:00:%02x\n' "${1#host}"; }
pf_mac() { printf '52:54:00:77:%02x:%02x\n' "${1#host}" "$2"; }
mgmt_tap() { printf 'h%dmgmt\n' "${1#host}"; }
pf_tap() { printf 'h%dpf%d\n' "${1#host}" "$2"; }

qmp_port() { printf '40%02d\n' "${1#host}"; }

in_wire() { nsenter --net="/run/netns/$NS_WIRE" -- "$@"; }

# A bridge that only forwards: no spanning tree, no learning delay, no snooping.
bridge_add() {
	ip -n "$NS_WIRE" link add "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip -n "$NS_WIRE" link set "$1" up
}

tap_add() {
	in_wire ip tuntap add dev "$1" mode tap vnet_hdr
	ip -n "$NS_WIRE" link set "$1" master "$2" up
}

# Without this the machine's firewall would see the lab's frames, and IPv6
# would add its own.
netns_quiet() {
	local ns=$1 key
	for key in net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables \
		net.bridge.bridge-nf-call-arptables; do
		nsenter --net="/run/netns/$ns" -- sysctl -q -w "$key=0" 2>/dev/null || true
	done
	nsenter --net="/run/netns/$ns" -- sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
}

# net_up HOSTS PFS
net_up() {
	local host pf
	ip netns add "$NS_WIRE"
	ip netns add "$NS_CLIENT"
	netns_quiet "$NS_WIRE"
	netns_quiet "$NS_CLIENT"
	ip -n "$NS_WIRE" link set lo up
	ip -n "$NS_CLIENT" link set lo up
	bridge_add wire
	bridge_add mgmt
	ip -n "$NS_WIRE" addr add "$MGMT_NET.254/24" dev mgmt
	for ((host = 1; host <= $1; host++)); do
		tap_add "$(mgmt_tap "host$host")" mgmt
		for ((pf = 0; pf < $2; pf++)); do
			tap_add "$(pf_tap "host$host" "$pf")" wire
		done
	done
	ip -n "$NS_WIRE" link add client type veth peer name eth0 netns "$NS_CLIENT"
	ip -n "$NS_WIRE" link set client master wire up
	ip -n "$NS_CLIENT" addr add "$CLIENT_ADDR/16" dev eth0
	ip -n "$NS_CLIENT" link set eth0 up
}

# netboot CMDLINE: becomes a DHCP and TFTP server on the client, of which the firmware of
# guests gets the lab's guest. dnsmasq is that of the hosts' root filesystem (libvirt needs
# it there). The addresses that it gives out are nobody's: guests have theirs by their MAC.
netboot() {
	local dir=$RUN/netboot
	mkdir -p "$dir"
	ln -sf "$(readlink -f "$KERNEL")" "$dir/vmlinuz"
	ln -sf "${ROOTFS%/root}/guest.cpio" "$dir/initramfs"
	cat >"$dir/boot.ipxe" <<-IPXE
	#!ipxe
	kernel tftp://$CLIENT_ADDR/vmlinuz initrd=initramfs $1
	initrd tftp://$CLIENT_ADDR/initramfs
	boot
	IPXE
	exec ip netns exec "$NS_CLIENT" \
		"$ROOTFS/usr/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$ROOTFS/usr/lib/x86_64-linux-gnu" \
		"$ROOTFS/usr/sbin/dnsmasq" --conf-file=/dev/null --keep-in-foreground --user=root --pid-file \
		--log-facility=- --port=0 --interface=eth0 --bind-interfaces \
		--dhcp-range=10.77.255.1,10.77.255.99,255.255.0.0,1h --dhcp-authoritative --no-ping \
		--dhcp-leasefile="$dir/leases" --dhcp-option=option:router \
		--dhcp-boot=boot.ipxe --enable-tftp --tftp-root="$dir"
}

# Ends what still runs in the lab's namespaces (started by 'lab client' or
# 'lab exec', nothing else can be in there), then removes them.
net_down() {
	local ns sig pid
	for ns in "$NS_CLIENT" "$NS_WIRE"; do
		[[ -e /run/netns/$ns ]] || continue
		for sig in TERM KILL; do
			for pid in $(ip netns pids "$ns"); do
				[[ $pid -eq $$ ]] || kill -"$sig" "$pid" 2>/dev/null || true
			done
			for _ in {1..20}; do
				[[ -n $(ip netns pids "$ns") ]] || break
				sleep 0.05
			done
		done
		ip netns del "$ns"
	done
}
