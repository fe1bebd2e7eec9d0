# SPDX-License-Identifier: GPL-2.0-or-later
# Every tests/fuzz/fuzz_NAME.c is a libFuzzer target with its corpus in
# tests/fuzz/corpus/NAME. FUZZ_SRC_NAME names sources of ours that are built into it,
# FUZZ_LIBS_NAME libraries.
#   make fuzz       FUZZ_SECONDS (60) for each; finds go to build/fuzz/NAME
#   make test-fuzz  the corpus and two seconds more: part of `make test`
FUZZ_NAMES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS    := $(FUZZ_NAMES:%=$(B)/fuzz/fuzz-%)
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

.SECONDEXPANSION:
$(FUZZ_BINS): $(B)/fuzz/fuzz-%: tests/fuzz/fuzz_%.c $$(FUZZ_SRC_$$*) $(wildcard include/sfhybrid/*.h bpf/lib/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen $(PKG_CFLAGS) $(FUZZ_FLAGS) \
	    -o $@ $(filter %.c,$^) $(FUZZ_LIBS_$*)

# What a find leaves behind (crash-…, leak-…) is in build/fuzz/NAME, too.
fuzz_run = mkdir -p $(B)/fuzz/$(1) && $(B)/fuzz/fuzz-$(1) -artifact_prefix=$(B)/fuzz/$(1)/ -verbosity=0 \
           -print_final_stats=1 $(2) $(B)/fuzz/$(1) tests/fuzz/corpus/$(1)

.PHONY: fuzz
fuzz: check-deps ## fuzz each parser of what strangers send, a minute each
	$(Q)$(MAKE) --no-print-directory $(FUZZ_BINS)
	$(Q)$(foreach n,$(FUZZ_NAMES),echo "== $(n)" && $(call fuzz_run,$(n),-max_total_time=$(FUZZ_SECONDS)) &&) true

.PHONY: test-fuzz
test-fuzz: $(FUZZ_BINS) ## the fuzz targets over their corpora, and two seconds more
	$(Q)tests/fuzz/run-corpora $(B)/fuzz $(FUZZ_NAMES)
# What the targets are made of.
FUZZ_XML        := libvirt-glue/xmlutil.c libvirt-glue/virtualport.c ctl/core/util.c
FUZZ_SRC_domxml := libvirt-glue/domxml.c libvirt-glue/domadopt.c libvirt-glue/hostdevxml.c $(FUZZ_XML)
FUZZ_SRC_netxml := $(addprefix libvirt-glue/,netxml.c netdef.c netelem.c netsettings.c netportgroup.c netlibvirt.c) \
                   ctl/core/vfwish.c $(FUZZ_XML)
FUZZ_SRC_socket := ctl/core/util.c
FUZZ_SRC_answer := libvirt-glue/hook/answer.c
$(foreach n,domxml netxml socket,$(eval FUZZ_LIBS_$(n) = $$(PKG_LIBS)))
