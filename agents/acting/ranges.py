"""How large the numbers are that an algorithm learns from: what a diagnosis of a run needs to know of its rollouts."""

from __future__ import annotations

from torch import Tensor

from training.core import Batch
from training.metrics import Max, Mean, Metrics

SATURATED = 0.99
"""Actions are learned in [-1, 1]: one that is so far out is taken to be at the bound."""


def range_metrics(rollout: Batch) -> Metrics:
    """Of a rollout [T, N]: its largest reward, and how many entries of actions are at a bound.

    Actions count where they are numbers: choices have no bound.
    """
    metrics: Metrics = {"rollout/reward_abs_max": Max(_abs_max(rollout["reward"]))}
    done = [value for key, value in rollout.items() if _is_action(key) and value.is_floating_point()]
    if entries := sum(map(Tensor.numel, done)):
        saturated = sum(int((action.abs() >= SATURATED).sum()) for action in done)
        metrics["rollout/saturated_fraction"] = Mean(saturated / entries, entries)
    return metrics


def _is_action(key: str) -> bool:
    return key == "action" or key.startswith("action/")


def _abs_max(tensor: Tensor) -> float:
    smallest, largest = tensor.aminmax()
    return max(-float(smallest), float(largest))
