# setup creates .venv and installs all Python dependencies into it. The other targets run it; the second run is quick.
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMMANDS := $(BIN)/softfail-agents $(BIN)/softfail-monitor
# The first Python that is 3.11 or later; PYTHON=/path/to/python selects another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

.DEFAULT_GOAL := help
.PHONY: docs help setup demo check test long integration lint bench soak remedies hashes sbom clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/' | expand -t 16

setup: $(STAMP) $(COMMANDS) ## create .venv and install all Python dependencies

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "softfail needs Python 3.11 or later, and there is none on the PATH; install it, or run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[worker,judge,demo,dev]'
	@touch $@

# Commands for any folder. They are no entry points of the package, for users of the SDK must not get packages named
# `agents` and `monitor`. -P keeps the caller's folder off the module path, so nothing there takes the place of ours.
$(COMMANDS): $(BIN)/softfail-%: Makefile | $(STAMP)
	@printf '#!/bin/sh\nPYTHONPATH="%s$${PYTHONPATH:+:$$PYTHONPATH}" exec "%s/python" -P -m $* "$$@"\n' \
		"$(CURDIR)" "$(abspath $(BIN))" > $@
	@chmod +x $@

demo: $(STAMP) ## show a feature that degrades, and its page that is sent and resolved (needs no Kafka)
	$(BIN)/python -m agents demo

# Compiled modules are kept: the tests start many processes of ours, and pytest compiles each test module.
export PYTHONDONTWRITEBYTECODE =

# Some tests wait for processes of their own, and those on Kafka most of the time: more workers than cores.
CORES := $(shell getconf _NPROCESSORS_ONLN)
PYTEST := $(BIN)/python -m pytest --quiet --durations 20 --durations-min 1

check: $(STAMP) ## run the tests that need only Python, but for long simulations, and the examples in docstrings (run it while you write)
	$(PYTEST) -n $$(($(CORES) + 1)) --tier check --doctest-modules tests sdk/softfail schemas monitor agents

test: check long integration ## run check, long simulations, and the tests on real Kafka, Prometheus, Alertmanager and Chromium

long: $(STAMP)
	$(PYTEST) -n $$(($(CORES) + 1)) --tier long tests

integration: $(STAMP)
	$(PYTEST) -n $$(($(CORES) + 1)) --tier integration tests

lint: $(STAMP) ## run ruff, mypy, the import contracts, and check generated files
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m monitor.documentation --check

docs: $(STAMP) ## write the generated documents: schemas, events, configuration, evaluators, metrics
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m monitor.documentation

bench: $(STAMP) ## measure events a second on a real Kafka (needs Java 17 and Maven)
	$(BIN)/python -m benchmarks.worker_throughput

# soak alone takes about three hours and a half, most of it in the remedies, the ten faults, the hostile hour and the tables of docs/statistics.md; MINUTES is the length of the run under faults.
MINUTES ?= 5
SEED ?= 1
soak: $(STAMP) ## run the long tests: workers under faults against an oracle, simulations, removed remedies (MINUTES=30 SEED=1)
	$(BIN)/python -m tests.durability.soak --minutes $(MINUTES) --seed $(SEED)
	$(BIN)/python -m tests.durability.ten_faults
	$(BIN)/python -m tests.durability.hostile_hour --seed $(SEED)
	$(PYTEST) -n $(CORES) --tier check --hypothesis-profile nightly -m long_form tests
	$(PYTEST) -n $(CORES) --tier long --hypothesis-profile nightly -m long_form tests
	$(PYTEST) -n $$((2 * $(CORES))) --tier integration --hypothesis-profile nightly -m long_form tests
	$(BIN)/python -m tests.monitor.golden.promptfoo_oracle
	$(BIN)/python -m benchmarks.golden_gate
	$(BIN)/python -m benchmarks.sampled_pages --append .cache/sampled_pages.json
	$(BIN)/python -m benchmarks.false_pages --days 5000 --append .cache/false_pages.json
	$(BIN)/python -m benchmarks.tilted_alarms
	$(BIN)/python -m benchmarks.sampling_designs thresholds
	$(BIN)/python tests/remedies.py

remedies: $(STAMP) ## remove each remedy in a copy and check that its test fails (needs Java 17 and Maven)
	$(BIN)/python tests/remedies.py

hashes: $(STAMP) ## pin the packages of the image by hash (deploy/requirements.txt; asks the package index)
	$(BIN)/python deploy/dependencies.py hashes

sbom: $(STAMP) ## write a CycloneDX list of all installed packages to sbom.json
	$(BIN)/python deploy/dependencies.py sbom > sbom.json

clean: ## remove everything that make and the tools made, except .cache (Kafka's jars)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist sdk/*.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
