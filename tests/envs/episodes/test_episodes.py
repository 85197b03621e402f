"""Episodes know their steps, and are hashed by what they hold."""

from __future__ import annotations

import torch

from envs.config import EnvConfig
from envs.episodes.episodes import Episodes, join
from tests.support.recorded import record_random

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")


def test_episodes_know_their_steps() -> None:
    """The environment counts: it observes (step, episode) and pays the step."""
    episodes, _ = record_random(EnvConfig(COUNTING.id), 3)  # one environment each, of which each plays its episode 0
    episodes = join([episodes, record_random(COUNTING, 31)[0].select([10, 20, 30])])  # of 3 steps, and 4 and 5 and 3
    assert episodes.lengths.tolist() == [3, 3, 3, 4, 5, 3]
    assert episodes.returns.tolist() == [3, 3, 3, 6, 10, 3]
    assert episodes.starts.tolist() == [0, 3, 6, 9, 13, 18]
    samples = episodes.samples()
    assert torch.equal(samples["obs"][:, 0], samples["reward"])
    assert samples["obs"].shape == (21, 2)
    assert samples["truncated"].nonzero().flatten().tolist() == [12, 20]
    assert samples["terminated"].nonzero().flatten().tolist() == [2, 5, 8, 17]

    rollout = episodes.rollout(4)
    assert rollout["obs"][:, 0].tolist() == [[t, 2] for t in range(6)]
    assert rollout["is_first"][:, 0].tolist() == [True] + [False] * 5
    assert rollout["reward"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert rollout["final_index"].tolist() == [[4, 0]]
    assert rollout["final_obs"].tolist() == [[5, 2]]
    assert rollout["terminated"][:, 0].tolist() == [False] * 4 + [True]

    assert episodes.top(0.33).lengths.tolist() == [4, 5]
    assert episodes.top(0.01).returns.tolist() == [10]
    assert episodes.top(1.0).sha256 == episodes.sha256
    assert episodes.select([4, 3]).reward.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_episodes_are_hashed_by_what_they_hold() -> None:
    episodes, _ = record_random(COUNTING, 3)
    other = Episodes(**{**vars(episodes), "reward": episodes.reward + 1})
    assert other.sha256 != episodes.sha256
    assert join([episodes]).sha256 == episodes.sha256
