"""Survival: who has the event earlier, and how likely it is by a year, from data in which many have not had it yet.

The hazard of a patient is h0(t) exp(f(x)), where f is a network (Faraggi and Simon 1995; as DeepSurv, Katzman et al.
2018, https://arxiv.org/abs/1606.00931). It is trained by Cox's partial likelihood (1972) with Efron's correction for
ties (1977); h0 is Breslow's estimate (1974) on the training split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Generator, Tensor

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from pretraining.survival_measures import baseline_hazard, c_index, calibration
from training.core import Batch, Budget, Counters, to_device
from training.data.dataset import Dataset
from training.data.preprocessing import Preprocessing, PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Metrics
from training.networks import MLP, Encoder, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

TIME, EVENT = 0, 1
"""The columns of a target [S, 2]: when the event was, or when the patient was last seen, and 1 or 0."""


@dataclass(frozen=True)
class SurvivalNetworkConfig:
    """The shape of a network that says risks."""

    network: NetworkConfig = NetworkConfig(hidden=(32,), activation="tanh")
    horizons: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)
    """By when the event is foretold, in the unit of the times."""
    preprocessing: PreprocessingConfig = PreprocessingConfig(impute_median=True)

    def __post_init__(self) -> None:
        rising = all(one < later for one, later in zip((0.0, *self.horizons), self.horizons, strict=False))
        require(bool(self.horizons) and rising, "horizons", self.horizons, "times above 0, each after the one before")


class SurvivalNetwork(Model):
    """Inputs [B, ...] -> the logarithm of the hazard relative to the others [B]; `predict` gives risks."""

    hazard: Tensor

    def __init__(
        self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: SurvivalNetworkConfig, rng: Generator
    ) -> None:
        super().__init__(inputs, target, config)
        self.classes, self.shape = 0, (len(config.horizons),)
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder = Encoder(inputs, config.network, rng)
        self.head = MLP(self.encoder.out_features, config.network, rng, outputs=1, gain=0.01)
        self.register_buffer("hazard", torch.zeros(len(config.horizons)))
        """The cumulative hazard of a patient with f = 0 by each horizon."""

    def features(self, batch: Batch) -> Tensor:
        """What the encoder makes of the inputs [B, features]."""
        features: Tensor = self.encoder(self.preprocessing(batch))
        return features

    def forward(self, batch: Batch) -> Tensor:
        log_hazard: Tensor = self.head(self.features(batch)).squeeze(-1)
        return log_hazard

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """The probability of the event by each horizon [B, horizons]."""
        return 1 - torch.exp(-self.hazard * self(batch).float().exp().unsqueeze(1))


@dataclass(frozen=True)
class CoxConfig:
    """Hyperparameters of Cox regression with a network."""

    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        parts = self.optimizer.micro_batches
        # Whoever has the event is compared with all who are still at risk: a part of these would be another loss.
        require(parts == 1, "optimizer.micro_batches", parts, "1: a partial likelihood is of the whole batch")


class CoxRegression(ModelAndParts):
    """Learns from samples [B, ...]: raises the partial likelihood of who had the event first."""

    score = "log_partial_likelihood"

    def __init__(self, model: SurvivalNetwork, config: CoxConfig, train: Dataset, *, until: Budget) -> None:
        self.model, self._train = model, train
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self.parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, to_device(batch, self.model.hazard.device), now), {}

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the model has its averaged weights, where the optimizer keeps such."""
        return self._optimizer.averaged()

    def _loss(self, batch: Batch) -> Loss:
        target = batch["target"]
        return cox_loss(self.model(batch), target[:, TIME], target[:, EVENT])

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        """What a split measures; with the validation split the baseline hazard is fitted, on the training split."""
        with self._optimizer.averaged():
            if part == "validation":
                self._fit_hazard()
            seen = [to_device(batch, self.model.hazard.device) for batch in batches]
            log_hazard = torch.cat([self.model(batch) for batch in seen]).float().cpu()
            risk = torch.cat([self.model.predict(batch) for batch in seen]).double().cpu().numpy()
        target = torch.cat([batch["target"] for batch in seen]).cpu()
        loss = cox_loss(log_hazard, target[:, TIME], target[:, EVENT])
        horizons = self.model.config.horizons
        likelihood = {"log_partial_likelihood": -float(loss.sum) / int(loss.count)}
        return likelihood | survival_measures(log_hazard.double().numpy(), risk, target.numpy(), horizons)

    def _fit_hazard(self) -> None:
        device = self.model.hazard.device
        said = [self.model(to_device(batch, device)).float().cpu() for batch in self._train.batches(4096)]
        target = self._train.array("target")
        cumulative = baseline_hazard(
            torch.cat(said).double().numpy(), target[:, TIME], target[:, EVENT], self.model.config.horizons
        )
        self.model.hazard.copy_(torch.from_numpy(cumulative))


def survival_measures(
    log_hazard: NDArray[np.float64], risk: NDArray[np.float64], target: NDArray[Any], horizons: tuple[float, ...]
) -> dict[str, float]:
    """Of log hazards [S], risks [S, horizons] and targets [S, 2]: who is earlier, and how far risks are from what came
    at the last horizon."""
    time, event = target[:, TIME].astype(np.float64), target[:, EVENT] > 0
    groups = calibration(risk[:, -1], time, event, horizons[-1])
    return {
        "c_index": c_index(log_hazard, time, event),
        "calibration_error": groups.error,
        "calibration_in_the_large": groups.expected_over_observed,
    }


def cox_loss(log_hazard: Tensor, time: Tensor, event: Tensor) -> Loss:
    """The negative logarithm of the partial likelihood of f [B], times [B] and events [B], summed over the events.

    Of D events at one time t, with R those at risk (whose time is t or later), the l-th of them (l from 0) adds
    f - log(sum over R of exp f - l / D * sum over the D of exp f) (Efron 1977): as if they had come one after the
    other. A batch without an event has the loss 0 of one event.
    """
    event = event > 0
    # Latest first, so that those at risk are a cumulative sum.
    order = torch.argsort(time, descending=True, stable=True)
    f, t, had = log_hazard.float()[order], time[order], event[order]
    highest = f.detach().max()
    weight = (f - highest).exp()
    _, group = torch.unique_consecutive(t, return_inverse=True)
    groups = int(group[-1]) + 1
    last = torch.zeros(groups, dtype=torch.long, device=f.device).scatter_reduce(
        0, group, torch.arange(len(t), device=f.device), "amax", include_self=False
    )
    at_risk = weight.cumsum(0)[last]
    tied = torch.zeros(groups, device=f.device).index_add(0, group, weight * had)
    count = torch.bincount(group, weights=had.float(), minlength=groups)
    before = had.long().cumsum(0) - 1
    first = torch.cat([before.new_zeros(1), count.cumsum(0).long()[:-1]])
    place = (before - first[group]).float()
    left = at_risk[group] - place / count[group].clamp(min=1) * tied[group]
    terms = torch.where(had, f - highest - torch.where(had, left, torch.ones_like(left)).log(), torch.zeros_like(f))
    return Loss(-terms.sum(), max(1, int(event.sum())), {})


@dataclass(frozen=True, kw_only=True)
class SurvivalRunConfig(DataRunConfig):
    """How a survival network is trained."""

    algorithm: CoxConfig = CoxConfig()
    model: SurvivalNetworkConfig = SurvivalNetworkConfig()
    minibatch_size: int = 256
    """Those at risk are the others of the minibatch; the larger, the nearer to the whole likelihood."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.learners == 1, "learners", self.learners, "1: a partial likelihood is of the whole batch")


def train(config: SurvivalRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`. Raises UserError where a target is no time above 0 with an event."""
    for part in splits:
        _check_target(part)
    check_numbers(splits, config.model.preprocessing)
    model = SurvivalNetwork(splits.train.inputs, splits.train.target, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)

    def make_algorithm(model: SurvivalNetwork, own: CoxConfig, until: Budget) -> CoxRegression:
        return CoxRegression(model, own, splits.train, until=until)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)


def _check_target(data: Dataset) -> None:
    if not isinstance(data.target, spaces.Box) or data.target.shape != (2,):
        raise UserError(f"{data.source}: the target is {data.target}: survival takes a time and an event for each")
    target = data.array("target")
    for row, (time, event) in enumerate(target):
        if not time > 0 or event not in (0, 1):
            raise UserError(
                f"{data.source}: sample {row} has time {time:g} and event {event:g}: it takes a time above 0 and 0 or 1"
            )
    if not (target[:, EVENT] > 0).any():
        raise UserError(f"{data.source}: nobody had the event: nothing is to be learned")
