"""The Decision Transformer: its loss behind the end of an episode and in parts, and that it does what it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.acting.evaluation import play
from agents.decision_transformer import (
    DecisionTransformer,
    DecisionTransformerConfig,
    decision_transformer_loss,
)
from agents.policies.decision_transformer import DecisionTransformerPolicy
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.decision_transformers import COUNTING, SMALL, make_policy, windows
from tests.support.recorded import record_random
from training.core import Budget, Counters
from training.optimizer import OptimizerConfig, Schedule
from training.seeding import generator

ELSEWHERE = (
    "it learns from sequences, and what it reaches for is asked: what the suites ask of the others is asked here"
)
RESUMED = {  # sequences; a policy with a memory
    "decision_transformer_pendulum": ["--epochs", "2", "--policy.context", "3", "--policy.transformer.width", "16"],
}


def test_in_parts_of_unequal_length_it_measures_the_same() -> None:
    """Sequences that end with their episode have fewer actions than the others."""
    episodes, _ = record_random(COUNTING, 30)
    batch, _, _ = windows(episodes, 8).next(Counters())
    batch = {key: value[batch["valid"].sum(1).argsort()] for key, value in batch.items()}
    assert batch["valid"][:4].sum() < batch["valid"][4:].sum()
    measured = []
    for parts in (1, 2):
        config = DecisionTransformerConfig(optimizer=OptimizerConfig(micro_batches=parts))
        agent = DecisionTransformer(make_policy(COUNTING), config, until=Budget(10, "updates"))
        metrics, _ = agent.update(batch, Counters())
        measured.append({key: float(metric.value) for key, metric in metrics.items()})
    assert measured[0] == pytest.approx(measured[1], rel=1e-5)


def test_what_is_behind_the_end_of_an_episode_does_not_matter() -> None:
    episodes, _ = record_random(COUNTING, 3)
    policy = make_policy(COUNTING)
    batch, _, _ = windows(episodes, 9).next(Counters())
    loss = decision_transformer_loss(policy, batch)
    assert loss.count == 9 + 6 + 3
    expected = sum(
        -policy.log_prob({key: value[i : i + 1, : int(own.sum())] for key, value in batch.items()}).sum()
        for i, own in enumerate(batch["valid"])
    )
    torch.testing.assert_close(loss.sum, expected)
    changed = {**batch, "obs": torch.where(batch["valid"].unsqueeze(-1), batch["obs"], torch.tensor(50.0))}
    torch.testing.assert_close(decision_transformer_loss(policy, changed).sum, loss.sum)


class Generous(gym.Env[Any, Any]):
    """Ten steps, each of which pays its action."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(0, 2, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), float(action[0]), False, False, {}


gym.register("Generous-v0", Generous, max_episode_steps=10)
GENEROUS = EnvConfig("tests.agents.test_decision_transformer:Generous-v0")


def test_it_gets_the_return_that_it_is_asked_for() -> None:
    """Data of who pays the same all the time, from nothing to 2 a step: asked for 4 or 16, it gets about that."""
    recorded, _ = record_random(GENEROUS, 60)
    each = np.repeat(np.linspace(0, 2, 60), 10).astype(np.float32)
    episodes = replace(recorded, action={"action": each[:, None]}, reward=each.astype(np.float64))
    config = replace(SMALL, normalize_observation=False)
    policy = DecisionTransformerPolicy(
        recorded.observation_space, recorded.action_space, config, generator(1, "weights")
    )
    optimizer = OptimizerConfig(kind="adamw", learning_rate=1e-2, max_grad_norm=1.0, schedule=Schedule("linear"))
    until, now = Budget(30, "epochs"), Counters()
    agent = DecisionTransformer(policy, DecisionTransformerConfig(optimizer=optimizer), until=until)
    stream = windows(replace(episodes, action=policy.learned_action(episodes.action)), 64)
    while not until.reached(now):
        batch, after, _ = stream.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    for asked in (4.0, 16.0):
        saved = agent.state_dict()
        saved["policy"]["config"]["target_return"] = asked
        returns, _ = play(make_vec(GENEROUS, 2, seed=1), policy_of(saved), 1, mode="greedy", rng=generator(0))
        assert returns == pytest.approx(asked, abs=2.0)
