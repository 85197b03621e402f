"""Soft actor-critics: the target with its entropy, the temperature, and the actor's loss."""

from __future__ import annotations

import pytest
import torch

from agents.updates.critics import Critics
from agents.updates.soft import SoftConfig, SoftLearning, Temperature, soft_actor_loss, soft_target
from tests.support.transitions import NETWORK, make_actor, make_batch, spread
from training.core import Budget
from training.errors import UserError
from training.seeding import generator


def test_the_soft_target_counts_the_smaller_value_and_the_entropy() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2))
    found = soft_target(policy, critics, torch.tensor(0.3), batch)
    action, log_prob = policy.reparametrized({"obs": batch["next_obs"]}, batch["next_noise"])
    values = critics({"obs": batch["next_obs"]}, action).squeeze(-1)
    expected = batch["reward"] + batch["discount"] * (torch.minimum(values[0], values[1]) - 0.3 * log_prob)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    assert torch.equal(found[1::2], batch["reward"][1::2]), "where an episode terminated nothing follows"


def test_the_temperature_rises_while_entropy_is_too_small() -> None:
    temperature = Temperature(0.5, target_entropy=-1.0)
    assert float(temperature()) == pytest.approx(0.5)
    for entropy, slope in ((-3.0, -1.0), (1.0, 1.0)):
        (gradient,) = torch.autograd.grad(temperature.loss(torch.tensor([entropy])).sum(), temperature.log)
        assert float(gradient) == pytest.approx(slope)  # of the logarithm: 0.5 * (entropy + 1)


def test_the_actors_loss_is_the_price_of_certainty_minus_the_value_and_the_temperature_learns_apart() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    batch["noise"] = torch.randn(6, 2, generator=generator(4))
    critics, temperature = spread(Critics(policy, NETWORK, generator(6), members=2)), Temperature(0.3, -2.0)
    loss = soft_actor_loss(policy, critics.smallest, temperature, batch)
    action, log_prob = policy.reparametrized(batch, batch["noise"])
    actor_loss = (0.3 * log_prob - critics.smallest({"obs": batch["obs"]}, action)).sum()
    torch.testing.assert_close(loss.sum, actor_loss + 0.3 * (-log_prob + 2.0).sum())
    assert loss.count == 6
    parameters = [*policy.parameters(), temperature.log]
    *of_policy, of_temperature = torch.autograd.grad(loss.sum, parameters)
    torch.testing.assert_close(tuple(of_policy), torch.autograd.grad(actor_loss, list(policy.parameters())))
    torch.testing.assert_close(of_temperature, 0.3 * (-policy.reparametrized(batch, batch["noise"])[1] + 2.0).sum())


def test_the_target_entropy_is_minus_the_dimensions_unless_it_is_given() -> None:
    policy = make_actor()
    for given, taken in ((None, -2.0), (-0.5, -0.5)):
        critics = Critics(policy, NETWORK, generator(6), members=2)
        learning = SoftLearning(policy, critics, SoftConfig(), target_entropy=given, until=Budget(9))
        loss = learning.temperature.loss(torch.tensor([0.0]))
        torch.testing.assert_close(loss.detach(), torch.tensor([-taken]))
    with pytest.raises(UserError, match=r"initial_temperature = 0\.0: it takes a number above 0"):
        SoftConfig(initial_temperature=0.0)
