"""One update as one compiled function: loss, gradient, clipping and Adam, for an Optimizer whose `compile` is on.

The compiler (TorchInductor) needs a C++ compiler; its results are kept on the disk for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.adam import AdamGroup
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
        max_grad_norm: of the whole gradient; None: no clipping.
        autocast: the context of the forward pass.
    """

    def __init__(
        self,
        leaves: Sequence[Tensor],
        max_grad_norm: float | None,
        autocast: AbstractContextManager[Any],
    ) -> None:
        self._leaves = list(leaves)
        self._max_grad_norm, self._autocast = max_grad_norm, autocast
        self.groups: list[AdamGroup] = []
        self._not_blocked = torch.zeros((), device=self._leaves[0].device)
        self._on_gpu = self._leaves[0].device.type == "cuda"
        # The gradient is taken inside of what is compiled.
        torch._dynamo.config.trace_autograd_ops = True
        # On a GPU the whole update is replayed as one CUDA graph.
        self._compiled = torch.compile(
            _of_its_own(self._update), fullgraph=True, mode="reduce-overhead" if self._on_gpu else None
        )

    def __call__(
        self,
        loss_fn: Callable[[Batch], Any],
        batch: Batch,
        rows: Tensor | None,
        prepare: Callable[[Batch], Batch] | None,
        blocked: Tensor | None,
    ) -> Updated:
        """One update as in `Optimizer.step`. With a `blocked` [] above 0 it only measures."""
        for group in self.groups:
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
            clipped = [gradient * scale for gradient in gradients]
            for group in self.groups:
                group.step_written_out(clipped, good)
            values = [torch.as_tensor(metric.value, device=norm.device) for metric in loss.metrics.values()]
            numbers = torch.stack([value.float() for value in (objective, norm, *values)])
        return numbers, norms, {key: metric._replace(value=0.0) for key, metric in loss.metrics.items()}


def _of_its_own(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method with a code object of its own.

    The compiler gives up on code that it had to compile eight times, for whatever objects: a sign of a loss function
    that changes from call to call, but not when there are many optimizers in one process.
    """
    function: Any = method.__func__  # type: ignore[attr-defined]
    copied = FunctionType(function.__code__.replace(), function.__globals__, function.__name__, closure=None)
    return MethodType(copied, method.__self__)  # type: ignore[attr-defined]
