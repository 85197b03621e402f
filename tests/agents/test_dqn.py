"""DQN: its targets, action by action, and its step down the errors."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from agents.dqn import DQN, DQNConfig, dqn_values
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


def test_a_clip_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(UserError, match="error_clip = 0: it takes a number above 0, or None"):
        DQNConfig(error_clip=0)
