# `make demo` and `make test` work from a fresh clone: each installs first, once.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A Python that this project supports and that can make a venv; override with `make PYTHON=...`.
PYTHON ?= $(shell .ci/find-python)
# On two cores, as one of the three waits for its Airflow most of the time.
PYTEST_ARGS ?= -n 3 --dist loadgroup
# Where short-lived files are kept in memory, if that is possible.
test test-fast test-full test-cluster: export TMPDIR := $(or $(TMPDIR),$(shell .ci/find-memory),/tmp)
# Otherwise every process would compile Airflow again, which doubles the time of each command.
unexport PYTHONDONTWRITEBYTECODE
SANDBOX_ARGS ?= --port 8443 --users 25 --encounters 20 --directory .demo/sandbox

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Create .venv and install everything (again when the requirements change)

# uv installs in seconds what takes pip minutes; where its wheel does not run, pip does the job.
# pip compiles what it installs, uv only when told so.
$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@echo "Installing into $(VENV), once: about a minute, and some more on a slow network or machine."
	@test -n "$(PYTHON)" || { echo "Needs Python 3.11, 3.12 or 3.13 with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "  1 of 3: an environment for Python"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "  2 of 3: the installer"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ;]*' requirements-dev.txt)" || true
	@echo "  3 of 3: Airflow and everything else"
	@if $(BIN)/uv --version >/dev/null; then \
		$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python \
			-r requirements.txt -r requirements-dev.txt && \
		$(BIN)/uv pip install --python $(BIN)/python --no-deps -e . ; \
	else \
		$(BIN)/python -m pip install -r requirements.txt -r requirements-dev.txt && \
		$(BIN)/python -m pip install --no-deps -e . ; \
	fi
# Beside the installed package it would be a second one, whose plugin Airflow reports as an error.
	@rm -rf include/*.egg-info
	@touch $@

# By path, since collecting everything takes longer than these.
FAST := tests/unit tests/contract tests/engine/platforms tests/engine/cycle/test_rules.py

.PHONY: test-fast
test-fast: install ## Run the cheap tests: rules, parsers, servers, a story for each rule
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(FAST)

# A whole cluster is a part of its own, and keeps both cores to itself.
CLUSTER := tests/e2e/cluster

.PHONY: test
test: install ## Run all tests but those on a cluster (PYTEST_ARGS="-k words" for some)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --ignore=$(CLUSTER)

.PHONY: test-cluster
test-cluster: install ## Lose a worker and the queue of an Airflow on Celery: 4 minutes, part of CI
	$(BIN)/python -m pytest -v $(CLUSTER)

.PHONY: test-full
test-full: install ## Run all tests with every seed and every input: before a release
	$(BIN)/python -m pytest $(PYTEST_ARGS) --every-seed

.PHONY: coverage
coverage: install ## Test planner and privacy alone: every branch must be reached
	$(BIN)/python -m pytest tests/unit/planner --cov=calendar_sync.planner \
		--cov-branch --cov-fail-under=100 --cov-report=term-missing

.PHONY: soak
soak: install ## Simulate with new seeds for MINUTES (default 60); failures name their seed
	$(BIN)/python -m tests.simulation.soak $(or $(MINUTES),60) $(SEED)

.PHONY: lint
lint: install ## Check style and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: format
format: install ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: types
types: install ## Check types
	$(BIN)/mypy

.PHONY: demo
demo: install ## Play the sync story on a sandbox and a real Airflow (DEMO_EXIT=1 ends by itself)
	@echo "Starting the demo: about 4 minutes on two idle cores, longer on a busy machine"
	@exec $(BIN)/python -m calendar_sync_sandbox.demo

.PHONY: screenshots
screenshots: install ## Update the screenshots of the admin pages (docs/images)
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/e2e/browser/test_pages.py -q

.PHONY: bench
bench: install ## Measure, write docs/benchmarks.md (4 to 5 h; BENCH_ACCOUNTS=50: 25 min)
	@exec $(BIN)/python -m bench

.PHONY: cluster-test
cluster-test: install ## Lose each part of an Airflow on Celery in turn, and tell who waited how long
	@.ci/install-servers
	@exec $(BIN)/python -m tests.e2e.cluster $(or $(USERS),300) $(FAULTS)

.PHONY: sandbox
sandbox: install ## Serve stand-ins for Welkin, Google and Microsoft over HTTPS
	@mkdir -p .demo/sandbox
	@exec $(BIN)/calendar-sync sandbox $(SANDBOX_ARGS)

.PHONY: lock
lock: install ## Pin the requirements again (LOCK_ARGS=--upgrade for newer versions)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate $(LOCK_ARGS) \
		--custom-compile-command "make lock" --no-emit-package calendar-sync \
		requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate $(LOCK_ARGS) \
		--custom-compile-command "make lock" requirements-dev.in -o requirements-dev.txt

.PHONY: clean
clean: ## Remove what the demo, the tests and the tools left behind (not .venv)
	rm -rf .demo .bench build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache include/*.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
