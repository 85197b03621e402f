"""Transitions, networks far from their beginning, and plain gradient steps to compare updates with."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from training.core import Batch, Counters
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(8, 8), activation="relu")
OBS = spaces.Box(-1, 1, (3,), np.float32)
BOX = spaces.Box(-2, 2, (2,), np.float32)
Q = QNetworkConfig(network=NETWORK)
KINDS = {
    "plain": Q,
    "dueling": replace(Q, dueling=True),
    "noisy": replace(Q, noisy_std=0.5),
    "dueling-noisy": replace(Q, dueling=True, noisy_std=0.5),
    "categorical": replace(Q, distribution="categorical", atoms=7, value_range=(-3.0, 5.0)),
    "quantile": replace(Q, distribution="quantile", atoms=5, normalize_observation=True),
}
DETERMINISTIC = ActorConfig(network=NETWORK, distribution="deterministic")
SGD = OptimizerConfig(kind="sgd", learning_rate=0.1)
BY_SGD: Any = {"critic_network": NETWORK, "actor_optimizer": SGD, "critic_optimizer": SGD}


def make_q(config: QNetworkConfig = Q, seed: int = 1) -> QNetwork:
    policy = QNetwork(OBS, spaces.Discrete(3), config, generator(seed))
    return spread(policy)


def make_actor(config: ActorConfig | None = None, space: Any = BOX) -> Actor:
    config = ActorConfig(network=NETWORK) if config is None else config
    return spread(Actor(OBS, space, config, generator(1)))


def spread(module: Any) -> Any:
    """Away from the small initial outputs, so that differences show."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator(5)))
    return module


def make_batch(*, discrete: bool, size: int = 6) -> Batch:
    rng = generator(3)
    action = torch.randint(3, (size,), generator=rng) if discrete else torch.rand(size, 2, generator=rng) * 2 - 1
    return {
        "obs": torch.randn(size, 3, generator=rng),
        "next_obs": torch.randn(size, 3, generator=rng),
        "action": action,
        "reward": torch.randn(size, generator=rng),
        "discount": torch.tensor([0.9, 0.0] * (size // 2)),
        "next_noise": torch.randn(size, 2, generator=rng),
    }


def critics_then_actor(agent: Any, batch: Batch, *, members: int, actor_loss: Any) -> None:
    """One update by SGD against plain gradients, with targets that differ from what learns."""
    policy, critics = agent.policy, agent.critics
    target_policy, target = copy.deepcopy((policy, critics))
    spread(policy), spread(critics)
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    agent.update(dict(batch), Counters())
    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():
        later = target(next_obs, target_policy.action_of(next_obs)).squeeze(-1).amin(0)
        goal = batch["reward"] + batch["discount"] * later
    values = expected_critics(obs, batch["action"]).squeeze(-1)
    assert len(values) == members
    descend(expected_critics, sum((one - goal).square().mean() for one in values))
    action = expected_policy.action_of(obs)
    descend(expected_policy, actor_loss(action, expected_critics(obs, action)[0].squeeze(-1)))
    for found, expected in ((critics, expected_critics), (policy, expected_policy)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())


def descend(module: torch.nn.Module, loss: Any) -> None:
    """One step of `SGD` down the gradient."""
    for parameter, gradient in zip(
        module.parameters(), torch.autograd.grad(loss, list(module.parameters())), strict=True
    ):
        parameter.data -= 0.1 * gradient


def squashed(policy: Actor, obs: Tensor) -> TransformedDistribution:
    """The distribution of its actions, by torch."""
    params = policy.params({"obs": obs})
    mean, log_std = params.chunk(2, -1)
    log_std = log_std.clamp(-20, 2)
    return TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), [TanhTransform(cache_size=1)])
