"""EnvPool's environments behind the contract; all but the first test need the extra `envpool`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from agents.libraries.rllib import RLlibPolicyConfig, RLlibRunConfig
from agents.libraries.sb3 import SB3PolicyConfig, SB3RunConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from training.errors import UserError


def test_envpool_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(UserError, match=r'a package is missing .* -e "\.\[envpool\]"'):
        make_vec(EnvConfig("CartPole-v1", backend="envpool"), 2, seed=0)


def test_a_pool_of_envpool_has_the_episodes_of_its_seed_and_marks_its_resets() -> None:
    pytest.importorskip("envpool")
    config = EnvConfig("CartPole-v1", backend="envpool", time_limit=9)
    vecs = [make_vec(config, 3, seed=seed) for seed in (1, 1, 2)]
    first = [vec.reset().obs["obs"] for vec in vecs]
    assert (first[0] == first[1]).all()
    assert (first[0] != first[2]).any()
    rng, ended_before = np.random.default_rng(0), np.zeros(3, np.bool_)
    for _ in range(50):
        action = {"action": rng.integers(0, 2, 3)}
        step, same = vecs[0].step(action), vecs[1].step(action)
        np.testing.assert_array_equal(step.obs["obs"], same.obs["obs"])
        assert step.valid is not None
        assert step.valid.tolist() == (~ended_before).tolist()
        assert (step.truncated == (vecs[0].episode_steps == 9)).all()
        ended_before = step.terminated | step.truncated
    again = make_vec(config, 3, seed=1)
    again.load_state_dict(vecs[0].state_dict())
    assert again.inexact == ["envs 0 to 2 (CartPole-v1): a NEXT_STEP vector env starts again"]
    assert (again.current().obs["obs"] != first[0]).any()
    for vec in (*vecs, again):
        vec.close()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"id": "Pnog-v5"},
            "env.id = 'Pnog-v5': EnvPool has no environment of this name; did you mean Pong-v5",
        ),
        (
            {"id": "CartPole-v1", "kwargs": {"gravity": 1}},
            "env.kwargs = {'gravity': 1}: CartPole-v1 does not take them",
        ),
        (
            {"id": "CartPole-v1", "frame_stack": 2},
            "env.backend = 'envpool': it takes an environment without frame_stack",
        ),
    ],
)
def test_what_envpool_cannot_make_is_said(config: dict[str, Any], told: str) -> None:
    pytest.importorskip("envpool")
    with pytest.raises(UserError) as error:
        make_vec(EnvConfig(**config, backend="envpool"), 2, seed=0)
    assert str(error.value).startswith(told)


def test_what_steps_single_environments_refuses_envpool() -> None:
    config = EnvConfig("CartPole-v1", backend="envpool")
    with pytest.raises(UserError, match=r"env\.backend = 'envpool': it takes a backend that steps single environments"):
        make_env(config)
    for run_config in (
        lambda: RLlibRunConfig(env=config, agent=RLlibPolicyConfig()),
        lambda: SB3RunConfig(env=config, agent=SB3PolicyConfig()),
    ):
        with pytest.raises(UserError, match=r"env\.backend = 'envpool': it takes a backend without reset transitions"):
            run_config()
