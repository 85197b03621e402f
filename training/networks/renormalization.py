"""Batch renormalization: each feature scaled by the statistics of its batch, corrected towards the running ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM, EPS = 0.01, 1e-3
WARM_UP_STEPS = 100_000
"""Before the correction."""
MOST_RATIO, MOST_SHIFT = 3.0, 5.0
"""Of the correction: r_max and d_max."""


class BatchRenorm(nn.Module):
    """Renormalizes [..., B, features] over B (Ioffe 2017, https://arxiv.org/abs/1702.03275, algorithms 1 and 2).

    Where it `learns` it uses the statistics of the batch and moves the running ones, elsewhere these alone. Momentum,
    epsilon, bounds and warm-up are those of CrossQ's code. `leading` is the shape before B, each entry of which has
    statistics of its own.
    """

    mean: Tensor
    variance: Tensor
    steps: Tensor

    def __init__(self, features: int, leading: tuple[int, ...] = ()) -> None:
        super().__init__()
        shape = (*leading, 1, features) if leading else (features,)
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, values: Tensor, *, learns: bool = False) -> Tensor:
        if not learns:
            scale, shift = self.affine()
            return values * scale + shift
        mean = values.mean(-2, keepdim=True)
        variance = (values - mean).square().mean(-2, keepdim=True)
        deviation = (variance + EPS).sqrt()
        with torch.no_grad():
            batch_mean, batch_variance = mean.reshape(self.mean.shape), variance.reshape(self.variance.shape)
            running = (self.variance + EPS).sqrt()
            corrects = self.steps >= WARM_UP_STEPS
            ratio = (deviation.reshape(running.shape) / running).clamp(1 / MOST_RATIO, MOST_RATIO)
            offset = ((batch_mean - self.mean) / running).clamp(-MOST_SHIFT, MOST_SHIFT)
            ratio, offset = torch.where(corrects, ratio, 1.0), torch.where(corrects, offset, 0.0)
            self.mean.lerp_(batch_mean, MOMENTUM)
            self.variance.lerp_(batch_variance, MOMENTUM)
            self.steps.add_(1)
        return ((values - mean) / deviation * ratio + offset) * self.weight + self.bias

    def affine(self) -> tuple[Tensor, Tensor]:
        """The factor and the summand of every feature, by the running statistics."""
        scale = self.weight / (self.variance + EPS).sqrt()
        return scale, self.bias - self.mean * scale
