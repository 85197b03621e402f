"""Random play is bounded, and notes what was seen."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from envs.checks.sample import Sample, fingerprint, play
from envs.config import EnvConfig
from envs.returned import ContractError
from envs.single import make_env
from envs.spaces import leaves

COUNTING = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 4})


def sample_of(config: EnvConfig) -> Sample:
    with closing(make_env(config)) as env:
        return Sample(env.observation_space, env.action_space)


def test_steps_episodes_rewards_and_extremes_are_noted() -> None:
    sample = sample_of(COUNTING)
    play(COUNTING, sample, seed=1, seconds=600, steps=10)
    assert (sample.steps, sample.rewards) == (10, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2])
    assert [(one.length, one.total_reward, one.terminated, one.truncated) for one in sample.ended] == [
        (4, 10, True, False),
        (4, 10, True, False),
    ]
    assert (sample.low[""].tolist(), sample.high[""].tolist()) == ([1, 0], [3, 4])
    assert sample.step_seconds > 0


def test_it_ends_with_the_time() -> None:
    sample = sample_of(COUNTING)
    play(COUNTING, sample, seed=1, seconds=0, steps=10)
    assert sample.steps == 0


def test_an_observation_outside_of_its_space_is_a_broken_contract() -> None:
    faulty = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "shape"})
    with pytest.raises(ContractError):
        play(faulty, sample_of(faulty), seed=1, seconds=600, steps=50)


def test_pictures_that_differ_in_one_place_have_other_fingerprints() -> None:
    config = EnvConfig("tests.support.toy_envs:Pictures-v0")
    parts = leaves(sample_of(config).observation_space)
    picture = np.zeros((36, 40, 3), np.uint8)
    other = picture.copy()
    other[18, 20, 1] = 1
    assert fingerprint(parts, picture) == fingerprint(parts, picture.copy()) != fingerprint(parts, other)
