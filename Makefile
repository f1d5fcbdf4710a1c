# blosc2-grok: build, test, demonstrate. Needs a C compiler, make and Python 3.11 or newer with pip; the rest goes into .venv.
# SPDX-License-Identifier: BSD-3-Clause

PYTHON ?= python3
VENV ?= .venv
BUILD ?= build
CC ?= cc
CFLAGS ?= -O3
PYTEST_ARGS ?=

VPY := $(VENV)/bin/python
STD_FLAGS := -std=c11 -Wall -Wextra -Wpedantic -Werror -ffp-contract=off -Iinclude -Isrc -Iplugin
LIBS := -lm -pthread

# $(call isa_flags,FILE): files of src/simd name the instruction set that they are compiled for.
MACHINE := $(shell uname -m)
ifneq ($(filter x86_64 amd64 AMD64,$(MACHINE)),)
AVX2_FLAGS := -mavx2 -mbmi -mbmi2 -mlzcnt -mpopcnt -mfma
AVX512_FLAGS := $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 \
                -mgfni -mavx512bitalg -mavx512vpopcntdq
isa_flags = $(if $(findstring avx512,$(1)),$(AVX512_FLAGS),$(if $(findstring avx2,$(1)),$(AVX2_FLAGS),$(if $(findstring sse41,$(1)),-msse4.1)))
endif

ENGINE_SOURCES := $(wildcard src/*.c src/simd/*.c)
TOOL_SOURCES := $(wildcard tools/*.c)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c tests/kernels/*.c tests/hostile/*.c)
HEADERS := $(wildcard include/*.h include/compat/*.h src/*.h src/simd/*.h plugin/*.h tools/*.h tests/unit/*.h tests/kernels/*.h tests/hostile/*.h)
C_FILES := $(wildcard src/*.c src/simd/*.c plugin/*.c tools/*.c tests/unit/*.c tests/kernels/*.c fuzz/*.c examples/*.c bench/*.c)
H_FILES := $(HEADERS) $(wildcard fuzz/*.h)
PACKAGE_FILES := $(wildcard pyproject.toml CMakeLists.txt python/*.py python/blosc2_grok/*.py python/blosc2_grok/*/*.py plugin/*) $(ENGINE_SOURCES) $(HEADERS)

.PHONY: all tool unit unit-programs test pytest demo conformance sanitize sanitize-short sanitize-build sanitize-unit sanitize-address sanitize-thread \
        sanitize-python fuzz fuzz-programs coverage bench lint format install clean distclean help bench-rd targets
.DELETE_ON_ERROR:
# Objects stay for the next build, and the tests' summary is the last thing printed.
.SECONDARY:

help:
	@echo "make demo         compress the photograph in examples/ three ways; table and pictures in demo-output/"
	@echo "make test         C unit tests, then everything under tests/ with pytest"
	@echo "make sanitize     unit tests, tool and package under the address, undefined and thread sanitizers"
	@echo "make fuzz         libFuzzer (clang) on decoder, boxes, plugin and round trip, FUZZ_SECONDS each"
	@echo "make coverage     lines of the decode path that tests and test data reach (clang)"
	@echo "make conformance  ITU-T T.803 and other test files, one row a file (needs the data: see tests/conformance)"
	@echo "make bench        short comparison with OpenJPEG"
	@echo "make bench-rd     rate-distortion curves beside OpenJPEG's and Grok's"
	@echo "make targets      ratios, PSNRs and maximum errors: wanted, and what came of them"
	@echo "make tool         the command-line program, $(BUILD)/j2k"
	@echo "make lint, make format, make clean, make distclean"

all: tool unit-programs

# ---- engine, tool, unit tests ----------------------------------------------------------------------------------------

ENGINE_OBJECTS := $(ENGINE_SOURCES:%.c=$(BUILD)/obj/%.o)
TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(BUILD)/obj/%.o)
UNIT_PROGRAMS := $(UNIT_SOURCES:%.c=$(BUILD)/%)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(STD_FLAGS) $(CFLAGS) $(call isa_flags,$(notdir $<)) -MMD -MP -c $< -o $@

$(BUILD)/libj2k.a: $(ENGINE_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/j2k: $(TOOL_OBJECTS) $(BUILD)/libj2k.a
	$(CC) $(CFLAGS) $^ $(LIBS) -o $@

$(BUILD)/tests/%: tests/%.c $(BUILD)/libj2k.a
	@mkdir -p $(@D)
	$(CC) $(STD_FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< $(BUILD)/libj2k.a $(LIBS) -o $@

# Fuzz targets, which replay their corpora unless FUZZ_MAIN brings libFuzzer.
FUZZ_MAIN ?= fuzz/replay.c
FUZZ_TARGETS := $(patsubst fuzz/%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
PLUGIN_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out plugin/alias.c,$(wildcard plugin/*.c)))

$(BUILD)/fuzz/%: fuzz/%.c fuzz/replay.c $(PLUGIN_OBJECTS) $(BUILD)/libj2k.a
	@mkdir -p $(@D)
	$(CC) $(STD_FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< $(FUZZ_MAIN) $(PLUGIN_OBJECTS) $(BUILD)/libj2k.a $(LIBS) -o $@

$(BUILD)/seeds: fuzz/seeds.c tests/hostile/streams.h $(BUILD)/libj2k.a
	$(CC) $(STD_FLAGS) $(CFLAGS) $< $(BUILD)/libj2k.a $(LIBS) -o $@

# Which headers an output was made from, as the compiler noted it.
-include $(ENGINE_OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d) $(PLUGIN_OBJECTS:.o=.d) $(FUZZ_PROGRAMS:=.d)

tool: $(BUILD)/j2k

unit-programs: $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS)

unit: unit-programs
	@sh tests/run_unit.sh $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS)

# ---- Python environment ----------------------------------------------------------------------------------------------

$(VENV)/.requirements: tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(VPY) || $(PYTHON) -m venv $(VENV)
	$(VPY) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(VPY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements $(PACKAGE_FILES)
	$(VPY) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	@touch $@

install: $(VENV)/.installed

# ---- what people run -------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed
	$(VPY) examples/demo.py --output demo-output

# Both runners always run; the second one's summary ends the output.
test: $(VENV)/.installed tool unit-programs
	@status=0; \
	sh tests/run_unit.sh $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) || status=1; \
	$(VPY) -m pytest $(PYTEST_ARGS) || status=1; \
	exit $$status

pytest: $(VENV)/.installed tool
	$(VPY) -m pytest $(PYTEST_ARGS)

conformance: $(VENV)/.requirements tool
	$(VPY) tests/conformance/run.py --part 1
	$(VPY) tests/conformance/run.py --part 15 --set conformance --set valid

bench-rd: $(VENV)/.installed
	$(VPY) bench/rd.py --json $(BUILD)/rd.json --plot $(BUILD)/rd.png

targets: $(VENV)/.installed tool
	$(VPY) bench/targets.py

bench: $(VENV)/.installed
	$(VPY) bench/bench_quick.py

# ---- sanitizers ------------------------------------------------------------------------------------------------------

ASAN_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
ASAN_BUILD := $(BUILD)/asan
TSAN_BUILD := $(BUILD)/tsan
SANITIZE_TESTS ?= tests/interop/test_tool.py tests/interop/test_openjpeg.py
ASAN_SELECT ?= mixture or tool or size
TSAN_SELECT ?= tiles or threads
# Some kernels place memory where the thread sanitizer does not expect it.
NO_ASLR := $(shell setarch -R true 2>/dev/null && echo setarch -R)

# The unit tests that start threads; the tool brings them to all stages.
THREADED_SOURCES := $(shell grep -lE 'j2k_parallel|j2k_context_create' $(filter-out tests/hostile/%,$(UNIT_SOURCES)) 2>/dev/null)

sanitize: sanitize-short sanitize-python

# What continuous integration has time for.
sanitize-short: sanitize-unit sanitize-address sanitize-thread

sanitize-build:
	$(MAKE) BUILD=$(ASAN_BUILD) CFLAGS="$(ASAN_CFLAGS)" tool unit-programs
	$(MAKE) BUILD=$(TSAN_BUILD) CFLAGS="$(TSAN_CFLAGS)" tool $(THREADED_SOURCES:%.c=$(TSAN_BUILD)/%)

sanitize-unit: sanitize-build
	@J2K_SANITIZED=1 sh tests/run_unit.sh $(UNIT_SOURCES:%.c=$(ASAN_BUILD)/%) $(FUZZ_TARGETS:%=$(ASAN_BUILD)/fuzz/%)
	@J2K_SANITIZED=1 $(NO_ASLR) sh tests/run_unit.sh $(THREADED_SOURCES:%.c=$(TSAN_BUILD)/%)

sanitize-address: $(VENV)/.requirements sanitize-build
	J2K_SANITIZED=1 J2K_TOOL=$(CURDIR)/$(ASAN_BUILD)/j2k $(VPY) -m pytest $(SANITIZE_TESTS) -k "$(ASAN_SELECT)"
	J2K_SANITIZED=1 J2K_TOOL=$(CURDIR)/$(ASAN_BUILD)/j2k $(VPY) tests/conformance/run.py --set robustness

sanitize-thread: $(VENV)/.requirements sanitize-build
	J2K_SANITIZED=1 J2K_THREADS=4 TSAN_OPTIONS=halt_on_error=1 J2K_TOOL=$(CURDIR)/$(TSAN_BUILD)/j2k \
	    $(NO_ASLR) $(VPY) -m pytest $(SANITIZE_TESTS) -k "$(TSAN_SELECT)"

# The package built with the address sanitizer, under an interpreter that was not: the runtime is preloaded, and leaks,
# of which the interpreter has its own, are not reported.
ASAN_SITE := $(ASAN_BUILD)/site
ASAN_PYTEST ?= tests/python tests/plugin
sanitize-python: $(VENV)/.installed
	@runtime=$$($(CC) -print-file-name=libasan.so); \
	if [ ! -e "$$runtime" ]; then echo "sanitize-python: SKIPPED, $(CC) has no libasan.so"; exit 0; fi; \
	rm -rf $(ASAN_SITE) && \
	CC="$(CC)" CFLAGS="$(ASAN_CFLAGS)" LDFLAGS="-fsanitize=address,undefined" \
	    $(VPY) -m pip install --quiet --disable-pip-version-check --no-deps --target $(ASAN_SITE) . && \
	tests=$$(ls -d $(ASAN_PYTEST) 2>/dev/null); \
	if [ -z "$$tests" ]; then echo "sanitize-python: no tests found"; exit 1; fi; \
	LD_PRELOAD="$$runtime $$($(CC) -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	    PYTHONPATH=$(CURDIR)/$(ASAN_SITE) J2K_SANITIZED=1 J2K_RIVALS=skip $(VPY) -m pytest -m "not slow" $$tests

# ---- fuzzing ---------------------------------------------------------------------------------------------------------

# Each target for FUZZ_SECONDS, on its corpus and on files of the test data as seeds. What breaks is kept in
# build/libfuzzer; it becomes a file of fuzz/corpus, which the unit tests replay.
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
FUZZ_BUILD := $(BUILD)/libfuzzer
FUZZ_CFLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
J2K_SHARED ?= ../shared

fuzz-programs: $(FUZZ_PROGRAMS)

fuzz:
	$(MAKE) CC="$(FUZZ_CC)" BUILD=$(FUZZ_BUILD) CFLAGS="$(FUZZ_CFLAGS)" FUZZ_MAIN=-fsanitize=fuzzer fuzz-programs
	@for name in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_BUILD)/corpus/$$name; seeds=$$(ls -d fuzz/corpus/$$name 2>/dev/null); \
	    case $$name in fuzz_decode | fuzz_header | fuzz_transcode) \
	        seeds="$$seeds $$(ls -d $(J2K_SHARED)/robustness/files $(J2K_SHARED)/valid/*/ 2>/dev/null)";; esac; \
	    $(FUZZ_BUILD)/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -max_len=40000 -timeout=10 -rss_limit_mb=2048 \
	        -artifact_prefix=$(FUZZ_BUILD)/$$name- $(FUZZ_BUILD)/corpus/$$name $$seeds || exit 1; \
	done

# ---- coverage --------------------------------------------------------------------------------------------------------

# Unit tests, the fuzz targets' corpora and the test data's files, through programs that count (clang). CORPORA: more
# folders of inputs, NAME=FOLDER with the name of a fuzz target.
COVERAGE_BUILD := $(BUILD)/coverage
COVERAGE_CFLAGS := -O1 -g -fprofile-instr-generate -fcoverage-mapping
COVERAGE_PROFILES := $(CURDIR)/$(COVERAGE_BUILD)/profiles
CORPORA ?=

coverage: $(VENV)/.requirements
	$(MAKE) CC="$(FUZZ_CC)" BUILD=$(COVERAGE_BUILD) CFLAGS="$(COVERAGE_CFLAGS)" tool unit-programs
	@rm -rf $(COVERAGE_PROFILES) && mkdir -p $(COVERAGE_PROFILES)
	@export LLVM_PROFILE_FILE=$(COVERAGE_PROFILES)/%m.profraw J2K_TOOL=$(CURDIR)/$(COVERAGE_BUILD)/j2k; \
	sh tests/run_unit.sh $(UNIT_SOURCES:%.c=$(COVERAGE_BUILD)/%) $(FUZZ_TARGETS:%=$(COVERAGE_BUILD)/fuzz/%) | grep -v '^ok'; \
	for corpus in $(CORPORA); do $(COVERAGE_BUILD)/fuzz/$${corpus%%=*} $${corpus#*=}; done; \
	$(VPY) tests/conformance/run.py --part 1 | tail -n 1; \
	$(VPY) tests/conformance/run.py --part 15 --set conformance --set valid | tail -n 1
	$(VPY) tests/coverage.py $(COVERAGE_PROFILES) $(COVERAGE_BUILD)/j2k $(UNIT_SOURCES:%.c=$(COVERAGE_BUILD)/%) \
	    $(FUZZ_TARGETS:%=$(COVERAGE_BUILD)/fuzz/%)

# ---- style -----------------------------------------------------------------------------------------------------------

$(VENV)/.lint: tests/requirements-lint.txt $(VENV)/.requirements
	$(VPY) -m pip install --quiet --disable-pip-version-check -r tests/requirements-lint.txt
	@touch $@

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $(C_FILES) $(H_FILES)
	$(MAKE) BUILD=$(BUILD)/lint-$(notdir $(CC)) all
	@if command -v clang >/dev/null; then $(MAKE) CC=clang BUILD=$(BUILD)/lint-clang all; \
	else echo "clang is not installed: the sources were compiled with $(CC) only"; fi

format: $(VENV)/.lint
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/clang-format -i $(C_FILES) $(H_FILES)

clean:
	rm -rf $(BUILD) demo-output

distclean: clean
	rm -rf $(VENV) .venv-rivals .pytest_cache .ruff_cache .hypothesis
