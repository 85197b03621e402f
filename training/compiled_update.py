"""One update as one compiled function: loss, gradient, clipping and Adam, for an Optimizer whose `compile` is on.

torch's own Adam cannot be compiled together with the loss, so it is written out here; a test holds the two against each
other. The compiler (TorchInductor) needs a C++ compiler; its results are kept on the disk for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.core import Batch, select
from training.metrics import Metrics


class Updated(NamedTuple):
    """What one compiled update measured; on a GPU the numbers stay there."""

    loss: float | Tensor
    norms: Tensor  # [parameters] of the gradient of each
    norm: float | Tensor  # of the whole gradient, before clipping
    metrics: Metrics


class CompiledUpdate:
    """One update of the parameters, which stay as they are where the loss or the gradient is not finite.

    Args:
        leaves: the parameters to train.
        optimizers: torch's Adam and AdamW that hold their rates and moments, which are updated in place.
        max_grad_norm: of the whole gradient; None: no clipping.
        autocast: the context of the forward pass.
    """

    def __init__(
        self,
        leaves: Sequence[Tensor],
        optimizers: Sequence[torch.optim.Optimizer],
        max_grad_norm: float | None,
        autocast: AbstractContextManager[Any],
    ) -> None:
        self._leaves, self._optimizers = list(leaves), optimizers
        self._max_grad_norm, self._autocast = max_grad_norm, autocast
        self._groups: list[_Group] = []
        self._not_blocked = torch.zeros((), device=self._leaves[0].device)
        self._on_gpu = self._leaves[0].device.type == "cuda"
        # The gradient is taken inside of what is compiled.
        torch._dynamo.config.trace_autograd_ops = True
        # On a GPU the whole update is replayed as one CUDA graph.
        self._compiled = torch.compile(
            _of_its_own(self._update), fullgraph=True, mode="reduce-overhead" if self._on_gpu else None
        )

    def forget_state(self) -> None:
        """The optimizers hold other moments now."""
        self._groups.clear()

    def __call__(
        self,
        loss_fn: Callable[[Batch], Any],
        batch: Batch,
        rows: Tensor | None,
        prepare: Callable[[Batch], Batch] | None,
        blocked: Tensor | None,
    ) -> Updated:
        """One update as in `Optimizer.step`. With a `blocked` [] above 0 it only measures."""
        if not self._groups:
            position = {id(leaf): index for index, leaf in enumerate(self._leaves)}
            for optimizer in self._optimizers:
                for options in optimizer.param_groups:
                    self._groups.append(_Group(options, optimizer, [position[id(leaf)] for leaf in options["params"]]))
        for group in self._groups:
            group.read_rate()
        blocked = self._not_blocked if blocked is None else blocked
        numbers, norms, metrics = self._compiled(loss_fn, batch, rows, prepare, blocked)
        if self._on_gpu:
            numbers, norms = numbers.clone(), norms.clone()  # a CUDA graph writes the next update into the same memory
            loss, norm, *values = numbers.unbind()
        else:
            loss, norm, *values = numbers.tolist()
        # The metrics came out with their numbers taken out of them.
        kept = {key: metric._replace(value=value) for (key, metric), value in zip(metrics.items(), values, strict=True)}
        return Updated(loss, norms, norm, kept)

    def _update(
        self,
        loss_fn: Callable[[Batch], Any],
        batch: Batch,
        rows: Tensor | None,
        prepare: Callable[[Batch], Batch] | None,
        blocked: Tensor,
    ) -> tuple[Tensor, Tensor, Metrics]:
        """Returns loss, norm and the values of the metrics in one tensor, the norms, and the metrics without values."""
        with self._autocast:
            loss = loss_fn(select(batch, rows, prepare))
        objective = loss.sum / loss.count
        gradients = torch.autograd.grad(objective, self._leaves, allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
            norm = torch.linalg.vector_norm(norms)
            scale = torch.ones_like(norm)
            if self._max_grad_norm is not None:
                scale = (self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
            good = torch.isfinite(objective + norm) & (blocked == 0)
            for group in self._groups:
                group.update([gradients[position] * scale for position in group.positions], good)
            values = [torch.as_tensor(metric.value, device=norm.device) for metric in loss.metrics.values()]
            numbers = torch.stack([value.float() for value in (objective, norm, *values)])
        return numbers, norms, {key: metric._replace(value=0.0) for key, metric in loss.metrics.items()}


class _Group:
    """The parameters of one rule, their moments, and Adam (Kingma and Ba 2015, algorithm 1) on them."""

    def __init__(self, options: Mapping[str, Any], optimizer: torch.optim.Optimizer, positions: list[int]) -> None:
        self._options = options
        self.positions = positions  # of its parameters among all
        self.leaves: list[Tensor] = options["params"]
        for leaf in self.leaves:
            if not optimizer.state[leaf]:
                optimizer.state[leaf] = {
                    "step": torch.zeros((), device=leaf.device),
                    "exp_avg": torch.zeros_like(leaf),
                    "exp_avg_sq": torch.zeros_like(leaf),
                }
        states = [optimizer.state[leaf] for leaf in self.leaves]
        self._steps: list[Tensor] = [state["step"] for state in states]
        self._means = [state["exp_avg"] for state in states]
        self._squares = [state["exp_avg_sq"] for state in states]
        self._rate = torch.zeros((), dtype=torch.float64, device=self.leaves[0].device)
        self._rate_read: float | None = None
        self._decoupled = isinstance(optimizer, torch.optim.AdamW)

    def read_rate(self) -> None:
        """The learning rate is a tensor inside of what is compiled, so that another value compiles nothing again."""
        if self._options["lr"] != self._rate_read:
            self._rate_read = self._options["lr"]
            self._rate.fill_(self._rate_read)

    def update(self, gradients: Sequence[Tensor], good: Tensor) -> None:
        beta1, beta2 = self._options["betas"]
        eps, decay = self._options["eps"], self._options["weight_decay"]
        step = self._steps[0].double() + 1
        rate = (self._rate / (1 - beta1**step)).float()
        correction = (1 - beta2**step).sqrt().float()
        for leaf, gradient, mean, square in zip(self.leaves, gradients, self._means, self._squares, strict=True):
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
        for made in self._steps:
            made.add_(good)


def _of_its_own(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method with a code object of its own.

    The compiler gives up on code that it had to compile eight times, for whatever objects: a sign of a loss function
    that changes from call to call, but not when there are many optimizers in one process.
    """
    function: Any = method.__func__  # type: ignore[attr-defined]
    copied = FunctionType(function.__code__.replace(), function.__globals__, function.__name__, closure=None)
    return MethodType(copied, method.__self__)  # type: ignore[attr-defined]
