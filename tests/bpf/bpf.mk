# SPDX-License-Identifier: GPL-2.0-or-later
# BPF programs, one frame at a time (BPF_PROG_TEST_RUN), and the steering API.
# Needs root. SFH_NO_SKIP=1 makes a skip a failure.
BPF_TEST_SRC := $(wildcard tests/bpf/*.c) tests/netns/sandbox.c

$(B)/tests/test-bpf: $(BPF_TEST_SRC:%.c=$(B)/obj/%.o) $(B)/libsfhybrid.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcriterion

.PHONY: test-bpf
test-bpf: $(B)/tests/test-bpf ## BPF programs frame by frame, and the steering API (root)
	$(Q)tests/summary.sh $<
