"""Regimen from Python: the same runs as by the commands, and objects in the place of names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

import regimen
from tests.support.notebooks import execute, of_cells, printed
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
    assert len(repr(shown)) < 100, "a notebook saves it beside the picture"
    settings = read_settings(run.folder)
    assert (settings["chosen"]["preset"], settings["config"]["agent"]["horizon"]) == ("CartPole-v1", 32)
    other = regimen.train("ppo", env="CartPole-v1", run_dir="second", **{**FEW, "seed": 2})
    (task,) = regimen.compare(run, other).as_json()["tasks"].values()
    assert "512" in str(task)
    assert "2" in str(regimen.compare(run, other))
    assert repr(run) == (
        "<run of ppo on CartPole-v1, seed 1, status completed, env steps 512 of 512, "
        f"evaluation/return_mean {run.score:.6g}, folder first>"
    )
    assert regimen.resume(run).result == run.result, "it is finished"
    assert regimen.load("first").folder == Path("first")


def test_an_environment_may_be_a_class(workplace: Path) -> None:
    run = regimen.train("ppo", env=Corridor, run_dir="run", **FEW)
    assert run.score is not None
    assert 0 <= run.score <= 10
    assert read_settings(run.folder)["config"]["env"]["id"] == "tests.test_regimen:Corridor"


def test_a_run_says_what_it_is_in_letters_that_no_page_takes_for_its_own(workplace: Path) -> None:
    run = regimen.train("ppo", env="CartPole-v1", run_dir="<b>&", **FEW)
    assert '<th style="text-align: left">status</th><td style="text-align: left">completed</td>' in run._repr_html_()
    assert "&lt;b&gt;&amp;" in run._repr_html_()
    assert "<b>" not in run._repr_html_()
    shutil.rmtree("<b>&")
    assert repr(run) == "<run folder <b>&>", "it is still shown"


def test_an_environment_is_checked(workplace: Path) -> None:
    checked = regimen.check(Corridor)
    assert checked.wrong == []
    assert repr(checked).splitlines()[0] == "ok"
    assert repr(checked).splitlines()[-1].startswith("tests.test_regimen:Corridor: ")


INTERRUPTED = """
import os, pathlib, signal
import gymnasium as gym
import numpy as np
import regimen

class Corridor(gym.Env):
    observation_space = gym.spaces.Box(0.0, 1.0, (1,))
    action_space = gym.spaces.Discrete(2)
    signals = {}  # at which step of all so many interrupts come
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        Corridor.steps += 1
        for _ in range(self.signals.get(Corridor.steps, 0)):
            os.kill(os.getpid(), signal.SIGINT)
        self.at += 1
        return np.full(1, self.at / 10, np.float32), float(action), self.at == 10, False, {}

def train(folder, **signals):
    Corridor.steps, Corridor.signals = 0, {int(step[1:]): count for step, count in signals.items()}
    few = {"agent": {"horizon": 32, "minibatch_size": 64}, "evaluation": {"final_episodes": 2}}
    return regimen.train("ppo", env=Corridor, run_dir=folder, tracker="none", env_steps=2048, **few)
"""


def test_a_kernel_that_is_interrupted_leaves_a_run_that_goes_on_to_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = of_cells(
        INTERRUPTED,
        "whole = train('whole')",
        "train('once', s600=1)",
        "before = regimen.load('once').result\nonce = regimen.resume('once')\n"
        "print(before['status'], before['counters']['env_steps'] < 2048)\n"
        "print(once.result['status'], once.rows == whole.rows)",
        "train('twice', s600=2)",
        "print(regimen.load('twice').result['status'])\nprint(regimen.compare(whole, metric='rollout/return_mean'))",
        "regimen.train('ppo', env='CartPoel-v1')",
    )
    _, _, stopped, resumed, killed, alive, mistake = execute(cells, tmp_path, monkeypatch, allow_errors=True)
    assert stopped[-1].traceback == ["interrupted by SIGINT", 'regimen.resume("once") goes on with it']
    assert "saving; interrupt again to stop at once" in printed(stopped, "stderr")
    assert printed(resumed).splitlines()[-2:] == ["interrupted True", "completed True"]
    assert killed[-1].ename == "KeyboardInterrupt"
    assert printed(alive).startswith("interrupted\n"), "the kernel is the same"
    assert "│ 1     │" in printed(alive), "a comparison is text in a notebook too"
    assert "\x1b" not in printed(alive)
    (line,) = mistake[-1].traceback
    assert line.startswith("error: id = 'CartPoel-v1'")


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
