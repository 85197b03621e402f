"""What a check says of environments that are stepped by a compiled loop, and of those that could be."""

from __future__ import annotations

import pytest

from envs import jitted
from envs.checks import compiling
from envs.checks.compiling import check_compiling
from envs.checks.sample import Sample
from envs.config import EnvConfig
from envs.single import make_env

DRIFT = "tests.envs.test_jitted:Drift"


def told(config: EnvConfig) -> list[tuple[str, str, str]]:
    with make_env(config) as env:  # type: ignore[attr-defined]
        sample = Sample(env.observation_space, env.action_space)
    sample.steps, sample.step_seconds = 1000, 0.01
    return [(one.level, one.says, one.change) for one in check_compiling(config, sample)]


def test_a_jitted_environment_and_a_batched_one_are_one_loop() -> None:
    pytest.importorskip("numba")
    for env_id in (DRIFT, "CartPole-v1"):
        ((level, says, _),) = told(EnvConfig(env_id))
        assert level == "ok"
        assert says.startswith("64 copies are one loop: ")


def test_of_any_other_environment_nothing_is_said() -> None:
    assert told(EnvConfig("tests.support.toy_envs:RandomWalk-v0")) == []


def test_what_keeps_one_from_it_is_said_with_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    ((level, says, change),) = told(EnvConfig(DRIFT, frame_stack=2))
    assert (level, says) == ("advice", "a JittedEnv that is stepped copy by copy")
    assert "frame_stack" in change
    ((level, says, _),) = told(EnvConfig("tests.envs.test_jitted:Unknown", time_limit=3))
    assert level == "advice"
    assert says.startswith("Numba does not compile its functions: ")
    monkeypatch.setattr(compiling, "has_numba", lambda: False)
    monkeypatch.setattr(jitted, "find_spec", lambda _: None)
    ((level, says, change),) = told(EnvConfig(DRIFT))
    assert (level, says) == ("advice", "a JittedEnv that runs as Python here")
    assert '".[jit]"' in change
