"""Numbers that are kept within bounds and find their way back from beyond them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def bounded(values: Tensor, low: float, high: float) -> Tensor:
    """`values` clamped to [low, high], with a gradient that beyond a bound leads back to it.

    A clamp has no gradient there, so that what one step takes across a bound would stay for ever. Here a gradient
    passes where descending along it leads back, and is zero where it would lead on. Within the bounds it is a clamp.
    """
    result: Tensor = _Bounded.apply(values, low, high)  # type: ignore[no-untyped-call]  # torch's
    return result


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.low, ctx.high = low, high
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        leads_on = ((values > ctx.high) & (gradient < 0)) | ((values < ctx.low) & (gradient > 0))
        return gradient.masked_fill(leads_on, 0.0), None, None
