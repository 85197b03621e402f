"""Adam and AdamW on the parameters of one rule: as torch's fused kernel, and written out for the compiler.

`torch.optim` holds the moments; its `step` looks everything up anew each time, which takes three times as long as the
kernel for a small network, and cannot be compiled together with a loss. Tests hold both forms against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from training.optimizer.kernel import Moments


class AdamGroup:
    """Some parameters, with their moments (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2).

    Args:
        options: a parameter group of `optimizer`, whose `lr` may change.
        optimizer: torch's Adam or AdamW; its state is made here if it is empty, and updated in place.
        positions: of these parameters among all that are trained.
    """

    def __init__(self, options: Mapping[str, Any], optimizer: torch.optim.Optimizer, positions: Sequence[int]) -> None:
        self._options, self._positions = options, positions
        self._parameters: list[Tensor] = options["params"]
        self._leaves = [leaf.detach() for leaf in self._parameters]  # for the kernel, which knows no gradients
        for leaf in self._parameters:
            if not optimizer.state[leaf]:
                moments = {"exp_avg": torch.zeros_like(leaf), "exp_avg_sq": torch.zeros_like(leaf)}
                optimizer.state[leaf] = {"step": torch.zeros((), device=leaf.device), **moments}
        states = [optimizer.state[leaf] for leaf in self._parameters]
        self._means, self._squares = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        self._step: Tensor = states[0]["step"]
        for state in states:
            state["step"] = self._step  # all are updated together, so that one count is enough
        self._decoupled = isinstance(optimizer, torch.optim.AdamW)
        self._rate = torch.zeros((), dtype=torch.float64, device=self._leaves[0].device)
        self._rate_read: float | None = None

    def step(self, gradients: Sequence[Tensor], skip: Tensor | None) -> None:
        """Updates the parameters; not where `skip` [] is above 0."""
        options = self._options
        self._step.add_(1.0)
        (torch._fused_adamw_ if self._decoupled else torch._fused_adam_)(
            self._leaves,
            [gradients[position] for position in self._positions],
            self._means,
            self._squares,
            [],
            [self._step] * len(self._leaves),
            lr=options["lr"],
            beta1=options["betas"][0],
            beta2=options["betas"][1],
            weight_decay=options["weight_decay"],
            eps=options["eps"],
            amsgrad=False,
            maximize=False,
            found_inf=skip,
        )
        if skip is not None:
            self._step.sub_(skip)

    def moments(self, parameters: Sequence[Tensor], max_grad_norm: float | None) -> Moments:
        """What a kernel goes on with, in the order of its `parameters`, which are those of this group."""
        position = {id(leaf): index for index, leaf in enumerate(self._parameters)}
        order = [position[id(parameter)] for parameter in parameters]
        assert len(order) == len(self._parameters)
        means, squares = ([moments[index] for index in order] for moments in (self._means, self._squares))
        options = self._options
        return Moments(means, squares, int(self._step), options["lr"], options["betas"], options["eps"], max_grad_norm)

    def count(self, steps: int) -> None:
        """Takes in how many steps a kernel has made."""
        self._step.add_(steps)

    def read_rate(self) -> None:
        """For `step_written_out`: another rate must not need another compilation, so that it is a tensor there."""
        if self._options["lr"] != self._rate_read:
            self._rate_read = self._options["lr"]
            self._rate.fill_(self._rate_read)

    def step_written_out(self, gradients: Sequence[Tensor], good: Tensor) -> None:
        """Updates the parameters where `good` [] is True, in operations that the compiler joins with others."""
        beta1, beta2 = self._options["betas"]
        eps, decay = self._options["eps"], self._options["weight_decay"]
        step = self._step.double() + 1
        rate = (self._rate / (1 - _power(beta1, step))).float()
        correction = (1 - _power(beta2, step)).sqrt().float()
        own = [gradients[position] for position in self._positions]
        for leaf, gradient, mean, square in zip(self._parameters, own, self._means, self._squares, strict=True):
            start = leaf
            if decay and self._decoupled:
                start = leaf * (1 - self._rate.float() * decay)
            elif decay:
                gradient = gradient + decay * leaf
            new_mean = mean + (1 - beta1) * (gradient - mean)
            new_square = square * beta2 + (1 - beta2) * gradient * gradient
            new_leaf = start - rate * new_mean / (new_square.sqrt() / correction + eps)
            mean.copy_(torch.where(good, new_mean, mean))
            square.copy_(torch.where(good, new_square, square))
            leaf.copy_(torch.where(good, new_leaf, leaf))
        self._step.add_(good)


def _power(base: float, exponent: Tensor) -> Tensor:
    """As an exponential: that the compiler computes once, but a power anew for every few of the parameters."""
    return (exponent * (math.log(base) if base else -math.inf)).exp()
