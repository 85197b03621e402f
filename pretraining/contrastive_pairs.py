"""Contrastive pairs: what belongs together, such as a picture and its name, is near in one space (CLIP: Radford et al.
2021, https://arxiv.org/abs/2103.00020).

A name that was never seen is then as good a class as any: an input is given the name that is nearest to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.preprocessing import Preprocessing, PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Last, Mean, Metrics
from training.networks import Encoder, NetworkConfig
from training.networks.initialization import linear
from training.networks.sequence_encoder import SequenceEncoder
from training.networks.transformer import TransformerConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

FIRST_TEMPERATURE = 0.07
LEAST_TEMPERATURE = 0.01
"""Both are CLIP's (its section 2.5): a temperature that runs away to zero would make the training unstable."""
PAIR = ("input/seen", "input/named")
"""The two sides, in this order."""


@dataclass(frozen=True)
class PairEncoderConfig:
    """The shape of the two encoders: of what is seen by a network, of the name by a transformer over its words."""

    network: NetworkConfig = NetworkConfig(hidden=(), activation="relu", cnn="residual", channels=(16, 32))
    words: TransformerConfig = TransformerConfig(width=64, layers=1, heads=2, causal=False)
    shared: int = 64
    """The size of the one space."""
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.shared >= 2, "shared", self.shared, "at least 2")


class PairEncoder(Model):
    """`input/seen` [B, ...] and `input/named` [B, L] -> vectors [B, shared] of length 1 each.

    Raises UserError for other inputs.
    """

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any] | None,
        config: PairEncoderConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config)
        if set(inputs) != set(PAIR):
            raise UserError(f"pairs take the inputs {' and '.join(PAIR)}, here there are {', '.join(inputs)}")
        seen, named = PAIR
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder = Encoder({seen: inputs[seen]}, config.network, rng)
        self.words = SequenceEncoder(inputs[named], config.words, rng, shortcut=True)
        self.from_seen = linear(self.encoder.out_features, config.shared, gain=1.0, generator=rng)
        self.from_words = linear(self.words.out_features, config.shared, gain=1.0, generator=rng)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(FIRST_TEMPERATURE)))

    @property
    def scale(self) -> Tensor:
        """1 / temperature [], learned (CLIP, section 2.5)."""
        return self.log_scale.clamp(max=-math.log(LEAST_TEMPERATURE)).exp()

    def seen(self, batch: Batch) -> Tensor:
        """Of what is seen [B, shared]."""
        return F.normalize(self.from_seen(self.encoder(self.preprocessing(batch))).float(), dim=-1)

    def named(self, batch: Batch) -> Tensor:
        """Of the names [B, shared]."""
        return F.normalize(self.from_words(self.words(batch[PAIR[1]])).float(), dim=-1)

    def features(self, batch: Batch) -> Tensor:
        """What others learn from [B, shared]."""
        return self.seen(batch)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.seen(batch), self.named(batch)


@dataclass(frozen=True)
class ContrastivePairsConfig:
    """Hyperparameters of contrastive pairs."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images and of words, anew each time they are learned from."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        parts = self.optimizer.micro_batches
        # Every sample is compared with all others of the batch: a part of it would be another loss.
        require(parts == 1, "optimizer.micro_batches", parts, "1: a contrastive loss is of the whole batch")


class ContrastivePairs(ModelAndParts):
    """Learns from pairs [B, ...]: each side is to be nearest to its own other side; equal names are no opposites."""

    score = "accuracy"

    def __init__(self, model: PairEncoder, config: ContrastivePairsConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config = model, config
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until, whole_batch=True)
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        sides = to_device({key: batch[key] for key in PAIR}, self.model.log_scale.device)
        alike = same_names(sides[PAIR[1]])
        sides = augment_inputs(sides, self.model.inputs, self._config.augmentation, self._rng)
        return self._optimizer.step(self._loss, {**sides, "alike": alike}, now), {}

    def _loss(self, batch: Batch) -> Loss:
        seen, named = self.model(batch)
        return pair_loss(seen, named, self.model.scale, batch["alike"])

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        """How often what is seen is given its own name, among the names of the split, and among the five nearest."""
        with self._optimizer.averaged():
            device = self.model.log_scale.device
            found = [(self.model.seen(to_device(one, device)).cpu(), one["target"], one[PAIR[1]]) for one in batches]
            seen, target, words = (torch.cat(some) for some in zip(*found, strict=True))
            labels, names = distinct_names(target, words)
            named = self.model.named({PAIR[1]: names.to(device)}).cpu()
        return named_accuracy(seen, named, torch.searchsorted(labels, target))


def pair_loss(seen: Tensor, named: Tensor, scale: Tensor, alike: Tensor) -> Loss:
    """The symmetric cross-entropy of CLIP (its figure 3): of every side among all other sides of the batch.

    Args:
        seen: [B, P] of length 1.
        named: [B, P] of length 1; row i belongs to row i.
        scale: what likenesses are multiplied by.
        alike: [B, B] True where two pairs have the same name; such a pair is no opposite, and is left out.
    """
    rows = len(seen)
    own = torch.eye(rows, dtype=torch.bool, device=seen.device)
    with torch.autocast(seen.device.type, enabled=False):  # in bf16 close ones would be equally alike
        likeness = (scale * seen.float() @ named.float().T).masked_fill(alike & ~own, -torch.inf)
    truth = torch.arange(rows, device=seen.device)
    ways = [F.cross_entropy(values, truth, reduction="sum") for values in (likeness, likeness.T)]
    right = (likeness.detach().argmax(1) == truth).float().mean()
    metrics: Metrics = {"learner/accuracy": Mean(right, rows), "learner/temperature": Last(1.0 / scale.detach())}
    return Loss((ways[0] + ways[1]) / 2, rows, metrics)


def same_names(words: Tensor) -> Tensor:
    """[B, L] -> [B, B] True where two rows are the same words."""
    return (words.unsqueeze(0) == words.unsqueeze(1)).all(-1)


def distinct_names(target: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """The classes [K] in ascending order and the words [K, L] of each."""
    labels, place = target.unique(return_inverse=True)
    first = torch.full((len(labels),), len(target)).scatter_reduce(0, place, torch.arange(len(target)), "amin")
    return labels, words[first]


def named_accuracy(seen: Tensor, named: Tensor, truth: Tensor) -> dict[str, float]:
    """How often the own name `truth` [S] of the rows of `seen` [S, P] is the nearest of `named` [K, P], and among the
    five nearest."""
    order = (seen @ named.T).topk(min(5, len(named)), dim=1).indices
    right = order == truth.unsqueeze(1)
    return {"accuracy": float(right[:, 0].float().mean()), "accuracy_top_5": float(right.any(1).float().mean())}


@dataclass(frozen=True, kw_only=True)
class ContrastivePairsRunConfig(DataRunConfig):
    """How two encoders are trained."""

    algorithm: ContrastivePairsConfig = ContrastivePairsConfig()
    model: PairEncoderConfig = PairEncoderConfig()
    minibatch_size: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.learners == 1, "learners", self.learners, "1: a contrastive loss is of the whole batch")
        require(self.minibatch_size >= 2, "minibatch_size", self.minibatch_size, "at least 2: pairs are told apart")


def train(config: ContrastivePairsRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`. Raises UserError where all names are the same."""
    check_numbers(splits, config.model.preprocessing)
    named = splits.train.array(PAIR[1]) if PAIR[1] in splits.train.arrays else None
    if named is not None and (named == named[0]).all():
        raise UserError(f"{splits.train.source}: every sample has the same name: nothing is to be told apart")
    model = PairEncoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)

    def make_algorithm(model: PairEncoder, own: ContrastivePairsConfig, until: Budget) -> ContrastivePairs:
        return ContrastivePairs(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
