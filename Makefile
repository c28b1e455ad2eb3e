# The words users type; CMake and Ninja do the work (CMakePresets.json), tools/bootstrap fetches
# what is missing. ARGS passes arguments on: make run ARGS='--data /var/lib/otolith', make test
# ARGS='unit', make bench ARGS='--help'.

ARGS ?=
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CACHE := $(or $(OTOLITH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/otolith)
NINJA = ninja -j $(JOBS)

export OTOLITH_CACHE := $(CACHE)
export OTO_DUCKDB_DIR := $(CACHE)/duckdb-1.5.5
export CLICOLOR_FORCE ?= $(if $(MAKE_TERMOUT),1,0)

.PHONY: all help bootstrap bootstrap-test run test test-conformance test-kill test-faults test-lossless test-clients test-threads bench bench-peers bench-query bench-sizes bench-instructions install asan tsan warnings fuzz wasm check-layers clean

all: bootstrap build/build.ninja            ## build build/otolith and build/otolith-query
	@$(NINJA) -C build

help:                                       ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

bootstrap:
	@tools/bootstrap build

bootstrap-test:
	@tools/bootstrap test

# A preset's folder is configured once; CMake itself notices later changes of its files.
define configure
@mkdir -p $(@D)
@cmake --preset $(1) >$(@D)/configure.log 2>&1 || { cat $(@D)/configure.log; rm -f $@; exit 1; }
@touch $@
endef

build/build.ninja: CMakePresets.json
	$(call configure,release)

build-%/build.ninja: CMakePresets.json
	$(call configure,$*)

run: all                                    ## build, then start the server
	@exec build/otolith serve $(ARGS)

test: bootstrap-test                        ## run every test; the last line is "N passed, N failed"
	@tools/run-tests $(ARGS)

test-conformance: bootstrap-test            ## h2spec, every rule of the protocols, bad input, the long cases too
	@tools/run-tests every_rule $(ARGS)

test-kill: bootstrap-test                   ## the kill -9 ledger, 1,000 rounds
	@OTOLITH_KILL_ROUNDS=1000 tools/run-tests kill $(ARGS)

test-clients: bootstrap-test                ## what `otolith connect` prints, with Java, Go, Claude Code and Codex
	@tools/run-tests clients $(ARGS)

test-faults: bootstrap-test                 ## every n-th call to the system fails, or kills the server; the power fails: hours
	@OTOLITH_FAULTS=all tools/run-tests every_fault $(ARGS)

test-lossless: bootstrap-test               ## random requests through the server and back, 20,000 a signal (OTOLITH_LOSSLESS_REQUESTS)
	@OTOLITH_LOSSLESS_REQUESTS=$${OTOLITH_LOSSLESS_REQUESTS:-20000} tools/run-tests lossless $(ARGS)

test-threads: bootstrap-test                ## unit and end-to-end tests under ThreadSanitizer
	@tools/run-tests threads $(ARGS)

bench: bootstrap-test all                   ## measure the running server (ARGS=--markdown docs/BENCHMARKS.md)
	@$(CACHE)/python/bin/python bench/run.py $(ARGS)

bench-peers: bootstrap-test all             ## the same requests into the OpenTelemetry Collector, the same rows into ClickHouse and pyarrow
	@$(CACHE)/python/bin/python bench/peers.py $(ARGS)

bench-sizes: bootstrap-test all             ## bytes a row of each column, beside pyarrow's and ClickHouse's (ARGS=--markdown docs/SIZES.md)
	@$(CACHE)/python/bin/python bench/sizes.py $(ARGS)

bench-instructions: bootstrap-test all      ## instructions of each part by callgrind, against bench/instructions.tsv (ARGS=--accept)
	@$(CACHE)/python/bin/python bench/instructions.py $(ARGS)

bench-query: bootstrap-test all             ## SQL over millions of rows; plain DuckDB (and chdb: ARGS=--chdb) on the same files
	@$(CACHE)/python/bin/python bench/query.py $(ARGS)

install: all                                ## install under PREFIX (default /usr/local); DESTDIR is respected
	@cmake --install build --prefix $(PREFIX)

asan: bootstrap-test build-asan/build.ninja ## build with AddressSanitizer and UBSan into build-asan/
	@$(NINJA) -C build-asan

tsan: bootstrap-test build-tsan/build.ninja ## build with ThreadSanitizer into build-tsan/
	@$(NINJA) -C build-tsan

warnings: bootstrap-test build-gcc/build.ninja build-clang/build.ninja ## gcc and clang, -Werror
	@$(NINJA) -C build-gcc
	@$(NINJA) -C build-clang

fuzz: bootstrap-test build-fuzz/build.ninja ## run every fuzz target for a while (ARGS='-s SECONDS TARGET…')
	@$(NINJA) -C build-fuzz
	@tools/fuzz $(ARGS)

wasm: bootstrap-test                        ## compile the core for wasm32-wasi into build-wasm/otolith.wasm
	@tools/build-wasm

check-layers:                               ## hold the include table of the source tree
	@tools/check_layers

clean:                                      ## remove every build folder (the cache stays)
	rm -rf build build-asan build-tsan build-gcc build-clang build-fuzz build-wasm
