"""Batches in parts, losses as sums with counts, and clipping."""

from __future__ import annotations

import pytest
import torch

from training.errors import UserError
from training.metrics import Mean
from training.optimizer.gradient import Loss, added, clip, rows_of, split_batch, split_for_learners


def test_a_batch_is_split_as_evenly_as_can_be() -> None:
    batch = {"x": torch.arange(14).view(7, 2), "y": torch.arange(7)}
    parts = split_batch(batch, 3, "micro_batches")
    assert [rows_of(part) for part in parts] == [3, 2, 2]
    for key, value in batch.items():
        assert torch.equal(torch.cat([part[key] for part in parts]), value)
    with pytest.raises(UserError, match="learners = 8: it takes at most the rows of a batch, here 7"):
        split_for_learners(batch, 8)
    with pytest.raises(UserError, match=r"a batch must have one leading size, not \{'x': 7, 'y': 0\}"):
        split_batch({**batch, "y": torch.tensor(1)}, 2, "micro_batches")


def test_losses_of_parts_add_up_with_their_counts_and_weights() -> None:
    parts = [Loss(torch.tensor(3.0), 2, {"error": Mean(1.5, 2)}), Loss(torch.tensor(1.0), 3, {"error": Mean(4.0, 3)})]
    whole = added(parts)
    assert (float(whole.sum), whole.count) == (4.0, 5)
    assert whole.metrics == {"error": Mean(15 / 5, 5)}


@pytest.mark.parametrize("as_tensor", [True, False])
def test_a_gradient_is_clipped_to_the_norm_and_a_small_one_left_alone(as_tensor: bool) -> None:
    for largest, expected in ((2.5, [1.5, 2.0]), (10.0, [3.0, 4.0])):
        values = [torch.tensor([3.0]), torch.tensor([4.0])]
        clip(values, torch.tensor(5.0) if as_tensor else 5.0, largest)
        assert [float(value) for value in values] == pytest.approx(expected, rel=1e-6)
