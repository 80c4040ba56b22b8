# Targets for a fresh clone, with Python 3.10 to 3.13:
#
#   make demo        install into .venv, run configs/demo.yaml, show its records
#   make serve       answer the clients of the hosted APIs, on 127.0.0.1
#   make tutorial    run the commands of docs/tutorial.md, with checks
#   make test        install into .venv, lint, check types, run the tests
#   make pictures    draw the pictures of the README, with the demo model (needs Chromium)
#   make docs        write docs/configuration.md from the docstrings of pipelines/config
#   make test-clients  run the public clients of the hosted APIs against the server
#   make against    compare the commands around a run with those of an earlier revision
#   make test-slow   run the slow tests of whole runs (installs Azurite with npm)
#
# To use another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: against revision azurite install demo serve tutorial test lint fix types unit test-slow test-browser test-postgres test-clients docs coverage pictures chaos fuzz wheel constraints clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "this needs Python 3.10 to 3.13; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing into .venv; this takes a few minutes the first time"
	$(PYTHON) -m venv .venv
	$(PIP) install -qq -c constraints.txt -e '.[dev,s3,serve,postgres,safety]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/uso run configs/demo.yaml
	$(BIN)/uso status out/demo --rows 100
	$(BIN)/uso report out/demo

# Serves the hosted APIs on this machine, until Ctrl-C.
serve: $(INSTALLED)
	$(BIN)/uso serve configs/serve.yaml

tutorial: $(INSTALLED)
	examples/stylize_folder.sh

test: lint types unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fix: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

# Two workers. tests/turns.py puts the Ray tests last and lets nothing run beside a test that
# measures time. Plain `pytest` runs the same tests one after another.
# With COVERAGE=1 it also measures coverage, and fails below the floor in pyproject.toml.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
unit: $(INSTALLED)
	$(PYTEST) $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered)

coverage:
	$(MAKE) unit COVERAGE=1

# More kills and outages during whole runs. These tests do not measure time.
test-slow: $(INSTALLED) azurite
	@command -v strace >/dev/null || \
	  { echo "no strace; on Debian and Ubuntu: apt-get install -y strace"; exit 1; }
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow tests

# Azure's emulator, for the slow tests and `python -m benchmarks.chaos --store az`.
AZURITE := build/azurite/node_modules/azurite/package.json
azurite: $(AZURITE)

$(AZURITE):
	@command -v npm >/dev/null || \
	  { echo "no npm; on Debian and Ubuntu: apt-get install -y --no-install-recommends nodejs npm"; \
	    exit 1; }
	mkdir -p build/azurite
	npm install --silent --no-fund --no-audit --prefix build/azurite azurite@3.35.0

define NEEDS_CHROMIUM
@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
  { echo "no chromium; on Debian and Ubuntu: apt-get install -y chromium"; exit 1; }
endef

# Opens the report and the playground in a real browser, which pip does not install.
test-browser: $(INSTALLED)
	$(NEEDS_CHROMIUM)
	$(BIN)/python -m pytest -m browser tests/jobs/serve tests/pipelines/tools tests/examples

# Runs the tests of the server's state on a real PostgreSQL, which pip does not install.
test-postgres: $(INSTALLED)
	@command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || \
	  { echo "no PostgreSQL; on Debian and Ubuntu: apt-get install -y postgresql"; exit 1; }
	$(BIN)/python -m pytest -n 2 --dist worksteal -m postgres tests/jobs/serve

# Runs the clients of the hosted APIs, in several versions and in JavaScript, against the server.
test-clients: $(INSTALLED)
	@command -v npm >/dev/null || \
	  { echo "no npm; on Debian and Ubuntu: apt-get install -y --no-install-recommends nodejs npm"; \
	    exit 1; }
	$(BIN)/python -m pytest -m clients tests/clients

# A test compares the page with the docstrings.
docs: $(INSTALLED)
	$(BIN)/python -m pipelines.config.page > docs/configuration.md

# Compares the commands around a run with those of an earlier revision: CPU per row. Fails if a ratio
# is below half of its target.
REVISION ?= ac64d33
against: $(INSTALLED)
	$(BIN)/python -m benchmarks.against $(REVISION) --rows 150000 --rounds 1 --check --only $(AGAINST)
AGAINST := validate plan "manifest from CSV" report "driver with Ray"
revision:
	@echo $(REVISION)

# Draws docs/readme/strip.jpg and report.jpg; run it after a change of the demo model or the report.
pictures: $(INSTALLED)
	$(NEEDS_CHROMIUM)
	$(BIN)/python -m examples.pictures

# Injects random faults into real runs for five minutes, then checks what docs/reliability.md
# promises.
chaos: $(INSTALLED)
	$(BIN)/python -m benchmarks.chaos --minutes 5

# Runs new random inputs for ten minutes; use make fuzz SECONDS=60 for a shorter run.
SECONDS ?= 600
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz $(SECONDS)

wheel: $(INSTALLED)
	$(BIN)/python -m build --wheel

# Run this after changing dependencies. It resolves the newest versions in an empty environment;
# only the version of torch is set here.
TORCH := 2.13.0
constraints:
	rm -rf build/constraints-venv
	$(PYTHON) -m venv build/constraints-venv
	build/constraints-venv/bin/python -m pip --disable-pip-version-check install -qq \
	  torch==$(TORCH) -e '.[dev,s3,serve,postgres,safety]'
	build/constraints-venv/bin/python .ci/freeze.py > constraints.txt

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
