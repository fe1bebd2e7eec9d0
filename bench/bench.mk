# SPDX-License-Identifier: GPL-2.0-or-later
# Measurements. `make bench` runs what is in BENCHES, each a target of its own; one that
# misses a bound does not keep the others from running.
BENCHES += bench-switches bench-control bench-datapath bench-throughput bench-up bench-warm bench-failover bench-pinning

# With everything else, so that none is found broken when it is wanted.
all: $(B)/bench-control $(B)/bench-datapath $(B)/bench-up-bare $(B)/bench-warm $(B)/sfh-flow

.PHONY: bench
bench: check-deps ## run every bench: what is measured and how to read it is in docs/performance.md
	$(Q)missed=; for bench in $(BENCHES); do \
		echo "== $$bench"; $(MAKE) --no-print-directory $$bench || missed+=" $$bench"; \
	done; [ -z "$$missed" ] || { echo "missed a bound or failed:$$missed" >&2; exit 1; }

.PHONY: bench-switches
bench-switches: check-deps ## measure single switches in the lab; build/bench/switches.json
	$(Q)$(MAKE) --no-print-directory all
	$(Q)bench/switches

# --- the control plane, in memory ---------------------------------------------------------
CONTROL_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard bench/control/*.c))

# The agent itself but for its main(): a host in memory takes libvirt's and the kernel's place.
$(B)/bench-control: $(CONTROL_OBJ) $(filter-out %/main.o,$(AGENT_OBJ)) $(B)/libsfhglue.a $(B)/libsfhybrid.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -pthread

.PHONY: bench-control
bench-control: check-deps ## measure the control plane with 1016 VFs in memory; build/bench/control.json
	$(Q)$(MAKE) --no-print-directory all $(B)/bench-control
	$(Q)mkdir -p $(B)/bench
	$(Q)$(B)/bench-control --build $(B) --json $(B)/bench/control.json

# --- the datapath, natively: everything in network namespaces of its own ----------------
DATAPATH_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard bench/datapath/*.c)))

$(B)/bench/datapath.bpf.o: bench/datapath/datapath.bpf.c bench/datapath/frames.h $(B)/gen/vmlinux.h
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I. -c $< -o $@

$(B)/gen/datapath.skel.h: $(B)/bench/datapath.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name datapath > $@

$(DATAPATH_OBJ): $(B)/gen/datapath.skel.h

$(B)/bench-datapath: $(DATAPATH_OBJ) $(B)/libsfhybrid.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm -pthread

.PHONY: bench-datapath
bench-datapath: check-deps ## measure the datapath against its rivals, natively; build/bench/datapath.json, .svg, .png
	$(Q)$(MAKE) --no-print-directory all $(B)/bench-datapath
	$(Q)mkdir -p $(B)/bench
	$(Q)$(B)/bench-datapath --json $(B)/bench/datapath.json || status=$$?; \
		bench/plot-datapath $(B)/bench/datapath.json $(B)/bench/datapath && exit $${status:-0}

$(B)/bench-up-bare: $(B)/obj/bench/up/bare.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

.PHONY: bench-up
bench-up: check-deps ## measure `up` of 56 VFs in the lab over the bare calls it needs; build/bench/up.json
	$(Q)$(MAKE) --no-print-directory all $(B)/bench-up-bare
	$(Q)bench/up/run

# --- throughput and round-trip time, in the lab ------------------------------------------
# Static: the guest has no libraries.
$(B)/sfh-flow: $(B)/obj/bench/flow.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -static -o $@ $^

.PHONY: bench-throughput
bench-throughput: check-deps ## guest to client on each leg and on its rivals, in the lab; build/bench/throughput.json, .svg, .png
	$(Q)$(MAKE) --no-print-directory all $(B)/sfh-flow
	$(Q)bench/throughput

include bench/failover/failover.mk

$(B)/bench-warm: $(B)/obj/bench/warm.o $(B)/obj/ctl/agent/warm.o $(B)/obj/ctl/agent/backlog.o $(B)/libsfhybrid.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -pthread

.PHONY: bench-warm
bench-warm: check-deps ## measure what probing 1016 standby legs costs (root); build/bench/warm.json
	$(Q)$(MAKE) --no-print-directory all $(B)/bench-warm
	$(Q)mkdir -p $(B)/bench
	$(Q)$(B)/bench-warm --json $(B)/bench/warm.json
