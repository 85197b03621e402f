"""Deterministic actors: smoothed targets, the critics' loss from them, and targets that follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.policies.actor import ActorConfig
from agents.updates.critics import Critics
from agents.updates.deterministic import DeterministicLearning, SmoothedConfig, smoothed_critic_loss, smoothed_target
from tests.support.transitions import DETERMINISTIC, NETWORK, SGD, make_actor, make_batch, spread
from training.core import Budget
from training.errors import UserError
from training.seeding import generator


def test_td3s_target_is_smoothed_by_clipped_noise() -> None:
    config = ActorConfig(network=NETWORK, distribution="deterministic")
    policy, target_policy, batch = make_actor(config), make_actor(config), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2))
    batch["next_noise"][0] = torch.tensor([100.0, -100.0])
    found = smoothed_target(policy, target_policy, critics, batch, std=0.2, clip=0.5)
    noise = (0.2 * batch["next_noise"]).clamp(-0.5, 0.5)
    action = (target_policy.action({"obs": batch["next_obs"]}) + noise).clamp(-1, 1)
    value = critics({"obs": batch["next_obs"]}, action).squeeze(-1).amin(0)
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * value)


def make_learning() -> DeterministicLearning:
    policy = make_actor(DETERMINISTIC)
    critics = Critics(policy, NETWORK, generator(6), members=2)
    config = SmoothedConfig(tau=0.25, actor_optimizer=SGD, critic_optimizer=SGD)
    return DeterministicLearning(policy, critics, config, until=Budget(9))


def test_the_critics_loss_is_the_squared_error_summed_over_them() -> None:
    learning, batch = make_learning(), make_batch(discrete=False)
    spread(learning.critics)
    config = SmoothedConfig(smoothing_std=0.1, smoothing_clip=0.3)
    loss = smoothed_critic_loss(learning, config, batch)
    goal = smoothed_target(learning.policy, learning.target_policy, learning.target, batch, std=0.1, clip=0.3)
    values = learning.critics({"obs": batch["obs"]}, batch["action"])[:, :, 0]
    assert loss.count == 6
    torch.testing.assert_close(loss.sum, ((values[0] - goal) ** 2 + (values[1] - goal) ** 2).sum())


def test_both_targets_follow_by_tau() -> None:
    learning = make_learning()
    pairs = [(learning.target_policy, learning.policy), (learning.target, learning.critics)]
    before = [[value.clone() for value in target.parameters()] for target, _ in pairs]
    for _, online in pairs:
        spread(online)
    learning.targets_follow()
    for (target, online), old in zip(pairs, before, strict=True):
        for value, was, towards in zip(target.parameters(), old, online.parameters(), strict=True):
            torch.testing.assert_close(value, 0.75 * was + 0.25 * towards)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy_delay": 0}, "policy_delay = 0: it takes at least 1"),
        ({"smoothing_std": -0.1}, r"smoothing_std = -0\.1: it takes a number of at least 0"),
        ({"smoothing_clip": -0.1}, r"smoothing_clip = -0\.1: it takes a number of at least 0"),
    ],
)
def test_impossible_numbers_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SmoothedConfig(**changes)
