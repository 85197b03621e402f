"""The on-policy stream: each rollout is made with the newest policy, and rewards are scaled where that is asked for."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.acting.collector import Group, LocalCollector, make_group
from agents.acting.rollouts import STATISTICS_ENV_STEPS, Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.updates.reward_scale import RewardScale
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.memory import machine_of
from training.core import Batch, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.seeding import generator


@pytest.mark.parametrize(
    "env",
    [
        EnvConfig("tests.support.learning_envs:CountingEpisodes-v0"),
        EnvConfig("tests.support.toy_envs:Counting-v0", backend="vector-entry-point"),
    ],
    ids=["ends and cuts", "reset transitions"],
)
def test_rollouts_are_scaled_by_returns_that_end_with_their_episode(env: EnvConfig) -> None:
    """The same rollouts with and without scaling: every end and every cut begins the sum again."""
    policies, streams = [], []
    for scale in (None, RewardScale(2, gamma=0.9)):
        collector = LocalCollector(lambda index: Group(make_vec(env, 2, seed=3), seed=1, index=index))
        policies.append(
            ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
        )
        streams.append(Rollouts(collector, policies[-1], 12, scale))
    returns, running = [], np.zeros(2)
    for _ in range(2):
        raw, _, raw_metrics = streams[0].next(Counters())
        scaled, _, metrics = streams[1].next(Counters())
        reward, valid = raw["reward"].double().numpy(), raw.get("valid", torch.ones(12, 2) > 0).numpy()
        for t in range(12):
            running = running * 0.9 + reward[t]
            returns += running[valid[t]].tolist()
            running[(raw["terminated"] | raw["truncated"])[t].numpy()] = 0.0
        std = np.sqrt(np.var(returns) + 1e-8)
        np.testing.assert_allclose(scaled["reward"].numpy(), reward / std, rtol=1e-5)
        assert metrics.pop("rollout/discounted_return_std").value == pytest.approx(std)
        assert metrics == raw_metrics, "the episodes' statistics are those of the environment"


def test_an_environment_that_begins_anew_has_no_return_yet() -> None:
    """It was in mid-episode when it was lost; what comes next in its place is another episode."""
    walk = EnvConfig("tests.support.toy_envs:RandomWalk-v0")

    def stream() -> Rollouts:
        collector = LocalCollector(lambda index: make_group(walk, 2, seed=1, index=index))
        policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
        return Rollouts(collector, policy, 4, RewardScale(2, gamma=0.9))

    disturbed, whole = stream(), stream()
    begun = deepcopy(disturbed.state_dict()["collector"])
    batch, _, _ = disturbed.next(Counters())
    assert not (batch["terminated"] | batch["truncated"])[-1].any()
    disturbed.load_state_dict(disturbed.state_dict() | {"collector": begun})
    for rollouts in (disturbed, whole):
        rollouts.next(Counters())
    returns = [rollouts.state_dict()["reward_scale"]["returns"] for rollouts in (disturbed, whole)]
    torch.testing.assert_close(*returns)


def test_a_policy_that_normalizes_has_statistics_before_the_first_rollout_that_is_learned_from() -> None:
    collector = LocalCollector(lambda index: make_group(EnvConfig("CartPole-v1"), 2, seed=1, index=index))
    published: list[int] = []
    publish = collector.publish
    collector.publish = lambda policy, version: (published.append(version), publish(policy, version))[1]  # type: ignore[method-assign]
    config = ActorCriticConfig(normalize_observation=True)
    policy = ActorCritic(collector.observation_space, collector.action_space, config, generator(1))
    rollouts = Rollouts(collector, policy, 16)
    _, now, _ = rollouts.next(Counters())
    normalizer = policy.normalizers["obs"]
    assert float(normalizer.count) == STATISTICS_ENV_STEPS + 24, "whole rollouts of 32 steps"  # type: ignore[arg-type]
    assert (now.env_steps, now.samples) == (STATISTICS_ENV_STEPS + 24 + 32, 32), "each step counts, and is learned once"
    assert published == [-1, 0], "another version, for those who act in other processes"
    _, later, _ = rollouts.next(now.advance(updates=1))
    assert later.env_steps == now.env_steps + 32
    assert float(normalizer.count) == STATISTICS_ENV_STEPS + 24, "from now on they move after an update"  # type: ignore[arg-type]


class Published:
    """A collector that notes which version acts; the last of its four steps begins an episode and is none."""

    inexact = ("a worker was lost",)
    num_envs, num_agents = 2, 1
    observation_space, action_space = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)

    def __init__(self) -> None:
        self.noted: list[tuple[object, int]] = []

    def publish(self, policy: object, version: int) -> None:
        self.noted.append((policy, version))

    def collect(self, horizon: int) -> tuple[Batch, Metrics]:
        valid = torch.ones(horizon, 2, dtype=torch.bool)
        valid[-1] = False
        return {"reward": torch.ones(horizon, 2), "valid": valid}, {}


def test_each_rollout_is_made_by_the_newest_version_and_only_real_steps_are_counted() -> None:
    collector, policy = Published(), SimpleNamespace(lacks_statistics=False)
    rollouts = Rollouts(collector, policy, 4)  # type: ignore[arg-type]
    now = Counters()
    for _ in range(2):
        batch, after, _ = rollouts.next(now)
        assert batch["reward"].shape == (4, 2)
        now = after.advance(updates=3)
    assert collector.noted == [(policy, 0), (policy, 3)]
    assert (now.env_steps, now.samples) == (12, 12)
    assert rollouts.inexact == ("a worker was lost",)


def test_the_memory_of_a_rollout_is_known_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = EnvConfig("tests.support.learning_envs:Walk-v0")
    collector = LocalCollector(lambda index: make_group(env, 3, seed=1, index=index))
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    batch, _, _ = Rollouts(collector, policy, 9).next(Counters())
    taken = sum(value.nbytes for key, value in batch.items() if not key.startswith("final_"))
    machine_of(taken, taken, monkeypatch)
    Rollouts(collector, policy, 9)
    assert capsys.readouterr().err == ""
    machine_of(taken, taken - 1, monkeypatch)
    Rollouts(collector, policy, 9)
    assert capsys.readouterr().err.startswith("warning: agent.horizon = 9 of num_envs = 3: a rollout takes 0.0 MiB")
    machine_of(taken - 1, 0, monkeypatch)
    with pytest.raises(UserError, match=r"agent\.horizon = 9 of num_envs = 3: a rollout takes"):
        Rollouts(collector, policy, 9)
