"""CQL: the conservative penalty written out, and what the config refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.cql import CQL, CQLConfig
from agents.updates.soft import soft_target
from tests.support.cases import OfflineCase
from tests.support.offline import ACTOR, SHARED, Training
from training.core import Counters
from training.errors import UserError
from training.seeding import generator

CASES = {
    "cql": OfflineCase(
        algorithm=CQL, config=CQLConfig(conservative_weight=0.1, sampled_actions=3, **SHARED), policy=ACTOR
    )
}
RESUMED = {"cql_pendulum": ["--epochs", "8", "--agent.minibatch-size", "48"]}


def test_the_conservative_penalty_is_the_soft_maximum_minus_the_datas_value() -> None:
    """Written out: an importance-weighted sum over the uniform, the policy's and the next policy's actions."""
    training = Training(CASES["cql"])
    agent, policy = training.agent, training.policy
    batch, _, _ = training.stream.next(Counters())
    batch = {key: value[:5] for key, value in batch.items()}
    rng = generator(7)
    batch["uniform"] = 2 * torch.rand(5, 3, 1, generator=rng) - 1
    batch["sample_noise"], batch["next_sample_noise"] = torch.randn(2, 5, 3, 1, generator=rng)
    with torch.no_grad():
        found = agent._soft_maximum({"obs": batch["obs"]}, batch)
        for row in range(5):
            terms = []
            for k in range(3):
                drawn = [(batch["uniform"][row, k], torch.tensor(-np.log(2.0)))]
                for prefix in ("", "next_"):
                    one = {f"{prefix}obs": batch[f"{prefix}obs"][row : row + 1]}
                    noise = batch[f"{prefix}sample_noise"][row, k][None]
                    action, log_prob = policy.reparametrized(one, noise, prefix)
                    drawn.append((action[0], log_prob[0]))
                for action, log_prob in drawn:
                    value = agent.critics({"obs": batch["obs"][row : row + 1]}, action[None])[:, 0, 0]
                    terms.append(value - log_prob)
            expected = torch.stack(terms).exp().mean(0).log()
            torch.testing.assert_close(found[:, row], expected, rtol=1e-4, atol=1e-5)


def test_the_weight_of_the_penalty_is_corls() -> None:
    """There it is 10, beside the whole squared error; here half of that counts."""
    training = Training(OfflineCase(algorithm=CQL, config=CQLConfig(sampled_actions=3, **SHARED), policy=ACTOR))
    agent, policy = training.agent, training.policy
    batch, _, _ = training.stream.next(Counters())
    rng, size = generator(7), len(batch["reward"])
    batch["next_noise"] = torch.randn(size, 1, generator=rng)
    batch["uniform"] = 2 * torch.rand(size, 3, 1, generator=rng) - 1
    batch["sample_noise"], batch["next_sample_noise"] = torch.randn(2, size, 3, 1, generator=rng)
    obs = policy.seen(batch)
    loss = agent._critic_loss(batch)
    goal = soft_target(policy, agent.target, torch.zeros(()), batch)
    values = agent.critics(obs, batch["action"].flatten(1)).squeeze(-1)
    penalty = agent._soft_maximum(obs, batch) - values
    corls = (values - goal).square().mean(1).sum() + 10.0 * penalty.mean(1).sum()
    torch.testing.assert_close(2 * loss.sum / loss.count, corls)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampled_actions": 0}, "sampled_actions = 0: it takes at least 1"),
        ({"minibatch_size": 0}, "minibatch_size = 0: it takes at least 1"),
    ],
)
def test_impossible_numbers_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CQLConfig(**changes)
