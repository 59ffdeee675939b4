# What a developer runs. `make check` is what CI runs: see .ci/run for what it needs on a bare machine.

.POSIX:
.SUFFIXES:

GO = go
TOOL = $(GO) tool -modfile=tools/go.mod
LINT = $(GO) tool -modfile=tools/lint/go.mod golangci-lint
TEMPORALD = sandbox/temporald

.PHONY: help
help:
	@echo 'make check      everything CI checks'
	@echo 'make test       the tests; what the machine lacks is skipped'
	@echo 'make race       the quick tests under the race detector'
	@echo 'make contract   the clients against the published API contracts and, if keys are set, a real account, reading only'
	@echo 'make bench      throughput, latency and cost on this machine'
	@echo 'make fmt docs   format the code; generate the documents made from it'
	@echo 'make lint       golangci-lint and workflowcheck'
	@echo 'make vulncheck  known vulnerabilities in what we link; needs https://vuln.go.dev or GOVULNDB'
	@echo 'make temporald  build the Temporal server of the sandbox, once'

.PHONY: check
check: fmt-check temporald vet lint workflowcheck docs-check test-all race test-temporald

# The tests, with nothing skipped for want of PostgreSQL or of the contract files.
.PHONY: test-all
test-all:
	REQUIRE_ALL=1 $(GO) test -timeout 40m ./...

.PHONY: test
test:
	$(GO) test ./...

# -short leaves out the tests on the Temporal server, which are slow under the race detector.
.PHONY: race
race:
	$(GO) test -race -short -timeout 30m ./...

.PHONY: test-temporald
test-temporald:
	$(GO) -C $(TEMPORALD) test -timeout 30m ./...

# The second half reads a real account, and so runs only where somebody set its keys. It never writes.
.PHONY: contract
contract:
	REQUIRE_ALL=1 $(GO) test -v ./test/contract/...
	@if [ -n "$$GHL_PRIVATE_TOKEN$$SAGE_PRIVATE_KEY" ]; then \
		$(GO) test -tags live -count=1 -v -run TestTheRealAccounts ./test/live/...; \
	else echo 'no keys are set, so no real account was asked: see docs/assumptions.md'; fi

# The database is had from the network, so this is no part of make check. GOVULNDB names a copy: file:///path or a mirror.
# Exit code 3 is vulnerabilities found; anything else but 0 is a scan that did not happen.
.PHONY: vulncheck
vulncheck:
	@status=0; said=$$($(TOOL) govulncheck -db "$${GOVULNDB:-https://vuln.go.dev}" ./... 2>&1) || status=$$?; echo "$$said"; \
	case "$$status $$said" in 0*|3*) ;; \
	*'fetching vulnerabilities'*) echo 'NOT CHECKED: the vulnerability database cannot be reached. Let this machine reach https://vuln.go.dev, or set GOVULNDB to a copy' >&2;; \
	*) echo 'NOT CHECKED: govulncheck failed before it could compare anything' >&2;; \
	esac; exit $$status

.PHONY: bench
bench: temporald
	$(GO) run ./test/bench

.PHONY: temporald
temporald:
	$(GO) run ./sandbox/devserver/build

.PHONY: fmt
fmt:
	git ls-files -z '*.go' | xargs -0 gofmt -s -w

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -s -l); \
	if [ -n "$$unformatted" ]; then echo "run make fmt for:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet:
	$(GO) vet ./...
	$(GO) vet -tags live ./test/live
	$(GO) -C $(TEMPORALD) vet ./...

.PHONY: lint
lint:
	$(LINT) run ./...
	cd $(TEMPORALD) && $(GO) tool -modfile=../../tools/lint/go.mod golangci-lint run --config ../../.golangci.yml ./...

# There were releases with which workflowcheck silently found nothing, so it has to find the seeded faults first.
.PHONY: workflowcheck
workflowcheck:
	@found=$$($(TOOL) workflowcheck ./test/workflowcheck/testdata/seeded 2>&1 || true); \
	for fault in 'iterates over map' 'starts goroutine' 'function time.Now' 'seeded.hidden'; do \
		case "$$found" in *"$$fault"*) ;; \
		*) echo "workflowcheck is blind: it missed '$$fault' in test/workflowcheck"; echo "$$found"; exit 1 ;; esac; \
	done
	$(TOOL) workflowcheck ./workflows/...

.PHONY: docs
docs:
	$(GO) generate ./...

# Fails if generating changes a document. The fresh ones are left in place to be committed.
.PHONY: docs-check
docs-check:
	@before=$$(mktemp -d) && cp -R docs "$$before/" && $(GO) generate ./... && \
	{ diff -r "$$before/docs" docs && rm -r "$$before" || \
	{ rm -r "$$before"; echo 'documents made from the code were out of date: commit the new ones'; exit 1; }; }
