"""Deep CORAL (Sun and Saenko 2016, https://arxiv.org/abs/1607.01719): features whose covariance is the same in
both domains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from finetuning.domains import Domains, check_encoder
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
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True)
class CORALConfig:
    """Hyperparameters of CORAL."""

    weight: float = 1.0
    """Of the distance between the covariances."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.weight >= 0.0, "weight", self.weight, "a number of at least 0")
        parts = self.optimizer.micro_batches
        takes = "1: the covariances are of the whole batch, which cannot be learned from in parts"
        require(parts == 1, "optimizer.micro_batches", parts, takes)


class CORAL(ModelAndParts):
    """Learns from batches of `Domains`: to predict the source's classes from features that vary alike in both."""

    score = CLASS_SCORE

    def __init__(self, model: Predictor, config: CORALConfig, *, until: Budget) -> None:
        check_encoder(model)
        self.model, self._config = model, config
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self.parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.model.temperature.device)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        features = self.model.features(batch).float()
        source = batch["is_source"].float()
        labels = F.cross_entropy(self.model.head(features).float(), batch["target"], reduction="none")
        distance = coral_distance(features, source)
        objective = (labels * source).sum() / source.sum() + self._config.weight * distance
        return Loss(objective, 1, {"learner/coral_distance": Mean(distance.detach())})

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        with self._optimizer.averaged():
            return measure(self.model, batches, part)


def coral_distance(features: Tensor, source: Tensor) -> Tensor:
    """Equation 1: ||C_S - C_T||^2 / (4 d^2) of features [S, d]; `source` [S] is 1 in the source and 0 in the target."""
    difference = covariance(features, source) - covariance(features, 1 - source)
    return difference.square().sum() / (4 * features.shape[1] ** 2)


def covariance(features: Tensor, chosen: Tensor) -> Tensor:
    """Equations 2 and 3: the covariance [d, d] of the features [S, d] where `chosen` [S] is 1, and not 0.

    That of one sample, which may be left at the end of an epoch, is 0.
    """
    weight = chosen.unsqueeze(1)
    centred = (features - (features * weight).sum(0) / chosen.sum()) * weight
    return centred.T @ centred / (chosen.sum() - 1).clamp(min=1)


@dataclass(frozen=True, kw_only=True)
class CORALRunConfig(DataRunConfig):
    """How a predictor is adapted."""

    algorithm: CORALConfig = CORALConfig()
    model: PredictorConfig = PredictorConfig()


def train(config: CORALRunConfig, run: Run, splits: Splits, target_domain: Dataset) -> None:
    """One run: training and validation splits are of the source, the test split is of the target domain."""
    model = new_predictor(splits.train, config.model, config.seed)

    def make_algorithm(model: Predictor, own: CORALConfig, until: Budget) -> CORAL:
        return CORAL(model, own, until=until)

    def make_stream(source: Dataset) -> Domains:
        return Domains(source, target_domain, config.minibatch_size, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, make_stream=make_stream)
