"""What learning from tasks of a few examples shares: how a batch of them is changed, and how a run is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Generator

from pretraining import recipe
from pretraining.model import Model
from pretraining.recipe import DataRunConfig
from training.core import Batch, Budget, to_device
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.few_shot import FewShot, check_tasks, require_tasks
from training.data.splits import Splits
from training.run.run import Run


def augmented_tasks(
    batch: Batch, inputs: Mapping[str, Space[Any]], config: AugmentationConfig, rng: Generator, device: torch.device
) -> Batch:
    """The inputs of tasks [tasks, ways, samples, ...] on a device, each sample changed on its own."""
    rows = next(batch[key] for key in inputs).shape[:3]
    flat = to_device({key: batch[key].flatten(0, 2) for key in inputs}, device)
    changed = augment_inputs(flat, inputs, config, rng)
    return {key: value.unflatten(0, rows) for key, value in changed.items()}


@dataclass(frozen=True, kw_only=True)
class TasksRunConfig(DataRunConfig):
    """How a model is trained on tasks, of which there is no end: the budget is in steps."""

    epochs: int | None = None
    steps: int | None = 1_500

    def __post_init__(self) -> None:
        super().__post_init__()
        require_tasks(self.epochs, self.minibatch_size, DataRunConfig.minibatch_size)


def train_on_tasks(
    config: TasksRunConfig, run: Run, splits: Splits, model: Model, algorithm: Any, *, measure: Any = None
) -> None:
    """One run, which changes the model. `algorithm` is the class that learns, `measure` as in `recipe.train`.

    Raises UserError for a split that its tasks cannot be drawn from.
    """
    own = config.algorithm
    check_tasks(splits, own.task, own.measured)

    def make_algorithm(model: Any, own: Any, until: Budget) -> Any:
        return algorithm(model, own, until=until, seed=config.seed)

    recipe.train(
        config,
        run,
        splits,
        model,
        make_algorithm,
        make_stream=lambda data: FewShot(data, own.task, tasks=own.tasks, seed=config.seed),
        measure=measure,
    )
