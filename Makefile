# `make help` lists the targets. Every one of them may be run from a clean clone.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help setup engine-image c-service build demo demo-modern test bench lint package msrv dist deb \
	image push-image clean

CARGO ?= cargo
# More for the demo run, as in: make demo ARGS="--rounds 3"
ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make this machine ready: engine, buildx, registry, base image (scripts/setup.sh)
	scripts/setup.sh

engine-image: setup ## an image with a modern engine in it, made without a registry (scripts/engine-image.sh)
	scripts/engine-image.sh

c-service: setup ## base images of the C service (scripts/debian-bases.sh), then build it and ask it
	scripts/debian-bases.sh
	fixtures/c-service/check.sh

build: ## compile the release binary
	$(CARGO) build --release --locked

demo: ## measure the article's build on this machine and print the verdict (without a daemon: by Buildah)
	MAKE="$(MAKE)" scripts/demo.sh $(ARGS)

demo-modern: engine-image build ## exported caches on your engine and on a modern private one, both fixtures
	scripts/debian-bases.sh
	target/release/breakeven run fixtures/article/breakeven-modern.toml $(ARGS)
	target/release/breakeven run fixtures/c-service/breakeven-modern.toml $(ARGS)

# The scripts fail where no engine answers or no modern one can be had, so that the engines' tests
# never go missing in silence.
test: setup engine-image ## every test, those against a real engine included
	scripts/test-tools.sh
	scripts/daemonless.sh
	scripts/msrv.sh
	$(CARGO) test --locked --all-features --lib --bins --tests
	$(CARGO) test --locked --all-features --doc
	$(CARGO) package --locked --allow-dirty
	scripts/lean.sh

bench: setup build ## time our own hot paths and compare with the plain docker commands
	$(CARGO) bench --locked

lint: ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

package: ## the crate as `cargo install` would get it, built from that package alone
	$(CARGO) package --locked

msrv: ## build with the minimum Rust version that Cargo.toml states (scripts/msrv.sh)
	scripts/msrv.sh

dist: ## a static binary: dist/breakeven (scripts/dist.sh)
	scripts/dist.sh

deb: dist ## a Debian package of it, in dist/ (scripts/deb.sh)
	scripts/deb.sh

image: setup ## the container image breakeven:local (packaging/image), on a base made from this machine's Rust
	scripts/rust-base.sh
	docker build --build-arg RUST=breakeven-rust-base:1 --file packaging/image/Dockerfile --tag breakeven:local .

push-image: setup ## the same in REPOSITORY=registry/name, with its cache there (packaging/image/build.sh)
	scripts/rust-base.sh
	scripts/push-image.sh

clean: ## remove what was built here (what a run left in the engine: breakeven clean)
	$(CARGO) clean
