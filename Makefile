# What a developer or an operator who builds from source needs; each target
# stands alone.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
MISSPELL = github.com/golangci/misspell/cmd/misspell@v0.8.0
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4
# The race detector needs a C compiler.
RACE := $(shell command -v gcc >/dev/null && echo -race)

# The packages: architecture, version, publisher and directory. Two builds of one commit are
# equal, byte for byte.
NFPM = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
ARCH = $(shell $(GO) env GOARCH)
VERSION = $(shell sed -n 's/^var version = "\(.*\)"/\1/p' cmd/mta-sts-daemon/version.go)
# What is built without MAINTAINER='Name <address>' says so.
PLACEHOLDER = Built without MAINTAINER <unset@example.org>
ifeq ($(MAINTAINER),)
override MAINTAINER = $(PLACEHOLDER)
endif
PACKAGES = build/packages
FILE = mta-sts-daemon_$(VERSION)
STAGE = $(PACKAGES)/stage-$(ARCH)
# The time of the commit; without git, of the changelog.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)

.PHONY: build run check test would-install lint fuzz vuln packages image release release-ready nfpm generate page dashboard simulate soak bench bench-go bench-storage bench-scale clean

build: ## the program, in build/
	CGO_ENABLED=0 $(GO) build -trimpath -o build/mta-sts-daemon ./cmd/mta-sts-daemon

run: build ## with the built-in defaults, on 127.0.0.1:8461
	./build/mta-sts-daemon

# Tests mostly wait, for servers and for time, so many run at once, the longest first. Packages that need root or
# build packages are left to "make test".
check: lint ## before each commit: lint and unit tests, without root, in less than a minute
	$(GO) test -vet=off -p 4 -parallel 16 $$($(GO) list ./resolver ./... | grep -v -e /e2e -e /packaging)

test: would-install ## everything; as root on Debian with real Postfix too
	@GO='$(GO)' RACE='$(RACE)' .ci/test

would-install: ## lists what "make test" installs on this host: as root on Debian, mmdebstrap
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v mmdebstrap >/dev/null; then \
		echo "The end-to-end tests install these packages of Debian on this host:"; \
		apt-get install --simulate --no-install-recommends mmdebstrap 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/  \1/p' | grep . || \
		echo "  mmdebstrap and what it depends on (the list needs apt-get update)"; \
	fi

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) -C $(BENCH_MODULE) vet ./...
	$(GO) run $(STATICCHECK) ./...
	cd $(BENCH_MODULE) && $(GO) run $(STATICCHECK) ./...
	$(GO) run $(ACTIONLINT)
	@# "levle" is a mistake that tests make on purpose.
	$(GO) run $(MISSPELL) -error -i levle $$(git ls-files '*.go' '*.md' '*.yaml' '*.yml' '*.catalog' Makefile)

# How long each fuzz target runs, on each of how many processors, and where
# targets are. What fails is left in the package's testdata/fuzz, to be committed.
FUZZTIME = 10m
FUZZPROCS = $(shell nproc)
FUZZED = ./config ./resolver/... ./socketmap/... ./cmd/internal/outcomes ./cmd/internal/reports ./cmd/internal/publish ./cmd/internal/moveover

# Targets are listed first: a pipe would hide that a package does not build.
fuzz: ## every parser of what strangers write; also FUZZTIME=10000x, runs in place of a time
	@listed=$$($(GO) test -list '^Fuzz' $(FUZZED)) || { echo "$$listed" | grep FAIL; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, t[i]; n = 0}' | \
	while read -r package target; do \
		echo "$$target in $$package"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x \
			-parallel $(FUZZPROCS) -timeout 0 "$$package" || exit 1; \
	done

vuln: ## known vulnerabilities of what is used, from vuln.go.dev or VULNDB=file:///a/copy
	$(GO) run $(GOVULNCHECK) $(addprefix -db ,$(VULNDB)) ./...

# The image for containers. Its certificate authorities are this host's.
IMAGE = build/image
IMAGE_ARCHES = amd64 arm64
AUTHORITIES = /etc/ssl/certs/ca-certificates.crt

packages image: export CGO_ENABLED = 0
packages image: FLAGS = -trimpath -buildvcs=false -ldflags '-s -X main.version=$(VERSION)'
packages: ## .deb and .rpm, in build/packages; also ARCH=arm64, VERSION=1.2.3~rc1
	rm -rf $(STAGE)
	GOOS=linux GOARCH=$(ARCH) $(GO) build $(FLAGS) -o $(STAGE)/mta-sts-daemon ./cmd/mta-sts-daemon
	$(GO) run $(FLAGS) ./cmd/mta-sts-daemon manual --date $$(date -u -d @$(SOURCE_DATE_EPOCH) +%F) $(STAGE)
	$(GO) run $(FLAGS) ./packaging/documents -version '$(VERSION)' -maintainer '$(MAINTAINER)' \
		-date $(SOURCE_DATE_EPOCH) -arch $(ARCH) $(STAGE)
	gzip -9n $(STAGE)/*.[58] $(STAGE)/changelog
	for kind in deb rpm; do \
		VERSION='$(VERSION)' ARCH=$(ARCH) MAINTAINER='$(MAINTAINER)' STAGE=$(STAGE) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
		$(GO) run $(NFPM) package -f packaging/nfpm.yaml -p $$kind \
			-t $(PACKAGES)/$(FILE)_$(ARCH).$$kind || exit 1; \
	done
	cp $(STAGE)/sbom.cdx.json $(PACKAGES)/$(FILE)_$(ARCH).sbom.cdx.json
	rm -rf $(STAGE)
	@[ '$(MAINTAINER)' != '$(PLACEHOLDER)' ] || echo "These packages name no maintainer: set MAINTAINER='Name <address>' if you publish them."

image: ## for containers, in build/image; also ARCH=arm64 for a Docker on arm64
	rm -rf $(IMAGE)
	for arch in $(IMAGE_ARCHES); do \
		GOOS=linux GOARCH=$$arch $(GO) build $(FLAGS) -o $(IMAGE)/stage-$$arch/mta-sts-daemon ./cmd/mta-sts-daemon && \
		$(GO) run $(FLAGS) ./packaging/documents -version '$(VERSION)' -maintainer '$(MAINTAINER)' \
			-date $(SOURCE_DATE_EPOCH) -arch $$arch $(IMAGE)/stage-$$arch || exit 1; \
	done
	$(GO) run $(FLAGS) ./packaging/image -version '$(VERSION)' -date $(SOURCE_DATE_EPOCH) -authorities '$(AUTHORITIES)' \
		-arches '$(IMAGE_ARCHES)' -arch $(ARCH) $(IMAGE)
	rm -rf $(IMAGE)/stage-*

RELEASE = build/release
# Git allows no "~" in a tag.
TAG = v$(subst ~,-,$(VERSION))
RELEASE_ARCHES = amd64 arm64

release: release-ready ## all files of a release, in build/release; needs a clean tree with a tag, and MAINTAINER='Name <address>'
	rm -rf $(RELEASE)
	for arch in $(RELEASE_ARCHES); do $(MAKE) packages ARCH=$$arch PACKAGES=$(RELEASE) || exit 1; done
	$(MAKE) image ARCH=amd64 IMAGE=$(RELEASE)/image
	mv $(RELEASE)/image/mta-sts-daemon.tar $(RELEASE)/$(FILE)_image.tar
	rmdir $(RELEASE)/image
	git archive --format=tar --prefix=mta-sts-daemon-$(VERSION)/ $(TAG) | gzip -9n >$(RELEASE)/$(FILE)_source.tar.gz
	awk '/^## / {n++} n == 1' CHANGELOG.md >$(RELEASE)/CHANGES.md
	cd $(RELEASE) && sha256sum * >SHA256SUMS && cat SHA256SUMS

release-ready: ## whether "make release" can run; prints the first thing that is missing
	@fail() { echo "release: $$*" >&2; exit 1; }; \
	[ '$(MAINTAINER)' != '$(PLACEHOLDER)' ] || fail "set MAINTAINER='Name <address>'"; \
	[ -z "$$(git status --porcelain)" ] || fail "the tree has changes that are not committed: git status"; \
	grep -m 1 '^## ' CHANGELOG.md | grep -Eqx '## $(subst .,\.,$(VERSION)), [0-9]{4}-[0-9]{2}-[0-9]{2}' || \
		fail "the first section of CHANGELOG.md must be '## $(VERSION), DATE'"; \
	[ "$$(git rev-parse -q --verify '$(TAG)^{commit}')" = "$$(git rev-parse HEAD)" ] || fail "this commit has no tag $(TAG)"

# The program that makes packages, fetched and built on first use.
nfpm: export CGO_ENABLED = 0
nfpm:
	$(GO) run $(NFPM) --version >/dev/null

generate: ## packaging/config.yaml, from the schema in config/
	$(GO) run ./cmd/mta-sts-daemon manual build/manual
	cp build/manual/config.yaml packaging/config.yaml

# Debian's browser takes 560 MB and 40 s to unpack, too much for each run of CI.
CHROMIUM = build/e2e/roots/chromium

page: ## the status page in a real Chromium, as root; pictures in build/page
	[ -d $(CHROMIUM) ] || { rm -rf $(CHROMIUM).unpacking; mkdir -p $(dir $(CHROMIUM)); \
		mmdebstrap --mode=root --variant=extract --format=directory --aptopt='APT::Install-Recommends "false"' \
		--include=chromium-headless-shell,fonts-dejavu-core,fontconfig-config,base-files,libc-bin bookworm $(CHROMIUM).unpacking && \
		mv $(CHROMIUM).unpacking $(CHROMIUM); }
	mkdir -p build/page
	CHROMIUM=$(CURDIR)/$(CHROMIUM) PICTURES=$(CURDIR)/build/page $(GO) test -count=1 -v -run InBrowser ./cmd/internal/monitor

dashboard: ## docs/dashboard.svg, the Grafana dashboard's panels with real data, as root; two minutes
	DASHBOARD=$(CURDIR)/docs/dashboard.svg $(GO) test -count=1 -run TestDashboardPicture ./e2e

# How many histories, how long each is, and the seed of one to be replayed.
SEEDS = 200
LENGTH = 24h
SEED = 0
FIRST = 1
FOR = 0

simulate: ## random histories against a model. SEEDS=5000 LENGTH=240h, FIRST=1001 FOR=1h, or SEED=42 to replay one
	$(GO) test -count=1 -timeout 0 -v -run '^TestSimulation$$' ./resolver/simulation -seeds $(SEEDS) -length $(LENGTH) -seed $(SEED) -first $(FIRST) -for $(FOR)

soak: ## hours of mixed load on the built program, as root. SOAK=1h
	SOAK=$(or $(SOAK),1h) $(GO) test -run '^TestSoak$$' -v -timeout 0 ./e2e

# A module of its own: what it imports is no dependency of the daemon.
BENCH_MODULE = e2e/bench

bench: build ## beside a null server and peers; minutes. Flags in BENCH, such as BENCH='warm --peers FILE'
	$(GO) -C $(BENCH_MODULE) build -o ../../build/bench ./cmd/bench
	build/bench $(BENCH)

bench-go: ## Go benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

# With the collector's setting of the unit.
BENCH_GO = GOGC=50 $(GO) -C $(BENCH_MODULE) test -run '^$$'

bench-storage: ## the daemon on files of up to 1,000,000 policies; some minutes
	BENCH_POLICIES=10000,100000,1000000 $(BENCH_GO) -bench Storage -benchtime 5x -timeout 1h .

# How many policies, and domains without, as a provider has them.
SCALE = 10000000

bench-scale: ## the same with 10,000,000 policies and as many absences, then with all of 1,000,000 policies due; two hours, 5 GB in TMPDIR
	BENCH_POLICIES=$(SCALE) BENCH_NEGATIVES=$(SCALE) $(BENCH_GO) -v -bench Storage -benchtime 3x -timeout 5h .
	BENCH_POLICIES=1000000 BENCH_DUE=1 $(BENCH_GO) -bench 'Storage/.*/busy' -benchtime 1x -timeout 1h .

clean: ## what was built and the unpacked roots of the end-to-end tests
	rm -rf build
