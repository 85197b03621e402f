"""The network of supervised learning: preprocessing, an encoder, and a head that predicts classes or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Generator, Tensor

from pretraining.model import Model
from training.core import Batch
from training.data.dataset import Dataset
from training.data.preprocessing import Preprocessing, PreprocessingConfig
from training.errors import UserError, require
from training.networks import MLP, Encoder, NetworkConfig, Normalizer
from training.networks.sequence_encoder import SequenceEncoder
from training.networks.transformer import TransformerConfig
from training.seeding import generator


@dataclass(frozen=True)
class PredictorConfig:
    """The shape of a predictor."""

    network: NetworkConfig = NetworkConfig(hidden=(64, 64), activation="relu")
    """Encodes each input; its perceptron is the head."""
    transformer: TransformerConfig | None = None
    """Encodes the one input, an image or a sequence, instead of the encoder of `network`."""
    patch: int = 2
    """Pixels on each side of the transformer's patches."""
    shortcut: bool = False
    """Of a transformer: its head also gets the mean and the maximum of the embedded tokens."""
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.patch >= 1, "patch", self.patch, "at least 1")
        require(not self.shortcut or self.transformer is not None, "shortcut", self.shortcut, "a transformer")
        own = self.network.module
        require(own is None or self.transformer is None, "network.module", own, "None with a transformer")


class Predictor(Model):
    """Inputs [B, ...] -> logits [B, classes] for a Discrete target, or standardized numbers [B, *shape] for a Box.

    `temperature` divides the logits where probabilities are asked for.
    """

    temperature: Tensor

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any],
        config: PredictorConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config)
        self.classes = int(target.n) if isinstance(target, spaces.Discrete) else 0
        self.shape = () if self.classes else target.shape or ()
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder: Encoder | SequenceEncoder
        if config.transformer is None:
            self.encoder = Encoder(inputs, config.network, rng)
        elif list(inputs) == ["input"]:
            self.encoder = SequenceEncoder(
                inputs["input"], config.transformer, rng, patch=config.patch, shortcut=config.shortcut
            )
        else:
            raise UserError(f"transformer: it takes one input, here there are {', '.join(inputs)}")
        outputs = self.classes or int(np.prod(self.shape))
        self.head = MLP(self.encoder.out_features, config.network, rng, outputs=outputs, gain=0.01)
        self.target_scale = Normalizer(*self.shape, epsilon=0.0)
        self.register_buffer("temperature", torch.ones(()))

    def fit_preprocessing(self, data: Dataset) -> None:
        """Takes the statistics of the training split. Raises UserError for a constant column or target."""
        if self.classes == 1:
            name = f" ({data.labels[0]})" if data.labels else ""
            raise UserError(f"{data.source}: the target has one class only{name}: nothing is to be learned")
        self.preprocessing.fit(data)
        if not self.classes:
            self.target_scale.update(torch.from_numpy(data.array("target")))
            if bool((self.target_scale.variance == 0).any()):
                raise UserError(
                    f"{data.source}: the target is constant in the training split: nothing is to be learned"
                )

    def features(self, batch: Batch) -> Tensor:
        """What the encoder makes of the inputs [B, features]."""
        seen = self.preprocessing(batch)
        features: Tensor = self.encoder(seen if isinstance(self.encoder, Encoder) else seen["input"])
        return features

    def forward(self, batch: Batch) -> Tensor:
        outputs: Tensor = self.head(self.features(batch))
        return outputs if self.classes else outputs.reshape(-1, *self.shape)

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """Probabilities [B, classes], or numbers [B, *shape] in the target's own unit."""
        outputs = self(batch).float()
        if self.classes:
            return torch.softmax(outputs / self.temperature, -1)
        scale = self.target_scale
        numbers: Tensor = outputs.double() * scale.variance.sqrt() + scale.mean
        return numbers.float()

    def standardized(self, target: Tensor) -> Tensor:
        """The outputs that numbers in the target's own unit ask for."""
        scale = self.target_scale
        return ((target.double() - scale.mean) * torch.rsqrt(scale.variance)).float()


def new_predictor(data: Dataset, config: PredictorConfig, seed: int) -> Predictor:
    """A predictor that is to learn from a training split: its weights are drawn, its preprocessing is fitted.

    Raises UserError for a constant column or target.
    """
    model = Predictor(data.inputs, data.target, config, generator(seed, "weights"))
    model.fit_preprocessing(data)
    return model
