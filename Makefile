# The commands of this repository.  Nothing is needed before them but git and make:
# each first runs tools/bootstrap, which finds or installs the rest and is quick when nothing changed.

SHELL := /bin/bash
PY := .venv/bin/python

.PHONY: help bootstrap demo demo-check test test-lowest test-e2e lint bench fuzz docs clean

help: ## this list
	@echo 'Substruct: make <target>'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  %-13s%s\n' "$$name" "$$text"; done

bootstrap: ## Python, system packages and the virtual environment only
	@tools/bootstrap

demo: bootstrap ## NetBox with the plugin, a sidecar, and three machines that install themselves; stays up to look at
	@bin/lab demo

demo-check: bootstrap ## the same as a test: exits 0 only if every machine was built and runs from its own disk
	@bin/lab demo --unattended

lint: bootstrap ## ruff, the type checker and the documentation build
	@tools/lint

test: lint ## lint, then every test but the benchmarks
	@$(PY) -m pytest -n 2 --durations=15

test-lowest: bootstrap ## the plugin's tests on the lowest NetBox that it declares, in an environment of its own
	@tools/lowest

test-e2e: bootstrap ## every end-to-end test: real machines boot, fail, are cancelled, lose NetBox; half an hour
	@$(PY) -m pytest -n 0 -m '' --durations=0 tests/e2e

bench: bootstrap ## the benchmarks: what was measured, beside a peer
	@$(PY) -m pytest -s -n 0 tests/benchmarks

fuzz: bootstrap ## every parser of what the network sends, under a fuzzer; FUZZ_SECONDS=60 for each
	@tools/fuzz

docs: bootstrap ## the manual, built into site/
	@tools/docs

clean: ## stops the lab, removes everything built here; CACHE=1 also empties the template cache
	@tools/clean $(if $(CACHE),--cache)
