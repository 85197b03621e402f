# Plain `make` prints this help. Everything runs inside .venv, which the first target that needs it makes.
.DEFAULT_GOAL := help
.PHONY: help setup check train verify sweep list resume watch dashboard evaluate play sample chat diagnose compare plot report record export serve sync submit cluster cluster-down test test-full lint results notebooks docs style types pytest bench profile clean

EXPERIMENT ?= ppo_cartpole
RUN ?= latest
RUNS ?= $(RUN)
NODES ?= 2
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
RUN_PYTHON := .venv/bin/python
INSTALL := $(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Without `envpool` (750 MB) and `bench`: their tests run where these are installed.
EXTRAS := box2d,mujoco,games,multiagent,robotics,video,plots,tensorboard,offline,data,tables,applications,quality,privacy,drift,language,cluster,search,contrib,jit,energy,export,serve,docs,dev

help: ## Print the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

##@ Setting up

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

##@ Experiments: EXPERIMENT=ppo_cartpole, with ARGS for the options of the command

check: .venv/.core ## Ask of an environment what would go wrong in it: make check ENV=CartPole-v1
	@test -n "$(ENV)" || { echo "error: make check takes ENV: make check ENV=CartPole-v1" >&2; exit 2; }
	@$(RUN_PYTHON) -m experiments check $(ENV) $(ARGS)

train: .venv/.core ## Train EXPERIMENT with ARGS="--seed 1 --agent.horizon 64"
	@$(RUN_PYTHON) -m experiments train $(EXPERIMENT) $(ARGS)

verify: .venv/.core ## Train the seeds that the claims of EXPERIMENT are judged on, and judge them
	@$(RUN_PYTHON) -m experiments verify $(EXPERIMENT) $(ARGS)

sweep: .venv/.extras ## Search better values for EXPERIMENT and verify them
	@$(RUN_PYTHON) -m experiments sweep $(EXPERIMENT) $(ARGS)

##@ Runs: RUN=latest, or a path, an experiment (its newest run), the beginning of a run's name

list: .venv/.core ## Show the runs and how each stands; ARGS= shows what there is to run
	@$(RUN_PYTHON) -m experiments list $(if $(filter undefined,$(origin ARGS)),--runs,$(ARGS))

resume: .venv/.core ## Continue RUN; ARGS="--env-steps 1M" begins a child of it
	@$(RUN_PYTHON) -m experiments resume $(RUN) $(ARGS)

watch: .venv/.core ## Watch RUN while it goes on, with its curves and its ETA; q ends it
	@$(RUN_PYTHON) -m experiments watch $(RUN) $(ARGS)

dashboard: .venv/.core ## Show all runs in the browser: ARGS="--port 8321"
	@$(RUN_PYTHON) -m experiments dashboard $(ARGS)

evaluate: .venv/.core ## Measure the policy of RUN with ARGS="--episodes 200"
	@$(RUN_PYTHON) -m experiments evaluate $(RUN) $(ARGS)

play: .venv/.core ## Watch the policy of RUN with ARGS="--render terminal --step"
	@$(RUN_PYTHON) -m experiments play $(RUN) $(ARGS)

sample: .venv/.extras ## Let the language model of RUN write: ARGS="--prompt 'def main('"
	@$(RUN_PYTHON) -m experiments sample $(RUN) $(ARGS)

chat: .venv/.extras ## Talk to the language model of RUN
	@$(RUN_PYTHON) -m experiments chat $(RUN) $(ARGS)

diagnose: .venv/.core ## Say what is wrong with RUN
	@$(RUN_PYTHON) -m experiments diagnose $(RUN) $(ARGS)

compare: .venv/.core ## Compare RUNS="ppo_cartpole a2c_cartpole": runs, experiments and logs of other libraries
	@$(RUN_PYTHON) -m experiments compare $(RUNS) $(ARGS)

plot: .venv/.extras ## Draw the learning curves of RUNS
	@$(RUN_PYTHON) -m experiments plot $(RUNS) $(ARGS)

report: .venv/.extras ## Write one HTML page about RUNS; ARGS="--open" shows it in the browser
	@$(RUN_PYTHON) -m experiments report $(RUNS) $(ARGS)

record: .venv/.extras ## Record episodes of RUN with ARGS="--dataset robots/walk-v0"
	@$(RUN_PYTHON) -m experiments record $(RUN) $(ARGS)

export: .venv/.extras ## Write the model of RUN for other programs with ARGS="--format onnx"
	@$(RUN_PYTHON) -m experiments export $(RUN) $(ARGS)

serve: .venv/.extras ## Serve the model of RUN over HTTP on this machine with ARGS="--port 8123"
	@$(RUN_PYTHON) -m experiments serve $(RUN) $(ARGS)

sync: .venv/.core ## Send the whole of RUN to Weights & Biases
	@$(RUN_PYTHON) -m experiments sync $(RUN) $(ARGS)

##@ The project itself

lint: style types ## Check style and types

style: .venv/.extras ## Check style
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .

types: .venv/.extras ## Check types
	@.venv/bin/mypy

test: style ## Check style and types, and run the tests but the long ones
	@$(MAKE) --no-print-directory --jobs=2 types pytest PYTEST_ARGS='-m "not full"'

test-full: style ## The same with the long versions: 50 kill points, every algorithm
	@$(MAKE) --no-print-directory --jobs=2 types pytest PYTEST_ARGS='--timeout 3600'

# Types are checked beside the tests, on a core that these leave idle at times.
pytest: .venv/.extras ## Run the tests with PYTEST_ARGS
	@$(RUN_PYTHON) -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

results: .venv/.extras ## Write the tables and pictures in the docs anew from docs/results/
	@$(RUN_PYTHON) -m experiments results

notebooks: .venv/.extras ## Run the notebooks in docs/notebooks/ and save what they show
	@$(RUN_PYTHON) -m tests.support.notebooks

docs: .venv/.extras ## Build the documentation as a site in site/, with search
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

bench: .venv/.bench ## Measure the speed beside others: make bench ARGS="half_cheetah --pairs 3"
	@$(RUN_PYTHON) -m benchmarks $(ARGS)

profile: .venv/.core ## Show where the time of EXPERIMENT=ppo_cartpole goes, with ARGS as for train
	@$(RUN_PYTHON) -m benchmarks.costs.profile $(EXPERIMENT) $(ARGS)

clean: ## Remove .venv and the caches; runs/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

##@ Clusters

cluster: .venv/.extras ## Start a Ray cluster of NODES=2 on this machine
	@$(RUN_PYTHON) -m training.cluster.ray_local up --nodes $(NODES)

cluster-down: .venv/.core ## End the Ray cluster that `make cluster` started
	@$(RUN_PYTHON) -m training.cluster.ray_local down

submit: .venv/.extras ## Train EXPERIMENT on a Ray cluster: make submit ADDRESS=http://head:8265 ARGS="--storage s3://..."
	@$(RUN_PYTHON) -m experiments submit $(EXPERIMENT) $(if $(ADDRESS),--address $(ADDRESS)) $(ARGS)
