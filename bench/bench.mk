# SPDX-License-Identifier: GPL-2.0-or-later
# Measurements of the control plane: in memory, and of `up` in the lab.
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
	$(Q)$(B)/bench-datapath --json $(B)/bench/datapath.json

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
