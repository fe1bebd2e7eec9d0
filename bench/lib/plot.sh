# SPDX-License-Identifier: GPL-2.0-or-later
# Bars: horizontal, with their spread and a note behind, one panel below the other.
# Sourced by bench/plot-*. Colours say whose bar it is, the same in every plot.
# shellcheck shell=bash disable=SC2034 # used by those who source this

OURS=750213
OURS_LIGHT=6730432
RIVAL=11384253
CEILING=15320170
VF=6966419

# plot_bars OUT TITLE SUBTITLE PANEL…: OUT.svg and OUT.png. A PANEL is
# "FILE|TITLE|UNIT"; FILE has lines "LABEL <tab> VALUE <tab> MIN <tab> MAX <tab> COLOUR <tab> NOTE"; COLOUR is a number.
plot_bars() {
	local out=$1 title=$2 subtitle=$3 panel file rows=0 n term y height
	shift 3
	for panel in "$@"; do
		n=$(wc -l <"${panel%%|*}")
		rows=$((rows + n + 3))
	done
	height=$((rows * 34 + 110))
	for term in "svg size 1100,$height dynamic background rgb 'white' font 'DejaVu Sans,15'" \
		"pngcairo size 1100,$height background rgb 'white' font 'DejaVu Sans,11'"; do
		{
			printf "set terminal %s\n" "$term"
			printf "set output '%s.%s'\n" "$out" "$([[ $term == svg* ]] && echo svg || echo png)"
			printf "set multiplot\n"
			printf "set label 1 \"{/:Bold*1.3 %s}\" at screen 0.02, screen %s left\n" "$title" "$(frac $((height - 26)) "$height")"
			printf "set label 2 \"{/*0.85 %s}\" at screen 0.02, screen %s left tc rgb '#555555'\n" "$subtitle" "$(frac $((height - 54)) "$height")"
			y=$((height - 80))
			for panel in "$@"; do
				file=${panel%%|*}
				n=$(wc -l <"$file")
				plot_panel "$panel" "$n" "$y" "$height"
				y=$((y - (n + 3) * 34))
				printf "unset label 1\nunset label 2\n"
			done
			printf "unset multiplot\n"
		} | gnuplot || return
	done
}

frac() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", a / b }'; }

# plot_panel PANEL ROWS TOP HEIGHT
plot_panel() {
	local file title unit largest
	IFS='|' read -r file title unit <<<"$1"
	largest=$(awk -F'\t' '{ if ($4 > m) m = $4; if ($2 > m) m = $2 } END { print m * 1.45 }' "$file")
	cat <<-GP
	set datafile separator "\t"
	set lmargin at screen 0.31
	set rmargin at screen 0.97
	set tmargin at screen $(frac $(($3 - 34)) "$4")
	set bmargin at screen $(frac $(($3 - 34 - $2 * 34)) "$4")
	set border 2 lc rgb '#999999'
	set xrange [0:$largest]
	set yrange [$2 - 0.5:-0.5]
	set xtics out nomirror scale 0.5 tc rgb '#777777'
	set grid xtics lt 1 lc rgb '#e5e5e5'
	set ytics scale 0 tc rgb '#222222'
	set xlabel ""
	set title ""
	set label 3 "{/:Bold $title}" at screen 0.31, screen $(frac $(($3 - 20)) "$4") left
	set label 4 "{/*0.85 $unit}" at screen 0.97, screen $(frac $(($3 - 20)) "$4") right tc rgb '#555555'
	unset key
	set style fill solid 1.0 noborder
	plot '$file' using (0):0:(0):2:(\$0-0.36):(\$0+0.36):5 with boxxyerror lc rgb variable, \\
	     '' using 2:0:3:4 with xerrorbars pt -1 lw 1.5 lc rgb '#444444', \\
	     '' using (\$4 > \$2 ? \$4 : \$2):0:6 with labels left offset 0.8,0 tc rgb '#222222', \\
	     '' using (0):0:ytic(1) with points pt -1
	GP
}
