# SPDX-License-Identifier: GPL-2.0-or-later
# Guests whose firmware boots from the network: on their standby leg until Linux is there.
# shellcheck shell=bash

# diskless: the domain on stdin without a kernel; its firmware is left with its NIC.
diskless() {
	sed -E "/<(kernel|initrd|cmdline)>/d
		s|^( *)<type .*|&\n\1<boot dev='network'/>\n\1<bios useserial='yes'/>|"
}

netboot_begin() { # DOM
	NETBOOT_LOG=$(mktemp)
	"$REPO/tests/lab/lab" netboot "$1" >"$NETBOOT_LOG" 2>&1 &
	NETBOOT=$!
	trap 'netboot_end; prober_stop' EXIT
	wait_for 10 grep -c 'TFTP root' "$NETBOOT_LOG" || fail "no server to boot from: $(cat "$NETBOOT_LOG")"
}
netboot_end() {
	kill "$NETBOOT" 2>/dev/null || true
	wait "$NETBOOT" 2>/dev/null || true
}

# firmware_loads MAC LINE: waits until firmware has got all of the guest, by the server's
# log from LINE on; what `status` says of the NIC until then, each time that it changes.
firmware_loads() {
	local end=$((SECONDS + 150))
	until tail -n "+$2" "$NETBOOT_LOG" | grep -c 'sent .*/initramfs to ' >/dev/null; do
		((SECONDS < end)) || fail "firmware has not got all within 150 s; the server's last word: $(tail -n 1 "$NETBOOT_LOG")"
		ctl host1 --json status |
			jq -r --arg mac "$1" '.pairs[] | select(.mac == $mac) | "\(.state) \(.leg) \(.reason)"'
		sleep 0.3
	done | uniq
}

declare_case pxe_boot net "a guest that boots from the network: no VF under firmware, accelerated when Linux is there; again after virsh reset" within=600 more
pxe_boot() {
	local mac ip from
	mac=$(lab guest-mac hollow)
	ip=$(lab guest-ip "$mac")
	netboot_begin hollow
	kind_xml hollow | diskless | define_xml
	expect "hollow was not adopted within 15 s" wait_for 15 is_adopted host1 hollow
	on host1 virsh start hollow
	is "while firmware runs" "standby standby standby-not-negotiated" "$(firmware_loads "$mac" 1)"
	is "VFs then" 0 "$(count_vfs host1 leased)"
	is "switches then" 0 "$(ctl host1 --json history hollow | jq '.switches | length')"
	talks_to "$mac"
	nic_gets host1 "$mac" state vf 120
	hush
	reachable "$ip"
	# Its firmware had another address than Linux has.
	grep -F "DHCPACK(eth0) 10.77.255." "$NETBOOT_LOG"
	is "MACs of VFs" "$mac" "$(vf_macs host1)"

	from=$(($(wc -l <"$NETBOOT_LOG") + 1))
	on host1 virsh reset hollow
	nic_gets host1 "$mac" leg standby 10
	is "while firmware runs again" "proving standby standby-not-negotiated" "$(firmware_loads "$mac" "$from")"
	vf_line host1 "$(nic host1 "$mac" vf)" | grep -c 'vlan 4094'
	talks_to "$mac"
	nic_gets host1 "$mac" state vf 120
	hush
	reachable "$ip"
	is "VFs" 1 "$(count_vfs host1 leased)"
	is "MACs of VFs" "$mac" "$(vf_macs host1)"
	is "armed" false "$(nic host1 "$mac" armed)"
	ctl host1 fsck
	netboot_end
	kind_down hollow
}
