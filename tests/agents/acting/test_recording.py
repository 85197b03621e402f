"""Recording: every row is where it belongs, every episode can be played again, and the command says what it did."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from agents.acting.evaluation import play
from agents.acting.recording import Recorder, record
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.recorded import RandomPolicy, record_random
from training.errors import UserError
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
UNEVEN = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 3}, backend="vector-entry-point")
"""Env n has episodes of 3 + n steps with the rewards 1, 2, 3 ...; a reset transition follows each of them."""
pytestmark = pytest.mark.usefixtures("root")


def test_every_row_is_where_it_belongs() -> None:
    """Ten environments that count: 23 episodes are their episodes 0, their episodes 1 and three episodes 2."""
    episodes, _ = record_random(COUNTING, 23)
    assert episodes.lengths.tolist() == [3] * 10 + [4] * 10 + [5] * 3
    row = step = 0
    for e, length in enumerate(episodes.lengths):
        for t in range(length + 1):
            assert episodes.obs["obs"][row].tolist() == [t, e // 10]
            row += 1
        for t in range(length):
            ends = t == length - 1
            assert episodes.reward[step] == t
            assert episodes.terminated[step] == (ends and e // 10 % 2 == 0)
            assert episodes.truncated[step] == (ends and e // 10 % 2 == 1)
            step += 1
    assert (row, step) == (episodes.steps + 23, episodes.steps)


def test_reset_transitions_are_left_out() -> None:
    episodes, _ = record(RandomPolicy(UNEVEN), UNEVEN, 4, mode="random", seed=1)
    assert episodes.lengths.tolist() == [3, 4, 5, 6]
    assert episodes.reward.tolist() == [reward for length in (3, 4, 5, 6) for reward in range(1, length + 1)]
    assert episodes.obs["obs"][:, 1].tolist() == [t for length in (3, 4, 5, 6) for t in range(length + 1)]


def test_every_episode_can_be_played_again() -> None:
    episodes, seeds = record_random(EnvConfig("Pendulum-v1", backend="in-process"), 12)
    assert len(set(seeds)) == 12
    env = gym.make("Pendulum-v1")
    for e in (0, 9, 10, 11):
        rollout = episodes.rollout(e)
        obs, _ = env.reset(seed=seeds[e])
        for t, action in enumerate(rollout["action"][:, 0].numpy()):
            assert np.array_equal(obs, rollout["obs"][t, 0].numpy())
            obs, reward, _, truncated, _ = env.step(action)
            assert np.float32(reward) == rollout["reward"][t, 0].item()
        assert truncated
        assert np.array_equal(obs, rollout["obs"][-1, 0].numpy())


def test_a_recording_is_what_was_played_and_depends_on_its_seed() -> None:
    env = EnvConfig("Pendulum-v1")
    policy = RandomPolicy(env)
    recorder = Recorder(make_vec(env, 3, seed=5))
    returns, _ = play(recorder, policy, 2, mode="random", rng=generator(5))
    episodes = recorder.episodes(6)
    assert np.allclose(np.sort(episodes.returns), np.sort(returns))
    again = Recorder(make_vec(env, 3, seed=5))
    play(again, policy, 2, mode="random", rng=generator(5))
    assert again.episodes(6).sha256 == episodes.sha256
    assert record_random(env, 2, seed=1)[0].sha256 == record_random(env, 2, seed=1)[0].sha256
    assert record_random(env, 2, seed=1)[0].sha256 != record_random(env, 2, seed=2)[0].sha256


def test_an_environment_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    env = EnvConfig("tests.support.learning_envs:Endless-v0")
    recorder = Recorder(make_vec(env, 2, seed=1))
    play(recorder, RandomPolicy(env), 1, mode="random", rng=generator(1), max_episode_steps=50)
    with pytest.raises(
        UserError, match="1 episodes were to be recorded and 0 ended: give the environment a time_limit"
    ):
        recorder.episodes(1)
