# What a developer or an operator who builds from source needs; each target
# stands alone.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The race detector needs a C compiler.
RACE := $(shell command -v gcc >/dev/null && echo -race)

.PHONY: build run test lint bench bench-storage clean

build: ## the program, in build/
	CGO_ENABLED=0 $(GO) build -trimpath -o build/mta-sts-daemon ./cmd/mta-sts-daemon

run: build ## with the built-in defaults, on 127.0.0.1:8461
	./build/mta-sts-daemon

test: ## everything; as root on Debian with real Postfix too
	@[ -n "$(RACE)" ] || echo "no gcc: testing without the race detector"
	$(GO) test $(RACE) -timeout 18m ./...
	@cat build/e2e/left-out 2>/dev/null || true

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench: ## Go benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-storage: ## the daemon on files of up to 1,000,000 policies; some minutes
	BENCH_POLICIES=10000,100000,1000000 $(GO) test -run '^$$' -bench Storage -benchtime 5x -timeout 30m ./e2e/bench

clean: ## what was built and the unpacked roots of the end-to-end tests
	rm -rf build
