# Each target prepares what it needs. PYTHON names the interpreter (3.11 or newer) that .venv is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Most tests wait for servers and clocks, so more of them run at once than there are cores.
WORKERS ?= 4

.PHONY: setup serve test test-failed test-all check audit format bench docs schema lock clean

setup: $(VENV)/.ready

serve: setup
	$(BIN)/queue-server serve $(ARGS)

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m "not long" -n $(WORKERS) --dist worksteal $(ARGS)

# What failed in the last run, one after the other: a test that fails beside three others on two cores and passes alone
# was short of time. Both runs are shown.
test-failed: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m "not long" --last-failed --last-failed-no-failures none $(ARGS)

test-all: $(VENV)/.ready-dev
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs clients examples README.md CHANGELOG.md Makefile pyproject.toml

# What the server is made of, and whether a weakness of any part is known (asks the package index's advisories).
audit: $(VENV)/.ready-audit
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o dist/sbom.cdx.json
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.txt

format: $(VENV)/.ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready-dev
	$(BIN)/python -m tests.performance $(ARGS)

docs: $(VENV)/.ready-dev
	$(BIN)/python tools/docs.py

# QS_TEST_ALL=1: fails where a database for it can't be had.
schema: $(VENV)/.ready-dev
	$(BIN)/python -m tools.schemas

# The locks name versions and hashes only, so that any package index can serve them.
COMPILE := $(BIN)/python -m piptools compile --quiet --strip-extras --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --no-header
lock: $(VENV)/.ready-dev
	$(COMPILE) --all-extras -o requirements.txt pyproject.toml
	$(COMPILE) -o requirements-build.txt requirements-build.in
	$(COMPILE) -o requirements-dev.txt requirements-dev.in
	$(COMPILE) -o requirements-audit.txt requirements-audit.in

$(BIN)/python:
	@sh tools/make-venv "$(PYTHON)" "$(VENV)"

$(VENV)/.ready: pyproject.toml requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@tools/test-tools
	@touch $@

$(VENV)/.ready-audit: $(VENV)/.ready-dev requirements-audit.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
