"""What holds for the whole tree: imports go down, rooms hold what they say, heavy libraries come late, and nothing is
listed by hand. A test that fails names the file and the rule."""

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
from agents.recipes.presets import has_presets
from benchmarks.structure import ALGORITHMS, algorithms, calls, circles, closure, imports, modules, without_a_test
from tests.support import ROOT
from training.experiments import find_experiments, load_experiment
from training.recipe import MeasureConfig

BELOW = {
    "training": set(),
    "reports": {"training"},
    "envs": {"training"},
    "agents": {"training", "envs"},
    "pretraining": {"training", "envs"},
    "finetuning": {"training", "envs", "agents", "pretraining"},
    "regimes": {"training", "envs", "agents", "pretraining", "finetuning"},
    "serving": {"training", "envs", "agents", "pretraining", "finetuning", "regimes"},
    "commands": {"training", "envs", "agents", "pretraining", "finetuning", "regimes", "reports", "serving"},
    "experiments": {
        *("training", "envs", "agents", "pretraining", "finetuning", "regimes", "reports", "serving", "commands"),
    },
    "benchmarks": {
        *("training", "envs", "agents", "pretraining", "finetuning", "regimes", "reports", "serving", "commands"),
        "experiments",
    },
}
"""What a folder may import besides itself."""
STEPS_ENVIRONMENTS = {"agents.acting", "agents.recipes", "agents.libraries", "envs.making", "envs.single"}
"""Where environments are made and stepped: no algorithm and no update imports these, directly or not."""
EXPERIMENTS = find_experiments("experiments")
BASELINES = {claim.baseline for name in EXPERIMENTS for claim in load_experiment(name, "experiments").CLAIMS}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in BELOW:
        for path in sorted((ROOT / folder).rglob("*.py")):
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
        folder = path.parts[0]
        up = (imported(tree) & set(BELOW)) - BELOW[folder] - {folder}
        assert not up, (
            f"{path} imports {', '.join(up)}: {folder} may import {', '.join(BELOW[folder]) or 'itself alone'}"
        )


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports(ROOT)) == [], "these modules import each other: move what both need below them"


def test_algorithms_import_neither_each_other_nor_what_steps_environments() -> None:
    graph, own = imports(ROOT), algorithms(ROOT)
    assert len(own) > 20
    for name in own:
        others = graph[name] & set(own) - {name}
        assert not others, f"{name} imports the algorithm {others}: what both need belongs into agents/updates/"
    for name in (*own, *(name for name in graph if name.startswith("agents.updates."))):
        stepping = {one for one in closure(graph, name) if one.startswith(tuple(STEPS_ENVIRONMENTS))}
        assert not stepping, f"{name} reaches {stepping}: an algorithm never steps an environment"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("ppo_cartpole", "sac_pendulum") else pytest.mark.full)
        for name in ALGORITHMS
    ],
)
def test_the_way_to_the_loop_and_to_the_gradient_is_short(name: str, tmp_path: Path) -> None:
    way = calls(ROOT, name, ALGORITHMS[name], tmp_path / "run")
    assert len(way["to_fit"]) <= (5 if "env-steps" in ALGORITHMS[name][0] else 6), f"to `fit`: {way['to_fit']}"
    assert len(way["to_gradient"]) == 3, f"from `fit` to the gradient: {way['to_gradient']}"


def test_the_root_of_agents_holds_algorithms_and_nothing_else() -> None:
    own = algorithms(ROOT)
    for file in (ROOT / "agents").glob("*.py"):
        name = f"agents.{file.stem}"
        assert file.name == "__init__.py" or name in own, f"{file} defines no algorithm: it needs a room"


def test_every_module_has_a_test_of_its_name() -> None:
    missing = without_a_test(ROOT)
    assert not missing, (
        f"{missing[0]} has no test: it takes tests/{missing[0].replace('.', '/')} with test_ before its name"
    )


def test_every_folder_says_what_its_files_are() -> None:
    for name, file in modules(ROOT).items():
        if file.name == "__init__.py":
            first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
            assert len(first) > 20, f"{file}: the first line of its docstring says what the files in {name} are"


def test_the_face_of_a_package_only_hands_names_on() -> None:
    for path, tree in sources():
        if path.name == "__init__.py" and path.parts[0] != "commands":
            defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
            assert not defined, f"{path} defines {defined}: what is done belongs into a file with a name"


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
    # The script of an algorithm takes an environment, of which nothing can be claimed before it is known.
    assert module.CLAIMS or name in BASELINES or has_presets(module), "what claims nothing is for another's claim"
    assert len((module.__doc__ or "").splitlines()[0]) > 20
    config = module.Config()
    names = {field.name for field in fields(config)}
    if isinstance(config, MeasureConfig):  # nothing is trained
        assert config.seed == 1
        return
    assert {"seed", "device", "evaluation", "checkpoint", config.algorithm_field} <= names
    if config.algorithm_field == "agent":
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
