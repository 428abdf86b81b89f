# Two commands: `make demo` runs the main job, `make test` the tests. Both build .venv first when it is missing or old,
# and neither touches anything outside this folder: caches, temporary files and results stay below it.

PYTHON ?= python3
VENV := .venv
RUN := runs/demo
# Processes that share the tests; those that judge times of this machine run alone afterwards.
WORKERS ?= 2

# The GPU build of ONNX Runtime where an NVIDIA driver answers, the CPU build elsewhere; never both.
RUNTIME := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)

export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export XDG_CACHE_HOME := $(CURDIR)/.cache
export XDG_CONFIG_HOME := $(CURDIR)/.cache/config
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
export TMPDIR := $(CURDIR)/.cache/tmp
export PYTHONNOUSERSITE := 1
# Each test that starts a process of its own would else compile torch and its friends anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check science bench clean

help:
	@echo "make demo     build .venv and run the main job: profile, search, export, report (minutes)"
	@echo "make test     build .venv and run the checks and tests (minutes)"
	@echo "make check    linters, types and import rules only"
	@echo "make science  the slow tests: does the engine beat its baselines? (tens of minutes)"
	@echo "make bench    the figures quoted in the documentation (tens of minutes)"
	@echo "make clean    remove everything the other commands made"

demo: $(VENV)/.demo-$(RUNTIME)
	@echo "== demo: profile this machine's $(RUNTIME), search on it, export the winners, write the report"
	$(VENV)/bin/hwnas search --target latency --out $(RUN)
	@echo "== done: open $(RUN)/report.html; models are in $(RUN)/models"

test: $(VENV)/.test-$(RUNTIME)
	@echo "== test: style, types, import rules, then the tests"
	$(MAKE) --no-print-directory check
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "not science and not alone" --basetemp=.cache/pytest
	$(VENV)/bin/python -m pytest -m "alone and not science" --basetemp=.cache/pytest

check: $(VENV)/.test-$(RUNTIME)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

science: $(VENV)/.test-$(RUNTIME)
	$(VENV)/bin/python -m pytest -m science --basetemp=.cache/pytest

bench: $(VENV)/.demo-$(RUNTIME)
	for script in benchmarks/main_job/*.py benchmarks/profiling/*.py benchmarks/prediction/*.py; do echo "== $$script"; $(VENV)/bin/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info runs/demo hwnas-tables

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hwnas needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 3; }
	@mkdir -p $(TMPDIR)
	$(PYTHON) -m venv $(VENV)

# --no-compile: of the thousands of files that come with torch most are never imported; Python compiles those that are.
$(VENV)/.demo-$(RUNTIME): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "== installing hwnas[$(RUNTIME)] into $(VENV)"
	@mkdir -p $(TMPDIR)
	$(VENV)/bin/python -m pip install -q --no-compile -c constraints.txt -e ".[$(RUNTIME)]"
	@touch $@

$(VENV)/.test-$(RUNTIME): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "== installing hwnas[$(RUNTIME)] and what its tests need into $(VENV)"
	@mkdir -p $(TMPDIR)
	$(VENV)/bin/python -m pip install -q --no-compile -c constraints.txt -e ".[$(RUNTIME),dev]"
	@touch $(VENV)/.demo-$(RUNTIME) $@
