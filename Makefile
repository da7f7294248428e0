# tailrace: build, test, install. Plain GNU make; `make help` lists the targets and the variables.
#
# No file lists are kept by hand: every *.c below a source folder belongs to the library, every
# tests/**/test_*.c is a program of its own, every tests/fuzz/fuzz_*.c a fuzz target.

##@ BUILD=dir      where everything is built (default: build)
BUILD ?= build
##@ SAN=address    address (with undefined) | thread | empty: the sanitizer to build with
SAN ?=
##@ FAILPOINTS=1   compile the fail points in; test builds only
FAILPOINTS ?=
##@ T=word         run only the tests whose path or name contains this word (unit, test)
T ?=
##@ DIRS="..."     build only these source folders into the library (for work on one part)
DIRS ?= core clients capture decoders encoders sinks offsets schema mapping pipeline service app
##@ FUZZ_SECONDS=n  how long each fuzz target runs (default: 60)
FUZZ_SECONDS ?= 60
##@ V=1            show the commands
V ?=
##@ PREFIX=dir     where `make install` puts things (default: /usr/local), below DESTDIR
PREFIX ?= /usr/local
DESTDIR ?=

VERSION := 0.1.0
ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O2
PKG_CONFIG ?= pkg-config
# Debian's own interpreter: the Python modules that the tests need are Debian's packages.
PYTHON := /usr/bin/python3

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# ---------------------------------------------------------------------------------- libraries
# The first list is always needed; the others come with the folder that uses them.
PKGS := libpq libcrypto libssl sqlite3 yaml-0.1 jansson libzstd zlib
uses = $(if $(wildcard $(1)),$(2))
PKGS += $(sort $(call uses,capture/mysql sinks/mysql offsets/mysql,libmariadb) \
               $(call uses,clients/kafka sinks/kafka offsets/kafka,rdkafka) \
               $(call uses,encoders/avro,avro-c) \
               $(call uses,encoders/avro service,libcurl) \
               $(call uses,service,libmicrohttpd))
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
LIBS = $(PKG_LIBS) -lm -pthread

# -------------------------------------------------------------------------------------- flags
SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_thread := -fsanitize=thread
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
SAN_ :=
ifeq ($(filter $(SAN),address thread fuzz),$(SAN))
SAN_FLAGS := $(SAN_$(SAN))
else
$(error SAN=$(SAN) is not known; use address, thread, or leave it empty)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
# tests/integration/test_350_binary.py looks for all of these in the program.
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3) \
          $(if $(filter x86_64-% i%86-%,$(MACHINE)),-fcf-protection=full)
CPPFLAGS_ALL = -D_GNU_SOURCE -I. -DTR_VERSION='"$(VERSION)"' $(if $(FAILPOINTS),-DTR_FAILPOINTS) \
               $(patsubst -I%,-isystem %,$(PKG_CFLAGS)) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -g $(WARNINGS) -fno-omit-frame-pointer $(HARDEN) -pthread $(SAN_FLAGS) $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed $(SAN_FLAGS) $(LDFLAGS)

# -------------------------------------------------------------------------------------- files
find_c = $(sort $(shell find $(wildcard $(1)) -name '$(2)' -type f 2>/dev/null))
SRC := $(if $(wildcard $(DIRS)),$(call find_c,$(DIRS),*.c))
OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out app/main.c,$(SRC)))
LIB := $(BUILD)/libtailrace.a
BIN := $(BUILD)/tailrace

TEST_DIRS := $(wildcard tests/unit tests/contract tests/golden)
TEST_SRC := $(if $(TEST_DIRS),$(call find_c,$(TEST_DIRS),*.c))
TEST_MAIN := $(foreach f,$(TEST_SRC),$(if $(filter test_%.c,$(notdir $(f))),$(f)))
# What tests share: every other *.c beside them.
TEST_HELP_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(TEST_MAIN),$(TEST_SRC)))
TEST_PROGS := $(patsubst %.c,$(BUILD)/%,$(if $(T),$(foreach f,$(TEST_MAIN),$(if $(findstring $(T),$(f)),$(f))),$(TEST_MAIN)))
FUZZ_SRC := $(if $(wildcard tests/fuzz),$(call find_c,tests/fuzz,fuzz_*.c))
FUZZ_PROGS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SRC))

NPROC := $(shell nproc 2>/dev/null || echo 2)
# Sub-makes use every processor unless the caller has said -j.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(NPROC))

.PHONY: all lib unit unit-build test lint check-layers format fuzz fuzz-build fuzz-programs demo bench setup reference install clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BIN)                     ## build the program: $(BUILD)/tailrace (this is the default)

lib: $(LIB)                     ## build everything but main() as a library: $(BUILD)/libtailrace.a

# -------------------------------------------------------------------------------------- rules
# The stamps change only when the flags or the list of files do, so that SAN=thread after a plain
# build, or a deleted source file, rebuilds what it must.
define stamp
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' > $@
endef

.PHONY: FORCE
FORCE:
$(BUILD)/.flags: FORCE
	$(call stamp,$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS))
$(BUILD)/.files: FORCE
	$(call stamp,$(OBJ))
$(BUILD)/.test-files: FORCE
	$(call stamp,$(TEST_HELP_OBJ))

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	$(if $(PKG_LIBS),,$(error development packages are missing; `make setup` installs them, `$(PKG_CONFIG) --print-errors --exists $(PKGS)` names them))
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/tests/fuzz/%.o: CFLAGS += -Wno-missing-prototypes

$(LIB): $(OBJ) $(BUILD)/.files
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(OBJ)

$(BIN): $(BUILD)/obj/app/main.o $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(LIB) $(LIBS)

$(BUILD)/libtesthelp.a: $(TEST_HELP_OBJ) $(BUILD)/.test-files
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $(TEST_HELP_OBJ)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libtesthelp.a $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(BUILD)/libtesthelp.a $(LIB) -lcmocka $(LIBS)

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(LIB) $(LIBS)

-include $(shell test -d $(BUILD)/obj && find $(BUILD)/obj -name '*.d')

# -------------------------------------------------------------------------------------- tests
unit-build: $(TEST_PROGS)

unit: unit-build                ## build and run the unit, contract and golden tests; T=word picks some
	@$(PYTHON) tests/run --build $(BUILD) --no-integration $(if $(T),--filter '$(T)')

##@ TEST_SAN=...   the sanitizer of `make test` (default: address)
TEST_SAN ?= address
TEST_BUILD = $(BUILD)/$(or $(patsubst address,asan,$(patsubst thread,tsan,$(TEST_SAN))),plain)

test:                           ## everything: unit, contract, golden, then integration and faults on real servers
	@scripts/setup.sh
	@$(SUBMAKE) BUILD=$(TEST_BUILD) SAN=$(TEST_SAN) FAILPOINTS=1 all unit-build
	@$(PYTHON) tests/run --build $(TEST_BUILD) $(if $(T),--filter '$(T)')

fuzz-programs: $(FUZZ_PROGS)

fuzz-build:                     ## build the fuzz targets (clang, libFuzzer) into $(BUILD)/fuzz
	@scripts/setup.sh
	@$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=clang SAN=fuzz fuzz-programs

fuzz: fuzz-build                ## run each fuzz target for FUZZ_SECONDS, beginning with its corpus
	@scripts/fuzz --build $(BUILD)/fuzz --seconds $(FUZZ_SECONDS) $(if $(T),--filter '$(T)')

C_FILES = $(call find_c,$(DIRS) tests,*.[ch])
SHELL_FILES = $(shell grep -rlE -m1 '^\#!.*(/| )(ba|da)?sh$$' scripts tests .ci 2>/dev/null)

LINTS := check-layers lint-format lint-cppcheck lint-shell lint-python lint-clang
.PHONY: $(LINTS)
lint:                           ## format, layers, cppcheck, shellcheck, and a build with clang
	@scripts/setup.sh
	@$(MAKE) --no-print-directory -k $(LINTS)

lint-format:
	$(call say,FORMAT,$(words $(C_FILES)) files)
	$(Q)$(if $(C_FILES),clang-format --dry-run --Werror $(C_FILES))

lint-cppcheck:
	$(call say,CPPCHK,$(words $(SRC)) files)
	@mkdir -p $(BUILD)/cppcheck
	$(Q)test -z '$(SRC)' || cppcheck --quiet --std=c11 --language=c -j $(NPROC) --enable=warning,performance,portability \
	    --inline-suppr --suppressions-list=scripts/cppcheck.supp --cppcheck-build-dir=$(BUILD)/cppcheck \
	    --error-exitcode=1 -D_GNU_SOURCE -D__linux__ -I. $(SRC)

lint-shell:
	$(call say,SHELL,$(SHELL_FILES))
	$(Q)$(if $(SHELL_FILES),shellcheck $(SHELL_FILES))

lint-python:
	$(call say,PYTHON,tests scripts)
	$(Q)$(PYTHON) scripts/check-python tests scripts

lint-clang:
	$(Q)$(SUBMAKE) BUILD=$(BUILD)/clang CC=clang lib

check-layers:                   ## no folder includes what its place in the design forbids
	$(call say,LAYERS,$(DIRS))
	$(Q)$(PYTHON) scripts/check-layers

##@ F="files"      the files that `make format` touches (default: every C file)
F ?= $(C_FILES)
format:                         ## put C files into the project's format; F="a.c b.h" picks some
	$(Q)clang-format -i $(F)

# -------------------------------------------------------------------------------- for people
setup:                          ## install what building and testing need (Debian 12; root or sudo)
	@scripts/setup.sh

demo: setup                     ## watch a live database being copied, followed, killed, and still equal
	@$(SUBMAKE) all
	@TAILRACE_BIN=$(abspath $(BIN)) scripts/demo.sh

bench: setup                    ## measure each path beside its peer and print the ratios
	@$(SUBMAKE) all $(BUILD)/tests/bench/encoder
	@TAILRACE_BIN=$(abspath $(BIN)) tests/bench/run

reference: all                  ## write the option tables into docs/tailrace.1 and docs/configuration.md
	$(BIN) help --man > docs/tailrace.1
	sed '/^### Task$$/,$$d' docs/configuration.md > $(BUILD)/configuration.md
	$(BIN) help --markdown | sed 1d >> $(BUILD)/configuration.md
	cp $(BUILD)/configuration.md docs/configuration.md

install: all                    ## install program, manual page, service and licence below DESTDIR/PREFIX
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/tailrace
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/tailrace/LICENSE
	$(if $(wildcard docs/tailrace.1),install -D -m 644 docs/tailrace.1 $(DESTDIR)$(PREFIX)/share/man/man1/tailrace.1)
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/|$(PREFIX)/|' scripts/tailrace@.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/tailrace@.service

clean:                          ## remove what was built
	rm -rf $(BUILD)

help:                           ## this text
	@printf 'usage: make [TARGET] [VARIABLE=value]\n\ntargets:\n'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' Makefile | sed 's/\$$(BUILD)/build/g' | \
	    while IFS="$$(printf '\t')" read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done
	@printf '\nvariables:\n'
	@sed -n 's/^##@ /  /p' Makefile
