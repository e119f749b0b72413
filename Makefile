# Everything runs from .venv, which `make install` builds from pinned constraints.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The public torch wheel brings CUDA; set TORCH_INDEX=https://download.pytorch.org/whl/cpu for the CPU build.
TORCH_INDEX ?=
PIP_EXTRA := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX),)

# The tests start hundreds of processes, which would each compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run test lint bench notebooks clean

help:  ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Build .venv with the pinned packages and the project

$(STAMP): pyproject.toml config/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_EXTRA) -c config/constraints.txt -e ".[dev,boosting,explain,kafka,onnx,options]"
	@touch $@

run: $(STAMP)  ## Trade the demo: 20 US stocks, 2016-2022, on a local Ray cluster
	$(BIN)/trader run --preset demo

# More workers than two cores: nearly half of the time is waiting for other processes.
test: $(STAMP)  ## Run every test, those against real Redis, PostgreSQL and Ray included
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder

lint: $(STAMP)  ## ruff, mypy, import-linter, and that every __all__ is true
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/test_public_names.py

bench: $(STAMP)  ## Measure ours beside its peers; JSON goes to benchmarks/results
	$(BIN)/python -m benchmarks

notebooks: $(STAMP)  ## Regenerate the stripped .ipynb files from their percent scripts
	$(BIN)/jupytext --to ipynb notebooks/*.py

clean:  ## Remove caches; keeps .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
