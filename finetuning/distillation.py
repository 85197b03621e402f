"""Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531): a small network learns from a large one.

Beside the classes, the student learns the teacher's probabilities at a temperature (section 2), and its features
through a linear layer that is thrown away afterwards (Romero et al. 2015, https://arxiv.org/abs/1412.6550, equation 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, Part
from pretraining.supervised import CLASS_SCORE, measure
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Metrics
from training.networks.initialization import linear
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True)
class DistillationConfig:
    """Hyperparameters of distillation. The three parts of the loss are added; a part of weight 0 is left out."""

    temperature: float = 4.0
    labels: float = 0.1
    """The weight of the classes."""
    logits: float = 0.9
    """The weight of the teacher's probabilities."""
    features: float = 0.0
    """The weight of the teacher's features."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images, which teacher and student see alike."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.temperature > 0.0, "temperature", self.temperature, "a number above 0")
        for name in ("labels", "logits", "features"):
            require(getattr(self, name) >= 0.0, name, getattr(self, name), "a number of at least 0")
        require(self.logits + self.features > 0.0, "logits", self.logits, "more than 0, or features does")


class Distillation(ModelAndParts):
    """Learns the classes of samples [B, ...] and what the teacher, which stays as it is, predicts for them.

    Raises UserError for a teacher of other classes, or of none.
    """

    score = CLASS_SCORE

    def __init__(
        self, model: Predictor, teacher: Predictor, config: DistillationConfig, *, until: Budget, seed: int
    ) -> None:
        if not model.classes or model.classes != teacher.classes:
            raise UserError(f"the teacher tells {teacher.classes} classes apart, the student {model.classes}")
        self.model, self._config = model, config
        self._teacher = teacher.to(model.temperature.device)
        sizes = model.encoder.out_features, teacher.encoder.out_features
        self._projection = linear(*sizes, gain=1.0, generator=generator(seed, "projection"))
        self._projection.to(model.temperature.device)
        parameters = dict(model.named_parameters())
        if config.features:
            parameters |= {f"projection.{key}": value for key, value in self._projection.named_parameters()}
        self._optimizer = Optimizer(parameters, config.optimizer, until=until)
        self._rng = generator(seed, "augmentation")
        self.parts = {"projection": self._projection, "optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self.model.temperature.device)
        batch = augment_inputs(batch, self.model.inputs, self._config.augmentation, self._rng)
        with torch.no_grad():
            batch["taught_features"] = self._teacher.features(batch)
            batch["taught_logits"] = self._teacher.head(batch["taught_features"])
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        features = self.model.features(batch)
        return distillation_loss(self.model.head(features), self._projection(features), batch, self._config)

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        with self._optimizer.averaged():
            return measure(self.model, batches, part)


def distillation_loss(logits: Tensor, projected: Tensor, batch: Batch, config: DistillationConfig) -> Loss:
    """The weighted sum of the cross-entropy of the classes, of that of the teacher's probabilities less its entropy,
    and of the squared distance to its features.

    The second is multiplied by the squared temperature, so that its gradient keeps its size (section 2).

    Args:
        logits: of the student [B, classes].
        projected: its features, in the size of the teacher's [B, features].
        batch: `target` [B], `taught_logits` [B, classes] and `taught_features` [B, features].
        config: the weights and the temperature.
    """
    hot = config.temperature
    labels = F.cross_entropy(logits.float(), batch["target"], reduction="none")
    said, taught = (F.log_softmax(values.float() / hot, -1) for values in (logits, batch["taught_logits"]))
    probabilities = F.kl_div(said, taught, log_target=True, reduction="none").sum(-1) * hot**2
    distance = (projected.float() - batch["taught_features"].float()).square().mean(-1) / 2
    losses = config.labels * labels + config.logits * probabilities + config.features * distance
    return Loss(losses.sum(), len(losses), {})


@dataclass(frozen=True, kw_only=True)
class DistillationRunConfig(DataRunConfig):
    """How a student learns, and its shape."""

    algorithm: DistillationConfig = DistillationConfig()
    model: PredictorConfig = PredictorConfig()


def train(config: DistillationRunConfig, run: Run, splits: Splits, teacher: Predictor) -> None:
    """One run, on the samples that the teacher learned from or on others."""
    model = new_predictor(splits.train, config.model, config.seed)

    def make_algorithm(model: Predictor, own: DistillationConfig, until: Budget) -> Distillation:
        return Distillation(model, teacher, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm)
