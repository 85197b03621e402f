"""How much entropy is worth to soft actor-critics: a number that is learned."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from training.core import require


class Temperature(nn.Module):
    """Rises while the policy's entropy is below `target_entropy` (nats), falls while it is above."""

    def __init__(self, initial: float, target_entropy: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(log(initial)))
        self._target_entropy = target_entropy

    def forward(self) -> Tensor:
        """The temperature [], without its gradient."""
        return self.log.detach().exp()

    def loss(self, entropy: Tensor) -> Tensor:
        """For estimates of the policy's entropy [B]: [B] (Haarnoja et al. 2018, arXiv:1812.05905, equation 18)."""
        return self.log.exp() * (entropy.detach() - self._target_entropy)


def require_positive_temperature(initial: float) -> None:
    """The check of every config that has an initial temperature."""
    require(initial > 0, "initial_temperature", initial, "a number above 0")
