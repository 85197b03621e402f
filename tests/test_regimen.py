"""Regimen from Python: the same runs as by the commands, and objects in the place of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

import regimen
from training.run.folder import read_settings

FEW: dict[str, Any] = {
    "tracker": "none",
    "threads": 1,
    "env_steps": 512,
    "agent": {"horizon": 32, "minibatch_size": 64},
    "evaluation": {"episodes": 2, "final_episodes": 2, "every": {"count": 256}},
}


class Corridor(gym.Env[NDArray[np.float32], int]):
    """Ten steps, of which each to the right is worth 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(1, self.steps / 10, np.float32), float(action), self.steps == 10, False, {}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_trained_looked_at_and_compared(workplace: Path) -> None:
    run = regimen.train("ppo", env="CartPole-v1", run_dir="first", **FEW)
    assert run.result["status"] == "completed"
    assert run.score == run.result["metrics"]["evaluation/return_mean"]
    assert [row["env_steps"] for row in run.rows][-1] == 512
    assert run.policy.predict(np.zeros(4, np.float32)) in (0, 1)
    assert run.plot("curve.svg") == Path("curve.svg")
    shown = run.plot()
    assert isinstance(shown, regimen.Picture)
    assert shown._repr_svg_() == Path("curve.svg").read_text()
    settings = read_settings(run.folder)
    assert (settings["chosen"]["preset"], settings["config"]["agent"]["horizon"]) == ("CartPole-v1", 32)
    other = regimen.train("ppo", env="CartPole-v1", run_dir="second", **{**FEW, "seed": 2})
    (task,) = regimen.compare(run, other).as_json()["tasks"].values()
    assert "512" in str(task)
    assert "2" in str(regimen.compare(run, other))
    assert regimen.resume(run).result == run.result, "it is finished"
    assert regimen.load("first").folder == Path("first")


def test_an_environment_may_be_a_class(workplace: Path) -> None:
    run = regimen.train("ppo", env=Corridor, run_dir="run", **FEW)
    assert run.score is not None
    assert 0 <= run.score <= 10
    assert read_settings(run.folder)["config"]["env"]["id"] == "tests.test_regimen:Corridor"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"agent": {"horizn": 3}}, "unknown option --agent.horizn: did you mean --agent.horizon?"),
        ({"env_steps": "many"}, "env_steps = 'many'"),
        ({"env": "CartPoel-v1"}, "no environment is registered under this name; did you mean CartPole-v1"),
    ],
)
def test_a_mistake_is_an_error_before_anything_is_written(options: dict[str, Any], told: str, workplace: Path) -> None:
    with pytest.raises(regimen.UserError) as error:
        regimen.train("ppo", **{"env": "CartPole-v1", **options})
    assert told in str(error.value)
    assert list(workplace.iterdir()) == []


def test_what_is_no_run_is_said(workplace: Path) -> None:
    with pytest.raises(regimen.UserError, match="latest is not a run"):
        regimen.load("latest")
