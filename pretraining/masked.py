"""Masked reconstruction: predict what was hidden from what was not (He et al. 2022, https://arxiv.org/abs/2111.06377).

Images are cut into patches and most are hidden. As in SimMIM (Xie et al. 2022, https://arxiv.org/abs/2111.09886) the
encoder sees a learned vector in place of each hidden patch and one linear layer predicts its pixels: for images of few
patches leaving them out saves nothing. The error is of the hidden patches only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Generator, Tensor, nn

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, moved
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Mean, Metrics
from training.networks.sequence_encoder import SequenceEncoder
from training.networks.transformer import STD, TransformerConfig, normal_linear
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True)
class MaskedEncoderConfig:
    """The shape of an encoder of patches, or of rows of numbers."""

    transformer: TransformerConfig = TransformerConfig(width=64, layers=2, heads=4, causal=False)
    patch: int = 2
    """Pixels on each side of a patch."""

    def __post_init__(self) -> None:
        require(self.patch >= 1, "patch", self.patch, "at least 1")
        require(not self.transformer.causal, "transformer.causal", True, "False: what is hidden may be anywhere")  # noqa: FBT003


class MaskedEncoder(Model):
    """One input [B, ...] as tokens -> features [B, L * width], and what each token holds [B, L, token_size]."""

    def __init__(
        self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: MaskedEncoderConfig, rng: Generator
    ) -> None:
        super().__init__(inputs, target, config)
        if list(inputs) != ["input"]:
            raise UserError(f"masked reconstruction takes one input, here there are {', '.join(inputs)}")
        self.encoder = SequenceEncoder(inputs["input"], config.transformer, rng, patch=config.patch)
        if self.encoder.kind == "tokens":
            raise UserError(f"masked reconstruction takes images or rows of numbers, not {inputs['input']}")
        width = config.transformer.width
        self.hidden_token = nn.Parameter(torch.empty(width).normal_(std=STD, generator=rng))
        self.say = normal_linear(width, self.encoder.token_size, rng)

    def features(self, batch: Batch) -> Tensor:
        """What others learn from [B, L * width]: of each token, since they tell more than their mean."""
        tokens: Tensor = self.encoder.transformer(self.encoder.embedded(batch["input"]))
        return tokens.flatten(1)

    def forward(self, batch: Batch) -> Tensor:
        """What each token holds, where `hidden` [B, L] ones are not seen."""
        encoder = self.encoder
        seen = encoder.embed(encoder.tokens(batch["input"]))
        seen = torch.where(batch["hidden"].unsqueeze(-1), self.hidden_token, seen) + encoder.position
        said: Tensor = self.say(encoder.transformer(seen))
        return said


@dataclass(frozen=True)
class MaskedConfig:
    """Hyperparameters of masked reconstruction."""

    hidden_fraction: float = 0.6
    """Of the tokens, at least one."""
    augmentation: AugmentationConfig = AugmentationConfig()
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3, weight_decay=0.05)

    def __post_init__(self) -> None:
        require(0 < self.hidden_fraction < 1, "hidden_fraction", self.hidden_fraction, "a fraction between 0 and 1")


class Masked(ModelAndParts):
    """Learns from samples [B, ...]: predicts the tokens that it does not see."""

    score = "r2"

    def __init__(self, model: MaskedEncoder, config: MaskedConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config, self._seed = model, config, seed
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "hidden tokens")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        seen = augment_inputs({"input": batch["input"]}, self.model.inputs, self._config.augmentation, self._rng)
        return self._optimizer.step(self._loss, self._with_hidden(seen, self._rng), now), {}

    def _with_hidden(self, batch: Batch, rng: Generator) -> Batch:
        length = self.model.encoder.length
        hides = max(1, round(self._config.hidden_fraction * length))
        order = torch.rand(len(batch["input"]), length, generator=rng).argsort(1)
        device = self.model.hidden_token.device
        return {"input": moved(batch["input"], device), "hidden": moved(order < hides, device)}

    def _loss(self, batch: Batch) -> Loss:
        return masked_loss(self.model(batch), self.model.encoder.tokens(batch["input"]), batch["hidden"])

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        rng = generator(self._seed, "measured tokens", part)
        error, total = 0.0, 0.0
        with self._optimizer.averaged():
            for batch in batches:
                seen = self._with_hidden(batch, rng)
                held = self.model.encoder.tokens(seen["input"])[seen["hidden"]]
                said = self.model(seen)[seen["hidden"]]
                error += float((said - held).double().square().sum())
                total += float((held - held.mean(0)).double().square().sum())
        return {"r2": 1.0 - error / total}


def masked_loss(said: Tensor, held: Tensor, hidden: Tensor) -> Loss:
    """The squared error of the tokens [B, L, size] that are `hidden` [B, L], as many of each sample; a mean over the
    numbers of each token."""
    errors = (said.float() - held).square().mean(-1) * hidden
    count = hidden.sum()
    return Loss(errors.sum(), count, {"learner/squared_error": Mean(errors.detach().sum() / count, len(said))})


@dataclass(frozen=True, kw_only=True)
class MaskedRunConfig(DataRunConfig):
    """How an encoder is trained."""

    algorithm: MaskedConfig = MaskedConfig()
    model: MaskedEncoderConfig = MaskedEncoderConfig()


def train(config: MaskedRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    model = MaskedEncoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))

    def make_algorithm(model: MaskedEncoder, own: MaskedConfig, until: Budget) -> Masked:
        return Masked(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
