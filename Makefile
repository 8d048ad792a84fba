# `make` lists the targets. Everything runs from .venv; nothing is installed outside it but by
# `make demo` and `make test`, which say what they install.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

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

locks: setup ## renew the hashed requirement files
	PATH="$(CURDIR)/$(BIN):$$PATH" locks/compile --upgrade

.PHONY: help setup locks
