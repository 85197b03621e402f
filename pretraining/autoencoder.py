"""Autoencoder: squeeze the inputs through a narrow code and reconstruct them (Hinton and Salakhutdinov 2006, "Reducing
the dimensionality of data with neural networks").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from gymnasium import Space
from torch import Generator, Tensor

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.flat_inputs import explained, flat, flat_size
from training.data.preprocessing import Preprocessing, PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import MLP, Encoder, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shape of an autoencoder."""

    network: NetworkConfig = NetworkConfig(hidden=(256, 128), activation="relu", cnn="small")
    """From the inputs to the code; the way back has the same layers in reverse."""
    flat: bool = True
    """Take images as rows of pixels, without convolutions."""
    code: int = 10
    """The size of the code."""
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.code >= 1, "code", self.code, "at least 1")
        own = self.network.module
        require(own is None or not self.flat, "network.module", own, "None with flat = True, which needs no encoder")


class Autoencoder(Model):
    """Inputs [B, ...] -> code [B, code] -> the inputs as rows of numbers [B, F], see `flat`.

    `per_code` is how many numbers the encoder gives for each number of the code.
    """

    per_code = 1

    def __init__(
        self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: AutoencoderConfig, rng: Generator
    ) -> None:
        super().__init__(inputs, target, config)
        size = flat_size(inputs)
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder = None if config.flat else Encoder(inputs, config.network, rng)
        seen = size if self.encoder is None else self.encoder.out_features
        self.to_code = MLP(seen, config.network, rng, outputs=self.per_code * config.code)
        back = replace(config.network, hidden=config.network.hidden[::-1])
        self.from_code = MLP(config.code, back, rng, outputs=size)

    def original(self, batch: Batch) -> Tensor:
        """What is to be reconstructed [B, F]."""
        return flat(self.preprocessing(batch), self.inputs)

    def encoded(self, batch: Batch) -> Tensor:
        """[B, per_code * code]"""
        seen = self.preprocessing(batch)
        features = flat(seen, self.inputs) if self.encoder is None else self.encoder(seen)
        encoded: Tensor = self.to_code(features)
        return encoded

    def features(self, batch: Batch) -> Tensor:
        """The code [B, code], which is what others learn from."""
        return self.encoded(batch)[:, : self.config.code]

    def forward(self, batch: Batch) -> Tensor:
        reconstruction: Tensor = self.from_code(self.features(batch))
        return reconstruction


@dataclass(frozen=True)
class AutoencodingConfig:
    """Hyperparameters of an autoencoder."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)
    restores: bool = False
    """What is reconstructed is the image as it was, not the changed one, so that the code need not say how it was
    changed: a denoising autoencoder (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294)."""


class Autoencoding(ModelAndParts):
    """Learns from samples [B, ...]: makes the reconstruction like the input, by the squared error."""

    score = "r2"

    def __init__(self, model: Autoencoder, config: AutoencodingConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config = model, config
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._device = next(model.parameters()).device
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        batch = to_device(batch, self._device)
        if self._config.restores:
            batch = {**batch, "original": self.model.original(batch)}
        batch = augment_inputs(batch, self.model.inputs, self._config.augmentation, self._rng)
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        original = batch["original"] if self._config.restores else self.model.original(batch)
        return reconstruction_loss(self.model(batch), original)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        found = []
        with self._optimizer.averaged():
            for batch in batches:
                seen = to_device(batch, self._device)
                found.append((self.model.original(seen).cpu(), self.model(seen).cpu()))
        return {"r2": explained(*(torch.cat(rows) for rows in zip(*found, strict=True)))}


def reconstruction_loss(reconstruction: Tensor, original: Tensor) -> Loss:
    """The squared error of [B, F], summed over the numbers of each sample."""
    errors = (reconstruction.float() - original).square().sum(1)
    return Loss(errors.sum(), len(errors), {"learner/squared_error": Mean(errors.detach().mean(), len(errors))})


@dataclass(frozen=True, kw_only=True)
class AutoencoderRunConfig(DataRunConfig):
    """How an autoencoder is trained."""

    algorithm: AutoencodingConfig = AutoencodingConfig()
    model: AutoencoderConfig = AutoencoderConfig()


def train(config: AutoencoderRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    check_numbers(splits, config.model.preprocessing)
    model = Autoencoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)

    def make_algorithm(model: Autoencoder, own: AutoencodingConfig, until: Budget) -> Autoencoding:
        return Autoencoding(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
