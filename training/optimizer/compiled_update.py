"""One update as one compiled function: loss, gradient, clipping and Adam, for an Optimizer whose `compile` is on.

The compiler (TorchInductor) needs a C++ compiler; its results are kept on the disk for the next run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.core import Batch
from training.metrics import Metrics
from training.optimizer.adam import AdamGroup

MOST_LOSS_FUNCTIONS = 8
"""An optimizer has one or two; more are new ones in each call, each of which would be compiled."""
STRUCTURE = frozenset(
    (
        *("TYPE_MATCH", "CLASS_MATCH", "MODULE_MATCH", "CLOSURE_MATCH", "BUILTIN_MATCH"),
        *("EMPTY_NN_MODULE_HOOKS_DICT", "NOT_PRESENT_IN_GENERIC_DICT"),
    )
)
"""The compiler's assumptions about modules, hooks and functions, which nothing exchanges between two updates."""


class Updated(NamedTuple):
    """What one compiled update measured; on a GPU the numbers stay there."""

    loss: float | Tensor
    norms: Tensor  # [parameters] of the gradient of each
    norm: float | Tensor  # of the whole gradient, before clipping
    metrics: Metrics


class NotCompilableError(Exception):
    """The compiler does not take a loss, such as that of a network of somebody's own; says why and where."""


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
        self._not_blocked = torch.zeros((), device=self._leaves[0].device)
        self._on_gpu = self._leaves[0].device.type == "cuda"
        self._compiled: dict[tuple[Any, Any], Callable[..., Any]] = {}
        self._has_run = False

    def __call__(
        self,
        groups: Sequence[AdamGroup],
        loss_fn: Callable[[Batch], Any],
        batch: Batch,
        rows: Tensor | None,
        prepare: Callable[[Batch], Batch] | None,
        blocked: Tensor | None,
    ) -> Updated:
        """One update as in `Optimizer.step`. With a `blocked` [] above 0 it only measures.

        Raises NotCompilableError, before anything is computed, where the first update cannot be compiled.
        """
        for group in groups:
            group.read_rate()
        blocked = self._not_blocked if blocked is None else blocked
        compiled = self._compiled_for(loss_fn, prepare)
        try:
            numbers, norms, metrics = compiled(groups, loss_fn, batch, rows, prepare, blocked)
        except torch._dynamo.exc.TorchDynamoException as error:
            if self._has_run:  # a run that goes on would begin compiled again, with other bits
                raise
            raise NotCompilableError(_told(error)) from error
        self._has_run = True
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
        groups: Sequence[AdamGroup],
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
            for group in groups:
                group.step_written_out(clipped, good)
            values = [torch.as_tensor(metric.value, device=norm.device) for metric in loss.metrics.values()]
            numbers = torch.stack([value.float() for value in (objective, norm, *values)])
        return numbers, norms, {key: metric._replace(value=0.0) for key, metric in loss.metrics.items()}

    def _compiled_for(self, loss_fn: Callable[..., Any], prepare: Callable[..., Any] | None) -> Callable[..., Any]:
        """`_update`, compiled for these functions."""
        compiled = self._compiled.get((loss_fn, prepare))
        if compiled is None:
            if len(self._compiled) == MOST_LOSS_FUNCTIONS:
                raise RuntimeError(
                    f"{MOST_LOSS_FUNCTIONS} loss functions were compiled: is a new one made in each call?"
                )
            options: dict[str, Any] = {
                "guard_filter_fn": _guards_of_values,
                "size_asserts": False,  # the guards check the sizes of a batch, and no others change
                # As 2 / (1 + exp(-2x)) - 1: off by up to 1e-7, next to zero too, and a fifth less time for an update of
                # PPO (`python -m benchmarks.costs.arithmetic`).
                "cpp.use_decompose_tanh": True,
                "triton.cudagraphs": self._on_gpu,  # the whole update is replayed as one CUDA graph
            }
            # The gradient is taken inside of what is compiled. Only here, as the compiler takes long to import.
            torch._dynamo.config.trace_autograd_ops = True
            from training.optimizer import large_products

            if not self._on_gpu and large_products.are_faster():
                options["post_grad_custom_post_pass"] = large_products.LargeProducts()
            method = MethodType(_copied(CompiledUpdate._update), self)
            compiled = self._compiled[loss_fn, prepare] = torch.compile(method, fullgraph=True, options=options)
        return compiled


def _told(error: Exception) -> str:
    """What the compiler says, in one line, with the innermost line of the code that it did not take."""
    text = str(error)
    message = re.search("Message: (.*)", text)
    if message:
        return message.group(1)
    *_, place = ("", *(f" ({file}:{line})" for file, line in re.findall(r'File "(.+)", line (\d+)', text)))
    return text.strip().partition("\n")[0] + place


def _guards_of_values(guards: Sequence[Any]) -> list[bool]:
    """Which of the compiler's assumptions are checked before each call: those about the batch and about the attributes,
    closures and buffers that a loss reads.

    Not checked, as nothing changes them between two updates: structure, global variables, the optimizer's own settings
    and tensors (the arguments `self` and `groups`), and the sizes of parameters.
    """
    return [
        guard.guard_type not in STRUCTURE
        and not guard.is_global
        and not guard.name.startswith(("self.", "groups"))
        and "._parameters[" not in guard.name
        for guard in guards
    ]


def _copied(function: Any) -> Any:
    """The same function with a code object of its own, by which the compiler tells what it has compiled."""
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def select(batch: Batch, rows: Tensor | None, prepare: Callable[[Batch], Batch] | None) -> Batch:
    """The samples `rows` [B] of a batch, or all of them, as `prepare` makes them ready to learn from."""
    if rows is not None:
        batch = {key: value.index_select(0, rows) for key, value in batch.items()}
    return batch if prepare is None else prepare(batch)
