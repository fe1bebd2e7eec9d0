# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of all kinds: how they come, what NICs they have, what their drivers can.
# shellcheck shell=bash

# --- words of these cases -------------------------------------------------------------

# kind_xml NAME [CMDLINE]: a guest on $NET, without the RFC's <actual> element.
kind_xml() { lab guest-xml "$1" --network "$NET" --no-rfc-actual --cmdline "${2-}"; }

# with_devices XML: the domain on stdin with these devices more.
with_devices() {
	local more=$1
	awk -v more="$more" '/<memballoon/ { print more } { print }'
}

# nic_xml MAC [MORE]: an interface on $NET.
nic_xml() {
	cat <<-XML
	<interface type='network'>
	  <source network='$NET'/>
	  <mac address='$1'/>
	  <model type='virtio'/>${2-}
	</interface>
	XML
}

spare_ports() { # N
	local i
	echo "<controller type='pci' model='pcie-root'/>" # else the first of them would be number 0
	for ((i = 0; i < $1; i++)); do echo "<controller type='pci' model='pcie-root-port'/>"; done
}

# nic HOST MAC FIELD: of `status`, by MAC; empty if there is no such pair.
nic() {
	ctl "$1" --json status |
		jq -r --arg mac "$2" --arg f "$3" '.pairs[] | select(.mac == $mac) | .[$f]'
}
nic_is() { [[ $(nic "$1" "$2" "$3") == "$4" ]]; } # HOST MAC FIELD VALUE
# nic_gets HOST MAC FIELD VALUE SECONDS
nic_gets() {
	expect "$2: $3 did not become '$4' within $5 s: it is '$(nic "$1" "$2" "$3")', reason '$(nic "$1" "$2" reason)'" \
		wait_for "$5" nic_is "$1" "$2" "$3" "$4"
}

define_xml() { lab exec host1 virsh define /dev/stdin; } # <XML

guest_is_up() { lab guest -n --wait 240 host1 "$1" true; } # DOM
kind_down() { # DOM
	on host1 virsh destroy "$1"
	if on host1 virsh -q list --all --name | grep -cxF "$1"; then on host1 virsh undefine "$1"; fi
	expect "a pair of $1 is left" wait_for 15 pair_is_gone host1 "$1"
	expect "a VF is still in use" wait_for 10 no_vf_is_used host1
	expect "a VF still has a MAC" no_vf_has_a_mac host1
}

# talks_to MAC: a client that keeps the guest talking while something is waited for.
talks_to() {
	"$REPO/tests/lab/lab" client ping -q -i 0.2 "$(lab guest-ip "$1")" >/dev/null 2>&1 &
	TALKER=$!
}
hush() { kill "$TALKER" 2>/dev/null || true; }

# --- how they come ----------------------------------------------------------------------

declare_case define_and_start net "define and start in one breath: standby leg at worst, accelerated from the next start on" within=500 more
define_and_start() {
	local mac
	mac=$(lab guest-mac hasty)
	kind_xml hasty | lab exec host1 sh -c 'cat >/tmp/hasty.xml && virsh -q "define /tmp/hasty.xml; start hasty"; rm /tmp/hasty.xml'
	guest_is_up hasty
	reachable "$(lab guest-ip "$mac")"
	case $(nic host1 "$mac" reason) in
	not-adopted) ;;
	none | standby-not-negotiated | silent) echo "it was adopted in time" ;;
	*) fail "reason '$(nic host1 "$mac" reason)' after define and start in one breath" ;;
	esac
	expect "hasty was not adopted while it ran" wait_for 15 is_adopted host1 hasty
	on host1 virsh destroy hasty
	guest_start host1 hasty
	kind_down hasty
}

declare_case define_and_start_100 net "the same 100 times, back to back: each time a reason from the list, nothing left, nobody comes back from the dead" within=900 more
define_and_start_100() {
	local seen
	kind_xml hasty | lab exec host1 sh -c 'cat >/tmp/hasty.xml'
	# shellcheck disable=SC2016 # for the host's shell
	seen=$(lab exec --timeout 880 -n host1 sh -c '
		for i in $(seq 100); do
			virsh -q "define /tmp/hasty.xml; start --paused hasty" >&2 || { echo failed; continue; }
			end=$(($(date +%s) + 5))
			# Not the one of its probes, which comes after it.
			while reason=$(sfhybrid-ctl --json status | tr , "\n" | sed -n "s/.*\"reason\": *\"\([a-z0-9-]*\)\".*/\1/p" | head -n 1); [ -z "$reason" ]; do
				[ "$(date +%s)" -lt $end ] || { reason=nothing; break; }
			done
			echo "$reason"
			virsh -q "destroy hasty; undefine hasty" >&2
		done')
	sort <<<"$seen" | uniq -c
	is "times" 100 "$(wc -l <<<"$seen")"
	is "reasons that must not be" '' "$(grep -Evx 'not-adopted|standby-not-negotiated|silent|paused' <<<"$seen" | sort -u || true)"
	expect "a pair is left" wait_for 15 pair_is_gone host1 hasty
	sleep 2 # for an adoption that was under way
	is "domains" '' "$(on host1 virsh -q list --all --name)"
	on host1 rm /tmp/hasty.xml
}

declare_case transient_guest net "virsh create: on its standby leg, not-adopted, definition untouched" within=330 more
transient_guest() {
	local mac
	mac=$(lab guest-mac mayfly)
	kind_xml mayfly | lab exec host1 virsh create /dev/stdin
	guest_is_up mayfly
	reachable "$(lab guest-ip "$mac")"
	is "reason" not-adopted "$(nic host1 "$mac" reason)"
	is "leg" standby "$(nic host1 "$mac" leg)"
	refused "not accelerated: not-adopted" ctl host1 accelerate mayfly
	is "teaming" '' "$(live_xml host1 mayfly interface | grep teaming || true)"
	kind_down mayfly
}

# What `virt-install --print-xml` makes of a q35 guest, but for its disk and kernel.
virt_install_xml() {
	cat <<-XML
	<domain type="kvm">
	  <name>$1</name>
	  <metadata>
	    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
	      <libosinfo:os id="http://libosinfo.org/linux/2022"/>
	    </libosinfo:libosinfo>
	  </metadata>
	  <memory>262144</memory>
	  <currentMemory>262144</currentMemory>
	  <vcpu>1</vcpu>
	  <os>
	    <type arch="x86_64" machine="q35">hvm</type>
	    <kernel>/usr/lib/sfhybrid-lab/guest/vmlinuz</kernel>
	    <initrd>/usr/lib/sfhybrid-lab/guest/initramfs</initrd>
	    <cmdline>console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 sfh.name=$1</cmdline>
	  </os>
	  <features>
	    <acpi/>
	    <apic/>
	  </features>
	  <cpu mode="host-passthrough"/>
	  <clock offset="utc">
	    <timer name="rtc" tickpolicy="catchup"/>
	    <timer name="pit" tickpolicy="delay"/>
	    <timer name="hpet" present="no"/>
	  </clock>
	  <pm>
	    <suspend-to-mem enabled="no"/>
	    <suspend-to-disk enabled="no"/>
	  </pm>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <controller type="usb" model="qemu-xhci" ports="15"/>
	    <controller type="pci" model="pcie-root"/>
	$(printf '    <controller type="pci" model="pcie-root-port"/>\n%.0s' {1..14})
	    <interface type="network">
	      <source network="$NET"/>
	      <mac address="$2"/>
	      <model type="virtio"/>
	    </interface>
	    <console type="pty"/>
	    <channel type="unix">
	      <source mode="bind"/>
	      <target type="virtio" name="org.sfhybrid.lab"/>
	    </channel>
	    <memballoon model="virtio"/>
	    <rng model="virtio">
	      <backend model="random">/dev/urandom</backend>
	    </rng>
	  </devices>
	</domain>
	XML
}

declare_case virt_install net "a guest as virt-install defines it: accelerated, no root port added" within=330 more
virt_install() {
	local mac
	mac=$(lab guest-mac vinst)
	virt_install_xml vinst "$mac" | define_xml
	expect "vinst was not adopted within 15 s" wait_for 15 is_adopted host1 vinst
	is "ports of ours" 0 "$(on host1 virsh dumpxml --inactive vinst | grep -c ua-sfp- || true)"
	talks_to "$mac"
	guest_start host1 vinst
	hush
	reachable "$(lab guest-ip "$mac")"
	kind_down vinst
}

# --- machines -----------------------------------------------------------------------------

declare_case i440fx_guest net "an i440fx guest: not-q35, its definition untouched, on its standby leg" within=330 more
i440fx_guest() {
	local mac before
	mac=$(lab guest-mac oldie)
	kind_xml oldie | sed "s/machine='q35'/machine='pc'/" | define_xml
	before=$(on host1 virsh dumpxml --inactive oldie)
	on host1 virsh start oldie
	guest_is_up oldie
	reachable "$(lab guest-ip "$mac")"
	is "reason" not-q35 "$(nic host1 "$mac" reason)"
	refused "not accelerated: not-q35" ctl host1 accelerate oldie
	is "definition" "$before" "$(on host1 virsh dumpxml --inactive oldie)"
	kind_down oldie
}

# --- NICs -----------------------------------------------------------------------------------

declare_case several_hybrid_nics net "three hybrid NICs in one guest: three VFs, each reachable, each goes to its standby leg" within=400 more
several_hybrid_nics() {
	local macs=(52:54:00:11:21:01 52:54:00:11:22:02 52:54:00:11:23:03) mac began
	lab guest-xml trident --mac "${macs[0]}" --network "$NET" --no-rfc-actual |
		with_devices "$(nic_xml "${macs[1]}"; nic_xml "${macs[2]}")" | define_xml
	expect "trident was not adopted within 15 s" wait_for 15 is_adopted host1 trident
	is "NICs adopted" 3 "$(saved_xml host1 trident interface | grep -c "<teaming type='persistent'/>")"
	on host1 virsh start trident
	guest_is_up trident
	for mac in "${macs[@]}"; do
		is_reachable "$(lab guest-ip "$mac")" || true
		nic_gets host1 "$mac" state vf 90
	done
	is "VFs" 3 "$(count_vfs host1 leased)"
	is "MACs of VFs" "$(printf '%s\n' "${macs[@]}")" "$(vf_macs host1 | sort)"
	for mac in "${macs[@]}"; do reachable "$(lab guest-ip "$mac")"; done
	prober_start "$(lab guest-ip "${macs[1]}")" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	ctl host1 standby trident
	sleep "$SETTLE"
	few_lost "$began" 50 1500
	for mac in "${macs[@]}"; do is "$mac" standby "$(nic host1 "$mac" leg)"; done
	expect "a VF is still in use" no_vf_is_used host1
	kind_down trident
}

declare_case hybrid_and_ordinary_nics net "a hybrid NIC beside an ordinary one on the same PF: only the hybrid one is ours" within=330 more
hybrid_and_ordinary_nics() {
	local mac other=52:54:00:33:44:55
	mac=$(lab guest-mac mixed)
	kind_xml mixed | with_devices "<interface type='direct'>
		<source dev='$(lab pf host1)' mode='bridge'/><mac address='$other'/><model type='virtio'/>
		</interface>" | define_xml
	expect "mixed was not adopted within 15 s" wait_for 15 is_adopted host1 mixed
	is "NICs adopted" 1 "$(saved_xml host1 mixed interface | grep -c teaming)"
	is "aliases" 1 "$(saved_xml host1 mixed interface | grep -c '<alias')"
	talks_to "$mac"
	guest_start host1 mixed
	hush
	is "pairs" 1 "$(ctl host1 --json status | jq '.pairs | length')"
	reachable "$(lab guest-ip "$mac")"
	reachable "$(lab guest-ip "$other")"
	kind_down mixed
}

declare_case nic_hotplugged net "a NIC plugged into a running guest: not-adopted, or accelerated when its XML has the teaming; unplugged, nothing is left" within=420 more
nic_hotplugged() {
	local mac plain=52:54:00:44:01:01 ready=52:54:00:44:02:02
	mac=$(lab guest-mac plugin)
	kind_xml plugin | with_devices "$(spare_ports 7)" | define_xml
	expect "plugin was not adopted within 15 s" wait_for 15 is_adopted host1 plugin
	talks_to "$mac"
	guest_start host1 plugin
	hush
	nic_xml "$plain" | lab exec host1 virsh attach-device plugin /dev/stdin --live
	nic_gets host1 "$plain" reason not-adopted 15
	reachable "$(lab guest-ip "$plain")"
	nic_xml "$plain" | lab exec host1 virsh detach-device plugin /dev/stdin --live
	expect "the pair of $plain is left" wait_for 15 nic_is host1 "$plain" state ''
	talks_to "$ready"
	nic_xml "$ready" "<teaming type='persistent'/><alias name='ua-second'/>" |
		lab exec host1 virsh attach-device plugin /dev/stdin --live
	nic_gets host1 "$ready" state vf 60
	hush
	reachable "$(lab guest-ip "$ready")"
	is "VFs" 2 "$(count_vfs host1 leased)"
	on host1 virsh detach-device-alias plugin ua-second --live
	expect "the pair of $ready is left" wait_for 30 nic_is host1 "$ready" state ''
	expect "its VF is left" wait_for 10 one_vf_is_leased
	is "live hostdevs" 1 "$(live_xml host1 plugin hostdev | grep -c '<hostdev')"
	is "leg" vf "$(nic host1 "$mac" leg)"
	reachable "$(lab guest-ip "$mac")"
	kind_down plugin
}
one_vf_is_leased() { [[ $(count_vfs host1 leased) == 1 ]]; }

declare_case no_spare_port net "a guest whose PCIe ports are all taken: no-spare-port, on its standby leg" within=330 more
no_spare_port() {
	local mac last=52:54:00:44:03:03
	mac=$(lab guest-mac crowded)
	kind_xml crowded | define_xml
	expect "crowded was not adopted within 15 s" wait_for 15 is_adopted host1 crowded
	talks_to "$mac"
	guest_start host1 crowded
	hush
	ctl host1 standby crowded
	nic_xml "$last" | lab exec host1 virsh attach-device crowded /dev/stdin --live
	refused "not accelerated: no-spare-port" ctl host1 accelerate crowded
	reachable "$(lab guest-ip "$mac")"
	is "leg" standby "$(nic host1 "$mac" leg)"
	expect "a VF still has a MAC" no_vf_has_a_mac host1
	kind_down crowded
}

# --- drivers in the guest -----------------------------------------------------------------------

declare_case never_negotiates net "a guest that never negotiates STANDBY is never given a VF" within=330 more
never_negotiates() {
	local mac
	mac=$(lab guest-mac mute)
	kind_xml mute sfh.nofailover=1 | define_xml
	expect "mute was not adopted within 15 s" wait_for 15 is_adopted host1 mute
	on host1 virsh start mute
	guest_is_up mute
	is "reason" standby-not-negotiated "$(nic host1 "$mac" reason)"
	refused "not accelerated: standby-not-negotiated" ctl host1 accelerate mute
	sleep 3
	is "VFs" 0 "$(count_vfs host1 leased)"
	is "switches" 0 "$(ctl host1 --json history mute | jq '.switches | length')"
	kind_down mute
}

# The virtio driver and what it stands on, loaded in the guest.
load_virtio() { in_guest host1 "$1" sh -c 'for m in failover net_failover virtio_net; do insmod /lib/modules/$m.ko || exit 1; done'; }
unload_virtio() { in_guest host1 "$1" sh -c 'rmmod virtio_net && rmmod net_failover && rmmod failover'; }

declare_case negotiates_late net "a guest whose driver comes minutes late is accelerated then" within=330 more
negotiates_late() {
	local mac
	mac=$(lab guest-mac latecomer)
	kind_xml latecomer sfh.nofailover=1 | define_xml
	expect "latecomer was not adopted within 15 s" wait_for 15 is_adopted host1 latecomer
	on host1 virsh start latecomer
	guest_is_up latecomer
	is "reason" standby-not-negotiated "$(nic host1 "$mac" reason)"
	talks_to "$mac"
	load_virtio latecomer
	nic_gets host1 "$mac" state vf 60
	hush
	reachable "$(lab guest-ip "$mac")"
	kind_down latecomer
}

declare_case driver_reload guest "the virtio driver is unloaded and loaded again in the guest: it negotiates anew, traffic flows on a VF" within=200
driver_reload() {
	# First while a VF is there, then on the standby leg.
	unload_virtio "$DOM"
	load_virtio "$DOM"
	expect "not reachable after the driver was loaded again" wait_for 30 is_reachable "$IP"
	expect "not on its VF: '$(pair host1 "$DOM" state)', reason '$(pair host1 "$DOM" reason)'" wait_vf host1 "$DOM" 60
	ctl host1 standby "$DOM"
	unload_virtio "$DOM"
	load_virtio "$DOM"
	expect "not reachable after the driver was loaded again" wait_for 30 is_reachable "$IP"
	is "leg" standby "$(pair host1 "$DOM" leg)"
	ctl host1 accelerate "$DOM"
	reachable "$IP"
	is "leg" vf "$(pair host1 "$DOM" leg)"
}

declare_case no_vf_driver net "a guest without the VF's driver: back on its standby leg within the deadline, no-vf-driver, and left in peace" within=400 more
no_vf_driver() {
	local mac began
	mac=$(lab guest-mac driverless)
	kind_xml driverless sfh.novf=1 | define_xml
	expect "driverless was not adopted within 15 s" wait_for 15 is_adopted host1 driverless
	on host1 virsh start driverless
	guest_is_up driverless
	reachable "$(lab guest-ip "$mac")"
	prober_start "$(lab guest-ip "$mac")" "$(mktemp)"
	sleep 0.5
	began=$(now_ns)
	nic_gets host1 "$mac" reason no-vf-driver 120
	nic_gets host1 "$mac" state standby 10
	few_lost "$began" 60 1500 # it was reachable throughout
	expect "a VF still has a MAC" wait_for 10 no_vf_has_a_mac host1
	sleep 5
	is "state 5 s later" standby "$(nic host1 "$mac" state)"
	is "switches that began" 1 "$(ctl host1 --json history driverless | jq '[.switches[] | select(.direction == "to-vf")] | length')"
	prober_stop
	kind_down driverless
}

# --- MTU and MACs -----------------------------------------------------------------------------------

declare_case mtu_of_the_guest guest "the guest sets another MTU: both legs follow, before and after a change of leg" within=200
mtu_of_the_guest() {
	local bond
	bond=$(guest_netdevs host1 "$DOM" | awk '$2 == "master" { print $1 }')
	in_guest host1 "$DOM" ip link set "$bond" mtu 1400
	ctl host1 standby "$DOM"
	reachable "$IP"
	ctl host1 accelerate "$DOM"
	reachable "$IP"
	is "leg" vf "$(pair host1 "$DOM" leg)"
	is "MTUs in the guest" 1400 "$(in_guest host1 "$DOM" sh -c 'cat /sys/class/net/eth*/mtu' | sort -u)"
	in_guest host1 "$DOM" ip link set "$bond" mtu 1500
}

declare_case mtu_mismatch bare "a NIC larger than the PF: mtu-mismatch, on its standby leg" within=400 more
mtu_mismatch() {
	local mac
	mac=$(lab guest-mac jumbo)
	network_up host1 wide linux-bridge
	lab guest-xml jumbo --network wide --no-rfc-actual | sed "s|<model type='virtio'/>|&<mtu size='4000'/>|" | define_xml
	expect "jumbo was not adopted within 15 s" wait_for 15 is_adopted host1 jumbo
	on host1 virsh start jumbo
	guest_is_up jumbo
	nic_gets host1 "$mac" reason mtu-mismatch 30
	reachable "$(lab guest-ip "$mac")"
	is "leg" standby "$(nic host1 "$mac" leg)"
	refused "not accelerated: mtu-mismatch" ctl host1 accelerate jumbo
	is "VFs" 0 "$(count_vfs host1 leased)"
	kind_down jumbo
	ctl host1 down wide
	ctl host1 undefine wide
}

# A second MAC in the guest, on top of its NIC.
second_mac() { # DOM MAC
	in_guest host1 "$1" sh -c "ip link add link eth0 name second address $2 type macvlan &&
		ip addr add $(lab guest-ip "$2")/16 dev second && ip link set second up"
}

macs_network() {
	cat <<-XML
	<network>
	  <name>macs</name>
	  <forward mode='pci-passthrough-hybrid'><pf dev='pf0'/><standby mode='linux-bridge'/></forward>
	  <portgroup name='one'><spoofchk mode='on'/></portgroup>
	  <portgroup name='many'><spoofchk mode='off'/><trust mode='on'/></portgroup>
	</network>
	XML
}

declare_case guest_with_several_macs bare "a guest that owns several MACs: with spoofchk off and trust on all are reachable on both legs; its own MAC it cannot change" within=400 more
guest_with_several_macs() {
	local mac second=52:54:00:55:66:07
	mac=$(lab guest-mac manyfold)
	macs_network | lab exec host1 sfhybrid-ctl define -
	ctl host1 up macs
	lab guest-xml manyfold --network macs --no-rfc-actual |
		sed "s|network='macs'|& portgroup='many'|" | define_xml
	expect "manyfold was not adopted within 15 s" wait_for 15 is_adopted host1 manyfold
	talks_to "$mac"
	guest_start host1 manyfold
	hush
	second_mac manyfold "$second"
	reachable "$(lab guest-ip "$second")"
	reachable "$(lab guest-ip "$mac")"
	expect "on its VF leg its second MAC is in the PF's filter" not_in_filter host1 "$second"
	ctl host1 standby manyfold
	reachable "$(lab guest-ip "$mac")"
	reachable "$(lab guest-ip "$second")"
	expect "on its standby leg its second MAC is not in the PF's filter" wait_for 12 in_filter host1 "$second"
	in_guest host1 manyfold ip link del second
	expect "the second MAC is gone and still in the PF's filter" wait_for 12 not_in_filter host1 "$second"
	second_mac manyfold "$second"
	expect "the second MAC came back and is not in the PF's filter" wait_for 12 in_filter host1 "$second"
	on host1 /usr/lib/sfhybrid-lab/agent restart
	expect "the agent did not take manyfold over" wait_for 30 has_state host1 manyfold standby
	expect "a restart of the agent took its second MAC out of the filter" in_filter host1 "$second"
	is "fsck" clean "$(ctl host1 fsck)"
	ctl host1 accelerate manyfold
	reachable "$(lab guest-ip "$second")"
	expect "on its VF leg its second MAC is in the PF's filter" not_in_filter host1 "$second"
	# The failover device has no MAC of its own to change.
	! in_guest host1 manyfold ip link set eth0 address 52:54:00:55:66:08 ||
		fail "the guest changed the MAC of its failover device"
	reachable "$(lab guest-ip "$mac")"
	kind_down manyfold
	ctl host1 down macs
	ctl host1 undefine macs
}

# --- adoption and back ----------------------------------------------------------------------------------

# A definition with all that adoption must not touch.
treasure_xml() {
	cat <<-XML
	<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
	  <name>treasure</name>
	  <title>a &amp; b</title>
	  <metadata>
	    <a:thing xmlns:a='urn:example:unknown' x='1'><a:deep>text</a:deep></a:thing>
	    <b:thing xmlns:b='urn:example:other'/>
	  </metadata>
	  <memory unit='MiB'>256</memory>
	  <os><type arch='x86_64' machine='q35'>hvm</type></os>
	  <devices>
	    <interface type='network'>
	      <source network='$1'/>
	      <mac address='52:54:00:77:00:01'/>
	      <model type='virtio'/>
	    </interface>
	    <interface type='network'>
	      <source network='$1'/>
	      <mac address='52:54:00:77:00:02'/>
	      <model type='virtio'/>
	    </interface>
	    <interface type='network'>
	      <source network='$1'/>
	      <mac address='52:54:00:77:00:03'/>
	      <model type='virtio'/>
	    </interface>
	    <graphics type='vnc' port='-1' autoport='yes' passwd='s3cr&lt;t'/>
	    <memballoon model='none'/>
	  </devices>
	  <qemu:commandline>
	    <qemu:arg value='-name'/>
	    <qemu:arg value='debug-threads=on'/>
	  </qemu:commandline>
	</domain>
	XML
}
knows_nowhere() { (ctl host1 undefine nowhere 2>&1 || true) | grep -c 'there is no network'; }
treasure() { on host1 virsh dumpxml --inactive --security-info treasure; }

declare_case adoption_and_back bare "adoption keeps passwords, metadata and QEMU arguments, is idempotent, and undefine of the network takes it back" within=200 more
adoption_and_back() {
	local before adopted changes
	on host1 /usr/lib/sfhybrid-lab/agent stop
	treasure_xml chest | define_xml
	before=$(treasure)
	on host1 /usr/lib/sfhybrid-lab/agent start
	network_xml chest pf0 | lab exec host1 sfhybrid-ctl define -
	expect "treasure was not adopted within 15 s" wait_for 15 is_adopted host1 treasure
	adopted=$(treasure)
	changes=$(diff <(echo "$before") <(echo "$adopted") || true)
	echo "$changes"
	is "lines that adoption took away" '' "$(grep '^<' <<<"$changes" || true)"
	# libvirt itself leaves one port free: for three NICs some are missing.
	is "elements that it added" "address alias controller model target teaming" \
		"$(sed -n 's/^> *<\([a-z][a-z]*\).*/\1/p' <<<"$changes" | sort -u | paste -s -d ' ')"
	on host1 /usr/lib/sfhybrid-lab/agent restart
	# It knows that there is no such network: it has been at libvirt's, and is done there.
	expect "the agent does not find libvirt" wait_for 20 knows_nowhere
	is "after another look" "$adopted" "$(treasure)"
	ctl host1 undefine chest
	is "after undefine" "$before" "$(treasure)"
	on host1 virsh undefine treasure
}
