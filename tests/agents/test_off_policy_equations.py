"""Targets and losses of the off-policy algorithms, each against its equation written out."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor
from torch.distributions import Categorical

from agents.c51 import c51_target, project
from agents.ddpg import DDPG, DDPGConfig
from agents.dqn import dqn_values
from agents.policies.actor import ActorConfig
from agents.qr_dqn import qr_dqn_target
from agents.sac_discrete import discrete_soft_target
from agents.td3_bc import TD3BC, TD3BCConfig
from agents.tqc import truncated_target
from agents.updates.critics import Critics, DiscreteCritics
from agents.updates.deterministic import smoothed_target
from agents.updates.losses import quantile_huber
from agents.updates.q_learning import EpsilonConfig
from agents.updates.soft import soft_target
from agents.updates.targets import copy_weights, follower, frozen_copy
from tests.support.transitions import KINDS, NETWORK, make_actor, make_batch, make_q, spread
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.seeding import generator


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("double", [False, True])
def test_dqn_learns_the_value_of_the_best_next_action(double: bool, masked: bool) -> None:
    policy, target, batch = make_q(seed=1), make_q(seed=2), make_batch(discrete=True)
    if masked:
        batch["next_action_mask"] = torch.tensor([[True, False, True]] * 6)
    value, goal = dqn_values(policy, target, batch, double=double)
    for row in range(6):
        obs, next_obs = batch["obs"][row : row + 1], batch["next_obs"][row : row + 1]
        online, later = policy({"obs": next_obs})[0, :, 0], target({"obs": next_obs})[0, :, 0]
        allowed = [0, 2] if masked else [0, 1, 2]
        chosen_by = (online if double else later).detach()
        best = max(allowed, key=lambda action: float(chosen_by[action]))
        expected = batch["reward"][row] + batch["discount"][row] * later[best]
        torch.testing.assert_close(goal[row], expected)
        torch.testing.assert_close(value[row], policy({"obs": obs})[0, batch["action"][row], 0])
    assert not goal.requires_grad


def test_the_projection_is_algorithm_1_of_the_paper() -> None:
    """Bellemare et al. 2017: each probability goes to the two atoms next to its place, by nearness."""
    rng, support = generator(2), torch.linspace(-3, 5, 9)
    probability = torch.rand(4, 9, generator=rng).softmax(-1)
    returns = (torch.randn(4, 9, generator=rng) * 4).clamp(-3, 5)
    expected = torch.zeros(4, 9)
    for row in range(4):
        for atom in range(9):
            place = float(returns[row, atom] - support[0]) / float(support[1] - support[0])
            low, high = math.floor(place), math.ceil(place)
            if low == high:
                expected[row, low] += probability[row, atom]
            else:
                expected[row, low] += probability[row, atom] * (high - place)
                expected[row, high] += probability[row, atom] * (place - low)
    found = project(returns, probability, support)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(4))
    torch.testing.assert_close((found * support).sum(-1), (probability * returns).sum(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_distributional_targets_are_those_of_the_best_mean(double: bool) -> None:
    for kind in ("categorical", "quantile"):
        policy, target, batch = make_q(KINDS[kind], 1), make_q(KINDS[kind], 2), make_batch(discrete=True)
        chooser = policy if double else target
        best = chooser.values(chooser(batch, "next_")).argmax(-1)
        own = target(batch, "next_")[torch.arange(6), best]
        if kind == "quantile":
            goal = qr_dqn_target(policy, target, batch, double=double)
            expected = batch["reward"][:, None] + batch["discount"][:, None] * own
        else:
            goal = c51_target(policy, target, batch, double=double)
            moved = batch["reward"][:, None] + batch["discount"][:, None] * policy.support
            expected = project(moved.clamp(-3, 5), own.softmax(-1), policy.support)
        torch.testing.assert_close(goal, expected)
        assert not goal.requires_grad


def test_the_quantile_loss_is_equation_10() -> None:
    rng = generator(4)
    quantiles, target = torch.randn(2, 3, generator=rng) * 2, torch.randn(2, 5, generator=rng) * 2
    expected = torch.zeros(2)
    for row in range(2):
        for i in range(3):
            tau = (i + 0.5) / 3
            for j in range(5):
                error = float(target[row, j] - quantiles[row, i])
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                expected[row] += abs(tau - (error < 0)) * huber / 5
    torch.testing.assert_close(quantile_huber(quantiles, target), expected)


DETERMINISTIC = ActorConfig(network=NETWORK, distribution="deterministic")
SGD = OptimizerConfig(kind="sgd", learning_rate=0.1)
BY_SGD: Any = {"critic_network": NETWORK, "actor_optimizer": SGD, "critic_optimizer": SGD}


def critics_then_actor(agent: DDPG | TD3BC, batch: Batch, *, members: int, actor_loss: Any) -> None:
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
    for parameter, gradient in zip(
        module.parameters(), torch.autograd.grad(loss, list(module.parameters())), strict=True
    ):
        parameter.data -= 0.1 * gradient


def test_ddpgs_critic_learns_from_the_target_and_its_actor_climbs_the_critic() -> None:
    agent = DDPG(make_actor(DETERMINISTIC), DDPGConfig(**BY_SGD), until=Budget(9), seed=1, minibatch_size=6)
    batch = make_batch(discrete=False)
    critics_then_actor(agent, batch, members=1, actor_loss=lambda _, value: -value.mean())


def test_td3_bc_weighs_the_value_by_its_mean_size() -> None:
    config = TD3BCConfig(**BY_SGD, policy_delay=1, smoothing_std=0.0, value_weight=2.5)
    agent, batch = TD3BC(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1), make_batch(discrete=False)

    def actor_loss(action: Tensor, value: Tensor) -> Tensor:
        weight = 2.5 / value.abs().mean().detach()
        return (action - batch["action"]).square().mean() - weight * value.mean()

    critics_then_actor(agent, batch, members=2, actor_loss=actor_loss)


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


def test_the_discrete_soft_target_is_an_expectation_over_the_policy() -> None:
    policy, batch = make_actor(space=spaces.Discrete(3)), make_batch(discrete=True)
    critics = spread(DiscreteCritics(policy, NETWORK, generator(6), members=2))
    found = discrete_soft_target(policy, critics, torch.tensor(0.3), batch)
    distribution = Categorical(logits=policy.params(batch, "next_"))
    value = critics({"obs": batch["next_obs"]}).amin(0)
    soft = (distribution.probs * value).sum(-1) + 0.3 * distribution.entropy()
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * soft)


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


def test_tqc_drops_the_largest_of_all_critics_quantiles_together() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2, outputs=4))
    found = truncated_target(policy, critics, torch.tensor(0.3), 6, batch)
    action, log_prob = policy.reparametrized({"obs": batch["next_obs"]}, batch["next_noise"])
    quantiles = critics({"obs": batch["next_obs"]}, action)
    for row in range(6):
        kept = sorted(quantiles[:, row].flatten().tolist())[:6]
        expected = [
            float(batch["reward"][row] + batch["discount"][row] * (q - 0.3 * float(log_prob[row]))) for q in kept
        ]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-5)


def test_targets_follow() -> None:
    online, target = make_q(seed=1), frozen_copy(make_q(seed=2))
    before = [p.clone() for p in target.parameters()]
    follower(target, online, 0.1)()
    for old, new, own in zip(before, target.parameters(), online.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * own)
        assert not new.requires_grad
    online.epsilon.fill_(0.3)
    copy_weights(target, online)
    for key, value in online.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


def test_epsilon_falls_linearly_and_stays() -> None:
    epsilon = EpsilonConfig(initial=1.0, final=0.2, fraction=0.5)
    assert [epsilon.at(spent) for spent in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert EpsilonConfig(initial=1.0, final=0.2, fraction=0.0).at(0.0) == pytest.approx(0.2)
    with pytest.raises(UserError, match="final = 2: it takes a number from 0 to 1"):
        EpsilonConfig(final=2)
