"""Losses that algorithms share: the form of PPO's surrogate that runs is the paper's, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.ppo import PPOConfig, surrogate
from agents.updates.losses import clipped_surrogate, mean_kl, ppo_loss, quantile_huber
from training.metrics import Mean, Sum, merge_metrics
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


def test_what_is_measured_is_of_all_samples_however_they_are_divided() -> None:
    """The divergence that ends an update is the same with micro-batches and with several learners."""
    draw = generator(1)
    batch = {key: torch.randn(7, generator=draw) for key in ("log_prob", "advantage", "return")}
    now = [torch.randn(7, generator=draw) for _ in range(3)]

    def measured(rows: slice) -> Any:
        part = {key: value[rows] for key, value in batch.items()}
        log_prob, entropy, value = (tensor[rows] for tensor in now)
        return ppo_loss((log_prob, entropy, value), PPOConfig(), torch.tensor(0.2), part).metrics

    whole, parts = measured(slice(7)), merge_metrics([measured(slice(2)), measured(slice(2, 7))])
    for key, metric in whole.items():
        assert float(parts[key].value) == pytest.approx(float(metric.value), rel=1e-5)


@pytest.mark.parametrize("kappa", [1.0, 2.5])
def test_the_quantile_loss_is_equation_10(kappa: float) -> None:
    rng = generator(4)
    quantiles, target = torch.randn(2, 3, generator=rng) * 2, torch.randn(2, 5, generator=rng) * 2
    expected = torch.zeros(2)
    for row in range(2):
        for i in range(3):
            tau = (i + 0.5) / 3
            for j in range(5):
                error = float(target[row, j] - quantiles[row, i])
                huber = 0.5 * error**2 if abs(error) <= kappa else kappa * (abs(error) - 0.5 * kappa)
                expected[row] += abs(tau - (error < 0)) * huber / kappa / 5
    torch.testing.assert_close(quantile_huber(quantiles, target, kappa), expected)
