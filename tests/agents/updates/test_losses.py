"""Losses that algorithms share: the form of PPO's surrogate that runs is the paper's, to the bit."""

from __future__ import annotations

import pytest
import torch

from agents.ppo import surrogate
from agents.updates.losses import clipped_surrogate, mean_kl
from training.metrics import Mean, Sum
from training.seeding import generator


@pytest.mark.parametrize("clip_range", [0.01, 0.2, 0.9])
def test_the_surrogate_that_runs_is_equation_7_in_value_and_gradient(clip_range: float) -> None:
    rng, limit = generator(1, "surrogate"), torch.tensor(clip_range)
    log_ratio, advantage = torch.randn(2, 10_000, generator=rng)
    # Also ratios in range and on its bounds, and advantages of zero.
    log_ratio[::3] *= 0.1
    log_ratio[:5], advantage[:5] = 0.0, torch.tensor([-1.0, 0.0, 1.0, 2.0, -2.0])
    log_ratio[5:9] = torch.tensor([1 - clip_range, 1 + clip_range, 1 - clip_range, 1 + clip_range]).log()
    advantage[9::50] = 0.0
    values, gradients = [], []
    for form in (surrogate, lambda *arguments: clipped_surrogate(*arguments)[0]):
        leaf = log_ratio.clone().requires_grad_()
        value = form(leaf.exp(), advantage, limit)
        values.append(value.detach())
        gradients += torch.autograd.grad(value.sum(), leaf)
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_ratios_out_of_range_are_told_from_those_within() -> None:
    ratio = torch.tensor([0.5, 0.8, 1.0, 1.2, 1.5])
    value, is_clipped = clipped_surrogate(ratio, torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0]), torch.tensor(0.25))
    torch.testing.assert_close(value, torch.tensor([0.5, 0.8, 1.0, 1.2, 1.25]))
    assert is_clipped.tolist() == [True, False, False, False, True]


def test_the_divergence_of_an_epoch_is_the_mean_of_its_steps_and_nothing_where_all_were_skipped() -> None:
    assert mean_kl([{"policy/kl": Mean(0.1, 3)}, {"policy/kl": Mean(0.5, 1)}]) == pytest.approx(0.2)
    assert mean_kl([{"optimizer/skipped_updates": Sum(1.0)}]) == 0.0
