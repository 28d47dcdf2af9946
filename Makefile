# All set-up happens in here: a machine with Python 3.11 (or later), pip, gcc and make is enough.
#
#   make demo            encode and decode the meshes of examples/, print a table, draw demo-out/comparison.png
#   make check           ruff, mypy --strict and the quick tests, in a minute: before every commit
#   make test            all tests, JOBS at a time (2), in ten minutes
#   make lint            ruff and mypy --strict alone
#   make bench DIR=...   size against quality over a folder of meshes, beside decimation + Draco
#   make speed           how long every stage takes, beside dense evaluation and decimation + Draco
#   make fuzz            all fuzz targets, SECONDS each (300)
#   make web-test        the JavaScript decoder, in Node and in headless Chromium
#   make web-speed       how long Chromium takes to decode, beside DRACOLoader and Python
#   make blender         the Blender add-on, in Blender's own module (0.4 GB)
#   make clean           remove the environment and whatever the targets above wrote
#
# PYTHON=... chooses the interpreter, VENV=... the place of the virtual environment, PYTEST=... adds options of pytest.

PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 300
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: help venv check test lint style types quick demo bench speed fuzz web-weights web-test web-speed blender clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(STAMP)

# The stamp is written last: an installation that was interrupted is done again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev,report,baselines,ray,gpu]"
	@touch $@

# The types beside the tests; what each prints stays together.
check: style
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types quick

# Each job has one thread: more would wait for each other's cores. Byte code is kept: the tests start many processes.
test: venv
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -rs $(PYTEST)

quick: venv
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow and not browser and not train and not gpu" $(PYTEST)

lint: style types

style: venv
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: venv
	$(BIN)/python -m mypy --strict

demo: venv
	$(BIN)/python -m meshcodec.demo examples -o demo-out

bench: venv
	@test -n "$(DIR)" || { echo "usage: make bench DIR=folder-of-meshes" >&2; exit 2; }
	@mkdir -p out/bench
	$(BIN)/meshcodec bench "$(DIR)" --baselines draco,hull -o out/bench

speed: venv
	$(BIN)/python benchmarks/speed.py -o out/speed.json

# What the fuzzer finds stays in out/fuzz/found. A process lasts 75 seconds: under the fuzzer it grows by 30 KB a
# decode, which the same decodes without it do not, and the fuzzer takes 2 GB for a finding.
fuzz: venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet "atheris>=3"
	$(BIN)/python fuzz/seeds.py out/fuzz
	@mkdir -p out/fuzz/found
	for target in load decode mesh; do \
		left=$(SECONDS); \
		while [ $$left -gt 0 ]; do \
			$(BIN)/python fuzz/fuzz_$$target.py out/fuzz/$$target -print_final_stats=1 \
				-max_total_time=$$((left < 75 ? left : 75)) -artifact_prefix=out/fuzz/found/ || exit 1; \
			left=$$((left - 75)); \
		done; \
	done

# The weights as JavaScript reads them are made from weights/, and not checked in.
web-weights: venv
	$(BIN)/python web/export_weights.py

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web-test: web-weights web/node_modules/.package-lock.json
	cd web && node --test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/web $(PYTEST)

web-speed: web-weights web/node_modules/.package-lock.json
	$(BIN)/python benchmarks/web_speed.py -o out/web-speed.json

blender: venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt "bpy>=4.2,<6"
	$(BIN)/python -m pytest tests/test_blender.py

clean:
	rm -rf $(VENV) web/weights web/node_modules build dist *.egg-info demo-out out/bench out/speed.json out/web-speed.json out/fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find meshcodec tests -name __pycache__ -type d -prune -exec rm -rf {} +
