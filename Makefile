# Everything a fresh machine needs: Rust and make. `make help` lists the targets.
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
CARGO = cargo --locked

# Where `make install` puts the C library.
PREFIX ?= /usr/local

.PHONY: install help demo test check gen fuzz machine-bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: ## show retries against the embedded flaky server, with the timeline of attempts, in Rust and in C
	$(CARGO) run --quiet -p reknock --example demo
	$(CARGO) build --quiet -p reknock-c -p reknock-test-server
	examples/c/demo.sh $(CARGO_TARGET_DIR)/debug

test: ## run every test
	$(CARGO) test --workspace --quiet
	$(CARGO) test -p reknock --no-default-features --lib --quiet
	$(CARGO) test -p reknock --no-default-features --doc --quiet

check: ## format, lints as errors, documentation, generated files unchanged
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) clippy -p reknock --no-default-features --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) run --quiet -p xtask -- gen --check

gen: ## write the generated files (docs/options.md, include/reknock.h)
	$(CARGO) run --quiet -p xtask -- gen

install: ## build and install the C library: header, libraries, reknock.pc, CMake package; PREFIX=/usr/local DESTDIR=
	$(CARGO) build --quiet --release -p reknock-c
	bindings/c/install $(DESTDIR)$(PREFIX) $(CARGO_TARGET_DIR)/release

fuzz: ## fuzz documents, durations, hints and matchers, SECONDS_EACH=60
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz fuzz/run

machine-bench: ## nanoseconds and allocations of the decision machine
	$(CARGO) bench --quiet -p reknock --bench machine

clean: ## remove what was built
	cargo clean
