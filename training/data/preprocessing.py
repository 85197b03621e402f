"""Preprocessing of the inputs of a dataset: fitted on the training split, and saved with the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from training.core import Batch
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import UserError
from training.networks import Normalizer

AT_A_TIME = 65_536
"""Samples that are read together."""


@dataclass(frozen=True)
class PreprocessingConfig:
    """What is done to inputs that are float numbers. The encoder makes one-hot vectors of categories."""

    standardize: bool = True
    """To mean 0 and variance 1 by the training split; what is further than ten deviations away is clipped."""
    impute_median: bool = False
    """A missing value becomes the median of its column in the training split; otherwise it is an error."""


class Preprocessing(nn.Module):
    """Fills in and standardizes the float inputs of a batch [B, ...]; before `fit` it changes nothing."""

    def __init__(self, inputs: Mapping[str, Space[Any]], config: PreprocessingConfig) -> None:
        super().__init__()
        shapes = {key: space.shape or () for key, space in inputs.items() if _is_float(space)}
        self.medians = nn.ModuleDict({key: Median(shape) for key, shape in shapes.items() if config.impute_median})
        self.normalizers = nn.ModuleDict(
            {key: Normalizer(*shape, epsilon=0.0) for key, shape in shapes.items() if config.standardize}
        )

    def fit(self, data: Dataset) -> None:
        """Takes the statistics of the training split. Raises UserError for a column that says nothing."""
        for key, median in self.medians.items():
            assert isinstance(median, Median)
            median.fit(data.array(key))
        for part in data.batches(AT_A_TIME):
            filled = self._filled(part)
            for key, normalizer in self.normalizers.items():
                assert isinstance(normalizer, Normalizer)
                normalizer.update(filled[key])
        for key, normalizer in self.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            constant = (normalizer.variance == 0).reshape(-1).nonzero()
            if len(constant):
                column = _column(data, key, int(constant[0]))
                raise UserError(f"{data.source}: {column} is constant in the training split: leave it out")

    def forward(self, batch: Batch) -> Batch:
        filled = self._filled(batch)
        return filled | {key: normalizer(filled[key]) for key, normalizer in self.normalizers.items()}

    def _filled(self, batch: Batch) -> Batch:
        return batch | {key: median(batch[key]) for key, median in self.medians.items()}


class Median(nn.Module):
    """Fills in what is missing (nan) in [..., *shape]."""

    value: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(shape))

    def fit(self, rows: Any) -> None:
        """Takes the median of each column of [S, *shape]; one that is missing everywhere stays 0."""
        present = ~np.isnan(rows)
        known = np.where(present.any(0), np.nanmedian(np.where(present.any(0), rows, 0.0), axis=0), 0.0)
        self.value.copy_(torch.from_numpy(np.asarray(known, np.float32)))

    def forward(self, values: Tensor) -> Tensor:
        return torch.where(values.isnan(), self.value, values)


def check_numbers(splits: Splits, config: PreprocessingConfig) -> None:
    """Raises UserError, naming the column, where a float input or target is missing (unless imputed) or infinite."""
    for data in splits:
        keys = [key for key, space in data.spaces.items() if _is_float(space)]
        for start, part in zip(range(0, len(data), AT_A_TIME), data.batches(AT_A_TIME), strict=True):
            for key in keys:
                bad = ~part[key].isfinite()
                if config.impute_median and key != "target":
                    bad &= ~part[key].isnan()
                if bad.any():
                    row, *where = bad.nonzero()[0].tolist()
                    value = "missing" if part[key][row, *where].isnan() else "infinite"
                    column = _column(data, key, int(np.ravel_multi_index(where, bad.shape[1:])) if where else 0)
                    hint = "; preprocessing.impute_median fills it in" if value == "missing" and key != "target" else ""
                    raise UserError(
                        f"{data.source}: {column} is {value} in {_rows(bad)} samples, such as {start + row}{hint}"
                    )


def _rows(bad: Tensor) -> int:
    return int(bad.reshape(len(bad), -1).any(1).sum())


def _column(data: Dataset, key: str, position: int) -> str:
    if key == "input" and data.columns:
        return f"column {data.columns[position]!r}"
    return f"column {position} of {key}" if np.prod(data.spaces[key].shape or (1,)) > 1 else key


def _is_float(space: Space[Any]) -> bool:
    return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
