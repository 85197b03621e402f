"""How large rewards and actions are, as a row of the log says it."""

from __future__ import annotations

import torch

from agents.acting.ranges import range_metrics
from training.core import Batch
from training.metrics import Max, Mean


def test_the_largest_reward_and_the_actions_at_a_bound_are_told() -> None:
    rollout: Batch = {
        "obs": torch.zeros(2, 1, 3),
        "action": torch.tensor([[[0.2, -0.995, 1.7, -0.98]]]),
        "reward": torch.tensor([[-3.0, 2.0]]),
    }
    assert range_metrics(rollout) == {
        "rollout/reward_abs_max": Max(3.0),
        "rollout/saturated_fraction": Mean(0.5, 4),
    }


def test_choices_have_no_bound() -> None:
    rollout: Batch = {
        "action": torch.zeros(1, 1, dtype=torch.int64),
        "reward": torch.zeros(1, 1),
    }
    assert range_metrics(rollout) == {"rollout/reward_abs_max": Max(0.0)}
