# Everything a fresh machine needs: Rust, Python 3.11 or later, make; Node 20 or later for the Node package. `make help` lists the targets.
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
CARGO = cargo --locked
# The extension module's build does not link Python: the same for cargo alone as for maturin, so that they share what they built.
export PYO3_BUILD_EXTENSION_MODULE = 1
PYTHON ?= python3
VENV = python/.venv
SERVER = $(CARGO_TARGET_DIR)/debug/reknock-test-server

# Where `make install` puts the C library.
PREFIX ?= /usr/local

# Node 20 or later with npm, if there is one: without it the Node parts are left out, by name.
NODE := $(shell command -v npm >/dev/null && node -e 'if (+process.versions.node.split(".")[0] >= 20) console.log("node")' 2>/dev/null)
NO_NODE = echo "skipped: $@ (no Node 20 or later with npm)"

# Programs in which Python tests and demos find the scripted server.
WITH_SERVER = REKNOCK_TEST_SERVER=$(SERVER) $(CURDIR)/$(VENV)/bin/python

.PHONY: install help demo test test-rust test-python python-dist-test python test-node node demo-node pack-node check gen fuzz bench bench-quick machine-bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: ## show retries against the embedded flaky server, with the timeline of attempts, on every surface
	$(CARGO) run --quiet -p reknock --example demo
	$(CARGO) build --quiet -p reknock-c -p reknock-test-server
	examples/c/demo.sh $(CARGO_TARGET_DIR)/debug
	$(MAKE) --no-print-directory python
	$(WITH_SERVER) python/examples/demo.py
	$(MAKE) --no-print-directory demo-node

test: test-rust test-python test-node ## run every test

test-rust: ## run the tests of the crates
	$(CARGO) test --workspace --quiet
	$(CARGO) test -p reknock --no-default-features --lib --quiet
	$(CARGO) test -p reknock --no-default-features --doc --quiet

test-python: python ## run the tests of the Python package, and check its types
	cd python && $(WITH_SERVER) -m pytest
	cd python && $(CURDIR)/$(VENV)/bin/mypy --no-error-summary reknock examples
	cd python && .venv/bin/basedpyright --level error
	cd python && $(CURDIR)/$(VENV)/bin/python -m mypy.stubtest --concise --allowlist tests/stubtest.txt reknock

python-dist-test: $(VENV)/ready ## install the Python package as users do: from the wheel, the folder and the sdist, built in release
	python/dist-test $(PYTHON) $(CURDIR)/$(VENV)/bin/maturin

python: $(VENV)/ready ## build the Python package into python/.venv
	$(CARGO) build --quiet -p reknock-test-server
	cd python && VIRTUAL_ENV=$(CURDIR)/$(VENV) .venv/bin/maturin develop --locked --quiet

$(VENV)/ready: python/requirements-test.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r python/requirements-test.txt
	touch $@

ifdef NODE
test-node: node ## run the tests of the Node package
	cd node && REKNOCK_TEST_SERVER=$(SERVER) npm test --silent

demo-node: node
	REKNOCK_TEST_SERVER=$(SERVER) node node/examples/demo.js

node: node/node_modules/ready ## build the Node package in place
	$(CARGO) build --quiet -p reknock-node -p reknock-test-server
	node node/scripts/place.js $(CARGO_TARGET_DIR)/debug

pack-node: node/node_modules/ready ## build the Node package for this machine in release: node/reknock-VERSION.tgz, to be installed with npm
	$(CARGO) build --quiet --release -p reknock-node
	node node/scripts/place.js $(CARGO_TARGET_DIR)/release
	strip -x node/*.node
	cd node && npm pack --silent
else
test-node demo-node node pack-node:
	@$(NO_NODE)
endif

node/node_modules/ready: node/package-lock.json
	cd node && npm ci --silent --no-audit --no-fund
	touch $@

check: ## format, lints as errors, documentation, generated files unchanged, one set of features
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path bench/Cargo.toml
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) clippy -p reknock --no-default-features --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) run --quiet -p xtask -- gen --check
	workspace-hack/check

gen: ## write the generated files (docs/options.md, include/reknock.h, node/options.d.ts)
	$(CARGO) run --quiet -p xtask -- gen

install: ## build and install the C library: header, libraries, reknock.pc, CMake package; PREFIX=/usr/local DESTDIR=
	$(CARGO) build --quiet --release -p reknock-c
	bindings/c/install $(DESTDIR)$(PREFIX) $(CARGO_TARGET_DIR)/release

fuzz: ## fuzz documents, dialects, durations, hints and matchers, SECONDS_EACH=60
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz fuzz/run

bench: ## compare with other clients in every language, in less than 20 minutes; writes bench/results
	bench/setup $(CARGO_TARGET_DIR)
	cd bench && .venv/bin/python -m harness run --built $(CARGO_TARGET_DIR)/release --out results

bench-quick: ## the same with fewer scenarios and rounds, in less than two minutes; writes bench/results/quick
	bench/setup $(CARGO_TARGET_DIR)
	cd bench && .venv/bin/python -m unittest -q test_harness
	cd bench && .venv/bin/python -m harness run --quick --rounds 3 --seconds 0.15 --limit 112 --built $(CARGO_TARGET_DIR)/release --out results/quick

machine-bench: ## nanoseconds and allocations of the decision machine
	$(CARGO) bench --quiet -p reknock --bench machine

clean: ## remove what was built
	cargo clean
