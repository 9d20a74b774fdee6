# Two commands are enough:  make demo   and   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint docs bench clean

demo: $(VENV)/.demo
	$(BIN)/python -m lmmfit

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks mixed
	$(BIN)/python -m benchmarks crossed
	$(BIN)/python -m benchmarks linalg
	$(BIN)/python -m benchmarks mlp
	$(BIN)/python -m benchmarks hessian
	$(BIN)/python -m benchmarks riccati
	$(BIN)/python -m benchmarks gains

# Each extra leaves a stamp, so that the second call has nothing to install.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lmmfit needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .numba_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info docs/_build
