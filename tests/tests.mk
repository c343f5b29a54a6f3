# Tests and checks. `make test` does its own set-up: packages, tools, a Python environment, a stack of its own.

RUFF = $(shell tests/python --print)/bin/ruff
PYTEST_ARGS ?=
PRELOADS := $(patsubst tests/preload/%.c,$(BUILD)/preload/%.so,$(wildcard tests/preload/*.c))
FUZZ_SECONDS ?= 60
# Foreign captures and specifications to test against, where a directory beside the checkout has them.
VECTORS := $(firstword $(wildcard $(CURDIR)/../*/vectors))
ifneq ($(VECTORS),)
export TEST_VECTORS_DIR ?= $(abspath $(VECTORS))
endif

.PHONY: check test interop lint bench soak fuzz format

check: tests-built ## build and run the unit tests (no services needed)
	@tests/unit/run $(UNIT_TESTS)

check-sanitized: test-setup ## the unit tests under ASan and UBSan, into build-san/
	@$(MAKE) --no-print-directory -j$(shell nproc) SAN=1 BUILD=build-san units
	@$(MAKE) --no-print-directory SAN=1 BUILD=build-san run-units

.PHONY: check-sanitized units run-units
units: $(UNIT_TESTS)
run-units:
	@tests/unit/run $(UNIT_TESTS)

# Unit tests that fail keep nobody from seeing what the others say.
test: test-setup ## all tests: unit, against foreign programs, then end to end against a stack of their own
	@$(MAKE) --no-print-directory -j$(shell nproc) tests-built
	@status=0; tests/unit/run $(UNIT_TESTS) || status=$$?; tests/interop/run || status=$$?; tests/e2e/run $(PYTEST_ARGS) && exit $$status

interop: test-setup ## the log servers and their clients against Python, Go and hostile programs
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	@tests/interop/run $(PYTEST_ARGS)

.PHONY: tests-built
tests-built: all $(UNIT_TESTS) $(PROBES) $(PRELOADS) $(EXAMPLES)

# What is loaded before a program by tests, to harm it from inside.
$(BUILD)/preload/%.so: tests/preload/%.c $(BUILD)/flags
	@mkdir -p $(@D); echo "LINK $@"; $(CC) -std=gnu11 -D_GNU_SOURCE $(OPTIMIZE) $(WARNINGS) -fPIC -shared -o $@ $<

lint: test-setup ## formatting, static analysis, budgets of size, generated documents
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	@tests/lint

bench: test-setup ## measure each path as a share of the floor (BENCH_ARGS="--rounds 1 --seconds 2 broker" for less)
	@$(MAKE) --no-print-directory -j$(shell nproc) all $(PROBES)
	@$(shell tests/python --print)/bin/python tests/bench/bench.py $(BENCH_ARGS)

soak: test-setup ## the promise under kills, for as long as told: make soak SECONDS=3600
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	@cd tests/e2e && $(shell tests/python --print)/bin/python -m support.promise --seconds $(or $(SECONDS),600)

# One of them only: make fuzz FUZZERS=build-fuzz/fuzz/gob
fuzz: test-setup ## run each fuzzer for FUZZ_SECONDS (60)
	@$(MAKE) --no-print-directory -j$(shell nproc) FUZZ=1 $(FUZZERS)
	@tests/fuzz/run $(FUZZ_SECONDS) build-fuzz $(FUZZERS)

format: ## format everything
	@git ls-files -z -- '*.c' '*.h' | xargs -0 clang-format -i
	@bash -c 'native=deploy/native; . $$native/lib/say; . $$native/lib/tools; "$$(tool_path caddy)" fmt --overwrite Caddyfile'
	@$(RUFF) format --quiet tests && $(RUFF) check --quiet --fix tests

.PHONY: test-setup
test-setup:
	@deploy/native/deps runtime build test
	@deploy/native/tools
	@tests/python

# What clang-tidy must know.
.PHONY: print-flags
print-flags:
	@: $(info -std=gnu11 $(CPPFLAGS_ALL))
