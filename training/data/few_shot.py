"""Tasks of a few classes with a few examples each: the stream of learning to learn, and how such tasks are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Metrics
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class TaskConfig:
    """One task: of `ways` classes `shots` examples each are shown with their class, `queries` each are asked."""

    ways: int = 5
    shots: int = 1
    queries: int = 5

    def __post_init__(self) -> None:
        require(self.ways >= 2, "ways", self.ways, "at least 2")
        require(self.shots >= 1, "shots", self.shots, "at least 1")
        require(self.queries >= 1, "queries", self.queries, "at least 1")

    @property
    def each(self) -> int:
        """Samples of each class."""
        return self.shots + self.queries


class Tasks:
    """Tasks drawn from samples by their classes, no sample twice in a task.

    Raises UserError where there are fewer classes than ways, or a class has fewer samples than shots and queries.
    """

    def __init__(
        self, target: NDArray[np.int64], config: TaskConfig, *, source: str, labels: Sequence[str] = ()
    ) -> None:
        self.config = config
        order = np.argsort(target, kind="stable")
        classes, begins = np.unique(target[order], return_index=True)
        self._rows = [torch.from_numpy(rows) for rows in np.split(order, begins[1:])]
        require(config.ways <= len(classes), "ways", config.ways, f"2 to {len(classes)}, the classes of {source}")
        fewest = int(np.argmin([len(rows) for rows in self._rows]))
        has = len(self._rows[fewest])
        if has < config.each:
            name = f" ({labels[classes[fewest]]})" if labels else ""
            raise UserError(
                f"{source}: class {classes[fewest]}{name} has {has} samples: shots = {config.shots} and "
                f"queries = {config.queries} take at least {config.each} of every class"
            )

    def draw(self, rng: Generator) -> Tensor:
        """The samples [ways, shots + queries] of one task, those that are shown first."""
        chosen = torch.randperm(len(self._rows), generator=rng)[: self.config.ways].tolist()
        each = self.config.each
        return torch.stack(
            [rows[torch.randperm(len(rows), generator=rng)[:each]] for rows in (self._rows[one] for one in chosen)]
        )


class FewShot:
    """Batches of tasks: every array as [tasks, ways, shots + queries, ...], the first `shots` of a class being shown.

    A task depends on the seed and its number alone, so the stream goes on where it was. A passed epoch is as many
    samples as the dataset has. Raises UserError as `Tasks` does.
    """

    def __init__(self, data: Dataset, config: TaskConfig, *, tasks: int = 1, seed: int) -> None:
        require(tasks >= 1, "tasks", tasks, "at least 1")
        self._data, self._tasks, self._seed, self._number = data, tasks, seed, 0
        self._of = Tasks(data.array("target"), config, source=data.source, labels=data.labels)

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        numbers = range(self._number, self._number + self._tasks)
        rows = torch.stack([self._of.draw(generator(self._seed, "task", number)) for number in numbers])
        self._number += self._tasks
        batch = {key: value.unflatten(0, rows.shape) for key, value in self._data.gather(rows.flatten()).items()}
        before, after = now.samples, now.samples + rows.numel()
        ended = after // len(self._data) - before // len(self._data)
        return batch, now.advance(samples=rows.numel(), epochs=ended), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no task is preferred."""

    def state_dict(self) -> State:
        return {"task": self._number}

    def load_state_dict(self, state: State) -> None:
        self._number = int(state["task"])


Answer: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Of features that are shown [ways, shots, F] and asked [Q, F] the answers [Q], 0 to ways - 1."""


def nearest_centroid(shown: Tensor, asked: Tensor) -> Tensor:
    """The class whose mean is nearest."""
    return squared_distances(asked, shown.mean(1)).argmin(-1)


def task_accuracy(
    features: Tensor,
    target: Tensor,
    config: TaskConfig,
    answer: Answer = nearest_centroid,
    *,
    count: int,
    seed: int,
    source: str,
) -> float:
    """How many of the queries of `count` tasks are answered with their class.

    `features` [S, F] and `target` [S] are of a split; the seed alone says which tasks, so that others are asked the
    same.
    """
    tasks, rng, right = Tasks(target.numpy(), config, source=source), generator(seed, "measured tasks"), 0.0
    truth = torch.arange(config.ways).repeat_interleave(config.queries)
    for _ in range(count):
        seen = features[tasks.draw(rng)]
        said = answer(seen[:, : config.shots], seen[:, config.shots :].flatten(0, 1))
        right += float((said == truth).float().mean())
    return right / count


def squared_distances(queries: Tensor, prototypes: Tensor) -> Tensor:
    """[..., Q, F] and [..., K, F] -> the squared Euclidean distances [..., Q, K]."""
    return (queries.unsqueeze(-2) - prototypes.unsqueeze(-3)).square().sum(-1)


def check_tasks(splits: Splits, learned: TaskConfig, measured: TaskConfig) -> None:
    """Raises UserError, before anything is trained, for a split from which no such task can be drawn."""
    for name, part, task in zip(Splits._fields, splits, (learned, measured, measured), strict=True):
        Tasks(part.array("target"), task, source=f"the {name} split of {part.source}", labels=part.labels)


def require_tasks(epochs: int | None, minibatch_size: int, default: int) -> None:
    """Raises UserError for what a run on tasks would not heed: it counts steps, and a batch is `algorithm.tasks`."""
    require(epochs is None, "epochs", epochs, "None: there is no end of tasks; set steps")
    takes = f"its default, {default}: a batch is algorithm.tasks tasks"
    require(minibatch_size == default, "minibatch_size", minibatch_size, takes)
