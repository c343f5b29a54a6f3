# FlexiConnect. `make help` lists what there is; deploy/native/native.mk has the targets that run a stack.
BUILD   ?= build
CC      ?= cc
VERSION := 0.1.0

PACKAGES := json-c libpq libmongoc-1.0 librabbitmq libcurl libuv gmime-3.0 gumbo libcrypto libnghttp2 libprotobuf-c
WARNINGS := -Wall -Wextra -Wconversion -Wformat=2 -Wshadow -Wvla -Wimplicit-fallthrough -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wundef -Wwrite-strings -Werror=format-security \
	-Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion
HARDENING := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE \
	-fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -ftrivial-auto-var-init=zero
HARDENING_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen -Wl,--as-needed
OPTIMIZE ?= -O2 -g1
# Clang before 16 takes it only together with an option that it will drop again.
ifneq (,$(findstring clang,$(CC)))
HARDENING := $(filter-out -ftrivial-auto-var-init=zero,$(HARDENING))
endif
# SAN=1 builds everything with ASan and UBSan, into a directory of its own.
ifdef SAN
BUILD    := build-san
OPTIMIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDENING := -fPIE
HARDENING_LD := -pie -Wl,--as-needed
endif
# FUZZ=1, by `make fuzz`, builds what fuzzers need.
ifdef FUZZ
BUILD    := build-fuzz
CC       := clang
OPTIMIZE := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDENING := -fPIE
HARDENING_LD := -pie -Wl,--as-needed
endif
# V=1 shows whole commands.
Q := $(if $(V),,@)
# WERROR=1 (as in CI) makes every warning an error.
ifdef WERROR
WARNINGS += -Werror
endif

# Looked up only when something is compiled: a machine without the packages can still `make help`, `make up`.
PACKAGE_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
PACKAGE_LIBS   = $(shell pkg-config --libs $(PACKAGES))
CPPFLAGS_ALL = -D_GNU_SOURCE -DFLEXI_VERSION='"$(VERSION)"' -Ilib -Itests/unit -isystem $(BUILD)/proto $(patsubst -I%,-isystem %,$(PACKAGE_CFLAGS)) $(CPPFLAGS)
CFLAGS_ALL   = -std=gnu11 $(OPTIMIZE) $(WARNINGS) $(HARDENING) $(CFLAGS)
LDLIBS_ALL   = -lfcgi $(PACKAGE_LIBS) -linih -lcrypt -lm $(LDLIBS)

LIB_SOURCES := $(wildcard lib/*/*.c)
PROTOS      := $(patsubst lib/wire/%.proto,$(BUILD)/proto/%.pb-c,$(wildcard lib/wire/*.proto))
LIB         := $(BUILD)/libflexiconnect.a
HANDLERS    := $(patsubst handlers/%.c,$(BUILD)/handlers/%,$(wildcard handlers/*/*.c)) \
	$(patsubst %,$(BUILD)/%,$(wildcard handlers/*/*.conf))
PROGRAMS    := pool watch probe listener rpc-logd grpc-logd flexi
spawn_SHARED     := spawn/layout.c spawn/tool.c
pool_SOURCES     := $(wildcard spawn/pool*.c) $(spawn_SHARED)
probe_SOURCES    := $(wildcard spawn/probe*.c)
watch_SOURCES    := $(wildcard spawn/watch*.c) $(spawn_SHARED)
listener_SOURCES := $(wildcard listener/queue/*.c)
rpc-logd_SOURCES := $(wildcard listener/rpc/*.c)
grpc-logd_SOURCES := $(wildcard listener/grpc/*.c)
flexi_SOURCES    := $(wildcard cli/*.c)
BINARIES    := $(foreach p,$(PROGRAMS),$(if $($(p)_SOURCES),$(BUILD)/bin/$(p))) $(BUILD)/bin/serve
UNIT_TESTS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*.c))
PROBES      := $(patsubst tests/probes/%.c,$(BUILD)/probes/%,$(wildcard tests/probes/*.c))

EXAMPLES    := $(patsubst docs/examples/%.c,$(BUILD)/examples/%,$(wildcard docs/examples/*.c))

all: $(HANDLERS) $(BINARIES) ## build everything into build/
.PHONY: all
.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

include $(wildcard deploy/native/native.mk deploy/docker/docker.mk deploy/systemd/systemd.mk tests/tests.mk)

# One rule for every object: its flags are written beside it, so that a change of flags rebuilds.
FLAGS = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDLIBS_ALL)
$(BUILD)/flags: force
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@
.PHONY: force
force:

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "CC $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Generated from lib/wire/*.proto, without our warnings. protobuf-c's strings end at a NUL, whatever follows it: bytes in
# their place are the same on the wire.
$(BUILD)/proto/%.proto: lib/wire/%.proto
	@mkdir -p $(@D); sed -E 's/^( *)string /\1bytes /' $< >$@

$(BUILD)/proto/%.pb-c.c $(BUILD)/proto/%.pb-c.h: $(BUILD)/proto/%.proto
	@echo "PROTO $<"; protoc-c --proto_path=$(@D) --c_out=$(@D) $<

$(BUILD)/obj/proto/%.o: $(BUILD)/proto/%.c $(BUILD)/flags
	@mkdir -p $(@D); echo "CC $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(filter-out $(WARNINGS),$(CFLAGS_ALL)) -MMD -MP -c -o $@ $<

$(BUILD)/obj/lib/wire/grpc_messages.o: | $(PROTOS:%=%.h)

$(LIB): $(LIB_SOURCES:%.c=$(BUILD)/obj/%.o) $(PROTOS:$(BUILD)/%=$(BUILD)/obj/%.o)
	@rm -f $@; $(AR) rcs $@ $^

LINK = @mkdir -p $(@D); echo "LINK $@"; $(if $(V),set -x;) $(CC) $(CFLAGS_ALL) $(HARDENING_LD) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS_ALL)

$(BUILD)/handlers/%: $(BUILD)/obj/handlers/%.o $(LIB)
	$(LINK)

$(BUILD)/handlers/%.conf: handlers/%.conf
	@mkdir -p $(@D); cp $< $@

$(BUILD)/bin/serve: spawn/serve
	@mkdir -p $(@D); install -m 755 $< $@

# The programs that the documents show.
$(BUILD)/examples/%: $(BUILD)/obj/docs/examples/%.o $(LIB)
	$(LINK)

examples: $(EXAMPLES) ## build the programs of docs/examples into build/examples/
.PHONY: examples

define program_rule
$(BUILD)/bin/$(1): $($(1)_SOURCES:%.c=$(BUILD)/obj/%.o) $(LIB)
	$$(LINK)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

# It runs in images that have none of these libraries; probe-static where there is not even this libc.
$(BUILD)/bin/probe $(BUILD)/bin/probe-static: private LDLIBS_ALL :=
$(BUILD)/bin/probe-static: private HARDENING_LD := -static-pie $(filter-out -pie,$(HARDENING_LD))
$(BUILD)/bin/probe-static: $(probe_SOURCES:%.c=$(BUILD)/obj/%.o) $(LIB)
	$(LINK)

$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(LIB)
	$(LINK)
$(BUILD)/tests/%: LDLIBS_ALL += -lcmocka
# Tests of a program's own modules.
$(BUILD)/tests/verdict $(BUILD)/tests/batch: $(BUILD)/tests/%: $(BUILD)/obj/listener/queue/%.o
$(BUILD)/tests/failing_listener: $(patsubst %,$(BUILD)/obj/listener/queue/%.o,batch letter message verdict waiting)
$(BUILD)/tests/layout $(BUILD)/tests/pool $(BUILD)/tests/watch: $(BUILD)/obj/spawn/layout.o
$(BUILD)/tests/pool: $(patsubst %,$(BUILD)/obj/spawn/pool_%.o,backoff fastcgi options publish roll settings)
$(BUILD)/tests/watch: $(BUILD)/obj/spawn/watch_program.o
$(BUILD)/tests/probe: $(BUILD)/obj/spawn/probe_kinds.o

GRPC_PARTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(grpc-logd_SOURCES)))
RPC_PARTS  := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(rpc-logd_SOURCES)))
$(BUILD)/tests/grpc_transport $(BUILD)/tests/grpc_session $(BUILD)/fuzz/http2: $(GRPC_PARTS)

# Fuzzers bring a main of their own.
FUZZERS := $(patsubst tests/fuzz/%.c,build-fuzz/fuzz/%,$(wildcard tests/fuzz/*.c))
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(LIB)
	$(LINK)
$(BUILD)/fuzz/%: LDFLAGS += -fsanitize=fuzzer

# Programs that tests run against: plain libfcgi programs, one handler by lib/handler, log servers that only count.
$(BUILD)/probes/%: $(BUILD)/obj/tests/probes/%.o
	$(LINK)
$(BUILD)/probes/counting_grpc: $(GRPC_PARTS)
$(BUILD)/probes/counting_rpc: $(RPC_PARTS)
$(BUILD)/probes/counting_grpc $(BUILD)/probes/counting_rpc $(BUILD)/probes/gated $(BUILD)/probes/inline: $(LIB)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

clean: ## remove what was built
	rm -rf build build-san build-fuzz
.PHONY: clean

help: ## this list
	@grep -hE '^[a-z-]+([ a-z-]*):.*## ' Makefile $(wildcard deploy/native/native.mk deploy/docker/docker.mk deploy/systemd/systemd.mk tests/tests.mk) | sed -E 's/:.*## /\t/' | expand -t 26
.PHONY: help
