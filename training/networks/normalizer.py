"""Normalizes what a network sees by the running mean and variance of all that it has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalizer(nn.Module):
    """Shifts and scales [..., *shape] by the mean and variance of everything it was updated with, clipped to +-10.

    Before the first update it changes nothing. `epsilon` is added to the variance. Only `update` moves the statistics;
    they are float64 buffers, so that they are saved with the network.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, *shape: int, epsilon: float = 1e-8) -> None:
        super().__init__()
        self._epsilon = epsilon
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Takes in a batch [..., *shape]: the parallel algorithm of Chan, Golub and LeVeque (1979)."""
        rows = values.reshape(-1, *self.mean.shape).double()
        if rows.shape[0] == 0:
            return
        count = self.count + rows.shape[0]
        delta = rows.mean(0) - self.mean
        squares = self.variance * self.count + rows.var(0, correction=0) * rows.shape[0]
        squares += delta.square() * (self.count * rows.shape[0] / count)
        self.mean += delta * (rows.shape[0] / count)
        self.variance.copy_(squares / count)
        self.count.copy_(count)

    def forward(self, values: Tensor) -> Tensor:
        normalized = (values.double() - self.mean) * torch.rsqrt(self.variance + self._epsilon)
        return torch.where(self.count > 0, normalized.clamp(-10.0, 10.0), values).float()
