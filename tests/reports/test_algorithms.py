"""Algorithms and their families are found in the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from reports.algorithms import FOLDERS, find_algorithms
from tests.support import ROOT
from training.errors import UserError

ALGORITHM = '"""It guesses."""\nclass Guess:\n    """Learns nothing."""\n    def update(self, batch, now): ...\n'
EXPERIMENT = """
from agents.guess import Guess
from agents.recipes import on_policy
CLAIMS = ()
def train(config, run):
    on_policy.train(config, run, Guess)
"""


def tree(root: Path, *, experiment: str = EXPERIMENT) -> Path:
    for name, text in (("agents/guess.py", ALGORITHM), ("experiments/control/guess_all.py", experiment)):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    return root


def test_an_algorithm_and_an_experiment_are_all_that_is_needed(tmp_path: Path) -> None:
    (found,) = find_algorithms(tree(tmp_path))
    assert (found.name, found.learns, found.family) == ("Guess", "Learns nothing.", "on_policy")
    assert found.experiments == ("guess_all",)


def test_one_that_nothing_trains_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"agents/guess.py has no family: no recipe of agents.recipes and no experiment trains it"
    ):
        find_algorithms(tree(tmp_path, experiment="CLAIMS = ()"))


def test_every_class_that_updates_is_found() -> None:
    updating = {
        file.relative_to(ROOT)
        for folder in FOLDERS
        for file in (ROOT / folder).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "update" and "batch" in ast.dump(node.args)
    } - {Path("pretraining/recipe.py")}
    assert updating <= {algorithm.source.path for algorithm in find_algorithms(ROOT)}


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("PPO", "on_policy"),
        ("IMPALA", "asynchronous"),
        ("DQN", "off_policy_values"),
        ("SACDiscrete", "off_policy_actor_critics"),
        ("IQL", "offline"),
        ("BC", "offline"),
        ("Bandit", "bandits"),
        ("Supervised", "from_data"),
        ("DANN", "fine_tuning"),
        ("SB3", "libraries"),
    ],
)
def test_its_family_is_how_it_is_trained(name: str, family: str) -> None:
    assert {algorithm.family for algorithm in find_algorithms(ROOT) if algorithm.name == name} == {family}
