# SPDX-License-Identifier: GPL-2.0-or-later
# The cases: one guest each, the same but for its NIC, and how it is moved.
# Sourced by bench/failover/run.
#   CASE_define     prints the domain
#   CASE_started HOST   what is to be done once it runs (optional)
#   CASE_move FROM TO   the migration, up to the guest's having its VF there again or
#                       being sure to get it; `mark NAME` notes an instant
# shellcheck shell=bash disable=SC2317 # called by name

CASES=(teaming detach-attach bridge macvtap sfhybrid sfhybrid-virsh)
# Parts of a migration by themselves, for the question whose a gap is: only where asked for.
PARTS=(stopped reborn)
VIRSH_MIGRATE=(virsh -q migrate --live --persistent --undefinesource)

dom_of() { printf 'fo-%s\n' "$1"; }

has_vf() { [[ " teaming detach-attach sfhybrid sfhybrid-virsh " == *" $1 "* ]]; }

# where_to CASE FROM: the host on which it is afterwards.
where_to() { [[ " ${PARTS[*]} " == *" $1 "* ]] && echo "$2" || other "$2"; }

VCPUS=1 # of each guest

# guest NAME NETWORK NIC_EXTRA DEVICES_EXTRA: the lab's guest with more in it. Ports
# to plug a VF into are in all of them.
guest() {
	local port="<controller type='pci' model='pcie-root-port'/>"
	local ports="<controller type='pci' index='0' model='pcie-root'/>$port$port$port$port$port$port$port$port"
	lab guest-xml "$1" --network "$2" --no-rfc-actual |
		sed -e "s#<vcpu>1<#<vcpu>$VCPUS<#" -e "s#<model type='virtio'/>#&$3#" -e "s#<memballoon#$ports$4&#"
}

standby_nic() { printf "<teaming type='persistent'/><alias name='ua-standby'/>"; }

# --- libvirt's <teaming>, as its documentation gives it ---------------------------------

teaming_define() {
	local mac dom
	dom=$(dom_of teaming)
	mac=$(lab guest-mac "$dom")
	guest "$dom" bridge-net "$(standby_nic)" "<interface type='network'><mac address='$mac'/><source network='vf-pool'/><teaming type='transient' persistent='ua-standby'/></interface>"
}

teaming_move() {
	on "$1" "${VIRSH_MIGRATE[@]}" "$(dom_of teaming)" "$(uri_of "$2")"
}

# --- the order of the kernel's document on net_failover -----------------------------------

detach_attach_define() { guest "$(dom_of detach-attach)" bridge-net "$(standby_nic)" ""; }

manual_vf_xml() { # HOST
	local bdf
	bdf=$(on "$1" readlink "/sys/class/net/pf1/device/virtfn$MANUAL_VF")
	bdf=${bdf##*/}
	printf "<interface type='hostdev' managed='yes'><mac address='%s'/><source><address type='pci' domain='0x%s' bus='0x%s' slot='0x%s' function='0x%s'/></source><teaming type='transient' persistent='ua-standby'/><alias name='ua-vf'/></interface>\n" \
		"$(lab guest-mac "$(dom_of detach-attach)")" "${bdf:0:4}" "${bdf:5:2}" "${bdf:8:2}" "${bdf:11:1}"
}

detach_attach_started() {
	[[ $(on "$1" virsh dumpxml "$(dom_of detach-attach)") != *ua-vf* ]] || return 0
	manual_vf_xml "$1" | lab exec "$1" virsh -q attach-device --live "$(dom_of detach-attach)" /dev/stdin
}

detach_attach_move() {
	local dom mac
	dom=$(dom_of detach-attach)
	mac=$(lab guest-mac "$dom")
	# The document's two scripts, each on its host, as fast as a shell goes. The VF of its
	# own that they put into the bridge is the PF here.
	# shellcheck disable=SC2016 # for the host's shell
	on "$1" sh -ec '
		tap=$(virsh -q domiflist "$1" | awk "\$2 == \"bridge\" || \$3 == \"bridge-net\" { print \$1; exit }")
		virsh -q domif-setlink "$1" "$tap" up
		virsh -q detach-device-alias "$1" ua-vf --live
		n=0
		while virsh dumpxml "$1" | grep -q ua-vf; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ]; done
		ip link set pf1 vf "$3" mac 00:00:00:00:00:00
		bridge fdb add "$2" dev pf1 self 2>/dev/null || true
		bridge fdb replace "$2" dev "$tap" master
	' - "$dom" "$mac" "$MANUAL_VF"
	mark detached
	on "$1" "${VIRSH_MIGRATE[@]}" "$dom" "$(uri_of "$2")"
	on "$1" bridge fdb del "$mac" dev pf1 self 2>/dev/null || true
	mark attach
	manual_vf_xml "$2" | lab exec "$2" virsh -q attach-device --live "$dom" /dev/stdin
}

# --- a paravirtual NIC alone ---------------------------------------------------------------

bridge_define() { guest "$(dom_of bridge)" floor-net "" ""; }
bridge_move() { on "$1" "${VIRSH_MIGRATE[@]}" "$(dom_of bridge)" "$(uri_of "$2")"; }
macvtap_define() { guest "$(dom_of macvtap)" macvtap-net "" ""; }
macvtap_move() { on "$1" "${VIRSH_MIGRATE[@]}" "$(dom_of macvtap)" "$(uri_of "$2")"; }

# --- the guest's pause without a move, and a new QEMU on the same host ---------------------

stopped_define() { guest "$(dom_of stopped)" floor-net "" ""; }
# shellcheck disable=SC2016 # for the host's shell
stopped_move() { on "$1" sh -ec 'virsh -q suspend "$1"; sleep 0.3; virsh -q resume "$1"' - "$(dom_of stopped)"; }
reborn_define() { guest "$(dom_of reborn)" floor-net "" ""; }
# shellcheck disable=SC2016 # for the host's shell
reborn_move() { on "$1" sh -ec 'virsh -q save "$1" /var/tmp/reborn; virsh -q restore /var/tmp/reborn; rm /var/tmp/reborn' - "$(dom_of reborn)"; }

# --- sfhybrid ------------------------------------------------------------------------------

sfhybrid_define() { lab guest-xml "$(dom_of sfhybrid)" --network "$HYBRID_NET"; }
sfhybrid_started() { wait_vf "$1" "$(dom_of sfhybrid)" 120; }
sfhybrid_move() {
	ctl "$1" --json migrate "$(dom_of sfhybrid)" "$(uri_of "$2")" --persistent --undefinesource
}

sfhybrid_virsh_define() { lab guest-xml "$(dom_of sfhybrid-virsh)" --network "$HYBRID_NET"; }
sfhybrid_virsh_started() { wait_vf "$1" "$(dom_of sfhybrid-virsh)" 120; }
sfhybrid_virsh_move() {
	on "$1" "${VIRSH_MIGRATE[@]}" "$(dom_of sfhybrid-virsh)" "$(uri_of "$2")"
}
