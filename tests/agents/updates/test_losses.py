"""Losses that algorithms share: the form of PPO's surrogate that runs is the paper's, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.ppo import PPOConfig, surrogate
from agents.updates.losses import clipped_surrogate, mean_kl, ppo_loss, quantile_huber, spo_surrogate
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
    for form in (surrogate, lambda *given: clipped_surrogate(*given, given[-1])[0]):
        leaf = log_ratio.clone().requires_grad_()
        value = form(leaf.exp(), advantage, limit)
        values.append(value.detach())
        gradients += torch.autograd.grad(value.sum(), leaf)
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_ratios_out_of_range_are_told_from_those_within() -> None:
    ratio = torch.tensor([0.5, 0.8, 1.0, 1.2, 1.5])
    value, is_clipped = clipped_surrogate(ratio, torch.ones(5), torch.tensor(0.25), torch.tensor(0.25))
    torch.testing.assert_close(value, torch.tensor([0.5, 0.8, 1.0, 1.2, 1.25]))
    assert is_clipped.tolist() == [True, False, False, False, True]
    value, is_clipped = clipped_surrogate(ratio, -torch.ones(5), torch.tensor(0.1), torch.tensor(0.4))
    torch.testing.assert_close(value, -torch.tensor([0.9, 0.9, 1.0, 1.2, 1.5]))
    assert is_clipped.tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("advantage", [2.0, -2.0])
def test_the_penalty_of_spo_draws_a_ratio_to_the_end_of_the_range_and_no_further(advantage: float) -> None:
    """Gradient ascent on the ratio itself ends at 1 + range where the advantage is positive, at 1 - range otherwise."""
    ratio, limit = torch.tensor([0.2, 1.0, 3.0], requires_grad=True), torch.tensor(0.25)
    for _ in range(200):
        value, _ = spo_surrogate(ratio, torch.full((3,), advantage), limit)
        (gradient,) = torch.autograd.grad(value.sum(), ratio)
        with torch.no_grad():
            ratio += 0.05 * gradient
    torch.testing.assert_close(ratio.detach(), torch.full((3,), 1.0 + 0.25 * advantage / 2))
    assert spo_surrogate(torch.tensor([0.7, 1.2]), torch.ones(2), limit)[1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("changes", "ratios"), [({"clip_range_above": 0.4}, (1.3, 1.5)), ({"objective": "spo"}, (1.1, 1.3))]
)
def test_the_loss_has_the_surrogate_of_its_config(changes: dict[str, Any], ratios: tuple[float, float]) -> None:
    """A ratio inside of the range and one outside."""
    config, limit = PPOConfig(clip_range=0.2, value_coefficient=0.0, **changes), torch.tensor(0.2)
    batch = {"log_prob": torch.zeros(2), "advantage": torch.ones(2), "return": torch.zeros(2)}
    ratio = torch.tensor(ratios)
    loss = ppo_loss((ratio.log(), torch.zeros(2), torch.zeros(2)), config, limit, batch)
    penalized = ratio - (ratio - 1).square() / 0.4
    expected = -(penalized if "objective" in changes else torch.tensor([1.3, 1.4]))
    torch.testing.assert_close(loss.sum, expected.sum())
    assert float(loss.metrics["policy/clipped_fraction"].value) == 0.5


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
