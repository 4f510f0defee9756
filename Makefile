# A fresh machine with python3 (with venv) and make needs two commands: `make demo` and `make test`.
# Nothing here needs root; everything it brings stays in .tools/ and .venv/ of this folder.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: setup demo test check format bench writes soak lock clean

PYTHON ?= python3
SECONDS_ARGUMENT = $(if $(filter command line environment,$(origin SECONDS)),--seconds $(SECONDS))
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache
export PYTHONDONTWRITEBYTECODE :=

setup: .venv/.ready

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"

# The stamp makes a second run work without network: nothing is asked of a registry while the lock is unchanged.
.venv/.ready: requirements-dev.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/station demo $(SECONDS_ARGUMENT)

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m bench

# Counted at the block layer where this account may mount a loop device; some minutes.
writes: setup
	$(BIN)/python -m bench writes

# Every fault of the station, its broker and the network, by chance, against one set of files: make soak MINUTES=30
MINUTES ?= 30
soak: setup
	$(BIN)/python -m tests.system.soak $(MINUTES) $(SEED)

# Both locks are made again from pyproject.toml; --universal serves x86-64 and aarch64, Python 3.11 to 3.13.
LOCK := $(UV) pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 --quiet \
	--no-emit-index-url --no-header --no-annotate
lock: | $(UV)
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra demo --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis
