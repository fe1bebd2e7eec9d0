# SPDX-License-Identifier: GPL-2.0-or-later
# The measurement of a switch and of a migration against every rival.
FAILOVER_BINS := $(B)/sfh-duplex $(B)/sfh-figures $(B)/sfh-echo $(B)/sfh-vcpu
BENCH_BINS += $(FAILOVER_BINS)

all: $(FAILOVER_BINS)

$(B)/sfh-duplex: $(B)/obj/bench/failover/duplex.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

# Static: a guest of the lab has no libraries.
$(B)/sfh-echo: $(B)/obj/bench/failover/echo.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -static -o $@ $^

# Static: a host of the lab has another libc.
$(B)/sfh-vcpu: $(B)/obj/bench/failover/vcpu.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -static -o $@ $^

$(B)/sfh-figures: $(addprefix $(B)/obj/bench/failover/,figures.o frames.o guestclock.o legs.o)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ljansson

.PHONY: bench-failover
bench-failover: check-deps ## measure migrations and switches against every rival (two emulated hosts, up to an hour); build/bench/failover.json
	$(Q)$(MAKE) --no-print-directory all
	$(Q)bench/failover/run $(FAILOVER_ARGS)

.PHONY: bench-pinning
bench-pinning: check-deps ## measure how long a guest stands still while its memory is pinned; build/bench/pinning.json
	$(Q)$(MAKE) --no-print-directory all
	$(Q)bench/failover/pinning $(PINNING_ARGS)
