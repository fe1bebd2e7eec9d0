# SPDX-License-Identifier: GPL-2.0-or-later
# Targets that test and demonstrate. Included by the top Makefile.
