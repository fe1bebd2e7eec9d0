# SPDX-License-Identifier: GPL-2.0-or-later
# Targets that test, demonstrate and measure. Included by the top Makefile.

.PHONY: test
test: check-deps ## unit, BPF and network-namespace tests (minutes; needs root)
	$(Q)$(MAKE) --no-print-directory test-suites

.PHONY: test-suites
test-suites: all
	$(Q)tests/run-suites.sh test-unit test-bpf test-netns test-fuzz test-install test-acceptance

.PHONY: test-acceptance
test-acceptance: ## every test that docs/acceptance.md names exists
	$(Q)tests/acceptance

.PHONY: test-faults
test-faults: check-deps ## seed faults one at a time; each must turn its named test red
	$(Q)tests/faults/run

.PHONY: demo
demo: check-deps ## the whole story on two emulated hosts: allocate, switch, migrate there and back
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/lab/demo

.PHONY: lab-test
lab-test: check-deps ## end-to-end tests on emulated hosts (ALL=1: also the long ones; T=NAME: only that case)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)ALL='$(ALL)' tests/lab/run-cases $(foreach t,$(T),'$(t)')

.PHONY: test-pool
test-pool: check-deps ## the pool on real VFs: 8 PFs with 56 of them, damage and fsck, require, VLANs
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/lab/pool-test

.PHONY: test-random
test-random: check-deps ## random operations on 56 real VFs against a model (SEED=N repeats one)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/lab/random-test $(SEED)

-include tests/unit/unit.mk tests/bpf/bpf.mk tests/netns/netns.mk tests/fuzz/fuzz.mk
