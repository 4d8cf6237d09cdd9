# Everything a newcomer needs: `make demo`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
BIN := .venv/bin
RUNTIME := .venv/.installed
DEVELOPMENT := .venv/.installed-dev
PIP := $(BIN)/pip --disable-pip-version-check
export PORT
# Compiled files are kept whatever the environment says: a run of the tests starts many processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-dev lock demo run test test-all test-rest check bench soak recipes sbom pictures

install: $(RUNTIME)
install-dev: $(DEVELOPMENT)

$(RUNTIME): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@echo "Making .venv for $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@echo "Installing what the site needs (requirements.lock, 143 MB of packages; .venv takes 200 MB)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@echo "Installing the mindsum command"
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "Installing what tests and checks need (requirements-dev.lock; .venv takes another 330 MB)"
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

LOCK = uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	--custom-compile-command "make lock" pyproject.toml

# After a change of the dependencies in pyproject.toml; needs uv. LOCK_ARGS=--upgrade takes newer ones.
lock:
	$(LOCK) $(LOCK_ARGS) -o requirements.lock
	$(LOCK) $(LOCK_ARGS) --extra dev --constraint requirements.lock -o requirements-dev.lock

demo: install
	@$(BIN)/mindsum demo --port $(PORT)

run: install
	@PATH="$(CURDIR)/$(BIN):$$PATH" honcho -e /dev/null run mindsum db upgrade
	@PATH="$(CURDIR)/$(BIN):$$PATH" honcho -e /dev/null start --port $(PORT) web scheduler inbound

test: TIER := test
test-all: TIER := all
test-rest: TIER := rest
test test-all test-rest: install-dev
	@$(BIN)/python -m compileall -q app emails scheduler.py
	@$(BIN)/pytest --tier=$(TIER) -n 3 --dist worksteal -q $(ARGS)

check: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python .ci/audit

bench: install-dev
	@$(BIN)/python -m tests.bench

soak: install-dev
	@SOAK=1 $(BIN)/pytest --tier=all -n 2 --dist worksteal -q $(ARGS)

# The main job through each way to run the product that can run here: wheel, Procfile, units, compose.
recipes: install-dev
	@$(BIN)/python -m tests.recipes

# What is in a release, for those who must know it (CycloneDX, JSON).
sbom: install-dev
	@$(BIN)/python .ci/sbom dist/sbom.json
	@echo "dist/sbom.json"

pictures: install-dev
	@$(BIN)/python -m tests.pictures $(ARGS)
