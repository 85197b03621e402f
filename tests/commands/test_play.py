"""`play`: a policy is watched in words or pictures, and never waits where nobody is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from commands.play import choose_rendering
from envs.config import EnvConfig
from envs.terminal import UPPER_HALF
from experiments.__main__ import main
from training.errors import UserError

pytestmark = pytest.mark.usefixtures("workplace")


def test_episodes_are_played_and_each_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --seed 5 --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 2"
    assert main([*asked.split(), "--env.time-limit", "5", "--evaluation.num-envs", "2"]) == 0
    capsys.readouterr()
    assert main(["play", "here", "--episodes", "2"]) == 0  # no terminal: nothing is drawn
    told = capsys.readouterr()
    assert told.out == "episode 0: return 5, length 5\nepisode 1: return 5, length 5\n"
    assert told.err == "checkpoint: here/checkpoints/0000000002 at 512 env_steps\n"

    done = subprocess.run(  # --step waits for no key where stdin is no terminal
        [sys.executable, "-m", "experiments", "play", "here", "--step", "--render", "terminal"],
        input="", capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert sum(UPPER_HALF in line for line in lines) > 20
    words = [line.split()[0] for line in lines if UPPER_HALF not in line]
    assert words == [*["step", "observation", "action", "probabilities", "value", "reward"] * 5, "episode"]
    assert main(["play", "here", "--checkpoint", "best"]) == 2
    assert capsys.readouterr().err == "error: run here has no best checkpoint yet\n"
    for option in ("--episodes", "--seed"):
        assert main(["play", "here", option, "-1"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {option[2:]} = -1: it takes ")
    assert not Path("here/evaluations.jsonl").exists()


def test_how_it_is_shown_is_chosen_by_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    cartpole, toy = EnvConfig("CartPole-v1"), EnvConfig("tests.support.toy_envs:Counting-v0")
    assert choose_rendering(cartpole, "auto") == ("none", None)
    assert choose_rendering(cartpole, "terminal") == ("terminal", "rgb_array")
    with pytest.raises(UserError, match="render = 'human': it takes 'terminal' or 'none': there is no display"):
        choose_rendering(cartpole, "human")
    with pytest.raises(UserError, match=r"render = 'terminal': it takes 'none': .* renders nothing"):
        choose_rendering(toy, "terminal")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert choose_rendering(cartpole, "auto") == ("terminal", "rgb_array")
    assert choose_rendering(toy, "auto") == ("none", None)
    monkeypatch.setenv("DISPLAY", ":0")
    assert choose_rendering(cartpole, "auto") == ("human", "human")
