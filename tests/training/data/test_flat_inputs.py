"""The inputs of a sample as one row of numbers."""

from __future__ import annotations

import torch

from training.data.flat_inputs import explained


def test_what_is_explained_is_the_r_squared_of_all_columns() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert explained(x, x) == 1.0
    assert explained(x, x.mean(0).expand(2, 2)) == 0.0
