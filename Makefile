# Builds with nothing but Go, a C compiler (DuckDB) and bash; scripts/setup fetches the engines that tests and demo run on.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# What is stamped into the programs: the version by the tag v0.x.y before the commit. Outside a git checkout nothing is, and the
# programs say "unknown".
PKG     := quantbot/internal/manifest
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
BRANCH  := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
VERSION := $(or $(shell git describe --tags --match 'v*' 2>/dev/null),$(if $(COMMIT),v0.0.0-$(shell git rev-parse --short HEAD)))
DIRTY   := $(if $(COMMIT),$(if $(shell git status --porcelain 2>/dev/null),true,false))
LDFLAGS := -X $(PKG).version=$(VERSION) -X $(PKG).gitCommit=$(COMMIT) -X $(PKG).gitBranch=$(BRANCH) -X $(PKG).gitDirty=$(DIRTY)

# The exporter of traces links gRPC, whose own pages link html/template, which keeps the linker from leaving out unused
# code: without this tag the worker has 34 MB instead of 20.
WORKER_TAGS := grpcnotrace

FUZZTIME ?= 10s
LINT     := go tool -modfile=tools/go.mod golangci-lint

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z/-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/quantbot (= bin/enqueuer) and bin/worker
	go build -ldflags '$(LDFLAGS)' -o bin/enqueuer ./cmd/enqueuer
	ln -f bin/enqueuer bin/quantbot
	CGO_ENABLED=0 go build -tags $(WORKER_TAGS) -ldflags '$(LDFLAGS)' -o bin/worker ./cmd/worker

.PHONY: setup
setup: ## Fetch the local engines (Redis, ClickHouse) where they are missing
	@scripts/setup

.PHONY: demo
demo: setup build ## Run a whole backfill on this machine
	bin/quantbot demo

.PHONY: setup/tests
setup/tests: ## Also fetch what only tests need: Chromium and Prometheus
	@scripts/setup tests

.PHONY: test
# Many tests wait for programs and engines, not for a processor: twice as many at a time as Go would run, and one package more.
# Packages start in this order: those that take longest first, so that none is left to run alone at the end. Nobody debugs these
# programs: without DWARF (-w) they are linked in half the time; stack traces keep their lines.
LONGEST := ./internal/cli ./test/chaos ./internal/clickhouse ./internal/dashboard ./internal/wiring
test: setup/tests ## Run all tests; RACE=1: with the race detector
	n=$$(getconf _NPROCESSORS_ONLN); go test -ldflags=-w -timeout 30m $(if $(RACE),-race) -p $$((n + 1)) -parallel $$((2 * n)) $(LONGEST) ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (default 10s; 10000x counts runs)
	@set -euo pipefail; grep -roE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' cmd internal | sort | \
	  sed -E 's|^(.*)/[^/]*:func (.*)|\1 \2|' | while read -r dir target; do \
	    echo "$$dir $$target"; go test -ldflags=-w -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "./$$dir" </dev/null; done

.PHONY: lint
lint: ## Run golangci-lint, go vet among its linters
	$(LINT) run

.PHONY: verify
verify: ## Check that go.mod is tidy and everything is formatted
	go mod tidy -diff
	@test -z "$$(gofmt -l cmd internal deploy test)" || { gofmt -l cmd internal deploy test; exit 1; }

.PHONY: chaos
CHAOS_SEEDS ?= 1,2,3,4,5
CHAOS_KILLS ?= 100
chaos: setup ## Kill and starve real programs by schedule (CHAOS_SEEDS, CHAOS_KILLS), and check that nothing is lost
	go test ./test/chaos -run TestChaos -v -count=1 -timeout 120m -parallel 2 -chaos.seeds=$(CHAOS_SEEDS) -chaos.kills=$(CHAOS_KILLS)

FIGURES := go test ./test/bench -run TestFigures -v -count=1 -timeout 120m -figures
BENCH_FLAGS ?=

.PHONY: bench
bench: setup ## Measure the figures of docs/performance.md (12 minutes), write bench/results.json; BENCH_SHORT=1: one small round of each
	$(FIGURES) $(if $(BENCH_SHORT),,-figures.out=$(CURDIR)/bench/results.json) $(BENCH_FLAGS)

.PHONY: bench/go
bench/go: setup ## Run the Go benchmarks of the hot functions, as benchstat wants them
	go test -run '^$$' -bench . -benchmem -count=$(or $(COUNT),1) ./internal/...

.PHONY: dist
dist: ## Make what is released, in dist/: archives, a Debian package, SBOMs, checksums
	@VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' WORKER_TAGS='$(WORKER_TAGS)' scripts/dist

.PHONY: dist/check
dist/check: dist ## Also install the package in a clean Debian, try it there and remove it (root; fetches mmdebstrap and Debian)
	@scripts/dist-check

.PHONY: clean
clean: ## Remove what was built and the demo's data; keeps the fetched engines, and the data of --local
	rm -rf bin dist .quantbot/demo coverage.out
