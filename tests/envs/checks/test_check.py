"""All questions in order: a sound environment passes, and what is wrong with another is found and said once."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs.checks import check as checking
from envs.checks.check import check
from envs.checks.findings import Finding
from envs.config import EnvConfig
from training.errors import UserError

HERE = "tests.envs.checks.test_check:"


def wait_for_ever() -> None:
    while True:
        with suppress(Exception):
            time.sleep(60)


class Flawed(gym.Env[Any, Any]):
    """Five steps on a line; `flaw` says what is wrong with it."""

    def __init__(self, flaw: str = "none") -> None:
        self.flaw, self.kept = flaw, []
        self.action_space: gym.Space[Any] = spaces.Box(-1, 1, (2,), np.float32)
        if flaw == "lopsided":
            self.action_space = spaces.Box(0, 7, (1,), np.float32)
        dtype: Any = np.float64 if flaw == "float64" else np.float32
        self.observation_space: gym.Space[Any] = spaces.Box(-np.inf, np.inf, (2,), dtype)
        if flaw == "layout":
            self.observation_space = spaces.Box(0, 255, (40, 60, 50), np.uint8)
        if flaw == "text":
            self.observation_space = spaces.Dict({"said": spaces.Text(5), "x": spaces.Discrete(2)})
        if flaw == "stuck when made":
            wait_for_ever()
        if flaw == "constructor":
            raise RuntimeError("no licence")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        if self.flaw == "memory":
            self.kept.append(len(self.kept))
        self.place = self.np_random.normal(size=2) + len(self.kept)
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.flaw == "raises" and self.steps == 3:
            return 1 // 0  # type: ignore[return-value]
        if self.flaw == "stuck" and self.steps == 3:
            wait_for_ever()
        used = action * np.array([1, 0]) if self.flaw == "unused" else action
        self.place = self.place + used
        reward = {"huge": 1e6, "nan": np.nan, "sparse": 0.0}.get(self.flaw, 1.0)
        ends = self.flaw != "endless" and self.steps == 5
        if self.flaw == "random":
            self.place = self.place + np.random.normal()
        return self._observe(), reward, ends and self.flaw == "terminates", ends and self.flaw != "terminates", {}

    def _observe(self) -> Any:
        if self.flaw == "layout":
            return np.zeros((40, 60, 50), np.uint8)
        if self.flaw == "text":
            return {"said": "a", "x": 0}
        if self.flaw == "outside":
            return np.full(3, 0, np.float32)
        scale = 1e5 if self.flaw == "large" else 1
        return (self.place * scale).astype(self.observation_space.dtype)


gym.register("Flawed-v0", Flawed)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many steps, however long they take here."""
    for name, value in (("PLAY_STEPS", 200), ("PLAY_SECONDS", 600.0), ("PART_SECONDS", 600.0)):
        monkeypatch.setattr(checking, name, value)


def found(flaw: str) -> list[Finding]:
    return check(EnvConfig(f"{HERE}Flawed-v0", kwargs={"flaw": flaw}))


def test_nothing_is_wrong_with_a_sound_environment() -> None:
    for config in (EnvConfig(f"{HERE}Flawed-v0"), EnvConfig("CartPole-v1")):
        assert [one for one in check(config) if one.level == "wrong"] == []
    levels = {one.about: one.level for one in check(EnvConfig("CartPole-v1")) if one.about != "speed"}
    assert set(levels) == {"spaces", "actions", "seeds", "resume", "ends", "rewards", "memory", "checkers", "compiling"}
    assert set(levels.values()) == {"ok"}


@pytest.mark.parametrize(
    ("flaw", "level", "about", "says", "change"),
    [
        ("raises", "wrong", "contract", "it raised ZeroDivisionError", "test_check.py:"),
        ("constructor", "wrong", "making", "no licence", "test_check.py:"),
        ("nan", "wrong", "contract", "its reward is nan", ""),
        ("outside", "wrong", "contract", "has shape (3,)", ""),
        ("text", "wrong", "spaces", "it observes 'said', a Text space", "--env.drop said leaves it out"),
        ("random", "wrong", "seeds", "it draws from np.random", "self.np_random"),
        ("memory", "wrong", "resume", "not the same after a resume", "--env.fresh-instance true"),
        ("unused", "advice", "actions", "part [1] of the action changes neither", "leave it out"),
        ("lopsided", "ok", "actions", "in [0, 7]: learned in [-1, 1]", ""),
        ("float64", "advice", "spaces", "is float64", "declare it float32"),
        ("large", "advice", "spaces", "holds values up to", "normalize-observation"),
        ("layout", "advice", "spaces", "neither first nor last", "[height, width"),
        ("endless", "advice", "ends", "and there is no time limit", "--env.time-limit"),
        ("terminates", "advice", "ends", "terminated after 5 steps, as by a limit", "truncated=True"),
        ("huge", "advice", "rewards", "they are large", "--scale-reward"),
        ("sparse", "advice", "rewards", "no reward was other than 0", "explore"),
    ],
)
def test_what_is_wrong_is_found_once_with_what_to_change(
    flaw: str, level: str, about: str, says: str, change: str
) -> None:
    findings = found(flaw)
    (one,) = [one for one in findings if one.about == about and says in one.says]
    assert one.level == level
    assert change in one.change
    wrong = [one for one in findings if one.level == "wrong"]
    assert len(wrong) == (level == "wrong"), wrong


@pytest.mark.parametrize(("flaw", "about"), [("stuck", "contract"), ("stuck when made", "making")])
def test_code_that_does_not_come_back_is_waited_for_so_long(
    flaw: str, about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PLAY_SECONDS", 0.25)
    config = EnvConfig(f"{HERE}Flawed-v0", kwargs={"flaw": flaw}, step_timeout_s=0.5)
    (one,) = check(config)
    assert (one.level, one.about, one.says) == ("wrong", about, "it has not come back after 0.75 s")
    assert "test_check.py:" in one.change


def test_masks_are_counted_and_an_unknown_environment_is_a_mistake() -> None:
    says = [one.says for one in check(EnvConfig("tests.support.toy_envs:Masked-v0")) if one.about == "masks"]
    assert says == ["info['action_mask'] fits the actions and allows 3.0 of them on average"]
    with pytest.raises(UserError, match="no environment is registered"):
        check(EnvConfig("Nowhere-v0"))
