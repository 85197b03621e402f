"""Samples as named arrays, and views of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.data.dataset import Dataset
from training.data.sources import (
    of_arrays,
)
from training.errors import UserError


def test_a_view_gathers_what_a_copy_would() -> None:
    data = of_arrays(np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10) % 3, "made up")
    view = data.select(np.array([7, 3, 5])).select(np.array([2, 0]))
    assert view.array("input")[:, 0].tolist() == [10.0, 14.0]
    batch = view.gather(torch.tensor([1]))
    assert batch["input"].tolist() == [[14.0, 15.0]]
    assert batch["target"].tolist() == [1]
    assert [len(part["target"]) for part in data.batches(4)] == [4, 4, 2]
    assert view.sha256 != data.sha256 == data.select(np.arange(10)).sha256


def test_a_dataset_without_a_target_says_so() -> None:
    with pytest.raises(UserError, match="made up has no target to learn: its arrays are input"):
        print(Dataset({"input": np.zeros((2, 1), np.float32)}, {}, "made up").target)
