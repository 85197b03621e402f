"""Micro-batches: splitting a batch, and putting what was measured on its parts together again."""

from __future__ import annotations

from collections.abc import Sequence

from training.core import Batch, Last, Max, Mean, Metric, Metrics, Sum, UserError


def split_batch(batch: Batch, parts: int, name: str) -> list[Batch]:
    """Splits every tensor's leading dimension, as evenly as can be; the larger parts come first."""
    rows = {key: tensor.shape[0] if tensor.dim() else 0 for key, tensor in batch.items()}
    if len(set(rows.values())) != 1:
        raise UserError(f"{name}.micro_batches = {parts}: a batch must have one leading size, not {rows}")
    size = next(iter(rows.values()))
    if size < parts:
        raise UserError(f"{name}.micro_batches = {parts}: it takes at most the rows of a batch, here {size}")
    split = {key: tensor.tensor_split(parts) for key, tensor in batch.items()}
    return [{key: pieces[part] for key, pieces in split.items()} for part in range(parts)]


def merge_metrics(parts: Sequence[Metrics]) -> Metrics:
    """One set of metrics from those of the micro-batches."""
    return {key: _merge_one([part[key] for part in parts]) for key in parts[0]}


def _merge_one(metrics: Sequence[Metric]) -> Metric:
    values = [metric.value for metric in metrics]
    match metrics[0]:
        case Mean():
            weights = [metric.weight for metric in metrics if isinstance(metric, Mean)]
            weighted = sum(value * weight for value, weight in zip(values, weights, strict=True))
            return Mean(weighted / sum(weights), sum(weights))
        case Max():
            return Max(max(values))
        case Sum():
            return Sum(sum(values))
        case Last():
            return metrics[-1]
