"""MAML: weights from which a few steps of gradient descent learn a new task (Finn et al. 2017,
https://arxiv.org/abs/1703.03400).

The inner steps are differentiated too (`torch.func.grad`), and the tasks of a batch learn side by side
(`torch.func.vmap`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from gymnasium import spaces
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F  # noqa: N812

from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.recipe import Part
from pretraining.tasks import TasksRunConfig, augmented_tasks, train_on_tasks
from training.core import Batch, Budget, Counters, to_device
from training.data.augmentation import AugmentationConfig
from training.data.few_shot import TaskConfig, Tasks
from training.data.preprocessing import check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

Weights: TypeAlias = dict[str, Tensor]
TASKS_AT_A_TIME = 20
"""That are measured side by side."""


@dataclass(frozen=True)
class MAMLConfig:
    """Hyperparameters of MAML; those of the steps are Finn's for Omniglot with five ways (their appendix A.1)."""

    task: TaskConfig = TaskConfig(ways=5, shots=1, queries=5)
    """To learn from; the network has an output for each way."""
    tasks: int = 8
    """In each update."""
    inner_rate: float = 0.4
    """The step size of a task's own gradient descent (alpha)."""
    inner_steps: int = 1
    """When it is learned."""
    measured_steps: int = 3
    """When it is measured."""
    first_order: bool = False
    """Take the inner gradients as constants: no second derivatives (their section 5.2)."""
    measured_queries: int = 5
    measured_tasks: int = 200
    augmentation: AugmentationConfig = AugmentationConfig()
    """Of images, anew each time they are learned from."""
    optimizer: OptimizerConfig = OptimizerConfig("adam", learning_rate=1e-3)

    def __post_init__(self) -> None:
        for name in ("tasks", "inner_steps", "measured_steps", "measured_queries", "measured_tasks"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.inner_rate > 0.0, "inner_rate", self.inner_rate, "a number above 0")

    @property
    def measured(self) -> TaskConfig:
        """As many ways and shots as it learns with."""
        return TaskConfig(self.task.ways, self.task.shots, self.measured_queries)


class MAML(ModelAndParts):
    """Learns from tasks [tasks, ways, shots + queries, ...]: after the inner steps the queries are to be answered."""

    score = "accuracy"

    def __init__(self, model: Predictor, config: MAMLConfig, *, until: Budget, seed: int) -> None:
        require(model.classes == config.task.ways, "ways", config.task.ways, f"{model.classes}, the network's outputs")
        self.model, self._config, self._seed = model, config, seed
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "augmentation")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        device = self.model.temperature.device
        tasks = augmented_tasks(batch, self.model.inputs, self._config.augmentation, self._rng, device)
        return self._optimizer.step(self._loss, tasks, now), {}

    def _loss(self, batch: Batch) -> Loss:
        config, weights = self._config, dict(self.model.named_parameters())

        def of_task(task: Batch) -> tuple[Tensor, Tensor]:
            shown, asked = parted(task, config.task.shots)
            learned = adapted(
                self.model, weights, shown, config.inner_steps, config.inner_rate, first_order=config.first_order
            )
            logits, truth = answered(self.model, learned, asked)
            return F.cross_entropy(logits, truth, reduction="sum"), (logits.detach().argmax(1) == truth).float().mean()

        losses, right = vmap(of_task)(batch)
        queries = len(losses) * config.task.ways * config.task.queries
        return Loss(losses.sum(), queries, {"learner/accuracy": Mean(right.mean(), queries)})

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        config = self._config
        with self._optimizer.averaged():
            accuracy = adapted_accuracy(
                self.model,
                list(batches),
                config.measured,
                steps=config.measured_steps,
                rate=config.inner_rate,
                count=config.measured_tasks,
                seed=self._seed,
                source=f"the {part} split",
            )
        return {"accuracy": accuracy}


def parted(task: Batch, shots: int) -> tuple[Batch, Batch]:
    """What is shown and what is asked, each [ways, samples, ...], of a task [ways, shots + queries, ...]."""
    shown = {key: value[:, :shots] for key, value in task.items()}
    return shown, {key: value[:, shots:] for key, value in task.items()}


def answered(model: Predictor, weights: Mapping[str, Tensor], samples: Batch) -> tuple[Tensor, Tensor]:
    """The logits [B, ways] with these weights for samples [ways, B / ways, ...], and their ways [B]."""
    ways, each = next(iter(samples.values())).shape[:2]
    flat = {key: value.flatten(0, 1) for key, value in samples.items()}
    logits: Tensor = functional_call(model, dict(weights), (flat,))
    return logits.float(), torch.arange(ways, device=logits.device).repeat_interleave(each)


def adapted(
    model: Predictor, weights: Mapping[str, Tensor], shown: Batch, steps: int, rate: float, *, first_order: bool = True
) -> Weights:
    """The weights after `steps` of gradient descent on what is shown (equation 1 of MAML).

    They are a function of the weights before, which can be differentiated; with `first_order` the gradients are taken
    as constants.
    """

    def loss(weights: Weights) -> Tensor:
        logits, truth = answered(model, weights, shown)
        return F.cross_entropy(logits, truth)

    learned = dict(weights)
    for _ in range(steps):
        gradient = grad(loss)(learned)
        learned = {
            key: value - rate * (gradient[key].detach() if first_order else gradient[key])
            for key, value in learned.items()
        }
    return learned


@torch.no_grad()
def adapted_accuracy(
    model: Predictor,
    batches: list[Batch],
    config: TaskConfig,
    *,
    steps: int,
    rate: float,
    count: int,
    seed: int,
    source: str,
) -> float:
    """How many of the queries of `count` tasks are answered with their class after `steps` on what is shown.

    The tasks are those of `few_shot.task_accuracy` with the same seed. Each query is answered alone: it takes a network
    that knows nothing of the other samples of a batch.
    """
    samples = {key: torch.cat([batch[key] for batch in batches]) for key in model.inputs}
    target = torch.cat([batch["target"] for batch in batches])
    tasks, rng = Tasks(target.numpy(), config, source=source), generator(seed, "measured tasks")
    weights, device = dict(model.named_parameters()), model.temperature.device

    def right(task: Batch) -> Tensor:
        shown, asked = parted(task, config.shots)
        logits, truth = answered(model, adapted(model, weights, shown, steps, rate), asked)
        return (logits.argmax(1) == truth).float().mean()

    total = 0.0
    for rows in torch.stack([tasks.draw(rng) for _ in range(count)]).split(TASKS_AT_A_TIME):
        total += float(vmap(right)(to_device({key: value[rows] for key, value in samples.items()}, device)).sum())
    return total / count


@dataclass(frozen=True, kw_only=True)
class MAMLRunConfig(TasksRunConfig):
    """How weights to adapt from are trained."""

    algorithm: MAMLConfig = MAMLConfig()
    model: PredictorConfig = PredictorConfig(
        network=NetworkConfig(
            hidden=(), activation="relu", module="training.networks.strided:StridedCNN", module_kwargs={}
        )
    )
    """Without batch normalization: a query would know of the others."""
    steps: int | None = 600


def train(config: MAMLRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`. Raises UserError for a split that its tasks cannot be drawn from."""
    check_numbers(splits, config.model.preprocessing)
    train_on_tasks(config, run, splits, new_model(config, splits), MAML, measure=measure)


def new_model(config: MAMLRunConfig, splits: Splits) -> Predictor:
    """With an output for each way; its weights are drawn, its preprocessing is fitted."""
    ways: spaces.Discrete[Any] = spaces.Discrete(config.algorithm.task.ways)
    model = Predictor(splits.train.inputs, ways, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)
    return model
