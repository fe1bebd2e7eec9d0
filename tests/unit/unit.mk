# SPDX-License-Identifier: GPL-2.0-or-later
# Every tests/unit/*.c becomes part of one Criterion binary: test_*.c, and what they
# stand on. What is tested lies in the two libraries, in the agent, or is listed in UNIT_EXTRA.
UNIT_SRC   := $(wildcard tests/unit/*.c)
UNIT_OBJ   := $(UNIT_SRC:%.c=$(B)/obj/%.o)
# Without main(): fake_agent.c has what the others want of main.c.
UNIT_AGENT := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %/main.c,$(wildcard ctl/agent/*.c)))
UNIT_EXTRA := $(B)/obj/libvirt-glue/hook/answer.o $(B)/obj/bench/prober_analyse.o $(B)/obj/bench/datapath/stats.o \
              $(addprefix $(B)/obj/bench/failover/,frames.o guestclock.o legs.o)

$(UNIT_OBJ): ALL_CFLAGS += -DSFH_TEST_DATA='"$(CURDIR)/tests/unit/data"' -DSFH_TEST_BUILD='"$(CURDIR)/$(B)"'

$(B)/tests/unit: $(UNIT_OBJ) $(UNIT_AGENT) $(UNIT_EXTRA) $(B)/libsfhglue.a $(B)/libsfhybrid.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcriterion -lm -pthread

# UNIT_ARGS='--filter netxml/*' runs a part of them.
.PHONY: test-unit
test-unit: $(B)/tests/unit $(B)/50-sfhybrid $(B)/sfhybrid-ctl ## run the unit tests
	$(Q)if [ -x tests/summary.sh ]; then tests/summary.sh $< $(UNIT_ARGS); else $< $(UNIT_ARGS); fi
