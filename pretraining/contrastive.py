"""Contrastive learning: two views of one thing are alike, those of different things are not.

SimCLR (Chen et al. 2020, https://arxiv.org/abs/2002.05709): the views are two random changes of an image. On
trajectories the second view is what the agent saw a few steps later (van den Oord et al. 2018,
https://arxiv.org/abs/1807.03748, with the loss of SimCLR); see `time_pairs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, moved
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.dataset import Dataset
from training.data.preprocessing import Preprocessing, PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import MLP, Encoder, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

LATER = "later/"
"""Before the name of an input: what was seen some steps later."""


@dataclass(frozen=True)
class ContrastiveEncoderConfig:
    """The shape of an encoder with a projection behind it."""

    network: NetworkConfig = NetworkConfig(hidden=(128,), activation="relu", cnn="residual", channels=(32, 64))
    """Encodes each input; its perceptron projects the features."""
    projection: int = 64
    """The size of the projections, which are compared."""
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.projection >= 2, "projection", self.projection, "at least 2")


class ContrastiveEncoder(Model):
    """Inputs [B, ...] -> features [B, features], which are kept, -> projections [B, projection] of length 1."""

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any] | None,
        config: ContrastiveEncoderConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config)
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder = Encoder(inputs, config.network, rng)
        self.projector = MLP(self.encoder.out_features, config.network, rng, outputs=config.projection)

    def features(self, batch: Batch) -> Tensor:
        """What others learn from [B, features]."""
        features: Tensor = self.encoder(self.preprocessing(batch))
        return features

    def forward(self, batch: Batch) -> Tensor:
        return F.normalize(self.projector(self.features(batch)).float(), dim=-1)


@dataclass(frozen=True)
class ContrastiveConfig:
    """Hyperparameters of contrastive learning."""

    temperature: float = 0.5
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images, for each view anew."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.temperature > 0, "temperature", self.temperature, "a number above 0")
        parts = self.optimizer.micro_batches
        # Every sample is compared with all others of the batch: a part of it would be another loss.
        require(parts == 1, "optimizer.micro_batches", parts, "1: a contrastive loss is of the whole batch")


class Contrastive(ModelAndParts):
    """Learns from samples [B, ...] and, under `later/<input>`, what follows each; without those, from two changes."""

    score = "negative_loss"

    def __init__(self, model: ContrastiveEncoder, config: ContrastiveConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config, self._seed = model, config, seed
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self._rng = generator(seed, "views")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, self._views(batch, self._rng), now), {}

    def _views(self, batch: Batch, rng: Generator) -> Batch:
        """Both views of every sample, one after the other: [2B, ...]."""
        inputs = self.model.inputs
        first = {key: batch[key] for key in inputs}
        second = {key: batch.get(LATER + key, batch[key]) for key in inputs}
        views = [augment_inputs(view, inputs, self._config.augmentation, rng) for view in (first, second)]
        device = next(self.model.parameters()).device
        return {key: moved(torch.cat([view[key] for view in views]), device) for key in inputs}

    def _loss(self, batch: Batch) -> Loss:
        return nt_xent(self.model(batch), self._config.temperature)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        rng = generator(self._seed, "measured views", part)  # the same views in each measurement
        with self._optimizer.averaged():
            losses = [self._loss(self._views(batch, rng)) for batch in batches]
        samples = sum(int(loss.count) for loss in losses)
        right = sum(float(loss.metrics["learner/accuracy"].value) * int(loss.count) for loss in losses)
        return {"negative_loss": -sum(float(loss.sum) for loss in losses) / samples, "accuracy": right / samples}


def nt_xent(projections: Tensor, temperature: float) -> Loss:
    """The normalized, temperature-scaled cross-entropy of SimCLR (equation 1) over all 2B views.

    `projections` [2B, P] have length 1; those of sample i are i and i + B. The accuracy is how often the other view of
    a sample is the most alike of all others.
    """
    views = len(projections)
    itself = torch.eye(views, dtype=torch.bool, device=projections.device)
    with torch.autocast(projections.device.type, enabled=False):  # in bf16 close ones would be equally alike
        rows = projections.float()
        likeness = (rows @ rows.T / temperature).masked_fill(itself, -torch.inf)
    other = torch.arange(views, device=projections.device).roll(views // 2)
    losses = F.cross_entropy(likeness, other, reduction="none")
    right = (likeness.detach().argmax(1) == other).float().mean()
    return Loss(losses.sum(), views, {"learner/accuracy": Mean(right, views)})


def time_pairs(data: Dataset, steps: int) -> Dataset:
    """Samples of trajectories (`group`, in order) with what was seen `steps` later under `later/<input>`.

    A sample within `steps` of the end of its trajectory is left out.
    """
    require(steps >= 1, "steps", steps, "at least 1")
    group = data.array("group")
    begins = np.flatnonzero(group[:-steps] == group[steps:])
    later = data.select(begins + steps)
    arrays = {key: data.select(begins).array(key) for key in data.arrays}
    arrays |= {LATER + key: later.array(key) for key in data.inputs}
    return replace(data, arrays=arrays, rows=None)


@dataclass(frozen=True, kw_only=True)
class ContrastiveRunConfig(DataRunConfig):
    """How an encoder is trained."""

    algorithm: ContrastiveConfig = ContrastiveConfig()
    model: ContrastiveEncoderConfig = ContrastiveEncoderConfig()
    minibatch_size: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.learners == 1, "learners", self.learners, "1: a contrastive loss is of the whole batch")


def train(config: ContrastiveRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    check_numbers(splits, config.model.preprocessing)
    model = ContrastiveEncoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)

    def make_algorithm(model: ContrastiveEncoder, own: ContrastiveConfig, until: Budget) -> Contrastive:
        return Contrastive(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
