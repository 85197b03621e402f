"""The running mean and variance, and what they do to observations."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.generators import seeded
from training.networks import Normalizer


def test_statistics_have_the_shape_of_the_observation_and_are_saved_with_the_module() -> None:
    values = torch.randn(50, 4, 2, 3, generator=seeded()) * 3 + torch.arange(6.0).reshape(2, 3)
    normalizer, restored = Normalizer(2, 3), Normalizer(2, 3)
    normalizer.update(values)
    features = normalizer(values)
    torch.testing.assert_close(features.mean((0, 1)), torch.zeros(2, 3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(features.std((0, 1), correction=0), torch.ones(2, 3), rtol=0.0, atol=1e-5)
    assert torch.equal(normalizer(values), features)  # only update moves them
    restored.load_state_dict(normalizer.state_dict())
    assert torch.equal(restored(values), features)


def within(actual: Tensor, expected: np.ndarray, scale: np.ndarray, relative: float = 1e-12) -> bool:
    return bool((np.abs(actual.numpy() - expected) <= relative * scale + 1e-300).all())


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    offset=st.floats(-1e3, 1e3),
    spread=st.floats(1.0, 1e2),
    seed=st.integers(0, 1000),
)
def test_parallel_updates_equal_the_statistics_of_all_data(
    sizes: list[int], offset: float, spread: float, seed: int
) -> None:
    batches = [np.random.default_rng((seed, i)).normal(offset, spread, (n, 3)) for i, n in enumerate(sizes)]
    normalizer = Normalizer(3)
    for batch in batches:
        normalizer.update(torch.as_tensor(batch))
    seen = np.concatenate(batches)
    assert normalizer.count.item() == len(seen)
    if len(seen):
        # Rounding of the mean is relative to the largest value, that of the variance to the mean square around it.
        assert within(normalizer.mean, seen.mean(0), np.abs(seen).max(0))
        assert within(normalizer.variance, seen.var(0), seen.var(0) + 1e-3 * np.square(seen).max(0))


def test_statistics_are_stable_baselines3s_from_the_same_start() -> None:
    from stable_baselines3.common.running_mean_std import RunningMeanStd

    theirs, ours, exact = RunningMeanStd(epsilon=1e-4, shape=(4,)), Normalizer(4), Normalizer(4)
    ours.count.fill_(1e-4)  # it starts with a ten-thousandth of a sample of mean 0 and variance 1, we with none
    seen = [np.random.default_rng(i).normal(2.0, 3.0, (n, 4)) for i, n in enumerate((1, 16, 5, 128))]
    for batch in seen:
        theirs.update(batch)
        ours.update(torch.as_tensor(batch))
        exact.update(torch.as_tensor(batch))
    assert within(ours.mean, theirs.mean, np.abs(theirs.mean))
    assert within(ours.variance, theirs.var, theirs.var)
    assert within(exact.mean, theirs.mean, np.abs(theirs.mean), relative=1e-5)
    assert within(exact.mean, np.concatenate(seen).mean(0), np.abs(theirs.mean))


def test_the_normalizer_clips_and_is_the_identity_before_its_first_update() -> None:
    normalizer = Normalizer(2)
    raw = torch.tensor([[1e6, -1e6]])
    assert torch.equal(normalizer(raw), raw)
    normalizer.update(torch.randn(3, 7, 2, generator=seeded()))
    assert normalizer.count.item() == 21
    assert normalizer(raw).tolist() == [[10.0, -10.0]]
    assert normalizer(raw.double()).dtype == torch.float32
    constant = Normalizer(1)
    constant.update(torch.full((5, 1), 3.0))
    assert constant(torch.tensor([3.0])).item() == 0.0
