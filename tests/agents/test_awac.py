"""AWAC: one update against plain gradients, and what the config refuses."""

from __future__ import annotations

import copy

import pytest
import torch

from agents.awac import AWAC, AWACConfig
from tests.support.cases import OfflineCase
from tests.support.offline import ACTOR, SHARED
from tests.support.transitions import BY_SGD, descend, make_actor, make_batch, spread, squashed
from training.core import Budget, Counters
from training.errors import UserError

CASES = {"awac": OfflineCase(algorithm=AWAC, config=AWACConfig(inverse_temperature=10.0, **SHARED), policy=ACTOR)}
RESUMED = {"awac_pendulum": ["--epochs", "15", "--agent.minibatch-size", "48"]}


def test_the_policy_imitates_what_is_better_than_its_own_actions() -> None:
    """Equations 5 and 8 of the paper, the advantage by one action of the policy's."""
    agent = AWAC(make_actor(), AWACConfig(inverse_temperature=0.7, **BY_SGD), until=Budget(9), seed=1)
    batch = make_batch(discrete=False)
    policy, critics = agent.policy, agent.critics
    target = copy.deepcopy(critics)
    spread(critics)
    with torch.no_grad():
        policy.last.weight.mul_(0.2)  # so that no deviation is out of its range
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    noise, next_noise = torch.randn(2, 6, 2, generator=copy.deepcopy(agent.parts["rng"]))
    agent.update(dict(batch), Counters())

    def action_of(key: str, noise: torch.Tensor) -> torch.Tensor:
        normal = squashed(expected_policy, batch[key]).base_dist.base_dist
        return (normal.mean + normal.stddev * noise).tanh()

    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():
        later = target(next_obs, action_of("next_obs", next_noise)).squeeze(-1).amin(0)
        goal = batch["reward"] + batch["discount"] * later
    values = expected_critics(obs, batch["action"]).squeeze(-1)
    descend(expected_critics, sum((one - goal).square().mean() for one in values))
    with torch.no_grad():
        own = expected_critics(obs, action_of("obs", noise)).squeeze(-1).amin(0)
        advantage = expected_critics(obs, batch["action"]).squeeze(-1).amin(0) - own
    log_prob = squashed(expected_policy, batch["obs"]).log_prob(batch["action"])
    descend(expected_policy, -((0.7 * advantage).exp().clamp(max=100) * log_prob).mean())
    for found, expected in ((critics, expected_critics), (policy, expected_policy)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())


def test_impossible_numbers_are_named() -> None:
    with pytest.raises(UserError, match=r"inverse_temperature = -1\.0: it takes a number of at least 0"):
        AWACConfig(inverse_temperature=-1.0)
