# make demo: watch a prompt become a tool and a commit.   make test: everything that CI checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARRIED := cli expr host jupyter library lua_modules mcp mcp_client models policy registry sandbox

# The tests start hundreds of processes: none of them shall compile what another one has compiled.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-full test-lowest lint format lock dist lab console docs pictures bench clean

demo: $(VENV)/.installed
	$(BIN)/micro-agi demo

test: lint $(VENV)/lua-suite
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-full: lint $(VENV)/lua-suite
	MICRO_AGI_FULL=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

# The parts that the libraries carry, with each at the lowest version that pyproject.toml allows.
test-lowest: $(VENV)/.uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/lowest
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest --resolution lowest-direct -e '.[lab,test]'
	$(VENV)/lowest/bin/python -m pytest -n 4 --dist loadfile $(addprefix tests/,$(CARRIED))

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# requirements-dev.txt anew: the newest of all that pyproject.toml allows, for every Python and system.
lock: $(VENV)/.uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-annotate \
	  --custom-compile-command 'make lock' --extra lab --extra test --output-file requirements-dev.txt pyproject.toml

dist: $(VENV)/.test
	rm -rf dist
	$(BIN)/python -m hatchling build

lab: $(VENV)/.lab
	$(BIN)/micro-agi lab

console: $(VENV)/.lab
	$(BIN)/micro-agi console

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/docs
	@echo open build/docs/index.html

pictures: $(VENV)/.test
	$(BIN)/python tests/browser/pictures.py

# In an environment of its own, as what stands beside ours is not in the lock file; by uv, as pip finds no versions that agree.
bench: $(VENV)/bench/.installed
	$(VENV)/bench/bin/python -m benchmarks $(if $(WRITE),--write $(WRITE))

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

$(VENV)/bench/.installed: $(VENV)/.uv pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/bench
	$(BIN)/uv pip install --quiet --python $(VENV)/bench -e '.[bench]'
	@touch $@

# Lua's own tests, from lupa's source archive. Where PyPI cannot be had, the tests that need them are skipped.
$(VENV)/lua-suite: $(VENV)/.test
	$(BIN)/python tests/sandbox/fetch_lua_suite.py $@

# The extras lab and test, in the versions that the lock file holds.
$(VENV)/.test: $(VENV)/.python pyproject.toml requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.uv: $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	@touch $@
