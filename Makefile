# Plain `make` prints this help. Everything runs inside .venv, which the first target that needs it makes.
.DEFAULT_GOAL := help
.PHONY: help setup train test test-full lint results bench profile sync cluster cluster-down submit clean

EXPERIMENT ?= ppo_cartpole
NODES ?= 2
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
RUN_PYTHON := .venv/bin/python
INSTALL := $(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Without `envpool` (750 MB) and `bench`: their tests run where these are installed.
EXTRAS := box2d,mujoco,games,robotics,video,plots,tensorboard,offline,data,language,cluster,search,contrib,dev

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.core ## Make .venv and install what training needs

.venv/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed, $(PYTHON) is older: name one with make PYTHON=..." >&2; exit 2; }
	@test -x $(RUN_PYTHON) || { echo "Making .venv ..."; $(PYTHON) -m venv .venv; }
	@echo "Installing what training needs (some minutes the first time) ..."
	@$(INSTALL) --editable .
	@touch $@

.venv/.extras: .venv/.core
	@echo "Installing the extras that the tests use ..."
	@$(INSTALL) --editable ".[$(EXTRAS)]"
	@touch $@

.venv/.bench: .venv/.core
	@echo "Installing the peers of the benchmarks ..."
	@$(INSTALL) --editable ".[mujoco,bench]"
	@touch $@

train: .venv/.core ## Train EXPERIMENT=ppo_cartpole with ARGS="--seed 1 --agent.horizon 64"
	@$(RUN_PYTHON) -m experiments train $(EXPERIMENT) $(ARGS)

lint: .venv/.extras ## Check style and types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy

test: .venv/.extras lint ## Check style and types, and run the tests but the long ones
	@$(RUN_PYTHON) -m pytest -n 2 --dist loadgroup -m "not full"

test-full: .venv/.extras lint ## The same with the long versions: 50 kill points, every algorithm
	@$(RUN_PYTHON) -m pytest -n 2 --dist loadgroup --timeout 3600

results: .venv/.extras ## Write the tables and pictures in the docs anew from docs/results/
	@$(RUN_PYTHON) -m experiments results

bench: .venv/.bench ## Measure the speed beside others: make bench ARGS="half_cheetah --pairs 3"
	@$(RUN_PYTHON) -m benchmarks $(ARGS)

profile: .venv/.core ## Show where the time of EXPERIMENT=ppo_cartpole goes, with ARGS as for train
	@$(RUN_PYTHON) -m benchmarks.costs.profile $(EXPERIMENT) $(ARGS)

sync: .venv/.core ## Send a whole run to Weights & Biases: make sync RUN=runs/ppo_cartpole/...
	@$(RUN_PYTHON) -m experiments sync $(RUN) $(ARGS)

cluster: .venv/.extras ## Start a Ray cluster of NODES=2 on this machine
	@$(RUN_PYTHON) -m training.cluster.ray_local up --nodes $(NODES)

cluster-down: .venv/.core ## End the Ray cluster that `make cluster` started
	@$(RUN_PYTHON) -m training.cluster.ray_local down

submit: .venv/.extras ## Train EXPERIMENT on a Ray cluster: make submit ADDRESS=http://head:8265 ARGS="--storage s3://..."
	@$(RUN_PYTHON) -m experiments submit $(EXPERIMENT) $(if $(ADDRESS),--address $(ADDRESS)) $(ARGS)

clean: ## Remove .venv and the caches; runs/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
