# SPDX-License-Identifier: GPL-2.0-or-later
# man.awk TABLES TEMPLATE: the verbs and options of the man page, from what
# 'sfhybrid-ctl --tables' prints. In the template:
#   @VERSION@       the version (-v version=…)
#   @VERB name@     the verb's paragraph; text that follows it goes on there
#   @VERBS@         the paragraphs of the verbs that have none in the template
#   @MISSING@       names the verbs that are not in this version
#   @OPTIONS@       the options of the verbs
BEGIN { FS = "\t" }

function quote(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s
}

# Words in capitals are what the user fills in.
function synopsis(s, out) {
	out = ""
	while (match(s, /[A-Z][A-Z]*/)) {
		out = out quote(substr(s, 1, RSTART - 1)) "\\fI" substr(s, RSTART, RLENGTH) "\\fR"
		s = substr(s, RSTART + RLENGTH)
	}
	return out quote(s)
}

function sentence(s) {
	s = toupper(substr(s, 1, 1)) substr(s, 2)
	return "\\&" quote(s) (s ~ /[.?!]$/ ? "" : ".")
}

function option(name, out) {
	out = "\\fB" quote(name) "\\fR"
	return value[name] == "" ? out : out " \\fI" value[name] "\\fR"
}

function verb(name, line, n, list, i) {
	if (!(name in args)) {
		print "man.awk: there is no verb '" name "'" >"/dev/stderr"
		failed = 1
		return
	}
	seen[name] = 1
	line = "\\fB" quote(name) "\\fR"
	if (args[name] != "")
		line = line " " synopsis(args[name])
	n = split(opts[name], list, " ")
	for (i = 1; i <= n; i++)
		line = line " [" option(list[i]) "]"
	print ".TP"
	print line
	print sentence(help[name])
}

FNR == NR && $1 == "verb" {
	if ($6 == "no") {
		missing = missing (missing == "" ? "" : ", ") "\\fB" $2 "\\fR"
		next
	}
	order[++verbs] = $2
	args[$2] = $3
	opts[$2] = $4
	help[$2] = $5
	n = split($4, list, " ")
	for (i = 1; i <= n; i++)
		takers[list[i]] = takers[list[i]] (takers[list[i]] == "" ? "" : ", ") $2
	next
}
FNR == NR && $1 == "option" {
	optorder[++options] = $2
	value[$2] = $3
	opthelp[$2] = $4
	next
}
FNR == NR { next }

/^@VERB .*@$/ {
	sub(/^@VERB /, "")
	sub(/@$/, "")
	verb($0)
	next
}
$0 == "@VERBS@" {
	for (i = 1; i <= verbs; i++)
		if (!(order[i] in seen))
			verb(order[i])
	next
}
$0 == "@MISSING@" {
	if (missing != "")
		printf ".PP\nNot in this version: %s.\n", missing
	next
}
$0 == "@OPTIONS@" {
	for (i = 1; i <= options; i++)
		if (takers[optorder[i]] != "")
			printf ".TP\n%s\n%s (%s)\n", option(optorder[i]), sentence(opthelp[optorder[i]]),
				takers[optorder[i]]
	next
}
{
	gsub(/@VERSION@/, version)
	print
}
END { exit failed }
