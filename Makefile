# Two commands on a fresh machine: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
# One thread a test process: two processes with two threads each take longer than two with one.
# A file's tests stay together, so that what they share is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.DELETE_ON_ERROR:
.PHONY: demo test test-slow check bench soak

demo: .venv/installed
	$(BIN)/nevus demo --out demo

test: check
	$(PYTEST) -m "not slow and not export and not browser and not gpu"

# All of them, the fast ones too, so that coverage is that of the whole.
test-slow: .venv/installed
	$(PYTEST) -m "not gpu" --durations=10 --cov=nevus --cov-branch --cov-report=term --cov-fail-under=85

check: .venv/installed
	$(BIN)/ruff check src tests benchmarks experiments
	$(BIN)/ruff format --check src tests benchmarks experiments
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/bench
	missed=0; for script in benchmarks/stages.py benchmarks/bench_*.py; do $(BIN)/python $$script || missed=1; done; exit $$missed

soak: .venv/installed
	for script in benchmarks/soak_*.py; do $(BIN)/python $$script || exit 1; done

# The peers that the benchmarks run beside; none of them needs torch.
.venv/bench: .venv/installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

# One pip command with torch's cap in it: a later, uncapped one would upgrade torch to a CUDA build of several gigabytes.
.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nevus needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[train,weights,serve,dicom,hdf5,scale,tracking]' --group dev
	touch $@
