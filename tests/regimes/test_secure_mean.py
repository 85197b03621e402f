"""The secure mean of a round is the plain mean, whoever drops out, and waits for more than half."""

from __future__ import annotations

import pytest
import torch

from regimes.clients import Answer
from regimes.rounds import WeightedMean, Weighting
from regimes.secure_mean import SecureMean


@pytest.mark.parametrize("weighting", ["samples", "equal"])
def test_it_is_the_weighted_mean_of_those_that_answer(weighting: Weighting) -> None:
    rng = torch.Generator().manual_seed(0)
    answers = {
        client: Answer({"w": torch.randn(3, 2, generator=rng), "b": torch.randn(4, generator=rng)}, 10 * client + 1, {})
        for client in (0, 3, 4)
    }
    plain, _ = WeightedMean(weighting)(answers, [0, 2, 3, 4, 9])
    secure, _ = SecureMean(weighting)(answers, [0, 2, 3, 4, 9])
    assert list(plain) == list(secure)
    for name, value in plain.items():
        torch.testing.assert_close(secure[name], value, atol=1e-6, rtol=0)
    assert SecureMean().fewest(5) == 3
