# SPDX-License-Identifier: GPL-2.0-or-later
# Others on the PF's XDP hook.
# shellcheck shell=bash disable=SC2154 # here: run-cases' directory

mate() { on host1 /run/xdpmate "$1" "$PF"; }
xdp_of_pf() { ctl host1 --json status "$NET" | jq -r '.networks[].pfs[] | .xdp'; }
xdp_id() { on host1 ip -j link show "$PF" | jq -r '.[0].xdp.prog.id // 0'; }
# How many frames each program has had: ours hands them to guests, the other's counts.
ours() { on host1 bpftool -j map dump name sfh_relayed | jq '[.[].formatted.values[].value.frames] | add // 0'; }
theirs() { on host1 bpftool -j map dump name others_count | jq '.[0].formatted.value // .[0].value'; }
more_than() { (($("$1") > $2)); } # WHOSE COUNT

# both_run: what the client sends to the guest is ours, and what it sends to others reaches,
# passed by ours, the other's program.
both_run() {
	local before
	before=$(ours)
	reachable "$ip"
	expect "our XDP program does not hand frames to the guest" wait_for 5 more_than ours "$before"
	before=$(theirs)
	lab client "$LABNET" shout eth0 9999 5 20
	expect "what we pass does not reach the other's program" wait_for 5 more_than theirs "$before"
}

declare_case xdp_beside_others bare "XDP through libxdp's dispatcher: another program before us, behind us, and alone" within=400
xdp_beside_others() {
	local PF id out mac ip
	PF=$(lab pf host1)
	out=$(mktemp)
	gcc -O2 -o "$out" "$here/cases/lib/xdpmate.c" -lxdp -lbpf
	lab exec host1 sh -c 'cat >/run/xdpmate && chmod +x /run/xdpmate' <"$out"
	clang -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$here/cases/lib/others.bpf.c" -o "$out"
	lab exec host1 sh -c 'cat >/run/others.bpf.o' <"$out"
	mac=$(lab guest-mac larch)
	ip=$(lab guest-ip "$mac")

	network_up host1 "$NET" linux-bridge # a macvtap takes nothing from XDP
	is "XDP" dispatcher "$(xdp_of_pf)"
	id=$(xdp_id)
	on host1 /usr/lib/sfhybrid-lab/agent restart
	expect "the network is not up again" wait_for 30 ctl host1 up "$NET"
	is "the dispatcher after a restart of the agent" "$id" "$(xdp_id)"

	guest_up host1 larch "$mac" "$NET"
	ctl host1 standby larch
	mate join
	both_run
	guest_down host1 larch
	is "fsck" clean "$(ctl host1 fsck)"
	ctl host1 down "$NET"
	is "our programs" 0 "$(on host1 bpftool prog show | grep -c ' name sfh_' || true)"
	expect "down took the other's program with it" test "$(xdp_id)" != 0

	ctl host1 up "$NET" # it is there first
	is "XDP" dispatcher "$(xdp_of_pf)"
	guest_up host1 larch "$mac" "$NET"
	ctl host1 standby larch
	both_run
	guest_down host1 larch
	mate leave
	is "XDP" dispatcher "$(xdp_of_pf)"
	is "fsck" clean "$(ctl host1 fsck)"

	on host1 ip link set "$PF" xdp off
	expect "fsck does not miss the program" fsck_finds host1 program-missing
	# igb's link comes up anew whenever XDP comes or goes.
	expect "fsck --repair does not mend it" wait_for 20 ctl host1 fsck --repair
	expect "fsck is not clean" wait_for 20 ctl host1 fsck
	ctl host1 down "$NET"
	nothing_of_ours host1

	mate alone
	id=$(xdp_id)
	ctl host1 up "$NET"
	is "XDP" tc-only "$(xdp_of_pf)"
	ctl host1 status | grep -c "another XDP program is attached without libxdp's dispatcher"
	is "the other's program" "$id" "$(xdp_id)"
	is "fsck" clean "$(ctl host1 fsck)"
	ctl host1 down "$NET"
	is "the other's program" "$id" "$(xdp_id)"
	on host1 ip link set "$PF" xdp off
	ctl host1 undefine "$NET"
	on host1 rm /run/xdpmate /run/others.bpf.o
}
