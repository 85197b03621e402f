"""ReBRAC: one update against plain gradients, where no action follows, and what the config refuses."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from agents.rebrac import ReBRAC, ReBRACConfig
from tests.support.cases import OfflineCase
from tests.support.offline import ACTOR, SHARED
from tests.support.transitions import BY_SGD, DETERMINISTIC, descend, make_actor, make_batch, spread
from training.core import Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig

CASES = {
    "rebrac": OfflineCase(
        algorithm=ReBRAC,
        config=ReBRACConfig(actor_penalty=0.1, critic_penalty=0.01, **SHARED),
        policy=replace(ACTOR, distribution="deterministic"),
    )
}
RESUMED = {"rebrac_half_cheetah": ["--epochs", "4", "--agent.minibatch-size", "48", "--env.id", "Pendulum-v1"]}


def test_actor_and_critics_pay_for_their_distance_from_the_data() -> None:
    """Equations 4 and 5 of the paper, with its normalized value."""
    config = ReBRACConfig(
        **BY_SGD | {"critic_network": NetworkConfig(hidden=(8, 8), layer_norm=True)},
        policy_delay=1,
        smoothing_std=0.3,
        smoothing_clip=0.2,
        actor_penalty=0.7,
        critic_penalty=0.4,
    )
    agent, batch = ReBRAC(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1), make_batch(discrete=False)
    batch["next_action"] = torch.tensor([[0.3, -0.8]] * 6)
    batch["next_acted"] = torch.tensor([True, False, False, False, True, True])  # the third was cut off there
    policy, critics = agent.policy, agent.critics
    target_policy, target = copy.deepcopy((policy, critics))
    spread(policy), spread(critics)
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    noise = torch.randn(6, 2, generator=copy.deepcopy(agent.parts["rng"]))
    agent.update(dict(batch), Counters())

    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():
        action = (target_policy.action_of(next_obs) + (0.3 * noise).clip(-0.2, 0.2)).clip(-1, 1)
        penalty = 0.4 * (action - batch["next_action"]).square().sum(1)
        penalty[~batch["next_acted"]] = 0
        goal = batch["reward"] + batch["discount"] * (target(next_obs, action).squeeze(-1).amin(0) - penalty)
    values = expected_critics(obs, batch["action"]).squeeze(-1)
    descend(expected_critics, sum((one - goal).square().mean() for one in values))
    action = expected_policy.action_of(obs)
    value = expected_critics(obs, action).squeeze(-1).amin(0)
    distance = (action - batch["action"]).square().sum(1)
    descend(expected_policy, 0.7 * distance.mean() - value.mean() / value.abs().mean().detach())
    for found, expected in ((critics, expected_critics), (policy, expected_policy)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())


def test_impossible_numbers_are_named() -> None:
    with pytest.raises(UserError, match=r"critic_penalty = -1\.0: it takes a number of at least 0"):
        ReBRACConfig(critic_penalty=-1.0)
    agent = make_actor(DETERMINISTIC)
    in_parts = ReBRACConfig(actor_optimizer=OptimizerConfig(micro_batches=2))
    with pytest.raises(UserError, match=r"micro_batches = 2"):
        ReBRAC(agent, in_parts, until=Budget(9), seed=1)
