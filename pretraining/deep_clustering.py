"""Deep embedded clustering (Xie, Girshick and Farhadi 2016, https://arxiv.org/abs/1511.06335).

Begins with an autoencoder's encoder and k-means in its code, then sharpens the assignments: equations 1 to 3. The
decoder stays in the loss, as Guo et al. 2017 ("Improved deep embedded clustering with local structure preservation",
equation 7) propose, so that the code still says what the input was. Images may be augmented while their targets are
those of the image as it is (Guo et al. 2018, "Deep embedded clustering with data augmentation").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from torch import Generator, Tensor, nn

from pretraining import recipe
from pretraining.autoencoder import Autoencoder, AutoencoderConfig
from pretraining.measures import cluster_measures
from pretraining.model import ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import require
from training.extras import extra
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import derived_seed, generator
from training.state import State


@dataclass(frozen=True)
class ClusteringEncoderConfig(AutoencoderConfig):
    """The shape of an autoencoder whose code is clustered."""

    clusters: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.clusters >= 2, "clusters", self.clusters, "at least 2")


class ClusteringEncoder(Autoencoder):
    """An autoencoder with the centres [clusters, code] of clusters of its code."""

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any] | None,
        config: ClusteringEncoderConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config, rng)
        self.centres = nn.Parameter(torch.zeros(config.clusters, config.code))

    def assignment(self, batch: Batch) -> Tensor:
        """How much each sample belongs to each cluster [B, clusters]."""
        return soft_assignment(self.features(batch), self.centres)


@dataclass(frozen=True)
class DeepClusteringConfig:
    """Hyperparameters of deep clustering: the paper's but for the optimizer."""

    target_every: int = 140
    """Updates after which the target distribution of all samples is computed anew."""
    reconstruction_weight: float = 0.1
    """0 is the paper's own loss."""
    clustering_weight: float = 1.0
    augmentation: AugmentationConfig = AugmentationConfig()
    optimizer: OptimizerConfig = OptimizerConfig("adam", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(self.target_every >= 1, "target_every", self.target_every, "at least 1")
        for name in ("reconstruction_weight", "clustering_weight"):
            weight = getattr(self, name)
            require(0 <= weight < math.inf, name, weight, "a number of at least 0")


class DeepClustering(ModelAndParts):
    """Learns from samples with their `row` in the training split; the classes are only for the measures."""

    score = "confidence"

    def __init__(
        self, model: ClusteringEncoder, config: DeepClusteringConfig, data: Dataset, *, until: Budget, seed: int
    ) -> None:
        self.model, self._config, self._data = model, config, data
        self._device = model.centres.device
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._target = torch.zeros(len(data), model.config.clusters)
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}
        self._begin(seed)

    @torch.no_grad()
    def _begin(self, seed: int) -> None:
        """The centres are those of k-means in the code."""
        with extra("data"):
            from sklearn.cluster import KMeans
        codes = torch.cat([self.model.features(self._here(part)).cpu() for part in self._data.batches(1024)])
        state = derived_seed(seed, "centres") % 2**32
        fitted = KMeans(self.model.config.clusters, n_init=20, random_state=state).fit(codes.numpy())
        self.model.centres.copy_(torch.from_numpy(fitted.cluster_centers_.astype(np.float32)))

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        if now.updates % self._config.target_every == 0:
            self._target = self._targets()
        batch = self._here({**batch, "assignment": self._target[batch["row"]]})
        batch = augment_inputs(batch, self.model.inputs, self._config.augmentation, self._rng)
        return self._optimizer.step(self._loss, batch, now), {}

    @torch.no_grad()
    def _targets(self) -> Tensor:
        parts = [self.model.assignment(self._here(part)).cpu() for part in self._data.batches(1024)]
        return target_distribution(torch.cat(parts))

    def _loss(self, batch: Batch) -> Loss:
        codes = self.model.features(batch)
        divergence = kl(batch["assignment"], soft_assignment(codes, self.model.centres))
        errors = (self.model.from_code(codes) - self.model.original(batch)).square().sum(1)
        loss = self._config.clustering_weight * divergence + self._config.reconstruction_weight * errors
        rows = len(loss)
        measured: Metrics = {
            "learner/cluster_divergence": Mean(divergence.detach().mean(), rows),
            "learner/squared_error": Mean(errors.detach().mean(), rows),
        }
        return Loss(loss.sum(), rows, measured)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        assigned, targets = [], []
        with self._optimizer.averaged():
            for batch in batches:
                assigned.append(self.model.assignment(self._here(batch)).cpu())
                targets.append(batch.get("target"))
        found = torch.cat(assigned)
        truth = None if targets[0] is None else torch.cat([target for target in targets if target is not None])
        return {"confidence": float(found.max(1).values.mean())} | cluster_measures(found.argmax(1), truth)

    def _here(self, batch: Batch) -> Batch:
        return to_device(batch, self._device)

    def state_dict(self) -> State:
        return {**super().state_dict(), "target": self._target}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._target = state["target"].clone()


def soft_assignment(codes: Tensor, centres: Tensor) -> Tensor:
    """How much codes [B, code] belong to centres [K, code], by Student's t (equation 1): [B, K]."""
    distance = (codes.unsqueeze(1) - centres).square().sum(-1)
    similarity = 1.0 / (1.0 + distance)
    return similarity / similarity.sum(1, keepdim=True)


def target_distribution(assignment: Tensor) -> Tensor:
    """Sharper assignments [S, K] in which large clusters count less (equation 3)."""
    weight = assignment.square() / assignment.sum(0)
    return weight / weight.sum(1, keepdim=True)


def kl(target: Tensor, assignment: Tensor) -> Tensor:
    """KL(target || assignment) of each sample (equation 2): [B]."""
    return (target * (target.clamp(min=1e-12).log() - assignment.clamp(min=1e-12).log())).sum(1)


@dataclass(frozen=True, kw_only=True)
class DeepClusteringRunConfig(DataRunConfig):
    """How an autoencoder's code is clustered."""

    algorithm: DeepClusteringConfig = DeepClusteringConfig()
    clusters: int = 10


def train(
    config: DeepClusteringRunConfig, run: Run, splits: Splits, begin: Autoencoder, *, measure: Any = None
) -> None:
    """One run that begins with a trained autoencoder; `measure` as in `recipe.train`."""
    shape = {field.name: getattr(begin.config, field.name) for field in fields(AutoencoderConfig)}
    own = ClusteringEncoderConfig(**shape, clusters=config.clusters)
    model = ClusteringEncoder(splits.train.inputs, None, own, generator(config.seed, "weights"))
    model.load_state_dict({**begin.state_dict(), "centres": model.centres.detach()})
    data = splits.train
    rows = np.arange(len(data))
    numbered = replace(data, arrays={**{key: data.array(key) for key in data.arrays}, "row": rows}, rows=None)

    def make_algorithm(model: ClusteringEncoder, own: DeepClusteringConfig, until: Budget) -> DeepClustering:
        return DeepClustering(model, own, numbered, until=until, seed=config.seed)

    recipe.train(config, run, splits._replace(train=numbered), model, make_algorithm, measure=measure)
