# What one does here. `make` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# Generating rewrites what the other targets read.
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Tools are built or fetched into the checkout at the versions that tools/ and package.json pin.
BIN := .bin
NODE_BIN := node_modules/.bin
# One of the programs that `npm ci` installs; the others and the libraries come with it.
NODE_MODULES := $(NODE_BIN)/buf
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(NODE_BIN):$(PATH)

# Where the real servers listen, and where the tests look for them.
export REDIS_PORT ?= 16379
export MYSQL_PORT ?= 13306
export ROCKETMQ_GRPC_PORT ?= 18081
export SPILLWAY_TEST_REDIS ?= 127.0.0.1:$(REDIS_PORT)
# The DSN of a MySQL; if it is empty, the one that `make services` started.
export SPILLWAY_TEST_MYSQL ?=
export SPILLWAY_TEST_ROCKETMQ ?= 127.0.0.1:$(ROCKETMQ_GRPC_PORT)

# Packages tested at a time: the fault tests start servers of their own, so more would starve each other.
TEST_PARALLEL ?= 2
# One package; the longest, test/e2e, kills and restarts servers under load, and may have half of the cores.
TEST_TIMEOUT ?= 40m
# More arguments for `make run` and `make bench`.
ARGS ?=
# What `make chaos` does: how often each part is in trouble, which parts and scenarios (all if empty; such as "redis mysql workers sentinel"), what is
# done to them (kill, freeze, restart, rollback, replica, drop, flap, blackout, …: those named in each round, or all by turns if empty;
# docs/design/chaos.md explains them), with which durabilities (all three by turns if empty), how long a part is frozen, and what its random
# choices begin with (another seed each time if empty).
ROUNDS ?= 3
PARTS ?=
MOVES ?=
DURABILITY ?=
FREEZE ?= 20s
SEED ?=

# Without the symbol table and the debugging information, 30 % of the size. Panics and profiles name functions and lines all the same, and
# `spillway version` its revision; only a debugger needs a build of its own. gRPC's pages of its traces are not used. Without cgo (CGO_ENABLED=0)
# the program needs no C library, so that it runs in an image with nothing else in it.
BUILD_FLAGS := -tags=grpcnotrace -trimpath -ldflags='-s -w'

##@ Use

.PHONY: run
run: build ## build, and start everything in one process at http://localhost:8080
	exec bin/spillway all $(ARGS)

# The pages are inside the program: they come first. Without Node it is built without them, and / explains that.
.PHONY: web
web: $(NODE_MODULES) ## build the pages of the shop and the console (needs Node), which `make build` puts into the program
	npm run --silent build --workspace web/app -- --logLevel warn

.PHONY: build
build: $(if $(shell command -v npm),web) ## build bin/spillway, with the pages if Node is there
	CGO_ENABLED=0 go build $(BUILD_FLAGS) -o bin/spillway ./cmd/spillway

.PHONY: services
services: ## start Redis, MySQL and RocketMQ on 127.0.0.1 (installs what is missing) and wait until they answer; REDIS=sentinel: Redis with replicas and Sentinels
	deploy/native/services.sh up

.PHONY: services-down
services-down: ## stop exactly those
	deploy/native/services.sh down

.PHONY: observe
observe: ## start the OpenTelemetry collector, Prometheus and Jaeger on 127.0.0.1 (the first time builds them, some minutes)
	deploy/native/observe.sh up

.PHONY: observe-down
observe-down: ## stop exactly those
	deploy/native/observe.sh down

# The collector is not among them: tests send spans to Jaeger, and Prometheus scrapes the shop.
.PHONY: observers
observers: ## build Jaeger and install Prometheus, which tests start, if they are missing (the first time some minutes)
	deploy/native/observe.sh prepare jaeger prometheus

.PHONY: chromium
chromium: ## install the browser that the tests drive, if there is none
	deploy/native/chromium.sh prepare

# Where the image is built: by an engine, which fetches the images of Node and Go, or by the Go and Node of this machine, so that buildah only packs.
IMAGE_BUILD ?= engine
IMAGE ?= localhost/spillway:devel
# Several, separated by commas, make an image for each and an index: linux/amd64,linux/arm64
PLATFORMS ?= linux/$(shell go env GOARCH)

.PHONY: image
image: $(if $(filter host,$(IMAGE_BUILD)),web) ## build the image by Docker or buildah (IMAGE=, PLATFORMS=linux/amd64,linux/arm64; IMAGE_BUILD=host: with Go and Node of this machine)
	deploy/image/image.sh $(IMAGE_BUILD) $(IMAGE) $(PLATFORMS)

# What is in the image, in the directory ROOT: a step of `make image`.
.PHONY: image-root
image-root: $(BIN)/cyclonedx-gomod
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build $(BUILD_FLAGS) -o bin/linux-$(ARCH)/spillway ./cmd/spillway
	deploy/image/root.sh $(ROOT) bin/linux-$(ARCH)/spillway $(WEB_SBOM)

# goreleaser is no tool of the checkout: it has 1,000 packages, and a release is made by one machine.
.PHONY: release-snapshot
release-snapshot: ## build what a release consists of into dist/, without a tag and without publishing (needs goreleaser)
	@command -v goreleaser >/dev/null || { echo "goreleaser is missing: go install github.com/goreleaser/goreleaser/v2@v2.13.0" >&2; exit 1; }
	goreleaser release --snapshot --clean

# Not done in the repository: the digests would have to be compared with those of the publishers first.
.PHONY: pin-images
pin-images: ## write the digests of all images of others into Containerfile, compose.yaml and the manifests (needs Docker with buildx, and the registries)
	tools/pin-images.sh Containerfile compose.yaml $$(find deploy/kubernetes -name '*.yaml')

##@ Check

# The RocketMQ client has data races of its own and leaks goroutines when it stops: under the race detector the tests
# of its adapter would fail for code that is not ours. Everything else runs with it.
RACY := /queue/rocketmq

# Its tests kill servers and wait for what follows: it takes longest, and begins first, so that the others run beside it.
LONGEST := /test/e2e

.PHONY: test
test: services chromium observers deploy-tools $(BIN)/cyclonedx-gomod $(BIN)/grpcurl $(NODE_MODULES) test-web ## run all tests against the real servers, with the race detector
	packages=$$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v -e '$(RACY)' -e '$(LONGEST)$$'); \
	go test -race -count=1 -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) .$(LONGEST) $$packages
	go test -count=1 -timeout $(TEST_TIMEOUT) .$(RACY)/...

.PHONY: test-web
test-web: build chromium ## run the tests of the pages and of the client package, with Chromium
	npm test --silent --workspaces
	npm run --silent e2e --workspace web/app

# A package asks for real servers through test/realparts, so that whoever does not import it needs none.
.PHONY: test-fast
test-fast: ## run the tests of the packages that need no server
	packages=$$(go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... \
		| awk '$$1 ~ /\.test$$/ && !/spillway\/test\/realparts/ { sub(/\.test$$/, "", $$1); print $$1 }'); \
	go test -timeout $(TEST_TIMEOUT) $$packages

# It starts parts of its own, which it may kill; here they are only installed.
.PHONY: chaos
chaos: ## kill, freeze and restart each part under load, and check the books (ROUNDS=, PARTS=, MOVES=, DURABILITY=, FREEZE=, SEED=, FIRST=)
	for part in redis mysql rocketmq; do deploy/native/$$part.sh prepare; done
	SPILLWAY_CHAOS_ROUNDS='$(ROUNDS)' SPILLWAY_CHAOS_PARTS='$(PARTS)' SPILLWAY_CHAOS_MOVES='$(MOVES)' SPILLWAY_CHAOS_DURABILITY='$(DURABILITY)' SPILLWAY_CHAOS_FREEZE='$(FREEZE)' SPILLWAY_CHAOS_SEED='$(SEED)' SPILLWAY_CHAOS_FIRST='$(FIRST)' \
		go test -count=1 -v -run '^TestChaos$$' -timeout 0 ./test/chaos

# Network namespaces need root and `ip`, which not every machine with CI has: so it is no part of `make test`.
.PHONY: partition
partition: services ## cut a Redis with half of the shop off from its Sentinels, and check the books (needs root and the package iproute2)
	go test -count=1 -v -tags partition -run '^TestSentinel_Partition$$' -timeout $(TEST_TIMEOUT) ./test/e2e

# `make test` does it with this version alone, because a clone may be without history.
.PHONY: upgrade
upgrade: services ## upgrade and roll back a shop under load, process by process, from an older version: make upgrade OLD=v0.1.0
	old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; git archive '$(or $(OLD),HEAD~1)' | tar -x -C "$$old"; \
	(cd "$$old" && go build -buildvcs=false -o spillway-old ./cmd/spillway); \
	SPILLWAY_TEST_OLD_BINARY="$$old/spillway-old" go test -count=1 -v -run '^TestUpgrade_' -timeout $(TEST_TIMEOUT) ./test/e2e

.PHONY: bench
bench: services ## measure orders per second and CPU time per order on the real servers (ARGS="--rows … --baseline BINARY"; docs/speed.md)
	SPILLWAY_TEST_MYSQL="$${SPILLWAY_TEST_MYSQL:-$$(cat "$${SPILLWAY_SERVICES_DIR:-$$HOME/.cache/spillway/services}/mysql/dsn")}" go run ./test/bench $(ARGS)

.PHONY: lint
lint: lint-go lint-proto lint-scripts lint-rules lint-deploy lint-ts lint-words lint-size check-generated ## check style, dependency arrows, .proto files, scripts, alert rules, manifests, types, words, size and generated code

.PHONY: lint-go
lint-go: $(BIN)/golangci-lint
	go mod tidy -diff
	golangci-lint run --allow-parallel-runners ./...

.PHONY: lint-proto
lint-proto: $(NODE_MODULES)
	buf lint
	buf format --diff --exit-code proto
	buf breaking proto --against proto/baseline.binpb

.PHONY: lint-scripts
lint-scripts:
	tools/lint-scripts.sh

# Without promtool (Debian's package prometheus, which `make observers` installs) the rules are not checked.
.PHONY: lint-rules
lint-rules:
	if command -v promtool >/dev/null; then \
		promtool check config deploy/prometheus/prometheus.yaml && promtool test rules deploy/prometheus/rules_test.yaml; \
	else echo "promtool is missing, alert rules are not checked: apt-get install prometheus" >&2; fi

.PHONY: lint-deploy
lint-deploy: deploy-tools
	tools/check-deploy.sh

# Tests read compose.yaml and the manifests with them.
.PHONY: deploy-tools
deploy-tools: $(BIN)/compose-check $(BIN)/goreleaser-check $(BIN)/kube-score $(BIN)/kustomize $(BIN)/python/bin/kubernetes-validate

.PHONY: lint-ts
lint-ts: $(NODE_MODULES) web
	tsc --project test/e2e/browser
	tsc --project web/client
	tsc --project web/app
	biome check --error-on-warnings
	node tools/check-web-size.mjs

# Comments and documentation in plain words, and enough of them.
.PHONY: lint-words
lint-words:
	tools/words.sh

.PHONY: lint-size
lint-size: build
	tools/check-size.sh bin/spillway
	CGO_ENABLED=0 tools/check-methods.sh $(BUILD_FLAGS)

.PHONY: check-generated
check-generated:
	tools/check-generated.sh

.PHONY: breaking
breaking: $(NODE_MODULES) ## compare the API with another revision: make breaking AGAINST='.git#branch=main,subdir=proto'
	buf breaking proto --against '$(or $(AGAINST),proto/baseline.binpb)'

##@ Change

.PHONY: generate
generate: $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go $(BIN)/protoc-gen-connect-openapi $(NODE_MODULES) ## generate gen/, web/*/src/…/gen/, docs/openapi/, ent/ and docs/configuration.md anew
	buf generate
	for part in client rpc rules openapi; do buf generate --template buf.gen.$$part.yaml; done
	gzip -9 -n -c docs/openapi/openapi.yaml > docs/openapi/openapi.yaml.gz
	go generate ./ent
	go run ./cmd/spillway reference > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md

# What `make lint` compares the API with. Change it on purpose only, and list what breaks in CHANGELOG.md.
.PHONY: baseline
baseline: $(NODE_MODULES) ## accept the API as it is as the one that later changes must be compatible with
	buf build proto --exclude-source-info --output proto/baseline.binpb

.PHONY: fmt
fmt: $(BIN)/golangci-lint $(NODE_MODULES) ## format Go, .proto and TypeScript files
	golangci-lint fmt
	buf format --write proto
	biome format --write

.PHONY: tools
tools: deploy-tools $(BIN)/cyclonedx-gomod $(BIN)/golangci-lint $(BIN)/grpcurl $(BIN)/protoc-gen-connect-go $(BIN)/protoc-gen-connect-openapi $(BIN)/protoc-gen-go $(NODE_MODULES) ## build the tools (some minutes, once)

$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	go -C tools/lint build -o "$(CURDIR)/$@" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	touch $@

# What these are built with would raise the libraries of the other tools, or theirs would raise these.
$(BIN)/cyclonedx-gomod: tools/sbom/go.mod tools/sbom/go.sum
	go -C tools/sbom build -o "$(CURDIR)/$@" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	touch $@

$(BIN)/goreleaser-check: tools/release/go.mod tools/release/go.sum tools/release/main.go
	go -C tools/release build -o "$(CURDIR)/$@" .
	touch $@

KUBERNETES_TOOL = go -C tools/kubernetes build -o "$(CURDIR)/$@" $(1) && touch $@

$(BIN)/compose-check: tools/kubernetes/go.mod tools/kubernetes/go.sum
	$(call KUBERNETES_TOOL,github.com/compose-spec/compose-go/v2/cmd)

$(BIN)/kube-score: tools/kubernetes/go.mod tools/kubernetes/go.sum
	$(call KUBERNETES_TOOL,github.com/zegl/kube-score/cmd/kube-score)

$(BIN)/kustomize: tools/kubernetes/go.mod tools/kubernetes/go.sum
	$(call KUBERNETES_TOOL,sigs.k8s.io/kustomize/kustomize/v5)

$(BIN)/python/bin/kubernetes-validate: tools/kubernetes/requirements.txt
	python3 -m venv $(BIN)/python
	$(BIN)/python/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# The other Go tools: the line of tools/go.mod that ends with the file's name.
$(BIN)/%: tools/go.mod tools/go.sum
	go -C tools build -o "$(CURDIR)/$@" "$$(go -C tools list tool | grep '/$*$$')"
	touch $@

# npm ci empties node_modules first: behind a symbolic link, that of another checkout.
$(NODE_MODULES): package.json package-lock.json
	@if [ -L node_modules ]; then echo "node_modules is a symbolic link, and npm ci would empty its target: rm node_modules" >&2; exit 1; fi
	npm ci --loglevel=error
	touch $@

.PHONY: help
help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
