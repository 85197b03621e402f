"""Volatility: the variance of tomorrow's return, learned by the quasi-likelihood that noisy measurements of it allow.

QLIKE (Patton 2011, https://doi.org/10.1016/j.jeconom.2010.03.034) orders forecasts of a variance rightly though it is
never seen, only measured with noise, such as by a day's range (Parkinson 1980).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.preprocessing import check_numbers
from training.data.splits import Splits
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VarianceConfig:
    """Hyperparameters of learning a variance."""

    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)


class VarianceRegression(ModelAndParts):
    """Learns from samples [B, ...] whose target is the logarithm of a measured variance [B]: lowers QLIKE.

    Its model says the logarithm of the variance that is expected.
    """

    score = "negative_qlike"

    def __init__(self, model: Predictor, config: VarianceConfig, *, until: Budget) -> None:
        self.model = model
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self.parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, to_device(batch, self.model.temperature.device), now), {}

    def _loss(self, batch: Batch) -> Loss:
        scale = self.model.target_scale
        said = self.model(batch).float() * scale.variance.sqrt().float() + scale.mean.float()
        return qlike_loss(said, batch["target"])

    def says(self, batches: Iterable[Batch]) -> Floats:
        """The logarithm of the variance that is expected of each sample [S]."""
        with self._optimizer.averaged():
            device = self.model.temperature.device
            said = [self.model.predict(to_device(batch, device)).double().cpu() for batch in batches]
        return torch.cat(said).numpy()

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        seen = list(batches)
        target = torch.cat([batch["target"] for batch in seen]).double().numpy()
        return {"negative_qlike": -float(qlike(np.exp(target), np.exp(self.says(seen))).mean())}


def qlike_loss(said: Tensor, target: Tensor) -> Loss:
    """QLIKE of the logarithms of forecasts [B] and of measured variances [B]."""
    apart = target - said
    return Loss((apart.exp() - apart - 1).sum(), len(target), {})


def qlike(measured: Floats, forecast: Floats) -> Floats:
    """v / h - log(v / h) - 1 of measured variances v and forecasts h [S]: 0 where they agree."""
    ratio = measured / forecast
    return np.asarray(ratio - np.log(ratio) - 1)


def range_variance(high: Floats, low: Floats) -> Floats:
    """The variance of a day by its range (Parkinson 1980): log(high / low)^2 / (4 log 2)."""
    return np.asarray(np.log(high / low) ** 2 / (4 * math.log(2)))


def trailing_mean(values: Floats, days: int) -> Floats:
    """The mean of each day and the `days - 1` before it; nan where there are not so many."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.concatenate([np.full(days - 1, np.nan), (sums[days:] - sums[:-days]) / days])


@dataclass(frozen=True, kw_only=True)
class VarianceRunConfig(DataRunConfig):
    """How a variance is learned."""

    algorithm: VarianceConfig = VarianceConfig()
    model: PredictorConfig = PredictorConfig()


def train(config: VarianceRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    check_numbers(splits, config.model.preprocessing)
    model = new_predictor(splits.train, config.model, config.seed)

    def make_algorithm(model: Predictor, own: VarianceConfig, until: Budget) -> VarianceRegression:
        return VarianceRegression(model, own, until=until)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
