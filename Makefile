# The two commands of the README, and what developers need. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-paper paper-small test test-slow lint format docs scorecard-calibration benchmarks lock clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORES ?= 2
# what the Snakefile sets for jobs (workflow/rules/common.smk)
AS_JOBS = OMP_WAIT_POLICY=PASSIVE MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824
# gpu=0: on the CPU, where several jobs that would share a GPU can run at once. Any 50 jobs that are ready are
# enough to choose the next from: to look at hundreds takes seconds each time.
RUN = $(BIN)/snakemake -j$(CORES) --resources gpu=0 --scheduler-subsample 50 --quiet rules host --configfile
DEMO = $(RUN) config/demo.yaml
SMALL = $(RUN) config/small.yaml

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- set-up ----------------------------------------------------------------------------
# Done again only when the pinned requirements or the command itself change.
setup: $(READY) ## Make the environment in .venv

$(READY): requirements.lock nctransfer/runtime/snakemake_command.py
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13 with the venv module."; \
	  echo "On Debian and Ubuntu: apt-get install python3 python3-venv; or name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; \
	  exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned requirements into $(VENV) (the first time about 2 minutes and 6 GB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -c 'from pathlib import Path; from nctransfer.runtime import snakemake_command; snakemake_command.install(Path("$(BIN)").absolute())'
	@touch $@

# --- the main job ----------------------------------------------------------------------
demo: $(READY) ## Set up and draw figures/demo/fig3.pdf on handwritten digits
	@$(DEMO) -- figures/demo/fig3.pdf
	@echo "figures/demo/fig3.pdf (picture: fig3.png, numbers: fig3.csv)"

demo-paper: $(READY) ## Set up and do the whole paper in small on handwritten digits, with its report
	@$(DEMO) -- all
	@$(DEMO) --report results/demo/report.html -- all
	@echo "results/demo/report.html (everything on one page; a list with links: results/demo/REPORT.md)"

# jobs of one core each, on all cores unless CORES is given
paper-small: CORES := $(if $(filter file,$(origin CORES)),$(shell nproc),$(CORES))
paper-small: $(READY) ## Set up and do the whole paper in small on real images: ten hours of one core, at most 6 GB of downloads
	@$(SMALL) -- all
	@$(SMALL) --report results/small/report.html -- all
	@echo "results/small/report.html (everything on one page; a list with links: results/small/REPORT.md)"

# --- checks ----------------------------------------------------------------------------
test: $(READY) ## Set up and run the tests (under 10 minutes on 2 cores)
	@OMP_NUM_THREADS=1 $(AS_JOBS) $(BIN)/python -m pytest -q -m "not slow" -n $(CORES) --dist loadfile --no-loadscope-reorder

test-slow: $(READY) ## Kill, disk, cluster and whole-demo tests
	@$(AS_JOBS) $(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --no-loadscope-reorder --durations=5

lint: $(READY) ## Format, style, workflow and type checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

format: $(READY) ## Format Python and Snakemake files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

docs: $(READY) ## Write docs/configuration.md, the JSON schemas and the table of costs
	@$(BIN)/python -m nctransfer.config.reference
	@$(BIN)/python -m nctransfer.dag.cost_table

scorecard-calibration: $(READY) ## Simulate how often the scorecard's tests err (about an hour)
	@OMP_NUM_THREADS=1 $(BIN)/python -m nctransfer.dag.calibrate

benchmarks: $(READY) ## Measure speed against the obvious alternatives, as ratios in one table
	@rm -f benchmarks.jsonl; for script in benchmarks/bench_*.py; do echo "== $$script"; \
	  $(AS_JOBS) BENCHMARK_ROWS=benchmarks.jsonl $(BIN)/python $$script || exit 1; done
	@$(BIN)/python benchmarks/summary.py benchmarks.jsonl

lock: $(READY) ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove everything the demo made
	rm -rf results/demo figures/demo tables/demo logs/demo
