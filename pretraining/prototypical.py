"""Prototypical networks: a class is the mean of the features of its examples (Snell et al. 2017,
https://arxiv.org/abs/1703.05175).

They learn on tasks as they will be asked, but with more classes at a time (their section 2.6), to put the examples of
any class near each other; a class that was never seen needs a few examples and no training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining.model import Model, ModelAndParts
from pretraining.recipe import Part
from pretraining.tasks import TasksRunConfig, augmented_tasks, train_on_tasks
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig
from training.data.few_shot import TaskConfig, squared_distances, task_accuracy
from training.data.preprocessing import Preprocessing, PreprocessingConfig, check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import MLP, Encoder, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True)
class PrototypicalEncoderConfig:
    """The shape of what makes features."""

    network: NetworkConfig = NetworkConfig(
        hidden=(), activation="relu", module="training.networks.strided:StridedCNN", module_kwargs={}
    )
    """Encodes each input; its perceptron makes the features. Without batch normalization: a query would know of the
    others."""
    features: int = 64
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.features >= 1, "features", self.features, "at least 1")


class PrototypicalEncoder(Model):
    """Inputs [B, ...] -> features [B, features]."""

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any] | None,
        config: PrototypicalEncoderConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config)
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.encoder = Encoder(inputs, config.network, rng)
        self.head = MLP(self.encoder.out_features, config.network, rng, outputs=config.features)

    def features(self, batch: Batch) -> Tensor:
        """What distances are measured in [B, features]."""
        features: Tensor = self.head(self.encoder(self.preprocessing(batch)))
        return features

    def forward(self, batch: Batch) -> Tensor:
        return self.features(batch)


@dataclass(frozen=True)
class PrototypicalConfig:
    """Hyperparameters of prototypical networks."""

    task: TaskConfig = TaskConfig(ways=20, shots=1, queries=3)
    """To learn from."""
    tasks: int = 1
    """In each update."""
    measured: TaskConfig = TaskConfig(ways=5, shots=1, queries=5)
    """To measure with."""
    measured_tasks: int = 1_000
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images, anew each time they are learned from."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        for name in ("tasks", "measured_tasks"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


class Prototypical(ModelAndParts):
    """Learns from tasks [tasks, ways, shots + queries, ...]: a query is to be nearest to the mean of its class."""

    score = "accuracy"

    def __init__(self, model: PrototypicalEncoder, config: PrototypicalConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config, self._seed = model, config, seed
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = next(self.model.parameters()).device
        tasks = augmented_tasks(batch, self.model.inputs, self._config.augmentation, self._rng, device)
        return self._optimizer.step(self._loss, tasks, now), {}

    def _loss(self, batch: Batch) -> Loss:
        rows = next(iter(batch.values())).shape[:3]
        features = self.model({key: value.flatten(0, 2) for key, value in batch.items()})
        return prototypical_loss(features.unflatten(0, rows), self._config.task.shots)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        config = self._config
        with self._optimizer.averaged():
            features, target = features_of(self.model, batches)
        accuracy = task_accuracy(
            features, target, config.measured, count=config.measured_tasks, seed=self._seed, source=f"the {part} split"
        )
        return {"accuracy": accuracy}


def prototypical_loss(features: Tensor, shots: int) -> Loss:
    """The cross-entropy of queries by their squared distances to the prototypes (equations 1 and 2), over all tasks.

    `features` [tasks, ways, shots + queries, F]; the first `shots` of each class make its prototype.
    """
    prototypes, queries = features[:, :, :shots].float().mean(2), features[:, :, shots:].float()
    ways, each = queries.shape[1:3]
    likeness = -squared_distances(queries.flatten(1, 2), prototypes)
    truth = torch.arange(ways, device=features.device).repeat_interleave(each).expand(len(features), -1).flatten()
    flat = likeness.flatten(0, 1)
    right = (flat.detach().argmax(1) == truth).float().mean()
    total = F.cross_entropy(flat, truth, reduction="sum")
    return Loss(total, len(truth), {"learner/accuracy": Mean(right, len(truth))})


@torch.no_grad()
def features_of(model: Any, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """The features [S, F] of all samples by a model, on the CPU, and their classes [S]."""
    device = next(model.parameters()).device
    features, target = [], []
    for batch in batches:
        features.append(model.features(to_device(batch, device)).float().cpu())
        target.append(batch["target"])
    return torch.cat(features), torch.cat(target)


@dataclass(frozen=True, kw_only=True)
class PrototypicalRunConfig(TasksRunConfig):
    """How an encoder is trained."""

    algorithm: PrototypicalConfig = PrototypicalConfig()
    model: PrototypicalEncoderConfig = PrototypicalEncoderConfig()


def train(config: PrototypicalRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`. Raises UserError for a split that its tasks cannot be drawn from."""
    check_numbers(splits, config.model.preprocessing)
    model = PrototypicalEncoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)
    train_on_tasks(config, run, splits, model, Prototypical, measure=measure)
