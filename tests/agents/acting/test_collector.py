"""The collector: every row is where it belongs, episodes are counted whole, and its state continues."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from agents.acting.collector import LocalCollector
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.updates.rollout_samples import to_samples
from envs.config import EnvConfig
from tests.support.collectors import make_collector
from training.core import Counters
from training.errors import UserError
from training.metrics import Mean, Sum
from training.seeding import generator


@pytest.mark.parametrize("groups", [1, 2])
def test_every_row_of_a_rollout_is_where_it_belongs(groups: int) -> None:
    """The environment counts, so each observation, reward and end says by itself which step it is."""
    collector = make_collector(EnvConfig("tests.support.learning_envs:CountingEpisodes-v0"), 4, groups)
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    rollouts = Rollouts(collector, policy, horizon=7)
    t, episode = 0, 0
    for _ in range(5):
        batch, _, _ = rollouts.next(Counters())
        final = {
            (int(row[0]), int(row[1])): obs for row, obs in zip(batch["final_index"], batch["final_obs"], strict=True)
        }
        for row in range(7):
            assert batch["obs"][row].tolist() == [[t, episode]] * 4
            assert batch["is_first"][row].tolist() == [t == 0] * 4
            assert batch["reward"][row].tolist() == [t] * 4
            t += 1
            ends = t == 3 + episode % 3
            assert batch["terminated"][row].tolist() == [ends and episode % 2 == 0] * 4
            assert batch["truncated"][row].tolist() == [ends and episode % 2 == 1] * 4
            for n in range(4):
                assert ((row, n) in final) == ends
                assert not ends or final[row, n].tolist() == [t, episode]
            if ends:
                t, episode = 0, episode + 1
        assert batch["obs"][7].tolist() == [[t, episode]] * 4
        flat = to_samples(batch, {"reward": batch["reward"]})
        assert torch.equal(flat["obs"][:, 0], flat["reward"])


@pytest.mark.parametrize("groups", [1, 2])
def test_the_last_observations_of_a_rollout_have_their_masks(groups: int) -> None:
    """The environment observes which action is not allowed."""
    collector = make_collector(EnvConfig("tests.support.toy_envs:Masked-v0"), 4, groups)
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    rollouts = Rollouts(collector, policy, horizon=5)
    ends = []
    for _ in range(4):
        batch, _, _ = rollouts.next(Counters())
        assert batch["final_action_mask"].shape == (len(batch["final_index"]), 4)
        assert torch.equal(batch["final_action_mask"].int().argmin(-1), batch["final_obs"])
        assert torch.equal(batch["action_mask"].int().argmin(-1), batch["obs"])
        ends.append(len(batch["final_obs"]))
    assert ends == [0, 4, 4, 4]


@pytest.mark.parametrize("backend", ["in-process", "batched"])
def test_a_loaded_episode_is_counted_on_where_it_was_saved(backend: Any) -> None:
    env = EnvConfig("CartPole-v1", backend=backend, time_limit=7)
    first, second = make_published(env), make_published(env)
    first.collect(5)
    second.collect(4)  # what the loaded state must replace
    second.load_state_dict(deepcopy(first.state_dict()))
    _, metrics = second.collect(2)
    assert metrics == {
        "rollout/return_mean": Mean(7.0, 2),
        "rollout/length_mean": Mean(7.0, 2),
        "rollout/episodes": Sum(2),
    }
    assert second.inexact == []


def test_a_loaded_episode_that_must_start_again_is_counted_from_its_start() -> None:
    env = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 3})  # no replay gives what it observed
    first, second = make_published(env), make_published(env)
    first.collect(2)
    second.load_state_dict(deepcopy(first.state_dict()))
    _, metrics = second.collect(3)
    assert metrics["rollout/return_mean"] == Mean(1.0 + 2.0 + 3.0, 2)
    assert metrics["rollout/length_mean"] == Mean(3.0, 2)
    assert len(second.inexact) == 2


def test_a_state_of_another_number_of_groups_is_refused() -> None:
    env = EnvConfig("CartPole-v1")
    saved = make_collector(env, 4, groups=2).state_dict()
    with pytest.raises(UserError, match="groups = 1: it takes 2, as in the saved state"):
        make_collector(env, 4, groups=1).load_state_dict(saved)


def make_published(env: EnvConfig) -> LocalCollector:
    collector = make_collector(env, 2)
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    collector.publish(policy, 0)
    return collector
