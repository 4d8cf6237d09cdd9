# Everything a newcomer needs: `make demo`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
BIN := .venv/bin
INSTALLED := .venv/.installed
export PORT

.PHONY: install demo run test check bench soak

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install
	@$(BIN)/mindsum demo --port $(PORT)

run: install
	@PATH="$(CURDIR)/$(BIN):$$PATH" honcho -e /dev/null run mindsum db upgrade
	@PATH="$(CURDIR)/$(BIN):$$PATH" honcho -e /dev/null start --port $(PORT) web scheduler

test: install
	@$(BIN)/python -m compileall -q app emails scheduler.py
	@$(BIN)/pytest -n 3 --dist worksteal -q $(ARGS)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python .ci/audit

bench: install
	@$(BIN)/python -m tests.bench

soak: install
	@SOAK=1 $(BIN)/pytest -n 2 --dist worksteal -q $(ARGS)
