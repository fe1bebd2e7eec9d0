# SPDX-License-Identifier: GPL-2.0-or-later
# Figures out of samples, for the benches in shell: jq -L bench/lib 'include "stats"; …'
def median: sort | if length == 0 then null
	elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: {median: median, min: min, max: max};
