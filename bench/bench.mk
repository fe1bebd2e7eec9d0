# SPDX-License-Identifier: GPL-2.0-or-later
# Measurements that need no lab.
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
