"""Sub-environments as one vector: bounds that are only warned about, and what it keeps to restore them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors import sub_env_vector
from envs.vectors.vector import Arrays

FAULTY = "tests.support.toy_envs:Faulty-v0"


def act(*actions: int) -> Arrays:
    return {"action": np.array(actions)}


def test_leaving_the_box_is_only_warned_about_and_once() -> None:
    vec = make_vec(EnvConfig(FAULTY, kwargs={"how": "bounds"}), 2, seed=0)
    vec.reset()
    with pytest.warns(UserWarning, match=r"obs/a of env 1 holds 7\.0, outside its Box"):
        step = vec.step(act(0, 1))
    assert step.obs["obs/a"][1, 1] == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vec.step(act(1, 1))


def test_it_keeps_the_actions_of_the_longest_running_episode_alone() -> None:
    vec = make_vec(EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 3}), 2, seed=0)
    vec.reset()
    lengths = []
    for _ in range(7):
        vec.step(act(0, 1))
        lengths.append(len(vec.state_dict()["actions"]["action"]))
    assert lengths == [1, 2, 0, 1, 2, 0, 1]
    assert vec.state_dict()["actions"]["action"].tolist() == [[0, 1]]


def test_who_saves_an_episode_without_an_end_is_told_once_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sub_env_vector, "LONG_EPISODE_STEPS", 3)
    vec = make_vec(EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 9}), 1, seed=0)
    vec.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vec.state_dict()
        for _ in range(3):
            vec.step(act(0))
    with pytest.warns(UserWarning, match=r"Counting-v0: an episode has had 3 steps and no end\..*env\.time_limit"):
        vec.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vec.state_dict()
    with pytest.warns(UserWarning, match="an episode of 3 steps is played again, to go on with it"):
        vec.load_state_dict(vec.state_dict())
