# `make test` is the one command: it installs what is missing and runs every
# check that a change must pass. The steps stand in scripts/, one file each, so
# that each can also be run by hand.

FUZZTIME ?= 60s
# Of make check: the seed of all decisions, and how many deliveries there must be.
SEED ?= 20261122
DELIVERIES ?= 10000000

.DEFAULT_GOAL := help
# The Go tools use every core by themselves; two steps at once would only make
# the timing of tests worse and mix their output.
.NOTPARALLEL:
.PHONY: help test install lint test-go test-client test-pusher test-browser check bench bench-quick profile fuzz build format clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: lint test-go test-client test-pusher test-browser ## Install what is missing and pass every check

install: ## Install what the tests need (apt as root, otherwise it says what to install)
	@scripts/install

lint: install ## gofmt, go.work, go mod tidy, go vet and staticcheck in every module
	@scripts/lint

test-go: install ## go test -race in every module
	@scripts/test-go

test-client: install ## The client: types, tests, dist as built, size; and the server of the bench that is in Node
	@scripts/npm-ci client
	@scripts/test-npm client typecheck test check size
	@scripts/npm-ci bench/rivals/socketio
	@scripts/test-npm bench/rivals/socketio test

test-pusher: install ## The Pusher transport, with the npm packages of Pusher and of Laravel
	@scripts/npm-ci examples/pusher
	@scripts/test-npm examples/pusher test

test-browser: install ## The examples in a real browser
	@scripts/npm-ci examples/pusher
	@scripts/npm-ci examples/browser
	@scripts/test-npm examples/browser test

check: install ## The checker of the delivery contract, whose table it prints, and the long tests (LIVE_TEST_LONG=1): most of an hour
	@GOWORK=off go run ./internal/checker/cmd/checker -seed $(SEED) -deliveries $(DELIVERIES)
	@LIVE_TEST_LONG=1 GOTEST_TIMEOUT=30m scripts/test-go

bench: ## Against the least that a server can do, and against others, into docs/performance.md: most of half an hour (BENCH='-only own')
	@GOWORK=off go -C bench run ./fanout -docs ../docs $(BENCH)

bench-quick: ## The Go benchmarks against stored figures, within two minutes: fails at a tenth more allocations
	@GOWORK=off go -C bench run ./quick

profile: ## Profiles of the server under a standard load, in bench/profiles, and what takes most (PROFILE='-only sse -clients 10000')
	@GOWORK=off go -C bench run ./profile $(PROFILE)

fuzz: ## Each fuzz target for FUZZTIME (60s)
	@scripts/fuzz $(FUZZTIME)

build: ## Rebuild client/dist, which is committed because Go embeds it
	@scripts/npm-ci client
	@npm --prefix client run build

format: ## gofmt every Go file
	@scripts/gofiles | xargs -0 gofmt -s -w

clean: ## Remove what the other targets made
	rm -rf .bin bench/profiles
	find . -name node_modules -type d -prune -exec rm -rf {} +
