# Every target makes its own environment in .venv from the project's files; nothing else is needed but Python 3.11+, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check bench reliability slow clean
help:            ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

# torch first: a CPU build is taken where the index offers one in this range, so that nothing pulls a CUDA build in by the back door
$(VENV)/made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet 'torch>=2.11,<2.14' numpy
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/made            ## all of it on real pictures: init, check, train, evaluate, export, verify, serve, predict
	$(BIN)/thuja demo

test: $(VENV)/made            ## the default tests: no network, no GPU, at most 10 minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

slow: $(VENV)/made            ## the long tests as well
	$(BIN)/python -m pytest -m 'not gpu'

check: $(VENV)/made            ## style, types, rules of the house, torchvision absent
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_rules.py
	@! $(BIN)/python -m pip show --quiet torchvision 2>/dev/null || { echo 'torchvision is installed: some dependency brought it in'; exit 1; }

reliability: $(VENV)/made     ## the long tier of what tries to break it: about an hour on two cores; writes docs/reliability.md
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	OMP_NUM_THREADS=1 $(BIN)/python -m reliability --tier long

bench: $(VENV)/made            ## the short benchmarks, a few minutes, and the README's tables from all results; those that take long are named in benchmarks/README.md
	for figure in start_up loop_overhead step_rate checkpoint loader; do $(BIN)/python benchmarks/$$figure.py || exit 1; done
	$(BIN)/python benchmarks/serving.py --short --write
	PYTHONPATH=. $(BIN)/python tools/make_docs.py

clean:            ## forget the environment and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
