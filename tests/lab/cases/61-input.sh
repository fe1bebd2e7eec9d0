# SPDX-License-Identifier: GPL-2.0-or-later
# What comes from outside may be hostile, and the agent may be slow or dead: neither
# costs libvirtd more than its bound, and no secret is ever written down.
# shellcheck shell=bash

AGENT=/usr/lib/sfhybrid-lab/agent

# The hook as libvirtd runs it, on host1: hook OPERATION DOMAIN <XML
hook() { lab exec host1 /etc/libvirt/hooks/qemu.d/50-sfhybrid "$2" "$1" begin -; }

# ms_of CMD…: how long it took, on stdout; its own output goes to the log.
ms_of() {
	local began=${EPOCHREALTIME/[.,]/}
	"$@" >&2 || echo "(ended with $?)" >&2
	echo $(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}

# at_most WHAT MS ACTUAL
at_most() {
	echo "$1: $3 ms"
	(($3 <= $2)) || fail "$1 took $3 ms, more than $2"
}

agent_signal() { # NAME
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'kill -'"$1"' $('$AGENT' pid)'
}

declare_case passwords_stay_secret net "a guest with a VNC password and a secret passes hook and agent: no log holds either"
passwords_stay_secret() {
	local xml word
	xml=$(treasure_xml "$NET" | sed "s|passwd='[^']*'|passwd='sesame17'|
		s|<memory |<sysinfo type='smbios'><system><entry name='serial'>hush-4711</entry></system></sysinfo>&|
		s|<os>|&<smbios mode='sysinfo'/>|")
	# The agent says all that it can say.
	on host1 "$AGENT" stop
	on host1 sh -c 'SFHYBRID_AGENT_ARGS=--verbose '"$AGENT"' start'
	lab exec host1 virsh define /dev/stdin <<<"$xml"
	expect "treasure was not adopted within 15 s" wait_for 15 is_adopted host1 treasure
	on host1 virsh dumpxml --security-info --inactive treasure | grep -c sesame17
	for op in migrate restore prepare; do
		on host1 virsh dumpxml --security-info --inactive treasure | hook "$op" treasure
	done
	# Broken in the middle of the secrets, so that the parser has something to say.
	! on host1 virsh dumpxml --security-info --inactive treasure |
		sed "s|sesame17'|sesame17<|; s|</name>|<name>|" | hook migrate treasure ||
		fail "a broken document passed"
	on host1 virsh undefine treasure
	for word in sesame17 hush-4711; do
		is "files that hold '$word'" '' "$(on host1 sh -c "grep -lr -- $word /var/log /run/sfhybrid /var/lib/sfhybrid || true")"
	done
	on host1 grep -c "hook migrate of 'treasure'" /var/log/sfhybridd.log
	ctl host1 list # the entry of 'arriving' goes by its time to live
	on host1 "$AGENT" restart
	expect "a pair of treasure is left" wait_for 75 pair_is_gone host1 treasure
}

declare_case hostile_xml net "XML that is too large, has entities, is cut off or is no domain: refused or passed unread in time, nothing is loaded, the agent lives"
hostile_xml() {
	local pid took said what
	pid=$(on host1 "$AGENT" pid)
	printf '%s' '<!DOCTYPE domain [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain><name>&a;</name></domain>' >"$TMPDIR/dtd"
	{ echo '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">'; for i in 1 2 3 4 5 6 7 8 9; do printf '<!ENTITY a%d "%s">' "$i" "$(printf '&a%s;%.0s' "$((i - 1))" {1..10})"; done; echo ']><d>&a9;</d>'; } >"$TMPDIR/laughs"
	head -c 3000000 /dev/zero | tr '\0' x | sed 's/^/<domain><name>g<\/name><description>/; s/$/<\/description><\/domain>/' >"$TMPDIR/large"
	printf '<domain><name>g</name>%s' "$(printf '<a>%.0s' {1..5000})" >"$TMPDIR/deep"
	printf '<domain><name>g' >"$TMPDIR/cut"
	printf '\377\376\0\0<domain' >"$TMPDIR/noise"
	for what in dtd laughs large deep cut noise; do
		took=$(ms_of hook migrate g <"$TMPDIR/$what")
		at_most "hook with $what" 6000 "$took"
	done
	said=$(hook migrate g <"$TMPDIR/dtd" 2>&1) && fail "a document type declaration passed"
	grep -c "document type declarations are not accepted" <<<"$said"
	is "agent" "$pid" "$(on host1 "$AGENT" pid)"
	ctl host1 status
}

# What the agent answers to a ping, in perl: the hosts have it for dpkg's sake.
# shellcheck disable=SC2016 # perl's variables
PING='use IO::Socket::UNIX; alarm 5;
	$s = IO::Socket::UNIX->new(Peer => "/run/sfhybrid/agent.sock") or die "no connection: $!";
	print $s "{\"verb\":\"ping\"}\n"; $s->flush; print scalar <$s> // "";'

declare_case socket_is_roots net "the agent's socket takes root only"
socket_is_roots() {
	local before
	before=$(on host1 stat -c %a /run/sfhybrid)
	is "mode" 600 "$(on host1 stat -c %a /run/sfhybrid/agent.sock)"
	refused "must run as root|[Pp]ermission" nobody sfhybrid-ctl accelerate x
	# Nor does it talk to somebody else who was let near it by mistake.
	on host1 chmod 666 /run/sfhybrid/agent.sock
	on host1 chmod 755 /run/sfhybrid
	is "what it says to nobody" '' "$(nobody perl -e "$PING" || true)"
	on host1 perl -e "$PING" | grep -c pid
	on host1 chmod "$before" /run/sfhybrid
	on host1 "$AGENT" restart
}

declare_case agent_stopped net "the agent hangs (SIGSTOP): define and start of a guest are not slower, what asks it is let go within 5 s" more
agent_stopped() {
	local took
	kind_xml waiter | lab exec host1 virsh define /dev/stdin
	expect "waiter was not adopted within 15 s" wait_for 15 is_adopted host1 waiter
	took=$(ms_of on host1 virsh start --paused waiter)
	on host1 virsh destroy waiter
	agent_signal STOP
	# What it takes without, and a margin for a host whose load changes.
	at_most "virsh start" $((took * 3 / 2 + 5000)) "$(ms_of on host1 virsh start --paused waiter)"
	is "domain" paused "$(on host1 virsh -q domstate waiter)"
	took=$(kind_xml stranger | sed "s|<memory|<uuid>00000000-0000-4000-8000-00000000beef</uuid>&|" |
		ms_of hook migrate stranger)
	at_most "the hook on an arrival" 6000 "$took"
	at_most "libvirtd's answer to another" 10000 "$(ms_of on host1 virsh -q list)"
	agent_signal CONT
	expect "the agent did not see the guest" wait_for 30 nic_is host1 "$(lab guest-mac waiter)" leg standby
	kind_down waiter
	# What the hook had asked is answered to nobody, and ends by its time to live.
	expect "the arrival of a stranger has no end" wait_for 75 pair_is_gone host1 stranger
}

declare_case agent_dead net "the agent is dead: a guest starts at once on its standby leg, an arrival without a VF passes at once, one that brings a VF is refused" more
agent_dead() {
	local took xml vf
	kind_xml orphan | lab exec host1 virsh define /dev/stdin
	expect "orphan was not adopted within 15 s" wait_for 15 is_adopted host1 orphan
	took=$(ms_of on host1 virsh start --paused orphan)
	on host1 virsh destroy orphan
	# shellcheck disable=SC2016 # for the host's shell
	on host1 sh -c 'kill -9 $('$AGENT' pid)'
	at_most "virsh start" $((took * 3 / 2 + 5000)) "$(ms_of on host1 virsh start --paused orphan)"
	is "domain" paused "$(on host1 virsh -q domstate orphan)"
	xml=$(on host1 virsh dumpxml --inactive orphan)
	at_most "the hook on an arrival" 2500 "$(ms_of hook migrate orphan <<<"$xml")"
	hook migrate orphan <<<"$xml" || fail "an arrival without a VF was refused"
	vf="<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='1' slot='0x10'
		function='0'/></source><alias name='ua-sfv-525400000001'/></hostdev>"
	! hook migrate orphan <<<"${xml/<\/devices>/$vf</devices>}" ||
		fail "an arrival that brings a VF passed"
	on host1 "$AGENT" start
	expect "the agent did not find the guest" wait_for 30 nic_is host1 "$(lab guest-mac orphan)" leg standby
	kind_down orphan
}
