# SPDX-License-Identifier: GPL-2.0-or-later
# sfhybrid: `make help` lists the targets. Everything built goes to build/.
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' "$(1)" "$(2)"
else
Q :=
say = @:
endif

B          := build
PREFIX     ?= /usr
SYSCONFDIR ?= /etc
CC         ?= gcc
CLANG      ?= clang
BPFTOOL    ?= $(shell PATH=$$PATH:/usr/sbin command -v bpftool)
PKGS       := libbpf libxdp libnl-3.0 libnl-route-3.0 libvirt libvirt-qemu libxml-2.0 sqlite3 jansson libsystemd
# deps may still be missing when make reads this file: then both are empty.
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CFLAGS     ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
              -Wvla -Wformat=2 -Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
              -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen $(PKG_CFLAGS) $(CFLAGS)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Iinclude -Ibpf -I$(B)/gen

include tests/tests.mk

# --- what is built from what ----------------------------------------------------
BPF_SRC  := $(wildcard bpf/*.bpf.c)
SKELS    := $(BPF_SRC:bpf/%.bpf.c=$(B)/gen/%.skel.h)
LIB_SRC  := $(wildcard ctl/core/*.c ctl/core/nic/*.c ctl/engine/*.c)
GLUE_SRC := $(wildcard libvirt-glue/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/obj/%.o)
GLUE_OBJ := $(GLUE_SRC:%.c=$(B)/obj/%.o)
AGENT_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard ctl/agent/*.c))
CLI_OBJ   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard ctl/cli/*.c))
HOOK_OBJ  := $(patsubst %.c,$(B)/obj/%.o,$(wildcard libvirt-glue/hook/*.c))
BINS      := $(B)/sfhybridd $(B)/sfhybrid-ctl $(B)/50-sfhybrid
BENCH_BINS := $(B)/sfh-prober

.PHONY: all
all: $(BINS) $(BENCH_BINS) ## build the agent, the CLI, the hook and the prober

$(B)/gen/vmlinux.h:
	$(call say,BTF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c > $@

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/lib/*.h) include/sfhybrid/abi.h $(B)/gen/vmlinux.h
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(B)/obj/%.o: %.c | $(SKELS)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(B)/libsfhybrid.a: $(LIB_OBJ)
$(B)/libsfhglue.a: $(GLUE_OBJ)
$(B)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/sfhybridd: $(AGENT_OBJ) $(B)/libsfhglue.a $(B)/libsfhybrid.a
$(B)/sfhybrid-ctl: $(CLI_OBJ) $(B)/libsfhglue.a $(B)/libsfhybrid.a
$(B)/sfhybridd $(B)/sfhybrid-ctl:
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -pthread

# The hook runs inside libvirtd's confinement and must start fast: no libraries but libc.
$(B)/50-sfhybrid: $(HOOK_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(B)/sfh-prober: $(B)/obj/bench/prober.o $(B)/obj/bench/prober_analyse.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# --- the machine -----------------------------------------------------------------
.PHONY: deps
deps: ## install what building, testing and the lab need (idempotent; uses the machine's apt)
	$(Q)tests/deps.sh install

.PHONY: check-deps
check-deps:
	$(Q)tests/deps.sh ensure

include bench/bench.mk

# --- install: what goes where is in dist/install.mk ---------------------------------
include dist/install.mk

.PHONY: clean
clean: ## remove what was built, keep the lab's cached root filesystem
	$(Q)rm -rf $(B)/obj $(B)/bpf $(B)/gen $(B)/dist $(B)/tests $(B)/*.a $(BINS) $(BENCH_BINS)

.PHONY: distclean
distclean: ## remove build/ altogether
	$(Q)for lab in $$(tests/lab/lab list 2>/dev/null); do tests/lab/lab --name "$$lab" down; done
	$(Q)rm -rf $(B)

.PHONY: format
format: ## run clang-format over the C sources
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: help
help: ## list the targets
	@printf 'make TARGET [V=1]\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
