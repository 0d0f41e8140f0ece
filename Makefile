# make demo: watch a prompt become a tool and a commit.   make test: everything that CI checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-full lint format lab console docs pictures bench clean

demo: $(VENV)/.installed
	$(BIN)/micro-agi demo

test: lint $(VENV)/lua-suite
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-full: lint $(VENV)/lua-suite
	MICRO_AGI_FULL=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: $(VENV)/.lab
	$(BIN)/micro-agi lab

console: $(VENV)/.lab
	$(BIN)/micro-agi console

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/docs
	@echo open build/docs/index.html

pictures: $(VENV)/.test
	$(BIN)/python tests/browser/pictures.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .coverage

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Micro AGI needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.lab: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab]'
	@touch $@

$(VENV)/.docs: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

# Lua's own tests, from lupa's source archive. Where PyPI cannot be had, the tests that need them are skipped.
$(VENV)/lua-suite: $(VENV)/.test
	$(BIN)/python tests/sandbox/fetch_lua_suite.py $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,test]'
	@touch $@
