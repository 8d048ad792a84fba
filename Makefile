# `make` lists the targets. Everything runs from .venv; nothing is installed outside it but by
# `make demo` and `make test`, which say what they install.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
DEVSTACK := $(BIN)/python -m loadertask_devstack

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/ready ## everything for development into .venv

.venv/ready: locks/dev.txt $(wildcard */pyproject.toml)
	@echo "making .venv (about half a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
	    -e contract -e operator -e worker -e devstack
	@touch $@

try: setup ## first sight, without a cluster: one manifest loaded into a local Kafka (about a minute)
	@$(DEVSTACK) try examples/01-candles.yaml

demo: setup ## everything: the same manifest on a real Kubernetes with the operator (first time ~12 min)
	@$(DEVSTACK) demo examples/01-candles.yaml

up: setup ## start the whole system and leave it running
	@$(DEVSTACK) up

down: ## stop what up, try and demo started; the machine is as it was
	@test ! -x $(BIN)/python || $(DEVSTACK) down

logs: setup ## the logs of all parts in one place
	@$(DEVSTACK) logs

check: setup ## what needs no running system: format, lint, types, imports, locks
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" locks/compile --check

unit: setup ## the tests that need nothing but Python
	$(BIN)/pytest tests/unit

prepare: setup ## build and fetch what is kept between runs: the long part, once per machine
	@$(DEVSTACK) prepare

test: prepare ## all tests: unit, integration (real Kafka, real API server), e2e (real pods)
	$(BIN)/pytest tests/unit tests/integration tests/e2e

fuzz: setup ## look for inputs that break a decoder: SECONDS=60 for each, NAME=frame for one
	$(BIN)/python -m tests.fuzz $(NAME)

bench: prepare ## the figures of docs/performance.md; make bench-operator measures one part, whole
	$(BIN)/python tests/bench/bench_worker.py
	$(BIN)/python tests/bench/bench_scale.py
	$(BIN)/python tests/bench/bench_bounds.py
	$(BIN)/python tests/bench/bench_live.py
	$(BIN)/python tests/bench/bench_weight.py
	$(BIN)/python tests/bench/bench_operator.py --short
	$(BIN)/python tests/bench/bench_first_sight.py

bench-%: prepare
	$(BIN)/python tests/bench/bench_$*.py

locks: setup ## renew the hashed requirement files
	PATH="$(CURDIR)/$(BIN):$$PATH" locks/compile --upgrade

clean: down ## remove .venv and the caches of the tools in this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup try demo up down logs check unit prepare test fuzz bench locks clean
