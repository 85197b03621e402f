"""DQN: its targets, action by action, and its step down the errors."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from agents.dqn import DQN, DQNConfig, dqn_values, munchausen_target
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import EXPLORING, RAINBOW, REPLAY, VALUE, Q
from tests.support.transitions import SGD, descend, make_batch, make_q, spread
from training.core import Budget, Counters
from training.errors import UserError

CASES = {
    "dqn": OffPolicyCase(
        algorithm=DQN, config=DQNConfig(**VALUE), policy=Q, replay=REPLAY, continuous=False, tabular=EXPLORING
    ),
    "dqn-all": OffPolicyCase(
        algorithm=DQN,
        config=DQNConfig(double=True, **VALUE),
        policy=replace(Q, dueling=True, noisy_std=0.5),
        replay=RAINBOW,
        continuous=False,
        tabular=EXPLORING,
    ),
    "dqn-munchausen": OffPolicyCase(
        algorithm=DQN,
        config=DQNConfig(munchausen=0.9, munchausen_temperature=0.03, target_tau=0.05, **VALUE),
        policy=Q,
        replay=REPLAY,
        continuous=False,
        tabular=EXPLORING | {"munchausen": 1e-3, "munchausen_temperature": 1e-3},  # next to Q-learning's values
    ),
}
# Many minibatches an update.
RESUMED = {"dqn_cartpole": ["--replay.gradient-steps", "8", "--replay.capacity", "2000"]}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("double", [False, True])
def test_it_learns_the_value_of_the_best_next_action(double: bool, masked: bool) -> None:
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


@pytest.mark.parametrize("error_clip", [0.5, None])
def test_an_update_is_a_plain_step_down_the_errors_clipped_or_not(error_clip: float | None) -> None:
    policy, target, batch = make_q(), make_q(), make_batch(discrete=True)
    config = DQNConfig(error_clip=error_clip, optimizer=SGD)
    agent = DQN(policy, config, until=Budget(100), seed=1, minibatch_size=6)
    expected = copy.deepcopy(spread(policy))
    value, goal = dqn_values(expected, target, batch, double=False)
    error = (value - goal).detach()
    assert error.abs().max() > 0.5
    descend(expected, (value * (error if error_clip is None else error.clamp(-error_clip, error_clip))).mean())
    agent.update(dict(batch), Counters())
    torch.testing.assert_close(dict(policy.named_parameters()), dict(expected.named_parameters()))


@pytest.mark.parametrize("masked", [False, True])
def test_munchausens_target_is_the_papers_sum_over_actions(masked: bool) -> None:
    target, batch = make_q(seed=2), make_batch(discrete=True)
    allowed = torch.ones(6, 3, dtype=torch.bool)
    if masked:
        batch["action_mask"] = batch["next_action_mask"] = allowed
        allowed[:, 1] = batch["action"] == 1
    goal = munchausen_target(target, batch, share=0.9, temperature=0.5)
    for row in range(6):
        actions = allowed[row].nonzero().flatten()
        here = target({"obs": batch["obs"][row : row + 1]})[0, actions, 0].detach().double()
        later = target({"obs": batch["next_obs"][row : row + 1]})[0, actions, 0].detach().double()
        (taken,) = (actions == batch["action"][row]).nonzero()[0]
        bonus = (0.5 * (here / 0.5).log_softmax(0)[taken]).clamp(-1, 0)
        log_prob = (later / 0.5).log_softmax(0)
        soft = (log_prob.exp() * (later - 0.5 * log_prob)).sum()
        expected = batch["reward"][row] + 0.9 * bonus + batch["discount"][row] * soft
        torch.testing.assert_close(goal[row], expected.float())
    least = munchausen_target(target, batch, share=0.9, temperature=1e-4) - munchausen_target(
        target, batch, share=0.0, temperature=1e-4
    )
    assert least.min() >= -0.9 - 1e-6, "a probability near 0 costs no more than -1"
    assert masked or least.min() == pytest.approx(-0.9)


def test_a_target_follows_by_a_fraction_of_the_way() -> None:
    agent = DQN(make_q(), DQNConfig(target_tau=0.25, optimizer=SGD), until=Budget(100), seed=1, minibatch_size=6)
    before = copy.deepcopy(agent.parts["target"].state_dict())
    agent.update(make_batch(discrete=True), Counters())
    for key, value in agent.parts["target"].state_dict().items():
        if value.is_floating_point():
            online = agent.policy.state_dict()[key]
            torch.testing.assert_close(value, before[key] + 0.25 * (online - before[key]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"munchausen": 2.0}, "munchausen = 2.0: it takes a number from 0 to 1"),
        ({"munchausen": 0.9, "double": True}, "munchausen = 0.9: it takes 0 with double"),
        ({"munchausen_temperature": 0.0}, "munchausen_temperature = 0.0: it takes a number above 0"),
        ({"target_tau": 0.0}, "target_tau = 0.0: it takes a number above 0, up to 1, or None"),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        DQNConfig(**wrong)


def test_a_clip_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(UserError, match="error_clip = 0: it takes a number above 0, or None"):
        DQNConfig(error_clip=0)
