"""A penalty that keeps parameters near where they were."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.errors import require
from training.optimizer.gradient import Loss
from training.state import State


class Anchor:
    """The penalty weight / 2 * sum(importance * (theta - reference)^2) on the parameters that are trained.

    L2-SP (Li et al. 2018, https://arxiv.org/abs/1802.01483, equation 2) with the pretrained weights as `reference`,
    FedProx (Li et al. 2020, https://arxiv.org/abs/1812.06127, equation 2) with the server's, EWC (Kirkpatrick et al.
    2017, https://arxiv.org/abs/1612.00796, equation 3) with those after the last task and their Fisher information as
    `importance`.

    Args:
        parameters: by name; parameters that are not in `reference` are free.
        weight: of the penalty.
        reference: where they are held; None: where they are now.
        importance: of each number; None: 1.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        weight: float,
        *,
        reference: Mapping[str, Tensor] | None = None,
        importance: Mapping[str, Tensor] | None = None,
    ) -> None:
        require(weight >= 0.0, "anchor", weight, "a number of at least 0")
        held = dict(parameters) if reference is None else {key: parameters[key] for key in reference}
        self.weight, self._held = weight, held
        source = held if reference is None else reference
        self.reference = {key: source[key].detach().clone() for key in held}
        self.importance = {
            key: torch.ones_like(value) if importance is None else importance[key].detach().clone()
            for key, value in self.reference.items()
        }

    def penalty(self) -> Tensor:
        """The penalty [] for the parameters as they are."""
        parts = [
            (self.importance[key] * (value - self.reference[key]).square()).sum()
            for key, value in self._held.items()
            if value.requires_grad
        ]
        return self.weight / 2 * torch.stack(parts).sum()

    def added_to(self, loss: Loss) -> Loss:
        """The loss with the penalty added to its objective, sum / count; exact also when it is accumulated."""
        return Loss(loss.sum + self.penalty() * loss.count, loss.count, loss.metrics)

    def state_dict(self) -> State:
        return {"reference": self.reference, "importance": self.importance}

    def load_state_dict(self, state: State) -> None:
        for own, saved in ((self.reference, state["reference"]), (self.importance, state["importance"])):
            for key, value in own.items():
                value.copy_(saved[key])
