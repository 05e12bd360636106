# Everything a fresh machine needs: Rust, Python 3.11 or later, make; Node 20 or later for the Node package. `make help` lists the targets.
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# Its jobs are its own: those of make are suites.
CARGO = env -u MAKEFLAGS cargo --locked
# Quoted, as all that is below this folder by its whole path: it may have spaces in it.
TARGET = "$(CARGO_TARGET_DIR)"
BUILT = $(TARGET)/debug
# A workspace of its own: what loom stands on would change everything else's features.
# The processes of a host share budgets on Linux alone.
PROOFS = $(if $(filter Linux,$(shell uname)),env CARGO_TARGET_DIR=$(TARGET)/proofs $(CARGO) test --manifest-path proofs/Cargo.toml,true)
PYTHON ?= python3
NEW_PYTHON = $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
VENV = python/.venv
BIN = "$(CURDIR)"/$(VENV)/bin
# Where Python and Node, their tests and demos, find the scripted server.
export REKNOCK_TEST_SERVER = $(CARGO_TARGET_DIR)/debug/reknock-test-server
# What no default asks for is tested as the rest is.
FEATURES = --features reknock/reqwest,reknock/serde,reknock/tower-reqwest,reknock/tracing
# A line before and after, with the time it took.
STEP = "$(CURDIR)"/.ci/step
# Suites side by side, on as many cores as there are; what each of them says in one piece, where make can do that.
JOBS := $(shell getconf _NPROCESSORS_ONLN)
SYNC := $(and $(findstring output-sync,$(.FEATURES)),--output-sync=target)

# Where `make install` puts the C library.
PREFIX ?= /usr/local
LIBDIR ?= lib

# Node 20 or later with npm, if there is one: without it the Node parts are left out, by name.
NODE := $(shell command -v npm >/dev/null && node -e 'if (+process.versions.node.split(".")[0] >= 20) console.log("node")' 2>/dev/null)

.PHONY: install help demo demo-needs demo-native built test tests-built suites test-rust share-proof pytest test-python test-docs docs dist python-dist-test python api test-node test-node-sdks test-node-runtimes node demo-node pack-node check gen real-servers fuzz bench bench-quick bench-adapters machine-bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: demo-needs built demo-native demo-node ## show retries against the embedded flaky server, with the timeline of attempts, on every surface

demo-needs:
	@echo "The first time this takes about 1.5 minutes of two idle cores and 1 GB of disk, nearly all of it to compile; later, seconds."
	@$(NEW_PYTHON)

demo-native: built
	@$(STEP) "Rust" $(BUILT)/examples/demo
	@$(STEP) "C" examples/c/demo.sh $(BUILT)
	@$(PYTHON) python/place.py $(BUILT)
	@PYTHONPATH=python $(STEP) "Python" $(PYTHON) python/examples/demo.py

# One call of cargo for all that is shown. Its features are those of the tests (workspace-hack), which find their dependencies built.
built:
	@$(STEP) "build the libraries, the server and the demo" $(CARGO) build --lib --bins --example demo $(FEATURES) \
	  -p reknock -p reknock-c -p reknock-python -p reknock-test-server $(and $(NODE),-p reknock-node)

test: tests-built ## run every test
	@$(STEP) "run the tests" $(MAKE) --no-print-directory --keep-going --jobs $(JOBS) $(SYNC) suites

tests-built: python node
	@$(STEP) "build the tests" $(CARGO) test $(FEATURES) --quiet --no-run
	@$(STEP) "build the tests of the machine alone" $(CARGO) test --quiet -p reknock --no-default-features --lib --no-run
	@$(STEP) "build the proofs" $(PROOFS) --quiet --no-run

suites: test-rust test-python test-node test-docs

test-rust: ## run the tests of the crates
	@$(STEP) "test the crates" $(CARGO) test $(FEATURES) --quiet
	@$(STEP) "test the machine alone" $(CARGO) test --quiet -p reknock --no-default-features --lib
	@$(STEP) "test the examples of the machine alone" $(CARGO) test --quiet -p reknock --no-default-features --doc
	@$(STEP) "test what processes share" $(PROOFS) --quiet

share-proof: ## prove what processes share for some minutes: schedules, races, kills, stops, garbage; and what a step costs
	CARGO_TARGET_DIR=$(TARGET)/proofs $(CARGO) run --quiet --release --manifest-path proofs/Cargo.toml

pytest: python
	@cd python && $(STEP) "test the Python package" $(BIN)/python -m pytest --durations 10

test-python: pytest ## run the tests of the Python package, and check its types
	@cd python && $(STEP) "check its types: mypy" $(BIN)/mypy --no-error-summary reknock examples
	@cd python && $(STEP) "check its types: basedpyright" $(BIN)/basedpyright --level error
	@cd python && $(STEP) "check its types: stubtest" $(BIN)/python -m mypy.stubtest --concise --allowlist tests/stubtest.txt reknock

test-docs: python node ## run every piece of code in the READMEs and in docs/
	@$(STEP) "run what the documentation shows" $(BIN)/python -m pytest -p no:cacheprovider docs

docs: docs/.venv/ready python ## build the documentation site: target/site/index.html; a broken link fails
	@$(STEP) "build the site" docs/.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -d $(TARGET)/site-trees docs $(TARGET)/site

docs/.venv/ready: docs/requirements.txt
	@$(NEW_PYTHON)
	@$(PYTHON) -m venv docs/.venv
	@docs/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

python-dist-test: $(VENV)/ready ## install the Python package as users do: from the wheel, the folder and the sdist, built in release
	python/dist-test $(PYTHON) $(BIN)/maturin

python: $(VENV)/ready built ## build the Python package into python/.venv
	@$(BIN)/python python/place.py $(BUILT)

$(VENV)/ready: python/requirements-test.txt python/requirements-adapters.txt python/requirements-telemetry.txt
	@$(NEW_PYTHON)
	@$(PYTHON) -m venv $(VENV)
	@$(STEP) "install what the tests of Python need" $(BIN)/python -m pip install --quiet --disable-pip-version-check $(^:%=-r %)
	@touch $@

dist: dist/.venv/ready built node/node_modules/ready ## build every package for this platform into target/dist, against glibc 2.17, and try them in empty places; about 20 minutes
	PATH="$(CURDIR)"/dist/.venv/bin:$$PATH dist/build $(TARGET)/dist
	PATH="$(CURDIR)"/dist/.venv/bin:$$PATH dist/check $(TARGET)/dist

dist/.venv/ready: dist/requirements.txt
	@$(NEW_PYTHON)
	@$(PYTHON) -m venv dist/.venv
	@dist/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r dist/requirements.txt
	@touch $@

ifdef NODE
test-node: node ## run the tests of the Node package
	@cd node && $(STEP) "test the Node package" npm test --silent

# In a folder and a lock file of their own: 170 MB.
test-node-sdks: node ## run libraries that take a fetch (openai, axios, ky, ...), mocks and bundlers over ours; installs them first
	@cd node/test/sdks && $(STEP) "install libraries that take a fetch" npm ci --silent --no-audit --no-fund --ignore-scripts
	@cd node/test/sdks && $(STEP) "test them over ours" node --test

# Likewise: 500 MB.
test-node-runtimes: node ## run ours on the newest Node (with libraries that load there alone), on Bun and on Deno, under jsdom and happy-dom; installs them first
	@cd node/test/runtimes && $(STEP) "install the newest Node, Bun, Deno and libraries" npm ci --silent --no-audit --no-fund --ignore-scripts
	@cd node/test/runtimes && $(STEP) "test ours on them" node --test

demo-node: built
	@node node/scripts/place.js $(BUILT)
	@$(STEP) "Node" node node/examples/demo.js

node: node/node_modules/ready built ## build the Node package in place
	@node node/scripts/place.js $(BUILT)

pack-node: node/node_modules/ready ## build the Node package for this machine in release: node/reknock-VERSION.tgz, to be installed with npm
	$(CARGO) build --quiet --release -p reknock-node
	node node/scripts/place.js $(TARGET)/release
	strip -x node/*.node
	cd node && npm pack --silent
else
test-node test-node-sdks test-node-runtimes demo-node node pack-node:
	@echo "skipped: $@: there is no Node 20 or later with npm"
endif

node/node_modules/ready: node/package-lock.json
	@cd node && $(STEP) "install what the tests of Node need" npm ci --silent --no-audit --no-fund
	@touch $@

check: ## format, lints as errors, documentation, generated files unchanged, one set of features
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path bench/Cargo.toml
	cargo fmt --all --check --manifest-path proofs/Cargo.toml
	$(CARGO) clippy --workspace --all-targets $(FEATURES) --quiet -- -D warnings
	$(CARGO) clippy --workspace --quiet -- -D warnings
	$(CARGO) clippy -p reknock --no-default-features --quiet -- -D warnings
	$(CARGO) clippy -p reknock --no-default-features --features tower --quiet -- -D warnings
	@found=$$($(CARGO) tree -p reknock --no-default-features --features tower --edges normal --prefix none --format '{p}' | sort -u | wc -l); \
	  [ $$found -le 25 ] || { echo "the layer for tower stands on $$found crates, and not on 25 at most"; exit 1; }
	CARGO_TARGET_DIR=$(TARGET)/proofs $(CARGO) clippy --all-targets --quiet --manifest-path proofs/Cargo.toml -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace $(FEATURES) --no-deps --quiet
	$(CARGO) run --quiet -p xtask -- gen --check
	$(CARGO) run --quiet -p xtask -- api --check
	workspace-hack/check

gen: ## write the generated files (the list is in xtask/src/main.rs)
	$(CARGO) run --quiet -p xtask -- gen

api: ## write the list of the public API of the crate (core/api.txt), from its documentation
	$(CARGO) doc --workspace $(FEATURES) --no-deps --quiet
	$(CARGO) run --quiet -p xtask -- api

install: ## build and install the C library: header, libraries, reknock.pc, CMake package; PREFIX=/usr/local LIBDIR=lib DESTDIR=
	$(CARGO) build --quiet --release -p reknock-c
	LIBDIR=$(LIBDIR) PYTHON=$(PYTHON) bindings/c/install "$(DESTDIR)$(PREFIX)" $(TARGET)/release

fuzz: ## fuzz documents, dialects, durations, hints, matchers and servers, SECONDS_EACH=60
	CARGO_TARGET_DIR=$(TARGET)/fuzz fuzz/run

real-servers: built ## nginx, haproxy, Envoy, Node, uvicorn, hypercorn, nghttpd, reloaded or killed under load: what they saw against what was recorded; 4 minutes, installs them
	tests/real/setup
	tests/real/.venv/bin/python python/place.py $(BUILT)
	tests/real/.venv/bin/python tests/real

bench: ## compare with other clients in every language, in less than 20 minutes; writes bench/results. ONLY='surface:scenario ...' narrows it, and writes bench/results/only
	bench/setup $(TARGET)
	cd bench && .venv/bin/python -m harness run --only '$(ONLY)' --built $(TARGET)/release --out $(if $(ONLY),results/only,results)

bench-quick: ## the same with fewer scenarios and rounds, in less than two minutes; writes bench/results/quick
	bench/setup $(TARGET)
	cd bench && .venv/bin/python -m unittest -q test_harness
	cd bench && .venv/bin/python -m harness run --quick --rounds 3 --seconds 0.15 --limit 112 --built $(TARGET)/release --out results/quick

bench-adapters: ## what each of Python's adapters costs per call, beside tenacity, stamina, httpx-retries, aiohttp-retry; two minutes once built
	bench/setup $(TARGET) python
	cd bench && .venv/bin/python alone.py
	cd bench && .venv/bin/python adapters.py $(TARGET)/release

machine-bench: ## nanoseconds and allocations of the decision machine
	$(CARGO) bench --quiet -p reknock --bench machine

clean: ## remove what was built
	cargo clean
