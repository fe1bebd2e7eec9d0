# The verbs: synopsis and explanation in one table, for --help.
# shellcheck shell=bash

usage_table() {
	cat <<-'TABLE'
	up|[--hosts 1|2] [--pfs 1-8] [--memory MiB] [--init busybox|systemd] [--bare]|boot the hosts (2, with 1 PF each) with the built tree in them; --init systemd: slower, the daemons as units; --bare: without the tree
	down||end the lab and remove all it made; the cached root filesystem stays
	status||what runs in this lab; exit status 1 if it is not up
	list||the labs that are up
	exec|[-n] [--wait S] [--timeout S] HOST CMD...|run CMD on HOST, directly, with its stdin, stdout, stderr and exit status; -n: stdin is empty
	guest|[-n] [--wait S] [--timeout S] HOST DOM CMD...|the same in guest DOM on HOST; --wait: keep trying that long; 255: could not reach it
	guest-xml|NAME [--mac MAC] [--network NET] [--memory MiB] [--no-rfc-actual] [--cmdline WORDS]|print a domain for the lab's guest (MAC: from NAME; network: hybrid0)
	guest-ip|MAC|the IPv4 address the guest gives to the NIC with this MAC
	guest-mac|NAME|the MAC guest-xml gives to guest NAME
	client|CMD...|run CMD outside the hosts, on the wire (10.77.255.254)
	netboot|NAME [--cmdline WORDS]|serve DHCP and TFTP on the client until killed: guests that boot from the network get the lab's guest, as NAME
pf|HOST [N]|the name of HOST's PF number N (0)
	install|[HOST]|put the built tree into running hosts again and restart the agent
	console|[-f] HOST|HOST's console; -f: follow
	resets|HOST|what the emulator tells of each reset of a CPU; "Triple fault": HOST's own kernel did it
	link|HOST N up|down|plug or pull the cable of HOST's PF number N
	reset|HOST|reset HOST as a power cut would, and wait until it is ready again
	qmp|HOST JSON|send one QMP command to HOST's QEMU and print the answer
	clean||remove the cached root filesystem and tools
	TABLE
}

usage() {
	local verb args what
	printf 'usage: lab [--name NAME] VERB ...\n\n'
	while IFS='|' read -r verb args what; do
		printf '  lab %s %s\n        %s\n' "$verb" "$args" "$what"
	done < <(usage_rows)
	printf '\nThe lab is called NAME, else what SFHYBRID_LAB says, else "lab". HOST is host1 or host2.\n'
}

# "1|2" in a synopsis must not split the row: only the first and last bar do.
usage_rows() { usage_table | sed -E 's/^([a-z-]+)\|(.*)\|([^|]*)$/\1\x1f\2\x1f\3/' | sed 's/|/\x1e/g; s/\x1f/|/g; s/\x1e/,/g'; }

usage_of() {
	local verb args what
	while IFS='|' read -r verb args what; do
		[[ $verb == "$1" ]] || continue
		printf 'usage: lab [--name NAME] %s %s\n  %s\n' "$verb" "$args" "$what"
	done < <(usage_rows)
}
