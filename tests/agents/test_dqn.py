"""DQN: its targets, action by action."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agents.dqn import DQN, DQNConfig, dqn_values
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import EXPLORING, RAINBOW, REPLAY, VALUE, Q
from tests.support.transitions import make_batch, make_q

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
