# SPDX-License-Identifier: GPL-2.0-or-later
# What is installed, where, and what of it is generated. Included by the top
# Makefile. One list is both 'install' and 'uninstall'.

UNITDIR       ?= $(PREFIX)/lib/systemd/system
MODULESDIR    ?= $(PREFIX)/lib/modules-load.d
MANDIR        ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

# MODE:FROM:TO
INSTALL_LIST := \
	0755:$(B)/sfhybridd:$(PREFIX)/sbin/sfhybridd \
	0755:$(B)/sfhybrid-ctl:$(PREFIX)/sbin/sfhybrid-ctl \
	0755:$(B)/50-sfhybrid:$(SYSCONFDIR)/libvirt/hooks/qemu.d/50-sfhybrid \
	0644:$(B)/dist/sfhybridd.service:$(UNITDIR)/sfhybridd.service \
	0644:dist/modules-load.conf:$(MODULESDIR)/sfhybrid.conf \
	0644:$(B)/dist/sfhybrid-ctl.bash:$(COMPLETIONDIR)/sfhybrid-ctl \
	0644:$(B)/dist/sfhybrid-ctl.8:$(MANDIR)/man8/sfhybrid-ctl.8 \
	0644:docs/sfhybridd.8:$(MANDIR)/man8/sfhybridd.8

colon    := :
from_of   = $(word 2,$(subst $(colon), ,$(1)))
GENERATED := $(filter $(B)/dist/%,$(foreach i,$(INSTALL_LIST),$(call from_of,$(i))))

# Written beside and moved: two labs may stage from one tree at once.
$(B)/dist/tables: $(B)/sfhybrid-ctl
	@mkdir -p $(@D)
	$(Q)$< --tables > $@.$$$$ && mv $@.$$$$ $@

$(B)/dist/sfhybrid-ctl.8: docs/sfhybrid-ctl.8.in dist/man.awk $(B)/dist/tables
	$(call say,MAN,$@)
	$(Q)awk -v version="$$($(B)/sfhybrid-ctl --version | cut -d ' ' -f 2)" -f dist/man.awk $(B)/dist/tables $< > $@.$$$$ && mv $@.$$$$ $@

$(B)/dist/sfhybrid-ctl.bash: dist/completion.awk $(B)/dist/tables
	$(call say,GEN,$@)
	$(Q)awk -f $< $(B)/dist/tables > $@.$$$$ && mv $@.$$$$ $@

# PREFIX is part of it: made anew each time it is asked for.
.PHONY: $(B)/dist/sfhybridd.service
$(B)/dist/sfhybridd.service: dist/sfhybridd.service.in
	@mkdir -p $(@D)
	$(Q)sed 's|@SBINDIR@|$(PREFIX)/sbin|' $< > $@.$$$$ && mv $@.$$$$ $@

.PHONY: install
install: $(BINS) $(GENERATED) ## install into DESTDIR (PREFIX=/usr): programs, hook, unit, man pages, completion
	$(Q)set -e; for i in $(INSTALL_LIST); do IFS=: read -r mode from to <<<"$$i"; \
		install -D -m "$$mode" "$$from" "$(DESTDIR)$$to"; done

# Also the directories, if nobody else has anything in them.
.PHONY: uninstall
uninstall: ## remove what install put there
	$(Q)set -e; for i in $(INSTALL_LIST); do IFS=: read -r mode from to <<<"$$i"; \
		rm -f "$(DESTDIR)$$to"; \
		dir=$${to%/*}; \
		if [ -d "$(DESTDIR)$$dir" ]; then \
			(cd "$(DESTDIR)/" && rmdir -p --ignore-fail-on-non-empty ".$$dir" 2>/dev/null || true); \
		fi; done

.PHONY: test-install
test-install: all ## install and uninstall into a directory; man page, completion, unit
	$(Q)tests/install/run

.PHONY: test-service
test-service: all ## the installed unit on an emulated host with systemd; doctor on broken hosts (5 min)
	$(Q)tests/lab/service-test
