"""What holds for the whole tree: imports go down, heavy libraries come late, names that others rely on stay."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from agents.libraries.rllib import RLlibRunConfig
from agents.libraries.sb3 import SB3RunConfig
from tests.support import ROOT
from training.experiments import find_experiments, load_experiment

FLOORS = ["training", "reports", "envs", "pretraining", "agents", "finetuning", "commands", "experiments", "benchmarks"]
"""From the ground up: each may import from itself and from below."""
EXPERIMENTS = find_experiments("experiments")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that are imported anywhere in the tree."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_imports_go_down() -> None:
    for path, tree in sources():
        above = FLOORS[FLOORS.index(path.parts[0]) + 1 :]
        assert not imported(tree) & set(above), path
        assert path.parts[0] != "agents" or "pretraining" not in imported(tree), path


def test_algorithms_import_neither_each_other_nor_what_steps_environments() -> None:
    for path in sorted((ROOT / "agents").glob("*.py")) + sorted((ROOT / "agents/updates").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("agents"):
                assert module.startswith(("agents.policies.", "agents.updates.", "agents.acting.reward_scale")), path
            assert not module.startswith(("envs.making", "envs.single", "envs.vectors.making")), path


def test_wandb_ray_minari_and_pickle_stay_where_they_belong() -> None:
    for path, tree in sources():
        libraries = imported(tree)
        assert "wandb" not in libraries or path == Path("training/run/wandb_process.py"), path
        assert not libraries & {"minari", "h5py"} or path == Path("envs/episodes/datasets.py"), path
        assert "ray" not in libraries or "ray" in path.name or path == Path("agents/libraries/rllib.py"), path
        assert not libraries & {"pickle", "cloudpickle", "joblib", "shelve", "marshal", "dill"}, path


@pytest.mark.parametrize(
    "module",
    [
        "experiments.control.ppo_cartpole",
        "experiments.offline.bc_pendulum",
        "experiments.data.digits_clustering",
        "envs.making",
    ],
)
def test_importing_loads_nothing_that_is_not_needed_yet(module: str) -> None:
    heavy = (
        "{'wandb', 'ray', 'minari', 'h5py', 'stable_baselines3', 'matplotlib', 'mujoco', 'Box2D', 'scipy', 'pandas',"
        " 'sklearn', 'pyarrow', 'umap', 'datasets'}"
    )
    torch = "" if module.startswith("experiments") else " | {'torch'}"
    code = f"import sys, {module}; print(sorted(({heavy}{torch}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_has_a_claim_and_the_common_options(name: str) -> None:
    module = load_experiment(name, "experiments")
    assert module.CLAIMS
    assert len((module.__doc__ or "").splitlines()[0]) > 20
    config = module.Config()
    names = {field.name for field in fields(config)}
    assert {"seed", "device", "evaluation", "checkpoint", config.learner} <= names
    if config.learner == "agent":
        assert "env" in names
        # Where another library learns, its algorithm's arguments make the policy.
        assert "policy" in names or isinstance(config, RLlibRunConfig | SB3RunConfig)
        assert {"env_steps", "num_envs"} <= names or {"epochs", "dataset"} <= names
    else:
        assert {"epochs", "steps", "minibatch_size"} <= names
    assert is_dataclass(config.algorithm_config)
    assert config.seed == 1


def test_the_makefile_names_every_target_in_its_help() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    help_text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in phony.split():
        assert re.search(rf"^  make {target} ", help_text, re.MULTILINE), target
