# Everything a newcomer types; `make help` lists it. Set PYTHON to choose another interpreter (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE := $(VENV)/.runnable
# To compile all modules would be half of the time; Python compiles those that are used.
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --quiet --no-compile --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install study study-postgres data-demo test test-quick test-coverage test-lowest docs dist bench lint format ui dashboard pins clean

# The published archive, as 'sslwear data fetch adl' gets it; where larger test recordings lie, it is found among them.
ADL ?= $(firstword $(wildcard $(or $(SSLWEAR_TEST_DATA),../shared/data)/adl_hmp_dataset.zip downloads/adl/*.zip))

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

# Studies need less than tests and documents do, and are there a third sooner.
$(RUNNABLE): EXTRAS := baselines
$(INSTALLED): EXTRAS := baselines,dev,docs,test
$(RUNNABLE) $(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "sslwear needs Python 3.11 or newer, and %s is %s: run again with PYTHON=/path/to/python3.11" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@ $(RUNNABLE)

install: $(INSTALLED) ## make the virtual environment with the pinned dependencies

study: $(RUNNABLE) ## run experiments/quickstart.yaml; the same command resumes it
	@$(BIN)/sslwear study run experiments/quickstart.yaml

study-postgres: $(RUNNABLE) ## run the quickstart with two workers on a throwaway PostgreSQL and MLflow server
	@$(PIP_INSTALL) --editable '.[postgres]'
	@$(BIN)/python deploy/throwaway.py $(BIN)/sslwear study run experiments/quickstart.yaml --workers 2

data-demo: $(RUNNABLE) ## prepare the ADL data set and train on it; ADL=PATH says where its archive is
	@test -n "$(ADL)" || $(BIN)/sslwear data fetch adl --out downloads/adl
	@$(BIN)/sslwear data prepare adl --raw "$(or $(ADL),downloads/adl)" --out datasets/adl
	@$(BIN)/sslwear train experiments/adl.yaml

test: $(INSTALLED) ## run the whole test suite, a process a core
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-quick: $(INSTALLED) ## run the tests that are not marked slow
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m 'not slow'

test-coverage: $(INSTALLED) ## run the whole test suite and measure which lines it runs
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov --cov-report=term:skip-covered --cov-report=html

test-lowest: ## run unit and contract tests with the lowest versions that pyproject.toml allows, in build/lowest
	$(PYTHON) -m venv build/lowest
	build/lowest/bin/python .ci/lowest.py > build/constraints-lowest.txt
	build/lowest/bin/pip install --disable-pip-version-check --quiet --no-compile --constraint build/constraints-lowest.txt \
	  --editable '.[baselines,onnx,test]'
	build/lowest/bin/python -m pytest --numprocesses auto --dist worksteal -m 'not slow' tests/unit tests/contracts

docs: $(INSTALLED) ## build the documentation site into build/docs; a warning is an error
	@rm -rf docs/api/generated
	@$(BIN)/python -m sphinx --builder html --conf-dir docs --doctree-dir build/doctrees --fail-on-warning --quiet . build/docs
	@echo "open build/docs/index.html"

dist: $(INSTALLED) ## build the wheel and the source distribution into build/dist
	@rm -rf build/dist
	@$(BIN)/python -m build --outdir build/dist .
	@$(BIN)/twine check --strict build/dist/*

bench: $(INSTALLED) ## measure side by side with the tutorial's loop, an hour or more; writes benchmarks/RESULTS.md
	@$(PIP_INSTALL) --editable '.[bench]'
	@$(BIN)/python benchmarks/transforms.py
	@$(BIN)/python benchmarks/operations.py
	@$(BIN)/python benchmarks/surgical.py
	@$(BIN)/python benchmarks/growth.py

lint: $(INSTALLED) ## ruff and strict mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(INSTALLED) ## let ruff fix and lay out what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

ui: $(RUNNABLE) ## browse studies in the MLflow UI, on this machine only
	@$(BIN)/sslwear ui

dashboard: $(RUNNABLE) ## browse trials in Optuna's dashboard, on this machine only
	@$(PIP_INSTALL) --editable '.[dashboard]'
	@$(BIN)/sslwear dashboard

pins: $(INSTALLED) ## compute constraints.txt anew from pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --all-extras --strip-extras --allow-unsafe --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file constraints.txt pyproject.toml
	@sed -i.bak -E 's/^(torch==[0-9.]+)\+cpu$$/\1/' constraints.txt && rm constraints.txt.bak

clean: ## remove the virtual environment and caches; studies in mlruns/ stay
	rm -rf $(VENV) build docs/api/generated .coverage htmlcov *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
