"""Several learners: the same run in several processes, each of which computes its share of every gradient.

All of them draw the same batches with the same random streams and apply the same gradient, so their weights stay the
same bits, and whatever is decided by a loss, a score or a counter is decided alike. What one alone would know (a
signal, the clock) is agreed on. So a run has one state, however many learners it has: the first one's folder is the
run.

The processes are those of torch.distributed's default group; without one, this process is the only learner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from training.core import Batch
from training.metrics import Mean, Metrics

T = TypeVar("T")


_together = _asked = 1


@contextmanager
def together(asked: int) -> Iterator[None]:
    """Around the work of one of several learners, of which the run asked for so many.

    Where the group goes away inside, as when Ray ends it, nobody goes on alone: that is a RuntimeError.
    """
    global _together, _asked
    _together, _asked = count(), asked
    try:
        yield
    finally:
        _together = _asked = 1


def asked() -> int:
    """How many learners the run asked for; there are fewer when some were lost."""
    return _asked


def count() -> int:
    """How many learners there are."""
    if dist.is_initialized():
        return dist.get_world_size()
    if _together > 1:
        raise RuntimeError("the other learners are gone")
    return 1


def leads() -> bool:
    """Whether this is the one whose run folder is kept."""
    return count() == 1 or dist.get_rank() == 0


def agreed(value: T) -> T:
    """The first learner's value."""
    if count() == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared)
    return shared[0]


def largest(value: int) -> int:
    """The largest of the learners' values."""
    if count() == 1:
        return value
    shared = torch.tensor(value)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return int(shared)


def mine(items: Sequence[T]) -> Sequence[T]:
    """Of what is dealt out to the learners in turn, this one's part."""
    return items if count() == 1 else items[dist.get_rank() :: count()]


def all_of(own: Sequence[T]) -> list[T]:
    """The inverse of `mine`: every learner's part, in order."""
    parts = gathered(own)
    return [part[turn] for turn in range(len(parts[0])) for part in parts if turn < len(part)]


def gathered(value: T) -> list[T]:
    """Every learner's value, in their order."""
    values: list[T] = [value] * count()
    if count() > 1:
        dist.all_gather_object(values, value)
    return values


def share(batch: Batch, split: Callable[[Batch, int], list[Batch]]) -> tuple[Batch, float]:
    """This learner's samples of a batch, and what they weigh: 0 where there are fewer samples than learners.

    A learner without a sample computes one all the same, so that all of them measure the same things.
    """
    samples = next(iter(batch.values())).shape[0]
    rank = dist.get_rank()
    if samples < count():
        one = min(rank, samples - 1)
        return {key: value[one : one + 1] for key, value in batch.items()}, float(rank < samples)
    return split(batch, count())[rank], 1.0


def summed(
    values: list[Tensor], total: Tensor, samples: float | Tensor, metrics: Metrics, weight: float
) -> tuple[list[Tensor], Tensor, Tensor, Metrics]:
    """All of it added up over the learners, each by its `weight`; means become means over all. One message.

    Raises TypeError for a metric of another kind than Mean.
    """
    own = {name: metric for name, metric in metrics.items() if isinstance(metric, Mean)}
    for name in metrics.keys() - own.keys():
        raise TypeError(f"{name} of a loss is a {type(metrics[name]).__name__}: several learners can only share a Mean")
    device = total.device
    weights = torch.tensor([metric.weight for metric in own.values()], device=device)
    means = torch.stack([torch.as_tensor(m.value, device=device).float() for m in own.values()] or [total])
    numbers = [torch.stack([total.float(), torch.as_tensor(samples, device=device).float()]), weights]
    # What is over nothing may be nan, which times 0 is not 0.
    sums = torch.where(weights > 0, means[: len(weights)] * weights, 0.0)
    parts = [*(value.reshape(-1) for value in values), *numbers, sums]
    message = torch.cat([part.float() for part in parts])
    message = message * weight if weight else torch.zeros_like(message)
    dist.all_reduce(message)
    *flat, both, all_weights, sums = message.split([part.numel() for part in parts])
    mean: Metrics = dict(zip(own, map(Mean, (sums / all_weights).unbind(), all_weights.tolist()), strict=True))
    return [part.view_as(value) for part, value in zip(flat, values, strict=True)], both[0], both[1], mean
