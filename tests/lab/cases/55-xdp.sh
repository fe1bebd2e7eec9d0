# SPDX-License-Identifier: GPL-2.0-or-later
# Others on the PF's XDP hook.
# shellcheck shell=bash disable=SC2154 # here: run-cases' directory

mate() { on host1 /run/xdpmate "$1" "$PF"; }
xdp_of_pf() { ctl host1 --json status "$NET" | jq -r '.networks[].pfs[] | .xdp'; }
xdp_id() { on host1 ip -j link show "$PF" | jq -r '.[0].xdp.prog.id // 0'; }
# runs PROGRAM: how often it ran, over all its copies.
runs() {
	on host1 bpftool -j prog show | jq --arg name "$1" '[.[] | select(.name == $name) | .run_cnt // 0] | add // 0'
}
ran_since() { (($(runs "$1") > $2)); }

# both_run: what the client sends reaches our program and, passed, the other's.
both_run() {
	local ours theirs
	ours=$(runs sfh_pf_xdp)
	theirs=$(runs xdp_pass)
	lab client "$LABNET" shout eth0 9999 5 20
	expect "our XDP program does not run" wait_for 5 ran_since sfh_pf_xdp "$ours"
	expect "what we pass does not reach the other's program" wait_for 5 ran_since xdp_pass "$theirs"
}

declare_case xdp_beside_others bare "XDP through libxdp's dispatcher: another program before us, behind us, and alone" more within=400
xdp_beside_others() {
	local PF id out
	PF=$(lab pf host1)
	out=$(mktemp)
	gcc -O2 -o "$out" "$here/cases/lib/xdpmate.c" -lxdp -lbpf
	lab exec host1 sh -c 'cat >/run/xdpmate && chmod +x /run/xdpmate' <"$out"
	on host1 sysctl -q -w kernel.bpf_stats_enabled=1

	network_up host1 "$NET" linux-bridge # a macvtap takes nothing from XDP
	is "XDP" dispatcher "$(xdp_of_pf)"
	id=$(xdp_id)
	on host1 /usr/lib/sfhybrid-lab/agent restart
	expect "the network is not up again" wait_for 30 ctl host1 up "$NET"
	is "the dispatcher after a restart of the agent" "$id" "$(xdp_id)"

	mate join
	both_run
	is "fsck" clean "$(ctl host1 fsck)"
	ctl host1 down "$NET"
	is "our programs" 0 "$(on host1 bpftool prog show | grep -c ' name sfh_' || true)"
	expect "down took the other's program with it" test "$(xdp_id)" != 0

	ctl host1 up "$NET" # it is there first
	is "XDP" dispatcher "$(xdp_of_pf)"
	both_run
	mate leave
	is "XDP" dispatcher "$(xdp_of_pf)"
	is "fsck" clean "$(ctl host1 fsck)"

	on host1 ip link set "$PF" xdp off
	expect "fsck does not miss the program" fsck_finds host1 program-missing
	ctl host1 fsck --repair
	is "fsck" clean "$(ctl host1 fsck)"
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
	on host1 sysctl -q -w kernel.bpf_stats_enabled=0
	on host1 rm /run/xdpmate
}
