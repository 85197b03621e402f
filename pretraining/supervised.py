"""Supervised learning: predict the class or the number that belongs to a sample.

Classes by cross-entropy, with the label smoothing of Szegedy et al. 2016 (https://arxiv.org/abs/1512.00567, section 7);
numbers by the squared error of standardized targets. Probabilities are calibrated by a temperature on the validation
split (pretraining/calibration.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.calibration import best_temperature
from pretraining.measures import class_measures, number_measures
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.preprocessing import check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.anchor import Anchor
from training.run.run import Run
from training.seeding import generator

CLASS_SCORE = "log_likelihood_uncalibrated"
"""What chooses the best checkpoint of classifiers: the validation split chooses the temperature too, so that what is
measured with it there is too good where there are few samples."""


@dataclass(frozen=True)
class SupervisedConfig:
    """Hyperparameters of supervised learning."""

    label_smoothing: float = 0.0
    """Of classes: the part of the target that all of them share."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images and tokens, anew each time they are learned from."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(0.0 <= self.label_smoothing < 1.0, "label_smoothing", self.label_smoothing, "a fraction in [0, 1)")


class Supervised(ModelAndParts):
    """Learns from samples [B, ...]: trains the network to predict their `target`."""

    def __init__(
        self,
        model: Predictor,
        config: SupervisedConfig,
        *,
        until: Budget,
        seed: int,
        anchor: Anchor | None = None,
    ) -> None:
        self.model, self._config, self._anchor = model, config, anchor
        self.score = CLASS_SCORE if model.classes else "r2"
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = self.model.temperature.device
        batch = to_device(batch, device)
        batch = augment_inputs(batch, self.model.inputs, self._config.augmentation, self._rng)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        if self.model.classes:
            loss = class_loss(self.model(batch), batch["target"], self._config.label_smoothing)
        else:
            loss = number_loss(self.model(batch), self.model.standardized(batch["target"]))
        return loss if self._anchor is None else self._anchor.added_to(loss)

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        with self._optimizer.averaged():
            return measure(self.model, batches, part)


@torch.no_grad()
def measure(model: Predictor, batches: Iterable[Batch], part: Part) -> dict[str, float]:
    """The measures of a whole split; the validation split chooses the temperature."""
    outputs, targets = [], []
    for batch in batches:
        seen = to_device(batch, model.temperature.device)
        outputs.append((model(seen) if model.classes else model.predict(seen)).float().cpu())
        targets.append(batch["target"])
    said, target = torch.cat(outputs), torch.cat(targets)
    if not model.classes:
        return number_measures(said.numpy(), target.numpy())
    if part == "validation":
        model.temperature.fill_(best_temperature(said, target))
    return class_measures(said, target, float(model.temperature))


def class_loss(logits: Tensor, target: Tensor, label_smoothing: float) -> Loss:
    """The cross-entropy of logits [B, classes] and the classes [B]."""
    losses = F.cross_entropy(logits.float(), target, label_smoothing=label_smoothing, reduction="none")
    right = (logits.detach().argmax(-1) == target).float().mean()
    return Loss(losses.sum(), len(target), {"learner/accuracy": Mean(right, len(target))})


def number_loss(outputs: Tensor, target: Tensor) -> Loss:
    """The squared error of [B, ...], a mean over the numbers of each sample."""
    errors = (
        (outputs.float() - target).square().flatten(1).mean(1) if outputs.dim() > 1 else (outputs - target).square()
    )
    return Loss(errors.sum(), len(target), {"learner/squared_error": Mean(errors.detach().mean(), len(target))})


@dataclass(frozen=True, kw_only=True)
class SupervisedRunConfig(DataRunConfig):
    """How a predictor is trained."""

    algorithm: SupervisedConfig = SupervisedConfig()
    model: PredictorConfig = PredictorConfig()


def train(
    config: SupervisedRunConfig,
    run: Run,
    splits: Splits,
    *,
    measure: Any = None,
) -> None:
    """One run of supervised learning; `measure` as in `recipe.train`."""
    check_numbers(splits, config.model.preprocessing)
    model = new_predictor(splits.train, config.model, config.seed)

    def make_algorithm(model: Predictor, own: SupervisedConfig, until: Budget) -> Supervised:
        return Supervised(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
