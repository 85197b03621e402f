"""Faults of recorded episodes are named, and none is invented in good recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from envs.episodes.quality import examine_episodes
from tests.support.recorded import record_random


@pytest.fixture(scope="module")
def pendulum() -> Episodes:
    return record_random(EnvConfig("Pendulum-v1"), 24)[0]


@pytest.mark.parametrize(
    "name", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0", "LunarLander-v3", "envs.tasks:DigitDial-v0"]
)
def test_none_is_invented_in_good_recordings(name: str) -> None:
    report = examine_episodes(record_random(EnvConfig(name), 24)[0], name)
    assert report.wrong == []
    assert "24 episodes" in report.looked_at


def test_what_is_broken_is_named(pendulum: Episodes) -> None:
    bounds = {"action": np.sign(pendulum.action["action"]) * pendulum.action_space.high}
    assert examine_episodes(replace(pendulum, action=bounds), "it").kinds == {"saturated actions"}
    still = {"action": np.zeros_like(pendulum.action["action"])}
    assert examine_episodes(replace(pendulum, action=still), "it").kinds == {"coverage"}
    reward = np.zeros_like(pendulum.reward)
    assert examine_episodes(replace(pendulum, reward=reward), "it").kinds == {"constant"}
    reward = pendulum.reward.copy()
    reward[5] = np.nan
    assert "missing" in examine_episodes(replace(pendulum, reward=reward), "it").kinds
    limit = examine_episodes(replace(pendulum, terminated=pendulum.truncated), "it")
    assert limit.kinds == {"terminations"}
    assert "looks like a time limit" in limit.wrong[0].says
    ended = pendulum.truncated.copy()
    ended[3], ended[-1] = True, False
    assert len(examine_episodes(replace(pendulum, truncated=ended), "it").wrong) == 2


def test_rewards_that_tell_nothing_are_named() -> None:
    report = examine_episodes(record_random(EnvConfig("envs.tasks:Reach-v0"), 24)[0], "a policy that never arrives")
    assert report.kinds == {"constant"}
