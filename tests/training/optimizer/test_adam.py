"""Adam and AdamW of one rule, in both forms, against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from training.optimizer.adam import AdamGroup


def parameters() -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in ((3, 2), (2,))]


@pytest.mark.parametrize("written_out", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_both_forms_are_torchs(kind: Any, written_out: bool) -> None:
    ours, theirs = parameters(), parameters()
    options = {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1}
    holder, torchs = kind(ours, **options), kind(theirs, **options)
    group = AdamGroup(holder.param_groups[0], holder, [1, 0])  # their gradients come in another order
    draw = torch.Generator().manual_seed(2)
    for update in range(4):
        holder.param_groups[0]["lr"] = torchs.param_groups[0]["lr"] = 0.05 / (update + 1)
        gradients = [torch.randn(leaf.shape, generator=draw) for leaf in theirs]
        for leaf, gradient in zip(theirs, gradients, strict=True):
            leaf.grad = gradient
        torchs.step()
        with torch.no_grad():
            if written_out:
                group.read_rate()
                group.step_written_out(gradients[::-1], torch.tensor(data=True))
            else:
                group.step(gradients[::-1], None)
        for leaf, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(leaf, other, rtol=1e-5, atol=1e-6)


def test_what_is_skipped_changes_nothing() -> None:
    leaves = parameters()
    holder = torch.optim.Adam(leaves)
    group = AdamGroup(holder.param_groups[0], holder, [0, 1])
    before = [leaf.detach().clone() for leaf in leaves]
    gradients = [torch.full_like(leaf, torch.nan) for leaf in leaves]
    with torch.no_grad():
        group.step(gradients, torch.ones(()))
        group.read_rate()
        group.step_written_out(gradients, torch.tensor(data=False))
    for leaf, kept in zip(leaves, before, strict=True):
        assert torch.equal(leaf, kept)
        assert holder.state[leaf]["step"] == 0
        assert torch.equal(holder.state[leaf]["exp_avg"], torch.zeros_like(leaf))
