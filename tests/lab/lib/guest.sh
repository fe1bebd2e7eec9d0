# Guests: their definition and their address.
# shellcheck shell=bash

GUEST_DIR=/usr/lib/sfhybrid-lab/guest

mac_check() {
	[[ $1 =~ ^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$ ]] || usage_error "not a MAC address: '$1'"
}

# The address that the guest's init gives to the NIC with this MAC.
guest_ip() {
	local b
	mac_check "$1"
	IFS=: read -ra b <<<"$1"
	printf '10.77.%d.%d\n' "0x${b[4]}" "0x${b[5]}"
}

# A MAC that is the guest's name's own.
guest_mac() {
	local h
	h=$(printf '%s' "$1" | sha256sum)
	# Fifth byte 1-254: never the client's 10.77.255.254, never .0.0.
	printf '52:54:00:%s:%02x:%02x\n' "${h:0:2}" "$((0x${h:2:2} % 254 + 1))" "$((0x${h:4:2} % 254 + 1))"
}

# guest_cmdline NAME [WORDS]: of its kernel.
guest_cmdline() {
	printf 'console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 sfh.name=%s%s\n' "$1" "${2:+ $2}"
}

# guest_xml NAME MAC NETWORK MEMORY RFC_ACTUAL(yes|no) CMDLINE
guest_xml() {
	local actual=
	if [[ $5 == yes ]]; then
		actual="
      <actual type='direct'>
        <source mode='pci-passthrough-hybrid'/>
      </actual>"
	fi
	cat <<-XML
	<domain type='kvm'>
	  <name>$1</name>
	  <memory unit='MiB'>$4</memory>
	  <vcpu>1</vcpu>
	  <os>
	    <type arch='x86_64' machine='q35'>hvm</type>
	    <kernel>$GUEST_DIR/vmlinuz</kernel>
	    <initrd>$GUEST_DIR/initramfs</initrd>
	    <cmdline>$(guest_cmdline "$1" "$6")</cmdline>
	  </os>
	  <features><acpi/><apic/></features>
	  <cpu mode='host-passthrough'/>
	  <clock offset='utc'/>
	  <on_reboot>restart</on_reboot>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <serial type='file'>
	      <source path='/var/log/libvirt/qemu/$1-serial.log'/>
	    </serial>
	    <channel type='unix'>
	      <target type='virtio' name='org.sfhybrid.lab'/>
	    </channel>
	    <interface type='network'>
	      <source network='$3'/>
	      <mac address='$2'/>
	      <model type='virtio'/>$actual
	    </interface>
	    <memballoon model='none'/>
	  </devices>
	</domain>
	XML
}
