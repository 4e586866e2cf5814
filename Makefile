# The one way in: `make` lists the targets. CI runs the same ones (.ci/run). V=1 shows commands.
SHELL := /bin/bash
.DEFAULT_GOAL := help
Q := $(if $(V),,@)
JOBS ?= $(shell nproc)
SOAK_ROUNDS ?= 50
CTEST := ctest --output-on-failure --no-tests=error --output-junit junit.xml -j$(JOBS)

# Objects are shared between clones. A user without a home (CI, nobody) keeps them in the tree.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
ifndef CCACHE_DIR
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export CCACHE_DIR := $(CURDIR)/build/ccache
endif
endif

# $(call build,PRESET[,NINJA TARGETS]): configures where needed, then builds. Ninja reconfigures by itself later.
configure = [ build/$(1)/build.ninja -nt CMakePresets.json ] || cmake --preset $(1) --log-level=NOTICE
build = $(configure) && ninja -C build/$(1) -j$(JOBS) $(if $(V),-v) $(2)
packages = tools/install_packages.sh $(1)
check = $(call packages,build test) && $(call build,$(1)) && cd build/$(1) && $(CTEST)

.PHONY: help build test demo lint fmt bench bench-parts fuzz fuzz-long soak asan tsan cov clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

build: ## Build the release preset into build/release
	$(Q)$(call packages,build) && $(call build,release)

test: ## Build, then run every test
	$(Q)$(call check,release)

demo: build ## Build, then show the whole of it on made-up people
	$(Q)demo/demo.sh

lint: ## Format, layers, scripts, clang-tidy (only what changed since it passed)
	$(Q)$(call packages,build lint) && $(call configure,release) && tools/lint.sh

fmt: ## Format every C++ file in place
	$(Q)$(call packages,lint) && tools/lint.sh --fix-format

bench: ## Beside PostgreSQL, with a million people (docs/benchmarks.md)
	$(Q)$(call packages,build bench) && $(call build,release,strongroom bench_programs) && bench/run.py

bench-parts: ## The modules' own micro-benchmarks
	$(Q)$(call packages,build bench) && $(call build,release) && tools/run_benches.sh

fuzz: ## Every fuzzer for 10 s, from one random seed always
	$(Q)$(call packages,build fuzz) && FUZZ_SEED=1 tools/run_fuzzers.sh 10

fuzz-long: ## Every fuzzer for an hour of a processor in all; ^C and again goes on (test/fuzzed.tsv)
	$(Q)$(call packages,build fuzz) && $(call build,fuzz,fuzzers) && tools/fuzz_long.py

soak: ## Every test SOAK_ROUNDS times, in random order, under the address sanitizer
	$(Q)$(call check,asan) --schedule-random --repeat until-fail:$(SOAK_ROUNDS)

asan: ## Every test under the address and undefined-behaviour sanitizers
	$(Q)$(call check,asan)

tsan: ## Every test under the thread sanitizer
	$(Q)$(call check,tsan)

cov: ## Line coverage of the tests, report in build/cov/report
	$(Q)$(call packages,cov) && $(call check,cov)
	$(Q)mkdir -p build/cov/report
	$(Q)gcovr --root . --filter src/ --exclude '.*_(test|bench|fuzz)\.cc' --exclude-throw-branches \
	  --print-summary --html-details build/cov/report/index.html build/cov

clean: ## Remove everything built
	$(Q)rm -rf build
