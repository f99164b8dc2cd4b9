# Everything happens in an environment of the project's own, so only Python, make and a package index are needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONFIG ?= configs/lanet/r18_synthfaces.py
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup train test gpu clean

help:
	@echo 'make train   set up, then train LA-Net on the built-in synthetic faces (a few minutes on 2 CPU cores)'
	@echo 'make test    set up, then lint, type-check and run all tests'
	@echo 'make setup   only set up: $(VENV) with everything that mmfer needs (about 6 GB, a few minutes, once)'
	@echo 'make gpu     set up, then measure what mmfer costs on the GPU that is here, at most 8 minutes;'
	@echo "             in small, also on a CPU: make gpu ARGS=--smoke; all options: make gpu ARGS=--help"
	@echo 'make clean   delete .venv and the caches; data/, pretrained/ and work_dirs/ stay'
	@echo
	@echo 'Variables: PYTHON=$(PYTHON) (any 3.10 to 3.13)  VENV=$(VENV)  CONFIG=$(CONFIG) (what make train trains)  ARGS (of make gpu)'

setup: $(STAMP)

# setup.py names the dependencies; as long as it does not change, nothing is installed again.
$(STAMP): setup.py
	@command -v $(PYTHON) >/dev/null || { echo 'There is no `$(PYTHON)` on this machine: install Python 3.10 to 3.13, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 10) <= v < (3, 14) or sys.exit("mmfer needs Python 3.10 to 3.13, but `$(PYTHON)` is %d.%d; name another one: make PYTHON=python3.12" % v[:2])'
	@$(PYTHON) -m venv $(VENV) || { echo '`$(PYTHON) -m venv` failed: on Debian and Ubuntu it needs `apt-get install python3-venv`' >&2; exit 1; }
	@echo 'Installing mmfer and what it needs into $(VENV): about 6 GB and a few minutes, once ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
# opencv-python, which mmengine asks for, needs libraries of a desktop (libGL, glib); where they are missing the same
# OpenCV without windows takes its place.
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	  echo 'This machine has no desktop libraries: taking opencv-python-headless instead of opencv-python'; \
	  $(BIN)/python -m pip uninstall --quiet --yes opencv-python \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps opencv-python-headless \
	  && $(BIN)/python -c 'import cv2'; }
	@touch $@

train: $(STAMP)
	$(BIN)/python tools/train.py $(CONFIG) --amp-if-fast

test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Where nothing can be downloaded, wheels of what the machine's own Python lacks take the place of an environment; they
# are collected elsewhere, by benchmarks/gpu_wheels.py.
WHEELS := $(wildcard .whl/*.whl)
ifeq ($(if $(wildcard $(STAMP)),,$(WHEELS)),)
gpu: $(STAMP)
	$(BIN)/python -m benchmarks.gpu $(ARGS)
else
gpu: .site
	PYTHONPATH=.site $(PYTHON) -m benchmarks.gpu $(ARGS)
endif

.site: $(WHEELS)
	$(PYTHON) benchmarks/gpu_wheels.py --unpack $@
	@touch $@

clean:
	rm -rf .venv .site build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
