"""SAC for discrete actions: its target is an expectation over the policy."""

from __future__ import annotations

from math import log

import pytest
import torch
from gymnasium import spaces
from torch.distributions import Categorical

from agents.sac_discrete import SACDiscrete, SACDiscreteConfig, discrete_soft_target
from agents.updates.critics import DiscreteCritics
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, FAST, REPLAY, SHORT_REPLAY
from tests.support.transitions import NETWORK, SGD, make_actor, make_batch, spread
from training.core import Budget, Counters
from training.optimizer import OptimizerConfig
from training.seeding import generator

CASES = {
    "sac_discrete": OffPolicyCase(
        algorithm=SACDiscrete,
        config=SACDiscreteConfig(tau=0.05, target_entropy_fraction=0.1, **BOTH),
        policy=ACTOR,
        replay=REPLAY,
        continuous=False,
        endless={"initial_temperature": 1e-4, "target_entropy_fraction": 0.0},
        tabular={"initial_temperature": 1e-3, "target_entropy_fraction": 0.0, "critic_optimizer": FAST},
    ),
}
RESUMED = {"sac_discrete_cartpole": SHORT_REPLAY}


def test_the_discrete_soft_target_is_an_expectation_over_the_policy() -> None:
    policy, batch = make_actor(space=spaces.Discrete(3)), make_batch(discrete=True)
    critics = spread(DiscreteCritics(policy, NETWORK, generator(6), members=2))
    found = discrete_soft_target(policy, critics, torch.tensor(0.3), batch)
    distribution = Categorical(logits=policy.params(batch, "next_"))
    value = critics({"obs": batch["next_obs"]}).amin(0)
    soft = (distribution.probs * value).sum(-1) + 0.3 * distribution.entropy()
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * soft)


def test_the_temperature_asks_for_a_part_of_the_entropy_that_the_mask_of_each_sample_leaves() -> None:
    agent, batch = make_agent(actions=3), make_batch(discrete=True)
    allowed = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1]] * 2).bool()
    batch |= {"action": torch.zeros(6, dtype=torch.int64), "action_mask": allowed, "next_action_mask": allowed}
    before = agent.parts["temperature"].log.clone()
    entropy = Categorical(logits=agent.policy.params(batch)).entropy()
    excess = entropy - 0.9 * torch.tensor([0.0, log(2), log(3)] * 2)
    agent.update(batch, Counters())
    # One step of SGD on exp(log temperature) * excess, from a temperature of 1.
    torch.testing.assert_close(agent.parts["temperature"].log, before - 0.1 * excess.mean())


@pytest.mark.parametrize("masked", [False, True])
def test_the_temperature_settles(masked: bool) -> None:
    """Half of ten actions are allowed and the first one pays: the entropy that is asked for can be had."""
    agent, rng = make_agent(actions=10, optimizer=OptimizerConfig(learning_rate=1e-2), size=64), generator(0)
    for _ in range(400):
        masks = torch.rand(2, 64, 10, generator=rng) < 0.5
        masks[..., 0] = True
        action = (masks[0] * torch.rand(64, 10, generator=rng)).argmax(1)
        batch = {
            "obs": torch.randn(64, 3, generator=rng),
            "next_obs": torch.randn(64, 3, generator=rng),
            "action": action,
            "reward": (action == 0).float(),
            "discount": torch.full((64,), 0.5),
        }
        batch |= {"action_mask": masks[0], "next_action_mask": masks[1]} if masked else {}
        measured, _ = agent.update(batch, Counters())
    assert float(measured["policy/temperature"].value) < 3


def make_agent(actions: int, optimizer: OptimizerConfig = SGD, size: int = 6) -> SACDiscrete:
    config = SACDiscreteConfig(
        target_entropy_fraction=0.9, critic_network=NETWORK, actor_optimizer=optimizer, critic_optimizer=optimizer
    )
    policy = make_actor(space=spaces.Discrete(actions))
    return SACDiscrete(policy, config, until=Budget(1_000_000), seed=1, minibatch_size=size)
