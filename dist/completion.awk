# SPDX-License-Identifier: GPL-2.0-or-later
# completion.awk: bash completion, from what 'sfhybrid-ctl --tables' prints.
BEGIN {
	FS = "\t"
	print "# bash completion for sfhybrid-ctl; generated from its verb table."
}
$1 == "verb" && $6 == "yes" {
	verbs = verbs (verbs == "" ? "" : " ") $2
	cases = cases "\t" $2 ") options='" $4 "' args='" $3 "' ;;\n"
}
$1 == "option" && $3 != "" { valued = valued "|" $2 }
END {
	print "_sfhybrid_ctl()"
	print "{"
	print "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}"
	print "\tlocal verb='' options='' args='' names='' word i n=0"
	print "\tlocal -a want"
	print "\tCOMPREPLY=()"
	print "\tfor ((i = 1; i < COMP_CWORD; i++)); do"
	print "\t\tword=${COMP_WORDS[i]}"
	print "\t\tcase $word in"
	print "\t\t--connect" valued ") ((i++)) ;;"
	print "\t\t-*) ;;"
	print "\t\t*) if [[ -z $verb ]]; then verb=$word; else ((n++)); fi ;;"
	print "\t\tesac"
	print "\tdone"
	print "\tcase $prev in"
	print "\t--connect" valued ") return ;;"
	print "\tesac"
	print "\tif [[ -z $verb ]]; then"
	print "\t\tmapfile -t COMPREPLY < <(compgen -W '" verbs " --json --connect --help --version' -- \"$cur\")"
	print "\t\treturn"
	print "\tfi"
	print "\tcase $verb in"
	printf "%s", cases
	print "\tesac"
	print "\tif [[ $cur == -* ]]; then"
	print "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options --json --connect --help\" -- \"$cur\")"
	print "\t\treturn"
	print "\tfi"
	print "\tread -ra want <<<\"${args//[\\[\\]]/}\""
	print "\tword=${want[n]-}"
	print "\t[[ $args != *...* ]] || word=${want[-1]} # the last may be repeated"
	print "\tcase $word in"
	print "\tNET) names=$(virsh -q -c qemu:///system net-list --all --name 2>/dev/null) ;;"
	print "\tDOM) names=$(virsh -q -c qemu:///system list --all --name 2>/dev/null) ;;"
	print "\tPF*) for i in /sys/class/net/*/device/sriov_totalvfs; do"
	print "\t\t[[ -e $i ]] && i=${i%/device/*} && names+=\" ${i##*/}\""
	print "\tdone ;;"
	print "\tFILE) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;"
	print "\tesac"
	print "\tmapfile -t COMPREPLY < <(compgen -W \"$names\" -- \"$cur\")"
	print "}"
	print "complete -F _sfhybrid_ctl sfhybrid-ctl"
}
