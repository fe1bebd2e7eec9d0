# SPDX-License-Identifier: GPL-2.0-or-later
# Steering on real devices (veth, bridge, tap, macvtap) in network namespaces.
# Needs root. SFH_NO_SKIP=1 makes a skip a failure.
NETNS_TEST_SRC := $(wildcard tests/netns/*.c)

$(B)/tests/test-netns: $(NETNS_TEST_SRC:%.c=$(B)/obj/%.o) $(B)/libsfhybrid.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcriterion

.PHONY: test-netns
test-netns: $(B)/tests/test-netns ## steering on real devices, in network namespaces (root)
	$(Q)tests/summary.sh $<
