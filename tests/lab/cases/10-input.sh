# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input and missing parts: one sentence each, exit 1, nothing changed.
# shellcheck shell=bash

# On host1, as somebody who is not root.
nobody() { on host1 setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# with_network NAME PF CMD…: while that network is defined on host1.
with_network() {
	local name=$1
	network_xml "$name" "$2" | lab exec host1 sfhybrid-ctl define -
	shift 2
	"$@"
	ctl host1 undefine "$name"
}

declare_case usage_and_rights bare "--help and version for anyone; the rest for root; wrong usage is 2"
usage_and_rights() {
	nobody sfhybrid-ctl --help | grep -c '^usage: sfhybrid-ctl'
	nobody sfhybrid-ctl migrate --help | grep -c -- --undefinesource
	nobody sfhybrid-ctl version | grep -Ec '^sfhybrid-ctl [0-9]'
	nobody sfhybridd --version | grep -Ec '^sfhybridd [0-9]'
	for verb in "list" "status" "up x" "define -" "migrate x y"; do
		# shellcheck disable=SC2086 # a verb and its arguments
		refused "'${verb%% *}' must run as root" nobody sfhybrid-ctl $verb
	done
	refused root nobody sfhybridd
	ends_with 2 "unknown verb 'fly'" ctl host1 fly
	ends_with 2 "unknown option '--fast'" ctl host1 up --fast x
	ends_with 2 "missing 'DOM URI'" ctl host1 migrate x
	ends_with 2 "unexpected argument 'y'" ctl host1 up x y
	ends_with 2 "^usage:" ctl host1
	is "--json: the error" "there is no network 'nowhere'" \
		"$( (ctl host1 --json up nowhere || true) | jq -r '.error' | cut -d ';' -f 1)"
}

declare_case every_verb bare "every verb that --help lists answers, those of later versions with 'not in this version'"
every_verb() {
	local verb later
	while read -r verb later; do
		ctl host1 "$verb" --help | grep -c "^usage: sfhybrid-ctl $verb"
		[[ $later != yes ]] || refused "not in this version" ctl host1 "$verb" a=b c=d
	done < <(ctl host1 --help | awk '/^  [a-z]/ { print $1, /not in this version/ ? "yes" : "no" }')
	for verb in up down define undefine set list dumpxml status accelerate standby migrate history doctor fsck version; do
		ctl host1 "$verb" --help | grep -c "^usage:" || fail "there is no verb '$verb'"
	done
}

declare_case malformed_xml bare "XML that is not a hybrid network is refused, each for its own reason"
malformed_xml() {
	local net='<network><name>n</name>' mode='<forward mode="pci-passthrough-hybrid">'
	refused_xml . ''
	refused_xml . 'not XML at all'
	refused_xml . "$net$mode<pf dev='pf0'/></forward>"
	refused_xml . '<domain><name>n</name></domain>'
	refused_xml forward "$net</network>"
	refused_xml mode "$net<forward mode='nat'><pf dev='pf0'/></forward></network>"
	refused_xml '<pf' "$net$mode</forward></network>"
	refused_xml name "<network>$mode<pf dev='pf0'/></forward></network>"
	refused_xml '[Tt]wice|pf0' "$net$mode<pf dev='pf0'/><pf dev='pf0'/></forward></network>"
	refused_xml polcy "$net$mode<pf dev='pf0'/><polcy mode='never'/></forward></network>"
	refused_xml 'document type|DOCTYPE' "<!DOCTYPE network [<!ENTITY a 'b'>]>$net$mode<pf dev='pf0'/></forward></network>"
	refused "cannot read '/nowhere.xml'" ctl host1 define /nowhere.xml
}

declare_case unknown_names bare "networks and guests that do not exist are named in the refusal"
unknown_names() {
	local verb
	for verb in up down undefine dumpxml status; do
		refused "nowhere" ctl host1 "$verb" nowhere
	done
	refused "nobody" ctl host1 accelerate nobody
	refused "nobody" ctl host1 standby nobody
	refused "nobody" ctl host1 migrate nobody "$(uri_of host2)"
	refused "not a libvirt URI" ctl host1 migrate nobody host2
}

declare_case pf_missing bare "a PF that does not exist, or has no SR-IOV: refused, and the network stays down"
pf_missing() {
	with_network ghost nosuch0 refused "'nosuch0' does not exist" ctl host1 up ghost
	with_network manage mgmt0 refused "'mgmt0'.* has no SR-IOV" ctl host1 up manage
	with_network loop lo refused "'lo'.* no SR-IOV" ctl host1 up loop
}

declare_case no_iommu bare "without an IOMMU, up is refused"
no_iommu() {
	on host1 /usr/lib/sfhybrid-lab/agent stop
	# In a mount namespace of its own the agent sees no IOMMU group.
	on host1 unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/iommu_groups && exec /usr/lib/sfhybrid-lab/agent start'
	with_network blind "$(lab pf host1)" refused "no IOMMU" ctl host1 up blind
	on host1 /usr/lib/sfhybrid-lab/agent restart
}

declare_case no_bpffs bare "without a bpffs, up is refused and says how to mount one"
no_bpffs() {
	on host1 umount /sys/fs/bpf
	with_network unpinned "$(lab pf host1)" refused "no bpffs at /sys/fs/bpf: run 'mount" ctl host1 up unpinned
	on host1 mount -t bpf bpf /sys/fs/bpf
}

declare_case no_libvirtd bare "without libvirtd, one sentence; when it is back, so is the agent's connection"
no_libvirtd() {
	local verb
	on host1 /usr/lib/sfhybrid-lab/libvirtd stop
	for verb in "up x" "down x" "undefine x" list "dumpxml x"; do
		# shellcheck disable=SC2086 # a verb and its argument
		refused "libvirt" ctl host1 $verb
	done
	refused_xml "libvirt" "$(network_xml x pf0)"
	ctl host1 status
	on host1 /usr/lib/sfhybrid-lab/libvirtd start
	expect "the agent did not find libvirtd again within 20 s" wait_for 20 with_network back pf0 ctl host1 dumpxml back
}

declare_case no_agent bare "without the agent, what writes is refused and what reads works"
no_agent() {
	with_network kept pf0 agent_away
}
agent_away() {
	local verb
	on host1 /usr/lib/sfhybrid-lab/agent stop
	for verb in "up kept" "down kept" "undefine kept" "accelerate x" "standby x" "migrate x $(uri_of host2)"; do
		# shellcheck disable=SC2086 # a verb and its arguments
		refused "the agent is not running" ctl host1 $verb
	done
	ctl host1 list | grep -c '^kept .*down'
	ctl host1 dumpxml kept | grep -c '<pf dev="pf0"/>'
	ctl host1 status | grep -c "agent is not running"
	ctl host1 history
	on host1 /usr/lib/sfhybrid-lab/agent start
}
