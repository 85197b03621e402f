"""DANN (Ganin et al. 2016, https://arxiv.org/abs/1505.07818): features from which no discriminator can tell the domain.

The discriminator learns to tell them; the gradient that reaches the features through it is reversed (section 4.2), and
grows from 0 over the run by the schedule of section 5.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from finetuning.domains import Domains, check_encoder, shares
from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, Part
from pretraining.supervised import CLASS_SCORE, measure
from training.core import Batch, Budget, Counters, to_device
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import MLP, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

STEEPNESS = 10.0  # section 5.2: gamma of the schedule


@dataclass(frozen=True)
class DANNConfig:
    """Hyperparameters of DANN."""

    reversal: float = 1.0
    """Of the gradient that reaches the features from the discriminator, at the end of the run."""
    discriminator: NetworkConfig = NetworkConfig(hidden=(64,), activation="relu", layer_norm=True)
    """Normalized inside, so that features do not become large only to mislead it."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.reversal >= 0.0, "reversal", self.reversal, "a number of at least 0")


class DANN(ModelAndParts):
    """Learns from batches of `Domains`: to predict the source's classes from features that both domains share."""

    score = CLASS_SCORE

    def __init__(self, model: Predictor, config: DANNConfig, *, until: Budget, seed: int) -> None:
        check_encoder(model)
        self.model, self._config, self._until = model, config, until
        rng = generator(seed, "discriminator")
        features = model.encoder.out_features
        self._discriminator = MLP(features, config.discriminator, rng, outputs=1).to(model.temperature.device)
        own = {f"discriminator.{key}": value for key, value in self._discriminator.named_parameters()}
        self._optimizer = Optimizer(dict(model.named_parameters()) | own, config.optimizer, until=until)
        self.parts = {"discriminator": self._discriminator, "optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.model.temperature.device)
        spent = self._until.fraction(now)
        reversal = self._config.reversal * (2 / (1 + math.exp(-STEEPNESS * spent)) - 1)
        batch["share"] = shares(batch["is_source"])
        batch["reversal"] = torch.full_like(batch["share"], reversal)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        features = self.model.features(batch)
        domains = self._discriminator(reversed_gradient(features, batch["reversal"].unsqueeze(1))).squeeze(1)
        return dann_loss(self.model.head(features), domains, batch)

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        with self._optimizer.averaged():
            return measure(self.model, batches, part)


def reversed_gradient(values: Tensor, factor: Tensor) -> Tensor:
    """The values as they are; the gradient that passes is multiplied by -factor (equations 16 and 17)."""
    return (values * (1 + factor)).detach() - values * factor


def dann_loss(logits: Tensor, domains: Tensor, batch: Batch) -> Loss:
    """The cross-entropy of the source's classes [S, classes], and that of the domains [S], each domain with one half.

    `batch` holds `target`, `is_source` and `share`, all [S].
    """
    source, share = batch["is_source"].float(), batch["share"]
    labels = F.cross_entropy(logits.float(), batch["target"], reduction="none") * source * share
    told = F.binary_cross_entropy_with_logits(domains.float(), source, reduction="none") * share / 2
    right = ((domains.detach() > 0) == batch["is_source"]).float().mean()
    return Loss((labels + told).sum(), len(share), {"learner/domain_accuracy": Mean(right, len(share))})


@dataclass(frozen=True, kw_only=True)
class DANNRunConfig(DataRunConfig):
    """How a predictor is adapted."""

    algorithm: DANNConfig = DANNConfig()
    model: PredictorConfig = PredictorConfig()


def train(config: DANNRunConfig, run: Run, splits: Splits, target_domain: Dataset) -> None:
    """One run: training and validation splits are of the source, the test split is of the target domain."""
    model = new_predictor(splits.train, config.model, config.seed)

    def make_algorithm(model: Predictor, own: DANNConfig, until: Budget) -> DANN:
        return DANN(model, own, until=until, seed=config.seed)

    def make_stream(source: Dataset) -> Domains:
        return Domains(source, target_domain, config.minibatch_size, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, make_stream=make_stream)
